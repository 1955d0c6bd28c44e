//! What the operator's monitoring asks: `/healthz`, `/readyz`, `/metrics`. Never reachable by senders: it has a listener
//! of its own, with a guard.

mod guard;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::health::Health;
use crate::http::{self, Answer};
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
    reader: Arc<Mutex<DueReader>>,
}

impl Admin {
    /// Shows what stands on `health` and in `metrics` to those whom `guard` admits; asks `reader` for the oldest alert
    /// that waits.
    pub fn new(guard: Guard, health: Health, metrics: Metrics, reader: DueReader) -> Self {
        Self { guard: Arc::new(guard), health, metrics, reader: Arc::new(Mutex::new(reader)) }
    }

    /// The answer to a request with this head, which came from `peer`.
    pub async fn answer(self, head: Parts, peer: SocketAddr) -> Answer {
        if let Err(refusal) = self.guard.admit(&head) {
            tracing::warn!(client = %peer.ip().to_canonical(), help = refusal.help(), "refused at the admin listener");
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
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.oldest_pending() {
            Ok(received_at) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                let age = received_at.map_or(0.0, |ms| (now - ms as f64 / 1000.0).max(0.0));
                self.metrics.oldest_undelivered.set(age);
            }
            Err(error) => tracing::warn!(%error, "the age of the oldest alert could not be read"),
        }
        drop(reader);
        self.metrics.encode()
    }
}
