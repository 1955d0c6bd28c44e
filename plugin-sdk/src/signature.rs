//! Proofs of who sent a request. Every comparison with a secret takes the same time whatever the
//! sender guessed.
//!
//! [`Scheme`] knows the ways in which senders commonly prove themselves: [`Scheme::admit`] lets the
//! right one in, and [`Scheme::sign`] makes such a proof, for tests. The rest is what it is made
//! of.

mod admission;
pub mod over_url;
#[cfg(all(not(target_family = "wasm"), feature = "public-keys"))]
mod public_key;
mod scheme;
mod setting;
mod signed;
#[cfg(not(target_family = "wasm"))]
mod signing;
#[cfg(all(not(target_family = "wasm"), feature = "public-keys"))]
mod sns;
mod twilio;
mod verifier;
mod view;

#[cfg(all(not(target_family = "wasm"), feature = "public-keys"))]
pub use public_key::is_public_key;
pub use signed::TOLERANCE_SECONDS;
#[cfg(not(target_family = "wasm"))]
pub use signing::Unsigned;
pub use verifier::{Met, Verifier, verify, verify_by};
pub use view::View;

pub use crate::contract::{Algorithm, Encoding, Scheme, Signed, TimeIn};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::contract::Request;

/// The result of checking the proof of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The request carries none: reject it as unauthenticated.
    Missing,
    /// The request carries one, and it is wrong: reject it as forbidden.
    Wrong,
    /// The request carries the right one, made more than [`TOLERANCE_SECONDS`] before or after it
    /// was received: reject it as forbidden, because somebody may have recorded it.
    Stale,
    /// The request carries the right one.
    Good,
}

impl Proof {
    fn of(right: bool) -> Self {
        if right { Self::Good } else { Self::Wrong }
    }

    /// Returns whether the sender is who it says.
    pub fn is_good(self) -> bool {
        self == Self::Good
    }
}

/// The bytes of a digest, and the two spellings that senders use.
#[derive(Clone, Copy)]
pub struct Digest<const N: usize>([u8; N]);

impl<const N: usize> Digest<N> {
    /// Base64 (RFC 4648, standard alphabet, padded).
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Returns whether this is the digest that a sender spelled in base64, compared in constant
    /// time.
    pub fn is_base64(&self, given: &str) -> bool {
        same(given, &self.base64())
    }

    /// Returns whether this is the digest that a sender spelled in lower-case hex, compared in
    /// constant time.
    pub fn is_hex(&self, given: &str) -> bool {
        same(given, &self.hex())
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// An HMAC of the parts, one after the other. `None` for an algorithm that is none.
fn hmac(algorithm: Algorithm, key: &[u8], parts: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
    Some(match algorithm {
        Algorithm::Sha1 => mac(Hmac::<Sha1>::new_from_slice(key), parts),
        Algorithm::Sha256 => mac(Hmac::<Sha256>::new_from_slice(key), parts),
        Algorithm::Sha512 => mac(Hmac::<Sha512>::new_from_slice(key), parts),
        Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::RsaSha256 => return None,
    })
}

fn mac<M: Mac, E: std::fmt::Debug>(mac: Result<M, E>, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut mac = mac.expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part.as_ref()));
    mac.finalize().into_bytes().to_vec()
}

/// SHA-256 of the parts, one after the other.
fn sha256_of(parts: &[impl AsRef<[u8]>]) -> Digest<32> {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part.as_ref()));
    Digest(digest.finalize().into())
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Digest<32> {
    Digest(Sha256::digest(bytes).into())
}

/// HMAC-SHA1 over the parts, one after the other.
pub fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> Digest<20> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    Digest(mac.finalize().into_bytes().into())
}

/// HMAC-SHA256 over the parts, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest<32> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    Digest(mac.finalize().into_bytes().into())
}

/// Returns whether two texts are the same, in a time that depends on their lengths alone.
pub fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// Returns whether `Authorization: Bearer` carries this token.
pub fn bearer(request: &Request, token: &str) -> Proof {
    credentials(request, "bearer").map_or(Proof::Missing, |given| Proof::of(same(given, token)))
}

/// Returns whether `Authorization: Basic` carries this user and this password (RFC 7617).
pub fn basic(request: &Request, user: &str, password: &str) -> Proof {
    let login = format!("{user}:{password}");
    credentials(request, "basic").map_or(Proof::Missing, |given| Proof::of(is_login(given, &login)))
}

/// Returns whether the credentials of `Authorization: Basic` are this login. RFC 7617 leaves the
/// charset to the sender: Python's `requests` writes Latin-1 where others write UTF-8.
fn is_login(given: &str, login: &str) -> bool {
    let is_utf8 = same(given, &STANDARD.encode(login));
    let latin1: Result<Vec<u8>, _> = login.chars().map(u8::try_from).collect();
    is_utf8 | latin1.is_ok_and(|latin1| same(given, &STANDARD.encode(latin1)))
}

/// Returns the credentials of this scheme in `Authorization`. It is a function of its own, so that
/// a plugin for tokens only carries no other scheme.
fn credentials<'a>(request: &'a Request, scheme: &str) -> Option<&'a str> {
    let (given, credentials) = request.header("authorization")?.trim().split_once(' ')?;
    given
        .eq_ignore_ascii_case(scheme)
        .then(|| credentials.trim())
}

/// Returns whether the URL's `bodySHA256` is the SHA-256 of the body, in lower-case hex. It proves
/// something only together with a signature over the URL: this is how Twilio signs a body that is
/// not a form.
pub fn body_sha256(request: &Request) -> Proof {
    of_view::body_sha256(&View::from(request))
}

mod of_view {
    use super::{Proof, View, sha256};

    pub(super) fn body_sha256(view: &View<'_>) -> Proof {
        match view.query().get("bodySHA256") {
            None => Proof::Missing,
            Some(given) => Proof::of(sha256(&view.body).is_hex(&given)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, RequestBuilder};

    /// RFC 2202 and RFC 4231, test case 2 of each.
    #[test]
    fn hmacs_are_those_of_the_rfcs_however_the_text_is_cut() {
        let parts: &[&[u8]] = &[b"what do ya want ", b"", b"for nothing?"];
        let sha1 = hmac_sha1(b"Jefe", parts);
        assert_eq!(sha1.hex(), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(sha1.base64(), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        let sha256 = hmac_sha256(b"Jefe", parts);
        assert_eq!(
            sha256.hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_digest_is_recognised_in_both_spellings_and_in_no_other() {
        let digest = hmac_sha1(b"key", &[b"text"]);
        assert!(digest.is_base64(&digest.base64()) && digest.is_hex(&digest.hex()));
        assert!(!digest.is_hex(&digest.hex().to_uppercase()));
        for wrong in [
            "",
            "=",
            &digest.base64()[1..],
            &format!("{} ", digest.base64()),
        ] {
            assert!(!digest.is_base64(wrong), "{wrong:?}");
        }
    }

    fn asking(authorization: &str) -> RequestBuilder {
        testing::post("https://a.example/in/x").header("authorization", authorization)
    }

    #[test]
    fn a_bearer_token_is_missing_wrong_or_good() {
        assert_eq!(
            bearer(&testing::post("https://a.example/in/x").build(), "s3cret"),
            Proof::Missing
        );
        assert_eq!(
            bearer(&asking("Basic s3cret").build(), "s3cret"),
            Proof::Missing
        );
        assert_eq!(
            bearer(&asking("Bearer s3cre").build(), "s3cret"),
            Proof::Wrong
        );
        assert_eq!(
            bearer(&asking("bearer  s3cret").build(), "s3cret"),
            Proof::Good
        );
    }

    #[test]
    fn basic_credentials_are_those_of_the_rfc() {
        let request = asking("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").build();
        assert_eq!(basic(&request, "Aladdin", "open sesame"), Proof::Good);
        assert_eq!(basic(&request, "Aladdin", "open"), Proof::Wrong);
        assert_eq!(
            basic(&asking("Bearer x").build(), "Aladdin", "open sesame"),
            Proof::Missing
        );
    }

    #[test]
    fn a_body_is_that_of_the_url_or_it_is_not() {
        let of_abc = "https://a.example/?a=1&bodySHA256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            body_sha256(&testing::post(of_abc).body("abc").build()),
            Proof::Good
        );
        assert_eq!(
            body_sha256(&testing::post(of_abc).body("abd").build()),
            Proof::Wrong
        );
        assert_eq!(
            body_sha256(&testing::post("https://a.example/?a=1").body("abc").build()),
            Proof::Missing
        );
    }
}
