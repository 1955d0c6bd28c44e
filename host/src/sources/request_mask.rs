//! Requests as a person may see them: without the credentials that they carry.

use std::borrow::Cow;

use serde_json::Value;

use super::Source;
use crate::config;
use crate::credential::{is_assertion, is_credential, is_named, texts, without_credentials};
use crate::mask::{MASKED, Mask};
use plugin_sdk::contract::Description;

/// The text in the place of a credential that is known by its place.
const HIDDEN: &str = "(credential, not shown)";

/// Removes credentials from the headers and the URL of a request: by the name of their place, and
/// the secrets of the source by their value wherever that stands.
#[derive(Debug)]
pub struct RequestMask {
    secrets: Mask,
    settings: Value,
}

impl Default for RequestMask {
    /// Knows credentials by their places only, for a source that is not configured any more.
    fn default() -> Self {
        Self {
            secrets: Mask::new([]),
            settings: Value::Null,
        }
    }
}

impl RequestMask {
    /// Knows the tokens of a source, and the settings that its plugin calls secrets.
    pub(super) fn of<S>(source: &config::Source, description: &Description<S>) -> Self {
        let mut settings = source.settings.value().clone();
        let mut found = Vec::new();
        for secret in &description.secrets {
            texts(settings.get(secret), &mut found);
            if let Some(table) = settings.as_object_mut() {
                table.remove(secret);
            }
        }
        let tokens = source.tokens.iter().map(config::Secret::expose);
        let secrets = Mask::new(tokens.chain(found.iter().map(String::as_str)));
        Self { secrets, settings }
    }

    /// Returns headers without credentials.
    pub fn headers<N: AsRef<str>, V: AsRef<str>>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Vec<(String, String)> {
        let shown = headers.into_iter().map(|(name, value)| {
            let name = name.as_ref();
            let value = value.as_ref();
            let is_secret =
                is_credential(name) || is_assertion(name) || is_named(name, &self.settings);
            let value = if is_secret {
                HIDDEN.to_owned()
            } else {
                self.url(value)
            };
            (name.to_owned(), value)
        });
        shown.collect()
    }

    /// Returns a URL, or a text that may hold one, without the parameters that are credentials.
    pub fn url(&self, url: &str) -> String {
        let hidden = without_credentials(url, MASKED);
        self.secrets
            .hide(hidden.as_deref().unwrap_or(url))
            .into_owned()
    }

    /// Returns a text without the source's secrets, and without the credentials in the URLs that stand
    /// in it: a reason repeats the URL of its request.
    pub fn text(&self, text: &str) -> String {
        let words = text.split_inclusive(char::is_whitespace);
        self.secrets
            .hide(&words.map(word).collect::<String>())
            .into_owned()
    }

    /// Returns the beginning of a body without the source's secrets. What else a sender may have
    /// written there has no place by which it is known.
    pub fn body(&self, body: Vec<u8>) -> Vec<u8> {
        match self.secrets.replace(&body, MASKED.as_bytes()) {
            Some((hidden, _)) => hidden,
            None => body,
        }
    }
}

/// Returns a word of a text without the parameters that are credentials, where it is a URL. A sign
/// behind the URL belongs to the sentence.
fn word(word: &str) -> Cow<'_, str> {
    let url = word.trim_end_matches(|end: char| {
        end.is_whitespace() || matches!(end, '.' | ',' | ';' | ':' | ')' | '"' | '\'')
    });
    match without_credentials(url, MASKED) {
        Some(hidden) => Cow::Owned(hidden + &word[url.len()..]),
        None => Cow::Borrowed(word),
    }
}

impl Source {
    /// Returns headers of a request as a person may see them.
    pub fn request_mask(&self) -> &RequestMask {
        &self.request_mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_by_place_and_by_value() {
        let mask = RequestMask {
            secrets: Mask::new(["canary-5b1f"]),
            settings: serde_json::json!({ "header": "X-Mine" }),
        };
        let headers = mask.headers([
            ("x-twilio-signature", "abc"),
            ("x-mine", "abc"),
            ("cf-access-jwt-assertion", "abc"),
            ("x-amzn-oidc-data", "abc"),
            ("x-forwarded-uri", "/in/a?token=wrong&x=1"),
            ("x-note", "it is canary%2D5b1f"),
            ("content-type", "text/plain"),
        ]);
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values,
            [
                HIDDEN,
                HIDDEN,
                HIDDEN,
                HIDDEN,
                "/in/a?token=***&x=1",
                "it is ***",
                "text/plain"
            ]
        );
        assert_eq!(
            mask.url("https://x.example/in/a?api_key=k&t%6fken=wrong&b=canary-5b1f"),
            "https://x.example/in/a?api_key=***&t%6fken=***&b=***"
        );
        assert_eq!(
            mask.text(
                "it is not the one for https://x.example/in/a?api_key=k&x=1&sig=abc, with and\nwithout the port; ok?"
            ),
            "it is not the one for https://x.example/in/a?api_key=***&x=1&sig=***, with and\nwithout the port; ok?"
        );
        assert_eq!(mask.body(b"t=canary-5b1f&u=v".to_vec()), b"t=***&u=v");
    }
}
