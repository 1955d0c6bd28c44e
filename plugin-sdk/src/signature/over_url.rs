//! A signature over the URL: Twilio's, by the rules of its "Security" page and of its own
//! libraries.
//!
//! `X-Twilio-Signature` is base64(HMAC-SHA1(secret, text)), or HMAC-SHA256 where a header names a
//! shared key and that. The text is the full URL; for a form, each parameter follows in the order
//! of names, as name and decoded value without anything between, repeated values once each and
//! sorted. For any other body the text is the URL alone, which carries the body's SHA-256 as
//! `bodySHA256`.
//!
//! The signature covers the URL as the operator typed it, but Twilio's own libraries add or drop
//! the standard port and drop the user before they sign, depending on the product. So each spelling
//! is tried.

use std::collections::BinaryHeap;

use crate::contract::{Algorithm, ProofIdentity};
use crate::form::Form;
use crate::url::Parts;

use super::{Proof, View, hmac_sha1, hmac_sha256, of_view, same, sha256_of};

/// The header that carries the signature.
pub const HEADER: &str = "x-twilio-signature";

/// The header that names a shared key and its algorithm, where one signed and not the auth token.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The algorithm of auth tokens, and of shared keys where the header names none.
pub const DEFAULT: Algorithm = Algorithm::Sha1;

/// A form of more fields is refused unsorted: sorting it would only be work for a stranger.
pub const MAX_FIELDS: usize = 1_000;

/// The part of a request that a signature over the URL covers.
#[derive(Debug)]
pub struct SignedText<'a> {
    urls: Vec<String>,
    params: Vec<&'a [u8]>,
}

/// The reason why no signature can cover a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCovered {
    /// A form of more than [`MAX_FIELDS`] fields.
    TooManyFields,
    /// The body is no form, and the URL carries no `bodySHA256`.
    NoBodyHash,
    /// The body is not the one that the URL's `bodySHA256` stands for.
    AnotherBody,
}

/// The content of the settings header: `key=webhooks_sharedkey_…,algorithm=HMAC_SHA256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedKey<'a> {
    /// The id of the key; empty where the header names none.
    pub id: &'a str,
    algorithm: Option<&'a str>,
}

impl<'a> SharedKey<'a> {
    /// The shared key that a request names. `None` where the header is absent or empty: then the
    /// auth token signs.
    pub fn of(view: &'a View<'_>) -> Option<Self> {
        let header = view.header(SETTINGS_HEADER)?;
        if header.trim().is_empty() {
            return None;
        }
        let mut key = Self {
            id: "",
            algorithm: None,
        };
        for part in header.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            match name.trim() {
                "key" => key.id = value.trim(),
                "algorithm" => key.algorithm = Some(value.trim()),
                _ => {}
            }
        }
        Some(key)
    }

    /// The algorithm that the header names.
    ///
    /// # Errors
    /// The name of one that is not known.
    pub fn algorithm(&self) -> Result<Algorithm, &'a str> {
        match self.algorithm {
            None => Ok(DEFAULT),
            Some(name) if name.eq_ignore_ascii_case("HMAC_SHA1") => Ok(Algorithm::Sha1),
            Some(name) if name.eq_ignore_ascii_case("HMAC_SHA256") => Ok(Algorithm::Sha256),
            Some(name) => Err(name),
        }
    }
}

/// Returns the form in a body. A body without a `Content-Type` counts as a form.
pub fn form<'a>(view: &'a View<'_>) -> Option<Form<'a>> {
    is_form(view).then(|| Form::parse(&view.body))
}

fn is_form(view: &View<'_>) -> bool {
    let essence = view
        .header("content-type")
        .and_then(|value| value.split(';').next());
    essence.is_none_or(|essence| {
        essence
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

impl<'a> SignedText<'a> {
    /// Returns the signed text of a request with this form as its body, or with another body.
    ///
    /// # Errors
    /// Where no signed text would cover the body.
    pub fn of(view: &View<'_>, form: Option<&'a Form<'_>>) -> Result<Self, NotCovered> {
        let params = match form {
            Some(form) => params(form)?,
            None => match of_view::body_sha256(view) {
                Proof::Good => Vec::new(),
                Proof::Missing => return Err(NotCovered::NoBodyHash),
                _ => return Err(NotCovered::AnotherBody),
            },
        };
        Ok(Self {
            urls: spellings(view.url),
            params,
        })
    }

    /// Returns the signed text of a request whose body is not looked at: of one that is no form,
    /// the URL alone is signed, with the body's hash in it. `None` for any other request.
    pub fn of_url(view: &View<'_>) -> Option<Self> {
        let is_covered = !is_form(view) && view.query().get("bodySHA256").is_some();
        is_covered.then(|| Self {
            urls: spellings(view.url),
            params: Vec::new(),
        })
    }

    /// Returns whether this is the signature that the owner of the secret made; the URL is tried as
    /// it was received first.
    pub fn is_signed(&self, given: &str, algorithm: Algorithm, secret: &str) -> bool {
        self.signed_url(given, algorithm, secret).is_some()
    }

    /// Returns the identity of the proof, where the signature is by the owner of the secret: the
    /// hash of the signed text. The same text has many cuts into names and values, and one
    /// identity.
    pub fn identity(
        &self,
        given: &str,
        algorithm: Algorithm,
        secret: &str,
    ) -> Option<ProofIdentity> {
        let url = self.signed_url(given, algorithm, secret)?;
        let id = format!("sha256:{}", sha256_of(&self.text(url)).hex());
        Some(ProofIdentity {
            id,
            expires_at: None,
        })
    }

    fn signed_url(&self, given: &str, algorithm: Algorithm, secret: &str) -> Option<&str> {
        let given = given.trim();
        // What cannot be a signature costs no HMAC.
        let length = if algorithm == Algorithm::Sha1 { 28 } else { 44 };
        let mut urls = self.urls.iter().filter(|_| given.len() == length);
        urls.find(|url| same(given, &self.signature(url, algorithm, secret)))
            .map(String::as_str)
    }

    /// The signature over the URL as it is.
    pub(super) fn sign(&self, algorithm: Algorithm, secret: &str) -> String {
        self.signature(&self.urls[0], algorithm, secret)
    }

    fn signature(&self, url: &str, algorithm: Algorithm, secret: &str) -> String {
        let key = secret.as_bytes();
        let text = self.text(url);
        match algorithm {
            Algorithm::Sha256 => hmac_sha256(key, &text).base64(),
            _ => hmac_sha1(key, &text).base64(),
        }
    }

    fn text<'t>(&'t self, url: &'t str) -> Vec<&'t [u8]> {
        std::iter::once(url.as_bytes())
            .chain(self.params.iter().copied())
            .collect()
    }
}

/// Names and values in the order in which they are signed. They are bytes, not text: what is not
/// UTF-8 is signed as sent.
fn params<'a>(form: &'a Form<'_>) -> Result<Vec<&'a [u8]>, NotCovered> {
    if form.fields().len() > MAX_FIELDS {
        return Err(NotCovered::TooManyFields);
    }
    // A heap, because the code of the standard library's sort would be a twentieth of a plugin.
    let mut fields = form
        .fields()
        .iter()
        .collect::<BinaryHeap<_>>()
        .into_sorted_vec();
    fields.dedup();
    Ok(fields
        .into_iter()
        .flat_map(|(name, value)| [&**name, &**value])
        .collect())
}

/// The URL as it is, then with the port added or dropped, then both without the user.
fn spellings(url: &str) -> Vec<String> {
    let url = url.split('#').next().unwrap_or_default();
    let Some(parts) = Parts::of(url) else {
        return vec![url.to_owned()];
    };
    let other_port = if parts.port.is_some() {
        None
    } else {
        parts.standard_port()
    };
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
        assert_eq!(
            spellings("https://a.example/x?y=1"),
            ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]
        );
        assert_eq!(
            spellings("http://a.example?y"),
            ["http://a.example?y", "http://a.example:80?y"]
        );
        assert_eq!(
            spellings("https://a.example:8443"),
            ["https://a.example:8443", "https://a.example"]
        );
        assert_eq!(
            spellings("https://[::1]/x"),
            ["https://[::1]/x", "https://[::1]:443/x"]
        );
        assert_eq!(
            spellings("https://[::1]:1/x"),
            ["https://[::1]:1/x", "https://[::1]/x"]
        );
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
        assert_eq!(
            spellings("https://a.example/x#rc=3&rp=all")[0],
            "https://a.example/x"
        );
        assert_eq!(spellings("nonsense"), ["nonsense"]);
    }
}
