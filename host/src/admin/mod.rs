//! The endpoints for the operator's monitoring: `/healthz`, `/readyz`, `/metrics`. Never reachable
//! by senders: it has a listener of its own, with a guard.

mod guard;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use crate::clock::wall_ms;
use crate::health::Health;
use crate::http::{self, Answer, Peer};
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;
use crate::store::DueReader;

pub use guard::{Guard, Refusal};

const INDEX: &str = "alert gateway\n\n/healthz  the process answers\n/readyz   requests are taken; the state of each \
destination\n/metrics  for Prometheus\n";

/// The time a scrape waits for the disk: less than Prometheus waits for a scrape.
const DISK_TIME: Duration = Duration::from_secs(2);

/// Answers for the admin listener.
#[derive(Debug, Clone)]
pub struct Admin {
    guard: Arc<Guard>,
    health: Health,
    metrics: Metrics,
    reader: Arc<Mutex<(DueReader, Option<Oldest>)>>,
    throttle: Arc<LogThrottle>,
}

/// The undelivered alert that was the oldest when it was looked for.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    received_at: i64,
    seen: Instant,
}

impl Admin {
    /// Shows what stands on `health` and in `metrics` to those whom `guard` admits; asks `reader`
    /// for the oldest alert that waits.
    pub fn new(guard: Guard, health: Health, metrics: Metrics, reader: DueReader) -> Self {
        let (guard, reader, throttle) = (
            Arc::new(guard),
            Arc::new(Mutex::new((reader, None))),
            Arc::default(),
        );
        Self {
            guard,
            health,
            metrics,
            reader,
            throttle,
        }
    }

    /// The answer to a request with this head, which came from `peer`.
    pub async fn answer(self, head: Parts, peer: Peer) -> Answer {
        if let Err(refusal) = self.guard.admit(&head) {
            let (client, outcome) = (tracing::field::display(peer), refusal.outcome());
            if let Some(left_out) = self.throttle.due("", outcome) {
                tracing::warn!(
                    client,
                    outcome,
                    help = refusal.help(),
                    left_out,
                    "refused at the admin listener"
                );
            } else {
                tracing::debug!(
                    client,
                    outcome,
                    "refused at the admin listener, as others were"
                );
            }
            return refusal.into_answer();
        }
        let Parts { method, uri, .. } = head;
        if method != Method::GET && method != Method::HEAD {
            let mut answer = http::problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this listener only shows things",
                None,
            );
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match uri.path() {
            "/" => http::answer(StatusCode::OK, "text/plain; charset=utf-8", INDEX),
            guard::OPEN => http::answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
            "/readyz" => {
                let board = self.health.read();
                let status = if board.ready {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                http::json(status, &board)
            }
            "/metrics" => {
                const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                let metrics = self.metrics.clone();
                // A scrape reads the disk, which is no work for a thread that answers senders.
                // Where the disk hangs, it shows what is known: that is when somebody needs it.
                let looked = tokio::time::timeout(
                    DISK_TIME,
                    tokio::task::spawn_blocking(move || self.look()),
                )
                .await;
                if looked.is_err() {
                    tracing::warn!(
                        "the age of the oldest alert could not be read: the disk does not answer"
                    );
                }
                http::answer(StatusCode::OK, TYPE, metrics.encode())
            }
            _ => http::problem(
                StatusCode::NOT_FOUND,
                "there are /healthz, /readyz and /metrics here",
                None,
            ),
        }
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
    use hyper::Request;

    use super::*;
    use crate::config::{self, ADMIN};
    use crate::store::{self, Store};

    #[test]
    fn scrape_answers_while_another_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let (store, closing) =
            Store::open(folder.path(), &store::Options::default(), metrics.clone()).unwrap();
        let guard = Guard::new(&config::Admin {
            address: ADMIN,
            tokens: Vec::new(),
            tls: None,
            hosts: Vec::new(),
        });
        let admin = Admin::new(
            guard,
            Health::default(),
            metrics,
            store.due_reader().unwrap(),
        );
        let other = Arc::clone(&admin.reader);
        let waits = other.lock();
        let scrape = async {
            let head = Request::get("/metrics").body(()).unwrap().into_parts().0;
            assert_eq!(
                admin.answer(head, Peer::Network(ADMIN)).await.status(),
                StatusCode::OK
            );
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
