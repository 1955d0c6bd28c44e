//! Destinations: an alert on the wire of each kind of service, the sending, and the meaning of each answer.
//!
//! Each kind is one file or folder behind [`Kind`]. Most kinds speak HTTP: they say what the request for an alert is and
//! what an answer means, and [`http`] does the rest, the same for all: connections, time limits, reading a bounded answer,
//! masking of secrets. Nothing in here waits, repeats or remembers: that is delivery's part, and [`backoff`] its
//! arithmetic. A repeat is harmless by construction, because every kind sends the alert's fingerprint as what its service
//! deduplicates by.

pub mod backoff;
pub(crate) mod http;
pub mod itoc360;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::{Alert, Outcome};
use crate::clock::LONGEST_WAIT;
use crate::config::{self, DestinationKind};

use http::{HttpKind, OverHttp, Pool};
use itoc360::Itoc360;

/// The longest wait that a `Retry-After` can ask for: beyond it the header says more about its sender than about when to
/// try again.
pub const LONGEST_RETRY_AFTER: Duration = LONGEST_WAIT;

/// The most characters of [`Sent::answer_excerpt`].
pub const EXCERPT_MAX_CHARS: usize = 512;

/// One kind of destination: renders an alert, sends it once, and judges the answer.
pub(crate) trait Kind: fmt::Debug + Send + Sync {
    /// Sends an alert, once.
    fn send<'a>(&'a self, alert: &'a Alert) -> Sending<'a>;
}

/// An attempt under way.
pub(crate) type Sending<'a> = Pin<Box<dyn Future<Output = Sent> + Send + 'a>>;

/// A configured destination. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Destination {
    kind: Arc<dyn Kind>,
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The meaning of the answer, or of its absence.
    pub outcome: Outcome,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// From the start of the attempt to the end of the answer.
    pub duration: Duration,
    /// The beginning of the answer, as one line without secrets: at most [`EXCERPT_MAX_CHARS`] characters. Empty where the
    /// receipt says it all.
    pub answer_excerpt: String,
}

/// The reason why nothing can be sent to a destination as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUsable {
    /// The URL is relative, or of another scheme.
    #[error("the url must start with https:// or http:// and name a host")]
    Url,
    /// The token is empty, or holds a character that cannot stand in a header, such as a line break.
    #[error("the token must not be empty, and must be of visible ASCII characters only")]
    Token,
}

impl Destination {
    /// Returns the destination of this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The configuration names something that can never be sent to.
    pub fn new(config: &config::Destination) -> Result<Self, NotUsable> {
        match config.kind {
            DestinationKind::Itoc360 => {
                let itoc360 = Itoc360::new(config.url.clone(), config.token.expose(), config.format)?;
                Self::over(itoc360, |https| Box::new(http::pool(https, config.concurrency)), config.timeout)
            }
        }
    }

    /// Returns a destination that speaks HTTP over connections of `pool`, which is told whether they are to be TLS.
    /// `timeout` bounds a whole attempt, the connection and the answer included.
    pub(crate) fn over(
        kind: impl HttpKind,
        pool: impl FnOnce(bool) -> Box<dyn Pool>,
        timeout: Duration,
    ) -> Result<Self, NotUsable> {
        Ok(Self { kind: Arc::new(OverHttp::new(kind, pool, timeout)?) })
    }

    /// Sends an alert, once.
    pub async fn send(&self, alert: &Alert) -> Sent {
        self.kind.send(alert).await
    }
}
