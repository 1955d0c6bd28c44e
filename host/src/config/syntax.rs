//! TOML, as far as it can be made out, and its mistakes in words.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::problem::Span;

/// One file's text, parsed.
pub(super) struct Parsed<'t> {
    /// The document; what is broken is left out or guessed.
    pub(super) document: DeTable<'t>,
    /// The mistakes, one a line at most.
    pub(super) mistakes: Vec<Mistake>,
    /// Lines that are not TOML. What was recovered of them is a guess, so nothing more is to be
    /// said of them.
    pub(super) broken: BTreeSet<usize>,
}

/// A mistake in the syntax.
pub(super) struct Mistake {
    /// Its line and column.
    pub(super) place: (usize, usize),
    pub(super) found: String,
    pub(super) help: String,
}

/// Parses a text.
pub(super) fn parse(text: &str) -> Parsed<'_> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let document = document.into_inner();
    let lines = Lines::of(text);
    let written = Written {
        text,
        lines: &lines,
    };
    let mut mistakes = Vec::new();
    let mut broken = BTreeSet::new();
    let mut open = false;
    for error in errors {
        let span = error.span().unwrap_or_default();
        let place = lines.place(text, span.start);
        let (found, expected) = error
            .message()
            .split_once(", expected ")
            .unwrap_or((error.message(), ""));
        // A brace or bracket that is never closed upsets every line after it.
        let goes_on = found.ends_with("between key-value pairs")
            || found.ends_with("between array elements")
            || found.ends_with("for inline table element");
        let known = open && goes_on;
        if goes_on && !open {
            open = true;
            broken.extend(written.opening_line(place.0));
        }
        // One slip of the pen can upset the parser several times; the first of a line says what it
        // was.
        if !broken.insert(place.0) || known {
            continue;
        }
        let (found, help) = match (found, expected) {
            ("duplicate key", _) => {
                let key = text.get(span.clone()).unwrap_or_default();
                let first = written.definition_before(&document, key, &span);
                let first = first.map_or_else(String::new, |(line, column)| {
                    format!(", first at {line}:{column}")
                });
                (
                    format!("{key} is written twice{first}"),
                    "keep one of the two".to_owned(),
                )
            }
            _ if goes_on => (
                format!("this is not TOML: {found}"),
                "close what an earlier line opens".to_owned(),
            ),
            (_, "nothing" | "literal string") => (
                format!("this is not TOML: {found}"),
                "put text in quotes".to_owned(),
            ),
            (_, "") => (format!("this is not TOML: {found}"), String::new()),
            _ => (
                format!("this is not TOML: {found}"),
                format!("expected {expected}"),
            ),
        };
        mistakes.push(Mistake { place, found, help });
    }
    Parsed {
        document,
        mistakes,
        broken,
    }
}

/// A text and its lines.
struct Written<'t> {
    text: &'t str,
    lines: &'t Lines,
}

impl Written<'_> {
    /// Returns the place of a key's first definition, where `again` is its second. This is the
    /// nearest key of that name before `again`, except those in an inline table that ends before
    /// it.
    fn definition_before(
        &self,
        table: &DeTable<'_>,
        key: &str,
        again: &Span,
    ) -> Option<(usize, usize)> {
        let mut found = None;
        let mut tables = vec![table];
        while let Some(table) = tables.pop() {
            for (name, value) in table {
                let here = name.span();
                if name.get_ref() == unquoted(key) && here.start < again.start {
                    found = found.max(Some(here.start));
                }
                let span = value.span();
                let is_inline = self
                    .text
                    .get(span.clone())
                    .is_some_and(|text| text.starts_with('{'));
                match value.get_ref() {
                    DeValue::Table(inner) if !is_inline || span.contains(&again.start) => {
                        tables.push(inner)
                    }
                    _ => {}
                }
            }
        }
        found
            .or_else(|| self.header_before(again))
            .map(|start| self.lines.place(self.text, start))
    }

    /// Returns the offset of the key in the first header that is written again at a later place.
    /// The document has only the latter.
    fn header_before(&self, again: &Span) -> Option<usize> {
        let line = |number: usize| self.lines.line(self.text, number);
        let last = self.lines.place(self.text, again.start).0 - 1;
        let header = line(last).trim();
        let first =
            (0..last).find(|number| header.starts_with('[') && line(*number).trim() == header)?;
        Some(self.lines.start(first) + (again.start - self.lines.start(last)))
    }

    /// Returns the line of a bracket that is still open on `line`, as far as can be told.
    fn opening_line(&self, line: usize) -> Option<usize> {
        let before = self.text.lines().take(line.saturating_sub(1)).enumerate();
        let opening =
            before.filter(|(_, text)| text.contains(['{', '[']) && !text.starts_with('['));
        opening.last().map(|(index, _)| index + 1)
    }
}

/// Returns a key without its quotes.
fn unquoted(key: &str) -> &str {
    let quoted = |quote: char| key.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(key)
}
