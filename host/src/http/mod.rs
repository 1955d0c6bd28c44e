//! The network, inwards: listeners, TLS, connections with limits, bodies with limits, who sends, and the one shape of every
//! error.
//!
//! # What is bounded, and by whom
//!
//! hyper parses HTTP/1 and h2 parses HTTP/2; their own defences are used, and those that have no good default are set in
//! [`connection_builder`]. `tests/hostile_http.rs` and the tests here try each with real sockets.
//!
//! | what a stranger may try | what happens | whose defence |
//! |---|---|---|
//! | thousands of connections | [`Connections`]: the longest idle make room, and the oldest where all are in use | ours |
//! | a connection that says nothing, or says its head byte by byte | closed after [`IDLE`], sooner where room is needed | hyper's `header_read_timeout`, and ours for all that has no complete request |
//! | a head of too many bytes or headers, or one line without end | 431, closed: [`HEAD_BYTES`], [`HEADERS`] | hyper's `max_buf_size`, `max_headers` |
//! | a body that is too large, too slow or broken | 413, 408, 400, closed | [`read_body`] |
//! | a body that was refused, and is sent on | read for a second and thrown away, closed | [`discard`] |
//! | a body in very many small pieces | one buffer, grown as it fills: a piece costs nothing | [`read_body`]; h2's budget for small DATA frames |
//! | chunk sizes that overflow, extensions or trailers without end | 400, closed: 16 KiB of either | hyper's decoder |
//! | a length written twice, in two ways, or with odd spaces | 400, closed; an equal one twice counts once | hyper, httparse |
//! | `Transfer-Encoding` beside `Content-Length` | the former counts, and the connection ends with the answer, so that nothing that follows is read as a request (RFC 9112, 6.1) | hyper; [`serve`] ends it |
//! | no `Host`, two of them, or one that is no host | 400, closed (RFC 9112, 3.2) | [`host`] |
//! | a client that never reads | hyper stops reading from it; then it is idle | hyper, h2 |
//! | rapid reset (CVE-2023-44487) | connection closed after 20 streams that were reset before they were accepted | h2's `max_pending_accept_reset_streams`, by default |
//! | streams made to fail (CVE-2025-8671) | connection closed after 1024 | h2's `max_local_error_reset_streams`, by default |
//! | `CONTINUATION` without end (CVE-2024-27316) | connection closed after 5 of them that do not end the head | h2, from `max_header_list_size` |
//! | an HPACK bomb | 431 above [`HEADER_LIST`], closed above four times that | h2's `max_header_list_size` |
//! | `SETTINGS` or `PING` without end | h2 answers one before it reads the next, so a client that does not read its answers is not read | h2 |
//! | too many streams | refused beyond [`STREAMS`] | h2's `max_concurrent_streams` |
//! | empty or tiny `DATA` frames | connection closed after 100 empty ones, or when a budget is used up | h2, by default |
//!
//! # The most that strangers can make the gateway hold
//!
//! The operator grants `memory` ([`crate::config::MEMORY`] by default). There is one connection for each
//! [`CONNECTION_MEMORY`] of it, or fewer where the system grants too few file descriptors, so that:
//!
//! - a sixth is for requests: heads, bodies and what is made of them until the disk has it, as `intake::admission` charges
//!   them. What waits for the plugin's turn or in the store's queue is charged until it is done;
//! - the rest is for connections, 160 KiB for each. In HTTP/1 the worst is a read buffer that grows in steps to at most twice
//!   [`HEAD_BYTES`] for a head that does not end: with all else it was measured at 50 KiB. In HTTP/2 it is [`STREAMS`] answers
//!   that are not read, while a head of [`HEADER_LIST`] or a frame of 16 KiB is being put together: 127 KiB. What may come
//!   in before it is read ([`WINDOW`]) is read into a body that is charged, or thrown away. What is left is for TLS: a
//!   handshake that does not end was measured at 75 KiB in all, and what it leaves behind at 17 KiB.
//!
//! Beside it, and not in a stranger's hands: for each source the memory of its two plugin calls with their input and output,
//! and what the gateway holds without a request. The operating system's socket buffers are its own.

mod bearer;
mod client;
mod connections;
mod descriptors;
mod host;
mod listener;
mod tls;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use serde::Serialize;
use tokio::sync::watch;

use crate::log_throttle::LogThrottle;

pub use bearer::bearer;
pub use client::{Client, Peer};
use connections::{Connections, Place};
pub use descriptors::connections_beside;
pub use listener::{Listener, Socket, UnixSocket};
use tls::Connection;
pub use tls::{Following, Tls, TlsError};

/// What every room answers with.
pub type Answer = Response<Full<Bytes>>;

/// The memory that there is for each connection, of all that senders may use: a sixth for a request, the rest its own.
pub const CONNECTION_MEMORY: usize = 192 * 1024;
/// How many connections a listener serves that only few people know of.
pub const FEW: usize = 64;
/// How many bytes of head a request may have; more is answered 431.
const HEAD_BYTES: usize = 32 * 1024;
/// How many headers a request may have; more is answered 431.
const HEADERS: usize = 100;
/// How many bytes the headers of an HTTP/2 request may have when they are unpacked, with 32 for each, as RFC 9113 counts.
const HEADER_LIST: u32 = 16 * 1024;
/// How long a connection may be without a request, its first or the next: a proxy's pooled one is so for about a minute. As
/// long may a head take.
const IDLE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(75) };
/// How long a connection that is to close may take for it, with nothing under way: HTTP/2 says good-bye, and waits.
const LEAVING: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(1) };
/// How many requests one HTTP/2 connection may have under way.
const STREAMS: u32 = 32;
/// How many bytes an HTTP/2 connection, or a stream of it, may send before they are read: what the RFC begins with.
const WINDOW: u32 = 65_535;
/// How much is read of a body that is refused, so that its sender hears why.
const DISCARD_BYTES: usize = 1024 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 1 });
/// How long to leave a listener alone that cannot accept, as when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections senders may have, within the memory that they may use.
pub fn connections_within(memory: usize) -> usize {
    (memory / CONNECTION_MEMORY).max(1)
}

/// Answers requests on a listener, over at most `most` connections, until `stop` says so; then refuses new connections, and
/// gives those under way `grace` to finish.
pub async fn serve<F, R>(
    listener: impl Into<Listener>,
    most: usize,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
    answer: F,
) where
    F: Fn(Request<Incoming>, Peer) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let Listener { socket, tls } = listener.into();
    let builder = Arc::new(connection_builder());
    let connections = Connections::new(most);
    let throttle = LogThrottle::default();
    let closing = watch::Sender::new(());
    loop {
        let place = tokio::select! {
            place = connections.enter() => place,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(left_out) = throttle.due("", "accept") {
                    tracing::warn!(%error, left_out, "a connection could not be accepted");
                }
                connections.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        place.arrived();
        let service = hyper::service::service_fn({
            let (answer, place) = (answer.clone(), Arc::clone(&place));
            move |request: Request<Incoming>| {
                let under_way = place.begin();
                // A length beside it was dropped by hyper already. Whoever goes by that length would take what follows for
                // something else than we do, so nothing must follow.
                let flaw = host::flaw(&request);
                let last = flaw.is_some() || request.headers().contains_key(TRANSFER_ENCODING);
                // On its own, so that its memory is free while the answer waits for a client that does not read.
                let answer = match flaw {
                    None => Ok(Box::pin(answer(request, peer))),
                    Some(flaw) => {
                        discard(request.into_body());
                        Err(problem(StatusCode::BAD_REQUEST, flaw, None))
                    }
                };
                async move {
                    let mut answer = match answer {
                        Ok(answer) => answer.await,
                        Err(refused) => refused,
                    };
                    drop(under_way);
                    if last {
                        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, Infallible>(answer)
                }
            }
        });
        let stream = TokioIo::new(Connection::new(stream, tls.as_ref()));
        let connection = builder.serve_connection(stream, service).into_owned();
        let closing = closing.subscribe();
        tokio::spawn(async move {
            if let Err(error) = attend(connection, &place, closing).await {
                tracing::debug!(%peer, error, "a connection ended early");
            }
        });
    }
    drop(socket);
    closing.send_replace(());
    if tokio::time::timeout(grace, closing.closed()).await.is_err() {
        tracing::warn!(?grace, "some connections did not finish in time and are left");
    }
}

/// Serves a connection until it ends, is idle for too long, has to make room, or everything stops.
async fn attend<C: GracefulConnection>(
    connection: C,
    place: &Place,
    mut closing: watch::Receiver<()>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        // First what is there to be read, so that a request that has come is not cut off unread.
        biased;
        ended = connection.as_mut() => return ended,
        () = place.asked_to_leave() => {}
        () = place.idle_for(IDLE) => {}
        _ = closing.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        // First what is there to be written, so that an answer that is ready is not cut off unsaid.
        biased;
        ended = connection => ended,
        () = place.idle_for(LEAVING) => Ok(()),
        // Only this task begins its requests, so what is idle here is idle until it is dropped.
        () = place.cut_off() => Ok(()),
    }
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(HEAD_BYTES);
    builder
}

/// Why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the limit.
    TooLarge,
    /// Not all of it in time.
    TooSlow,
    /// The sender went away, or broke the framing.
    Broken,
}

/// The first buffer for a body that does not say its length.
const FIRST_BYTES: usize = 4 * 1024;

/// A whole body of at most `limit` bytes, received within `time`. Before memory is asked for, `room` is told how large the
/// buffer will be, and may refuse. The rest of what is not taken goes to [`discard`].
///
/// # Errors
/// See [`BodyError`]; or what `room` says.
pub async fn read_body<E: From<BodyError>>(
    mut body: Incoming,
    limit: usize,
    time: Duration,
    room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let taken = tokio::time::timeout(time, collect(&mut body, limit, room)).await;
    let taken = taken.unwrap_or_else(|_| Err(BodyError::TooSlow.into()));
    if taken.is_err() {
        discard(body);
    }
    taken
}

/// Reads what little there is of a body that nobody wants, in the background. A connection that is closed on a sender which
/// still writes is reset, and the answer that explains why is lost with it.
pub fn discard(mut body: Incoming) {
    if body.is_end_stream() || announced(&body) > DISCARD_BYTES as u64 {
        return;
    }
    tokio::spawn(tokio::time::timeout(DISCARD_TIME, async move {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    }));
}

/// How many bytes a body has at least, by what its head says.
pub fn announced(body: &Incoming) -> u64 {
    body.size_hint().lower()
}

/// One buffer, whatever pieces the body comes in: a piece that is kept as it came holds all of what it was read with.
async fn collect<E: From<BodyError>>(
    body: &mut Incoming,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let (mut bytes, mut capacity) = (Vec::new(), 0);
    let announced = usize::try_from(announced(body)).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge.into());
        }
        if length > capacity {
            // At once what was announced; otherwise by doubling.
            let wanted = if capacity == 0 && announced > 0 { announced } else { FIRST_BYTES.max(2 * capacity) };
            capacity = wanted.max(length).min(limit);
            room(capacity)?;
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// An answer with a body of a media type.
pub fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Only maps with keys that are no strings fail to serialise, and no answer has one.
    answer(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
}

/// An error as RFC 9457 describes it. `request` is the id under which the operator finds it in the log.
pub fn problem(status: StatusCode, detail: &str, request: Option<&str>) -> Answer {
    #[derive(Serialize)]
    struct Problem<'a> {
        title: &'a str,
        status: u16,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a str>,
    }
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem { title, status: status.as_u16(), detail, request };
    answer(status, "application/problem+json", serde_json::to_vec(&problem).unwrap_or_default())
}
