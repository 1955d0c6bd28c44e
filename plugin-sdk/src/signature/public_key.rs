//! Signatures by the sender's public key, natively: the host checks them, and no plugin pays for
//! them.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use base64::Engine as _;

use crate::contract::Algorithm;

use super::signed::LENIENT;

/// The header of a `SubjectPublicKeyInfo` (RFC 5280) of an Ed25519 key (RFC 8410), before its 32
/// bytes.
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The same of a key on P-256 (RFC 5480), before its uncompressed point of 65 bytes.
const P256_SPKI: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// The identifier of RSA keys (RFC 8017), with its empty parameters.
const RSA_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// Returns whether the key's owner signed the message. A key that cannot be read has signed
/// nothing.
pub(super) fn verify(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let verifier: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::Ed25519 => &ED25519,
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sha512 => return false,
    };
    read(algorithm, key).is_some_and(|key| {
        UnparsedPublicKey::new(verifier, key)
            .verify(message, signature)
            .is_ok()
    })
}

/// Returns whether a secret can be read as a public key of this algorithm; true for an algorithm
/// whose secrets are no public keys.
pub fn is_public_key(algorithm: Algorithm, secret: &str) -> bool {
    let key = || read(algorithm, secret.as_bytes());
    match algorithm {
        Algorithm::Ed25519 => key().is_some_and(|key| key.len() == 32),
        Algorithm::EcdsaP256 => key().is_some_and(|key| key.len() == 65 && key[0] == 4),
        Algorithm::RsaSha256 => {
            let modulus = key().and_then(|key| Some(content(content(&key, 0x30)?, 0x02)?.len()));
            modulus.is_some_and(|bytes| bytes >= 256)
        }
        Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sha512 => true,
    }
}

/// The key as its algorithm takes it.
fn read(algorithm: Algorithm, key: &[u8]) -> Option<Vec<u8>> {
    let key = bytes(key)?;
    let inner = match algorithm {
        Algorithm::Ed25519 => key.strip_prefix(ED25519_SPKI),
        Algorithm::EcdsaP256 => key.strip_prefix(P256_SPKI),
        _ => Some(rsa_key(of_certificate(&key).unwrap_or(&key))?),
    };
    Some(inner.unwrap_or(&key).to_vec())
}

/// The bytes of a key in PEM, hex or base64. In an environment variable, the lines of PEM often end
/// with a backslash and an `n`.
fn bytes(key: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(key).ok()?.replace("\\n", "\n");
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::split_whitespace)
        .collect();
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex {
        let pairs = text
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| str::from_utf8(pair).unwrap_or_default());
        return pairs
            .map(|pair| u8::from_str_radix(pair, 16).ok())
            .collect();
    }
    LENIENT.decode(text).ok()
}

/// The `SubjectPublicKeyInfo` of a certificate (RFC 5280), where these bytes are one.
fn of_certificate(der: &[u8]) -> Option<&[u8]> {
    // Before it stand the version, the serial number, the algorithm, the issuer, the validity and
    // the subject.
    const BEFORE: [u8; 6] = [0xa0, 0x02, 0x30, 0x30, 0x30, 0x30];
    let mut rest = content(content(der, 0x30)?, 0x30)?;
    for tag in BEFORE {
        let inner = content(rest, tag)?;
        // The content lies within the element, so the difference of the ends is what follows.
        let end = inner.as_ptr_range().end as usize - rest.as_ptr() as usize;
        rest = rest.get(end..)?;
    }
    Some(rest)
}

/// The `RSAPublicKey` within a `SubjectPublicKeyInfo`, or the one that the bytes are.
fn rsa_key(der: &[u8]) -> Option<&[u8]> {
    let Some(inner) = content(der, 0x30)?.strip_prefix(RSA_ALGORITHM) else {
        return Some(der);
    };
    content(inner, 0x03)?.strip_prefix(&[0])
}

/// The content of the DER element that the bytes begin with, where it has this tag.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (
            usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?),
            &rest[2..],
        ),
        _ => return None,
    };
    rest.get(..length)
}
