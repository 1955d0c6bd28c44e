//! The state of one reading: the text, what surrounds it, and everything found wrong with it so far.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{Position, Problem};
use super::raw::Span;

/// Looks up an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Collects problems while sections are read, so that none hides another.
pub(super) struct Reading<'a> {
    file: &'a Path,
    text: &'a str,
    /// The offset at which each line starts.
    lines: Vec<usize>,
    /// Lines that are not TOML. What was recovered of them is a guess, so nothing more is said of them.
    broken: BTreeSet<usize>,
    /// The variables of `{ env = "…" }`.
    pub(super) env: Environment<'a>,
    /// What every reference to a variable or a file stands for, where nobody is to know the real ones.
    pub(super) stand_in: Option<&'a str>,
    /// True if users other than the owner and the group can read the file.
    pub(super) exposed: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str, file: &'a Path, env: Environment<'a>, exposed: bool) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (problems, warnings) = (Vec::new(), Vec::new());
        Self { file, text, lines, broken: BTreeSet::new(), env, stand_in: None, exposed, problems, warnings }
    }

    /// The document, as far as it can be made out. Whatever is not TOML has become a problem.
    pub(super) fn document(&mut self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        let mut open = false;
        for error in errors {
            let span = error.span().unwrap_or_default();
            let position = self.position(span.start);
            let (found, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
            // A brace or bracket that is never closed upsets every line after it.
            let goes_on = found.ends_with("between key-value pairs")
                || found.ends_with("between array elements")
                || found.ends_with("for inline table element");
            let known = open && goes_on;
            if goes_on && !open {
                open = true;
                self.broken.extend(self.opening_line(position.line));
            }
            // One slip of the pen can upset the parser several times; the first of a line says what it was.
            if !self.broken.insert(position.line) || known {
                continue;
            }
            let (found, help) = match (found, expected) {
                ("duplicate key", _) => {
                    let key = self.text.get(span).unwrap_or_default();
                    (format!("{key} is written twice"), "keep one of the two".to_owned())
                }
                _ if goes_on => (format!("this is not TOML: {found}"), "close what an earlier line opens".to_owned()),
                (_, "nothing" | "literal string") => {
                    (format!("this is not TOML: {found}"), "put text in quotes".to_owned())
                }
                (_, "") => (format!("this is not TOML: {found}"), String::new()),
                _ => (format!("this is not TOML: {found}"), format!("expected {expected}")),
            };
            self.problems.push(self.say(Some(position), found, help));
        }
        document
    }

    /// The line on which something was opened that is still open on `line`, as far as can be told.
    fn opening_line(&self, line: usize) -> Option<usize> {
        let before = self.text.lines().take(line.saturating_sub(1)).enumerate();
        let opening = before.filter(|(_, text)| text.contains(['{', '[']) && !text.starts_with('['));
        opening.last().map(|(index, _)| index + 1)
    }

    /// Records what is wrong at a place.
    pub(super) fn problem(&mut self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        let position = self.position(span.start);
        if !self.broken.contains(&position.line) {
            self.problems.push(self.say(Some(position), found.into(), help.into()));
        }
    }

    /// Records that something is not there. Where a part of the file could not be made out, it may be in that part.
    pub(super) fn absent(&mut self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        if self.broken.is_empty() {
            self.problem(span, found, help);
        }
    }

    /// Records what is allowed and yet unwise.
    pub(super) fn warning(&mut self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        let position = self.position(span.start);
        self.warnings.push(self.say(Some(position), found.into(), help.into()));
    }

    /// Line and column of an offset.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// A path as written: relative to the folder that the configuration file is in.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(written)
    }

    fn say(&self, position: Option<Position>, found: String, help: String) -> Problem {
        Problem { file: self.file.to_owned(), position, found, help }
    }
}
