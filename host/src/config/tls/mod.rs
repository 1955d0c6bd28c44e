//! `tls = { cert = "…", key = "…" }`: the files by which a listener proves itself, and, with
//! `client_ca`, the authorities for its clients' certificates.
//!
//! They are read with the configuration, so that a mistake in them is told at its line, and by the
//! listener whenever they change.

mod credentials;

use std::path::PathBuf;

pub use credentials::{Credentials, Pem, UnusableFile, UnusableFiles, Validity};

use super::exposed;
use super::problem::Span;
use super::raw::Value;
use super::reference::credential_path;

/// The files of a listener that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: its certificate, followed by those between it and an authority that clients know.
    pub cert: PathBuf,
    /// PEM: the certificate's private key, without a passphrase.
    pub key: PathBuf,
    /// PEM: the authorities, one of which must have issued the certificate of a client. Without it
    /// no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// Reads `{ cert, key }`, and `client_ca` too where the listener `asks_clients`.
pub(super) fn read(value: &Value<'_>, asks_clients: bool) -> Option<TlsFiles> {
    let Some(entries) = value.value.as_table() else {
        value.wrong_type("write { cert = \"cert.pem\", key = \"key.pem\" }");
        return None;
    };
    let reading = value.reading;
    let mut table = value.inner(entries);
    let cert = table.required("cert", "cert = \"cert.pem\"", |value| {
        file(value, "cert.pem")
    });
    let key = table.required("key", "key = \"key.pem\"", |value| file(value, "key.pem"));
    let client_ca = match asks_clients {
        true => table.optional("client_ca", None, |value| {
            file(value, "client-ca.pem").map(Some)
        }),
        false => Some(None),
    };
    table.finish();
    let ((cert, cert_span), (key, key_span), client_ca) = (cert?, key?, client_ca?);
    let (client_ca, ca_span) = client_ca.unzip();
    let files = TlsFiles {
        cert,
        key,
        client_ca,
    };
    // A reader that is not to know the secrets may not read the key either.
    if reading.stand_in.is_some() {
        return Some(files);
    }
    match files.read().and_then(|pem| files.understand(&pem)) {
        Ok(credentials) => {
            if let Some(objection) = credentials.validity.objection() {
                let found = format!(
                    "cert in {} names {}, which {objection}",
                    value.label,
                    files.cert.display()
                );
                let help =
                    "clients refuse it; a renewed one in its place is taken up without a restart";
                reading.warning(cert_span, found, help);
            } else if let Some(left) = credentials.validity.ends_soon() {
                let found = format!(
                    "cert in {} names {}, which expires in {left}",
                    value.label,
                    files.cert.display()
                );
                reading.warning(
                    cert_span,
                    found,
                    "renew it; a new one in its place is taken up without a restart",
                );
            }
            if std::fs::metadata(&files.key).is_ok_and(|metadata| exposed(&metadata)) {
                let label = &value.label;
                let path = files.key.display();
                let found = format!(
                    "key in {label} names {path}, which every user of this machine can read"
                );
                let help = "chown it to the user that the gateway runs as, or chgrp it to that user's group and chmod 0640; or \
                    write { credential = \"name\" }";
                reading.warning(key_span, found, help);
            }
            Some(files)
        }
        Err(UnusableFiles(unusable)) => {
            for UnusableFile {
                key,
                path,
                found,
                help,
            } in unusable
            {
                let span = match key {
                    "cert" => &cert_span,
                    "key" => &key_span,
                    _ => ca_span.as_ref().unwrap_or(&value.span),
                };
                let found = format!(
                    "{key} in {} names {}, which {found}",
                    value.label,
                    path.display()
                );
                reading.problem(span.clone(), found, help);
            }
            None
        }
    }
}

/// Reads the name of a file, or of a credential, and its place.
fn file(value: Value<'_>, example: &str) -> Option<(PathBuf, Span)> {
    if let Some(name) = value
        .value
        .as_table()
        .and_then(|table| table.get("credential")?.get_ref().as_str())
    {
        if value.reading.stand_in.is_some() {
            return Some((PathBuf::new(), value.span));
        }
        return match credential_path(name, value.reading) {
            Ok(path) => Some((path, value.span)),
            Err((found, help)) => {
                value.problem(format!("{} names {found}", value.label), help);
                None
            }
        };
    }
    let text = value.text(example)?;
    // The content of the file in the place of its name: not to be shown.
    if text.contains("-----") || text.contains('\n') {
        let help = "write it to a file that only the gateway can read, and name that";
        value.problem(format!("{} is not the name of a file", value.label), help);
        return None;
    }
    if text.is_empty() {
        value.wrong_text(text, "name a file in PEM");
        return None;
    }
    Some((value.reading.path(text), value.span))
}
