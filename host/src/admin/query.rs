//! The parameters of a request: those that an address knows, each at most once, and no other.

use std::borrow::Cow;

use super::problem::Problem;
use crate::clock::wall_ms;
use crate::config::{did_you_mean, listed, parse_duration};

/// The most rows of a page.
pub const LARGEST_PAGE: usize = 200;
/// The rows of a page where nothing is said.
const PAGE: usize = 50;
/// The most labels that a list is narrowed by.
const LABELS: usize = 8;
/// The longest value of a parameter.
const LONGEST: usize = 1024;

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Reads a query, or a form. `known` are the parameters of this address; only `label`, `id` and
    /// `keep_header` may come more than once. An empty value counts as none, because a form sends each of its
    /// fields.
    ///
    /// # Errors
    /// A parameter that the address does not know, or that comes twice.
    pub fn parse(query: &'q [u8], known: &[&str]) -> Result<Self, Problem> {
        let mut found: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query) {
            if !known.contains(&&*name) {
                let near = did_you_mean(&name, known.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean {near}?"));
                let names = match known {
                    [] => "it takes none".to_owned(),
                    names => format!("there are {}", listed(names.iter().copied(), "and")),
                };
                let name: String = name.chars().take(40).collect();
                return Err(Problem::wrong(format!(
                    "there is no parameter {name:?} here; {names}{near}"
                )));
            }
            let repeats = matches!(&*name, "label" | "id" | "keep_header");
            if !repeats && found.iter().any(|(other, _)| *other == name) {
                return Err(Problem::wrong(format!("{name} is given twice")));
            }
            if value.len() > LONGEST {
                return Err(Problem::wrong(format!(
                    "{name} is longer than {LONGEST} bytes"
                )));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// Returns the value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns every value of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(found, _)| found == name);
        named
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// Returns the number of rows that a page may have.
    ///
    /// # Errors
    /// Where it is no number from 1 to [`LARGEST_PAGE`].
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(PAGE);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
            .ok_or_else(|| {
                Problem::wrong(format!("limit: write a number from 1 to {LARGEST_PAGE}"))
            })
    }

    /// Returns a parameter that is a whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| Problem::wrong(format!("{name}: write a whole number")))
    }

    /// Returns a point in time, in Unix milliseconds: RFC 3339, or a duration before now.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        time(name, self.get(name))
    }

    /// Returns the labels that a list is narrowed by, each as `name=value`.
    ///
    /// # Errors
    /// Where one has no `=`, or there are too many.
    pub fn labels(&self) -> Result<Vec<(String, String)>, Problem> {
        let labels = self.all("label").map(|text| {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| Problem::wrong("label: write name=value"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let labels: Vec<_> = labels.collect::<Result<_, Problem>>()?;
        if labels.len() > LABELS {
            return Err(Problem::wrong(format!("label: at most {LABELS}")));
        }
        Ok(labels)
    }
}

/// Returns the point in time of a parameter, in Unix milliseconds: RFC 3339, or a duration before
/// now.
///
/// # Errors
/// Where it is neither.
pub fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Some(time.as_millisecond()));
    }
    match parse_duration(text) {
        Some(duration) => {
            let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Ok(Some(wall_ms().saturating_sub(ms)))
        }
        None => Err(Problem::wrong(format!(
            "{name}: write a duration, as in 24h, or a time, as in 2026-01-31T08:00:00Z"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(query: &str, known: &[&str]) -> String {
        Query::parse(query.as_bytes(), known).unwrap_err().detail
    }

    #[test]
    fn unknown_parameter_is_refused_with_the_known_ones() {
        assert_eq!(
            wrong("sorce=a", &["source", "state"]),
            "there is no parameter \"sorce\" here; there are source and state; did you mean source?"
        );
        assert_eq!(
            wrong("x=1", &[]),
            "there is no parameter \"x\" here; it takes none"
        );
        assert_eq!(wrong("q=1&q=2", &["q"]), "q is given twice");
        let long = format!("q={}", "a".repeat(LONGEST + 1));
        assert_eq!(wrong(&long, &["q"]), "q is longer than 1024 bytes");
    }

    #[test]
    fn values_are_read_by_their_kind() {
        let known = ["limit", "since", "label"];
        let query = |text: &'static str| Query::parse(text.as_bytes(), &known).unwrap();
        assert_eq!(query("").limit(), Ok(PAGE));
        assert_eq!(query("limit=200").limit(), Ok(200));
        for text in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=1e9"] {
            assert!(query(text).limit().is_err(), "{text}");
        }
        let time = query("since=2026-01-31T08:00:00Z").time("since").unwrap();
        assert_eq!(time, Some(1_769_846_400_000));
        assert!(query("since=24h").time("since").unwrap().is_some());
        assert!(query("since=yesterday").time("since").is_err());
        assert_eq!(query("since=").time("since"), Ok(None));
        assert_eq!(
            query("label=a%3Db&label=c%3Dd%3De").labels().unwrap(),
            [
                ("a".to_owned(), "b".to_owned()),
                ("c".to_owned(), "d=e".to_owned())
            ]
        );
        assert!(query("label=a").labels().is_err());
    }
}
