//! Connections: plain or over TLS, with limits, and kept for reuse.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a TCP connection may take. The TLS handshake counts towards the request's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept: less than the 60 s after which load balancers usually drop one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// When TCP begins to ask whether a silent peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// A client that keeps up to `concurrency` idle connections.
pub(super) fn client(https: bool, concurrency: usize) -> Client<Connector, Full<Bytes>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(concurrency.max(1))
        // The default, named because delivery stands on it: only a request that was never written goes out again.
        .retry_canceled_requests(true)
        .build(roots(https).https_or_http().enable_http1().wrap_connector(tcp))
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
