//! The line between the gateway and ITOC360, which can go wrong without either of them knowing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use itoc360_double::PATH;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Itoc360;

/// A line of its own to an ITOC360. Where it is changed, what runs over it breaks, and new connections meet the change.
pub struct Line {
    address: SocketAddr,
    state: watch::Sender<State>,
    carrying: JoinHandle<()>,
}

/// How a line is.
#[derive(Debug, Clone)]
pub enum State {
    /// It carries every byte both ways.
    Well,
    /// It refuses connections.
    Refused,
    /// It takes connections, and says nothing ever.
    Silent,
    /// It takes the beginning of a request, and then resets the connection.
    Reset,
    /// It carries the answer byte by byte, each after so long.
    Drip(Duration),
    /// It carries so many bytes of the answer, and then closes the connection.
    Cut(usize),
    /// It speaks TLS, and carries what is in it.
    Tls(Arc<ServerConfig>),
}

impl Line {
    /// A line that is well.
    pub fn to(itoc360: &Itoc360) -> Self {
        // Bound and never listening, so that the port stays its own while it refuses connections.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let state = watch::Sender::new(State::Well);
        let carrying = carry_all(socket, itoc360.address(), state.subscribe());
        Self { address, state, carrying: tokio::spawn(carrying) }
    }

    /// From now on it is so.
    pub fn is(&self, state: State) {
        self.state.send_replace(state);
    }

    /// What to configure as the destination's URL.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// The same under another scheme and another name for this machine.
    pub fn url_as(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}{PATH}", self.address.port())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry_all(socket: TcpSocket, to: SocketAddr, mut state: watch::Receiver<State>) {
    let address = socket.local_addr().unwrap();
    let mut listener = None;
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

/// A program that was just being started when the port was closed may hold it for a moment more.
async fn listen(address: SocketAddr) -> TcpListener {
    let mut moment = tokio::time::interval(Duration::from_millis(5));
    loop {
        moment.tick().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        if let Ok(listener) = socket.bind(address).and_then(|()| socket.listen(1024)) {
            return listener;
        }
    }
}

/// Until either side leaves, or the line is changed.
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

/// Carries requests as they are, and of the answers so many bytes.
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
