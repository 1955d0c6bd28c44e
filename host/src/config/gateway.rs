//! `[gateway]`: the gateway's addresses, its public name, and its folder for requests and alerts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::admin::{self, Admin};
use super::heartbeat::{self, Heartbeat};
use super::name;
use super::network::{LOOPBACK, Networks};
use super::plugin_keys::{self, PluginKey};
use super::quantity::{GIB, HOUR, MIB};
use super::raw::{Table, Value};
use super::tls::{self, TlsFiles};
use super::traces::{self, Traces};
use super::url::PublicUrl;
use super::users::Users;
use super::word::word;

/// A reverse proxy with TLS stands in front, so by default nothing outside the machine reaches the
/// gateway itself.
pub const LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8080);
/// Room for the slowest answer of a destination, and less than what systemd waits before it kills.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Room for some 1,300 requests at a time.
pub const MEMORY: usize = 256 * MIB;

/// The longest path of a Unix socket, which the system takes.
const LONGEST_SOCKET_PATH: usize = 107;
/// The permissions of a Unix socket: for the gateway's user, and for its group, in which the proxy
/// is.
const LISTEN_MODE: u32 = 0o660;

/// The meaning of `[gateway]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The address for senders' requests. Default [`LISTEN`].
    pub listen: Listen,
    /// The TLS certificate and key of that address. Default none: plain HTTP, for a proxy in front
    /// that ends TLS.
    pub tls: Option<TlsFiles>,
    /// The trusted proxies: peers that may name their client in `X-Forwarded-For`. Default none.
    pub trusted_proxies: Networks,
    /// The same place as senders see it.
    pub public_url: PublicUrl,
    /// Metrics, health and operators' pages; `None` for `"off"`.
    pub admin: Option<Admin>,
    /// The folder where requests and alerts are kept. A relative path starts at the configuration
    /// file's folder, not at the folder that the gateway happens to be started in. Default `data`.
    pub data_dir: PathBuf,
    /// The time requests and deliveries in flight may take to end when the gateway is told to stop.
    /// Default [`SHUTDOWN_GRACE`].
    pub shutdown_grace: Duration,
    /// The name of the destination at which the operator hears of trouble with the others, and with
    /// the store. It exists. None by default: then the log and the metrics tell.
    pub operator_destination: Option<String>,
    /// The heartbeat that the gateway sends. Default none.
    pub heartbeat: Option<Heartbeat>,
    /// The place where spans go. Default nowhere.
    pub traces: Option<Traces>,
    /// The keys by which fetched plugins must be signed. None by default: their digests suffice.
    pub plugin_keys: Vec<PluginKey>,
    /// The folder of fetched plugins. Default `plugins` within `data_dir`.
    pub plugin_store: PathBuf,
    /// The way in which a reload judges a changed plugin. Default [`ReloadMode::Lenient`].
    pub reload: ReloadMode,
    /// The most bytes that senders can make the gateway hold: a sixth for requests, the rest for
    /// connections. Alerts that wait on disk are not counted: of these a destination has a bounded
    /// window in memory. Default [`MEMORY`], or more where the largest body and output of a source
    /// need it: [`BODIES`], [`OUTPUTS`].
    pub memory: usize,
    /// True if the value was written, and so does not follow the sources.
    pub memory_is_written: bool,
}

/// The way in which a reload judges a plugin that fails on stored requests, unlike the one in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReloadMode {
    /// The plugin is used, with a warning.
    #[default]
    Lenient,
    /// The reload is refused.
    Strict,
}

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address of the network.
    Tcp(SocketAddr),
    /// A Unix socket, for a proxy on this machine.
    Unix {
        /// Its file.
        path: PathBuf,
        /// The permissions of that file. Default [`LISTEN_MODE`].
        mode: u32,
    },
}

impl Listen {
    /// Returns the address of the network; none for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix { .. } => None,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Returns the largest body for which this memory of a gateway has room.
pub fn largest_body(memory: usize) -> usize {
    memory / BODIES
}

/// Returns the largest output for which this memory has room beside such a body.
pub fn largest_output(memory: usize, body: usize) -> usize {
    (memory / OUTPUTS).saturating_sub(body)
}

/// The least memory of a gateway, in largest bodies. Requests get a sixth of it, and a body counts
/// twice there. A source can take at most half of that sixth and one request more; beside it a
/// request of another source must still fit.
pub(super) const BODIES: usize = 56;
/// The least memory of a gateway, in largest outputs with their bodies: half of what requests get
/// must have room for one. Few are as large, so that it need not be more.
pub(super) const OUTPUTS: usize = 12;

/// Reads `[gateway]`. `users` are those of `[admin]`; `None` where they have a problem.
/// `destinations` are the names of those that were written; `None` where they
/// are not to be judged.
///
/// # Errors
/// The gateway with an assumption in the place of each unreadable value, so that the rest can be
/// judged in the same pass.
pub(super) fn read(
    mut table: Table<'_>,
    users: Option<Users>,
    destinations: Option<&[&str]>,
) -> Result<Gateway, Box<Gateway>> {
    let reading = table.reading;
    let listen = listen(&mut table);
    let tls = table.optional("tls", None, |value| tls::read(&value, false).map(Some));
    let trusted_proxies = table.optional("trusted_proxies", Networks::default(), |value| {
        trusted(&value)
    });
    // Files that cannot be used are a problem already; TLS is meant nevertheless.
    let speaks_tls = tls.as_ref().is_none_or(Option::is_some);
    let public_url = table.required(
        "public_url",
        "public_url = \"https://alerts.example.com\"",
        |value| value.public_url(speaks_tls),
    );
    let address = listen.as_ref().and_then(Listen::address);
    let admin = admin::read(&mut table, address, users);
    let data_dir = table.optional("data_dir", reading.path("data"), |value| {
        // A folder that is not known is not to be taken for the usual one.
        let is_unset = |name: &str| reading.stand_in.is_some() && (reading.env)(name).is_none();
        if value.variable().is_some_and(is_unset) {
            value.problem(
                format!(
                    "{} names an environment variable that is not set",
                    value.label
                ),
                "set it for this command as for the gateway's process",
            );
            return None;
        }
        folder(&value, "data")
    });
    let shutdown_grace = table.optional("shutdown_grace", SHUTDOWN_GRACE, |value| {
        value.duration(&(Duration::ZERO..=HOUR))
    });
    let operator_destination =
        table.optional("operator_destination", None, |value| match destinations {
            Some(known) => name::of_destination(&value, known).map(Some),
            None => Some(None),
        });
    let heartbeat = table.optional("heartbeat", None, |value| heartbeat::read(&value).map(Some));
    let traces = table.optional("traces", None, |value| traces::read(&value).map(Some));
    let memory_is_written = table.entries().any(|(key, _)| key.get_ref() == "memory");
    let memory = table.optional("memory", MEMORY, |value| value.size(&(16 * MIB..=64 * GIB)));
    let plugin_keys = table.optional("plugin_keys", Vec::new(), |value| plugin_keys::read(&value));
    let plugin_store = table.optional("plugin_store", None, |value| {
        folder(&value, "plugins").map(Some)
    });
    let modes = [
        ("strict", ReloadMode::Strict),
        ("lenient", ReloadMode::Lenient),
    ];
    let reload = table.optional("reload", ReloadMode::default(), |value| {
        word(&value, &modes)
    });
    table.finish();
    let whole = listen.is_some()
        && tls.is_some()
        && trusted_proxies.is_some()
        && public_url.is_some()
        && admin.is_some()
        && data_dir.is_some()
        && shutdown_grace.is_some()
        && operator_destination.is_some()
        && heartbeat.is_some()
        && traces.is_some()
        && plugin_keys.is_some()
        && plugin_store.is_some()
        && reload.is_some()
        && memory.is_some();
    let data_dir = data_dir.unwrap_or_else(|| reading.path("data"));
    let gateway = Gateway {
        listen: listen.unwrap_or(Listen::Tcp(LISTEN)),
        tls: tls.unwrap_or_default(),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        public_url: public_url.unwrap_or_else(PublicUrl::unknown),
        admin: admin.unwrap_or_default(),
        plugin_keys: plugin_keys.unwrap_or_default(),
        plugin_store: plugin_store
            .flatten()
            .unwrap_or_else(|| data_dir.join("plugins")),
        data_dir,
        shutdown_grace: shutdown_grace.unwrap_or(SHUTDOWN_GRACE),
        operator_destination: operator_destination.unwrap_or_default(),
        heartbeat: heartbeat.unwrap_or_default(),
        traces: traces.unwrap_or_default(),
        reload: reload.unwrap_or_default(),
        memory: memory.unwrap_or(MEMORY),
        memory_is_written: memory_is_written && memory.is_some(),
    };
    if whole {
        Ok(gateway)
    } else {
        Err(Box::new(gateway))
    }
}

/// Reads the path of a folder.
fn folder(value: &Value<'_>, example: &str) -> Option<PathBuf> {
    let text = value.text(example)?;
    if text.is_empty() {
        value.wrong_text(text, "name a folder");
        return None;
    }
    Some(value.reading.path(text))
}

/// Reads `listen` and, for a Unix socket, `listen_mode`.
fn listen(table: &mut Table<'_>) -> Option<Listen> {
    let listen = table.optional("listen", Listen::Tcp(LISTEN), |value| {
        let Some(path) = value.string()?.and_then(|text| text.strip_prefix("unix:")) else {
            return value.address("127.0.0.1:8080").map(Listen::Tcp);
        };
        if path.is_empty() || path.len() > LONGEST_SOCKET_PATH {
            let help = format!(
                "write a path of at most {LONGEST_SOCKET_PATH} bytes, like \"unix:/run/alert-gateway/in.sock\""
            );
            value.wrong_text(&format!("unix:{path}"), help);
            return None;
        }
        Some(Listen::Unix { path: value.reading.path(path), mode: LISTEN_MODE })
    });
    let mode = table.optional("listen_mode", None, |value| {
        let text = value.text("660")?;
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777 && mode & 0o600 == 0o600);
        if mode.is_none() {
            value.wrong_text(
                text,
                "write permissions as three octal digits, like \"660\"",
            );
        } else if !matches!(listen, Some(Listen::Unix { .. }) | None) {
            let found = format!("{} is written, and listen is no Unix socket", value.label);
            value.warning(
                found,
                "leave it out, or write listen = \"unix:/run/alert-gateway/in.sock\"",
            );
        }
        mode.map(Some)
    })?;
    Some(match (listen?, mode) {
        (Listen::Unix { path, .. }, Some(mode)) => Listen::Unix { path, mode },
        (listen, _) => listen,
    })
}

fn trusted(value: &Value<'_>) -> Option<Networks> {
    let networks = value.networks("10.0.0.0/8")?;
    if networks.contain_everybody() {
        let found = format!("{} is everybody", value.label);
        value.warning(
            found,
            "any client can then claim any address; name your proxies alone",
        );
    }
    Some(networks)
}

impl Value<'_> {
    /// Returns an IP address and a port.
    pub(super) fn address(&self, example: &str) -> Option<SocketAddr> {
        let text = self.text(example)?;
        let address = text.parse().ok();
        if address.is_none() {
            self.wrong_text(
                text,
                format!("write an IP address and a port, like {example:?}"),
            );
        }
        address
    }
}
