//! Connections that are no real ones: between two ends in memory, or over a simulated network.
//!
//! The real pool takes only sockets of the operating system. This one keeps what delivery relies
//! on: a connection serves one request after another, is kept for the next, and one that breaks
//! takes its request with it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::destinations::Destination;
use crate::destinations::http::{Answering, NoAnswer, Pool};
use crate::destinations::itoc360::{Format, Itoc360};
use itoc360_double::{PATH, Setup};

/// As long as the real pool waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections.
type Dial = Box<
    dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>> + Send + Sync,
>;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Wires {
    dial: Arc<Dial>,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

/// A client whose connections `dial` makes, for an ITOC360 double with the usual token.
pub fn itoc360<F>(timeout: Duration, dial: impl Fn() -> F + Send + Sync + 'static) -> Destination
where
    F: Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
{
    let dial: Dial = Box::new(move || Box::pin(dial()));
    let wires = Wires {
        dial: Arc::new(dial),
        idle: Arc::default(),
    };
    let url = Uri::try_from(format!("http://itoc360{PATH}")).unwrap();
    let kind = Itoc360::new(url, &Setup::default().token, Format::default()).unwrap();
    Destination::over(kind, Box::new(wires), timeout).unwrap()
}

impl Pool for Wires {
    fn request(&self, request: Request<Full<Bytes>>) -> Answering {
        let dial = Arc::clone(&self.dial);
        let idle = Arc::clone(&self.idle);
        Box::pin(async move {
            let mut connection = match take(&idle) {
                Some(connection) => connection,
                None => connect(&dial).await.map_err(|cause| NoAnswer {
                    connected: false,
                    cause: cause.into(),
                })?,
            };
            let answer = connection.send_request(request).await;
            idle.lock().push(connection);
            answer.map_err(|error| NoAnswer {
                connected: true,
                cause: error.into(),
            })
        })
    }
}

/// One whose last answer was read to its end.
fn take(idle: &Mutex<Vec<SendRequest<Full<Bytes>>>>) -> Option<SendRequest<Full<Bytes>>> {
    let mut idle = idle.lock();
    idle.retain(|connection| !connection.is_closed());
    let ready = idle.iter().position(SendRequest::is_ready)?;
    Some(idle.swap_remove(ready))
}

async fn connect(dial: &Dial) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = timeout(CONNECT_TIMEOUT, dial()).await??;
    let (connection, speaking) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(speaking);
    Ok(connection)
}
