//! The source's settings: how the sender proves itself, and what of a request becomes an alert.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::choice::Choice;
use crate::condition::Condition;
use crate::sender::Sender;

/// The `settings` table of a source. `schema.json` says what each is for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How the sender proves itself; where absent, the gateway demands the source's token.
    pub sender: Option<Sender>,
    /// What it proves itself with; any of several.
    pub secret: Option<Several>,
    /// Places whose text is JSON itself.
    pub decode: Vec<String>,
    /// The list of which every member is an event.
    pub each: Option<String>,
    /// What nobody needs to know.
    pub ignore: Vec<Condition>,
    /// The alert's fields.
    pub event_id: Option<AnyChoice>,
    /// See the contract's `Alert`; so for all that follow.
    pub key: Option<AnyChoice>,
    /// A word.
    pub status: Option<AnyChoice>,
    /// A word.
    pub priority: Option<AnyChoice>,
    /// The schema demands it.
    pub title: AnyChoice,
    /// Several lines at most.
    pub message: Option<AnyChoice>,
    /// A URL.
    pub link: Option<AnyChoice>,
    /// RFC 3339, RFC 2822, or seconds or milliseconds since 1970.
    pub time: Option<AnyChoice>,
    /// By name.
    pub labels: BTreeMap<String, AnyChoice>,
}

impl Settings {
    /// The secrets of which any will do.
    pub fn secrets(&self) -> &[String] {
        self.secret.as_ref().map_or(&[], |secrets| &secrets.0)
    }
}

/// The schema of [`Settings`].
pub fn schema() -> serde_json::Value {
    serde_json::from_str(include_str!("schema.json")).expect("schema.json is JSON")
}

/// One text, or a list of them. A number or a boolean is the text that it is written as.
#[derive(Debug, Default)]
pub struct Several(pub Vec<String>);

/// A [`Choice`] in any of its spellings.
#[derive(Debug, Default)]
pub struct AnyChoice(pub Choice);

// By hand, because serde's untagged enums decode everything twice.

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Spelling).map(|choice| choice.from)
    }
}

impl<'de> Deserialize<'de> for AnyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Spelling).map(Self)
    }
}

struct Spelling;

impl<'de> Visitor<'de> for Spelling {
    type Value = Choice;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a list of them, or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Choice, E> {
        Ok(Choice { from: Several(vec![text.to_owned()]), ..Choice::default() })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Choice, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Choice, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Choice, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choice, A::Error> {
        let mut all = Several::default();
        while let Some(mut one) = list.next_element::<Several>()? {
            all.0.append(&mut one.0);
        }
        Ok(Choice { from: all, ..Choice::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Choice, A::Error> {
        Choice::deserialize(MapAccessDeserializer::new(table))
    }
}
