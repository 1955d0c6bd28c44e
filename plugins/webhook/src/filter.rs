//! Filters: they change the value at a place, as in `/tags | split "," | item 0 | lower`.
//!
//! Nothing in, nothing out, but for `default`: so `{/disk | prefix " on "}` leaves out the words
//! with the value.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// A longer text is matched up to here: time grows with the length of the text and of the pattern.
const MAX_MATCHED_BYTES: usize = 16 * 1024;

/// A compiled pattern. One that repeats a long group a thousand times is larger.
const MAX_REGEX_BYTES: usize = 32 * 1024;

/// A text up to this length is matched at no charge: every member of a long list may need it for
/// its status.
const FREE_MATCHED_BYTES: usize = 256;

/// The factor by which the bytes of a matched text count against a request's reading limit.
const MATCHING_COSTS: usize = 16;

/// A list is joined and searched up to here.
const MAX_ITEMS: usize = 1_000;

/// One step from a value to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter<'s> {
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
    /// A list of the parts between this separator, without empty ones.
    Split(Cow<'s, str>),
    /// One text of all items with this separator between.
    Join(Cow<'s, str>),
    /// The item of this number; negative ones count from the end.
    Item(i32),
    /// The first group of this regular expression, or its whole match; of a list, in the first
    /// matching item.
    Match(Cow<'s, str>),
    /// This text where there is nothing.
    Default(Cow<'s, str>),
    /// With this text before.
    Prefix(Cow<'s, str>),
    /// With this text behind.
    Suffix(Cow<'s, str>),
}

/// The reason why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFilter<'s> {
    /// No filter has this name.
    Unknown(&'s str),
    /// The filter of this name lacks its argument, or has one too many.
    Argument(&'s str),
    /// The argument's quote is not closed, or something follows it.
    Quote(&'s str),
    /// The pattern is no regular expression, and why.
    Regex(Cow<'s, str>, String),
}

/// The input and output of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing stands there.
    Nothing,
    /// One text.
    Text(Cow<'a, str>),
    /// Several.
    List(Vec<Cow<'a, str>>),
}

impl<'s> Filter<'s> {
    /// Reads what follows the first ` | ` of a place: one filter or several.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse_all(text: &'s str) -> Result<Vec<Self>, NoFilter<'s>> {
        let mut filters = Vec::new();
        let mut rest = text;
        loop {
            let (filter, after) = Self::parse_one(rest.trim_start())?;
            filters.push(filter);
            match after.trim_start().strip_prefix('|') {
                Some(next) => rest = next,
                None if after.trim().is_empty() => return Ok(filters),
                None => return Err(NoFilter::Quote(after.trim())),
            }
        }
    }

    fn parse_one(text: &'s str) -> Result<(Self, &'s str), NoFilter<'s>> {
        let (name, after) = text.split_at(
            text.find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(text.len()),
        );
        let (argument, after) = argument(after.trim_start())?;
        let text = argument
            .clone()
            .filter(|text| !text.is_empty())
            .ok_or(NoFilter::Argument(name));
        let filter = match name {
            "split" => Self::Split(text?),
            "join" => Self::Join(argument.ok_or(NoFilter::Argument(name))?),
            "match" => Self::Match(text?),
            "default" => Self::Default(text?),
            "prefix" => Self::Prefix(text?),
            "suffix" => Self::Suffix(text?),
            "item" => Self::Item(text?.parse().map_err(|_| NoFilter::Argument(name))?),
            "lower" | "upper" if argument.is_some() => return Err(NoFilter::Argument(name)),
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            _ => return Err(NoFilter::Unknown(name)),
        };
        Ok((filter, after))
    }

    /// The fault that shows only when the filter is used: an invalid pattern.
    pub fn fault(&self) -> Option<NoFilter<'s>> {
        let Self::Match(pattern) = self else {
            return None;
        };
        regex(pattern)
            .err()
            .map(|error| NoFilter::Regex(pattern.clone(), error.to_string()))
    }

    /// Applies the filter to a value. Matching is charged to what may still be read.
    pub fn apply<'a>(&self, value: Value<'a>, unread: &Cell<usize>) -> Value<'a> {
        match (self, value) {
            (Self::Default(text), Value::Nothing) => {
                Value::Text(Cow::Owned(text.clone().into_owned()))
            }
            (_, Value::Nothing) => Value::Nothing,
            (Self::Default(_), value) => value,
            (Self::Lower, value) => value.map(|text| Cow::Owned(text.to_lowercase())),
            (Self::Upper, value) => value.map(|text| Cow::Owned(text.to_uppercase())),
            (Self::Prefix(before), value) => {
                value.map(|text| Cow::Owned(format!("{before}{text}")))
            }
            (Self::Suffix(behind), value) => {
                value.map(|text| Cow::Owned(format!("{text}{behind}")))
            }
            (Self::Split(separator), value) => {
                let mut parts = Vec::new();
                for text in value.items() {
                    let texts = text
                        .split(&**separator)
                        .map(str::trim)
                        .filter(|part| !part.is_empty());
                    parts.extend(
                        texts
                            .take(MAX_ITEMS)
                            .map(|part| Cow::Owned(part.to_owned())),
                    );
                }
                Value::List(parts).checked()
            }
            (Self::Join(separator), value) => {
                Value::Text(Cow::Owned(value.items().join(separator))).checked()
            }
            (Self::Item(number), value) => {
                let mut items = value.items();
                let place = match usize::try_from(*number) {
                    Ok(place) => Some(place),
                    Err(_) => items.len().checked_sub(number.unsigned_abs() as usize),
                };
                match place {
                    Some(place) if place < items.len() => {
                        Value::Text(items.swap_remove(place)).checked()
                    }
                    _ => Value::Nothing,
                }
            }
            (Self::Match(pattern), value) => {
                let Ok(regex) = regex(pattern) else {
                    return Value::Nothing;
                };
                let found = value
                    .items()
                    .iter()
                    .find_map(|text| captured(&regex, text, unread));
                found.map_or(Value::Nothing, |found| {
                    Value::Text(Cow::Owned(found)).checked()
                })
            }
        }
    }
}

/// The compiled pattern. The engine takes time linear in the text, whatever the pattern.
pub fn regex(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .build()
}

/// Returns whether a pattern matches a text.
pub fn matches(regex: &Regex, text: &str, unread: &Cell<usize>) -> bool {
    charged(text, unread).is_some_and(|text| regex.is_match(text))
}

fn captured(regex: &Regex, text: &str, unread: &Cell<usize>) -> Option<String> {
    let found = regex.captures(charged(text, unread)?)?;
    let group = found
        .iter()
        .skip(1)
        .flatten()
        .next()
        .or_else(|| found.get(0))?;
    Some(group.as_str().trim().to_owned())
}

/// The part of a text that is matched; `None` where the request has been read too much already.
fn charged<'t>(text: &'t str, unread: &Cell<usize>) -> Option<&'t str> {
    let text = &text[..text.floor_char_boundary(MAX_MATCHED_BYTES)];
    if text.len() > FREE_MATCHED_BYTES {
        unread.set(unread.get().checked_sub(MATCHING_COSTS * text.len())?);
    }
    Some(text)
}

impl<'a> Value<'a> {
    /// A list of these texts.
    pub fn list(texts: impl Iterator<Item = Cow<'a, str>>) -> Self {
        Self::List(texts.take(MAX_ITEMS).collect()).checked()
    }

    /// The text that a setting gives; a list has commas between.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Nothing => None,
            Self::Text(text) => Some(text),
            Self::List(list) => Some(Cow::Owned(list.join(", "))),
        }
        .filter(|text| !text.trim().is_empty())
    }

    fn map(self, change: impl Fn(Cow<'a, str>) -> Cow<'a, str>) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Text(text) => Self::Text(change(text)),
            Self::List(list) => Self::List(list.into_iter().map(change).collect()),
        }
    }

    fn items(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Text(text) => vec![text],
            Self::List(list) => list,
        }
    }

    /// Nothing, where there is nothing in it.
    fn checked(self) -> Self {
        match self {
            Self::Text(text) if text.trim().is_empty() => Self::Nothing,
            Self::List(list) if list.is_empty() => Self::Nothing,
            value => value,
        }
    }
}

/// The argument at the start of a text, and what follows: in quotes, where `\"` is a quote, or a
/// word.
fn argument(text: &str) -> Result<(Option<Cow<'_, str>>, &str), NoFilter<'_>> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, after) = text.split_at(text.find([' ', '|']).unwrap_or(text.len()));
        return Ok((
            Some(word)
                .filter(|word| !word.is_empty())
                .map(Cow::Borrowed),
            after,
        ));
    };
    let mut end = None;
    for (at, _) in quoted.match_indices('"') {
        if !quoted[..at].ends_with('\\') {
            end = Some(at);
            break;
        }
    }
    let (inner, after) = quoted.split_at(end.ok_or(NoFilter::Quote(text))?);
    let inner = if inner.contains("\\\"") {
        Cow::Owned(inner.replace("\\\"", "\""))
    } else {
        Cow::Borrowed(inner)
    };
    Ok((Some(inner), &after[1..]))
}

impl fmt::Display for NoFilter<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(out, "{name:?} is no filter"),
            Self::Argument(name) => {
                write!(out, "the filter {name} has not the argument that it takes")
            }
            Self::Quote(text) => write!(out, "{text:?} is no filter's argument"),
            Self::Regex(pattern, error) => {
                write!(out, "{pattern:?} is no regular expression: {error}")
            }
        }
    }
}

impl NoFilter<'_> {
    /// The correction, for a person.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown(_) => {
                "there are lower, upper, split, join, item, match, default, prefix and suffix".to_owned()
            }
            Self::Argument("item") => "write item 0 for the first, item -1 for the last".to_owned(),
            Self::Argument(name @ ("lower" | "upper")) => format!("{name} takes none"),
            Self::Argument(name) => format!("write {name} \"…\""),
            Self::Quote(_) => "write it in double quotes, as in split \",\", and \\\" for a quote in it".to_owned(),
            Self::Regex(..) => {
                "the syntax is that of Rust's crate regex: no look-around, no back-references; in TOML, single quotes \
                 around the setting spare the doubled backslashes"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filters: &str, value: &[&str]) -> Option<String> {
        let unread = Cell::new(1024 * 1024);
        let value = match value {
            [] => Value::Nothing,
            [one] => Value::Text(Cow::Borrowed(*one)),
            several => Value::list(several.iter().map(|text| Cow::Borrowed(*text))),
        };
        let filters = Filter::parse_all(filters).unwrap();
        assert!(
            filters.iter().all(|filter| filter.fault().is_none()),
            "{filters:?}"
        );
        let value = filters
            .iter()
            .fold(value, |value, filter| filter.apply(value, &unread));
        value.text().map(Cow::into_owned)
    }

    #[test]
    fn filters_change_a_value() {
        for (filters, value, found) in [
            ("lower", &["Web-1 ÄÖ"][..], Some("web-1 äö")),
            ("upper", &["a", "b"], Some("A, B")),
            (r#"split "," | item 1"#, &["a, b ,c"], Some("b")),
            (r#"split "," | item -1"#, &["a,b,c,"], Some("c")),
            ("split , | item 3", &["a,b,c"], None),
            (r#"join " and ""#, &["a", "b"], Some("a and b")),
            (r#"split " " | join "_""#, &["a b  c"], Some("a_b_c")),
            (
                r#"match "^env:(.*)$""#,
                &["team:x", "env:prod"],
                Some("prod"),
            ),
            (r#"match "\d{3,}""#, &["code 4045 of 7"], Some("4045")),
            (r#"match "(a)|(b)""#, &["xb"], Some("b")),
            (r#"match "x""#, &["y"], None),
            (r#"match "x" | default "none""#, &["y"], Some("none")),
            (r#"default "none""#, &[], Some("none")),
            (r#"default "none""#, &["a"], Some("a")),
            (r#"prefix " on ""#, &["sda"], Some(" on sda")),
            (r#"prefix " on ""#, &[], None),
            (r#"suffix " %" | prefix "is ""#, &["7"], Some("is 7 %")),
            (r#"split "\"" | item 0"#, &["a\"b"], Some("a")),
            (r#"split "|" | item 1"#, &["a|b"], Some("b")),
            (r#"split "," | lower"#, &[","], None),
            ("item 0", &["one"], Some("one")),
            ("item -2", &["one"], None),
        ] {
            assert_eq!(run(filters, value).as_deref(), found, "{filters} {value:?}");
        }
    }

    #[test]
    fn faults_are_told_with_what_would_be_right() {
        for (filters, found, help) in [
            ("shout", "\"shout\" is no filter", "there are lower"),
            ("", "\"\" is no filter", "there are lower"),
            ("split", "the filter split has not", "write split \"…\""),
            ("item x", "the filter item has not", "item -1 for the last"),
            ("lower x", "the filter lower has not", "lower takes none"),
            (
                "split \",",
                "\"\\\",\" is no filter's argument",
                "double quotes",
            ),
            (
                "split \",\" x",
                "\"x\" is no filter's argument",
                "double quotes",
            ),
        ] {
            let error = Filter::parse_all(filters).unwrap_err();
            assert!(error.to_string().contains(found), "{error}");
            assert!(error.help().contains(help), "{}", error.help());
        }
        for pattern in ["(a", "(?=a)", "(a{1000}){1000}"] {
            let error = Filter::Match(pattern.into()).fault().unwrap();
            assert!(
                error.to_string().contains("is no regular expression: "),
                "{error}"
            );
            assert!(error.help().contains("no look-around"));
        }
    }

    #[test]
    fn matching_long_texts_is_bounded() {
        let unread = Cell::new(MATCHING_COSTS * 300);
        let long = "x".repeat(300);
        let regex = regex("x$").unwrap();
        assert!(matches(&regex, &long, &unread));
        assert!(!matches(&regex, &long, &unread));
        assert!(matches(&regex, "x", &unread));
    }
}
