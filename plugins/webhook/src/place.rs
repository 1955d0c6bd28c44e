//! Places of values: `/a/b` in the event, `$headers/x-github-event` around it.

use std::fmt;

use crate::tree::MAX_STEPS;

/// Something that a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'s> {
    /// A JSON Pointer into the event: the body, or a member of the list that `each` names.
    Event(&'s str),
    /// A JSON Pointer into the whole body.
    Body(&'s str),
    /// The header of this name.
    Header(&'s str),
    /// The query parameter of this name.
    Query(&'s str),
    /// The method.
    Method,
    /// The name of the source.
    Source,
    /// The time at which the gateway received the request.
    ReceivedAt,
}

/// The reason why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace<'s> {
    /// A text that begins with neither `/` nor `$`.
    Start(&'s str),
    /// `$` and a name that means nothing.
    Unknown(&'s str),
    /// `$headers` or `$query` without the name of one.
    Unnamed(&'s str),
    /// A `~` that is neither `~0` nor `~1`.
    Escape(&'s str),
    /// A pointer with more steps than [`MAX_STEPS`].
    Deep(&'s str),
    /// The place holds the credential that the sender shows.
    Credential(&'s str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(pointer) => out.write_str(pointer),
            Self::Body(pointer) => write!(out, "$body{pointer}"),
            Self::Header(name) => write!(out, "$headers/{name}"),
            Self::Query(name) => write!(out, "$query/{name}"),
            Self::Method => out.write_str("$method"),
            Self::Source => out.write_str("$source"),
            Self::ReceivedAt => out.write_str("$received_at"),
        }
    }
}

impl<'s> Place<'s> {
    /// Reads a place.
    ///
    /// # Errors
    /// The fault.
    pub fn parse(text: &'s str) -> Result<Self, NoPlace<'s>> {
        if text.starts_with('/') {
            return checked(text).map(Self::Event);
        }
        let Some(around) = text.strip_prefix('$') else {
            return Err(NoPlace::Start(text));
        };
        let (name, pointer) = around.split_at(around.find('/').unwrap_or(around.len()));
        let named = pointer.strip_prefix('/').filter(|name| !name.is_empty());
        match (name, named) {
            ("body", _) => checked(pointer).map(Self::Body),
            ("headers", Some(name)) if name.eq_ignore_ascii_case("authorization") => {
                Err(NoPlace::Credential(text))
            }
            ("query", Some("token")) => Err(NoPlace::Credential(text)),
            ("headers", Some(name)) => Ok(Self::Header(name)),
            ("query", Some(name)) => Ok(Self::Query(name)),
            ("headers" | "query", None) => Err(NoPlace::Unnamed(text)),
            ("method", None) => Ok(Self::Method),
            ("source", None) => Ok(Self::Source),
            ("received_at", None) => Ok(Self::ReceivedAt),
            _ => Err(NoPlace::Unknown(text)),
        }
    }
}

/// A JSON Pointer that is right, and not deeper than anybody's JSON.
fn checked(pointer: &str) -> Result<&str, NoPlace<'_>> {
    if pointer.bytes().filter(|byte| *byte == b'/').count() > MAX_STEPS {
        return Err(NoPlace::Deep(pointer));
    }
    let escapes = || pointer.split('~').skip(1);
    if pointer.as_bytes().contains(&b'~') && escapes().any(|after| !after.starts_with(['0', '1'])) {
        Err(NoPlace::Escape(pointer))
    } else {
        Ok(pointer)
    }
}

impl fmt::Display for NoPlace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(text) => write!(out, "{text:?} is no place in a request"),
            Self::Unknown(text) => write!(out, "{text:?} names nothing around a body"),
            Self::Unnamed(text) => write!(out, "{text:?} does not say which one"),
            Self::Escape(text) => write!(out, "{text:?} has a ~ that is neither ~0 nor ~1"),
            Self::Deep(text) => write!(out, "{text:?} goes deeper than {MAX_STEPS} levels"),
            Self::Credential(text) => write!(out, "{text:?} is what the sender proves itself with"),
        }
    }
}

impl NoPlace<'_> {
    /// The correction, for a person.
    pub fn help(&self) -> String {
        match self {
            Self::Start(text) => {
                let steps = text
                    .trim_start_matches(['$', '.'])
                    .replace(['.', '['], "/")
                    .replace(']', "");
                format!(
                    "a place is a JSON Pointer, which begins with /, as in /{}",
                    steps.trim_start_matches('/')
                )
            }
            Self::Unknown(_) => {
                "there are $body/…, $headers/…, $query/…, $method, $source and $received_at"
                    .to_owned()
            }
            Self::Unnamed(text) => format!("write {}/name", text.trim_end_matches('/')),
            Self::Escape(_) => "in a JSON Pointer, ~0 stands for ~ and ~1 for /".to_owned(),
            Self::Deep(_) => "name something nearer to the top".to_owned(),
            Self::Credential(_) => "an alert is read by many, so it must not carry it".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (text, place) in [
            ("/a/b", Place::Event("/a/b")),
            ("/", Place::Event("/")),
            ("$body", Place::Body("")),
            ("$body/a~1b", Place::Body("/a~1b")),
            ("$headers/X-GitHub-Event", Place::Header("X-GitHub-Event")),
            ("$query/a/b", Place::Query("a/b")),
            ("$method", Place::Method),
            ("$source", Place::Source),
            ("$received_at", Place::ReceivedAt),
        ] {
            assert_eq!(Place::parse(text), Ok(place), "{text}");
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_told_with_what_would_be_right() {
        for (text, found, help) in [
            (
                "a.b[0].c",
                "\"a.b[0].c\" is no place in a request",
                "begins with /, as in /a/b/0/c",
            ),
            (".a", "\".a\" is no place", "as in /a"),
            ("$.a", "\"$.a\" names nothing around a body", "$headers/…"),
            ("$header/x", "\"$header/x\" names nothing", "$headers/…"),
            ("$method/x", "\"$method/x\" names nothing", "$method"),
            ("$headers", "does not say which one", "write $headers/name"),
            ("$query/", "does not say which one", "write $query/name"),
            ("/a~2", "has a ~ that is neither", "~1 for /"),
            ("$body/a~", "has a ~ that is neither", "~1 for /"),
            (
                "$headers/Authorization",
                "is what the sender proves itself with",
                "must not carry it",
            ),
            (
                "$query/token",
                "is what the sender proves itself with",
                "must not carry it",
            ),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(error.to_string().contains(found), "{error}");
            assert!(error.help().contains(help), "{}", error.help());
        }
    }

    #[test]
    fn a_pointer_ends_somewhere() {
        assert!(Place::parse(&"/a".repeat(MAX_STEPS)).is_ok());
        let deep = "/a".repeat(MAX_STEPS + 1);
        let error = Place::parse(&deep).unwrap_err();
        assert!(
            error.to_string().ends_with("goes deeper than 16 levels"),
            "{error}"
        );
        assert_eq!(error.help(), "name something nearer to the top");
    }
}
