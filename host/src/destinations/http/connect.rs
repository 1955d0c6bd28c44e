//! Connections: plain or over TLS, with limits, and kept for reuse.
//!
//! A destination sees them as a [`Pool`], so that a test can bring those of a simulated network.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::ANSWER_MAX_BYTES;
use super::network::{self, Resolver};
use crate::config::Network;
use crate::destinations::kind::NotUsable;

/// The time a TCP connection may take. The TLS handshake counts towards the request's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time an unused connection is kept: less than the 60 s after which load balancers usually
/// drop one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that a connection reads ahead, and the most that the head of an answer may take: as
/// much as of its body is read, and not the six times as much that is hyper's default.
const BUFFER_MAX_BYTES: usize = ANSWER_MAX_BYTES;

/// The idle time after which TCP asks whether a silent peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The time after which an HTTP/2 connection with requests on it is asked whether it still lives,
/// and the time it has to say so. One that is silent would take every request with it, whereas an
/// HTTP/1.1 connection is given up with the one request that it carries.
const PING: Duration = Duration::from_secs(5);

/// Sends a request over one of its connections, or a new one.
pub(crate) trait Pool: Send + Sync {
    /// The head of the answer, with its body to be read.
    fn request(&self, request: Request<Full<Bytes>>) -> Answering;
}

/// An answer on its way.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, NoAnswer>> + Send>>;

/// The reason why no answer came.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// True if there was a connection.
    pub(crate) connected: bool,
    pub(crate) cause: Box<dyn Error + Send + Sync>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Pool for Client<C, Full<Bytes>> {
    fn request(&self, request: Request<Full<Bytes>>) -> Answering {
        let answering = self.request(request);
        Box::pin(async {
            answering.await.map_err(|error| NoAnswer {
                connected: !error.is_connect(),
                cause: error.into(),
            })
        })
    }
}

/// Returns connections of the real network to the host of `url`, up to `concurrency` of them kept
/// while idle.
pub(crate) fn pool(
    url: &Uri,
    concurrency: usize,
    network: &Network,
) -> Result<Box<dyn Pool>, NotUsable> {
    network::check_literal(url, network)?;
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(network));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    Ok(match network::proxy(url, network)? {
        None => client(over_tls(tcp, url, concurrency, network)?, concurrency),
        Some(proxy) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            client(over_tls(tunnel, url, concurrency, network)?, concurrency)
        }
    })
}

/// Returns the pool over the connections that `connector` makes.
pub(crate) fn client<C>(connector: C, concurrency: usize) -> Box<dyn Pool>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let mut client = Client::builder(TokioExecutor::new());
    client
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(concurrency.max(1))
        .http1_max_buf_size(BUFFER_MAX_BYTES)
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .http2_initial_stream_window_size(BUFFER_MAX_BYTES as u32)
        .http2_max_header_list_size(BUFFER_MAX_BYTES as u32)
        // The default, named because delivery stands on it: only a request that was never written
        // goes out again.
        .retry_canceled_requests(true);
    Box::new(client.build::<_, Full<Bytes>>(connector))
}

/// Makes connections TLS ones: of HTTP/2 where the peer offers it and several requests may be under
/// way. One at a time gains nothing by it, and HTTP/1.1 gives the reason why a connection broke. The
/// machine's authorities are files to read and parse: not worth it where nothing will be verified.
fn over_tls<C>(
    connector: C,
    url: &Uri,
    concurrency: usize,
    network: &Network,
) -> Result<HttpsConnector<C>, NotUsable> {
    let builder = HttpsConnectorBuilder::new();
    let builder = match url.scheme_str() {
        Some("https") => builder.with_tls_config(network::tls(network)?),
        _ => builder.with_webpki_roots(),
    };
    let builder = builder.https_or_http();
    Ok(match concurrency {
        0 | 1 => builder.enable_http1().wrap_connector(connector),
        _ => builder.enable_all_versions().wrap_connector(connector),
    })
}
