//! `admin` and its guards: the listener for the operator's monitoring, and the clients that it
//! answers.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::network::LOOPBACK;
use super::raw::{Table, Value};
use super::secret::Secret;
use super::tls::{self, TlsFiles};
use super::users::Users;

/// The default place: no other machine reaches it, so that it may be asked without a credential.
pub const ADMIN: SocketAddr = SocketAddr::new(LOOPBACK, 9090);

/// The listener for metrics, health and operators' pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address. Default [`ADMIN`].
    pub address: SocketAddr,
    /// Any one of these opens it; none where it asks for none. Default none.
    pub tokens: Vec<Secret>,
    /// The files with which it speaks TLS and, where they name a `client_ca`, asks its clients for
    /// a certificate. Default none.
    pub tls: Option<TlsFiles>,
    /// The names, in lower case, by which it may be addressed besides IP addresses and `localhost`.
    /// Default none.
    pub hosts: Vec<String>,
    /// The people who use it, as `[admin]` has them.
    pub users: Users,
}

/// Reads the keys of `[gateway]` that begin with `admin`. `Some(None)` means that there is to be no
/// such listener.
pub(super) fn read(
    table: &mut Table<'_>,
    listen: Option<SocketAddr>,
    users: Option<Users>,
) -> Option<Option<Admin>> {
    let written = table.value("admin");
    let tokens = table.optional("admin_token", Vec::new(), |value| value.tokens());
    let tls = table.optional("admin_tls", None, |value| tls::read(&value, true).map(Some));
    let hosts = table.optional("admin_hosts", Vec::new(), |value| hosts(&value));
    // What is wrong with a guard is told already, and then it is not called missing.
    let knows_clients = tls
        .as_ref()
        .is_none_or(|tls| tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()));
    let guarded = knows_clients
        || tokens.as_ref().is_none_or(|tokens| !tokens.is_empty())
        || users.as_ref().is_none_or(|users| !users.is_empty());
    let speaks_tls = tls.as_ref().is_none_or(Option::is_some);
    let address = match written {
        None => {
            default_is_free(table, listen)?;
            Some(ADMIN)
        }
        Some(value) if value.string()? == Some("off") => None,
        Some(value) => {
            let address = value.address("127.0.0.1:9090")?;
            judge(&value, address, listen, guarded, speaks_tls)?;
            Some(address)
        }
    };
    let tokens = tokens?;
    let tls = tls?;
    let hosts = hosts?;
    let users = users?;
    Some(address.map(|address| Admin {
        address,
        tokens,
        tls,
        hosts,
        users,
    }))
}

/// Reports a clash of `listen` with this listener's default port.
fn default_is_free(table: &mut Table<'_>, listen: Option<SocketAddr>) -> Option<()> {
    if !listen.is_some_and(|listen| clash(listen, ADMIN)) {
        return Some(());
    }
    let found = format!(
        "listen in {} has the port of admin, which is {ADMIN} by default",
        table.name
    );
    let help = "choose another port, or write admin = \"127.0.0.1:9091\" or admin = \"off\"";
    // The default of `listen` has another port, so it was written.
    table.value("listen")?.problem(found, help);
    None
}

/// Judges the place of the listener; `guarded` is true if it asks its clients for a proof.
fn judge(
    value: &Value<'_>,
    address: SocketAddr,
    listen: Option<SocketAddr>,
    guarded: bool,
    speaks_tls: bool,
) -> Option<()> {
    let text = address.to_string();
    if listen.is_some_and(|listen| clash(listen, address)) {
        value.wrong_text(&text, "listen has that port already; choose another");
        return None;
    }
    if address.ip().is_loopback() {
        return Some(());
    }
    if !guarded {
        let help = "nobody who reaches it is asked who they are: put it on loopback, like \"127.0.0.1:9090\", or add \
            admin_token = { env = \"ADMIN_TOKEN\" }, or [[admin.users]], or admin_tls with a client_ca";
        value.wrong_text(&text, help);
        return None;
    }
    if !speaks_tls {
        let help = "the token can be read on the way; add admin_tls = { cert = \"cert.pem\", key = \"key.pem\" }";
        value.warning(format!("{} is {text:?}, by plain http", value.label), help);
    }
    Some(())
}

/// Returns true if both cannot be listened on at once. Port 0 stands for any free one.
fn clash(listen: SocketAddr, admin: SocketAddr) -> bool {
    let anywhere = listen.ip().is_unspecified() || admin.ip().is_unspecified();
    listen.port() != 0 && listen.port() == admin.port() && (listen.ip() == admin.ip() || anywhere)
}

/// One name, or a list of them.
fn hosts(value: &Value<'_>) -> Option<Vec<String>> {
    let DeValue::Array(list) = value.value else {
        return Some(vec![host(value)?]);
    };
    // Every one is read before any is given up, so that every problem is told.
    let hosts: Vec<_> = list.iter().map(|one| host(&value.item(one))).collect();
    hosts.into_iter().collect()
}

fn host(value: &Value<'_>) -> Option<String> {
    let text = value.text("gateway.internal")?;
    let within = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || !text.bytes().all(within) {
        value.wrong_text(
            text,
            "write a host's name without a port, like \"gateway.internal\"",
        );
        return None;
    }
    Some(text.to_ascii_lowercase())
}
