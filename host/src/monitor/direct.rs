//! The internal alert that the store cannot carry: that the disk takes nothing.
//!
//! It goes straight to the operator's destination, from memory, until it arrives, even where it is
//! over by then: a try whose answer was lost may have arrived, so the end of it must follow. There
//! is never more than this one message.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::condition::{Act, Condition};
use crate::alert::internal::{self, Topic};
use crate::alert::{Alert, Outcome};
use crate::clock::wall_ms;
use crate::config::OWN_SOURCE;
use crate::destinations::{Destination, backoff};
use crate::store::{Store, Trouble};

/// The time the disk must take all that is written until it counts as well: a full one has room for
/// small things between large ones.
const CALM: Duration = Duration::from_secs(5);

/// Tells of the store, past the store.
#[derive(Debug)]
pub struct Direct {
    destination: watch::Receiver<Destination>,
    trouble: watch::Receiver<Trouble>,
    /// There while it may be told that the store fails, so that a later run can tell the end of it.
    mark: PathBuf,
    condition: Condition,
    /// The number of failures known.
    failures: u64,
    attempts: u32,
    not_before: Instant,
    rng: fastrand::Rng,
}

impl Direct {
    /// Tells of `store` at `destination`, as the configuration in use has it.
    pub fn new(destination: watch::Receiver<Destination>, store: &Store) -> Self {
        let now = Instant::now();
        let mark = store.told_of_trouble();
        let mut condition = Condition::new(Duration::ZERO, CALM, now);
        if mark.exists() {
            // That the store was opened shows that it is well: there is no need to wait for more.
            condition.done(Act::Open, now);
        }
        let rng = fastrand::Rng::new();
        Self {
            destination,
            trouble: store.trouble(),
            mark,
            condition,
            failures: 0,
            attempts: 0,
            not_before: now,
            rng,
        }
    }

    /// Runs until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut trouble = self.trouble.clone();
        loop {
            let why = self.learn(&trouble.borrow_and_update(), Instant::now());
            let act = tokio::select! {
                act = self.due() => act,
                changed = trouble.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = stop.cancelled() => return,
            };
            if act == Act::Open {
                // Before it is sent: an answer that a crash swallows may have been a yes, and an
                // end too many harms nobody.
                self.remember(act);
            }
            // Whatever fails meanwhile, this one message is sent to its end.
            let outcome = tokio::select! {
                outcome = self.send(act, &why) => outcome,
                () = stop.cancelled() => return,
            };
            self.sent(act, outcome);
        }
    }

    /// Learns how the disk fares, and says what it said last.
    fn learn(&mut self, trouble: &Trouble, now: Instant) -> String {
        if std::mem::replace(&mut self.failures, trouble.failures) != trouble.failures {
            self.condition.find(true, now);
        }
        // Not before it was told: a sender was turned away, even where the next small thing had
        // room. But at the same look as well: what has failed and is well again since the last one
        // does not call again.
        if !trouble.lasts && self.condition.is_told() {
            self.condition.find(false, now);
        }
        let said = trouble.said.as_ref();
        said.map(ToString::to_string).unwrap_or_default()
    }

    /// Returns when there is something to tell.
    async fn due(&self) -> Act {
        match self.condition.next() {
            Some((at, act)) => {
                tokio::time::sleep_until(at.max(self.not_before)).await;
                act
            }
            None => std::future::pending().await,
        }
    }

    async fn send(&self, act: Act, why: &str) -> Outcome {
        let mut event = match act {
            Act::Open => internal::store_failing(why),
            Act::End => Topic::StoreFailing.resolves(""),
        };
        let at_ms = wall_ms();
        event.event_id = format!("{}/{at_ms}", event.key());
        let alert = Alert {
            source: OWN_SOURCE.to_owned(),
            request: uuid::Uuid::now_v7().to_string(),
            received_at: crate::clock::rfc3339(at_ms),
            event,
        };
        let destination = self.destination.borrow().clone();
        destination.send(&alert).await.outcome
    }

    fn sent(&mut self, act: Act, outcome: Outcome) {
        let now = Instant::now();
        let (why, retry_after) = match outcome {
            Outcome::Accepted(_) => {
                tracing::info!(?act, "the operator was told how the store is");
                self.attempts = 0;
                self.condition.done(act, now);
                if act == Act::End {
                    self.remember(act);
                }
                return;
            }
            Outcome::Retry { why, retry_after } => (why, retry_after),
            Outcome::Blocked { why } | Outcome::Rejected { why } => (why, None),
        };
        tracing::warn!(
            ?act,
            why,
            "the operator could not be told how the store is; it is tried again"
        );
        self.attempts = self.attempts.saturating_add(1);
        let ceiling = backoff::LAST_CEILING;
        self.not_before = now + backoff::delay(self.attempts, retry_after, ceiling, &mut self.rng);
    }

    fn remember(&self, act: Act) {
        let done = match act {
            Act::Open => OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&self.mark)
                .map(drop),
            Act::End => std::fs::remove_file(&self.mark),
        };
        if let Err(error) = done {
            let mark = self.mark.display();
            tracing::warn!(%error, %mark, "if the gateway is restarted now, the operator's alert stays as it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, Network};
    use crate::destinations::http;
    use crate::destinations::itoc360::Itoc360;
    use crate::metrics::Metrics;
    use crate::store::Options;

    #[tokio::test]
    async fn store_failures_over_at_the_next_look_still_resolve() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            sync: false,
            ..Options::default()
        };
        let (store, _closing) = Store::open(dir.path(), &options, Metrics::new()).unwrap();
        let itoc360 = Itoc360::new(
            "http://127.0.0.1:9/".parse().unwrap(),
            "token",
            Format::Alertmanager,
        )
        .unwrap();
        let pool = http::pool(
            &"http://127.0.0.1:9/".parse().unwrap(),
            1,
            &Network::default(),
        )
        .unwrap();
        let destination = Destination::over(itoc360, pool, CALM).unwrap();
        let (_configured, destination) = watch::channel(destination);
        let mut direct = Direct::new(destination, &store);
        let start = Instant::now();
        let trouble = |failures, lasts| Trouble {
            failures,
            said: None,
            lasts,
        };
        direct.learn(&trouble(1, true), start);
        assert_eq!(direct.condition.due(start), Some(Act::Open));
        // While that is sent, more fails, and then the disk is well.
        direct.condition.done(Act::Open, start);
        direct.learn(&trouble(5, false), start);
        assert_eq!(direct.condition.next(), Some((start + CALM, Act::End)));
        let later = start + CALM / 2;
        direct.learn(&trouble(6, false), later);
        assert_eq!(
            direct.condition.next(),
            Some((later + CALM, Act::End)),
            "it was not calm for long enough"
        );
    }
}
