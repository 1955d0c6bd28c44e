//! The ITOC360 double: a small ITOC360 on loopback, for the `demo` command, whole-system tests and
//! load runs.
//!
//! It reads a body as ITOC360 documents it, keeps one alert for each fingerprint (an open one is
//! updated and pages no one again), and answers as ITOC360 does. A script can make it answer
//! anything else, request by request, and can be changed while it runs. Tests ask it for what it
//! saw, or wait until it saw enough. It shares no code with the client that it doubles, so it is an
//! independent witness of what the client sends.
//!
//! For load runs, let it remember no requests ([`Setup::remember`] of 0): then it holds no more
//! than a few words for each distinct fingerprint.

mod answer;
mod event;
mod ledger;
mod reply;
mod seen;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::ledger::Ledger;
pub use self::reply::Reply;
pub use self::seen::{Received, Tally};

/// The path of events, as ITOC360 does.
pub const PATH: &str = "/functions/v1/events";

/// The payloads that a token can select.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Alertmanager's webhook, version 4, with one alert.
    #[default]
    Alertmanager,
    /// ITOC360's vendor-neutral JSON.
    Zapier,
}

impl Format {
    /// Returns the word that stands for it in the gateway's configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Zapier => "zapier",
        }
    }
}

/// A running double. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

/// The options of a double.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The address of its listener; port 0 for any. Name the port of an earlier one to let ITOC360
    /// come back.
    pub listen: SocketAddr,
    /// The one token it knows.
    pub token: String,
    /// The payload that the token selects.
    pub format: Format,
    /// The number of requests it remembers, the latest ones.
    pub remember: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: "double-token".to_owned(),
            format: Format::default(),
            remember: 100_000,
        }
    }
}

#[derive(Debug)]
struct Shared {
    token: String,
    format: Format,
    ledger: Mutex<Ledger>,
    tally: watch::Sender<Tally>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }
}

impl Double {
    /// Starts one that answers [`Reply::Ok`] until it is told otherwise.
    pub async fn start(setup: Setup) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.listen).await?;
        let mut double = Self::unbound(setup);
        double.address = listener.local_addr()?;
        double.serving = Some(tokio::spawn(answer::accept(
            listener,
            Arc::clone(&double.shared),
        )));
        Ok(double)
    }

    /// One that listens nowhere: it speaks on the connections that it is given.
    pub fn unbound(setup: Setup) -> Self {
        let shared = Arc::new(Shared {
            token: setup.token,
            format: setup.format,
            ledger: Mutex::new(Ledger::new(setup.remember)),
            tally: watch::Sender::default(),
        });
        Self {
            address: setup.listen,
            shared,
            serving: None,
        }
    }

    /// Speaks on a connection, as of a simulated network, until its client leaves.
    pub fn converse<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
        stream: S,
    ) -> impl Future<Output = ()> + use<S> {
        answer::converse(stream, Arc::clone(&self.shared))
    }

    /// The URL to configure as the destination's.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Returns the address of its listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `script` decides how to answer, given the number of the request (the first is 1)
    /// and its body. It runs under the double's lock, so it must not ask the double anything.
    pub fn script(&self, script: impl FnMut(usize, &Bytes) -> Reply + Send + 'static) {
        self.shared.ledger().script = Some(Box::new(script));
    }

    /// The remembered requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.ledger().received.iter().cloned().collect()
    }

    /// Returns the counts since its start.
    pub fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// Returns the number of times an alert was opened: each of them would have paged somebody.
    pub fn opened(&self) -> usize {
        self.tally().opened
    }

    /// Returns the number of times the alert of this fingerprint was opened.
    pub fn times_opened(&self, fingerprint: &str) -> usize {
        self.shared
            .ledger()
            .incidents
            .get(fingerprint)
            .map_or(0, |incident| incident.times_opened)
    }

    /// Returns whether the alert of this fingerprint is open.
    pub fn is_open(&self, fingerprint: &str) -> bool {
        self.shared
            .ledger()
            .incidents
            .get(fingerprint)
            .is_some_and(|incident| incident.open)
    }

    /// Waits until `n` requests came in. False where that takes longer than `timeout`.
    pub async fn wait_for(&self, n: usize, timeout: Duration) -> bool {
        self.wait_until(timeout, |tally| tally.requests >= n).await
    }

    /// Waits until `enough` is true of the tally. False where that takes longer than `timeout`.
    pub async fn wait_until(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&Tally) -> bool,
    ) -> bool {
        let mut tally = self.shared.tally.subscribe();
        tokio::time::timeout(timeout, tally.wait_for(|tally| enough(tally)))
            .await
            .is_ok_and(|seen| seen.is_ok())
    }

    /// Closes its port and waits until it is closed, as when ITOC360 goes down.
    pub async fn stop(mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Being cancelled is what was asked for.
            let _ = serving.await;
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}
