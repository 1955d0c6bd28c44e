//! `[[sources.<name>.rules]]`: what an operator changes about the alerts of a source.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use leon::{Item, Template};
use plugin_sdk::contract::Priority;
use toml::de::DeValue;

use super::super::name::of_destinations;
use super::super::problem::{Position, did_you_mean};
use super::super::raw::{Table, Value};
use super::condition::{self, Condition};
use super::redaction::{self, Redaction};

/// The time without an event until the gateway resolves an alert.
pub(in crate::config) const RESOLVE_AFTER: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(90 * 24 * 60 * 60);

/// One rule. Its effects apply to each alert for which its condition holds.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The place where the rule begins in the configuration.
    pub position: Position,
    /// Its number among the rules of its source, from 1.
    pub number: usize,
    /// The alerts that it applies to.
    pub when: Condition,
    /// True if the alert is dropped: acknowledged, and stored as ignored.
    pub drop: bool,
    /// The priority that the alert gets.
    pub priority: Option<Priority>,
    /// Labels that the alert gets, in place of those of the same names.
    pub labels: BTreeMap<String, String>,
    /// The destinations that the alert goes to, in place of the source's.
    pub destinations: Option<Vec<String>>,
    /// The time without an event of its key until the gateway resolves the alert, in place of the
    /// source's.
    pub resolve_after: Option<Duration>,
    /// The redactions of the alert, beside those of its source.
    pub redact: Vec<Redaction>,
    /// The key that the alert gets.
    pub key: Option<KeyTemplate>,
    /// True if the rules after this one are skipped.
    pub stop: bool,
}

/// A template for a key: text with names of labels in braces, such as `{service}/{error_code}`.
/// `{key}` is the key that the plugin gave, and `{source}` the name of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl KeyTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Its braces are wrong; with the advice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(text).map_err(|_| {
            "a brace in it has no partner; write it like \"{service}/{error_code}\", and a brace that stands for itself \
             as \\\\{"
                .to_owned()
        })?;
        let part = |item: &Item<'_>| match *item {
            Item::Text(text) => Part::Text(text.to_owned()),
            Item::Key(name) => Part::Name(name.to_owned()),
        };
        Ok(Self {
            parts: template.items.iter().map(part).collect(),
        })
    }

    /// The names in braces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Writes the key. `None` where a name stands for nothing: a key with a hole would join what is
    /// apart.
    pub fn render<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        self.parts.iter().try_fold(String::new(), |text, part| {
            Some(
                text + match part {
                    Part::Text(part) => part,
                    Part::Name(name) => value(name).filter(|value| !value.is_empty())?,
                },
            )
        })
    }
}

/// Reads the rules of a source. An unreadable one is left out, so that the others are judged.
pub(in crate::config) fn read(value: &Value<'_>, known: &[&str]) -> Option<Vec<Rule>> {
    let DeValue::Array(items) = value.value else {
        value.wrong_type("write each rule as a table of its own, below [[sources.<name>.rules]]");
        return None;
    };
    let read = (1..).zip(items).filter_map(|(number, item)| {
        let label = format!("rule {number} of {}", value.label);
        rule(number, &Value::new(label, item, value.reading), known)
    });
    Some(read.collect())
}

fn rule(number: usize, value: &Value<'_>, known: &[&str]) -> Option<Rule> {
    let entries = value.table("[[sources.<name>.rules]]")?;
    let position = value.reading.position(value.span.start);
    let mut table = Table::new(
        value.label.clone(),
        value.span.clone(),
        Some(entries),
        value.reading,
    );
    let when = table.optional("when", Condition::default(), |value| {
        condition::read(&value)
    });
    let drop = table.optional("drop", false, |value| value.boolean());
    let priority = table.optional("priority", None, |value| priority(&value).map(Some));
    let labels = table.optional("labels", BTreeMap::new(), |value| labels(&value));
    let destinations = table.optional("destination", None, |value| {
        of_destinations(&value, known).map(Some)
    });
    let resolve_after = table.optional("resolve_after", None, |value| {
        value.duration(&RESOLVE_AFTER).map(Some)
    });
    let redact = table.optional("redact", Vec::new(), |value| redaction::read(&value));
    let key = table.optional("key", None, |value| key(&value).map(Some));
    let stop = table.optional("stop", false, |value| value.boolean());
    table.finish();
    let rule = Rule {
        position,
        number,
        when: when?,
        drop: drop?,
        priority: priority?,
        labels: labels?,
        destinations: destinations?,
        resolve_after: resolve_after?,
        redact: redact?,
        key: key?,
        stop: stop?,
    };
    if rule.changes_nothing() {
        let help = "add drop, priority, labels, destination, resolve_after, redact, key or stop";
        value.problem(format!("{} changes nothing", value.label), help);
        return None;
    }
    if rule.drop && rule.has_effects_beside_drop() {
        let help = "leave out the other effects, or drop";
        value.problem(
            format!("{} drops the alert and changes it too", value.label),
            help,
        );
        return None;
    }
    Some(rule)
}

impl Rule {
    fn changes_nothing(&self) -> bool {
        !self.drop && !self.stop && !self.has_effects_beside_drop()
    }

    fn has_effects_beside_drop(&self) -> bool {
        self.priority.is_some()
            || !self.labels.is_empty()
            || self.destinations.is_some()
            || self.resolve_after.is_some()
            || !self.redact.is_empty()
            || self.key.is_some()
    }
}

fn priority(value: &Value<'_>) -> Option<Priority> {
    let text = value.text("low")?;
    let found = Priority::named(text);
    if found.is_none() {
        let words = Priority::ALL.map(Priority::as_str);
        let help = match did_you_mean(text, words) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", words.join(", ")),
        };
        value.wrong_text(text, help);
    }
    found
}

/// Reads labels to add: names with texts.
pub(in crate::config) fn labels(value: &Value<'_>) -> Option<BTreeMap<String, String>> {
    let Some(entries) = value.value.as_table() else {
        value.wrong_type("write a table such as { team = \"voice\" }");
        return None;
    };
    let table = Table::new(
        value.label.clone(),
        value.span.clone(),
        Some(entries),
        value.reading,
    );
    let mut labels = BTreeMap::new();
    let mut sound = true;
    for (key, value) in table.entries() {
        match value.text("voice") {
            Some(text) => {
                labels.insert(key.get_ref().to_string(), text.to_owned());
            }
            None => sound = false,
        }
    }
    sound.then_some(labels)
}

fn key(value: &Value<'_>) -> Option<KeyTemplate> {
    let text = value.text("{service}/{error_code}")?;
    match KeyTemplate::parse(text) {
        Ok(template) if template.names().next().is_some() => Some(template),
        Ok(_) => {
            value.wrong_text(
                text,
                "name at least one label in braces, or all alerts become one",
            );
            None
        }
        Err(help) => {
            value.wrong_text(text, help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_template_needs_every_part() {
        let template = KeyTemplate::parse("{service}/{code}").unwrap();
        let value = |name: &str| match name {
            "service" => Some("sms"),
            "code" => Some("30006"),
            _ => None,
        };
        assert_eq!(template.render(value).as_deref(), Some("sms/30006"));
        assert_eq!(
            template.render(|name| value(name).filter(|_| name != "code")),
            None
        );
        assert_eq!(
            template.render(|_| Some("")),
            None,
            "an empty part is a missing one"
        );
        assert!(KeyTemplate::parse("{service").is_err());
    }
}
