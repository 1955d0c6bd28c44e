//! Posts a body to ITOC360 and says what became of it.
//!
//! HTTP/1.1 over a pool that keeps as many idle connections as deliveries run at once. Every wait has a limit, and an
//! answer is read to [`ANSWER_MAX_BYTES`] at most. Redirects are not followed: a token goes only where the operator
//! sent it.
//!
//! A pooled connection that the other side closed while it was idle is replaced without anybody's notice, as long as
//! the request had not been written. Where it had, nobody knows, and the outcome is [`Outcome::Later`].

pub(crate) mod connect;
mod describe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use tokio::time::{Instant, timeout_at};

use self::connect::Pool;
use self::describe::describe;
use super::format::{self, Format};
use super::judge::judge;
use super::mask::Mask;
use super::outcome::{Outcome, Receipt};
use crate::alert::Alert;

/// The most of an answer that is read. What is longer costs its connection, not memory.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// The most characters of [`Sent::answer_excerpt`].
pub const EXCERPT_MAX_CHARS: usize = 512;

/// A source in ITOC360, as a place to send to. Clones share one pool of connections.
#[derive(Clone)]
pub struct Itoc360 {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Box<dyn Pool>,
    url: Uri,
    headers: HeaderMap,
    mask: Mask,
    format: Format,
    timeout: Duration,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What it means.
    pub outcome: Outcome,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// From the start of the request to the end of the answer.
    pub duration: Duration,
    /// The beginning of the answer, as one line without the token: at most [`EXCERPT_MAX_CHARS`] characters. Empty
    /// where the receipt says it all.
    pub answer_excerpt: String,
}

/// Why nothing can be sent to such a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUsable {
    /// The URL is relative, or of another scheme.
    #[error("the url must start with https:// or http:// and name a host")]
    Url,
    /// The token is empty, or holds a character that cannot stand in a header, such as a line break.
    #[error("the token must not be empty, and must be of visible ASCII characters only")]
    Token,
}

impl Itoc360 {
    /// A place to send to. `timeout` bounds a whole request, the connection and the answer included; `concurrency` is
    /// the number of idle connections that are kept. Nothing is sent yet.
    pub fn new(
        url: Uri,
        token: &str,
        format: Format,
        timeout: Duration,
        concurrency: usize,
    ) -> Result<Self, NotUsable> {
        Self::over(|https| Box::new(connect::pool(https, concurrency)), url, token, format, timeout)
    }

    /// The same, over connections of another making, which is told whether they are to be TLS.
    pub(crate) fn over(
        pool: impl FnOnce(bool) -> Box<dyn Pool>,
        url: Uri,
        token: &str,
        format: Format,
        timeout: Duration,
    ) -> Result<Self, NotUsable> {
        let https = match (url.scheme_str(), url.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(_)) => false,
            _ => return Err(NotUsable::Url),
        };
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotUsable::Token);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| NotUsable::Token)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("alert-gateway/", env!("CARGO_PKG_VERSION")))),
        ]);
        Ok(Self { inner: Arc::new(Inner { pool: pool(https), url, headers, mask: Mask::new(token), format, timeout }) })
    }

    /// The body that tells this ITOC360 of `alert`.
    pub fn body(&self, alert: &Alert) -> Bytes {
        format::body(self.inner.format, alert)
    }

    /// Sends a body made by [`Itoc360::body`], once.
    pub async fn send(&self, body: Bytes) -> Sent {
        let started = Instant::now();
        let deadline = started + self.inner.timeout;
        let why = match timeout_at(deadline, self.inner.pool.request(self.request(body))).await {
            Ok(Ok(answer)) => return self.answered(answer, started, deadline).await,
            Ok(Err(error)) => self.inner.mask.hide(&describe(&error, &self.host())).into_owned(),
            Err(_) => format!("no answer from {} within {:?}", self.host(), self.inner.timeout),
        };
        let outcome = Outcome::Later { why, retry_after: None };
        Sent { outcome, status: None, duration: started.elapsed(), answer_excerpt: String::new() }
    }

    /// The status line is the answer: a body that breaks off or stalls takes nothing back. Were it to, ITOC360 would be
    /// sent the same alert for ever wherever something on the way always cuts its answers.
    async fn answered(&self, answer: Response<Incoming>, started: Instant, deadline: Instant) -> Sent {
        let (head, body) = answer.into_parts();
        let mut bytes = Vec::new();
        let whole = timeout_at(deadline, read(body, &mut bytes)).await.unwrap_or(false);
        let outcome = judge(head.status, &head.headers, &bytes, &self.inner.mask);
        let answer_excerpt = self.excerpt(&outcome, &bytes, whole);
        Sent { outcome, status: Some(head.status.as_u16()), duration: started.elapsed(), answer_excerpt }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.inner.url.clone();
        *request.headers_mut() = self.inner.headers.clone();
        request
    }

    fn excerpt(&self, outcome: &Outcome, answer: &[u8], whole: bool) -> String {
        match outcome {
            Outcome::Accepted(Receipt { id, .. }) if !id.is_empty() => String::new(),
            _ if answer.is_empty() && !whole => "(the answer broke off)".to_owned(),
            _ => self.inner.mask.excerpt(answer, EXCERPT_MAX_CHARS),
        }
    }

    /// Host and port, without what else a URL may hold.
    fn host(&self) -> String {
        let host = self.inner.url.host().unwrap_or_default();
        self.inner.url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Debug for Itoc360 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, timeout) = (self.inner.format, self.inner.timeout);
        f.debug_struct("Itoc360")
            .field("host", &self.host())
            .field("format", &format)
            .field("timeout", &timeout)
            .finish()
    }
}

/// Reads `body` into `bytes`, and says whether that is all of it. Past the limit it is dropped, and its connection too.
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
