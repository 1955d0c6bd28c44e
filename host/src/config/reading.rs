//! The state of one reading: the text, what surrounds it, and everything found wrong with it so
//! far.
//!
//! Every [`Table`](super::raw::Table) and [`Value`](super::raw::Value) carries a reference to it,
//! so that a problem is recorded where it is found.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bumpalo::Bump;
use toml::Spanned;
use toml::de::DeTable;

use super::files::Digest;
use super::join::Clash;
use super::problem::{Position, Problem, Span};
use super::text::Text;
use super::{Environment, join, syntax};

/// Collects problems while sections are read, so that none hides another.
pub(super) struct Reading<'a> {
    text: &'a Text,
    /// Lines that are not TOML, each with the number of its file. What was recovered of them is a
    /// guess, so nothing more is said of them.
    broken: RefCell<BTreeSet<(usize, usize)>>,
    /// Looks up the variable of `{ env = "…" }`.
    pub(super) env: Environment<'a>,
    /// The text that every reference to a variable or a file stands for, where the real ones are
    /// not to be known.
    pub(super) stand_in: Option<&'a str>,
    /// Texts that stand outside of the files, as long as the reading lasts.
    fetched: Bump,
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
    pub(super) fn new(text: &'a Text, env: Environment<'a>) -> Self {
        Self {
            text,
            broken: RefCell::default(),
            env,
            stand_in: None,
            fetched: Bump::new(),
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

    /// Returns the text that is read.
    pub(super) fn text(&self) -> &'a Text {
        self.text
    }

    /// Keeps a text that does not stand in the files.
    pub(super) fn fetched(&self, text: &str) -> &str {
        self.fetched.alloc_str(text)
    }

    /// Returns true if every user of the machine can read the file of this place.
    pub(super) fn is_exposed(&self, span: &Span) -> bool {
        self.text.is_exposed(self.position(span.start))
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

    /// Parses the files into one document, as far as they can be made out. Whatever is not TOML has
    /// become a problem.
    pub(super) fn document(&self) -> Spanned<DeTable<'a>> {
        let mut whole = DeTable::new();
        let mut end = 0;
        for (file, (start, text)) in self.text.parts().enumerate() {
            let parsed = syntax::parse(text);
            let broken = parsed.broken.into_iter().map(|line| (file, line));
            self.broken.borrow_mut().extend(broken);
            for mistake in parsed.mistakes {
                let (line, column) = mistake.place;
                let position = Position { file, line, column };
                self.record(position, mistake.found, mistake.help);
            }
            if file == 0 {
                (whole, end) = (parsed.document, text.len());
            } else {
                let clashes = join::add(&mut whole, join::shifted(parsed.document, start));
                clashes.into_iter().for_each(|clash| self.clash(clash));
            }
        }
        Spanned::new(0..end, whole)
    }

    fn clash(&self, clash: Clash) {
        match clash {
            Clash::Includes(span) => {
                let found = "an included file includes others";
                self.problem(span, found, "name them in the main file");
            }
            Clash::Twice { name, first, again } => {
                let first = self.shown(first, again.start);
                let found = format!("{name} is written twice, first at {first}");
                self.problem(again, found, "keep one of the two");
            }
        }
    }

    /// Records a mistake at a place.
    pub(super) fn problem(&self, span: Span, found: impl Into<String>, help: impl Into<String>) {
        let position = self.position(span.start);
        if !self
            .broken
            .borrow()
            .contains(&(position.file, position.line))
        {
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
        self.warning_at(self.position(span.start), found, help);
    }

    /// Records a warning at a position.
    pub(super) fn warning_at(
        &self,
        position: Position,
        found: impl Into<String>,
        help: impl Into<String>,
    ) {
        let warning = self.say(position, found.into(), help.into());
        self.warnings.borrow_mut().push(warning);
    }

    /// Returns the place of an offset.
    pub(super) fn position(&self, offset: usize) -> Position {
        self.text.position(offset)
    }

    /// Returns the line and column of an offset for people, with the file's name where it is another
    /// than that of the offset `beside`.
    pub(super) fn shown(&self, offset: usize, beside: usize) -> String {
        let position = self.position(offset);
        let Position { file, line, column } = position;
        if file == self.position(beside).file {
            format!("{line}:{column}")
        } else {
            format!("{}:{line}:{column}", self.text.file(position).display())
        }
    }

    /// Resolves a path: a relative one starts at the folder of the main file, whichever file it
    /// stands in.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        let main = self.text.files().next();
        let folder = main.and_then(Path::parent).unwrap_or(Path::new(""));
        folder.join(written)
    }

    fn record(&self, position: Position, found: String, help: String) {
        self.problems
            .borrow_mut()
            .push(self.say(position, found, help));
    }

    fn say(&self, position: Position, found: String, help: String) -> Problem {
        Problem {
            file: self.text.file(position).to_owned(),
            position: Some(position),
            found,
            help,
        }
    }
}
