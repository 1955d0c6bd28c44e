//! The state of one reading: the text, what surrounds it, and everything found wrong with it so
//! far.
//!
//! Every [`Table`](super::raw::Table) and [`Value`](super::raw::Value) carries a reference to it,
//! so that a problem is recorded where it is found.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::Digest;
use super::problem::{Position, Problem, Span};

/// Collects problems while sections are read, so that none hides another.
pub(super) struct Reading<'a> {
    file: &'a Path,
    text: &'a str,
    /// The offset at which each line starts.
    lines: Vec<usize>,
    /// Lines that are not TOML. What was recovered of them is a guess, so nothing more is said of
    /// them.
    broken: RefCell<BTreeSet<usize>>,
    /// Looks up the variable of `{ env = "…" }`.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// The text that every reference to a variable or a file stands for, where the real ones are
    /// not to be known.
    pub(super) stand_in: Option<&'a str>,
    /// True if users other than the owner and the group can read the file.
    pub(super) exposed: bool,
    files: RefCell<BTreeMap<PathBuf, Digest>>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

/// Problems and warnings that may turn out to be none.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The mistakes.
    pub problems: Vec<Problem>,
    /// The things that are allowed and yet unwise.
    pub warnings: Vec<Problem>,
}

impl Findings {
    /// Adds others to them.
    pub(super) fn extend(&mut self, others: Self) {
        self.problems.extend(others.problems);
        self.warnings.extend(others.warnings);
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        text: &'a str,
        file: &'a Path,
        env: &'a dyn Fn(&str) -> Option<String>,
        exposed: bool,
    ) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file,
            text,
            lines,
            broken: RefCell::default(),
            env,
            stand_in: None,
            exposed,
            files: RefCell::default(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Runs `work`, and returns its findings beside its result instead of recording them.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> (T, Findings) {
        let problems = self.problems.take();
        let warnings = self.warnings.take();
        let result = work();
        let findings = Findings {
            problems: self.problems.replace(problems),
            warnings: self.warnings.replace(warnings),
        };
        (result, findings)
    }

    /// Lets every reference to a variable or a file stand for this text.
    pub(super) fn with_stand_in(self, stand_in: &'a str) -> Self {
        Self {
            stand_in: Some(stand_in),
            ..self
        }
    }

    /// Notes the content of a file that the text names.
    pub(super) fn note_file(&self, path: &Path, content: Digest) {
        self.files.borrow_mut().insert(path.to_owned(), content);
    }

    /// Returns the files that were noted.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Digest> {
        self.files.take()
    }

    /// Returns the text, which may hold secrets.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns all problems and all warnings, each in the order of the file.
    pub(super) fn end(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |problems: RefCell<Vec<Problem>>| {
            let mut problems = problems.into_inner();
            problems.sort_by_key(|problem| problem.position);
            problems
        };
        (sorted(self.problems), sorted(self.warnings))
    }

    /// Parses the document, as far as it can be made out. Whatever is not TOML has become a
    /// problem.
    pub(super) fn document(&self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        let mut open = false;
        for error in errors {
            let span = error.span().unwrap_or_default();
            let position = self.position(span.start);
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
                self.broken
                    .borrow_mut()
                    .extend(self.opening_line(position.line));
            }
            // One slip of the pen can upset the parser several times; the first of a line says what
            // it was.
            if !self.broken.borrow_mut().insert(position.line) || known {
                continue;
            }
            let (found, help) = match (found, expected) {
                ("duplicate key", _) => {
                    let key = self.text.get(span.clone()).unwrap_or_default();
                    let first = self.definition_before(document.get_ref(), key, &span);
                    let first = first.map_or_else(String::new, |Position { line, column }| {
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
            self.record(position, found, help);
        }
        document
    }

    /// Returns the place of a key's first definition, where `again` is its second. This is the
    /// nearest key of that name before `again`, except those in an inline table that ends before
    /// it.
    fn definition_before(&self, table: &DeTable<'_>, key: &str, again: &Span) -> Option<Position> {
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
            .map(|start| self.position(start))
    }

    /// Returns the offset of the key in the first header that is written again at a later place.
    /// The document has only the latter.
    fn header_before(&self, again: &Span) -> Option<usize> {
        let line = |number: usize| {
            let end = self
                .lines
                .get(number + 1)
                .copied()
                .unwrap_or(self.text.len());
            self.text.get(self.lines[number]..end).unwrap_or_default()
        };
        let last = self.lines.partition_point(|start| *start <= again.start) - 1;
        let header = line(last).trim();
        let first =
            (0..last).find(|number| header.starts_with('[') && line(*number).trim() == header)?;
        Some(self.lines[first] + (again.start - self.lines[last]))
    }

    /// Returns the line of a bracket that is still open on `line`, as far as can be told.
    fn opening_line(&self, line: usize) -> Option<usize> {
        let before = self.text.lines().take(line.saturating_sub(1)).enumerate();
        let opening =
            before.filter(|(_, text)| text.contains(['{', '[']) && !text.starts_with('['));
        opening.last().map(|(index, _)| index + 1)
    }

    /// Records a mistake at a place.
    pub(super) fn problem(&self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        let position = self.position(span.start);
        if !self.broken.borrow().contains(&position.line) {
            self.record(position, found.into(), help.into());
        }
    }

    /// Records that something is not there. Where a part of the file could not be made out, it may
    /// be in that part.
    pub(super) fn absent(&self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        if self.broken.borrow().is_empty() {
            self.problem(span, found, help);
        }
    }

    /// Records a thing that is allowed and yet unwise.
    pub(super) fn warning(&self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        let warning = self.say(self.position(span.start), found.into(), help.into());
        self.warnings.borrow_mut().push(warning);
    }

    /// Returns the line and column of an offset.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let before = self
            .text
            .get(start..offset.min(self.text.len()))
            .unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// Resolves a path: a relative one starts at the folder of the configuration file.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(written)
    }

    fn record(&self, position: Position, found: String, help: String) {
        self.problems
            .borrow_mut()
            .push(self.say(position, found, help));
    }

    fn say(&self, position: Position, found: String, help: String) -> Problem {
        Problem {
            file: self.file.to_owned(),
            position: Some(position),
            found,
            help,
        }
    }
}

/// Returns a key without its quotes.
fn unquoted(key: &str) -> &str {
    let quoted = |quote: char| key.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(key)
}
