//! Tests of a way, for an operator: a genuine request from the sender's side of the proxy to the
//! receipt, or the last hop alone.
//!
//! The gateway that runs makes them itself, because it has the secrets, knows its requests again,
//! and sees why they fail. An alert of a test is stored in one transaction with the alert that
//! resolves it, so nothing stays open whatever happens meanwhile.

mod arrival;
mod connect;
mod follow;

pub use arrival::by_public_url;

use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::contract::{Alert, Priority};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::alert::{self, Outcome, test};
use crate::clock::{rfc3339, wall_ms};
use crate::config::{Listen, OWN_SOURCE, PublicUrl, did_you_mean, listed};
use crate::destinations::{Destination, Sent};
use crate::health::Health;
use crate::hops::{Asked, Hop, UNKNOWN, Way};
use crate::intake::Intake;
use crate::random;
use crate::recent::Recent;
use crate::store::{Entry, Store};

/// The tests that run at once.
pub const TESTS: usize = 4;

/// The waits before a resolve that was not taken is sent again.
const AGAIN: [u64; 3] = [1, 3, 10];

/// The parts of a running gateway that tests go through.
#[derive(Debug, Clone)]
pub struct Tester {
    /// The way in, which knows of each test.
    pub intake: Arc<Intake>,
    /// The store, for the audit.
    pub store: Store,
    /// The state of the destinations.
    pub health: Health,
    /// The requests that were rejected last.
    pub recent: Recent,
    /// The address of the listener for senders.
    pub listen: Listen,
    /// True if it speaks TLS.
    pub speaks_tls: bool,
    /// The URL that senders use.
    pub public_url: PublicUrl,
}

/// The hops of one test, told to the one who asked.
#[derive(Debug)]
pub struct Hops(mpsc::Sender<Hop>);

impl Hops {
    /// Tells hops to this one.
    pub fn new(told: mpsc::Sender<Hop>) -> Self {
        Self(told)
    }

    /// Tells a hop, and returns whether it was passed. A test goes on although the one who asked
    /// has left.
    pub async fn tell(&self, hop: Hop) -> bool {
        let ok = hop.ok;
        let _ = self.0.send(hop).await;
        ok
    }
}

impl Tester {
    /// Makes a test. `clients` are the destinations that there are, by name.
    pub async fn run(self, asked: Asked, clients: Vec<(String, Destination)>) {
        let Asked {
            way,
            who,
            origin,
            hops,
        } = asked;
        let hops = Hops(hops);
        let (name, names, is_known) = match &way {
            Way::Source { name, .. } => (name, self.intake.source_names(), "source"),
            Way::Destination { name } => {
                let names = clients.iter().map(|(name, _)| name.clone()).collect();
                (name, names, "destination")
            }
            Way::PublicUrl => return self.public_url(&hops).await,
        };
        if !names.contains(name) {
            hops.tell(unknown(is_known, name, &names)).await;
            return;
        }
        tracing::info!(way = way.shown(), who, origin, "an operator tests a way");
        let entry = Entry {
            at_ms: wall_ms(),
            who,
            origin,
            action: "test".to_owned(),
            about: way.shown(),
            why: None,
        };
        if let Err(error) = self.store.audit(entry).await {
            let fix = "requests cannot be kept either: see `/readyz` and the log";
            hops.tell(Hop::failed("store", error.to_string(), fix))
                .await;
            return;
        }
        match way {
            Way::Source {
                name,
                local,
                request,
            } => self.source(&name, local, request.as_deref(), &hops).await,
            Way::PublicUrl => {}
            Way::Destination { name } => {
                if let Some((_, client)) = clients.iter().find(|(known, _)| *known == name) {
                    destination(&name, client, &hops).await;
                }
            }
        }
    }

    /// Tests a source.
    async fn source(&self, name: &str, local: bool, message: Option<&str>, hops: &Hops) {
        const OTHER: &str =
            "name a request of its sender: alert-gateway test --source NAME --request FILE.http";
        let sample = match self.intake.sample(name, message) {
            Some(Ok(sample)) => sample,
            Some(Err(error)) => {
                hops.tell(Hop::failed("sample", error.to_string(), OTHER))
                    .await;
                return;
            }
            // Removed by a reload a moment ago.
            None => {
                hops.tell(unknown("source", name, &self.intake.source_names()))
                    .await;
                return;
            }
        };
        let Some(number) = number(hops).await else {
            return;
        };
        let body = sample.request.body.bytes().into_owned();
        let mut awaiting = self.intake.await_test(number, name, body);
        let Some(answered) = self.post(&sample, local, &awaiting.number, hops).await else {
            return;
        };
        if let Some(request) = self
            .arrived(name, &sample, &answered, &mut awaiting, local, hops)
            .await
        {
            self.follow(&request, hops).await;
        }
    }

    /// Tries whether the public URL leads to this gateway, by a GET to the first source. It makes
    /// no alert.
    async fn public_url(&self, hops: &Hops) {
        let names = self.intake.source_names();
        let number = number(hops).await;
        let (Some(name), Some(number)) = (names.first(), number) else {
            return;
        };
        let mut awaiting = self.intake.await_test(number, name, Vec::new());
        by_public_url(name, &self.place(), &mut awaiting, hops).await;
    }

    fn place(&self) -> Place<'_> {
        Place {
            recent: &self.recent,
            listen: &self.listen,
            public_url: &self.public_url,
        }
    }
}

/// The place that a public URL is to lead to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The last requests that were refused there.
    pub recent: &'a Recent,
    /// The address of the listener.
    pub listen: &'a Listen,
    /// The URL.
    pub public_url: &'a PublicUrl,
}

/// Returns the random number that marks the request of a test. `None` where there is none, which
/// was told then.
pub async fn number(hops: &Hops) -> Option<String> {
    match random::bytes() {
        Ok(number) => Some(Uuid::from_bytes(number).simple().to_string()),
        Err(error) => {
            let found = error.to_string();
            hops.tell(Hop::failed("request", found, "")).await;
            None
        }
    }
}

/// Returns the hop for a name of nothing.
fn unknown(kind: &str, name: &str, names: &[String]) -> Hop {
    let names = || names.iter().map(String::as_str);
    let near = did_you_mean(name, names())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    let found = format!("no {kind} is called \"{name}\"{near}");
    let fix = format!("there are {}", listed(names(), "and"));
    Hop::failed(UNKNOWN, found, fix)
}

/// Tests the last hop: sends an alert, and resolves it.
async fn destination(name: &str, client: &Destination, hops: &Hops) {
    if client.takes_original() {
        let found =
            format!("{name} is sent senders' requests as they came (format = \"original\")");
        let fix = "only a sender can test it: have it send a test event";
        hops.tell(Hop::failed("delivery", found, fix)).await;
        return;
    }
    let id = Uuid::now_v7().to_string();
    let mut event = Alert::new("", Priority::Low, format!("Destination {name} is reached"));
    test::mark(&mut event, &format!("destination {name}"));
    test::identify(&mut event, &id, 0);
    let of = |event| alert::Alert {
        source: OWN_SOURCE.to_owned(),
        request: id.clone(),
        received_at: rfc3339(wall_ms()),
        event,
    };
    let over = of(test::resolve(&event));
    let sent = client.send(&of(event)).await;
    let taken = hops.tell(hop("delivery", name, &sent)).await;
    if !taken && !matches!(sent.outcome, Outcome::Retry { .. }) {
        return;
    }
    // An attempt without an answer may have arrived, so that the end of it must follow.
    let mut sent = client.send(&over).await;
    let begun = Instant::now();
    for wait in AGAIN.map(Duration::from_secs).into_iter().filter(|_| taken) {
        if matches!(sent.outcome, Outcome::Accepted(_)) {
            break;
        }
        tokio::time::sleep(wait).await;
        sent = client.send(&over).await;
    }
    let mut resolved = hop("resolve", name, &sent);
    if !resolved.ok {
        if taken {
            resolved.found += &format!("; tried for {} s", begun.elapsed().as_secs());
        }
        resolved.fix = Some(format!(
            "close the alert \"[test] Destination {name} is reached\" there by hand, if it was opened"
        ));
    }
    hops.tell(resolved).await;
}

/// Returns the hop of an attempt.
fn hop(name: &str, destination: &str, sent: &Sent) -> Hop {
    let hop = match &sent.outcome {
        Outcome::Accepted(receipt) if receipt.id.is_empty() => {
            Hop::passed(name, format!("{destination} has taken it"))
        }
        Outcome::Accepted(receipt) => Hop::passed(
            name,
            format!(
                "{destination} has taken it, with the receipt {}",
                receipt.id
            ),
        ),
        Outcome::Retry { why, .. } => Hop::failed(
            name,
            format!("{destination} has not taken it: {why}"),
            format!("alerts for {destination} wait on disk and are sent again until it takes them"),
        ),
        Outcome::Blocked { why } => Hop::failed(
            name,
            format!("{destination} has not taken it: {why}"),
            format!("correct [destinations.{destination}], then: alert-gateway reload"),
        ),
        Outcome::Rejected { why } => Hop::failed(
            name,
            format!("{destination} rejects it: {why}"),
            format!(
                "compare the kind, the url and the format in [destinations.{destination}] with the service"
            ),
        ),
    };
    hop.after(sent.duration)
}
