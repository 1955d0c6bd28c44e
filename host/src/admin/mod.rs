//! What the operator's monitoring asks: `/healthz`, `/readyz`, `/metrics`. Never reachable by senders: it has a listener
//! of its own, with a guard.

mod guard;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use crate::clock::wall_ms;
use crate::health::Health;
use crate::http::{self, Answer, Lines};
use crate::metrics::Metrics;
use crate::store::DueReader;

pub use guard::{Guard, Refusal};

const INDEX: &str = "alert gateway\n\n/healthz  the process answers\n/readyz   requests are taken; the state of each \
destination\n/metrics  for Prometheus\n";

/// Answers for the admin listener.
#[derive(Debug, Clone)]
pub struct Admin {
    guard: Arc<Guard>,
    health: Health,
    metrics: Metrics,
    reader: Arc<Mutex<(DueReader, Option<Oldest>)>>,
    lines: Arc<Lines>,
}

/// The undelivered alert that was the oldest when it was looked for.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    received_at: i64,
    seen: Instant,
}

impl Admin {
    /// Shows what stands on `health` and in `metrics` to those whom `guard` admits; asks `reader` for the oldest alert
    /// that waits.
    pub fn new(guard: Guard, health: Health, metrics: Metrics, reader: DueReader) -> Self {
        let (guard, reader, lines) = (Arc::new(guard), Arc::new(Mutex::new((reader, None))), Arc::default());
        Self { guard, health, metrics, reader, lines }
    }

    /// The answer to a request with this head, which came from `peer`.
    pub async fn answer(self, head: Parts, peer: SocketAddr) -> Answer {
        if let Err(refusal) = self.guard.admit(&head) {
            let (client, outcome) = (tracing::field::display(peer.ip().to_canonical()), refusal.outcome());
            if let Some(left_out) = self.lines.due("", outcome) {
                tracing::warn!(client, outcome, help = refusal.help(), left_out, "refused at the admin listener");
            } else {
                tracing::debug!(client, outcome, "refused at the admin listener, as others were");
            }
            return refusal.into_answer();
        }
        let Parts { method, uri, .. } = head;
        if method != Method::GET && method != Method::HEAD {
            let mut answer = http::problem(StatusCode::METHOD_NOT_ALLOWED, "this listener only shows things", None);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match uri.path() {
            "/" => http::answer(StatusCode::OK, "text/plain; charset=utf-8", INDEX),
            guard::OPEN => http::answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
            "/readyz" => {
                let board = self.health.read();
                let status = if board.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                http::json(status, &board)
            }
            "/metrics" => {
                const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                // A scrape reads the disk, which is no work for a thread that answers senders.
                match tokio::task::spawn_blocking(move || self.metrics()).await {
                    Ok(text) => http::answer(StatusCode::OK, TYPE, text),
                    Err(_) => http::problem(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be read", None),
                }
            }
            _ => http::problem(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics here", None),
        }
    }

    fn metrics(&self) -> String {
        let mut guard = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (reader, oldest) = &mut *guard;
        match reader.oldest_pending() {
            Ok(received_at) => {
                *oldest = received_at.map(|received_at| Oldest::seen(received_at, *oldest));
                self.metrics.oldest_undelivered.set(oldest.map_or(0.0, |oldest| oldest.age(wall_ms())));
            }
            Err(error) => tracing::warn!(%error, "the age of the oldest alert could not be read"),
        }
        drop(guard);
        self.metrics.encode()
    }
}

impl Oldest {
    fn seen(received_at: i64, before: Option<Self>) -> Self {
        let same = before.filter(|before| before.received_at == received_at);
        same.unwrap_or_else(|| Self { received_at, seen: Instant::now() })
    }

    /// Seconds by the machine's clock; where that was set back, at least as long as it was seen here to wait.
    fn age(self, wall_ms: i64) -> f64 {
        let by_the_wall = (wall_ms - self.received_at) as f64 / 1000.0;
        by_the_wall.max(self.seen.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_age_of_the_oldest_alert_grows_although_the_clock_is_set_back() {
        let first = Oldest::seen(1_000_000, None);
        assert_eq!(first.age(1_005_000), 5.0);
        assert_eq!(first.age(0), 0.0, "set back before anybody looked");
        tokio::time::advance(Duration::from_secs(30)).await;
        let again = Oldest::seen(1_000_000, Some(first));
        assert_eq!([again.age(0), again.age(1_035_000)], [30.0, 35.0]);
        assert_eq!(Oldest::seen(2_000_000, Some(again)).age(0), 0.0, "another one is the oldest now");
    }
}
