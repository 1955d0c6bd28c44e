//! The network, inwards: listeners, connections with limits, bodies with limits, and the one shape of every error.
//!
//! hyper parses. What is bounded here: connections at a time, the size of a head (431), the time for a head (the
//! connection is closed), HTTP/2 streams and header lists, the size of a body (413) and the time for it (408).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// What every room answers with.
pub type Answer = Response<Full<Bytes>>;

/// How many connections are served at once. Further ones wait in the operating system's queue.
const CONNECTIONS: usize = 4096;
/// How many bytes of head a request may have; more is answered 431.
const HEAD_BYTES: usize = 32 * 1024;
/// How many headers a request may have; more is answered 431.
const HEADERS: usize = 100;
/// How long a connection may take to send a head, or sit idle. A proxy's pooled connection is idle for about a minute.
const HEAD_TIME: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(75) };
/// How many requests one HTTP/2 connection may have under way.
const STREAMS: u32 = 128;
/// How long to leave a listener alone that cannot accept, as when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on a listener until `stop` says so; then refuses new connections, and gives those under way
/// `grace` to finish.
pub async fn serve<F, R>(listener: TcpListener, mut stop: watch::Receiver<bool>, grace: Duration, answer: F)
where
    F: Fn(Request<Incoming>, SocketAddr) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let builder = Arc::new(connection_builder());
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&open).acquire_owned() => permit,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are one small write each; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (answer, asked) = (answer.clone(), Arc::new(AtomicBool::new(false)));
        let service = hyper::service::service_fn({
            let asked = Arc::clone(&asked);
            move |request| {
                asked.store(true, Ordering::Relaxed);
                let answer = answer(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%peer, error, "a connection ended early");
                },
                () = silence(&asked) => tracing::debug!(%peer, "a connection never asked for anything"),
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(?grace, "some connections did not finish in time and are left");
    }
}

/// Returns when a connection has had its time for a first request and made none. hyper's own limit begins only when it
/// knows which version of HTTP is spoken, so a connection without a word would keep its place for ever.
async fn silence(asked: &AtomicBool) {
    tokio::time::sleep(HEAD_TIME).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(HEAD_TIME)
        .keep_alive_timeout(HEAD_TIME);
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

/// A whole body of at most `limit` bytes, received within `time`.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body(body: Incoming, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    // What announces its size is refused before a byte of it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// An answer with a body of a media type.
pub fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// A listener that answers "ok" to everything.
    async fn listening() -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (stop, stopped)) = (listener.local_addr().unwrap(), watch::channel(false));
        tokio::spawn(serve(listener, stopped, Duration::ZERO, async |_, _| answer(StatusCode::OK, "text/plain", "ok")));
        (address, stop)
    }

    async fn said(address: SocketAddr, bytes: &[u8]) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut answer)).await;
        read.expect("the connection is never closed").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_connection_that_never_asks_for_anything_is_closed() {
        let (address, _stop) = listening().await;
        for silent in ["", "PRI * HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HT", "\r\n\r\n"] {
            let answer = said(address, silent.as_bytes()).await;
            assert!(!answer.contains("200"), "{silent:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_asks_is_answered_until_it_is_idle() {
        let (address, _stop) = listening().await;
        let twice = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
        assert_eq!(said(address, twice.as_bytes()).await.matches("200 OK").count(), 2);
    }
}
