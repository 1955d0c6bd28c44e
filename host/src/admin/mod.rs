//! The admin listener: health and metrics for monitoring, an API, and pages for people. Never
//! reachable by senders: it has a listener of its own, with a guard.

mod api;
mod asked;
mod caller;
mod cursor;
mod desk;
mod guard;
mod monitoring;
mod problem;
mod query;
mod readers;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::config::{self, Config};
use crate::http::{self, Answer, Client, Peer};
use crate::log_throttle::LogThrottle;
use crate::store::StoreError;

pub use desk::{About, Catalogue};
pub use guard::{Guard, Refusal};

use asked::Asked;
use desk::Desk;
use monitoring::Monitoring;
use problem::Problem;

const INDEX: &str = "alert gateway\n\n/healthz  the process answers\n/readyz   requests are taken; the state of each \
destination\n/metrics  for Prometheus\n/api/v1/  the API; /api/v1/openapi.json describes it\n";
/// The media type of what a person reads without a browser.
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers for the admin listener.
#[derive(Debug, Clone)]
pub struct Admin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    guard: Guard,
    proxies: config::Networks,
    monitoring: Monitoring,
    desk: Desk,
    throttle: LogThrottle,
}

impl Admin {
    /// Shows the gateway that runs with this configuration.
    ///
    /// # Errors
    /// What the disk said.
    pub fn new(config: &Config, admin: &config::Admin, about: About) -> Result<Self, StoreError> {
        let reader = about.store.due_reader()?;
        let monitoring = Monitoring::new(about.health.clone(), about.metrics.clone(), reader);
        Ok(Self(Arc::new(Inner {
            guard: Guard::new(admin),
            proxies: config.gateway.trusted_proxies.clone(),
            monitoring,
            desk: Desk::new(config, admin, about),
            throttle: LogThrottle::default(),
        })))
    }

    /// The answer to a request with this head and body, which came from `peer`.
    pub async fn answer(self, head: Parts, body: Option<Incoming>, peer: Peer) -> Answer {
        let Inner {
            guard,
            proxies,
            throttle,
            ..
        } = &*self.0;
        let client = Client::of(peer, &head.headers, proxies);
        let caller = match guard.admit(&head, client) {
            Ok(caller) => caller,
            Err(refusal) => {
                if let Some(body) = body {
                    http::discard(body);
                }
                report(refusal, client, throttle);
                return refusal.into_answer();
            }
        };
        let asked = Asked::new(head, body, caller);
        self.0
            .route(asked)
            .await
            .unwrap_or_else(Problem::into_answer)
    }
}

impl Inner {
    async fn route(&self, asked: Asked) -> Result<Answer, Problem> {
        let path = asked.path();
        if let Some(path) = path.strip_prefix("/api/v1") {
            let path = path.to_owned();
            return api::answer(&self.desk, &path, asked).await;
        }
        let known = matches!(path, "/" | guard::OPEN | "/readyz" | "/metrics");
        if !matches!(*asked.method(), Method::GET | Method::HEAD) && known {
            return Err(Problem::method("GET, HEAD"));
        }
        Ok(match path {
            "/" => http::answer(StatusCode::OK, TEXT, INDEX),
            guard::OPEN => http::answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.monitoring.readiness(),
            "/metrics" => self.monitoring.metrics().await,
            _ => {
                return Err(Problem::missing(
                    "there are /healthz, /readyz, /metrics and /api/v1/ here",
                ));
            }
        })
    }
}

/// Writes the line for a refused request, where one is due.
fn report(refusal: Refusal, client: Client, throttle: &LogThrottle) {
    let (client, outcome) = (tracing::field::display(client), refusal.outcome());
    if let Some(left_out) = throttle.due("", outcome) {
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
}
