//! The export of spans, by OTLP over HTTP in JSON: in batches, with a few tries. A collector that is
//! away costs spans, and nothing else.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Network, Traces};
use crate::destinations::NotUsable;
use crate::destinations::http::{AGENT, Pool, describe, pool};
use crate::log_throttle::LogThrottle;
use crate::spans::{Kind, Span, Spans, Value};

/// The most spans of a batch.
const BATCH: usize = 512;
/// The time for which a batch is collected.
const COLLECT: Duration = Duration::from_secs(1);
/// The time in which a collector answers.
const TIME: Duration = Duration::from_secs(10);
/// The waits before a batch is sent again.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// The time for the last batch of a shutdown.
const LAST: Duration = Duration::from_millis(500);

/// Exports spans.
pub struct Exporter {
    spans: Spans,
    ended: mpsc::Receiver<Span>,
    traces: Traces,
    host: String,
    pool: Box<dyn Pool>,
    throttle: LogThrottle,
}

impl Exporter {
    /// Returns the recorder of spans, and their export.
    ///
    /// # Errors
    /// The collector can never be sent to.
    pub fn new(traces: &Traces) -> Result<(Spans, Self), NotUsable> {
        let (spans, ended) = Spans::new(traces.percent);
        let authority = traces.url.authority();
        let exporter = Self {
            spans: spans.clone(),
            ended,
            host: authority.map_or_else(String::new, ToString::to_string),
            pool: pool(&traces.url, 1, &Network::default())?,
            traces: traces.clone(),
            throttle: LogThrottle::default(),
        };
        Ok((spans, exporter))
    }

    /// Exports until `stop` is cancelled, and then what has ended by then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // It holds a sender itself, so that there is always a next one.
                Some(span) = self.ended.recv() => batch.push(span),
                () = stop.cancelled() => break,
            }
            let collecting = async {
                while batch.len() < BATCH {
                    match self.ended.recv().await {
                        Some(span) => batch.push(span),
                        None => return,
                    }
                }
            };
            // A batch that is not full goes out as it is.
            let _ = tokio::time::timeout(COLLECT, collecting).await;
            tokio::select! {
                () = self.send(&batch) => batch.clear(),
                () = stop.cancelled() => break,
            }
        }
        while let Ok(span) = self.ended.try_recv() {
            batch.push(span);
        }
        if !batch.is_empty() {
            // The rest is lost, as it is where the collector is away.
            let _ = tokio::time::timeout(LAST, self.post(&batch)).await;
        }
    }

    /// Sends a batch, again where the collector may take it later.
    async fn send(&self, batch: &[Span]) {
        let mut waits = AGAIN.iter();
        let why = loop {
            match self.post(batch).await {
                Ok(()) => break None,
                Err(Refused { why, is_final }) => match waits.next() {
                    Some(wait) if !is_final => tokio::time::sleep(*wait).await,
                    _ => break Some(why),
                },
            }
        };
        let left_out = self.spans.left_out();
        let lost = left_out + if why.is_some() { batch.len() as u64 } else { 0 };
        if lost > 0
            && let Some(suppressed) = self.throttle.due("", "traces")
        {
            let why = why.unwrap_or_else(|| "more ended than could be sent".to_owned());
            tracing::warn!(
                collector = self.host,
                why,
                lost,
                left_out = suppressed,
                "spans were not exported; see traces in [gateway]"
            );
        }
    }

    async fn post(&self, batch: &[Span]) -> Result<(), Refused> {
        let away = |why: String| Refused {
            why,
            is_final: false,
        };
        let request = self.request(batch).map_err(|error| Refused {
            why: error.to_string(),
            is_final: true,
        })?;
        let answer = tokio::time::timeout(TIME, self.pool.request(request)).await;
        let answer = answer.map_err(|_| away(format!("no answer within {} s", TIME.as_secs())))?;
        let answer = answer.map_err(|error| away(describe(&error, &self.host)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Refused {
                why: format!("it answers {}", status.as_u16()),
                // The others stay as they are, says the specification.
                is_final: !matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ),
            }),
        }
    }

    fn request(&self, batch: &[Span]) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = serde_json::to_vec(&rendered(batch))?;
        let mut request = Request::post(self.traces.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT);
        if let Some(token) = &self.traces.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}

/// The reason why a collector did not take a batch.
struct Refused {
    why: String,
    /// True if it never will.
    is_final: bool,
}

/// Returns a batch as OTLP writes it in JSON: ids in hex, nanoseconds as text.
fn rendered(batch: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        ("service.name", Value::from("alert-gateway")),
        ("service.version", Value::from(version)),
    ];
    let spans: Vec<_> = batch.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{
                "scope": { "name": "alert-gateway", "version": version },
                "spans": spans,
            }],
        }],
    })
}

fn span(span: &Span) -> Json {
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
    };
    let mut rendered = json!({
        "traceId": format!("{:032x}", span.place.trace),
        "spanId": format!("{:016x}", span.place.span),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": span.begun.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes(&span.attributes),
        "status": {},
    });
    if let Some(parent) = span.parent {
        rendered["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Some(why) = &span.failed {
        rendered["status"] = json!({ "code": 2, "message": why });
    }
    rendered
}

fn attributes(attributes: &[(&'static str, Value)]) -> Json {
    let rendered = attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => json!({ "stringValue": text }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    });
    rendered.collect()
}
