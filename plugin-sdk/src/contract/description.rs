//! A plugin's description of itself, and its check of a source's settings.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fetch::Fetch;
use super::proof::Demand;

/// The description of a plugin. The host asks once, when it loads the plugin. `S` is how the schema
/// is held: a plugin has it as text, and a reader of schemas as a [`serde_json::Value`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description<S = Schema> {
    /// The contract that the plugin was built against:
    /// [`CONTRACT_VERSION`](super::CONTRACT_VERSION).
    pub contract: u32,
    /// The name of the integration, as in `plugin = "<name>"`: lower-case letters, digits and
    /// dashes.
    pub name: String,
    /// The plugin's own version, as in its `Cargo.toml`.
    pub version: String,
    /// One line for a catalogue: the plugin's sender and the kind of its requests.
    pub summary: String,
    /// The plugin's licence as an SPDX expression, as in its `Cargo.toml`. Empty where it names
    /// none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// The page of the plugin: an absolute `http` or `https` URL. Empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub homepage: String,
    /// JSON Schema (draft 2020-12) of the source's `settings` table. The host checks the operator's
    /// settings against it before the plugin ever sees a request.
    pub settings: S,
    /// The names of the top-level settings that are secrets. All that stands below such a name is
    /// never printed.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// The names of the top-level settings that may be given as `{ file = "…" }` although they are no
    /// secrets: a script, a template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// True if the plugin proves by itself who sent a request (a signature, say). Where it does
    /// not, the host demands a `token` for the source.
    #[serde(default)]
    pub authenticates: bool,
    /// The suffix to the source's URL where the operator pastes it at the sender, such as a
    /// `#fragment` of connection overrides. Empty where there is nothing to append.
    #[serde(default)]
    pub url_suffix: String,
    /// The steps an operator follows at the sender, in Markdown. `{url}` stands for the URL to
    /// paste.
    #[serde(default)]
    pub setup: String,
    /// The limits that the plugin asks for, where the usual ones are too small for its sender's
    /// requests. The operator's own come first.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The methods that reach the plugin beside POST, PUT and PATCH, in upper case: `GET`, where
    /// the sender uses it to ask whether the address is the operator's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The names of the labels that the plugin sets, for `check` to compare an operator's rules
    /// with. Empty where they are not known beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The proof owed by the sender, so that the host can check it before it calls the plugin
    /// (declarative proof). All demands must be met. Empty where only the plugin can tell;
    /// [`Checked::proof`] comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<Demand>,
    /// The addresses that the host may get on behalf of the plugin, each where a setting turns it
    /// on. It gets no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<Fetch>,
}

/// The limits that a plugin asks for. Each is absent where the usual one will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a request's body, as sent and after decoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<u64>,
    /// Bytes of the plugin's own memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Milliseconds that one call may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

impl Limits {
    /// Returns whether no limit is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A JSON Schema as text. A plugin only hands it over, and the code to build it as a tree is a
/// tenth of a typical plugin. So `Schema::from(include_str!("settings.schema.json"))` is better
/// than `Schema::from(serde_json::json!(…))`, which works as well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Schema(Box<RawValue>);

impl From<String> for Schema {
    /// # Panics
    /// Where the text is no JSON. The first caller that asks for the description meets it: a test,
    /// or the build.
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

/// The plugin's judgement of one source's settings, beyond their schema: the answer of the optional
/// export `check`. The host asks once for each source, when it loads the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The mistakes. With any, the configuration is refused.
    #[serde(default)]
    pub mistakes: Vec<Mistake>,
    /// Warnings of settings that are allowed and probably not meant. They are shown, and refuse
    /// nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Mistake>,
    /// True if the plugin proves the sender with these settings, where that depends on them;
    /// otherwise [`Description::authenticates`] holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticates: Option<bool>,
    /// The proof owed by the sender with these settings, where it depends on them; otherwise
    /// [`Description::proof`] holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<Demand>>,
}

/// A mistake in a source's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// The place where it is: a JSON Pointer (RFC 6901) into the settings; empty for all of them.
    pub path: String,
    /// The wrong value, or a contradiction. It must hold no secret.
    pub found: String,
    /// The right form.
    pub help: String,
    /// The line of the mistake within a setting of several lines, such as a script; the first is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Mistake {
    /// A mistake at this place, with the right form.
    pub fn new(path: impl Into<String>, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            found: found.into(),
            help: help.into(),
            line: None,
        }
    }
}
