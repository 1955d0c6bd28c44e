//! The admin listener: health and metrics for monitoring, an API, and pages for people. Never
//! reachable by senders: it has a listener of its own, with a guard.

mod api;
mod asked;
mod caller;
mod cursor;
mod desk;
mod front;
mod guard;
mod live;
mod logins;
mod monitoring;
mod pages;
mod problem;
mod query;
mod readers;
mod session;
mod tries;

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::http::{self, Answer, Client, Peer};
use crate::log_throttle::LogThrottle;
use crate::store::StoreError;

pub use api::look;
pub use desk::{About, Catalogue, Desk};
pub use guard::{Guard, Refusal};

use asked::Asked;
use live::Live;
use monitoring::Monitoring;
use pages::Kept;
use problem::Problem;

const INDEX: &str = "alert gateway\n\n/         pages for people, in a browser\n/healthz  the process answers\n\
                     /readyz   requests are taken; the state of each destination\n/metrics  for Prometheus\n\
                     /api/v1/  the API; /api/v1/openapi.json describes it\n";
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
    desk: Arc<Desk>,
    kept: Kept,
    live: Live,
    throttle: LogThrottle,
}

/// The reason why the admin listener cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no random bytes for the keys of sessions.
    #[error("no random bytes: {0}")]
    Random(#[from] io::Error),
}

impl Admin {
    /// Shows the gateway that runs with this configuration.
    ///
    /// # Errors
    /// What the disk said; or the system has no random bytes.
    pub fn new(
        config: &Config,
        admin: &config::Admin,
        desk: Arc<Desk>,
    ) -> Result<Self, AdminError> {
        let about = &desk.about;
        let reader = about.store.due_reader()?;
        let monitoring = Monitoring::new(about.health.clone(), about.metrics.clone(), reader);
        let guard = Guard::new(admin, &config.gateway.trusted_proxies)?;
        Ok(Self(Arc::new(Inner {
            kept: Kept::new(guard.mark()?),
            guard,
            proxies: config.gateway.trusted_proxies.clone(),
            monitoring,
            desk,
            live: Live::default(),
            throttle: LogThrottle::default(),
        })))
    }

    /// Takes up the tokens and users of another configuration.
    pub fn take_up(&self, admin: &config::Admin) {
        self.0.guard.take_up(admin);
        self.0.kept.clear();
    }

    /// Watches the gateway for the viewers of pages, until `stop` is cancelled.
    pub async fn watch(self, stop: CancellationToken) {
        let live = self.0.live.clone();
        let about = self.0.desk.about.clone();
        live.run(about, stop).await;
    }

    /// The answer to a request with this head and body, which came from `peer`.
    pub async fn answer(self, head: Parts, body: Option<Incoming>, peer: Peer) -> Answer {
        let inner = &*self.0;
        let client = Client::of(peer, &head.headers, &inner.proxies);
        let is_page = is_for_page(&head);
        let caller = match inner.guard.admit(&head, peer, client) {
            Ok(caller) => caller,
            Err(refusal) => return inner.turn_away(refusal, head, body, client, is_page).await,
        };
        let mut asked = Asked::new(head, body, caller);
        if asked.path() == "/login" || asked.path() == "/logout" {
            return inner.log_in_or_out(asked, client).await;
        }
        if pages::FORMS.contains(&asked.path()) {
            return pages::submit(&inner.desk, &inner.kept, &inner.guard, &mut asked).await;
        }
        inner
            .route(asked, is_page)
            .await
            .unwrap_or_else(Problem::into_answer)
    }
}

impl Inner {
    async fn route(&self, asked: Asked, is_page: bool) -> Result<Answer, Problem> {
        let path = asked.path();
        if let Some(path) = path.strip_prefix("/api/v1") {
            let path = path.to_owned();
            let acts = !matches!(*asked.method(), Method::GET | Method::HEAD);
            let answer = api::answer(&self.desk, &path, asked).await;
            if acts {
                self.kept.clear();
            }
            return answer;
        }
        let known = matches!(path, "/" | guard::OPEN | "/readyz" | "/metrics" | "/live");
        if known {
            asked.reads()?;
        }
        if let Some(file) = pages::file(path) {
            asked.reads()?;
            return Ok(file);
        }
        if is_page && !matches!(path, guard::OPEN | "/readyz" | "/metrics" | "/live") {
            return Ok(pages::answer(&self.desk, &self.kept, &asked).await);
        }
        Ok(match path {
            "/" => http::answer(StatusCode::OK, TEXT, INDEX),
            guard::OPEN => http::answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.monitoring.readiness(),
            "/metrics" => self.monitoring.metrics(asked.format_of_metrics()).await,
            "/live" => self.live.stream()?,
            _ => {
                return Err(Problem::missing(
                    "there are /healthz, /readyz, /metrics and /api/v1/ here; the pages are for a browser, which accepts \
                     text/html",
                ));
            }
        })
    }
}

/// Returns whether a browser asks for a page.
fn is_for_page(head: &Parts) -> bool {
    let accepts = |accept: &HeaderValue| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/html"))
    };
    matches!(head.method, Method::GET | Method::HEAD)
        && head.headers.get_all(ACCEPT).iter().any(accepts)
}

/// Writes the line for a refused request, where one is due.
fn report(refusal: Refusal, client: Client, throttle: &LogThrottle) {
    let client = tracing::field::display(client);
    let outcome = refusal.outcome();
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
