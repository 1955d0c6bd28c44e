//! A request, as the host hands it to a plugin.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{ProofIdentity, Unreadable};

/// A request as it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The name of the source in the gateway's configuration.
    pub source: String,
    /// The time when the host received the request: RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// The method, in upper case.
    pub method: String,
    /// The configured public URL of the source with the received path suffix and query string, byte
    /// for byte. It is never rebuilt from `Host` or `X-Forwarded-*`, so a signature over it can be
    /// trusted.
    pub url: String,
    /// Names in lower case and values, in the order received, duplicates kept. Bytes above 0x7f are
    /// read as Latin-1.
    pub headers: Vec<(String, String)>,
    /// The body as it was sent: what signatures are over.
    pub body: Body,
    /// The body for reading, where it differs from the body as sent: without its
    /// `Content-Encoding`, and as UTF-8. Absent where the body is fit to be read as it is.
    /// [`crate::body::read`] takes the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The proof of the sender, as checked by the host against the plugin's declared demands. Where
    /// it is absent, the plugin checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<Proved>,
    /// The source's settings, already checked against
    /// [`Description::settings`](super::Description::settings). JSON text, to be read into a type
    /// of the plugin's own; [`crate::export!`] does that.
    pub settings: Box<RawValue>,
}

/// The proof of the sender that the host has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// The place of the proving secret in the settings: a JSON Pointer (RFC 6901).
    pub secret: String,
    /// The account or key that this secret is of, where secrets stand in a table by account or key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The identity of the proof: two requests with the same proof are one, sent again. Absent for
    /// a scheme that signs nothing, such as a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofIdentity>,
}

/// A body for reading: what is left when `Content-Encoding` and charset are undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The body is text.
    Text(String),
    /// The body is not text: RFC 4648 base64, standard alphabet, padded.
    Base64(String),
    /// The body cannot be decoded, or is too large decoded.
    Unreadable(Unreadable),
}

/// A body: text, or base64 where the bytes are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The bytes were UTF-8, and this is all of them.
    Text(String),
    /// The bytes were not UTF-8: RFC 4648 base64, standard alphabet, padded.
    Base64(String),
}

impl Body {
    /// The body of these bytes, as text where they are UTF-8.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(STANDARD.encode(error.as_bytes())),
        }
    }

    /// The bytes that the sender sent. Base64 that does not decode (no host writes it) reads as
    /// empty.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Base64(text) => Cow::Owned(base64(text)),
        }
    }

    /// The body as text. Bytes that are not UTF-8 are read as
    /// [`text::of_bytes`](crate::text::of_bytes) does.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Base64(_) => Cow::Owned(crate::text::of_bytes(&self.bytes()).into_owned()),
        }
    }
}

/// The bytes of a text in base64. No host writes what does not decode, and that reads as empty.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}
