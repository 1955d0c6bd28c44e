//! Connections: plain or over TLS, with limits, and kept for reuse.
//!
//! A destination sees them as a [`Pool`], so that a test can bring those of a simulated network.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a TCP connection may take. The TLS handshake counts towards the request's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept: less than the 60 s after which load balancers usually drop one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that a connection reads ahead, and the most that the head of an answer may take: as much as of its body is
/// read, and not the six times as much that is hyper's default.
const BUFFER_MAX_BYTES: usize = super::ANSWER_MAX_BYTES;

/// When TCP begins to ask whether a silent peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Sends a request over one of its connections, or a new one.
pub(crate) trait Pool: Send + Sync {
    /// The head of the answer, with its body to be read.
    fn request(&self, request: Request<Full<Bytes>>) -> Answering;
}

/// An answer on its way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<Incoming>, NoAnswer>> + Send>>;

/// Why no answer came.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// Whether there was a connection.
    pub(crate) connected: bool,
    pub(crate) cause: Box<dyn Error + Send + Sync>,
}

impl Pool for Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    fn request(&self, request: Request<Full<Bytes>>) -> Answering {
        let answering = self.request(request);
        Box::pin(async {
            answering.await.map_err(|error| NoAnswer { connected: !error.is_connect(), cause: error.into() })
        })
    }
}

/// Connections of the real network, up to `concurrency` of them kept while idle.
pub(crate) fn pool(https: bool, concurrency: usize) -> impl Pool {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(concurrency.max(1))
        .http1_max_buf_size(BUFFER_MAX_BYTES)
        // The default, named because delivery stands on it: only a request that was never written goes out again.
        .retry_canceled_requests(true)
        .build::<_, Full<Bytes>>(roots(https).https_or_http().enable_http1().wrap_connector(tcp))
}

/// The machine's own certificate authorities, so that an operator's private one counts; Mozilla's where the machine has
/// none, as in an empty container.
fn roots(https: bool) -> HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes> {
    // The machine's are files to read and parse: not worth it where nothing will be verified.
    if !https {
        return HttpsConnectorBuilder::new().with_webpki_roots();
    }
    HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|error| {
        tracing::info!(%error, "the machine has no certificate authorities of its own; Mozilla's are used");
        HttpsConnectorBuilder::new().with_webpki_roots()
    })
}
