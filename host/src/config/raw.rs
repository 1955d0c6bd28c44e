//! The raw configuration: the TOML document with the place of every key and value, before anything is made of it.
//!
//! A [`Table`] is read by asking for its keys. What was asked for is what is known, so a key that nobody asked for is an
//! unknown key, and there is no second list of names to keep in step.

use std::collections::BTreeSet;
use std::ops::Range;

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{did_you_mean, listed};
use super::reading::Reading;

/// Bytes of the document, from and to.
pub(super) type Span = Range<usize>;

/// One table, and which of its keys have been asked for.
pub(super) struct Table<'t> {
    /// Its name in problems: `[destinations.itoc360]`.
    pub(super) name: String,
    /// Its header, or, where it was not written, that of the table that would hold it.
    pub(super) span: Span,
    entries: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
    /// Required keys that are not there, each with a line to write.
    missing: Vec<(&'static str, String)>,
}

impl<'t> Table<'t> {
    /// A table of the document; `entries` is `None` where it was not written.
    pub(super) fn new(name: impl Into<String>, span: Span, entries: Option<&'t DeTable<'t>>) -> Self {
        Self { name: name.into(), span, entries, asked: Vec::new(), missing: Vec::new() }
    }

    /// Returns whether anything stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_none_or(DeTable::is_empty)
    }

    /// Every key with its value, asked for or not.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t Spanned<Cow<'t, str>>, Value<'t>)> + use<'t> {
        let name = self.name.clone();
        let entries = self.entries.into_iter().flat_map(DeTable::iter);
        entries.map(move |(key, value)| (key, Value::new(format!("{} in {name}", key.get_ref()), value)))
    }

    /// The value of a key, if it was written.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.asked.push(key);
        let value = self.entries?.get(key)?;
        Some(Value::new(format!("{key} in {}", self.name), value))
    }

    /// The value of a key that stands in the table under a name which is near, and is none of the `known` ones.
    pub(super) fn misspelt(&self, key: &str, known: &[&str]) -> Option<Value<'t>> {
        let entries = self.entries.filter(|entries| !entries.contains_key(key))?;
        let mut others = entries.iter().filter(|(name, _)| !known.contains(&name.get_ref().as_ref()));
        let found = others.find(|(name, _)| did_you_mean(name.get_ref(), known.iter().copied()) == Some(key))?;
        Some(Value::new(key.to_owned(), found.1))
    }

    /// Returns the value that `read` makes of a key, or the default where it was not written. `None` means that a problem was recorded.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Option<T> {
        self.value(key).map_or(Some(default), read)
    }

    /// Returns the value that `read` makes of a required key; `example` is the line to write where it is not.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: impl Into<String>,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key);
        if value.is_none() {
            self.missing.push((key, example.into()));
        }
        value.and_then(read)
    }

    /// The table below a key; one that was not written reads as empty.
    pub(super) fn table(&mut self, key: &'static str, name: impl Into<String>, reading: &mut Reading) -> Self {
        let name = name.into();
        match self.value(key) {
            Some(value) => match value.table(&name, reading) {
                Some(entries) => Self::new(name, value.span, Some(entries)),
                None => Self::new(name, value.span, None),
            },
            None => Self::new(name, self.span.clone(), None),
        }
    }

    /// The end of reading: reports keys that nobody asked for and required ones that are not there. A required key that
    /// is there under a misspelt name is one problem, not two.
    pub(super) fn finish(self, reading: &mut Reading) {
        let mut meant = BTreeSet::new();
        for (key, _) in self.entries.into_iter().flat_map(DeTable::iter) {
            let written = key.get_ref();
            if self.asked.iter().any(|asked| asked == written) {
                continue;
            }
            let free = self.asked.iter().copied().filter(|asked| self.entries.is_none_or(|e| !e.contains_key(*asked)));
            let help = match did_you_mean(written, free) {
                Some(near) => {
                    meant.insert(near);
                    format!("did you mean {near:?}?")
                }
                None => format!("the keys here are {}", listed(self.asked.iter().copied(), "and")),
            };
            reading.problem(key.span(), format!("unknown key {written:?} in {}", self.name), help);
        }
        if self.entries.is_none() && !self.missing.is_empty() {
            let keys = listed(self.missing.iter().map(|(_, example)| example.as_str()), "and");
            reading.absent(self.span, format!("there is no {}", self.name), format!("add it, with {keys}"));
            return;
        }
        for (key, example) in self.missing {
            if !meant.contains(key) {
                reading.absent(self.span.clone(), format!("{} has no {key}", self.name), format!("add {example}"));
            }
        }
    }
}

/// A value and what a problem calls it.
pub(super) struct Value<'t> {
    /// `listen in [gateway]`.
    pub(super) label: String,
    pub(super) span: Span,
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn new(label: String, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { label, span: value.span(), value: value.get_ref() }
    }

    /// Text; `example` is what could have been written.
    pub(super) fn text(&self, example: &str, reading: &mut Reading) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type(format!("write text such as {example:?}"), reading);
        }
        text
    }

    /// A boolean.
    pub(super) fn boolean(&self, reading: &mut Reading) -> Option<bool> {
        let truth = self.value.as_bool();
        if truth.is_none() {
            self.wrong_type("write true or false", reading);
        }
        truth
    }

    /// A table, to be written under the header `name`.
    pub(super) fn table(&self, name: &str, reading: &mut Reading) -> Option<&'t DeTable<'t>> {
        let table = self.value.as_table();
        if table.is_none() {
            self.wrong_type(format!("write it as a table, under the header {name}"), reading);
        }
        table
    }

    /// Reports a value of a wrong type. The value itself is not shown: it may be a secret.
    pub(super) fn wrong_type(&self, help: impl Into<String>, reading: &mut Reading) {
        reading.problem(self.span.clone(), format!("{} is {}", self.label, kind(self.value)), help);
    }

    /// Reports a text of a right type and a wrong meaning, and shows it. Not for secrets.
    pub(super) fn wrong_text(&self, text: &str, help: impl Into<String>, reading: &mut Reading) {
        reading.problem(self.span.clone(), format!("{} is {}", self.label, quoted(text)), help);
    }
}

/// The text in quotes, and no more of it than a line can bear.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

/// The type of a value, as a person says it.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
