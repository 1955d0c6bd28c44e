//! A setting that gives a text: a place, a template with places in braces, or the text itself.

use leon::{Item, ParseError, Template};

use crate::place::{NoPlace, Place};

/// Where a text comes from.
#[derive(Debug)]
pub enum Source<'s> {
    /// What stands there.
    Place(Place<'s>),
    /// `Disk of {/host} is full`.
    Template(Template<'s>),
    /// The text itself.
    Literal(&'s str),
}

/// Why a text is no source.
#[derive(Debug)]
pub enum NoSource<'s> {
    /// It, or what stands in its braces, names no place.
    Place(NoPlace<'s>),
    /// Its braces do not match.
    Template(Box<ParseError>),
}

impl<'s> Source<'s> {
    /// Reads a source: braces make a template, `/` or `$` and a letter at the start make a place, and anything else
    /// is a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'s str) -> Result<Self, NoSource<'s>> {
        if text.bytes().any(|byte| matches!(byte, b'{' | b'}')) {
            let template = Template::parse(text).map_err(|error| NoSource::Template(Box::new(error)))?;
            for item in template.items.iter() {
                if let Item::Key(place) = *item {
                    Place::parse(place).map_err(NoSource::Place)?;
                }
            }
            return Ok(Self::Template(template));
        }
        let around = text.strip_prefix('$').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        if around || text.starts_with('/') {
            return Place::parse(text).map(Self::Place).map_err(NoSource::Place);
        }
        Ok(Self::Literal(text))
    }
}

impl<'s> Source<'s> {
    /// The places that it asks for.
    pub fn places(&self) -> Vec<Place<'s>> {
        match self {
            Self::Place(place) => vec![*place],
            Self::Template(template) => {
                let place = |item: &Item<'s>| match *item {
                    Item::Key(place) => Place::parse(place).ok(),
                    Item::Text(_) => None,
                };
                template.items.iter().filter_map(place).collect()
            }
            Self::Literal(_) => Vec::new(),
        }
    }
}

impl NoSource<'_> {
    /// What was found.
    pub fn found(&self) -> String {
        match self {
            Self::Place(error) => error.to_string(),
            Self::Template(error) => {
                // The error keeps to itself what it knows, but for its words.
                let said = error.to_string();
                let start = said.split_once("span start = ").and_then(|(_, after)| after.split(',').next());
                match start.and_then(|start| start.parse::<usize>().ok()) {
                    Some(start) => format!("the braces and backslashes do not fit together at byte {}", start + 1),
                    None => format!("the braces and backslashes do not fit together: {said}"),
                }
            }
        }
    }

    /// What would be right.
    pub fn help(&self) -> String {
        match self {
            Self::Place(error) => error.help(),
            Self::Template(_) => "a template has places in single braces, as in \"Disk of {/host} is full\"; a brace \
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
        assert!(matches!(Source::parse("/a"), Ok(Source::Place(Place::Event("/a")))));
        assert!(matches!(Source::parse("$method"), Ok(Source::Place(Place::Method))));
        for literal in ["A literal", "$5 a month", "", "C:\\temp", "$"] {
            assert!(matches!(Source::parse(literal), Ok(Source::Literal(text)) if text == literal), "{literal}");
        }
        let Ok(Source::Template(template)) = Source::parse(r"/{ /a } of \{{$source}\}") else { panic!() };
        assert_eq!(template.items.len(), 6);
        assert_eq!(template.items[1], Item::Key("/a"));
    }

    #[test]
    fn a_bad_template_is_told_with_the_place() {
        for (text, found, help) in [
            ("Disk of {/host", "do not fit together at byte 9", "in single braces"),
            ("Disk of }", "at byte 9", "\\{"),
            ("Disk of {}", "at byte 9", "in single braces"),
            (r"C:\{/temp}", "at byte 10", r"a backslash \\"),
            ("{{ alert.name }}", "at byte 16", "in single braces, as in \"Disk of {/host} is full\""),
            ("Disk of {host}", "\"host\" is no place in a request", "as in /host"),
            ("Disk of {$hosts}", "\"$hosts\" names nothing", "$source"),
        ] {
            let error = Source::parse(text).unwrap_err();
            assert!(error.found().contains(found), "{}", error.found());
            assert!(error.help().contains(help), "{}", error.help());
        }
    }
}
