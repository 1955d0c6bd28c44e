//! The mistakes of a configuration, told so that the operator can fix them without a manual.
//!
//! A problem names the place, the mistake found there, and the remedy. It never shows the
//! operator's line itself: that line may hold a secret. One cause in many places is one [`Cause`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// The warning of a secret that other users of the machine can read, to follow its name.
pub const PLAIN: &str = "is plain text in a file that every user of this machine can read";
/// The advice against it. A bare `chmod o-r` could make the file unreadable to the gateway's own
/// user.
pub const PLAIN_HELP: &str = "write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }; or chown the file \
    to the user that the gateway runs as, and then chmod 0400";

/// Bytes of the document, from and to.
pub(super) type Span = Range<usize>;

/// A place in the configuration. Line and column count from 1; columns count characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the file: 0 is the main one, and those that it includes follow.
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong, or, among a configuration's warnings, unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file, as it was named to the gateway, or the included one.
    pub file: PathBuf,
    /// The place in that file; absent where the file could not be read at all.
    pub position: Option<Position>,
    /// The problem itself.
    pub found: String,
    /// The advice to the operator. May be empty.
    pub help: String,
}

impl Problem {
    /// Returns the mistake without the name of its source or destination: one cause in many places
    /// then reads the same.
    fn cause(&self) -> String {
        // The mode of a file is one cause, whatever the secrets in it are called.
        if self.found.ends_with(PLAIN) {
            return PLAIN.to_owned();
        }
        let mut cause = String::with_capacity(self.found.len());
        let mut rest = self.found.as_str();
        while let Some((before, section)) = rest.split_once('[') {
            cause.push_str(before);
            cause.push('[');
            rest = section;
            for kind in ["sources.", "destinations."] {
                if let Some(name) = section.strip_prefix(kind) {
                    cause.push_str(kind);
                    rest = &name[name.find(['.', ']']).unwrap_or(name.len())..];
                }
            }
        }
        cause + rest
    }
}

impl fmt::Display for Problem {
    /// Writes one line:
    /// `gateway.toml:12:5: unknown key "formt" in [destinations.itoc360]; did you mean "format"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cause {
            first: self,
            others: Vec::new(),
        }
        .fmt(f)
    }
}

/// All problems that have the same cause, in one line.
#[derive(Debug)]
pub struct Cause<'p> {
    /// The first of them in the file.
    pub first: &'p Problem,
    /// The others that have a place.
    pub others: Vec<&'p Problem>,
}

/// Groups problems by their cause, in the order of each cause's first problem.
pub fn causes(problems: &[Problem]) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut known = HashMap::new();
    for problem in problems {
        match (known.get(&problem.cause()), problem.position) {
            (Some(index), Some(_)) => {
                let cause: &mut Cause<'_> = &mut causes[*index];
                cause.others.push(problem);
            }
            _ => {
                known.insert(problem.cause(), causes.len());
                causes.push(Cause {
                    first: problem,
                    others: Vec::new(),
                });
            }
        }
    }
    causes
}

impl fmt::Display for Cause<'_> {
    /// Writes the first problem and, behind it, the places of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Further places are counted and not named.
        const NAMED: usize = 3;
        let Problem {
            file,
            position,
            found,
            help,
        } = self.first;
        write!(f, "{}:", printable(&file.to_string_lossy()))?;
        if let Some(Position { line, column, .. }) = position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", printable(found))?;
        if !self.others.is_empty() {
            let is_one_file = self.others.iter().all(|other| other.file == *file);
            let place = |other: &&Problem| {
                let line = other.position.map_or(0, |position| position.line);
                if is_one_file {
                    line.to_string()
                } else {
                    format!("{}:{line}", printable(&other.file.to_string_lossy()))
                }
            };
            let lines: Vec<_> = self.others.iter().take(NAMED).map(place).collect();
            let (places, line) = match (self.others.len(), is_one_file) {
                (1, true) => ("1 other place", "line "),
                (1, false) => ("1 other place", ""),
                (_, true) => ("other places", "lines "),
                (_, false) => ("other places", ""),
            };
            let count = if self.others.len() == 1 {
                String::new()
            } else {
                format!("{} ", self.others.len())
            };
            let more = if self.others.len() > NAMED {
                ", …"
            } else {
                ""
            };
            write!(
                f,
                " (and so in {count}{places}: {line}{}{more})",
                lines.join(", ")
            )?;
        }
        if !help.is_empty() {
            write!(f, "; {}", printable(help))?;
        }
        Ok(())
    }
}

/// Every problem of one configuration, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// Writes one line for each cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in causes(&self.0).iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Returns the candidate that was most likely meant by `found`, if any is near enough. Right as a
/// question only: "did you mean".
pub fn did_you_mean<'c>(
    found: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Jaro-Winkler similarity, 0 to 1. It weighs a common beginning, so that "dest" finds
    /// "destination".
    const NEAR: f64 = 0.8;
    // What is typed by mistake is short, and the comparison takes time with the square of the
    // length.
    if found.len() > 100 {
        return None;
    }
    let found = found.to_lowercase();
    let nearness = |candidate| match strsim::osa_distance(&found, candidate) {
        // One slip is one slip, however short the word.
        0 | 1 if found.len() > 2 => 1.0,
        _ => strsim::jaro_winkler(&found, candidate),
    };
    let near = candidates
        .into_iter()
        .map(|candidate| (nearness(candidate), candidate));
    near.filter(|(nearness, _)| *nearness >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Names as a person lists them: `a, b and c`, `a, b or c`.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>, conjunction: &str) -> String {
    let names: Vec<_> = names.into_iter().collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {conjunction} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Writes control characters, which could steer a terminal or break a log line, as escapes.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let keys = ["listen", "public_url", "admin", "destination"];
        assert_eq!(did_you_mean("lisen", keys), Some("listen"));
        assert_eq!(did_you_mean("Public-URL", keys), Some("public_url"));
        assert_eq!(did_you_mean("dest", keys), Some("destination"));
        assert_eq!(did_you_mean("evn", ["env", "file"]), Some("env"));
        assert_eq!(did_you_mean("colour", keys), None);
        assert_eq!(did_you_mean(&"listen".repeat(1000), keys), None);
    }

    #[test]
    fn a_problem_is_one_line_whatever_it_quotes() {
        let problem = Problem {
            file: "gateway.toml".into(),
            position: Some(Position {
                file: 0,
                line: 3,
                column: 1,
            }),
            found: "unknown key \"\u{1b}[2J\n\"".into(),
            help: String::new(),
        };
        assert_eq!(
            problem.to_string(),
            r#"gateway.toml:3:1: unknown key "\u{1b}[2J\n""#
        );
    }

    #[test]
    fn one_cause_in_many_places_is_one_line() {
        let at = |line, found: &str| Problem {
            file: "gateway.toml".into(),
            position: Some(Position {
                file: 0,
                line,
                column: 9,
            }),
            found: found.to_owned(),
            help: "shorten it".to_owned(),
        };
        let mut problems = vec![
            at(1, "a in [gateway] is long"),
            at(2, "a in [sources.s0.settings] is long"),
        ];
        problems.extend(
            (10..1009).map(|line| at(line, &format!("a in [sources.s{line}.settings] is long"))),
        );
        problems.push(at(2000, "a in [destinations.s0] is long"));
        problems.push(at(2001, "a in [destinations.s1] is long"));
        assert_eq!(
            Problems(problems).to_string().lines().collect::<Vec<_>>(),
            [
                "gateway.toml:1:9: a in [gateway] is long; shorten it",
                "gateway.toml:2:9: a in [sources.s0.settings] is long (and so in 999 other places: lines 10, 11, 12, …); \
                 shorten it",
                "gateway.toml:2000:9: a in [destinations.s0] is long (and so in 1 other place: line 2001); shorten it",
            ]
        );
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(listed([], "and"), "");
        assert_eq!(listed(["a"], "or"), "a");
        assert_eq!(listed(["a", "b", "c"], "or"), "a, b or c");
    }
}
