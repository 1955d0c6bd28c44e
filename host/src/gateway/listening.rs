//! Opening the gateway's listeners, with advice where an address cannot be had.

use std::io::ErrorKind;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::config::{Listen, TlsFiles};
use crate::http::{Following, Listener, Socket, Tls, UnixSocket};
use crate::metrics::Metrics;

/// A listener that no task serves yet.
pub struct Opened {
    /// The listener.
    pub listener: Listener,
    /// The task that follows the files of its certificate.
    pub certificate: Option<Following>,
}

/// Opens the listener of `key` in `[gateway]`, with the task that follows its certificate's files.
pub async fn open(
    listen: &Listen,
    files: Option<&TlsFiles>,
    key: &'static str,
    metrics: &Metrics,
) -> anyhow::Result<Opened> {
    let tls = files
        .map(|files| Tls::load(files, key, metrics))
        .transpose();
    let (tls, certificate) = tls
        .with_context(|| format!("`{key}` in [gateway] cannot speak TLS"))?
        .unzip();
    let socket = bind(listen, key).await?;
    Ok(Opened {
        listener: Listener { socket, tls },
        certificate,
    })
}

/// A socket at the address that the operator wrote for `key` in `[gateway]`.
///
/// # Errors
/// Where something else is there, or the address is not one that the gateway may have.
pub async fn bind(listen: &Listen, key: &str) -> anyhow::Result<Socket> {
    let bound = match listen {
        Listen::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
        Listen::Unix { path, mode } => UnixSocket::bind(path, *mode).map(Socket::Unix),
    };
    bound.map_err(|error| {
        let is_unix = listen.address().is_none();
        let help = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::NotFound if is_unix => {
                "its folder must exist and be the gateway's own; \
                a systemd unit makes one with RuntimeDirectory=alert-gateway"
                    .to_owned()
            }
            ErrorKind::PermissionDenied => {
                "a port below 1024 needs the capability CAP_NET_BIND_SERVICE, \
                and in a systemd unit PrivateUsers=no with it"
                    .to_owned()
            }
            ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address; choose another for `{key}`")
            }
            _ => {
                format!("is another program there? Choose another address for `{key}` in [gateway]")
            }
        };
        anyhow::Error::new(error).context(format!("cannot listen at {listen}: {help}"))
    })
}
