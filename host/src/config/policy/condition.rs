//! `when = { … }`: the condition of a rule or a mute.

use std::fmt;

use plugin_sdk::contract::{Priority, Status};
use toml::de::{DeTable, DeValue};

use super::super::problem::did_you_mean;
use super::super::raw::{Table, Value};
use super::pattern::Pattern;

/// The most `not`s, one within another.
const DEEPEST: usize = 8;

/// A condition over one alert. Every term must hold, and `not` must not; an empty condition holds
/// always.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    /// The terms, each over another field.
    pub terms: Vec<Term>,
    /// A condition that must not hold.
    pub not: Option<Box<Condition>>,
}

/// One field of an alert, and the patterns of which at least one must match. A label that the alert
/// does not have matches none.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// The patterns.
    pub any: Vec<Pattern>,
}

/// A field of an alert that a condition can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The name of the source.
    Source,
    /// `critical`, `high`, `medium` or `low`.
    Priority,
    /// `trigger` or `resolve`.
    Status,
    /// The title.
    Title,
    /// A label, by its name.
    Label(String),
}

impl Field {
    fn named(name: &str) -> Self {
        match name {
            "source" => Self::Source,
            "priority" => Self::Priority,
            "status" => Self::Status,
            "title" => Self::Title,
            label => Self::Label(label.to_owned()),
        }
    }

    /// The words that a field can hold, where there are only some.
    fn words(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::Priority => Some(Priority::ALL.map(Priority::as_str).to_vec()),
            Self::Status => Some(
                [Status::Trigger, Status::Resolve]
                    .map(Status::as_str)
                    .to_vec(),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Priority => f.write_str("priority"),
            Self::Status => f.write_str("status"),
            Self::Title => f.write_str("title"),
            Self::Label(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for term in &self.terms {
            let any: Vec<_> = term.any.iter().map(ToString::to_string).collect();
            write!(f, "{separator}{}={}", term.field, any.join("|"))?;
            separator = " ";
        }
        match &self.not {
            Some(not) => write!(f, "{separator}not({not})"),
            None => Ok(()),
        }
    }
}

impl Condition {
    /// Makes a condition of names and patterns, as a command line has them. Of a name that comes
    /// more than once, one of the patterns must match.
    ///
    /// # Errors
    /// What is wrong with a pattern, in words.
    pub fn of_pairs<'t>(
        pairs: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, String> {
        let mut condition = Self::default();
        for (name, text) in pairs {
            let field = match name.strip_prefix("label:") {
                Some(label) => Field::Label(label.to_owned()),
                None => Field::named(name),
            };
            if let Some(words) = field.words().filter(|words| !words.contains(&text)) {
                return Err(format!("{name} is one of {}", words.join(", ")));
            }
            let pattern = Pattern::parse(text)
                .map_err(|error| format!("{text:?} cannot be matched: {error}"))?;
            match condition.terms.iter_mut().find(|term| term.field == field) {
                Some(term) => term.any.push(pattern),
                None => condition.terms.push(Term {
                    field,
                    any: vec![pattern],
                }),
            }
        }
        Ok(condition)
    }

    /// The names of the labels that the condition looks at, those of its `not` as well.
    pub fn labels(&self) -> Vec<&str> {
        let own = self.terms.iter().filter_map(|term| match &term.field {
            Field::Label(name) => Some(name.as_str()),
            _ => None,
        });
        own.chain(self.not.iter().flat_map(|not| not.labels()))
            .collect()
    }

    /// Returns whether the condition holds for every alert, as it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.not.is_none()
    }
}

/// Reads a `when`.
pub(in crate::config) fn read(value: &Value<'_>) -> Option<Condition> {
    condition(value, 0)
}

fn condition(value: &Value<'_>, depth: usize) -> Option<Condition> {
    let Some(entries) = value.value.as_table() else {
        value.wrong_type(
            "write a table such as { error_code = [\"30006\", \"30007\"], priority = \"low\" }",
        );
        return None;
    };
    if depth > DEEPEST {
        value.problem(
            format!("{} stands too deep", value.label),
            "write a rule for each part",
        );
        return None;
    }
    let mut condition = Condition::default();
    let mut sound = true;
    for (key, entry) in all(value, entries) {
        let read = match key.as_str() {
            "not" => {
                self::condition(&entry, depth + 1).map(|not| condition.not = Some(Box::new(not)))
            }
            // Labels whose names are those of other fields stand below `labels`.
            "labels" => labels(&entry, &mut condition),
            name => term(&entry, Field::named(name)).map(|term| condition.terms.push(term)),
        };
        sound &= read.is_some();
    }
    sound.then_some(condition)
}

fn labels(value: &Value<'_>, condition: &mut Condition) -> Option<()> {
    let Some(entries) = value.value.as_table() else {
        value.wrong_type("write a table such as { title = \"Disk*\" }");
        return None;
    };
    let mut sound = true;
    for (key, entry) in all(value, entries) {
        match term(&entry, Field::Label(key)) {
            Some(term) => condition.terms.push(term),
            None => sound = false,
        }
    }
    sound.then_some(())
}

fn all<'t>(value: &Value<'t>, entries: &'t DeTable<'t>) -> Vec<(String, Value<'t>)> {
    let table = Table::new(
        value.label.clone(),
        value.span.clone(),
        Some(entries),
        value.reading,
    );
    table
        .entries()
        .map(|(key, value)| (key.get_ref().to_string(), value))
        .collect()
}

fn term(value: &Value<'_>, field: Field) -> Option<Term> {
    let any = match value.value {
        DeValue::Array(items) if items.is_empty() => {
            let found = format!("{} is an empty list, which nothing matches", value.label);
            value.problem(found, "write at least one text, or leave it out");
            return None;
        }
        DeValue::Array(items) => {
            let read: Vec<_> = items
                .iter()
                .map(|item| {
                    pattern(
                        &Value::new(value.label.clone(), item, value.reading),
                        &field,
                    )
                })
                .collect();
            read.into_iter().collect::<Option<_>>()?
        }
        _ => vec![pattern(value, &field)?],
    };
    Some(Term { field, any })
}

fn pattern(value: &Value<'_>, field: &Field) -> Option<Pattern> {
    let text = match (value.string()?, value.value) {
        (Some(text), _) => text.to_owned(),
        // A number or a boolean means the text that a label holds for it.
        (None, DeValue::Integer(number)) if number.radix() == 10 => number.as_str().to_owned(),
        (None, DeValue::Float(number)) => number.as_str().to_owned(),
        (None, DeValue::Boolean(truth)) => truth.to_string(),
        _ => {
            value.wrong_type(
                "write a text, a glob such as \"300*\", a range such as \"500..599\", or a list",
            );
            return None;
        }
    };
    let pattern = match Pattern::parse(&text) {
        Ok(pattern) => pattern,
        Err(error) => {
            value.wrong_text(&text, format!("{error}, so it matches nothing"));
            return None;
        }
    };
    if let Some(words) = field.words()
        && !words.iter().any(|word| pattern.matches(word))
    {
        let help = match did_you_mean(&text, words.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", words.join(", ")),
        };
        value.wrong_text(&text, help);
        return None;
    }
    Some(pattern)
}
