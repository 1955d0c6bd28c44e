//! The double's side of HTTP: takes requests, and answers them.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::event::{self, Event, Unreadable};
use super::{PATH, Received, Reply, Shared};

/// The largest body it reads: far beyond what the gateway makes.
const BODY_MAX_BYTES: usize = 8 * 1024 * 1024;

/// The ids that every answer names.
const TENANT: Uuid = Uuid::from_u128(0x00000000_0000_4000_8000_000000000001);
const SOURCE: Uuid = Uuid::from_u128(0x00000000_0000_4000_8000_000000000002);

/// The wait after a connection could not be taken, as where all file handles are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Takes connections until it is aborted, and then drops them all.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it an answer waits for the peer's delayed acknowledgement; where it
                    // fails, that is all that happens.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Speaks on a connection until its client leaves.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    shared: Arc<Shared>,
) {
    shared.tally.send_modify(|tally| tally.connections += 1);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    // A connection ends when its client leaves or when a reply says so; either way there is nobody
    // to tell.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The answer to a request, once it is decided.
enum Decision {
    Answer(StatusCode, HeaderMap, Bytes),
    Hang,
    Close,
}

/// The connection is to be dropped without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped, as the script says")]
struct Dropped;

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX_BYTES).collect().await else {
        return Err(Dropped);
    };
    let body = body.to_bytes();
    let known = known(shared, &head.method, head.uri.path(), &head.headers);
    let (wait, decision) = decide(shared, known, &head, &body);
    if let Some(permit) = &wait {
        // A closed one lets everything through.
        permit
            .acquire()
            .await
            .map_or_else(drop, |permit| permit.forget());
    }
    match decision {
        Decision::Answer(status, headers, body) => {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        Decision::Hang => match pending::<Infallible>().await {},
        Decision::Close => Err(Dropped),
    }
}

/// Where and with which token ITOC360 takes an event at all; its answer where it does not.
fn known(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), (u16, &'static str)> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match bearer {
        _ if path != PATH => Err((404, "Not found")),
        _ if method != Method::POST => Err((405, "Method not allowed")),
        None => Err((401, "Unauthorized")),
        Some(token) if token != shared.token => Err((404, "Source not found")),
        Some(_) => Ok(()),
    }
}

/// Asks the script, keeps what is to be kept, and finds the answer.
fn decide(
    shared: &Shared,
    known: Result<(), (u16, &'static str)>,
    head: &Parts,
    body: &Bytes,
) -> (Option<Arc<Semaphore>>, Decision) {
    let event = known.and_then(|()| {
        event::read(shared.format, body).map_err(|unreadable| match unreadable {
            Unreadable::Invalid => (400, "Invalid payload"),
            Unreadable::Status => (500, "Internal Server Error"),
        })
    });
    let mut ledger = shared.ledger();
    let (wait, reply) = match ledger.reply(body) {
        Reply::OkWhen(permits) => (Some(permits), Reply::Ok),
        reply => (None, reply),
    };
    let mut tally = *shared.tally.borrow();
    if let (Reply::Ok | Reply::Lost | Reply::Garbage, Ok(event)) = (&reply, &event) {
        ledger.take(event, &mut tally);
    }
    let decision = decision(reply, event, body);
    let answered = if let Decision::Answer(status, ..) = &decision {
        status.as_u16()
    } else {
        0
    };
    ledger.remember(|| Received {
        body: Bytes::copy_from_slice(body),
        headers: head.headers.clone(),
        version: head.version,
        answered,
        at: Instant::now(),
    });
    // Connections are counted by another task, without this lock.
    shared.tally.send_modify(|now| {
        tally.connections = now.connections;
        tally.requests = now.requests + 1;
        *now = tally;
    });
    (wait, decision)
}

fn decision(reply: Reply, event: Result<Event<'_>, (u16, &'static str)>, body: &Bytes) -> Decision {
    let reply = match (reply, event) {
        (Reply::Ok, Ok(event)) => return json(200, accepted(&event, body)),
        (Reply::Ok | Reply::Garbage, Err((code, message))) => Reply::error(code, message),
        (reply, _) => reply,
    };
    match reply {
        Reply::Hang => Decision::Hang,
        Reply::Ok | Reply::OkWhen(_) | Reply::Close | Reply::Lost => Decision::Close,
        Reply::Garbage => Decision::Answer(
            StatusCode::OK,
            HeaderMap::new(),
            Bytes::from_static(b"OK, no receipt"),
        ),
        Reply::Status {
            code,
            headers,
            body,
        } => {
            let Decision::Answer(status, mut all, body) = json(code, body.into()) else {
                return Decision::Close;
            };
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::try_from(value))
                {
                    all.insert(name, value);
                }
            }
            Decision::Answer(status, all, body)
        }
    }
}

fn json(code: u16, body: Bytes) -> Decision {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json");
    Decision::Answer(status, HeaderMap::from_iter([(CONTENT_TYPE, kind)]), body)
}

/// ITOC360's documented answer. The payload is JSON already, so it is echoed as it came.
fn accepted(event: &Event<'_>, body: &[u8]) -> Bytes {
    let fingerprint = serde_json::Value::from(&*event.fingerprint);
    let id = Uuid::now_v7();
    let kind = if event.opens { "ALERT" } else { "RESOLVE" };
    let head = format!(
        r#"{{"id":"{id}","tenant_id":"{TENANT}","provider_id":57,"source_id":"{SOURCE}","type":"{kind}","#
    );
    let head = format!(r#"{head}"fingerprint":{fingerprint},"payload":"#);
    #[expect(
        clippy::disallowed_methods,
        reason = "the peer of the gateway has a clock of its own"
    )]
    let now = Timestamp::now();
    let tail = format!(r#","created_at":"{now}"}}"#);
    [head.as_bytes(), body, tail.as_bytes()].concat().into()
}
