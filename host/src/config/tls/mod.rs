//! `tls = { cert = "…", key = "…" }`: the files by which a listener proves who it is, and, where there is a `client_ca`,
//! the authorities by which its clients do.
//!
//! They are read with the configuration, so that what is wrong with them is told at its line, and by the listener
//! whenever they change.

mod credentials;

use std::path::PathBuf;

pub use credentials::{Credentials, Pem, UnusableFile, UnusableFiles, Validity};

use super::exposed;
use super::raw::{Span, Table, Value};
use super::reading::Reading;

/// The files of a listener that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: its certificate, followed by those between it and an authority that clients know.
    pub cert: PathBuf,
    /// PEM: the certificate's private key, without a passphrase.
    pub key: PathBuf,
    /// PEM: the authorities, one of which must have issued the certificate of a client. Without it no client is asked
    /// for one.
    pub client_ca: Option<PathBuf>,
}

/// Reads `{ cert, key }`, and `client_ca` too where it `asks_clients`.
pub(super) fn read(value: &Value<'_>, asks_clients: bool, reading: &mut Reading) -> Option<TlsFiles> {
    let Some(entries) = value.value.as_table() else {
        value.wrong_type("write { cert = \"cert.pem\", key = \"key.pem\" }", reading);
        return None;
    };
    let mut table = Table::new(value.label.clone(), value.span.clone(), Some(entries));
    let cert = table.required("cert", "cert = \"cert.pem\"", |value| file(value, "cert.pem", reading));
    let key = table.required("key", "key = \"key.pem\"", |value| file(value, "key.pem", reading));
    let client_ca = match asks_clients {
        true => table.optional("client_ca", None, |value| file(value, "client-ca.pem", reading).map(Some)),
        false => Some(None),
    };
    table.finish(reading);
    let ((cert, cert_span), (key, key_span), client_ca) = (cert?, key?, client_ca?);
    let (client_ca, ca_span) = client_ca.unzip();
    let files = TlsFiles { cert, key, client_ca };
    // Who is not to know the secrets may not read the key either.
    if reading.stand_in.is_some() {
        return Some(files);
    }
    match files.read().and_then(|pem| files.understand(&pem)) {
        Ok(credentials) => {
            if let Some(objection) = credentials.validity.objection() {
                let found = format!("cert in {} names {}, which {objection}", value.label, files.cert.display());
                let help = "clients refuse it; a renewed one in its place is taken up without a restart";
                reading.warning(cert_span, found, help);
            }
            if std::fs::metadata(&files.key).is_ok_and(|metadata| exposed(&metadata)) {
                let (label, path) = (&value.label, files.key.display());
                let found = format!("key in {label} names {path}, which every user of this machine can read");
                reading.warning(key_span, found, "chmod o-r the file");
            }
            Some(files)
        }
        Err(UnusableFiles(unusable)) => {
            for UnusableFile { key, path, found, help } in unusable {
                let span = match key {
                    "cert" => &cert_span,
                    "key" => &key_span,
                    _ => ca_span.as_ref().unwrap_or(&value.span),
                };
                let found = format!("{key} in {} names {}, which {found}", value.label, path.display());
                reading.problem(span.clone(), found, help);
            }
            None
        }
    }
}

/// A file's name, and where it stands.
fn file(value: Value<'_>, example: &str, reading: &mut Reading) -> Option<(PathBuf, Span)> {
    let text = value.text(example, reading)?;
    // What should be in the file, in the place of its name: not to be shown.
    if text.contains("-----") || text.contains('\n') {
        let help = "write it to a file that only the gateway can read, and name that";
        reading.problem(value.span, format!("{} is not the name of a file", value.label), help);
        return None;
    }
    if text.is_empty() {
        value.wrong_text(text, "name a file in PEM", reading);
        return None;
    }
    Some((reading.path(text), value.span))
}
