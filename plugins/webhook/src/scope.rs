//! What a request says at a place.

use std::borrow::Cow;

use plugin_sdk::contract::Request;

use crate::place::Place;
use crate::template::{Piece, Source};
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
}

impl<'a> Scope<'a, '_> {
    /// The text that a setting gives for this event. `None` where it is empty: a template is where all of its places are.
    pub fn text(&self, source: &'a str) -> Option<Cow<'a, str>> {
        match Source::parse(source) {
            Ok(Source::Place(place)) => self.at(place),
            Ok(Source::Template(pieces)) => self.render(&pieces).map(Cow::Owned),
            // What is no source was refused when the settings were checked.
            Ok(Source::Literal(_)) | Err(_) => Some(Cow::Borrowed(source)).filter(|text| !text.trim().is_empty()),
        }
    }

    fn render(&self, pieces: &[Piece<'_>]) -> Option<String> {
        let (mut text, mut empty, mut has_place) = (String::new(), true, false);
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Place(place) => {
                    has_place = true;
                    if let Some(found) = self.at(*place) {
                        text.push_str(&found);
                        empty = false;
                    }
                }
            }
        }
        (!empty || !has_place).then_some(text)
    }

    /// What stands at a place; `None` where nothing does.
    pub fn at(&self, place: Place<'_>) -> Option<Cow<'a, str>> {
        let found = match place {
            Place::Event(pointer) => return self.event?.at(pointer)?.text(),
            Place::Body(pointer) => return self.body?.at(pointer)?.text(),
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
        let scope = Scope { request: &request, body: Some(&body), event: body.at("/alerts/0") };
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
            assert_eq!(scope.text(source).as_deref(), text, "{source}");
        }
        let nothing = Scope { request: &request, body: None, event: None };
        assert_eq!(nothing.text("/n"), None);
        assert_eq!(nothing.text("{/n}{$body}"), None);
    }
}
