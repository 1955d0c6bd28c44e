//! A connection that begins with a handshake, where its listener speaks TLS.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_rustls::Accept;
use tokio_rustls::rustls::Error;
use tokio_rustls::server::TlsStream;

use super::super::listener::Stream;
use super::{Counted, Tls};

/// The time a handshake may take: a few round trips, and one more where a packet is lost.
const HANDSHAKE_TIME: Duration = if cfg!(test) {
    Duration::from_secs(2)
} else {
    Duration::from_secs(10)
};

/// The most bytes encrypted in advance for a client that does not read: one record. rustls would
/// take four.
const UNREAD_BYTES: usize = 16 * 1024;

/// The stream that HTTP is spoken over.
///
/// The handshake is made by whoever reads or writes first. So it is a part of the connection for
/// all that looks after connections: it runs in the connection's own task, takes one of the places,
/// and ends when the connection is told to.
pub struct Connection(State);

enum State {
    Plain(Stream),
    Handshake(Box<Handshake>),
    Open(Box<TlsStream<Stream>>),
    /// The handshake failed.
    Over,
}

struct Handshake {
    accept: Accept<Stream>,
    limit: Pin<Box<Sleep>>,
    counted: Counted,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Connection {
    /// One that begins with a handshake where there is a `tls`.
    pub fn new(stream: Stream, tls: Option<&Tls>) -> Self {
        Self(match tls {
            Some(tls) => State::Handshake(Box::new(Handshake {
                accept: tls
                    .acceptor
                    .borrow()
                    .accept_with(stream, |tls| tls.set_buffer_limit(Some(UNREAD_BYTES))),
                limit: Box::pin(tokio::time::sleep(HANDSHAKE_TIME)),
                counted: tls.counted.clone(),
            })),
            None => State::Plain(stream),
        })
    }

    /// The stream, once it is open.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Duplex>>> {
        if let State::Handshake(handshake) = &mut self.0 {
            let outcome = ready!(handshake.poll(cx));
            self.0 = State::Over;
            self.0 = State::Open(Box::new(outcome?));
        }
        Poll::Ready(self.opened().ok_or_else(|| ErrorKind::NotConnected.into()))
    }

    /// The stream, where it is open.
    fn opened(&mut self) -> Option<Pin<&mut dyn Duplex>> {
        match &mut self.0 {
            State::Plain(stream) => Some(Pin::new(stream)),
            State::Open(stream) => Some(Pin::new(stream.as_mut())),
            State::Handshake(_) | State::Over => None,
        }
    }
}

impl Handshake {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TlsStream<Stream>>> {
        let outcome = match Pin::new(&mut self.accept).poll(cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                ready!(self.limit.as_mut().poll(cx));
                Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "the TLS handshake took too long",
                ))
            }
        };
        if let Err(error) = &outcome {
            self.counted.failed(reason(error));
        }
        Poll::Ready(outcome)
    }
}

/// Returns the reason why a handshake failed, in a word for metrics.
fn reason(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(Error::InvalidMessage(_)) => "not_tls",
        Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => "client_certificate",
        // Most often it does not know who issued the listener's certificate, or that has expired.
        Some(Error::AlertReceived(_)) => "refused_by_client",
        Some(_) => "incompatible",
        None if error.kind() == ErrorKind::TimedOut => "too_slow",
        None => "broken",
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Before it is open, nothing was written.
        self.opened()
            .map_or(Poll::Ready(Ok(())), |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.opened()
            .map_or(Poll::Ready(Ok(())), |stream| stream.poll_shutdown(cx))
    }
}
