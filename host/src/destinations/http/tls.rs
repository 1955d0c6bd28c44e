//! TLS on a connection of one's own, verified like that of HTTP.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::network;
use crate::config::Network;
use crate::destinations::kind::NotUsable;

/// Turns connections to one host into TLS ones.
pub(crate) struct ClientTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl ClientTls {
    pub(crate) fn new(host: &str, network: &Network) -> Result<Self, NotUsable> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NotUsable::Host)?;
        let connector = TlsConnector::from(Arc::new(network::tls(network)?));
        Ok(Self { connector, name })
    }

    pub(crate) async fn connect<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), stream).await
    }
}
