//! The sources of a setting's text: a place with its filters, a template of several, or a text as
//! it is.

use crate::filter::{Filter, NoFilter};
use crate::place::{NoPlace, Place};

/// The makings of a setting's text.
#[derive(Debug)]
pub enum Source<'s> {
    /// The value at a place.
    Place(Ask<'s>),
    /// Texts, and what stands at places.
    Template(Vec<Item<'s>>),
    /// This text.
    Literal(&'s str),
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'s> {
    /// This text.
    Text(&'s str),
    /// The value at a place.
    Ask(Ask<'s>),
}

/// A place, and the filters for its value.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask<'s> {
    /// The place.
    pub place: Place<'s>,
    /// The filters, in their order.
    pub filters: Vec<Filter<'s>>,
}

/// The reason why a text is no source.
#[derive(Debug)]
pub enum NoSource<'s> {
    /// A place that is none.
    Place(NoPlace<'s>),
    /// A filter that is none.
    Filter(NoFilter<'s>),
    /// Braces or backslashes that do not fit together, from this byte on.
    Braces(usize),
}

/// The separator between a place from a filter, and a filter from the next.
const BAR: &str = " | ";

/// Finds the first bar. Few settings have one, and looking for a byte needs no preparation.
fn bar(text: &str) -> Option<usize> {
    let has_one = text.bytes().any(|byte| byte == b'|');
    if has_one { text.find(BAR) } else { None }
}

impl<'s> Source<'s> {
    /// Reads a source: braces make a template, `/` or `$` and a letter at the start make a place,
    /// and anything else is a text.
    ///
    /// # Errors
    /// The fault.
    pub fn parse(text: &'s str) -> Result<Self, NoSource<'s>> {
        let around = text
            .strip_prefix('$')
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        let is_place = around || text.starts_with('/');
        let brace = text.bytes().position(|byte| matches!(byte, b'{' | b'}'));
        // A pattern may hold braces: those of a filter make no template.
        let filtered = || bar(text).is_some_and(|bar| brace.is_some_and(|brace| bar < brace));
        if brace.is_some() && !(is_place && filtered()) {
            return template(text).map(Self::Template);
        }
        if is_place {
            return Ask::parse(text).map(Self::Place);
        }
        Ok(Self::Literal(text))
    }

    /// The places that it asks for, with their filters.
    pub fn asks(&self) -> impl Iterator<Item = &Ask<'s>> {
        let (one, several) = match self {
            Self::Place(ask) => (Some(ask), &[][..]),
            Self::Template(items) => (None, &items[..]),
            Self::Literal(_) => (None, &[][..]),
        };
        let asked = several.iter().filter_map(|item| match item {
            Item::Ask(ask) => Some(ask),
            Item::Text(_) => None,
        });
        one.into_iter().chain(asked)
    }
}

impl<'s> Ask<'s> {
    /// Reads a place, and the filters behind it.
    ///
    /// # Errors
    /// The fault.
    pub fn parse(text: &'s str) -> Result<Self, NoSource<'s>> {
        let Some((place, filters)) = bar(text).map(|at| (&text[..at], &text[at + BAR.len()..]))
        else {
            return Ok(Self {
                place: Place::parse(text).map_err(NoSource::Place)?,
                filters: Vec::new(),
            });
        };
        let place = Place::parse(place.trim_end()).map_err(NoSource::Place)?;
        Ok(Self {
            place,
            filters: Filter::parse_all(filters).map_err(NoSource::Filter)?,
        })
    }
}

/// Reads a template: places in braces, and between them texts in which `\` stands before a brace or
/// another `\`.
fn template<'s>(text: &'s str) -> Result<Vec<Item<'s>>, NoSource<'s>> {
    let mut pieces = Vec::with_capacity(8);
    let mut at = 0;
    let mut start = 0;
    let between = |from: usize, to: usize, pieces: &mut Vec<(bool, &'s str)>| {
        if from < to {
            pieces.push((false, &text[from..to]));
        }
    };
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'\\' => {
                if !matches!(text.as_bytes().get(at + 1), Some(b'{' | b'}' | b'\\')) {
                    return Err(NoSource::Braces(at));
                }
                between(start, at, &mut pieces);
                (start, at) = (at + 1, at + 2);
            }
            b'{' => {
                between(start, at, &mut pieces);
                let inner = &text[at + 1..];
                let inner = &inner[..closing(inner).ok_or(NoSource::Braces(at))?];
                if inner.trim().is_empty() {
                    return Err(NoSource::Braces(at));
                }
                pieces.push((true, inner.trim()));
                at += inner.len() + 2;
                start = at;
            }
            b'}' => return Err(NoSource::Braces(at)),
            _ => at += 1,
        }
    }
    between(start, text.len(), &mut pieces);
    let item = |(asks, piece)| {
        if asks {
            Ask::parse(piece).map(Item::Ask)
        } else {
            Ok(Item::Text(piece))
        }
    };
    pieces.into_iter().map(item).collect()
}

/// Finds the closing brace. One in the quotes of a filter's argument is part of that.
fn closing(text: &str) -> Option<usize> {
    let filters = bar(text).unwrap_or(text.len());
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if at > filters => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

impl NoSource<'_> {
    /// The fault, for a person.
    pub fn found(&self) -> String {
        match self {
            Self::Place(error) => error.to_string(),
            Self::Filter(error) => error.to_string(),
            Self::Braces(at) => format!(
                "the braces and backslashes do not fit together at byte {}",
                at + 1
            ),
        }
    }

    /// The correction, for a person.
    pub fn help(&self) -> String {
        match self {
            Self::Place(error) => error.help(),
            Self::Filter(error) => error.help(),
            Self::Braces(_) => "a template has places in single braces, as in \"Disk of {/host} is full\"; a brace \
                                itself is written \\{ and a backslash \\\\"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_a_slash_or_a_dollar_make_the_difference() {
        let place = |place| Ask {
            place,
            filters: Vec::new(),
        };
        assert!(
            matches!(Source::parse("/a"), Ok(Source::Place(ask)) if ask == place(Place::Event("/a")))
        );
        assert!(
            matches!(Source::parse("$method"), Ok(Source::Place(ask)) if ask == place(Place::Method))
        );
        for literal in ["A literal", "$5 a month", "", "C:\\temp", "$", "a | lower"] {
            assert!(
                matches!(Source::parse(literal), Ok(Source::Literal(text)) if text == literal),
                "{literal}"
            );
        }
        let Ok(Source::Template(items)) = Source::parse(r"/{ /a } of \{{$source}\}") else {
            panic!()
        };
        assert_eq!(items.len(), 6);
        assert_eq!(items[1], Item::Ask(place(Place::Event("/a"))));
        assert_eq!(items[5], Item::Text("}"));
    }

    #[test]
    fn braces_in_a_filter_are_no_templates() {
        for text in [
            r#"/a | match "x{2}""#,
            r#"{/a | match "x{2}"}"#,
            r#"{ /a | match "x{2}" }"#,
        ] {
            let source = Source::parse(text).unwrap();
            let asks: Vec<_> = source.asks().collect();
            assert_eq!(asks.len(), 1, "{text}");
            assert_eq!(asks[0].place, Place::Event("/a"));
            assert_eq!(asks[0].filters, [Filter::Match("x{2}".into())]);
        }
        let source = Source::parse(r#"/hosts/{/a | default "}"}"#).unwrap();
        assert!(matches!(&source, Source::Template(items) if items.len() == 2));
    }

    #[test]
    fn a_bad_template_is_told_with_the_place() {
        for (text, found, help) in [
            (
                "Disk of {/host",
                "do not fit together at byte 9",
                "in single braces",
            ),
            ("Disk of }", "at byte 9", "\\{"),
            ("Disk of {}", "at byte 9", "in single braces"),
            (r"C:\{/temp}", "at byte 10", r"a backslash \\"),
            (
                "{{ alert.name }}",
                "at byte 16",
                "in single braces, as in \"Disk of {/host} is full\"",
            ),
            (
                "Disk of {host}",
                "\"host\" is no place in a request",
                "as in /host",
            ),
            ("Disk of {$hosts}", "\"$hosts\" names nothing", "$source"),
            (
                "Disk of {/host | shout}",
                "\"shout\" is no filter",
                "there are lower",
            ),
            ("/host | shout", "\"shout\" is no filter", "there are lower"),
        ] {
            let error = Source::parse(text).unwrap_err();
            assert!(error.found().contains(found), "{}", error.found());
            assert!(error.help().contains(help), "{}", error.help());
        }
    }
}
