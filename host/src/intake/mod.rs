//! Intake: from a sender's request to an answer that is true.
//!
//! The order is what matters: who is it for, may it come in, all of its body, what does the plugin make of it, keep it on
//! disk, and only then answer. A request that ends before the disk was asked leaves nothing behind; one whose sender
//! hangs up after that is kept whole, because the store's writer does not depend on the one who asked.

mod keep;
mod replay;
mod route;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode, Uri};
use plugin_sdk::contract::{self, Rejection, RejectionKind};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::health::Health;
use crate::http::{self, BodyError};
use crate::metrics::{FailureLabels, Metrics, RequestLabels, SourceLabel};
use crate::sources::{ReadError, Source};
use crate::store::{PluginId, Store, StoreError};

pub use replay::Replayer;

/// How long a sender may take for its body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// What a sender is told to wait where the store is busy, in seconds.
const RETRY_BUSY: u64 = 1;
/// What a sender is told to wait where the disk is full or fails, in seconds.
const RETRY_DISK: u64 = 30;

/// The way in, for all sources.
#[derive(Debug)]
pub struct Intake {
    sources: HashMap<Arc<str>, Entrance>,
    public_path: String,
    store: Store,
    health: Health,
    /// Whether the last request that was to be kept could not be.
    failing: AtomicBool,
    metrics: Metrics,
}

/// A source, and the number under which the store knows its plugin.
#[derive(Debug)]
pub struct Entrance {
    /// The source.
    pub source: Source,
    /// Its plugin.
    pub plugin: PluginId,
}

/// What came in, before it is read.
struct Received {
    id: String,
    at_ms: i64,
    method: Method,
    url: String,
    headers: Box<RawValue>,
    body: Bytes,
}

/// How a request ended.
enum Ending {
    Accepted { accepted: usize, duplicates: usize },
    Ignored(String),
    Kept,
    Replied(http::Answer),
    Rejected(Rejection),
    NoSource,
    NoToken,
    WrongToken,
    Method,
    Body(BodyError),
    Busy(ReadError),
    Store(StoreError),
}

/// The answer to a sender whose request was taken.
#[derive(Serialize)]
struct Taken<'a> {
    request: &'a str,
    accepted: usize,
    duplicates: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
}

impl Intake {
    /// The way in to `entrances`. `public_path` is the path of the public URL, which a proxy may or may not strip.
    pub fn new(entrances: Vec<Entrance>, public_path: &str, store: Store, health: Health, metrics: Metrics) -> Self {
        let sources = entrances.into_iter().map(|entrance| (Arc::clone(&entrance.source.name), entrance)).collect();
        Self { sources, public_path: public_path.to_owned(), store, health, failing: AtomicBool::new(false), metrics }
    }

    /// Answers a request, once all that it carries is on disk.
    pub async fn answer(&self, request: Request<Incoming>) -> http::Answer {
        let started = Instant::now();
        let id = Uuid::now_v7().to_string();
        let uri = request.uri().clone();
        let found = route::find(&self.public_path, uri.path())
            .and_then(|route| Some((self.sources.get(route.source)?, route.suffix)));
        let ending = match found {
            None => Ending::NoSource,
            Some((entrance, suffix)) => self.take(&id, entrance, suffix, request).await,
        };
        let source = found.map(|(entrance, _)| &entrance.source);
        self.count(source, &ending, started);
        self.tell(&ending);
        report(&id, source, &ending);
        ending.into_answer(&id, source)
    }

    async fn take(&self, id: &str, entrance: &Entrance, suffix: &str, request: Request<Incoming>) -> Ending {
        let source = &entrance.source;
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Ending::Method;
        }
        if !source.tokens.is_empty() {
            match token(&head.uri, &head.headers) {
                None => return Ending::NoToken,
                Some(token) if source.tokens.iter().any(|known| known.matches(token.as_bytes())) => {}
                Some(_) => return Ending::WrongToken,
            }
        }
        let body = match http::read_body(body, source.limits.body, BODY_TIME).await {
            Ok(body) => body,
            Err(error) => return Ending::Body(error),
        };
        let received = Received {
            id: id.to_owned(),
            at_ms: now_ms(),
            method: head.method,
            url: route::public_url(&source.url, suffix, head.uri.query()),
            headers: headers_json(&head.headers),
            body,
        };
        match self.read(source, &received).await {
            Ok(contract::Answer::Alerts(alerts)) => self.keep_alerts(entrance, received, alerts).await,
            Ok(contract::Answer::Ignored { reason }) => Ending::Ignored(reason),
            Ok(contract::Answer::Rejected(rejection)) => Ending::Rejected(rejection),
            Ok(contract::Answer::Reply { status, headers, body }) => reply(status, &headers, &body),
            // Not the plugin's fault, and nothing that an operator could mend: the sender is asked to come back.
            Err(error) if error.is_busy() => Ending::Busy(error),
            Err(error) => self.keep_raw(entrance, received, &error).await,
        }
    }

    async fn read(&self, source: &Source, received: &Received) -> Result<contract::Answer, ReadError> {
        let started = Instant::now();
        let Received { at_ms, method, url, headers, body, .. } = received;
        let answer = source.read(&crate::store::rfc3339(*at_ms), method.as_str(), url, headers, body).await;
        let label = SourceLabel { source: Arc::clone(&source.name) };
        self.metrics.plugin_duration.get_or_create(&label).observe(started.elapsed().as_secs_f64());
        if let Err(error) = &answer {
            let labels = FailureLabels { source: Arc::clone(&source.name), kind: error.kind() };
            self.metrics.plugin_failures.get_or_create(&labels).inc();
        }
        answer
    }

    /// Tells `/readyz` whether requests can be kept. A disk that fails is only noted: were the gateway called unready, a
    /// proxy might send it nothing more, and only a request can find out that the disk is well again.
    fn tell(&self, ending: &Ending) {
        match ending {
            Ending::Store(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                self.health.set_ready(!matches!(error, StoreError::Closed), Some(error.to_string()));
            }
            Ending::Accepted { .. } | Ending::Kept if self.failing.swap(false, Ordering::Relaxed) => {
                self.health.set_ready(true, None);
            }
            _ => {}
        }
    }

    fn count(&self, source: Option<&Source>, ending: &Ending, started: Instant) {
        // A request for nobody has an empty source: its path is the sender's to choose, and must make no series.
        let source: Arc<str> = source.map_or_else(|| "".into(), |source| Arc::clone(&source.name));
        let label = SourceLabel { source: Arc::clone(&source) };
        self.metrics.request_duration.get_or_create(&label).observe(started.elapsed().as_secs_f64());
        if matches!(ending, Ending::Accepted { .. } | Ending::Ignored(_) | Ending::Kept | Ending::Replied(_)) {
            self.metrics.source_last_seen.get_or_create(&label).set(now_ms() as f64 / 1000.0);
        }
        self.metrics.requests.get_or_create(&RequestLabels { source, outcome: ending.outcome() }).inc();
    }
}

impl Ending {
    /// The word for metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Ignored(_) => "ignored",
            Self::Kept => "kept",
            Self::Replied(_) => "replied",
            Self::Rejected(Rejection { kind: RejectionKind::Malformed, .. }) => "malformed",
            Self::Rejected(Rejection { kind: RejectionKind::Unauthenticated, .. }) | Self::NoToken => "unauthenticated",
            Self::Rejected(Rejection { kind: RejectionKind::Forbidden, .. }) | Self::WrongToken => "forbidden",
            Self::NoSource => "unknown_source",
            Self::Method => "method",
            Self::Body(BodyError::TooLarge) => "too_large",
            Self::Body(BodyError::TooSlow) => "too_slow",
            Self::Body(BodyError::Broken) => "broken",
            Self::Busy(_) => "busy",
            Self::Store(_) => "unavailable",
        }
    }

    /// The only place that turns an ending into HTTP.
    fn into_answer(self, id: &str, source: Option<&Source>) -> http::Answer {
        let problem = |status, detail: &str| http::problem(status, detail, Some(id));
        let with = |mut answer: http::Answer, name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.headers_mut().insert(name, value);
            }
            answer
        };
        match self {
            Self::Accepted { accepted, duplicates } => {
                http::json(StatusCode::OK, &Taken { request: id, accepted, duplicates, ignored: None })
            }
            Self::Ignored(reason) => {
                http::json(StatusCode::OK, &Taken { request: id, accepted: 0, duplicates: 0, ignored: Some(reason) })
            }
            Self::Kept => http::json(
                StatusCode::ACCEPTED,
                &serde_json::json!({ "request": id, "kept": "it could not be read, and is kept to be read again" }),
            ),
            Self::Replied(answer) => answer,
            Self::Rejected(Rejection { kind, reason, .. }) => match kind {
                RejectionKind::Malformed => problem(StatusCode::BAD_REQUEST, &reason),
                RejectionKind::Forbidden => problem(StatusCode::FORBIDDEN, &reason),
                RejectionKind::Unauthenticated => {
                    let scheme = source.map_or("Bearer", |source| source.plugin.name());
                    with(problem(StatusCode::UNAUTHORIZED, &reason), WWW_AUTHENTICATE, scheme)
                }
            },
            Self::NoSource => problem(
                StatusCode::NOT_FOUND,
                "no source has this address; senders post to /in/<source>, with a name from the configuration",
            ),
            Self::NoToken => {
                let detail = "this source takes requests with a token only: Authorization: Bearer <token>, or ?token=";
                with(problem(StatusCode::UNAUTHORIZED, detail), WWW_AUTHENTICATE, "Bearer")
            }
            Self::WrongToken => problem(StatusCode::FORBIDDEN, "the token is not this source's"),
            Self::Method => {
                let detail = "this address takes webhooks by POST; it is alive, and there is nothing here to look at";
                with(problem(StatusCode::METHOD_NOT_ALLOWED, detail), ALLOW, "POST")
            }
            Self::Body(BodyError::TooLarge) => {
                let limit = source.map_or(0, |source| source.limits.body);
                problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {limit} bytes"))
            }
            Self::Body(BodyError::TooSlow) => {
                let detail = format!("the body did not arrive within {} s", BODY_TIME.as_secs());
                problem(StatusCode::REQUEST_TIMEOUT, &detail)
            }
            Self::Body(BodyError::Broken) => problem(StatusCode::BAD_REQUEST, "the body ended early or was malformed"),
            Self::Busy(_) => {
                let detail = "too many requests of this source wait to be read, so it was not accepted; send it again";
                with(problem(StatusCode::TOO_MANY_REQUESTS, detail), RETRY_AFTER, &RETRY_BUSY.to_string())
            }
            Self::Store(error) => {
                let wait = if matches!(error, StoreError::Busy) { RETRY_BUSY } else { RETRY_DISK };
                let detail = "the request cannot be kept at present, so it was not accepted; send it again later";
                with(problem(StatusCode::SERVICE_UNAVAILABLE, detail), RETRY_AFTER, &wait.to_string())
            }
        }
    }
}

/// Tells the operator what the sender need not know.
fn report(id: &str, source: Option<&Source>, ending: &Ending) {
    let source = source.map(|source| &*source.name);
    match ending {
        Ending::Accepted { accepted, duplicates } => {
            tracing::debug!(source, request = id, accepted, duplicates, "accepted");
        }
        Ending::Ignored(reason) => tracing::debug!(source, request = id, reason, "ignored"),
        Ending::Rejected(Rejection { kind, reason, help }) => {
            tracing::warn!(source, request = id, ?kind, reason, help, "rejected by the plugin");
        }
        Ending::NoToken | Ending::WrongToken => {
            let help = "compare the token at the sender with the source's `token` in the configuration";
            tracing::warn!(source, request = id, outcome = ending.outcome(), help, "rejected");
        }
        Ending::Busy(error) => tracing::warn!(source, request = id, %error, "not accepted"),
        Ending::Store(error) => tracing::error!(source, request = id, %error, "not accepted"),
        // Said with its reason where it is kept, or not worth a line: anybody can send such a thing.
        _ => tracing::debug!(source, request = id, outcome = ending.outcome(), "answered"),
    }
}

/// The credential that a sender shows to the gateway itself.
fn token<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<std::borrow::Cow<'a, str>> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start().into())
    });
    bearer.or_else(|| {
        form_urlencoded::parse(uri.query()?.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token)
    })
}

/// JSON `[[name, value], …]`, in order, duplicates kept; bytes above 0x7f are read as Latin-1.
fn headers_json(headers: &HeaderMap) -> Box<RawValue> {
    let pairs: Vec<(&str, std::borrow::Cow<'_, str>)> = headers
        .iter()
        .map(|(name, value)| {
            let value = match value.to_str() {
                Ok(text) => text.into(),
                Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            };
            (name.as_str(), value)
        })
        .collect();
    serde_json::value::to_raw_value(&pairs).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A reply that the plugin dictates; its status and headers were checked where its answer was.
fn reply(status: u16, headers: &[(String, String)], body: &contract::Body) -> Ending {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = http::answer(status, "text/plain; charset=utf-8", body.bytes().into_owned());
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (hyper::header::HeaderName::try_from(name), HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    Ending::Replied(answer)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uri: &str, authorization: Option<&'static str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        token(&uri.parse().unwrap(), &headers).map(std::borrow::Cow::into_owned)
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_in_the_query() {
        assert_eq!(shown("/in/a", Some("Bearer t")).as_deref(), Some("t"));
        assert_eq!(shown("/in/a", Some("bearer  t")).as_deref(), Some("t"));
        assert_eq!(shown("/in/a?x=1&token=a%2Fb", None).as_deref(), Some("a/b"));
        assert_eq!(shown("/in/a?token=query", Some("Basic dTpw")).as_deref(), Some("query"));
        assert_eq!(shown("/in/a?token=query", Some("Bearer head")).as_deref(), Some("head"));
        for nothing in [("/in/a", None), ("/in/a?tokens=t", None), ("/in/a", Some("Basic dTpw")), ("/in/a", Some("t"))]
        {
            assert_eq!(shown(nothing.0, nothing.1), None, "{nothing:?}");
        }
    }

    #[test]
    fn headers_keep_their_order_their_duplicates_and_every_byte() {
        let mut headers = HeaderMap::new();
        headers.append("b", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.append("b", HeaderValue::from_static("2"));
        assert_eq!(headers_json(&headers).get(), r#"[["b","1"],["b","2"],["a","café"]]"#);
    }
}
