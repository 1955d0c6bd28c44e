//! The connection of a test, one hop after the other: the name, the connection, TLS, the request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, SERVER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::{Hops, Tester};
use crate::config::{Listen, Network, Validity};
use crate::destinations::http::{AGENT, ClientTls};
use crate::hops::Hop;
use crate::intake::TEST_HEADER;
use crate::sources::Sample;

/// The time that each of the first hops may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time in which the request must be answered: longer than the disk may take for one.
const ANSWER: Duration = Duration::from_secs(40);
/// The most of an answer that is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// A connection of any kind.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}
type Stream = Box<dyn Wire>;

/// The answer to a test's request.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    /// The server that names itself.
    pub server: Option<String>,
    /// The id of the request, where the answer is a gateway's.
    pub request: Option<String>,
}

impl Tester {
    /// Posts a sample. `None` where it did not come to an answer, which was told then.
    pub(super) async fn post(
        &self,
        sample: &Sample,
        local: bool,
        number: &str,
        hops: &Hops,
    ) -> Option<Answered> {
        let url = parse(&sample.request.url, hops).await?;
        let stream = if local {
            self.connect_locally(&url, hops).await?
        } else {
            connect_publicly(&url, hops).await?
        };
        let bytes = sample.request.body.bytes().into_owned();
        let length = bytes.len();
        let to = shown(&url);
        let request = request(sample, &url, number, bytes);
        let what = format!("{length} bytes to {to}");
        send(stream, request, &what, hops).await
    }

    /// Connects to the listener itself.
    async fn connect_locally(&self, url: &Uri, hops: &Hops) -> Option<Stream> {
        let started = Instant::now();
        let connected: io::Result<Stream> = match &self.listen {
            Listen::Tcp(address) => TcpStream::connect(reachable(*address))
                .await
                .map(|stream| Box::new(stream) as Stream),
            Listen::Unix { path, .. } => UnixStream::connect(path)
                .await
                .map(|stream| Box::new(stream) as Stream),
        };
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                let found = format!("{} takes no connection: {error}", self.listen);
                hops.tell(Hop::failed(
                    "connection",
                    found,
                    "see the log of the gateway",
                ))
                .await;
                return None;
            }
        };
        let found = format!("{}, past the proxy", self.listen);
        hops.tell(Hop::passed("connection", found).after(started.elapsed()))
            .await;
        if self.speaks_tls {
            tls(
                host(url),
                stream,
                "name another certificate at tls in [gateway]",
                hops,
            )
            .await
        } else {
            Some(stream)
        }
    }
}

/// Sends a GET that carries `number` to this URL, as a sender would. `None` where it did not come to
/// an answer, which was told then.
pub async fn get(url: &str, number: &str, hops: &Hops) -> Option<Answered> {
    let url = parse(url, hops).await?;
    let stream = connect_publicly(&url, hops).await?;
    let request = bare(&url, Method::GET, number, Vec::new());
    send(stream, request, &format!("GET {}", shown(&url)), hops).await
}

async fn parse(url: &str, hops: &Hops) -> Option<Uri> {
    match url.parse() {
        Ok(url) => Some(url),
        Err(error) => {
            let found = format!("the URL of the source is none: {error}");
            let fix = "correct public_url in [gateway]";
            hops.tell(Hop::failed("request", found, fix)).await;
            None
        }
    }
}

/// Sends a request, and tells the hop.
async fn send(
    stream: Stream,
    request: Request<Full<Bytes>>,
    what: &str,
    hops: &Hops,
) -> Option<Answered> {
    let started = Instant::now();
    match timeout(ANSWER, exchange(stream, request)).await {
        Ok(Ok(answered)) => {
            let found = format!("{what}, answered {}", answered.status);
            hops.tell(Hop::passed("request", found).after(started.elapsed()))
                .await;
            Some(answered)
        }
        Ok(Err(error)) => {
            let found = format!("the connection broke before an answer came: {error}");
            let fix =
                "look at the log of what stands before the gateway: does it speak HTTP/1.1 there?";
            hops.tell(Hop::failed("request", found, fix)).await;
            None
        }
        Err(_) => {
            let found = format!("no answer within {} s", ANSWER.as_secs());
            let fix =
                "does the proxy reach the gateway? Compare its upstream with `listen` in [gateway]";
            hops.tell(Hop::failed("request", found, fix)).await;
            None
        }
    }
}

/// Connects as a sender does.
async fn connect_publicly(url: &Uri, hops: &Hops) -> Option<Stream> {
    let host = host(url);
    let is_tls = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let addresses = resolve(host, port, hops).await?;
    let stream = connect(host, &addresses, hops).await?;
    if is_tls {
        let fix = "senders refuse it as well: renew the certificate of what stands before the gateway, or have it send \
                   the whole chain";
        tls(host, Box::new(stream), fix, hops).await
    } else {
        Some(Box::new(stream))
    }
}

async fn resolve(host: &str, port: u16, hops: &Hops) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let started = Instant::now();
    let resolved = match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    match resolved {
        Ok(addresses) if !addresses.is_empty() => {
            let mut shown: Vec<_> = addresses.iter().map(|one| one.ip().to_string()).collect();
            shown.dedup();
            let found = format!("{host} is {}", shown.join(", "));
            hops.tell(Hop::passed("name", found).after(started.elapsed()))
                .await;
            Some(addresses)
        }
        failed => {
            let why = failed
                .err()
                .unwrap_or_else(|| "it has no address".to_owned());
            let found = format!("{host} is not found: {why}");
            let fix = "make a DNS record that leads to what stands before the gateway, or correct public_url in [gateway]";
            hops.tell(Hop::failed("name", found, fix)).await;
            None
        }
    }
}

async fn connect(host: &str, addresses: &[SocketAddr], hops: &Hops) -> Option<TcpStream> {
    let started = Instant::now();
    let mut why = String::new();
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let hop = Hop::passed("connection", address.to_string());
                hops.tell(hop.after(started.elapsed())).await;
                return Some(stream);
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no answer within {} s", PATIENCE.as_secs()),
        }
    }
    let found = format!("{host} takes no connection: {why}");
    let fix = "is the proxy running, and does a firewall let this machine connect to it? Some networks do not let a machine \
               reach its own public address: then test from another one, or here with --local";
    hops.tell(Hop::failed("connection", found, fix)).await;
    None
}

/// Speaks TLS, and judges the certificate as a sender does.
async fn tls(host: &str, stream: Stream, fix: &str, hops: &Hops) -> Option<Stream> {
    let started = Instant::now();
    let client = match ClientTls::new(host, &Network::default()) {
        Ok(client) => client,
        Err(error) => {
            hops.tell(Hop::failed("TLS", error.to_string(), "")).await;
            return None;
        }
    };
    let why = match timeout(PATIENCE, client.connect(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates();
            let validity = certificate
                .and_then(|chain| chain.first())
                .and_then(Validity::of);
            let until = match validity.map(|validity| (validity.end(), validity.ends_soon())) {
                Some((end, Some(left))) => format!(", which expires in {left}, at {end}: renew it"),
                Some((end, None)) => format!(", which expires at {end}"),
                None => String::new(),
            };
            let found = format!("with a certificate for {host}{until}");
            hops.tell(Hop::passed("TLS", found).after(started.elapsed()))
                .await;
            return Some(Box::new(stream));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    hops.tell(Hop::failed("TLS", format!("{host}: {why}"), fix))
        .await;
    None
}

fn request(sample: &Sample, url: &Uri, number: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let method = sample.request.method.parse().unwrap_or(Method::POST);
    let mut request = bare(url, method, number, body);
    let headers = request.headers_mut();
    for (name, value) in &sample.request.headers {
        // Latin-1, so no character is above 0xff.
        let value: Vec<u8> = value.chars().map(|char| char as u8).collect();
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value),
        ) {
            if name == USER_AGENT {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
    }
    request
}

/// Returns a request without a sender's headers.
fn bare(url: &Uri, method: Method, number: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = method;
    // Only the path: the other side is no forward proxy.
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let fixed = [
        (USER_AGENT, AGENT),
        (HOST, authority),
        (HeaderName::from_static(TEST_HEADER), number),
    ];
    for (name, value) in fixed {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    request
}

async fn exchange(stream: Stream, request: Request<Full<Bytes>>) -> hyper::Result<Answered> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let server = answer.headers().get(SERVER);
    let server = server
        .and_then(|server| server.to_str().ok())
        .map(|server| server.chars().take(64).collect());
    // What breaks off says nothing.
    let body = Limited::new(answer.into_body(), ANSWER_BYTES)
        .collect()
        .await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    driving.abort();
    Ok(Answered {
        status,
        server,
        request: json["request"].as_str().map(str::to_owned),
    })
}

/// Returns the address at which this machine reaches a listener.
fn reachable(mut listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        listening.set_ip(match listening.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listening
}

fn host(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// Returns a URL without its query, which may hold a token.
fn shown(url: &Uri) -> String {
    let text = url.to_string();
    text.split('?').next().unwrap_or_default().to_owned()
}
