//! Reading a request at a place.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use plugin_sdk::contract::Request;

use crate::filter::{Filter, Value};
use crate::place::Place;
use crate::template::{Ask, Item, Source};
use crate::tree::Node;

/// The scope of a setting: an event, and the request around it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a, 'j> {
    /// The request.
    pub request: &'a Request,
    /// Its body, where it is JSON or a form.
    pub body: Option<&'a Node<'j>>,
    /// The event: the body, or a member of a list in it.
    pub event: Option<&'a Node<'j>>,
    /// True if a template is empty where any of its places is, and not only where all are.
    pub whole: bool,
    /// The record of reads of the request.
    pub asked: &'a Asked,
}

/// The record of reads of a request.
#[derive(Debug)]
pub struct Asked {
    /// The bytes of text that may still be read; any place read after that is empty. Without it, a
    /// list of many members, each with large parts of the whole body, would be read until the
    /// gateway stops the call.
    pub unread: Cell<usize>,
    /// The places that held nothing, since it was last emptied.
    pub missing: RefCell<Vec<String>>,
    /// Whether a place that senders fill held something, since it was last set.
    pub any: Cell<bool>,
    /// Whether any place at all was asked, since it was last set.
    pub places: Cell<bool>,
}

/// A text up to this length costs nothing to read: a status must be read of every member, however
/// long the list.
const FREE_BYTES: usize = 256;

/// More places than this are not told for one field.
const MAX_MISSING: usize = 16;

impl Asked {
    /// The allowance of a request with a body of so many bytes: each of them more often than a
    /// sensible mapping does.
    pub fn new(body_bytes: usize) -> Self {
        const TIMES: usize = 16;
        const LEAST: usize = 1024 * 1024;
        let unread = Cell::new(body_bytes.saturating_mul(TIMES).max(LEAST));
        Self {
            unread,
            missing: RefCell::default(),
            any: Cell::default(),
            places: Cell::default(),
        }
    }

    fn misses(&self, place: Place<'_>) {
        let mut missing = self.missing.borrow_mut();
        if missing.len() < MAX_MISSING {
            missing.push(place.to_string());
        }
    }
}

/// The words of programs for a missing value. Many events would share one as their id.
const NOTHINGS: [&str; 9] = [
    "none",
    "null",
    "(null)",
    "undefined",
    "nil",
    "<nil>",
    "nan",
    "n/a",
    "<no value>",
];

/// Returns whether a text is a word for nothing, or an unfilled place in a template of the sender's.
fn stands_for_nothing(text: &str) -> bool {
    let text = text.trim();
    let is_left = |begin, end| text.starts_with(begin) && text.ends_with(end);
    NOTHINGS.iter().any(|word| text.eq_ignore_ascii_case(word))
        || is_left("{{", "}}")
        || is_left("${", "}")
        || is_left("{%", "%}")
}

impl<'a, 'j> Scope<'a, 'j> {
    /// The text that a setting makes of this event. `None` where it is empty: a template is where
    /// all of its places are, or where any is and it counts as a [`Scope::whole`]. As such it is also
    /// empty where all of its places hold words for nothing.
    pub fn text(&self, source: Cow<'a, str>) -> Option<Cow<'a, str>> {
        match Source::parse(&source) {
            Ok(Source::Place(ask)) => {
                let found = self.ask(&ask)?;
                if self.whole && stands_for_nothing(&found) {
                    self.asked.misses(ask.place);
                    return None;
                }
                Some(found)
            }
            Ok(Source::Template(items)) => self.render(&items).map(Cow::Owned),
            // What is no source was refused when the settings were checked.
            Ok(Source::Literal(_)) | Err(_) => Some(source).filter(|text| !text.trim().is_empty()),
        }
    }

    fn render(&self, items: &[Item<'_>]) -> Option<String> {
        let mut text = String::with_capacity(120);
        let mut empty = true;
        let mut has_place = false;
        let mut nothings = Vec::new();
        let mut is_id = false;
        for item in items {
            match item {
                Item::Text(literal) => text.push_str(literal),
                Item::Ask(ask) => {
                    has_place = true;
                    match self.ask(ask) {
                        Some(found) => {
                            text.push_str(&found);
                            empty = false;
                            match stands_for_nothing(&found) {
                                true => nothings.push(ask.place),
                                false => is_id = true,
                            }
                        }
                        None if self.whole => return None,
                        None => {}
                    }
                }
            }
        }
        if self.whole && has_place && !is_id {
            nothings
                .into_iter()
                .for_each(|place| self.asked.misses(place));
            return None;
        }
        (!empty || !has_place).then_some(text)
    }

    /// The value at a place, through its filters; `None` where nothing is left.
    pub fn ask(&self, ask: &Ask<'_>) -> Option<Cow<'a, str>> {
        let found = if ask.filters.is_empty() {
            self.at(ask.place)
        } else {
            let value = self.value(ask.place);
            ask.filters
                .iter()
                .fold(value, |value, filter| {
                    filter.apply(value, &self.asked.unread)
                })
                .text()
        };
        let is_filled = matches!(
            ask.place,
            Place::Event(_) | Place::Body(_) | Place::Header(_) | Place::Query(_)
        );
        if is_filled {
            self.asked.places.set(true);
            self.asked.any.set(self.asked.any.get() || found.is_some());
        }
        // What has words of its own to stand before or behind it may well be absent.
        let optional = || {
            ask.filters
                .iter()
                .any(|filter| matches!(filter, Filter::Prefix(_) | Filter::Suffix(_)))
        };
        if found.is_none() && !optional() {
            self.asked.misses(ask.place);
        }
        found
    }

    /// The value at a place; `None` where nothing does.
    pub fn at(&self, place: Place<'_>) -> Option<Cow<'a, str>> {
        let found = match place {
            Place::Event(_) | Place::Body(_) => {
                let node = self.node(place)?;
                return match node.items() {
                    // Senders put what may be several into a list, and mostly it is one.
                    Some([one]) if one.is_scalar() => one.text(),
                    _ => node.text(),
                };
            }
            Place::Header(name) => Cow::Borrowed(self.request.header(name)?),
            Place::Query(name) => Cow::Owned(self.request.query().get(name)?.into_owned()),
            Place::Method => Cow::Borrowed(&*self.request.method),
            Place::Source => Cow::Borrowed(&*self.request.source),
            Place::ReceivedAt => Cow::Borrowed(&*self.request.received_at),
        };
        Some(found).filter(|text| !text.trim().is_empty())
    }

    /// The value at a place in the body, which counts as read.
    pub fn node(&self, place: Place<'_>) -> Option<&'a Node<'j>> {
        let node = match place {
            Place::Event(pointer) => self.event?.at(pointer)?,
            Place::Body(pointer) => self.body?.at(pointer)?,
            _ => return None,
        };
        let bytes = node.json().get().len();
        if bytes > FREE_BYTES {
            self.asked
                .unread
                .set(self.asked.unread.get().checked_sub(bytes)?);
        }
        Some(node)
    }

    fn value(&self, place: Place<'_>) -> Value<'a> {
        match place {
            Place::Event(_) | Place::Body(_) => {
                let Some(node) = self.node(place) else {
                    return Value::Nothing;
                };
                match node.items() {
                    Some(items) => Value::list(items.iter().filter_map(Node::text)),
                    None => node.text().map_or(Value::Nothing, Value::Text),
                }
            }
            _ => self.at(place).map_or(Value::Nothing, Value::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn a_source_asks_the_event_and_the_request_around_it() {
        let request = testing::post("https://a.example/in/shop?env=a%20b&none=")
            .header("X-Kind", "k")
            .build();
        let body = r#"{"alerts":[{"n":1}],"n":2,"o":{"x":[]},"tags":["env:prod","team:Ops"],"one":["x"],"deep":[[1]]}"#;
        let body = Node::read(body).unwrap();
        let asked = Asked::new(0);
        let event = body.at("/alerts/0");
        let scope = Scope {
            whole: false,
            request: &request,
            body: Some(&body),
            event,
            asked: &asked,
        };
        for (source, text) in [
            ("/n", Some("1")),
            ("$body/n", Some("2")),
            ("$body/o", Some(r#"{"x":[]}"#)),
            ("$body/one", Some("x")),
            ("{$body/one}!", Some("x!")),
            ("$body/deep", Some("[[1]]")),
            ("$headers/x-kind", Some("k")),
            ("$query/env", Some("a b")),
            ("$query/none", None),
            ("{$method} {$source}", Some("POST test")),
            ("{/n}/{/x}/{$body/n}", Some("1//2")),
            ("{/x} of {/y}", None),
            (r"\{\}", Some("{}")),
            ("as it is", Some("as it is")),
            (" ", None),
            ("/x", None),
            (r#"$body/tags | join "+""#, Some("env:prod+team:Ops")),
            (
                r#"{$body/tags | match "^team:(.*)" | lower}!"#,
                Some("ops!"),
            ),
            (r#"{/n}{/x | prefix " of "}"#, Some("1")),
            (r#"$query/env | split " " | item 1"#, Some("b")),
            (r#"/x | default "none""#, Some("none")),
        ] {
            assert_eq!(scope.text(source.into()).as_deref(), text, "{source}");
        }
        let whole = Scope {
            whole: true,
            ..scope
        };
        assert_eq!(whole.text("{/n}/{/x}/{$body/n}".into()), None);
        assert_eq!(whole.text("{/n}/{$body/n}".into()).as_deref(), Some("1/2"));
        assert!(asked.any.replace(false) && asked.places.replace(false));
        assert_eq!(whole.text("$method".into()).as_deref(), Some("POST"));
        assert!(!asked.places.get());
        assert_eq!(whole.text("{$body/x}{/y}".into()), None);
        assert!(asked.places.get() && !asked.any.get());
        let nothing = Scope {
            body: None,
            event: None,
            ..scope
        };
        assert_eq!(nothing.text("/n".into()), None);
        assert_eq!(nothing.text("{/n}{$body}".into()), None);
        assert!(asked.missing.borrow().contains(&"$query/none".to_owned()));
    }

    #[test]
    fn word_for_nothing_is_no_id() {
        for word in [
            "None",
            "null",
            "undefined",
            " NaN ",
            "{{id}}",
            "{{ .Labels.id }}",
            "${id}",
            "{% id %}",
            "<no value>",
        ] {
            assert!(stands_for_nothing(word), "{word}");
        }
        for id in ["0", "none-7", "nullable", "{7}", "x {{id}}", "$id"] {
            assert!(!stands_for_nothing(id), "{id}");
        }
    }

    #[test]
    fn what_is_read_in_all_is_bounded() {
        let request = testing::post("https://a.example/").build();
        let asked = Asked::new(0);
        asked.unread.set(400);
        let body = format!(
            r#"{{"long":"{}","short":"{}"}}"#,
            "x".repeat(255),
            "y".repeat(254)
        );
        let body = Node::read(&body).unwrap();
        let scope = Scope {
            whole: false,
            request: &request,
            body: Some(&body),
            event: Some(&body),
            asked: &asked,
        };
        assert_eq!(scope.text("/long".into()).map(|text| text.len()), Some(255));
        assert_eq!(scope.text("/long".into()), None);
        for _ in 0..9 {
            assert_eq!(
                scope.text("/short".into()).map(|text| text.len()),
                Some(254)
            );
        }
        assert_eq!(scope.text("$method".into()).as_deref(), Some("POST"));
    }
}
