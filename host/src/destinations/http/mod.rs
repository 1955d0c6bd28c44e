//! Sending over HTTP, the same for every kind of destination that speaks it.
//!
//! HTTP/2 over one connection where the peer offers it. Else HTTP/1.1 over a pool that keeps as many
//! idle connections as deliveries run at once. Every wait has a limit, and an answer is read to
//! [`ANSWER_MAX_BYTES`] at most. Redirects are not followed: a credential goes only where the
//! operator sent it.
//!
//! A pooled connection that the other side closed while it was idle is replaced silently, as long
//! as the request had not been written. Where it had, the result is unknown, and the outcome is
//! [`Outcome::Retry`].

mod answer;
mod connect;
mod describe;
mod endpoint;
mod network;
mod tls;

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::http::response;
use hyper::{Method, Request};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::answer::{ANSWER_MAX_BYTES, Answer, Judged};
#[cfg(test)]
pub(crate) use self::connect::client;
pub(crate) use self::connect::{Pool, pool};
pub(crate) use self::describe::{NO_TLS, about_certificate, describe, describe_for};
pub(crate) use self::endpoint::{AGENT, Endpoint};
pub(crate) use self::network::{FORBIDDEN, is_private_literal, is_proxied, is_public};
pub(crate) use self::tls::ClientTls;
use super::kind::{
    EXCERPT_MAX_CHARS, Kind, NotUsable, Original, Probe, Probing, Sending, Sent, Shown,
};
use crate::alert::{Alert, Outcome};
use crate::mask::Mask;
use crate::spans;

/// The most that is read of the answer to a question: it may list alerts with all their texts.
const ANSWER_TO_A_QUESTION: usize = 1024 * 1024;

/// A kind of destination that speaks HTTP.
pub(crate) trait HttpKind: Send + Sync + 'static {
    /// True if an accepted alert without a receipt is worth a warning.
    const GIVES_RECEIPTS: bool = false;

    /// Returns where alerts go, and the secrets that must not appear in anything that is kept or
    /// logged.
    fn endpoint(&self) -> &Endpoint;

    /// Renders the body that tells the service of `alert`.
    ///
    /// # Errors
    /// The reason why it cannot: the alert is rejected, and nothing is sent.
    fn body(&self, alert: &Alert) -> Result<Bytes, String>;

    /// Returns the request that carries the body of `alert`.
    fn render(&self, _alert: &Alert, body: Bytes) -> Request<Full<Bytes>> {
        self.endpoint().post(body)
    }

    /// Returns whether requests of senders are sent as they came, in place of alerts.
    fn takes_original(&self) -> bool {
        false
    }

    /// Returns a question to be asked before `alert` is sent. Its body may depend on the answer.
    fn question(&self, _alert: &Alert) -> Option<Request<Full<Bytes>>> {
        None
    }

    /// Renders the body of `alert` by the answer to its question. `None` keeps that of
    /// [`Self::body`].
    fn body_by(&self, _alert: &Alert, _answer: &[u8]) -> Option<Bytes> {
        None
    }

    /// Judges an answer.
    fn judge(&self, answer: &Answer<'_>) -> Outcome;

    /// Returns a request that opens and changes nothing. Its answer shows whether the credential is
    /// right. `None` where the service has none.
    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        None
    }

    /// Judges the answer to the harmless request: accepted where the credential is right.
    fn judge_harmless(&self, answer: &Answer<'_>) -> Outcome {
        self.judge(answer)
    }
}

/// An answer that has been read, as far as it came.
struct Answered {
    head: response::Parts,
    body: Vec<u8>,
    /// True if that is all of it.
    whole: bool,
}

impl Answered {
    fn as_answer<'a>(&'a self, mask: &'a Mask) -> Answer<'a> {
        Answer {
            status: self.head.status,
            headers: &self.head.headers,
            body: &self.body,
            mask,
        }
    }
}

/// A destination of an HTTP kind.
pub(crate) struct OverHttp<K> {
    kind: K,
    pool: Box<dyn Pool>,
    timeout: Duration,
}

impl<K: HttpKind> OverHttp<K> {
    pub(crate) fn new(kind: K, pool: Box<dyn Pool>, timeout: Duration) -> Result<Self, NotUsable> {
        let url = &kind.endpoint().url;
        match (url.scheme_str(), url.host()) {
            (Some("https" | "http"), Some(_)) => Ok(Self {
                kind,
                pool,
                timeout,
            }),
            _ => Err(NotUsable::Url),
        }
    }

    fn mask(&self) -> &Mask {
        &self.kind.endpoint().mask
    }

    /// Sends an alert, after the question of its kind.
    async fn send_alert(&self, alert: &Alert) -> Sent {
        let mut body = match self.kind.body(alert) {
            Ok(body) => body,
            Err(why) => return Sent::unsent(self.mask().hide(&why).into_owned()),
        };
        let started = Instant::now();
        if let Some(question) = self.kind.question(alert) {
            match self.exchange(question, ANSWER_TO_A_QUESTION, started).await {
                Ok(answer) => {
                    let judged = answer.as_answer(self.mask()).judged();
                    if judged == Judged::Retry {
                        return self.answered(&answer, started);
                    }
                    // A refused question refuses no alert.
                    let by = (judged == Judged::Accepted)
                        .then(|| self.kind.body_by(alert, &answer.body));
                    body = by.flatten().unwrap_or(body);
                }
                Err(why) => return Sent::unanswered(why, started.elapsed()),
            }
        }
        self.send_once(self.kind.render(alert, body), started).await
    }

    async fn send_once(&self, request: Request<Full<Bytes>>, started: Instant) -> Sent {
        match self.exchange(request, ANSWER_MAX_BYTES, started).await {
            Ok(answer) => self.answered(&answer, started),
            Err(why) => Sent::unanswered(why, started.elapsed()),
        }
    }

    /// Sends a request, and reads up to `most` bytes of its answer. The status line decides: a body
    /// that breaks off or stalls takes nothing back. Were it to, the same alert would be sent for
    /// ever wherever something on the way always cuts the answers.
    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        most: usize,
        started: Instant,
    ) -> Result<Answered, String> {
        let traced = spans::traceparent().and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = traced {
            request.headers_mut().insert(spans::TRACEPARENT, value);
        }
        let deadline = started + self.timeout;
        match timeout_at(deadline, self.pool.request(request)).await {
            Ok(Ok(response)) => {
                let (head, incoming) = response.into_parts();
                let mut body = Vec::new();
                let reading = timeout_at(deadline, read(incoming, &mut body, most));
                let whole = reading.await.unwrap_or(false);
                Ok(Answered { head, body, whole })
            }
            Ok(Err(error)) => {
                let why = describe(&error, &self.host());
                Err(self.mask().hide(&why).into_owned())
            }
            Err(_) => Err(format!(
                "no answer from {} within {:?}",
                self.host(),
                self.timeout
            )),
        }
    }

    /// Judges an answer.
    fn answered(&self, answered: &Answered, started: Instant) -> Sent {
        let mask = self.mask();
        let outcome = self.kind.judge(&answered.as_answer(mask));
        let Answered { head, body, whole } = answered;
        let answer_excerpt = match &outcome {
            Outcome::Accepted(receipt) if !receipt.id.is_empty() => String::new(),
            _ if body.is_empty() && !whole => "(the answer broke off)".to_owned(),
            _ => mask.excerpt(body, EXCERPT_MAX_CHARS),
        };
        let lacks_receipt = K::GIVES_RECEIPTS
            && outcome
                .receipt()
                .is_some_and(|receipt| receipt.id.is_empty());
        let status = Some(head.status.as_u16());
        Sent {
            outcome,
            status,
            duration: started.elapsed(),
            answer_excerpt,
            lacks_receipt,
            left_out: None,
        }
    }

    /// Sends the harmless request of the kind; or, where it has none, OPTIONS, which by HTTP changes
    /// nothing.
    async fn probe_once(&self) -> Probe {
        let started = Instant::now();
        let harmless = self.kind.harmless();
        let proves = harmless.is_some();
        let request = harmless.unwrap_or_else(|| {
            let mut request = self.kind.endpoint().post(Bytes::new());
            *request.method_mut() = Method::OPTIONS;
            request
        });
        let answered = self.exchange(request, ANSWER_MAX_BYTES, started).await;
        let (date, shown) = match answered {
            Ok(answered) => {
                let answer = answered.as_answer(self.mask());
                (answer.date(), self.shown(proves, &answer))
            }
            Err(why) => (None, Err(why)),
        };
        Probe {
            shown,
            date,
            duration: started.elapsed(),
        }
    }

    fn shown(&self, proves: bool, answer: &Answer<'_>) -> Result<Shown, String> {
        if !proves {
            return Ok(Shown::Reached(answer.status.as_u16()));
        }
        match self.kind.judge_harmless(answer) {
            Outcome::Accepted(_) => Ok(Shown::Credential),
            Outcome::Retry { why, .. } | Outcome::Blocked { why } | Outcome::Rejected { why } => {
                Err(why)
            }
        }
    }

    /// Returns host and port, without what else a URL may hold.
    fn host(&self) -> String {
        let url = &self.kind.endpoint().url;
        let host = url.host().unwrap_or_default();
        url.port_u16()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl<K: HttpKind> Kind for OverHttp<K> {
    fn preview(&self, alert: &Alert) -> String {
        let shown = match self.kind.body(alert) {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(why) => format!("(nothing is sent, and the alert becomes a dead letter: {why})"),
        };
        self.mask().hide(&shown).into_owned()
    }

    fn send<'a>(&'a self, alert: &'a Alert) -> Sending<'a> {
        Box::pin(self.send_alert(alert))
    }

    fn takes_original(&self) -> bool {
        self.kind.takes_original()
    }

    fn send_original<'a>(&'a self, original: &'a Original) -> Sending<'a> {
        let mut request = self.kind.endpoint().post(original.body.clone());
        let headers = request.headers_mut();
        headers.remove(CONTENT_TYPE);
        for (name, value) in [
            (CONTENT_TYPE, &original.content_type),
            (CONTENT_ENCODING, &original.content_encoding),
        ] {
            let value = value.as_ref().map(HeaderValue::try_from);
            if let Some(Ok(value)) = value {
                headers.insert(name, value);
            }
        }
        Box::pin(self.send_once(request, Instant::now()))
    }

    fn probe(&self) -> Probing<'_> {
        Box::pin(self.probe_once())
    }
}

impl<K: HttpKind> fmt::Debug for OverHttp<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverHttp")
            .field("host", &self.host())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Reads `body` into `bytes`, and returns whether that is all of it. Past `most` bytes it is dropped
/// with its connection.
async fn read(mut body: Incoming, bytes: &mut Vec<u8>, most: usize) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let room = most - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return false;
        }
    }
    true
}
