//! The way to a destination: `egress`, `proxy`, `ca`, `client_cert` and `client_key`.

use std::path::PathBuf;

use crate::config::files::{Look, look};
use crate::config::raw::{Table, Value};
use crate::config::secret::Secret;

use super::super::word::word;

/// The way to a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `egress = "public"`: only addresses of the Internet may be reached, whatever a name stands
    /// for.
    pub public_only: bool,
    /// `http://user:password@host:port`, in place of `HTTPS_PROXY` and `NO_PROXY` of the
    /// environment.
    pub proxy: Option<Secret>,
    /// PEM: the authorities that vouch for the destination, in place of the machine's.
    pub ca: Option<PathBuf>,
    /// PEM: the certificate by which the gateway proves itself, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Network {
    /// Returns the files that it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.client.iter().flat_map(|(cert, key)| [cert, key]);
        self.ca.iter().chain(client)
    }
}

/// Reads the keys that every kind of destination has.
pub(super) fn read(table: &mut Table<'_>) -> Option<Network> {
    let name = table.name.clone();
    let span = table.span.clone();
    let public_only = table.optional("egress", false, |value| {
        word(&value, &[("any", false), ("public", true)])
    });
    let proxy = table.optional("proxy", None, |value| value.token().map(Some));
    let ca = table.optional("ca", None, |value| file(&value, "ca.pem"));
    let cert = table.optional("client_cert", None, |value| file(&value, "cert.pem"));
    let key = table.optional("client_key", None, |value| file(&value, "key.pem"));
    let public_only = public_only?;
    let proxy = proxy?;
    let ca = ca?;
    let cert = cert?;
    let key = key?;
    if public_only && proxy.is_some() {
        let found = format!("{name} has egress = \"public\" and a proxy");
        table.reading.problem(
            span,
            found,
            "the proxy resolves names, so have it forbid private addresses, and leave out egress",
        );
        return None;
    }
    let client = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            table.reading.problem(
                span,
                format!("{name} has one of client_cert and client_key"),
                "add the other",
            );
            return None;
        }
    };
    Some(Network {
        public_only,
        proxy,
        ca,
        client,
    })
}

fn file(value: &Value<'_>, example: &str) -> Option<Option<PathBuf>> {
    let written = value.text(example)?;
    let path = value.reading.path(written);
    // What is wrong with it shows when it is used.
    if let Look::Content(content) = look(&path) {
        value.reading.note_file(&path, content);
    }
    Some(Some(path))
}
