//! What a request says at a place.

use std::borrow::Cow;
use std::cell::Cell;

use leon::{Item, Template};
use plugin_sdk::contract::Request;

use crate::place::Place;
use crate::template::Source;
use crate::tree::Node;

/// What a setting can ask of: an event, and the request around it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a, 'j> {
    /// The request.
    pub request: &'a Request,
    /// Its body, where it is JSON or a form.
    pub body: Option<&'a Node<'j>>,
    /// The event: the body, or a member of a list in it.
    pub event: Option<&'a Node<'j>>,
    /// Whether a template is empty where any of its places is, and not only where all are.
    pub whole: bool,
    /// How many bytes of text may still be read: a list of many members, each of which asks for much of the whole body,
    /// would be read until the gateway stops it. What is read after that is empty.
    pub unread: &'a Cell<usize>,
}

/// What is not longer costs nothing to read: a status must be read of every member, however long the list.
const FREE_BYTES: usize = 256;

/// What may be read of a request with a body of so many bytes: each of them more often than a sensible mapping does.
pub fn readable(body_bytes: usize) -> usize {
    const TIMES: usize = 16;
    const LEAST: usize = 1024 * 1024;
    body_bytes.saturating_mul(TIMES).max(LEAST)
}

impl<'a> Scope<'a, '_> {
    /// The text that a setting gives for this event. `None` where it is empty: a template is where all of its places
    /// are, or where any is and it counts as a [`Scope::whole`].
    pub fn text(&self, source: Cow<'a, str>) -> Option<Cow<'a, str>> {
        match Source::parse(&source) {
            Ok(Source::Place(place)) => self.at(place),
            Ok(Source::Template(template)) => self.render(&template).map(Cow::Owned),
            // What is no source was refused when the settings were checked.
            Ok(Source::Literal(_)) | Err(_) => Some(source).filter(|text| !text.trim().is_empty()),
        }
    }

    fn render(&self, template: &Template<'_>) -> Option<String> {
        let (mut text, mut empty, mut has_place) = (String::with_capacity(120), true, false);
        for item in template.items.iter() {
            match *item {
                Item::Text(literal) => text.push_str(literal),
                Item::Key(place) => {
                    has_place = true;
                    match Place::parse(place).ok().and_then(|place| self.at(place)) {
                        Some(found) => {
                            text.push_str(&found);
                            empty = false;
                        }
                        None if self.whole => return None,
                        None => {}
                    }
                }
            }
        }
        (!empty || !has_place).then_some(text)
    }

    /// What stands at a place; `None` where nothing does.
    pub fn at(&self, place: Place<'_>) -> Option<Cow<'a, str>> {
        let node = |from: Option<&'a Node<'_>>, pointer: &str| -> Option<Cow<'a, str>> {
            let node = from?.at(pointer)?;
            let bytes = node.json().get().len();
            if bytes > FREE_BYTES {
                self.unread.set(self.unread.get().checked_sub(bytes)?);
            }
            node.text()
        };
        let found = match place {
            Place::Event(pointer) => return node(self.event, pointer),
            Place::Body(pointer) => return node(self.body, pointer),
            Place::Header(name) => Cow::Borrowed(self.request.header(name)?),
            Place::Query(name) => Cow::Owned(self.request.query().get(name)?.into_owned()),
            Place::Method => Cow::Borrowed(&*self.request.method),
            Place::Source => Cow::Borrowed(&*self.request.source),
            Place::ReceivedAt => Cow::Borrowed(&*self.request.received_at),
        };
        Some(found).filter(|text| !text.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn a_source_asks_the_event_and_the_request_around_it() {
        let request = testing::post("https://a.example/in/shop?env=a%20b&none=").header("X-Kind", "k").build();
        let body = Node::read(r#"{"alerts":[{"n":1}],"n":2,"o":{"x":[]}}"#).unwrap();
        let unread = Cell::new(readable(0));
        let event = body.at("/alerts/0");
        let scope = Scope { whole: false, request: &request, body: Some(&body), event, unread: &unread };
        for (source, text) in [
            ("/n", Some("1")),
            ("$body/n", Some("2")),
            ("$body/o", Some(r#"{"x":[]}"#)),
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
        ] {
            assert_eq!(scope.text(source.into()).as_deref(), text, "{source}");
        }
        let whole = Scope { whole: true, ..scope };
        assert_eq!(whole.text("{/n}/{/x}/{$body/n}".into()), None);
        assert_eq!(whole.text("{/n}/{$body/n}".into()).as_deref(), Some("1/2"));
        let nothing = Scope { body: None, event: None, ..scope };
        assert_eq!(nothing.text("/n".into()), None);
        assert_eq!(nothing.text("{/n}{$body}".into()), None);
    }
    #[test]
    fn what_is_read_in_all_is_bounded() {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(400));
        let body = format!(r#"{{"long":"{}","short":"{}"}}"#, "x".repeat(255), "y".repeat(254));
        let body = Node::read(&body).unwrap();
        let scope = Scope { whole: false, request: &request, body: Some(&body), event: Some(&body), unread: &unread };
        assert_eq!(scope.text("/long".into()).map(|text| text.len()), Some(255));
        assert_eq!(scope.text("/long".into()), None);
        for _ in 0..9 {
            assert_eq!(scope.text("/short".into()).map(|text| text.len()), Some(254));
        }
        assert_eq!(scope.text("$method".into()).as_deref(), Some("POST"));
    }
}
