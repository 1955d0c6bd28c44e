//! What monitoring asks: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::wall_ms;
use crate::health::Health;
use crate::http::{self, Answer};
use crate::metrics::{Format, Metrics, StateLabel};
use crate::store::{DueReader, NodeState};

/// The time a scrape waits for the disk: less than Prometheus waits for a scrape.
const DISK_TIME: Duration = Duration::from_secs(2);

/// Answers for monitoring.
#[derive(Debug, Clone)]
pub struct Monitoring {
    health: Health,
    metrics: Metrics,
    reader: Arc<Mutex<(DueReader, Option<Oldest>)>>,
}

/// The undelivered alert that was the oldest when it was looked for.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    received_at: i64,
    seen: Instant,
}

impl Monitoring {
    /// Shows what stands on `health` and in `metrics`; asks `reader` for the oldest alert that
    /// waits.
    pub fn new(health: Health, metrics: Metrics, reader: DueReader) -> Self {
        Self {
            health,
            metrics,
            reader: Arc::new(Mutex::new((reader, None))),
        }
    }

    /// The answer of `/readyz`.
    pub fn readiness(&self) -> Answer {
        let board = self.health.read();
        let status = if board.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        http::json(status, &board)
    }

    /// The answer of `/metrics` in a format.
    pub async fn metrics(&self, format: Format) -> Answer {
        let this = self.clone();
        // A scrape reads the disk, which is no work for a thread that answers senders. Where the
        // disk hangs, it shows what is known: that is when it is needed.
        let looked =
            tokio::time::timeout(DISK_TIME, tokio::task::spawn_blocking(move || this.look())).await;
        if looked.is_err() {
            tracing::warn!(
                "the age of the oldest alert could not be read: the disk does not answer"
            );
        }
        http::answer(
            StatusCode::OK,
            format.content_type(),
            self.metrics.encode(format),
        )
    }

    /// Looks for the oldest alert that waits, unless another is looking.
    fn look(&self) {
        let Some(mut guard) = self.reader.try_lock() else {
            return;
        };
        let (reader, oldest) = &mut *guard;
        match reader.oldest_pending() {
            Ok(received_at) => {
                *oldest = received_at.map(|received_at| Oldest::seen(received_at, *oldest));
                self.metrics
                    .oldest_undelivered
                    .set(oldest.map_or(0.0, |oldest| oldest.age(wall_ms())));
            }
            Err(error) => tracing::warn!(%error, "the age of the oldest alert could not be read"),
        }
        match reader.nodes() {
            // None is listed where the store is a file: this gateway has it alone, and runs.
            Ok(nodes) => NodeState::ALL.iter().for_each(|state| {
                let alone = usize::from(nodes.is_empty() && *state == NodeState::Running);
                let of_it = alone + nodes.iter().filter(|node| node.state == *state).count();
                let state = state.as_str();
                let gauge = self.metrics.nodes.get_or_create(&StateLabel { state });
                gauge.set(of_it as i64);
            }),
            Err(error) => {
                tracing::warn!(%error, "the gateways that share the store could not be read")
            }
        }
    }
}

impl Oldest {
    fn seen(received_at: i64, before: Option<Self>) -> Self {
        let same = before.filter(|before| before.received_at == received_at);
        same.unwrap_or_else(|| Self {
            received_at,
            seen: Instant::now(),
        })
    }

    /// Seconds by the machine's clock; where that was set back, at least as long as it was seen
    /// here to wait.
    fn age(self, wall_ms: i64) -> f64 {
        let by_the_wall = (wall_ms - self.received_at) as f64 / 1000.0;
        by_the_wall.max(self.seen.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, Store};

    #[test]
    fn scrape_answers_while_another_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let (store, closing) =
            Store::open(folder.path(), &store::Options::default(), metrics.clone()).unwrap();
        let monitoring = Monitoring::new(Health::default(), metrics, store.due_reader().unwrap());
        let other = Arc::clone(&monitoring.reader);
        let waits = other.lock();
        let scrape = async {
            assert_eq!(
                monitoring.metrics(Format::Text).await.status(),
                StatusCode::OK
            )
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(scrape);
        drop((waits, store, closing));
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_age_grows_although_the_clock_is_set_back() {
        let first = Oldest::seen(1_000_000, None);
        assert_eq!(first.age(1_005_000), 5.0);
        assert_eq!(first.age(0), 0.0, "set back before anybody looked");
        tokio::time::advance(Duration::from_secs(30)).await;
        let again = Oldest::seen(1_000_000, Some(first));
        assert_eq!([again.age(0), again.age(1_035_000)], [30.0, 35.0]);
        assert_eq!(
            Oldest::seen(2_000_000, Some(again)).age(0),
            0.0,
            "another one is the oldest now"
        );
    }
}
