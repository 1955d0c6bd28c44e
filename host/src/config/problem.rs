//! The problems of a configuration, told so that the operator can fix them without a manual.
//!
//! A problem names the place, what was found there, and what would have been right. It never shows the operator's line
//! itself: that line may hold a secret.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// A place in the configuration file. Both numbers count from 1; columns count characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong, or, among a configuration's warnings, unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file, as it was named to the gateway.
    pub file: PathBuf,
    /// The position in that file, unless the file could not be read at all.
    pub position: Option<Position>,
    /// The problem itself.
    pub found: String,
    /// The advice to the operator. May be empty.
    pub help: String,
}

impl fmt::Display for Problem {
    /// `gateway.toml:12:5: unknown key "formt" in [destinations.itoc360]; did you mean "format"?`, always on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", printable(&self.file.to_string_lossy()))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", printable(&self.found))?;
        if !self.help.is_empty() {
            write!(f, "; {}", printable(&self.help))?;
        }
        Ok(())
    }
}

/// Every problem of one configuration, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The candidate that was most likely meant by `found`, if any is near enough. Right as a question only: "did you mean".
pub fn did_you_mean<'c>(found: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Jaro-Winkler similarity, 0 to 1. It weighs a common beginning, so that "dest" finds "destination".
    const NEAR: f64 = 0.8;
    // What is typed by mistake is short, and the comparison takes time with the square of the length.
    if found.len() > 100 {
        return None;
    }
    let found = found.to_lowercase();
    let nearness = |candidate| match strsim::osa_distance(&found, candidate) {
        // One slip is one slip, however short the word.
        0 | 1 if found.len() > 2 => 1.0,
        _ => strsim::jaro_winkler(&found, candidate),
    };
    let near = candidates.into_iter().map(|candidate| (nearness(candidate), candidate));
    near.filter(|(nearness, _)| *nearness >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
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

/// Control characters, which could steer a terminal or break a log line, written as escapes.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
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
            position: Some(Position { line: 3, column: 1 }),
            found: "unknown key \"\u{1b}[2J\n\"".into(),
            help: String::new(),
        };
        assert_eq!(problem.to_string(), r#"gateway.toml:3:1: unknown key "\u{1b}[2J\n""#);
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(listed([], "and"), "");
        assert_eq!(listed(["a"], "or"), "a");
        assert_eq!(listed(["a", "b", "c"], "or"), "a, b or c");
    }
}
