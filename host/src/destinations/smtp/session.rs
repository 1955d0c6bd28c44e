//! A session with a mail server: the connection, TLS, the login, and the meaning of each reply.
//!
//! STARTTLS is spoken here and not by the mail library, so that both ways to TLS verify the server
//! alike, and nothing that came before the handshake is read as if it came after it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpStream;

use super::super::http::{ClientTls, FORBIDDEN, NO_TLS, about_certificate, is_public};
use crate::alert::Outcome;
use crate::config::{self, Secret, SmtpTls};

/// The most of a reply that is read before TLS.
const REPLY_MAX_BYTES: u64 = 16 * 1024;
/// What stands for the greeting that was read already.
const GREETING: &[u8] = b"220 go on\r\n";

const LOGIN: &str = "check the user in url, and password";

/// The reason why a message was not taken.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) outcome: Outcome,
    /// The code of the reply, where there was one.
    pub(super) status: Option<u16>,
    /// The words of the reply.
    pub(super) said: String,
}

impl Trouble {
    pub(super) fn retry(why: String) -> Self {
        Self {
            outcome: Outcome::Retry {
                why,
                retry_after: None,
            },
            status: None,
            said: String::new(),
        }
    }

    fn blocked(why: String) -> Self {
        Self {
            outcome: Outcome::Blocked { why },
            ..Self::retry(String::new())
        }
    }

    /// Returns what a reply to `step` means, or the lack of one.
    fn reply(step: &str, status: Option<u16>, said: &str) -> Self {
        let Some(code) = status else {
            return Self::retry(format!("no answer to {step}: {said}"));
        };
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let why = format!("the mail server answered {code} to {step} ({words})");
        let outcome = match code {
            530 | 534 | 535 | 538 => Outcome::Blocked {
                why: format!("{why}: {LOGIN}"),
            },
            500.. => Outcome::Rejected { why },
            _ => Outcome::Retry {
                why,
                retry_after: None,
            },
        };
        Self {
            outcome,
            status,
            said: words,
        }
    }

    /// Turns a rejection into a held destination, because every alert would fare the same.
    pub(super) fn blocks(self, fix: &str) -> Self {
        let outcome = match self.outcome {
            Outcome::Rejected { why } => Outcome::Blocked {
                why: format!("{why}: {fix}"),
            },
            outcome => outcome,
        };
        Self { outcome, ..self }
    }

    pub(super) fn is_retry(&self) -> bool {
        matches!(self.outcome, Outcome::Retry { .. })
    }
}

/// A session after the greeting, and after TLS.
pub(super) struct Session(AsyncSmtpConnection);

impl Session {
    /// Connects, greets, and turns TLS on as it is configured.
    pub(super) async fn open(
        config: &config::Smtp,
        public_only: bool,
        tls: Option<&ClientTls>,
    ) -> Result<Self, Trouble> {
        let place = format!("{}:{}", config.host, config.port);
        let tcp = connect(&config.host, config.port, public_only)
            .await
            .map_err(|error| Trouble::retry(format!("cannot connect to {place}: {error}")))?;
        let peer = tcp.peer_addr().ok();
        let name = hello(&tcp);
        let stream: Box<dyn Wire> = match (config.tls, tls) {
            (SmtpTls::Implicit, Some(tls)) => encrypt(tls, tcp, &place).await?,
            (SmtpTls::StartTls | SmtpTls::Offered, Some(tls)) => {
                let (tcp, offered) = start_tls(tcp, &name).await?;
                if offered {
                    let stream = encrypt(tls, tcp, &place).await?;
                    return Self::greet(stream, peer, true, &name).await;
                }
                if config.tls == SmtpTls::StartTls {
                    return Err(Trouble::blocked(format!(
                        "{place} offers no STARTTLS, so nothing is sent: \
                        write smtps:// if the port speaks TLS from the first byte, or tls = \"off\""
                    )));
                }
                return Self::greet(Box::new(tcp), peer, true, &name).await;
            }
            _ => Box::new(tcp),
        };
        Self::greet(stream, peer, false, &name).await
    }

    async fn greet(
        wire: Box<dyn Wire>,
        peer: Option<SocketAddr>,
        is_greeted: bool,
        name: &ClientId,
    ) -> Result<Self, Trouble> {
        let ahead = if is_greeted { GREETING } else { b"" };
        let stream = Stream { wire, ahead, peer };
        match AsyncSmtpConnection::connect_with_transport(Box::new(stream), name).await {
            Ok(connection) => Ok(Self(connection)),
            Err(error) => Err(trouble("the greeting", &error)
                .blocks("check the host and the port in url, and whether it takes this client")),
        }
    }

    /// Logs in, where there is a login.
    pub(super) async fn log_in(&mut self, login: Option<&(String, Secret)>) -> Result<(), Trouble> {
        let Some((user, password)) = login else {
            return Ok(());
        };
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if self
            .0
            .server_info()
            .get_auth_mechanism(&mechanisms)
            .is_none()
        {
            return Err(Trouble::blocked(
                "the mail server offers no login by PLAIN or LOGIN: \
                leave user and password out, or name another server"
                    .to_owned(),
            ));
        }
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        match self.0.auth(&mechanisms, &credentials).await {
            Ok(_) => Ok(()),
            Err(error) => Err(trouble("AUTH", &error).blocks(LOGIN)),
        }
    }

    /// Sends a command, and returns the words of a positive reply.
    pub(super) async fn command(
        &mut self,
        step: &str,
        command: impl fmt::Display,
    ) -> Result<String, Trouble> {
        let reply = self.0.command(command).await;
        reply
            .map(|reply| reply.message().collect::<Vec<_>>().join(" "))
            .map_err(|error| trouble(step, &error))
    }

    /// Sends the message, and returns the words of a positive reply.
    pub(super) async fn message(&mut self, message: &[u8]) -> Result<String, Trouble> {
        let reply = self.0.message(message).await;
        reply
            .map(|reply| reply.message().collect::<Vec<_>>().join(" "))
            .map_err(|error| trouble("the message", &error))
    }

    /// Ends the session.
    pub(super) async fn quit(mut self) {
        self.0.abort().await;
    }
}

fn trouble(step: &str, error: &Error) -> Trouble {
    let mut said = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    if said.is_empty() {
        said = error.to_string();
    }
    Trouble::reply(step, error.status().map(u16::from), &said)
}

/// Connects to the first address that takes a connection.
async fn connect(host: &str, port: u16, public_only: bool) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        if public_only && !is_public(address.ip()) {
            last = io::Error::new(io::ErrorKind::PermissionDenied, FORBIDDEN);
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Names this client by its address, as RFC 5321 asks of one without a name of its own.
fn hello(tcp: &TcpStream) -> ClientId {
    let local = tcp.local_addr().map(|address| address.ip().to_canonical());
    match local {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

async fn encrypt(tls: &ClientTls, tcp: TcpStream, place: &str) -> Result<Box<dyn Wire>, Trouble> {
    match tls.connect(tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let mut why = format!("no TLS with {place}: {error}");
            if why.contains(NO_TLS) {
                why.push_str(
                    "; the port speaks no TLS from the first byte: write smtp:// for STARTTLS",
                );
            } else {
                why.push_str(about_certificate(&why));
            }
            Err(Trouble::retry(why))
        }
    }
}

/// Greets the server, and asks for TLS where it offers that. Returns whether it does.
async fn start_tls(tcp: TcpStream, name: &ClientId) -> Result<(TcpStream, bool), Trouble> {
    let mut tcp = BufReader::new(tcp);
    let fix = "check the host and the port in url";
    let said = reply(&mut tcp, "the greeting")
        .await
        .map_err(|trouble| trouble.blocks(fix));
    said?;
    let offers = exchange(&mut tcp, &format!("EHLO {name}")).await;
    let offers = offers.map_err(|trouble| trouble.blocks(fix))?;
    let offered = offers
        .lines()
        .any(|line| line.trim().eq_ignore_ascii_case("STARTTLS"));
    if offered {
        let begun = exchange(&mut tcp, "STARTTLS").await;
        begun.map_err(|trouble| trouble.blocks("the server starts no TLS"))?;
    }
    if !tcp.buffer().is_empty() {
        return Err(Trouble::retry(
            "the mail server said more before TLS than it was asked for".to_owned(),
        ));
    }
    Ok((tcp.into_inner(), offered))
}

async fn exchange(tcp: &mut BufReader<TcpStream>, command: &str) -> Result<String, Trouble> {
    let line = format!("{command}\r\n");
    let step = command.split(' ').next().unwrap_or(command);
    if let Err(error) = tcp.get_mut().write_all(line.as_bytes()).await {
        return Err(Trouble::reply(step, None, &error.to_string()));
    }
    reply(tcp, step).await
}

/// Reads a reply, and returns the words of a positive one, line by line.
async fn reply(tcp: &mut BufReader<TcpStream>, step: &str) -> Result<String, Trouble> {
    let broken = |why: &str| Trouble::reply(step, None, why);
    let mut words = String::new();
    let mut left = tcp.take(REPLY_MAX_BYTES);
    loop {
        let mut line = Vec::new();
        let read = left.read_until(b'\n', &mut line).await;
        read.map_err(|error| broken(&error.to_string()))?;
        let line = String::from_utf8_lossy(&line);
        let Some(line) = line.strip_suffix('\n') else {
            return Err(broken("the reply broke off, or is too long"));
        };
        let code = line
            .get(..3)
            .filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
        let Some(code) = code.and_then(|code| code.parse::<u16>().ok()) else {
            return Err(broken("what came is no reply of SMTP"));
        };
        let rest = line[3..].trim_end();
        words.push_str(rest.get(1..).unwrap_or_default());
        words.push('\n');
        if !rest.starts_with('-') {
            return if (200..400).contains(&code) {
                Ok(words)
            } else {
                Err(Trouble::reply(step, Some(code), &words))
            };
        }
    }
}

/// A connection, plain or over TLS.
trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug> Wire for T {}

/// A connection as the mail library wants it, which brings `ahead` before all else.
#[derive(Debug)]
struct Stream {
    wire: Box<dyn Wire>,
    ahead: &'static [u8],
    peer: Option<SocketAddr>,
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.wire).poll_read(context, buffer);
        }
        let (now, later) = self
            .ahead
            .split_at(self.ahead.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.ahead = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.wire).poll_write(context, bytes))?;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
