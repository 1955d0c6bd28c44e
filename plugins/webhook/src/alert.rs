//! One alert of one event, however odd the event is.

use std::borrow::Cow;

use plugin_sdk::contract::{Alert, Priority, Request, Status};
use plugin_sdk::signature::sha256;
use plugin_sdk::text::line;
use plugin_sdk::time;
use serde_json::value::{RawValue, to_raw_value};

use crate::choice::Choice;
use crate::scope::Scope;
use crate::tree::Node;
use crate::words;

/// What the messages, links, labels and long titles of an answer may take together, where it holds so many alerts with
/// details of so many bytes in all: then it stays within the 1 MiB that the host takes. What comes later goes without.
pub fn room(alerts: usize, details: usize) -> usize {
    /// Names and punctuation, a time, a short title, a key and an id: what every alert may have.
    const OF_EACH: usize = 240 + 2 * SHORT_TITLE_BYTES + IDS_BYTES;
    (1024 * 1024_usize).saturating_sub(details).saturating_sub(alerts * OF_EACH)
}

/// The longest key and id, and the shortest that both must be counted as: a hash may yet take the place of an id.
const IDS_BYTES: usize = 2 * ("resolve ".len() + MAX_ID_BYTES);
const HASH_BYTES: usize = "resolve sha256:".len() + 64;

/// How many bytes a text takes in JSON.
fn written(text: &str) -> usize {
    let of = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of).sum()
}

/// What is left of a title where there is no room for more.
const SHORT_TITLE_BYTES: usize = 60;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// A longer key is known by its hash, and an event with a longer id by its own: the host takes no more than 256
/// bytes, and a thousand of either must fit.
const MAX_ID_BYTES: usize = 200;

/// Labels are for rules; the details hold all of it.
const MAX_LABEL_CHARS: usize = 256;

const MAX_MESSAGE_BYTES: usize = 16 * 1024;
const MAX_LINK_BYTES: usize = 2 * 1024;

/// Where senders that nobody has described put their words.
const LIKELY_TITLES: [&str; 6] = ["/title", "/message", "/subject", "/summary", "/name", "/text"];

/// An event to make an alert of.
pub struct Event<'a, 'j> {
    /// What the settings ask.
    pub scope: Scope<'a, 'j>,
    /// What tells it from every other event.
    pub bytes: &'a [u8],
    /// The same as text.
    pub text: &'a str,
    /// All of it.
    pub details: Option<Box<RawValue>>,
}

/// The alert that the settings make of an event.
pub fn of<'a>(event: Event<'a, '_>, settings: &'a Node<'_>, room: &mut usize) -> Alert {
    let scope = &event.scope;
    let choice = |name: &str| settings.get(name).map(Choice::new);
    let text = |name: &str| choice(name)?.text(scope).map(Cow::into_owned);
    let priority = choice("priority").and_then(|choice| choice.word(scope, Priority::from_word));
    let status = choice("status").and_then(|choice| choice.word(scope, words::status));
    // Half an id would be that of many events.
    let whole = Scope { whole: true, ..*scope };
    let id = |name: &str| choice(name)?.text(&whole).map(Cow::into_owned);
    let key = id("key").map(|key| if written(&key) <= MAX_ID_BYTES { key } else { hash(key.as_bytes()) });
    let event_id = id("event_id").filter(|id| written(id) <= MAX_ID_BYTES);
    let mut alert = Alert::new(String::new(), priority.unwrap_or(Priority::Medium), title(&event, choice("title")));
    alert.status = status.unwrap_or(Status::Trigger);
    alert.key = key;
    identify(&mut alert, event_id, event.bytes, scope.request);
    let ids = [&alert.event_id, alert.key()].map(|id| written(id).max(HASH_BYTES));
    *room += IDS_BYTES.saturating_sub(ids.iter().sum());
    alert.occurred_at = text("time").and_then(|text| rfc3339(&text));
    let mut fits = |text: &str| room.checked_sub(written(text)).map(|left| *room = left).is_some();
    if alert.title.len() > SHORT_TITLE_BYTES && !fits(&alert.title) {
        alert.title.truncate(alert.title.floor_char_boundary(SHORT_TITLE_BYTES - '…'.len_utf8()));
        alert.title.push('…');
    }
    for (name, label) in settings.get("labels").map(Node::members).unwrap_or_default() {
        let value = Choice::new(label).text(scope).map(|value| line(&value, MAX_LABEL_CHARS));
        if let Some(value) = value.filter(|value| !value.is_empty() && fits(name) && fits("\"\":\"\",") && fits(value))
        {
            alert.labels.insert(name.clone().into_owned(), value);
        }
    }
    alert.link = text("link").filter(|link| link.len() <= MAX_LINK_BYTES && fits(link));
    alert.message = text("message").map(|text| lines(&text, MAX_MESSAGE_BYTES)).filter(|text| fits(text));
    alert.details = event.details;
    alert
}

/// One alert for the members of a list that are more than the host takes.
pub fn of_the_rest(request: &Request, body: &[u8], rest: &[Node<'_>]) -> Alert {
    let title = format!("{}: {} more events in one request", request.source, rest.len());
    let mut alert = Alert::new(format!("{}/rest", hash(body)), Priority::High, title);
    alert.message = Some("The details hold them as they were sent.".to_owned());
    let rest: Vec<_> = rest.iter().map(Node::json).collect();
    alert.details = to_raw_value(&rest).ok();
    alert
}

/// The title that the settings give, or the best words that there are.
fn title<'a>(event: &Event<'a, '_>, choice: Option<Choice<'a, '_>>) -> String {
    let scope = &event.scope;
    let given = choice
        .and_then(|choice| choice.text(scope))
        .map(|text| line(&text, MAX_TITLE_CHARS))
        .filter(|title| !title.is_empty());
    given.unwrap_or_else(|| {
        let likely = || LIKELY_TITLES.iter().find_map(|place| scope.text(Cow::Borrowed(place)));
        let words = likely().unwrap_or(Cow::Borrowed(event.text));
        let words = line(&words, MAX_TITLE_CHARS);
        let source = &scope.request.source;
        line(&format!("{source}: {}", if words.is_empty() { "an empty request" } else { &words }), MAX_TITLE_CHARS)
    })
}

/// Gives an alert the id of its event, or its hash. One that is word for word like an earlier one is a repeat, but not
/// where a key tells which alert it is about: it may have happened again, and a repeat only updates the open alert.
pub fn identify(alert: &mut Alert, given: Option<String>, bytes: &[u8], request: &Request) {
    let id = given.unwrap_or_else(|| match alert.key {
        Some(_) => hash(&[request.received_at.as_bytes(), b"\n", bytes].concat()),
        None => hash(bytes),
    });
    alert.event_id = match alert.status {
        Status::Trigger => id,
        // What ends an event is never a repeat of it, though a mapping may give both the same id.
        Status::Resolve => {
            alert.key.get_or_insert_with(|| id.clone());
            format!("resolve {id}")
        }
    };
}

fn hash(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes).hex())
}

/// Several lines: other control characters than line ends and tabs become spaces, and a cut is shown.
fn lines(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes);
    let mut lines = text[..end].replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), " ");
    if end < text.len() {
        lines.push('…');
    }
    lines
}

/// A time as a sender may write it; `None` where it is none, and then the time of receipt stands.
fn rfc3339(text: &str) -> Option<String> {
    time::rfc3339(text).or_else(|| time::unix(serde_json::from_str(text).ok()?)).or_else(|| time::rfc2822(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_however_it_is_written() {
        for time in ["2026-01-31T09:00:00+01:00", "1769846400", "1769846400000", "Sat, 31 Jan 2026 08:00:00 GMT"] {
            assert_eq!(rfc3339(time).as_deref(), Some("2026-01-31T08:00:00Z"), "{time}");
        }
        assert_eq!(rfc3339("yesterday"), None);
    }

    #[test]
    fn a_message_keeps_its_lines_and_a_cut_is_shown() {
        assert_eq!(lines("a\r\nb\u{0}\tc", 99), "a \nb \tc");
        assert_eq!(lines("äöü", 3), "ä…");
    }
}
