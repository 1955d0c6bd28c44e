//! Sending over HTTP, the same for every kind of destination that speaks it.
//!
//! HTTP/1.1 over a pool that keeps as many idle connections as deliveries run at once. Every wait has a limit, and an
//! answer is read to [`ANSWER_MAX_BYTES`] at most. Redirects are not followed: a credential goes only where the operator
//! sent it.
//!
//! A pooled connection that the other side closed while it was idle is replaced silently, as long as the request had not
//! been written. Where it had, the result is unknown, and the outcome is [`Outcome::Retry`].

mod answer;
mod connect;
mod describe;

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, Uri};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::answer::{Answer, Judged};
#[cfg(test)]
pub(crate) use self::connect::{Answering, NoAnswer};
pub(crate) use self::connect::{Pool, pool};
use self::describe::describe;
use super::{EXCERPT_MAX_CHARS, Kind, NotUsable, Sending, Sent};
use crate::alert::{Alert, Outcome};
use crate::mask::Mask;

/// The most of an answer that is read. A longer one costs its connection, not memory.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("alert-gateway/", env!("CARGO_PKG_VERSION"));

/// A kind of destination that speaks HTTP.
pub(crate) trait HttpKind: Send + Sync + 'static {
    /// Returns where alerts are posted.
    fn url(&self) -> &Uri;

    /// Returns the secrets that must not appear in anything that is kept or logged.
    fn mask(&self) -> &Mask;

    /// Renders the request that tells the service of `alert`.
    fn render(&self, alert: &Alert) -> Request<Full<Bytes>>;

    /// Judges an answer.
    fn judge(&self, answer: &Answer<'_>) -> Outcome;
}

/// A destination of an HTTP kind.
pub(crate) struct OverHttp<K> {
    kind: K,
    pool: Box<dyn Pool>,
    timeout: Duration,
}

impl<K: HttpKind> OverHttp<K> {
    pub(crate) fn new(kind: K, pool: impl FnOnce(bool) -> Box<dyn Pool>, timeout: Duration) -> Result<Self, NotUsable> {
        let https = match (kind.url().scheme_str(), kind.url().host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(_)) => false,
            _ => return Err(NotUsable::Url),
        };
        Ok(Self { kind, pool: pool(https), timeout })
    }

    async fn send_once(&self, request: Request<Full<Bytes>>) -> Sent {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let why = match timeout_at(deadline, self.pool.request(request)).await {
            Ok(Ok(response)) => return self.answered(response, started, deadline).await,
            Ok(Err(error)) => self.kind.mask().hide(&describe(&error, &self.host())).into_owned(),
            Err(_) => format!("no answer from {} within {:?}", self.host(), self.timeout),
        };
        let outcome = Outcome::Retry { why, retry_after: None };
        Sent { outcome, status: None, duration: started.elapsed(), answer_excerpt: String::new() }
    }

    /// Reads and judges an answer. The status line decides: a body that breaks off or stalls takes nothing back. Were it
    /// to, the same alert would be sent for ever wherever something on the way always cuts the answers.
    async fn answered(&self, response: Response<Incoming>, started: Instant, deadline: Instant) -> Sent {
        let (head, body) = response.into_parts();
        let mut bytes = Vec::new();
        let whole = timeout_at(deadline, read(body, &mut bytes)).await.unwrap_or(false);
        let mask = self.kind.mask();
        let answer = Answer { status: head.status, headers: &head.headers, body: &bytes, mask };
        let outcome = self.kind.judge(&answer);
        let answer_excerpt = match &outcome {
            Outcome::Accepted(receipt) if !receipt.id.is_empty() => String::new(),
            _ if bytes.is_empty() && !whole => "(the answer broke off)".to_owned(),
            _ => mask.excerpt(&bytes, EXCERPT_MAX_CHARS),
        };
        Sent { outcome, status: Some(head.status.as_u16()), duration: started.elapsed(), answer_excerpt }
    }

    /// Returns host and port, without what else a URL may hold.
    fn host(&self) -> String {
        let url = self.kind.url();
        let host = url.host().unwrap_or_default();
        url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl<K: HttpKind> Kind for OverHttp<K> {
    fn send<'a>(&'a self, alert: &'a Alert) -> Sending<'a> {
        Box::pin(self.send_once(self.kind.render(alert)))
    }
}

impl<K: HttpKind> fmt::Debug for OverHttp<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverHttp").field("host", &self.host()).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Reads `body` into `bytes`, and returns whether that is all of it. Past the limit it is dropped with its connection.
async fn read(mut body: Incoming, bytes: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let room = ANSWER_MAX_BYTES - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return false;
        }
    }
    true
}
