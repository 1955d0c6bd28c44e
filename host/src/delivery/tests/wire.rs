//! Connections that are no real ones: between two ends in memory, or over a simulated network. The
//! pool that keeps them is the real one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower_service::Service;

use crate::destinations::Destination;
use crate::destinations::http;
use crate::destinations::itoc360::{Format, Itoc360};
use itoc360_double::{PATH, Setup};

/// As long as the real pool waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The idle connections that are kept.
const CONCURRENCY: usize = 8;

/// The protocol that both ends speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// A connection serves one request after another.
    Http1,
    /// One connection serves all requests at once.
    Http2,
}

/// Makes connections.
type Dial = dyn Fn() -> Dialing<Box<dyn Stream>> + Send + Sync;
type Dialing<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

#[derive(Clone)]
struct Wires {
    dial: Arc<Dial>,
    speaks: Speaks,
}

struct Wire {
    stream: TokioIo<Box<dyn Stream>>,
    speaks: Speaks,
}

/// A client whose connections `dial` makes, for an ITOC360 double with the usual token.
pub fn itoc360<F>(
    timeout: Duration,
    speaks: Speaks,
    dial: impl Fn() -> F + Send + Sync + 'static,
) -> Destination
where
    F: Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
{
    let wires = Wires {
        dial: Arc::new(move || Box::pin(dial())),
        speaks,
    };
    let url = Uri::try_from(format!("http://itoc360{PATH}")).unwrap();
    let kind = Itoc360::new(url, &Setup::default().token, Format::default()).unwrap();
    Destination::over(kind, http::client(wires, CONCURRENCY), timeout).unwrap()
}

impl Service<Uri> for Wires {
    type Response = Wire;
    type Error = io::Error;
    type Future = Dialing<Wire>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialing<Wire> {
        let dialing = (self.dial)();
        let speaks = self.speaks;
        Box::pin(async move {
            let stream = TokioIo::new(timeout(CONNECT_TIMEOUT, dialing).await??);
            Ok(Wire { stream, speaks })
        })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        match self.speaks {
            Speaks::Http1 => Connected::new(),
            Speaks::Http2 => Connected::new().negotiated_h2(),
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
