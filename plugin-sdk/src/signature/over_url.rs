//! A signature over the URL: Twilio's, by the rules of its "Security" page and of its own libraries.
//!
//! `X-Twilio-Signature` is base64(HMAC-SHA1(secret, text)). The text is the full URL; for a form, each parameter
//! follows in the order of names, as name and decoded value without anything between, repeated values once each and
//! sorted. For any other body the text is the URL alone, which carries the body's SHA-256 as `bodySHA256`.
//!
//! The signature covers the URL as the operator typed it, but Twilio's own libraries add or drop the standard port and
//! drop the user before they sign, depending on the product. So each spelling is tried.

use std::collections::BinaryHeap;

use crate::contract::Request;
use crate::form::Form;
use crate::url::Parts;

use super::{Digest, Proof, body_sha256, hmac_sha1};

/// The header that carries the signature.
pub const HEADER: &str = "x-twilio-signature";

/// A form of more fields is refused unsorted: sorting it would only be work for a stranger.
pub const MAX_FIELDS: usize = 1_000;

/// What a signature over the URL covers.
#[derive(Debug)]
pub struct SignedText<'a> {
    urls: Vec<String>,
    params: Vec<&'a [u8]>,
}

/// Why no signature can cover a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCovered {
    /// A form of more than [`MAX_FIELDS`] fields.
    TooManyFields,
    /// The body is no form, and the URL carries no `bodySHA256`.
    NoBodyHash,
    /// The body is not the one that the URL's `bodySHA256` stands for.
    AnotherBody,
}

/// The form that a body is. One that does not say what it is counts as one.
pub fn form<'a>(request: &Request, body: &'a [u8]) -> Option<Form<'a>> {
    let is_form =
        request.header("content-type").is_none() || request.is_media_type("application/x-www-form-urlencoded");
    is_form.then(|| Form::parse(body))
}

impl<'a> SignedText<'a> {
    /// What is signed of a request whose body is this form, or no form.
    ///
    /// # Errors
    /// Where nothing that could be signed would cover the body.
    pub fn of(request: &Request, form: Option<&'a Form<'_>>) -> Result<Self, NotCovered> {
        let params = match form {
            Some(form) => params(form)?,
            None => match body_sha256(request) {
                Proof::Good => Vec::new(),
                Proof::Missing => return Err(NotCovered::NoBodyHash),
                _ => return Err(NotCovered::AnotherBody),
            },
        };
        Ok(Self { urls: spellings(&request.url), params })
    }

    /// Whether this is the signature that the owner of the secret made.
    pub fn is_signed(&self, given: &str, secret: &str) -> bool {
        self.urls.iter().any(|url| self.digest(url, secret).is_base64(given.trim()))
    }

    /// The signature over the URL as it is.
    pub(super) fn sign(&self, secret: &str) -> String {
        self.digest(&self.urls[0], secret).base64()
    }

    fn digest(&self, url: &str, secret: &str) -> Digest<20> {
        hmac_sha1(secret.as_bytes(), &[&[url.as_bytes()][..], &self.params].concat())
    }
}

/// Names and values in the order in which they are signed. They are bytes, not text: what is not UTF-8 is signed as
/// sent.
fn params<'a>(form: &'a Form<'_>) -> Result<Vec<&'a [u8]>, NotCovered> {
    if form.fields().len() > MAX_FIELDS {
        return Err(NotCovered::TooManyFields);
    }
    // A heap, because the code of the standard library's sort would be a twentieth of a plugin.
    let mut fields = form.fields().iter().collect::<BinaryHeap<_>>().into_sorted_vec();
    fields.dedup();
    Ok(fields.into_iter().flat_map(|(name, value)| [&**name, &**value]).collect())
}

/// The URL as it is, then with the port added or dropped, then both without the user.
fn spellings(url: &str) -> Vec<String> {
    let url = url.split('#').next().unwrap_or_default();
    let Some(parts) = Parts::of(url) else { return vec![url.to_owned()] };
    let other_port = if parts.port.is_some() { None } else { parts.standard_port() };
    let mut spellings = vec![url.to_owned(), parts.spell(parts.user, other_port)];
    if parts.user.is_some() {
        spellings.extend([parts.spell(None, parts.port), parts.spell(None, other_port)]);
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_added_or_dropped() {
        assert_eq!(spellings("https://a.example/x?y=1"), ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]);
        assert_eq!(spellings("http://a.example?y"), ["http://a.example?y", "http://a.example:80?y"]);
        assert_eq!(spellings("https://a.example:8443"), ["https://a.example:8443", "https://a.example"]);
        assert_eq!(spellings("https://[::1]/x"), ["https://[::1]/x", "https://[::1]:443/x"]);
        assert_eq!(spellings("https://[::1]:1/x"), ["https://[::1]:1/x", "https://[::1]/x"]);
    }

    #[test]
    fn the_user_is_kept_and_then_dropped() {
        let tried = spellings("https://u:p@a.example/x@y:1");
        let expected = [
            "https://u:p@a.example/x@y:1",
            "https://u:p@a.example:443/x@y:1",
            "https://a.example/x@y:1",
            "https://a.example:443/x@y:1",
        ];
        assert_eq!(tried, expected);
    }

    #[test]
    fn a_fragment_is_never_signed_and_nonsense_is_taken_as_it_is() {
        assert_eq!(spellings("https://a.example/x#rc=3&rp=all")[0], "https://a.example/x");
        assert_eq!(spellings("nonsense"), ["nonsense"]);
    }
}
