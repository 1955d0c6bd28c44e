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

impl Term {
    /// Returns whether one of the patterns fits the text.
    pub fn matches(&self, text: &str) -> bool {
        self.any.iter().any(|pattern| pattern.matches(text))
    }
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
    /// Reads a name as it stands on a command line. A label that is called like another field has
    /// `labels.` before its name.
    fn dotted(name: &str) -> Self {
        let label = ["labels.", "label:"]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        label.map_or_else(|| Self::named(name), |label| Self::Label(label.to_owned()))
    }

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

    /// Reads a pattern for the field. A refusal says what would be right.
    fn pattern(&self, text: &str) -> Result<Pattern, String> {
        let pattern =
            Pattern::parse(text).map_err(|error| format!("{error}, so it matches nothing"))?;
        match self.words() {
            Some(words) if !words.iter().any(|word| pattern.matches(word)) => {
                Err(match did_you_mean(text, words.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("it is one of {}", words.join(", ")),
                })
            }
            _ => Ok(pattern),
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
    /// Returns the patterns of which one must match the source's name; none where any source will
    /// do.
    pub fn sources(&self) -> &[Pattern] {
        let mut terms = self.terms.iter();
        let term = terms.find(|term| term.field == Field::Source);
        term.map_or(&[], |term| &term.any)
    }

    /// Makes a condition of names and patterns, as a command line has them. The names are the keys
    /// of a `when` in the file, with dots between tables, such as `not.team`. Of a name that comes
    /// more than once, one of the patterns must match.
    ///
    /// # Errors
    /// What is wrong with a pattern, in words.
    pub fn of_pairs<'t>(
        pairs: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, String> {
        let mut condition = Self::default();
        for (name, text) in pairs {
            let mut within = &mut condition;
            let mut rest = name;
            let mut depth = 0;
            while let Some(negated) = rest.strip_prefix("not.") {
                depth += 1;
                if depth > DEEPEST {
                    return Err(format!(
                        "a condition has at most {DEEPEST} nots, one within another"
                    ));
                }
                within = within.not.get_or_insert_default();
                rest = negated;
            }
            if matches!(rest, "" | "not" | "labels" | "labels." | "label:") {
                return Err(format!(
                    "{name} names no label: write one as in not.team=voice"
                ));
            }
            let field = Field::dotted(rest);
            let pattern = field
                .pattern(text)
                .map_err(|help| format!("{name} is {text:?}: {help}"))?;
            match within.terms.iter_mut().find(|term| term.field == field) {
                Some(term) => term.any.push(pattern),
                None => within.terms.push(Term {
                    field,
                    any: vec![pattern],
                }),
            }
        }
        Ok(condition)
    }

    /// Returns a name and a pattern that hold for an alert with this label, as a command line has
    /// them; none where no pattern is just this value.
    pub fn of_label(name: &str, value: &str) -> Option<String> {
        let is_field = !matches!(Field::named(name), Field::Label(_));
        let is_taken = ["not.", "labels.", "label:"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let is_odd = |char: char| char.is_control() || char == '"';
        let prefix = match is_field || is_taken || matches!(name, "not" | "labels") {
            true => "labels.",
            false => "",
        };
        if name.contains(|char: char| char == '=' || char.is_whitespace() || is_odd(char))
            || value.contains(is_odd)
        {
            return None;
        }
        Pattern::parse(value)
            .is_ok_and(|pattern| pattern.matches(value))
            .then(|| format!("{prefix}{name}={value}"))
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
    match field.pattern(&text) {
        Ok(pattern) => Some(pattern),
        Err(help) => {
            value.wrong_text(&text, help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&str, &str)]) -> Result<String, String> {
        Condition::of_pairs(pairs.iter().copied()).map(|condition| condition.to_string())
    }

    #[test]
    fn names_with_dots_mean_what_tables_mean_in_the_file() {
        let pairs = [
            ("source", "twilio-*"),
            ("not.error_code", "30006"),
            ("not.labels.title", "x"),
            ("not.error_code", "30007"),
            ("priority", "h*"),
            ("label:source", "y"),
        ];
        let shown = shown(&pairs).unwrap();
        assert_eq!(
            shown,
            "source=twilio-* priority=h* source=y not(error_code=30006|30007 title=x)"
        );
        let condition = Condition::of_pairs(pairs).unwrap();
        assert_eq!(condition.terms[2].field, Field::Label("source".to_owned()));
        let not = condition.not.unwrap();
        assert_eq!(not.terms[1].field, Field::Label("title".to_owned()));
    }

    #[test]
    fn label_becomes_a_pair_that_holds_for_it() {
        for (name, value, pair) in [
            ("error_code", "11200", Some("error_code=11200")),
            ("source", "a b", Some("labels.source=a b")),
            ("not.x", "a*", Some("labels.not.x=a*")),
            ("labels", "=", Some("labels.labels==")),
            ("a", ">= 5", None),
            ("a", "1..5", None),
            ("a", "", None),
            ("a", "say \"x\"", None),
            ("a b", "x", None),
        ] {
            let found = Condition::of_label(name, value);
            assert_eq!(found.as_deref(), pair, "{name}={value}");
            if let Some((name, pattern)) = pair.and_then(|pair| pair.split_once('=')) {
                let condition = Condition::of_pairs([(name, pattern)]).unwrap();
                assert!(condition.terms[0].any[0].matches(value), "{pattern}");
            }
        }
    }

    #[test]
    fn pair_that_can_never_match_is_refused_with_what_is_right() {
        for (name, text, expected) in [
            (
                "priority",
                "hihg",
                "priority is \"hihg\": did you mean \"high\"?",
            ),
            (
                "not.status",
                "open",
                "not.status is \"open\": it is one of trigger, resolve",
            ),
            (
                "error_code",
                ">= many",
                "error_code is \">= many\": no number follows the sign, so it matches nothing",
            ),
            (
                "not",
                "x",
                "not names no label: write one as in not.team=voice",
            ),
            (
                "not.labels.",
                "x",
                "not.labels. names no label: write one as in not.team=voice",
            ),
        ] {
            assert_eq!(shown(&[(name, text)]), Err(expected.to_owned()));
        }
        let deep = format!("{}team", "not.".repeat(DEEPEST + 1));
        assert!(shown(&[(&deep, "x")]).is_err());
    }
}
