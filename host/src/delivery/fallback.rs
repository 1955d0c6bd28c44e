//! The fallback's timer: sends to the fallback what its destination has not taken in time, however
//! that stands: failing, held, or busy with others.
//!
//! What waits, and since when, stands in the store; so a time that passed while the gateway was
//! down has passed when it starts.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Fallback;
use crate::log_throttle::LogThrottle;
use crate::metrics::{FallbackLabels, Metrics};
use crate::store::{DueReader, Store, StoreError};

/// The pause after a store that could not be read or written.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches over the alerts that wait for one destination.
#[derive(Debug)]
pub struct FallbackTimer {
    destination: Arc<str>,
    fallback: Fallback,
    store: Store,
    throttle: LogThrottle,
    metrics: Metrics,
}

impl FallbackTimer {
    pub fn new(destination: Arc<str>, fallback: Fallback, store: Store, metrics: Metrics) -> Self {
        drop(
            metrics
                .fallbacks
                .get_or_create(&labels(&destination, &fallback)),
        );
        Self {
            destination,
            fallback,
            store,
            throttle: LogThrottle::default(),
            metrics,
        }
    }

    /// Runs until it is dropped.
    pub async fn run(self) {
        let mut reader = None;
        loop {
            let wait = match self.turn(&mut reader).await {
                Ok(wait) => wait,
                Err(error) => {
                    if let Some(suppressed) = self.throttle.due(&self.destination, "unread") {
                        let what = "alerts that are due at a fallback cannot be sent there; it is tried again";
                        tracing::error!(%error, destination = &*self.destination, suppressed, "{what}");
                    }
                    PAUSE
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends what is late, and returns the time until the next alert may be.
    async fn turn(&self, reader: &mut Option<DueReader>) -> Result<Duration, StoreError> {
        let after = self.fallback.after;
        let taken = match reader.take() {
            Some(reader) => reader,
            None => self.store.due_reader()?,
        };
        let destination = Arc::clone(&self.destination);
        let read = tokio::task::spawn_blocking(move || {
            let since = taken.not_fallen_back_since(&destination);
            (taken, since)
        });
        // Only a bug panics; the next turn opens another one.
        let Ok((kept, since)) = read.await else {
            return Ok(PAUSE);
        };
        *reader = Some(kept);
        // What comes in from now on is late after that at the earliest.
        let Some(since) = since? else {
            return Ok(after);
        };
        let waited = self.store.clock().now_ms().saturating_sub(since);
        let waited = Duration::from_millis(u64::try_from(waited).unwrap_or_default());
        if waited < after {
            return Ok(after - waited);
        }
        let fallback = &*self.fallback.destination;
        let alerts = self
            .store
            .fall_back(&self.destination, fallback, after)
            .await?;
        if alerts > 0 {
            let way = (&self.destination, &self.fallback);
            let why = "its destination has not taken it in time";
            note(&self.metrics, &self.throttle, way, alerts, why);
        }
        Ok(Duration::ZERO)
    }
}

/// Counts alerts that went from a destination to its fallback, and logs it.
pub fn note(
    metrics: &Metrics,
    throttle: &LogThrottle,
    (destination, fallback): (&Arc<str>, &Fallback),
    alerts: usize,
    why: &str,
) {
    let labels = labels(destination, fallback);
    metrics
        .fallbacks
        .get_or_create(&labels)
        .inc_by(alerts as u64);
    let destination = &**destination;
    let fallback = &*fallback.destination;
    if let Some(suppressed) = throttle.due(destination, "fallback") {
        tracing::warn!(
            destination,
            fallback,
            alerts,
            why,
            suppressed,
            "an alert goes to the fallback"
        );
    }
}

fn labels(destination: &Arc<str>, fallback: &Fallback) -> FallbackLabels {
    FallbackLabels {
        destination: Arc::clone(destination),
        fallback: fallback.destination.as_str().into(),
    }
}
