//! A listener at work: it accepts connections, answers their requests, and ends them in order.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connections::{Connections, Slot};
use super::tls::Connection;
use super::{Answer, Listener, Peer, discard, host, problem};
use crate::log_throttle::LogThrottle;

/// The number of bytes of head a request may have; more is answered 431.
pub(super) const HEAD_BYTES: usize = 32 * 1024;
/// The number of headers a request may have; more is answered 431.
pub(super) const HEADERS: usize = 100;
/// The number of bytes the headers of an HTTP/2 request may have when they are unpacked, with 32
/// for each, as RFC 9113 counts.
pub(super) const HEADER_LIST: u32 = 16 * 1024;
/// The time a connection may be without a request, its first or the next: a proxy's pooled one is
/// so for about a minute. As long may a head take.
pub(super) const IDLE: Duration = if cfg!(test) {
    Duration::from_millis(300)
} else {
    Duration::from_secs(75)
};
/// The time a connection that is to close may take for it, with nothing under way: HTTP/2 says
/// good-bye, and waits.
const GOOD_BYE: Duration = if cfg!(test) {
    Duration::from_millis(100)
} else {
    Duration::from_secs(1)
};
/// The number of requests one HTTP/2 connection may have under way.
pub(super) const STREAMS: u32 = 32;
/// The number of bytes an HTTP/2 connection, or a stream of it, may send before they are read: what
/// the RFC begins with.
pub(super) const WINDOW: u32 = 65_535;
/// The pause of a listener that cannot accept, as when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on a listener, over at most `most` connections, until `stop` is cancelled; then
/// refuses new connections, and gives those under way `grace` to finish.
pub async fn serve<F, R>(
    listener: impl Into<Listener>,
    most: usize,
    stop: CancellationToken,
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
        let slot = tokio::select! {
            slot = connections.acquire() => slot,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.cancelled() => break,
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
        slot.arrived();
        let service = hyper::service::service_fn({
            let answer = answer.clone();
            let slot = Arc::clone(&slot);
            move |request: Request<Incoming>| {
                let under_way = slot.begin();
                // A length beside it was dropped by hyper already. Whoever goes by that length
                // would take what follows for something else than we do, so nothing must follow.
                let flaw = host::flaw(&request);
                let last = flaw.is_some() || request.headers().contains_key(TRANSFER_ENCODING);
                // On its own, so that its memory is free while the answer waits for a client that
                // does not read.
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
                        answer
                            .headers_mut()
                            .insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, Infallible>(answer)
                }
            }
        });
        let stream = TokioIo::new(Connection::new(stream, tls.as_ref()));
        let connection = builder.serve_connection(stream, service).into_owned();
        let closing = closing.subscribe();
        tokio::spawn(async move {
            if let Err(error) = attend(connection, &slot, closing).await {
                tracing::debug!(%peer, error, "a connection ended early");
            }
        });
    }
    drop(socket);
    closing.send_replace(());
    if tokio::time::timeout(grace, closing.closed()).await.is_err() {
        tracing::warn!(
            ?grace,
            "some connections did not finish in time and are left"
        );
    }
}

/// Serves a connection until it ends, is idle for too long, has to make room, or everything stops.
async fn attend<C: GracefulConnection>(
    connection: C,
    slot: &Slot,
    mut closing: watch::Receiver<()>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        // First what is there to be read, so that a request that has come is not cut off unread.
        biased;
        ended = connection.as_mut() => return ended,
        () = slot.evicted() => {}
        () = slot.idle_for(IDLE) => {}
        _ = closing.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        // First what is there to be written, so that an answer that is ready is not cut off unsaid.
        biased;
        ended = connection => ended,
        () = slot.idle_for(GOOD_BYE) => Ok(()),
        // Only this task begins its requests, so what is idle here is idle until it is dropped.
        () = slot.cut_off() => Ok(()),
    }
}

pub(super) fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(HEAD_BYTES);
    builder
}
