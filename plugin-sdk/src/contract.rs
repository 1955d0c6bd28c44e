//! The language that the gateway and a plugin share: version 1 of the contract.
//!
//! A plugin is an Extism plugin with two exports. `describe` takes nothing and answers a [`Description`]; `read` takes a
//! [`Request`] and gives an [`Answer`]. A third, `check`, is optional: it takes a source's settings and gives a
//! [`Checked`]. All travel as JSON, so a plugin can be written in any language that has an
//! Extism PDK. Everything here is plain data; [`crate::export!`] is what turns a Rust type into those exports.
//!
//! A plugin is a function: it has no clock, no files, no network and no randomness, and nothing survives a call, because
//! the host starts a fresh instance for every request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the contract that this crate speaks. The host refuses a plugin that names another.
pub const CONTRACT_VERSION: u32 = 1;

/// An answer has no more alerts than this.
pub const MAX_ALERTS: usize = 1_000;

/// An [`Alert::event_id`] has one byte to as many.
pub const MAX_EVENT_ID_BYTES: usize = 256;

/// An [`Alert::key`] has one byte to as many.
pub const MAX_KEY_BYTES: usize = 1024;

/// What a plugin says of itself. The host asks once, when it loads the plugin. `S` is how the schema is held: a plugin has
/// it as text, and who looks into it as a [`serde_json::Value`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description<S = Schema> {
    /// The contract that the plugin was built against: [`CONTRACT_VERSION`].
    pub contract: u32,
    /// The name of the integration, as in `plugin = "<name>"`: lower-case letters, digits and dashes.
    pub name: String,
    /// The plugin's own version, as in its `Cargo.toml`.
    pub version: String,
    /// One line for a catalogue: what the plugin reads, and from whom.
    pub summary: String,
    /// JSON Schema (draft 2020-12) of the source's `settings` table. The host checks the operator's settings against it
    /// before the plugin ever sees a request.
    pub settings: S,
    /// The names of the top-level settings that are secrets. All that stands below such a name is never printed.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Whether the plugin proves by itself who sent a request (a signature, say). Where it does not, the host demands a
    /// `token` for the source.
    #[serde(default)]
    pub authenticates: bool,
    /// What to append to the source's URL where the operator pastes it at the sender, such as a `#fragment` of
    /// connection overrides. Empty where there is nothing to append.
    #[serde(default)]
    pub url_suffix: String,
    /// The steps an operator follows at the sender, in Markdown. `{url}` stands for the URL to paste.
    #[serde(default)]
    pub setup: String,
}

/// A JSON Schema as text. A plugin only hands it over, and the code that would build it as a tree is a tenth of a typical
/// plugin: so `Schema::from(include_str!("settings.schema.json"))` is better than `Schema::from(serde_json::json!(…))`,
/// which works as well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Schema(Box<RawValue>);

impl From<String> for Schema {
    /// # Panics
    /// Where the text is no JSON. That is found by whoever first asks for the description: a test, or the build.
    fn from(text: String) -> Self {
        Self(RawValue::from_string(text).expect("a schema is JSON"))
    }
}

impl From<&str> for Schema {
    /// # Panics
    /// As from a [`String`].
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<serde_json::Value> for Schema {
    fn from(value: serde_json::Value) -> Self {
        value.to_string().into()
    }
}

/// What a plugin says of one source's settings, beyond what their schema can say: the answer of the optional export
/// `check`. The host asks once for each source, when it loads the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is wrong. With any, the configuration is refused.
    #[serde(default)]
    pub mistakes: Vec<Mistake>,
    /// Whether the plugin proves the sender with these settings, where that depends on them; otherwise
    /// [`Description::authenticates`] holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticates: Option<bool>,
}

/// A mistake in a source's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// Where it is: a JSON Pointer (RFC 6901) into the settings; empty for all of them.
    pub path: String,
    /// What is wrong. It must hold no secret.
    pub found: String,
    /// What would be right.
    pub help: String,
}

/// A request as it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The name of the source in the gateway's configuration.
    pub source: String,
    /// When the host received the request: RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// The method, in upper case.
    pub method: String,
    /// The configured public URL of the source with the received path suffix and query string, byte for byte. It is never
    /// rebuilt from `Host` or `X-Forwarded-*`, so a signature over it can be trusted.
    pub url: String,
    /// Names in lower case and values, in the order received, duplicates kept. Bytes above 0x7f are read as Latin-1.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// The source's settings, already checked against [`Description::settings`]. JSON text, to be read into a type of the
    /// plugin's own; [`crate::export!`] does that.
    pub settings: Box<RawValue>,
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

    /// The bytes that the sender sent. Base64 that does not decode (no host writes such a thing) reads as empty.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Base64(text) => Cow::Owned(STANDARD.decode(text).unwrap_or_default()),
        }
    }

    /// The body as text. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Base64(_) => Cow::Owned(String::from_utf8_lossy(&self.bytes()).into_owned()),
        }
    }
}

/// What a plugin makes of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The events that the request carried, oldest first. They are on disk before the sender is answered 200.
    Alerts(Vec<Alert>),
    /// A genuine request that needs nobody: answered 200, and nothing is kept.
    Ignored {
        /// Why, for the operator's log.
        reason: String,
    },
    /// The sender could not prove who it is, or this is not a request of this integration at all.
    Rejected(Rejection),
    /// An answer that the sender demands word for word, such as a challenge when a webhook is registered.
    Reply {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// The body.
        body: Body,
    },
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What the sender is told.
    pub kind: RejectionKind,
    /// What was wrong, for the sender and the operator. It must hold no secret.
    pub reason: String,
    /// What the operator can do about it; it goes to the log, not to the sender. It must hold no secret.
    #[serde(default)]
    pub help: String,
}

/// The kinds of [`Rejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionKind {
    /// No credential was given: 401.
    Unauthenticated,
    /// A credential was given, and it is wrong: 403.
    Forbidden,
    /// Not a request of this integration: 400.
    Malformed,
}

/// One event, made plain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alert {
    /// Unique for this event within its source. A repeat is dropped as a duplicate.
    pub event_id: String,
    /// What groups events into one alert at the destination; [`Alert::event_id`] where absent. A `resolve` needs the key
    /// of the `trigger` that it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it opens or closes.
    #[serde(default)]
    pub status: Status,
    /// How urgent it is.
    pub priority: Priority,
    /// One line that a person woken at night understands.
    pub title: String,
    /// More words, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it happened: RFC 3339. The host takes the time of receipt where this is absent or does not parse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// A page about this event: an absolute `http` or `https` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Short facts that rules can match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// All that the sender said, as JSON, byte for byte where the sender sent JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
}

impl Alert {
    /// An alert that opens, with nothing but what every alert must have.
    pub fn new(event_id: impl Into<String>, priority: Priority, title: impl Into<String>) -> Self {
        Self {
            event_id: event_id.into(),
            key: None,
            status: Status::Trigger,
            priority,
            title: title.into(),
            message: None,
            occurred_at: None,
            link: None,
            labels: BTreeMap::new(),
            details: None,
        }
    }

    /// What groups this event with others: its key, or its event id.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.event_id)
    }
}

/// Whether an event opens an alert or closes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It opens the alert of its key, or adds to it.
    #[default]
    Trigger,
    /// It closes the alert of its key.
    Resolve,
}

/// How urgent an alert is. ITOC360 shows the same four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody must get up now.
    Critical,
    /// Something is broken.
    High,
    /// Something will break, or is worth a look.
    Medium,
    /// Worth knowing.
    Low,
}

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The word used in JSON, in labels of metrics and at the destination.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl Status {
    /// The word used in JSON and at the destination.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Resolve => "resolve",
        }
    }
}
