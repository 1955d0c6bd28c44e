//! `plugin_keys` in `[gateway]`: the public keys by which fetched plugins must be signed.

use std::fs::File;
use std::io::Read;

use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use toml::de::DeValue;

use super::files::{Digest, LONGEST};
use super::raw::Value;

/// The header of a `SubjectPublicKeyInfo` (RFC 5280) of a key on P-256 (RFC 5480), before its
/// uncompressed point of 65 bytes.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// The same of an Ed25519 key (RFC 8410), before its 32 bytes.
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The kinds of keys that `cosign` signs with and that are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 over the SHA-256, which `cosign generate-key-pair` makes.
    EcdsaP256,
    /// Ed25519 over the message itself.
    Ed25519,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKey {
    /// The file that it stands in; empty where it stands in the configuration.
    pub file: String,
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// Its point.
    pub point: Vec<u8>,
}

/// Reads one key or a list of them.
pub(super) fn read(value: &Value<'_>) -> Option<Vec<PluginKey>> {
    let DeValue::Array(list) = value.value else {
        return Some(vec![key(value)?]);
    };
    if list.is_empty() {
        let found = format!("{} is an empty list", value.label);
        value.problem(found, "name a key, or leave the key out");
        return None;
    }
    // Every one is read before any is given up, so that every problem is told.
    let keys: Vec<_> = list.iter().map(|one| key(&value.item(one))).collect();
    keys.into_iter().collect()
}

fn key(value: &Value<'_>) -> Option<PluginKey> {
    let written = value.text("cosign.pub")?;
    if written.trim_start().starts_with("-----BEGIN") {
        return parse(value, written, String::new());
    }
    let path = value.reading.path(written);
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        File::open(&path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => {
            value.reading.note_file(&path, Digest::of(text.as_bytes()));
            parse(value, &text, path.display().to_string())
        }
        Err(error) => {
            let found = format!("{} names a file that cannot be read: {error}", value.label);
            value.problem(found, HELP);
            None
        }
    }
}

const HELP: &str = "name the file of a public key, such as cosign.pub, or write its PEM";

/// Reads a key in PEM. Its text is not shown: it may be the private one.
fn parse(value: &Value<'_>, pem: &str, file: String) -> Option<PluginKey> {
    if pem.contains("PRIVATE KEY-----") {
        let found = format!("{} is a private key", value.label);
        value.problem(
            found,
            "keep that one away from here, and name the public one: cosign.pub",
        );
        return None;
    }
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok();
    let point = der.as_ref().and_then(|der| point(der));
    let Some((algorithm, point)) = point else {
        let found = format!("{} is no public key of ECDSA P-256 or Ed25519", value.label);
        value.problem(found, HELP);
        return None;
    };
    Some(PluginKey {
        file,
        algorithm,
        point,
    })
}

fn point(der: &[u8]) -> Option<(KeyAlgorithm, Vec<u8>)> {
    [
        (P256, KeyAlgorithm::EcdsaP256, 65),
        (ED25519, KeyAlgorithm::Ed25519, 32),
    ]
    .into_iter()
    .find_map(|(header, algorithm, length)| {
        let point = der.strip_prefix(header)?;
        (point.len() == length).then(|| (algorithm, point.to_vec()))
    })
}
