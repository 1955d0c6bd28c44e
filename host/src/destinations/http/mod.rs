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
use hyper::{Method, Request, Response};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::answer::{ANSWER_MAX_BYTES, Answer, Judged};
#[cfg(test)]
pub(crate) use self::connect::client;
pub(crate) use self::connect::{Pool, pool};
pub(crate) use self::describe::{describe, describe_for};
pub(crate) use self::endpoint::{AGENT, Endpoint};
pub(crate) use self::network::{is_private_literal, is_proxied, is_public};
pub(crate) use self::tls::ClientTls;
use super::kind::{
    EXCERPT_MAX_CHARS, Kind, NotUsable, Original, Probe, Probing, Sending, Sent, Shown,
};
use crate::alert::{Alert, Outcome};
use crate::mask::Mask;
use crate::spans;

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

    async fn send_once(&self, mut request: Request<Full<Bytes>>) -> Sent {
        let traced = spans::traceparent().and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = traced {
            request.headers_mut().insert(spans::TRACEPARENT, value);
        }
        let started = Instant::now();
        let deadline = started + self.timeout;
        let why = match timeout_at(deadline, self.pool.request(request)).await {
            Ok(Ok(response)) => return self.answered(response, started, deadline).await,
            Ok(Err(error)) => self
                .mask()
                .hide(&describe(&error, &self.host()))
                .into_owned(),
            Err(_) => format!("no answer from {} within {:?}", self.host(), self.timeout),
        };
        Sent::unanswered(why, started.elapsed())
    }

    /// Reads and judges an answer. The status line decides: a body that breaks off or stalls takes
    /// nothing back. Were it to, the same alert would be sent for ever wherever something on the
    /// way always cuts the answers.
    async fn answered(
        &self,
        response: Response<Incoming>,
        started: Instant,
        deadline: Instant,
    ) -> Sent {
        let (head, body) = response.into_parts();
        let mut bytes = Vec::new();
        let whole = timeout_at(deadline, read(body, &mut bytes))
            .await
            .unwrap_or(false);
        let mask = self.mask();
        let answer = Answer {
            status: head.status,
            headers: &head.headers,
            body: &bytes,
            mask,
        };
        let outcome = self.kind.judge(&answer);
        let answer_excerpt = match &outcome {
            Outcome::Accepted(receipt) if !receipt.id.is_empty() => String::new(),
            _ if bytes.is_empty() && !whole => "(the answer broke off)".to_owned(),
            _ => mask.excerpt(&bytes, EXCERPT_MAX_CHARS),
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
        }
    }

    /// Sends the harmless request of the kind; or, where it has none, OPTIONS, which by HTTP changes
    /// nothing.
    async fn probe_once(&self) -> Probe {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let harmless = self.kind.harmless();
        let proves = harmless.is_some();
        let request = harmless.unwrap_or_else(|| {
            let mut request = self.kind.endpoint().post(Bytes::new());
            *request.method_mut() = Method::OPTIONS;
            request
        });
        let (date, shown) = match timeout_at(deadline, self.pool.request(request)).await {
            Ok(Ok(response)) => {
                let (head, body) = response.into_parts();
                let mut bytes = Vec::new();
                // The status line decides.
                let _ = timeout_at(deadline, read(body, &mut bytes)).await;
                let answer = Answer {
                    status: head.status,
                    headers: &head.headers,
                    body: &bytes,
                    mask: self.mask(),
                };
                (answer.date(), self.shown(proves, &answer))
            }
            Ok(Err(error)) => {
                let why = describe(&error, &self.host());
                (None, Err(self.mask().hide(&why).into_owned()))
            }
            Err(_) => {
                let why = format!("no answer from {} within {:?}", self.host(), self.timeout);
                (None, Err(why))
            }
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
        Box::pin(async move {
            match self.kind.body(alert) {
                Ok(body) => self.send_once(self.kind.render(alert, body)).await,
                Err(why) => Sent::unsent(self.mask().hide(&why).into_owned()),
            }
        })
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
        Box::pin(self.send_once(request))
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

/// Reads `body` into `bytes`, and returns whether that is all of it. Past the limit it is dropped
/// with its connection.
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
