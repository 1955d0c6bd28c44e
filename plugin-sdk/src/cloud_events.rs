//! CloudEvents 1.0 in their JSON format: one event, or an array of them, in the body; or one whose
//! attributes are the headers `ce-…`.
//!
//! Source: the CloudEvents specification 1.0.2 with its JSON event format and HTTP protocol
//! binding. Events are read leniently, because an authenticated one must never be lost for its
//! shape: what is missing is empty.

use serde_json::value::RawValue;

use crate::contract::Request;
use crate::json::{self, Object};

/// One event. Every text is as sent, and may be long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudEvent<'a> {
    /// Unique within the source; empty where it is missing.
    pub id: String,
    /// The context in which the event happened.
    pub source: String,
    /// The kind of event, such as `com.example.thing.created`.
    pub kind: String,
    /// The subject of the event within its source.
    pub subject: Option<String>,
    /// The time of the event: RFC 3339.
    pub time: Option<String>,
    /// JSON text of the data; for text data, a JSON string. `None` where there is none.
    pub data: Option<&'a str>,
    /// JSON text of all of it, to the letter; for an event in headers, the body.
    pub whole: &'a str,
}

/// The events of a request whose body is this text: the members of an array, or else one. Whatever
/// the body is, there is one event for each member, so nothing that was sent is lost; an empty
/// array has none.
pub fn read<'a>(request: &Request, body: &'a str) -> Vec<CloudEvent<'a>> {
    if request.header("ce-specversion").is_some() {
        return vec![in_headers(request, body)];
    }
    structured(body)
}

/// As [`read`], whatever the headers say: for a sender whose signature is over the body alone,
/// because a recorded request with another `ce-id` would be another event.
pub fn structured(body: &str) -> Vec<CloudEvent<'_>> {
    match serde_json::from_str::<Vec<&RawValue>>(body) {
        Ok(members) => members
            .into_iter()
            .map(|member| in_json(member.get()))
            .collect(),
        Err(_) => vec![in_json(body)],
    }
}

fn in_json(whole: &str) -> CloudEvent<'_> {
    let event = Object::read(whole);
    CloudEvent {
        id: event.text("id").unwrap_or_default(),
        source: event.text("source").unwrap_or_default(),
        kind: event.text("type").unwrap_or_default(),
        subject: event.text("subject"),
        time: event.text("time"),
        data: event.get("data").filter(|data| *data != "null"),
        whole,
    }
}

fn in_headers<'a>(request: &Request, body: &'a str) -> CloudEvent<'a> {
    let attribute = |name: &str| request.header(name).map(str::to_owned);
    CloudEvent {
        id: attribute("ce-id").unwrap_or_default(),
        source: attribute("ce-source").unwrap_or_default(),
        kind: attribute("ce-type").unwrap_or_default(),
        subject: attribute("ce-subject"),
        time: attribute("ce-time"),
        data: serde_json::from_str::<&RawValue>(body)
            .is_ok()
            .then_some(body),
        whole: body,
    }
}

impl CloudEvent<'_> {
    /// The members of the data, where it is an object.
    pub fn data(&self) -> Object<'_> {
        self.data.map(Object::read).unwrap_or_default()
    }

    /// All of it for an alert's `details`, to the letter; as `body_text` where it is no JSON.
    pub fn details(&self) -> Option<Box<RawValue>> {
        json::details("body_text", self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn of(body: &str) -> Vec<CloudEvent<'_>> {
        read(&testing::post("https://a.example/in/x").build(), body)
    }

    #[test]
    fn an_array_is_several_events_and_an_object_is_one() {
        let one = r#"{"specversion":"1.0","type":"com.example.x","source":"/s","id":"1","time":"2026-01-01T00:00:00Z","data":{"a":1.0}}"#;
        let array = format!("[{one}, {}]", one.replace("\"1\"", "\"2\""));
        let events = of(&array);
        assert_eq!(
            events.iter().map(|event| &*event.id).collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(of(one)[0], events[0]);
        let event = &events[0];
        assert_eq!(
            (&*event.kind, &*event.source, event.data),
            ("com.example.x", "/s", Some(r#"{"a":1.0}"#))
        );
        assert_eq!(event.data().text("a").as_deref(), Some("1.0"));
        assert_eq!(event.details().unwrap().get(), one);
        assert!(of("[]").is_empty());
    }

    #[test]
    fn an_event_may_travel_in_headers() {
        let request = testing::post("https://a.example/in/x")
            .header("ce-specversion", "1.0")
            .header("ce-id", "7")
            .header("ce-type", "com.example.x")
            .build();
        let events = read(&request, r#"{"a":1}"#);
        assert_eq!(
            (&*events[0].id, &*events[0].kind, events[0].data),
            ("7", "com.example.x", Some(r#"{"a":1}"#))
        );
        assert_eq!(read(&request, "no JSON")[0].data, None);
        assert_eq!(
            structured(r#"{"id":"8"}"#)[0].id,
            "8",
            "and where it may not, headers say nothing"
        );
    }

    #[test]
    fn whatever_the_body_is_nothing_of_it_is_lost() {
        for body in [
            "",
            "no JSON",
            "7",
            "{\"id\":7}",
            "[1, \"x\", {\"data\":null}]",
        ] {
            let events = of(body);
            let text = events.iter().map(|event| event.whole).collect::<String>();
            assert!(
                !events.is_empty() && body.contains(events[0].whole),
                "{body}: {text}"
            );
            assert!(
                events
                    .iter()
                    .all(|event| event.details().is_some() && event.data.is_none()),
                "{body}"
            );
        }
        assert_eq!(of("{\"id\":7}")[0].id, "7");
    }
}
