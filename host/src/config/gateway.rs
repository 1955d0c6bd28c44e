//! `[gateway]`: where the gateway listens, what it is called outside, and where it keeps what it took.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::quantity::{GIB, HOUR, MIB};
use super::raw::{Table, Value};
use super::reading::Reading;
use super::url::PublicUrl;

/// A reverse proxy with TLS stands in front, so by default nothing outside the machine reaches the gateway itself.
pub const LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8080);
/// Metrics and health ask for no credential, hence loopback.
pub const ADMIN: SocketAddr = SocketAddr::new(LOOPBACK, 9090);
/// Room for the slowest answer of a destination, and less than what systemd waits before it kills.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Room for some 1,300 requests at a time.
pub const MEMORY: usize = 256 * MIB;

const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// What `[gateway]` means.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Where senders' requests are taken. Default [`LISTEN`].
    pub listen: SocketAddr,
    /// The same place as senders see it.
    pub public_url: PublicUrl,
    /// Metrics and health: a loopback address, or `None` for `"off"`. Default [`ADMIN`].
    pub admin: Option<SocketAddr>,
    /// Where requests and alerts are kept. A relative path starts at the configuration file's folder, not at the folder
    /// that the gateway happens to be started in. Default `data`.
    pub data_dir: PathBuf,
    /// How long requests and deliveries in flight may take to end when the gateway is told to stop. Default
    /// [`SHUTDOWN_GRACE`].
    pub shutdown_grace: Duration,
    /// The most bytes that senders can make the gateway hold: a sixth for requests, the rest for connections. Default
    /// [`MEMORY`], or [`BODIES`] times the largest body of a source, where that is more.
    pub memory: usize,
}

/// How many of the largest bodies a gateway's memory must be. Requests get a sixth of it, a body counts twice there, and
/// beside a source that takes all it can get, which is half and one request more, one of another source must still fit.
pub(super) const BODIES: usize = 56;

/// Reads `[gateway]`.
pub(super) fn read(mut table: Table<'_>, reading: &mut Reading) -> Option<Gateway> {
    let listen = table.optional("listen", LISTEN, |value| address(&value, "127.0.0.1:8080", reading));
    let public_url =
        table.required("public_url", "public_url = \"https://alerts.example.com\"", |value| value.public_url(reading));
    let admin = table.optional("admin", Some(ADMIN), |value| admin(&value, listen, reading));
    let data_dir = table.optional("data_dir", reading.path("data"), |value| {
        let text = value.text("data", reading)?;
        if text.is_empty() {
            value.wrong_text(text, "name a folder", reading);
            return None;
        }
        Some(reading.path(text))
    });
    let shutdown_grace =
        table.optional("shutdown_grace", SHUTDOWN_GRACE, |value| value.duration(&(Duration::ZERO..=HOUR), reading));
    let memory = table.optional("memory", MEMORY, |value| value.size(&(16 * MIB..=64 * GIB), reading));
    table.finish(reading);
    Some(Gateway {
        listen: listen?,
        public_url: public_url?,
        admin: admin?,
        data_dir: data_dir?,
        shutdown_grace: shutdown_grace?,
        memory: memory?,
    })
}

fn address(value: &Value<'_>, example: &str, reading: &mut Reading) -> Option<SocketAddr> {
    let text = value.text(example, reading)?;
    let address = text.parse().ok();
    if address.is_none() {
        value.wrong_text(text, format!("write an IP address and a port, like {example:?}"), reading);
    }
    address
}

fn admin(value: &Value<'_>, listen: Option<SocketAddr>, reading: &mut Reading) -> Option<Option<SocketAddr>> {
    if value.value.as_str() == Some("off") {
        return Some(None);
    }
    let address = address(value, "127.0.0.1:9090", reading)?;
    if !address.ip().is_loopback() {
        let help = "its pages ask for no credential, so put it on loopback, like \"127.0.0.1:9090\", or write \"off\"";
        value.wrong_text(&address.to_string(), help, reading);
        return None;
    }
    if listen.is_some_and(|listen| clash(listen, address)) {
        value.wrong_text(&address.to_string(), "listen has that port already; choose another", reading);
        return None;
    }
    Some(Some(address))
}

/// Whether both cannot be listened on at once. Port 0 stands for any free one.
fn clash(listen: SocketAddr, admin: SocketAddr) -> bool {
    listen.port() != 0 && listen.port() == admin.port() && (listen.ip() == admin.ip() || listen.ip().is_unspecified())
}
