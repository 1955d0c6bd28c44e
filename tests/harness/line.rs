//! The line between the gateway and ITOC360, with faults of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use itoc360_double::PATH;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Itoc360;

/// A proxy to an ITOC360 or another server. A change of its state breaks the connections over it; new ones meet the
/// new state.
pub struct Line {
    address: SocketAddr,
    state: watch::Sender<State>,
    carrying: JoinHandle<()>,
}

/// The state of a line.
#[derive(Debug, Clone)]
pub enum State {
    /// Carries every byte both ways.
    Well,
    /// Refuses connections.
    Refused,
    /// Accepts connections, and never answers.
    Silent,
    /// Reads the beginning of a request, and then resets the connection.
    Reset,
    /// Carries the answer byte by byte, each after this delay.
    Drip(Duration),
    /// Carries this many bytes of the answer, and then closes the connection.
    Cut(usize),
    /// Ends TLS, and carries the bytes within.
    Tls(Arc<ServerConfig>),
}

impl Line {
    /// Creates a line without a fault.
    pub fn to(itoc360: &Itoc360) -> Self {
        Self::between(itoc360.address())
    }

    /// Creates a line without a fault to this address.
    pub fn between(to: SocketAddr) -> Self {
        // Bound and never listening, so that the port stays its own while it refuses connections.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let state = watch::Sender::new(State::Well);
        // Before anybody can connect, however late the task begins.
        let listener = try_listen(address).unwrap();
        let carrying = carry_all(socket, listener, to, state.subscribe());
        Self {
            address,
            state,
            carrying: tokio::spawn(carrying),
        }
    }

    /// Changes its state.
    pub fn is(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Returns the address at which it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the destination's URL.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Returns the URL with another scheme and another name of this machine.
    pub fn url_as(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}{PATH}", self.address.port())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry_all(
    socket: TcpSocket,
    listener: TcpListener,
    to: SocketAddr,
    mut state: watch::Receiver<State>,
) {
    let address = socket.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let now = state.borrow_and_update().clone();
        // Dropped with the next change, and so is every connection.
        let mut carrying = JoinSet::new();
        listener = match now {
            State::Refused => None,
            _ if listener.is_some() => listener,
            _ => Some(listen(address).await),
        };
        loop {
            tokio::select! {
                stream = accept(listener.as_ref()) => {
                    carrying.spawn(carry(stream, to, now.clone()));
                }
                changed = state.changed() => {
                    changed.unwrap();
                    break;
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

/// Binds a port again. A program that was starting when the port was closed may hold it for a
/// moment.
async fn listen(address: SocketAddr) -> TcpListener {
    let mut moment = tokio::time::interval(Duration::from_millis(5));
    loop {
        moment.tick().await;
        if let Ok(listener) = try_listen(address) {
            return listener;
        }
    }
}

fn try_listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Carries bytes until either side leaves, or the line changes.
async fn carry(mut stream: TcpStream, to: SocketAddr, state: State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match state {
        State::Well => {
            copy_bidirectional(&mut stream, &mut TcpStream::connect(to).await?).await?;
        }
        State::Refused | State::Silent => std::future::pending().await,
        State::Reset => {
            stream.read_u8().await?;
            stream.set_zero_linger()?;
        }
        State::Drip(pause) => answer(stream, to, usize::MAX, Some(pause)).await?,
        State::Cut(bytes) => answer(stream, to, bytes, None).await?,
        State::Tls(config) => {
            let mut stream = TlsAcceptor::from(config).accept(stream).await?;
            copy_bidirectional(&mut stream, &mut TcpStream::connect(to).await?).await?;
        }
    }
    Ok(())
}

/// Carries requests as they are, and this many bytes of the answers.
async fn answer(
    stream: impl AsyncRead + AsyncWrite,
    to: SocketAddr,
    bytes: usize,
    pause: Option<Duration>,
) -> io::Result<()> {
    let (mut theirs_in, mut theirs_out) = split(stream);
    let (mut ours_in, mut ours_out) = TcpStream::connect(to).await?.into_split();
    let answering = async {
        let mut tick = pause.map(tokio::time::interval);
        for _ in 0..bytes {
            if let Some(tick) = &mut tick {
                tick.tick().await;
            }
            let byte = ours_in.read_u8().await?;
            theirs_out.write_u8(byte).await?;
        }
        theirs_out.shutdown().await
    };
    tokio::select! {
        done = answering => done,
        done = async { copy(&mut theirs_in, &mut ours_out).await.map(drop) } => done,
    }
}
