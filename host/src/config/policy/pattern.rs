//! Patterns over one text: an exact text, a glob, or a range of numbers.

use std::fmt;

use wildmatch::WildMatch;

/// A pattern that an operator writes for a label, a title, or another text of an alert.
///
/// | written | matches |
/// |---|---|
/// | `30006` | that text, with upper and lower case told apart |
/// | `300*`, `db-?` | a glob: `*` is any run of characters, `?` any one |
/// | `30000..30999`, `500..`, `..4` | a number in that range, both ends included |
/// | `>= 500`, `< 3.5` | a number compared with another one |
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// The text itself.
    Exact(String),
    /// A glob over the whole text.
    Glob(WildMatch),
    /// A range of finite numbers.
    Range(Range),
}

/// A range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: f64,
    low_included: bool,
    high: f64,
    high_included: bool,
}

/// A pattern that matches nothing, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No text is empty.
    #[error("it is empty")]
    Empty,
    /// The lower end of a range lies above its upper end.
    #[error("its lower end is above its upper end")]
    Inverted,
    /// A comparison has no number.
    #[error("no number follows the sign")]
    NoNumber,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it could never match.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if let Some(comparison) = comparison(text) {
            return comparison.map(Self::Range);
        }
        if let Some(range) = between(text) {
            return range.map(Self::Range);
        }
        if text.contains(['*', '?']) {
            return Ok(Self::Glob(WildMatch::new(text)));
        }
        Ok(Self::Exact(text.to_owned()))
    }

    /// Returns whether the text fits.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Glob(glob) => glob.matches(text),
            Self::Range(range) => number(text).is_some_and(|number| range.contains(number)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Glob(glob) => glob.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, high, .. } = self;
        match (low.is_finite(), high.is_finite()) {
            (true, true) => write!(f, "{low}..{high}"),
            (true, false) if self.low_included => write!(f, ">= {low}"),
            (true, false) => write!(f, "> {low}"),
            _ if self.high_included => write!(f, "<= {high}"),
            _ => write!(f, "< {high}"),
        }
    }
}

impl Range {
    fn contains(&self, number: f64) -> bool {
        let above = if self.low_included {
            number >= self.low
        } else {
            number > self.low
        };
        let below = if self.high_included {
            number <= self.high
        } else {
            number < self.high
        };
        above && below
    }
}

/// Reads `>= 500` and its like; `None` where no such sign stands at the start.
fn comparison(text: &str) -> Option<Result<Range, PatternError>> {
    let (sign, rest) = [">=", "<=", ">", "<"]
        .iter()
        .find_map(|sign| Some((*sign, text.strip_prefix(sign)?)))?;
    let everything = Range {
        low: f64::NEG_INFINITY,
        low_included: true,
        high: f64::INFINITY,
        high_included: true,
    };
    Some(
        number(rest.trim())
            .ok_or(PatternError::NoNumber)
            .map(|number| match sign {
                ">=" => Range {
                    low: number,
                    ..everything
                },
                ">" => Range {
                    low: number,
                    low_included: false,
                    ..everything
                },
                "<=" => Range {
                    high: number,
                    ..everything
                },
                _ => Range {
                    high: number,
                    high_included: false,
                    ..everything
                },
            }),
    )
}

/// Reads `low..high`, either end of which may be left out; `None` where the text is something else,
/// such as a path.
fn between(text: &str) -> Option<Result<Range, PatternError>> {
    let (low, high) = text.split_once("..")?;
    let end = |text: &str, absent| {
        if text.is_empty() {
            Some(absent)
        } else {
            number(text)
        }
    };
    let low = end(low, f64::NEG_INFINITY)?;
    let high = end(high, f64::INFINITY)?;
    if low == f64::NEG_INFINITY && high == f64::INFINITY {
        return None;
    }
    if low > high {
        return Some(Err(PatternError::Inverted));
    }
    Some(Ok(Range {
        low,
        low_included: true,
        high,
        high_included: true,
    }))
}

/// Reads a finite decimal number. Rust's words for what is none, such as `inf`, are texts here.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '+']);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_matches_what_its_row_says() {
        let table: [(&str, &[&str], &[&str]); 11] = [
            ("30006", &["30006"], &["3000", "300060", "30006 ", ""]),
            ("warning", &["warning"], &["WARNING", "warnings"]),
            ("300*", &["300", "30006"], &["3", "x300"]),
            ("db-?", &["db-1"], &["db-", "db-12"]),
            ("*", &["anything", ""], &[]),
            (
                "30000..30999",
                &["30000", "30500", "30999"],
                &["29999", "31000", "x", ""],
            ),
            ("500..", &["500", "1e9"], &["499.9", "-1"]),
            ("..4", &["4", "-9"], &["4.01"]),
            (">= 500", &["500", "501"], &["499"]),
            ("< 3.5", &["3.49", "-1"], &["3.5", "NaN", "inf"]),
            ("../etc", &["../etc"], &["1"]),
        ];
        for (written, matched, others) in table {
            let pattern = Pattern::parse(written).unwrap();
            for text in matched {
                assert!(pattern.matches(text), "{written} takes {text:?}");
            }
            for text in others {
                assert!(!pattern.matches(text), "{written} leaves {text:?}");
            }
        }
    }

    #[test]
    fn pattern_is_shown_as_one_that_matches_the_same() {
        for text in [
            "30006",
            "db-?",
            "30000..30999",
            ">= 500",
            "< 3.5",
            "..4",
            "500..",
        ] {
            let pattern = Pattern::parse(text).unwrap();
            let again = Pattern::parse(&pattern.to_string()).unwrap();
            assert_eq!(again, pattern, "{text}");
        }
    }

    #[test]
    fn pattern_that_never_matches_is_refused() {
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert_eq!(Pattern::parse("9..1"), Err(PatternError::Inverted));
        assert_eq!(Pattern::parse(">= many"), Err(PatternError::NoNumber));
    }
}
