//! Requests as a person may see them: without the credentials that they carry.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Source;
use crate::config;
use crate::credential::{is_credential, is_named, texts};
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
            let is_secret = is_credential(name) || is_named(name, &self.settings);
            let value = if is_secret {
                HIDDEN.to_owned()
            } else {
                self.text(&self.url(value))
            };
            (name.to_owned(), value)
        });
        shown.collect()
    }

    /// Returns a URL, or a text that may hold one, without the parameters that are credentials.
    pub fn url(&self, url: &str) -> String {
        let Some((path, query)) = url.split_once('?') else {
            return self.text(url);
        };
        let is_secret = |name: &str| is_credential(&percent_decode_str(name).decode_utf8_lossy());
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASKED}"),
            _ => pair.to_owned(),
        });
        let pairs: Vec<_> = pairs.collect();
        self.text(&format!("{path}?{}", pairs.join("&")))
    }

    /// Returns a text without the source's secrets.
    pub fn text(&self, text: &str) -> String {
        self.secrets.hide(text).into_owned()
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
                "/in/a?token=***&x=1",
                "it is ***",
                "text/plain"
            ]
        );
        assert_eq!(
            mask.url("https://x.example/in/a?api_key=k&t%6fken=wrong&b=canary-5b1f"),
            "https://x.example/in/a?api_key=***&t%6fken=***&b=***"
        );
    }
}
