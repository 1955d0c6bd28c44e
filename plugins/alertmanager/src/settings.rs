//! The source's settings: how the sender proves itself, and how urgent what it sends is.

use std::fmt;
use std::marker::PhantomData;

use plugin_sdk::contract::Priority;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The `settings` table of a source.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// Tokens of which any proves the sender, as `Authorization: Bearer`.
    #[serde(default)]
    pub bearer_token: OneOrSeveral<String>,
    /// Logins of which any proves the sender, as `Authorization: Basic`.
    #[serde(default)]
    pub basic: OneOrSeveral<Login>,
    /// The label that tells how urgent an alert is.
    #[serde(default = "severity_label")]
    pub severity_label: String,
    /// Priorities by that label's values, before the commonly known words.
    #[serde(default)]
    pub severity: Priorities,
    /// The priority where that label is absent, or has an unknown word.
    #[serde(default)]
    pub default_priority: Option<Priority>,
    /// The fate of a firing that is told again.
    #[serde(default)]
    pub repeats: Repeats,
}

/// The fate of a firing that is told again, while it lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// A duplicate.
    Drop,
    /// An event of its own, for the same alert: an apparent repeat may be a new firing after a
    /// resolve by timeout.
    #[default]
    Send,
}

/// The credentials of `Authorization: Basic`.
#[derive(Debug, serde::Deserialize)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

fn severity_label() -> String {
    "severity".to_owned()
}

/// The priority of an alert without the label: a rule was written for it, so it is worth getting up
/// for.
const WITHOUT_LABEL: Priority = Priority::High;

/// The priority of a word that is not known: it never ranks below a known one.
const UNKNOWN_WORD: Priority = Priority::Critical;

impl Settings {
    /// The priority of an alert that says nothing of how urgent it is.
    pub fn priority_without_word(&self) -> Priority {
        self.default_priority.unwrap_or(WITHOUT_LABEL)
    }

    /// The priority of a value of the severity label, and whether its word is known.
    pub fn priority(&self, severity: Option<&str>) -> (Priority, bool) {
        let Some(severity) = severity.map(str::trim).filter(|word| !word.is_empty()) else {
            return (self.priority_without_word(), true);
        };
        let own = self
            .severity
            .0
            .iter()
            .find(|(word, _)| word.trim().eq_ignore_ascii_case(severity));
        let known = own
            .map(|(_, priority)| *priority)
            .or_else(|| Priority::from_word(severity));
        (
            known.or(self.default_priority).unwrap_or(UNKNOWN_WORD),
            known.is_some(),
        )
    }
}

/// Priorities by words, as few as somebody writes by hand.
#[derive(Default)]
pub struct Priorities(Vec<(String, Priority)>);

/// One of something, or a list of them while it is being rotated.
pub struct OneOrSeveral<T>(Vec<T>);

impl<T> OneOrSeveral<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> Default for OneOrSeveral<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

// By hand, because serde's untagged enums decode everything twice.

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrSeveral<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = OneOrSeveral<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("one, or a list")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(one)).map(|one| OneOrSeveral(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(one)).map(|one| OneOrSeveral(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut several = Vec::new();
                while let Some(one) = list.next_element()? {
                    several.push(one);
                }
                Ok(OneOrSeveral(several))
            }
        }

        deserializer.deserialize_any(Each(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Priorities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Priorities;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("priorities by words")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
                let mut priorities = Vec::new();
                while let Some(entry) = table.next_entry()? {
                    priorities.push(entry);
                }
                Ok(Priorities(priorities))
            }
        }

        deserializer.deserialize_map(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_proof_is_one_or_several() {
        assert_eq!(
            settings(r#"{"bearer_token": "a"}"#).bearer_token.as_slice(),
            ["a"]
        );
        assert_eq!(
            settings(r#"{"bearer_token": ["a", "b"]}"#)
                .bearer_token
                .as_slice(),
            ["a", "b"]
        );
        let one = settings(r#"{"basic": {"user": "am", "password": "p"}}"#);
        assert_eq!(
            (
                one.bearer_token.as_slice().len(),
                one.basic.as_slice().len()
            ),
            (0, 1)
        );
        let several = settings(
            r#"{"basic": [{"user": "a", "password": "p"}, {"user": "b", "password": "q"}]}"#,
        );
        assert_eq!(several.basic.as_slice()[1].user, "b");
    }

    #[test]
    fn the_operators_words_come_before_those_that_everybody_knows() {
        let settings = settings(
            r#"{"severity": {"Page": "critical", "warning": "low"}, "default_priority": "medium"}"#,
        );
        for (severity, priority) in [
            (Some("page"), Priority::Critical),
            (Some(" Warning "), Priority::Low),
            (Some("critical"), Priority::Critical),
            (Some("error"), Priority::High),
            (Some("none"), Priority::Low),
            (Some("purple"), Priority::Medium),
            (None, Priority::Medium),
        ] {
            assert_eq!(settings.priority(severity).0, priority, "{severity:?}");
            assert_eq!(settings.priority(severity).1, severity != Some("purple"));
        }
    }

    #[test]
    fn unknown_word_never_ranks_below_a_known_one() {
        let settings = settings("{}");
        for (severity, priority, known) in [
            (Some("purple"), Priority::Critical, false),
            (Some("not critical"), Priority::Critical, false),
            (Some("1"), Priority::Critical, false),
            (Some("P0"), Priority::Critical, true),
            (Some("Sev0"), Priority::Critical, true),
            (Some("Disaster"), Priority::Critical, true),
            (Some("none"), Priority::Low, true),
            (Some(" "), Priority::High, true),
            (None, Priority::High, true),
        ] {
            assert_eq!(
                settings.priority(severity),
                (priority, known),
                "{severity:?}"
            );
        }
    }

    #[test]
    fn what_is_not_set_has_the_default_that_the_schema_names() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("settings.schema.json")).unwrap();
        let settings = settings("{}");
        assert_eq!(
            settings.severity_label,
            schema["properties"]["severity_label"]["default"]
        );
        assert!(
            schema["properties"]["default_priority"]
                .get("default")
                .is_none()
        );
        assert_eq!(settings.default_priority, None);
        assert_eq!(
            settings.repeats,
            serde_json::from_value(schema["properties"]["repeats"]["default"].clone()).unwrap()
        );
    }
}
