//! A request in the shape of the contract, borrowed from what was received.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_sdk::contract::{Content, Proved};
use serde::Serialize;
use serde_json::value::RawValue;

/// Bytes of a control character in JSON, beyond its own one: `\\u0001`.
const ESCAPE: usize = 5;

/// A request: [`plugin_sdk::contract::Request`] without its copies.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// See the contract; so for all fields.
    pub source: &'a str,
    /// RFC 3339, UTC, milliseconds.
    pub received_at: &'a str,
    /// In upper case.
    pub method: &'a str,
    /// The configured public URL with the received suffix and query.
    pub url: &'a str,
    /// Lower-case names and values.
    pub headers: &'a RawValue,
    /// Text, or base64.
    pub body: Body<'a>,
    /// The body for reading, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The proof of the sender that the host has checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved: Option<&'a Proved>,
    /// Checked already.
    pub settings: &'a RawValue,
}

/// A body: [`plugin_sdk::contract::Body`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<'a> {
    /// The body is UTF-8, and JSON carries it well.
    Text(&'a str),
    /// The body is something else.
    Base64(String),
}

impl<'a> Body<'a> {
    /// Returns the body of these bytes: as text, unless it is not UTF-8, or has so many control
    /// characters that base64 is shorter. JSON spends six bytes on each, and a sender must not make
    /// a plugin's input six times as long as its body.
    pub fn new(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if escapes(bytes) <= bytes.len() / 3 => Self::Text(text),
            _ => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}

/// Returns how many bytes JSON adds for control characters, without the two that it adds at most
/// for any other byte.
fn escapes(bytes: &[u8]) -> usize {
    let is_long = |byte: &&u8| **byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 8 | 12);
    ESCAPE * bytes.iter().filter(is_long).count()
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_travel_as_base64() {
        assert!(matches!(Body::new(&[1; 1024]), Body::Base64(_)));
        assert!(matches!(Body::new(&[0; 1]), Body::Base64(_)));
        assert!(matches!(Body::new(b"\xff"), Body::Base64(_)));
        for text in [
            "",
            "a=b",
            "{\n\t\"a\": \"\\\\\"\r\n}",
            "caf\u{e9}",
            "a log line of some length: \u{1b}[31m red",
        ] {
            assert!(
                matches!(Body::new(text.as_bytes()), Body::Text(found) if found == text),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn body_survives_and_is_at_most_twice_as_long(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..40], 0..200)) {
            let json = serde_json::to_vec(&Body::new(&bytes)).unwrap();
            prop_assert!(json.len() <= 24 + 2 * bytes.len() + bytes.len() / 3, "{} of {}", json.len(), bytes.len());
            let read: contract::Body = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&*read.bytes(), &bytes[..]);
        }
    }
}
