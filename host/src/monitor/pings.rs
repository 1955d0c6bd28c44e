//! The outgoing heartbeat: another service hears from the gateway while all is well, and tells when
//! it does not any more. So a machine that is off, or without a network, is noticed as well.
//!
//! A ping is sent only while requests are accepted, the disk takes what is written, and no alert
//! waits longer than a bound. While that is not so, none is sent: the service on the other side
//! then calls, by a way that the gateway has no part in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::wall_ms;
use crate::config::{Heartbeat, shown_duration};
use crate::destinations::{NotUsable, Ping};
use crate::health::Health;
use crate::log_throttle::LogThrottle;
use crate::metrics::{Metrics, PingLabel};
use crate::store::{DueReader, Store};

/// A heartbeat as it is configured.
#[derive(Debug, Clone)]
pub struct Beat {
    ping: Arc<Ping>,
    every: Duration,
    /// No ping is sent while an alert waits longer.
    oldest: Duration,
}

impl Beat {
    /// Returns the heartbeat of a configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// Its URL is none.
    pub fn new(heartbeat: &Heartbeat) -> Result<Self, NotUsable> {
        Ok(Self {
            ping: Arc::new(Ping::new(heartbeat.url.expose())?),
            every: heartbeat.every,
            oldest: heartbeat.oldest,
        })
    }
}

/// Sends pings.
#[derive(Debug)]
pub struct Pings {
    /// The heartbeat of the configuration in force, where it has one.
    configured: watch::Receiver<Option<Beat>>,
    health: Health,
    store: Store,
    /// `None` before it is asked, meanwhile, and after that has panicked.
    reader: Option<DueReader>,
    oldest: Option<Oldest>,
    metrics: Metrics,
    throttle: LogThrottle,
}

/// The oldest alert that waits, as it was found.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    received_at: i64,
    /// Its age at the first look. From then on the steady clock counts.
    age: Duration,
    seen: Instant,
}

impl Oldest {
    fn seen(received_at: i64, before: Option<Self>, now_ms: i64) -> Self {
        let same = before.filter(|before| before.received_at == received_at);
        same.unwrap_or_else(|| Self {
            received_at,
            age: Duration::from_millis(u64::try_from(now_ms - received_at).unwrap_or_default()),
            seen: Instant::now(),
        })
    }

    fn waits(self) -> Duration {
        self.age + self.seen.elapsed()
    }
}

impl Pings {
    /// Returns the pings of the heartbeat that is configured at any time.
    pub fn new(
        configured: watch::Receiver<Option<Beat>>,
        health: Health,
        store: Store,
        metrics: Metrics,
    ) -> Self {
        Self {
            configured,
            health,
            store,
            reader: None,
            oldest: None,
            metrics,
            throttle: LogThrottle::default(),
        }
    }

    /// Runs until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut configured = self.configured.clone();
        loop {
            let beat = configured.borrow_and_update().clone();
            tokio::select! {
                () = self.send(beat) => {}
                changed = configured.changed() => {
                    if changed.is_err() {
                        return stop.cancelled().await;
                    }
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// Sends the pings of one heartbeat, for as long as that is in force.
    async fn send(&mut self, beat: Option<Beat>) {
        let Some(beat) = beat else {
            return std::future::pending().await;
        };
        let mut tick = interval(beat.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.beat(&beat).await;
        }
    }

    async fn beat(&mut self, Beat { ping, oldest, .. }: &Beat) {
        let outcome = match self.objection(*oldest).await {
            Some(why) => {
                // Each reason has its line: the first one may be a start.
                if let Some(suppressed) = self.throttle.due(&why, "withheld") {
                    tracing::warn!(why, suppressed, "no heartbeat is sent while this lasts");
                }
                "withheld"
            }
            None => match ping.send().await {
                Ok(()) => {
                    self.metrics.ping_last_sent.set(wall_ms() as f64 / 1000.0);
                    "sent"
                }
                Err(why) => {
                    if let Some(suppressed) = self.throttle.due("", "failed") {
                        tracing::warn!(why, suppressed, "a heartbeat could not be sent");
                    }
                    "failed"
                }
            },
        };
        self.metrics
            .pings
            .get_or_create(&PingLabel { outcome })
            .inc();
    }

    /// Returns the reason why the gateway is not well.
    async fn objection(&mut self, bound: Duration) -> Option<String> {
        let board = self.health.read();
        if !board.ready {
            let note = board.note.unwrap_or_default();
            return Some(
                format!("the gateway is not ready {note}")
                    .trim_end()
                    .to_owned(),
            );
        }
        if self.store.trouble().borrow().lasts {
            return Some("the disk takes nothing".to_owned());
        }
        let reader = match self.reader.take() {
            Some(reader) => Ok(reader),
            None => self.store.due_reader(),
        };
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => return Some(format!("the store cannot be read: {error}")),
        };
        let looked = tokio::task::spawn_blocking(move || (reader.oldest_pending(), reader)).await;
        let Ok((oldest, reader)) = looked else {
            return Some("reading the store panicked".to_owned());
        };
        self.reader = Some(reader);
        match oldest {
            Err(error) => Some(format!("the store cannot be read: {error}")),
            Ok(received_at) => {
                let seen = |at| Oldest::seen(at, self.oldest, wall_ms());
                self.oldest = received_at.map(seen);
                let waits = self.oldest?.waits();
                (waits > bound).then(|| {
                    let bound = shown_duration(bound);
                    format!("an alert has waited for longer than {bound}")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn oldest_waits_by_the_steady_clock_after_the_first_look() {
        let first = Oldest::seen(1_000, None, 61_000);
        assert_eq!(first.waits(), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(5)).await;
        // The machine's clock was set ahead.
        let again = Oldest::seen(1_000, Some(first), 99_000_000);
        assert_eq!(again.waits(), Duration::from_secs(65));
        let other = Oldest::seen(2_000, Some(again), 1_000);
        assert_eq!(other.waits(), Duration::ZERO, "and back");
    }
}
