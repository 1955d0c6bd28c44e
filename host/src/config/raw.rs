//! The raw configuration: the TOML document with the place of every key and value, before anything
//! is made of it.
//!
//! A [`Table`] is read by asking for its keys. The keys asked for are the known keys, and any other
//! is unknown, so there is no second list of names to keep in step.

use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Span, did_you_mean, listed};
use super::reading::Reading;

/// One table, and which of its keys have been asked for.
pub(super) struct Table<'t> {
    pub(super) reading: &'t Reading<'t>,
    /// Its name in a problem: `[destinations.itoc360]`.
    pub(super) name: String,
    /// Its header, or, where the table was not written, the header of its parent.
    pub(super) span: Span,
    entries: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
    /// Required keys that are not there, each with a line to write.
    missing: Vec<(&'static str, String)>,
}

impl<'t> Table<'t> {
    /// A table of the document; `entries` is `None` where it was not written.
    pub(super) fn new(
        name: impl Into<String>,
        span: Span,
        entries: Option<&'t DeTable<'t>>,
        reading: &'t Reading<'t>,
    ) -> Self {
        Self {
            reading,
            name: name.into(),
            span,
            entries,
            asked: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Returns true if nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_none_or(DeTable::is_empty)
    }

    /// Iterates over every key with its value, asked for or not.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'t Spanned<Cow<'t, str>>, Value<'t>)> + use<'t> {
        let name = self.name.clone();
        let reading = self.reading;
        let entries = self.entries.into_iter().flat_map(DeTable::iter);
        entries.map(move |(key, value)| {
            (
                key,
                Value::new(format!("{} in {name}", key.get_ref()), value, reading),
            )
        })
    }

    /// Returns the value of a key, if it was written.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.asked.push(key);
        let value = self.entries?.get(key)?;
        Some(Value::new(
            format!("{key} in {}", self.name),
            value,
            self.reading,
        ))
    }

    /// Returns the value of a key under a misspelt name: one near to it and none of the `known`
    /// ones.
    pub(super) fn misspelt(&self, key: &str, known: &[&str]) -> Option<Value<'t>> {
        let entries = self.entries.filter(|entries| !entries.contains_key(key))?;
        let mut others = entries
            .iter()
            .filter(|(name, _)| !known.contains(&name.get_ref().as_ref()));
        let found = others
            .find(|(name, _)| did_you_mean(name.get_ref(), known.iter().copied()) == Some(key))?;
        Some(Value::new(key.to_owned(), found.1, self.reading))
    }

    /// Reads a key, or takes the default where it was not written. `None` means that a problem was
    /// recorded.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Option<T> {
        self.value(key).map_or(Some(default), read)
    }

    /// Reads a key that must be there; `example` is the line to write where it is not.
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

    /// Returns the table below a key; one that was not written reads as empty.
    pub(super) fn table(&mut self, key: &'static str, name: impl Into<String>) -> Self {
        let name = name.into();
        match self.value(key) {
            Some(value) => {
                let entries = value.table(&name);
                Self::new(name, value.span, entries, self.reading)
            }
            None => Self::new(name, self.span.clone(), None, self.reading),
        }
    }

    /// Ends the reading: reports unknown keys and missing ones. A required key under a misspelt
    /// name is one problem, not two.
    pub(super) fn finish(self) {
        let mut meant = BTreeSet::new();
        for (key, _) in self.entries.into_iter().flat_map(DeTable::iter) {
            let written = key.get_ref();
            if self.asked.iter().any(|asked| asked == written) {
                continue;
            }
            let free = self
                .asked
                .iter()
                .copied()
                .filter(|asked| self.entries.is_none_or(|e| !e.contains_key(*asked)));
            let help = match did_you_mean(written, free) {
                Some(near) => {
                    meant.insert(near);
                    format!("did you mean {near:?}?")
                }
                None => format!(
                    "the keys here are {}",
                    listed(self.asked.iter().copied(), "and")
                ),
            };
            self.reading.problem(
                key.span(),
                format!("unknown key {written:?} in {}", self.name),
                help,
            );
        }
        if self.entries.is_none() && !self.missing.is_empty() {
            let keys = listed(
                self.missing.iter().map(|(_, example)| example.as_str()),
                "and",
            );
            self.reading.absent(
                self.span,
                format!("there is no {}", self.name),
                format!("add it, with {keys}"),
            );
            return;
        }
        for (key, example) in self.missing {
            if !meant.contains(key) {
                self.reading.absent(
                    self.span.clone(),
                    format!("{} has no {key}", self.name),
                    format!("add {example}"),
                );
            }
        }
    }
}

/// A value and its name in a problem.
pub(super) struct Value<'t> {
    pub(super) reading: &'t Reading<'t>,
    /// `listen in [gateway]`.
    pub(super) label: String,
    pub(super) span: Span,
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn new(
        label: String,
        value: &'t Spanned<DeValue<'t>>,
        reading: &'t Reading<'t>,
    ) -> Self {
        Self {
            reading,
            label,
            span: value.span(),
            value: value.get_ref(),
        }
    }

    /// Returns a value of a list, under the name of the list.
    pub(super) fn item(&self, item: &'t Spanned<DeValue<'t>>) -> Self {
        Self::new(self.label.clone(), item, self.reading)
    }

    /// Returns a table that stands in the place of this value.
    pub(super) fn inner(&self, entries: &'t DeTable<'t>) -> Table<'t> {
        Table::new(
            self.label.clone(),
            self.span.clone(),
            Some(entries),
            self.reading,
        )
    }

    /// Records a mistake in it.
    pub(super) fn problem(&self, found: impl Into<String>, help: impl Into<String>) {
        self.reading.problem(self.span.clone(), found, help);
    }

    /// Records that it names something absent.
    pub(super) fn absent(&self, found: impl Into<String>, help: impl Into<String>) {
        self.reading.absent(self.span.clone(), found, help);
    }

    /// Records that it is allowed and yet unwise.
    pub(super) fn warning(&self, found: impl Into<String>, help: impl Into<String>) {
        self.reading.warning(self.span.clone(), found, help);
    }

    /// Returns its text; `example` could have been written.
    pub(super) fn text(&self, example: &str) -> Option<&'t str> {
        let text = self.string()?;
        if text.is_none() {
            self.wrong_type(format!("write text such as {example:?}"));
        }
        text
    }

    /// Returns its text, or the variable's in `{ env = "…" }`; `Some(None)` where it is of another
    /// type. `None` means that a problem was recorded.
    pub(super) fn string(&self) -> Option<Option<&'t str>> {
        match self.variable() {
            None => Some(self.value.as_str()),
            Some(name) => self.fetched(name).map(Some),
        }
    }

    /// Returns the name in `{ env = "…" }`.
    pub(super) fn variable(&self) -> Option<&'t str> {
        let table = self.value.as_table().filter(|table| table.len() == 1)?;
        table.get("env")?.get_ref().as_str()
    }

    /// Returns its truth, where it is a boolean.
    pub(super) fn boolean(&self) -> Option<bool> {
        let truth = self.value.as_bool();
        if truth.is_none() {
            self.wrong_type("write true or false");
        }
        truth
    }

    /// Returns its table, to be written under the header `name`.
    pub(super) fn table(&self, name: &str) -> Option<&'t DeTable<'t>> {
        let table = self.value.as_table();
        if table.is_none() {
            self.wrong_type(format!("write it as a table, under the header {name}"));
        }
        table
    }

    /// Reports a value of a wrong type. The value itself is not shown: it may be a secret.
    pub(super) fn wrong_type(&self, help: impl Into<String>) {
        self.problem(format!("{} is {}", self.label, kind(self.value)), help);
    }

    /// Reports a text of a right type and a wrong meaning, and shows it. Not for secrets.
    pub(super) fn wrong_text(&self, text: &str, help: impl Into<String>) {
        self.problem(format!("{} is {}", self.label, self.shown(text)), help);
    }

    /// Returns its text in quotes. A variable's is not shown: the wrong name may be a
    /// secret's.
    pub(super) fn shown(&self, text: &str) -> String {
        match self.variable() {
            None => quoted(text),
            Some(_) => "the text of its environment variable, which is not shown".to_owned(),
        }
    }
}

/// Returns the text in quotes, and no more of it than a line can bear.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

/// Returns the type of a value, as a person says it.
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
