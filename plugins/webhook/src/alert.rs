//! One alert of one event, however odd the event is.

use std::borrow::Cow;

use plugin_sdk::contract::{Alert, Note, NoteKind, Priority, Request, Status, Unreadable};
use plugin_sdk::signature::sha256;
use plugin_sdk::text::line;
use plugin_sdk::{body, time};
use serde_json::value::{RawValue, to_raw_value};

use crate::choice::{Choice, Word};
use crate::identity::Identity;
use crate::labels;
use crate::scope::Scope;
use crate::tree::Node;

/// Returns the bytes for the messages, links, labels and long titles of an answer of so many
/// alerts, with details of so many bytes in all. So the answer stays within the host's limit of 1
/// MiB; parts beyond it are left out.
pub fn room(alerts: usize, details: usize) -> usize {
    /// Names and punctuation, a time, an order, a short title, a key and an id: what every alert
    /// may have.
    const OF_EACH: usize = 270 + 2 * SHORT_TITLE_BYTES + IDS_BYTES;
    (1024 * 1024_usize)
        .saturating_sub(details)
        .saturating_sub(alerts * OF_EACH)
}

/// The longest key and id, and the shortest that both must be counted as: a hash may yet take the
/// place of an id.
const IDS_BYTES: usize = 2 * ("resolve ".len() + MAX_ID_BYTES);
const HASH_BYTES: usize = "resolve sha256:".len() + 64;

/// The bytes that a text takes in JSON.
fn written(text: &str) -> usize {
    let of = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of).sum()
}

/// The rest of a title where there is no room for more.
const SHORT_TITLE_BYTES: usize = 60;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// A longer key is known by its hash, and an event with a longer id by its own: the host takes no
/// more than 256 bytes, and a thousand of either must fit.
const MAX_ID_BYTES: usize = 200;

const MAX_MESSAGE_BYTES: usize = 16 * 1024;
const MAX_LINK_BYTES: usize = 2 * 1024;

/// More notes than this say nothing new of one alert.
const MAX_NOTES: usize = 16;

/// A note beside its texts.
const NOTE_BYTES: usize = "{\"kind\":\"unreadable_time\",\"field\":\"\",\"found\":\"\"},".len();

/// The priority of an unknown word: it must never rank below a known one.
const UNKNOWN_PRIORITY: Priority = Priority::Critical;

/// The likely places of the words of an undescribed sender.
const LIKELY_TITLES: [&str; 6] = [
    "/title", "/message", "/subject", "/summary", "/name", "/text",
];

/// The settings of texts that an alert may do without.
const OPTIONAL: [&str; 2] = ["link", "message"];

/// An event to make an alert of.
pub struct Event<'a, 'j> {
    /// The scope of the settings.
    pub scope: Scope<'a, 'j>,
    /// The bytes of the event.
    pub bytes: &'a [u8],
    /// The same as text.
    pub text: &'a str,
    /// All of it.
    pub details: Option<Box<RawValue>>,
    /// The reason why the body cannot be read.
    pub unreadable: Option<&'a Unreadable>,
}

/// The alert that the settings make of an event.
pub fn of<'a>(
    event: Event<'a, '_>,
    settings: &'a Node<'_>,
    identity: &Identity<'_, '_, '_>,
    room: &mut usize,
) -> Alert {
    let scope = &event.scope;
    let mut notes = Notes {
        list: Vec::new(),
        scope,
    };
    let choice = |name: &str| settings.get(name).map(Choice::new);
    scope.asked.any.set(false);
    let status =
        choice("status").map_or(Word::Absent, |choice| choice.word(scope, Status::from_word));
    let status = notes.word(NoteKind::UnknownStatus, "status", status);
    let priority = choice("priority").map_or(Word::Absent, |choice| {
        choice.word(scope, Priority::from_word)
    });
    let has_priority = !matches!(priority, Word::Absent);
    let priority = notes.word(NoteKind::UnknownPriority, "priority", priority);
    let mut priority = priority.unwrap_or(if has_priority {
        UNKNOWN_PRIORITY
    } else {
        Priority::Medium
    });
    let mut status = status.unwrap_or(Status::Trigger);
    scope.asked.places.set(false);
    let given = choice("title").and_then(|choice| choice.text(scope));
    // A title without places fits any event.
    let fits_any = !scope.asked.places.get();
    notes.missing(NoteKind::Nothing, "title");
    // Half an id would be that of many events.
    let whole = Scope {
        whole: true,
        ..*scope
    };
    let id = |name: &str| choice(name)?.text(&whole).map(Cow::into_owned);
    let key = id("key").map(|key| {
        if written(&key) <= MAX_ID_BYTES {
            key
        } else {
            hash(key.as_bytes())
        }
    });
    notes.missing(NoteKind::IncompleteKey, "key");
    let is_another = !fits_any && !scope.asked.any.get();
    if event.unreadable.is_some() || is_another {
        // What it says is not known: a default of the settings may be the end of nothing.
        priority = priority.min(Priority::High);
        status = Status::Trigger;
    }
    let event_id = id("event_id").filter(|id| written(id) <= MAX_ID_BYTES);
    notes.missing(NoteKind::IncompleteId, "event_id");
    let mut alert = Alert::new(String::new(), priority, title(&event, given));
    alert.status = status;
    alert.key = key;
    // An id becomes the key of what has none, where it resolves or stands twice in a request.
    let ids = [
        event_id.as_deref(),
        alert.key.as_deref().or(event_id.as_deref()),
    ];
    let ids: usize = ids
        .map(|id| id.map_or(0, written).max(HASH_BYTES))
        .iter()
        .sum();
    *room += IDS_BYTES.saturating_sub(ids);
    if let Some(choice) = choice("time") {
        let time = choice.word(scope, time_of);
        if time == Word::Absent {
            notes.add(NoteKind::NoTime, "time", "");
            scope.asked.missing.borrow_mut().clear();
        }
        alert.occurred_at = notes.word(NoteKind::UnreadableTime, "time", time);
    }
    if let Some(choice) = choice("order") {
        let order = choice.word(scope, |text| text.trim().parse().ok());
        alert.order = notes.word(NoteKind::UnreadableOrder, "order", order);
    }
    let mut fits = |text: &str| {
        room.checked_sub(written(text))
            .map(|left| *room = left)
            .is_some()
    };
    if alert.title.len() > SHORT_TITLE_BYTES && !fits(&alert.title) {
        alert.title.truncate(
            alert
                .title
                .floor_char_boundary(SHORT_TITLE_BYTES - '…'.len_utf8()),
        );
        alert.title.push('…');
    }
    alert.labels = labels::of(settings, scope, &mut fits);
    notes.missing(NoteKind::Nothing, "labels");
    let [link, message] = OPTIONAL.map(|name| {
        let text = choice(name).and_then(|choice| choice.text(scope).map(Cow::into_owned));
        notes.missing(NoteKind::Nothing, name);
        text
    });
    alert.link = link.filter(|link| link.len() <= MAX_LINK_BYTES && fits(link));
    let unread = || {
        event
            .unreadable
            .and_then(|why| body::unreadable::alert(scope.request, why, Priority::High).message)
    };
    alert.message = message
        .or_else(unread)
        .map(|text| lines(&text, MAX_MESSAGE_BYTES))
        .filter(|text| fits(text));
    alert.details = event.details;
    alert.unreadable = event.unreadable.cloned();
    identify(&mut alert, event_id, event.bytes, identity);
    // Of a body that cannot be read, every place holds nothing.
    let list = notes
        .list
        .into_iter()
        .filter(|_| event.unreadable.is_none())
        .filter(|note| {
            let bytes = NOTE_BYTES + written(&note.field) + written(&note.found);
            room.checked_sub(bytes).map(|left| *room = left).is_some()
        });
    alert.notes = list.collect();
    alert
}

/// The settings that tell an event, beside its title.
const TELLING: [&str; 3] = ["key", "status", "priority"];

/// Returns whether an event fits the settings: whether any of their places in it holds something. A
/// title without places fits any event.
pub fn finds_anything(settings: &Node<'_>, scope: &Scope<'_, '_>) -> bool {
    let missing = scope.asked.missing.take();
    let read = |name: &str| {
        let choice = settings.get(name).map(Choice::new);
        drop(choice.map(|choice| choice.text(scope)));
    };
    scope.asked.any.set(false);
    scope.asked.places.set(false);
    read("title");
    let fits_any = !scope.asked.places.get();
    let finds = fits_any
        || scope.asked.any.get()
        || TELLING.iter().any(|name| {
            read(name);
            scope.asked.any.get()
        });
    scope.asked.missing.replace(missing);
    finds
}

/// Notes for the operator about how an alert was made.
struct Notes<'s, 'a, 'j> {
    list: Vec<Note>,
    scope: &'s Scope<'a, 'j>,
}

impl Notes<'_, '_, '_> {
    fn add(&mut self, kind: NoteKind, field: &str, found: &str) {
        if self.list.len() < MAX_NOTES {
            self.list.push(Note::new(kind, field, found));
        }
    }

    /// Notes the places of a field that held nothing.
    fn missing(&mut self, kind: NoteKind, field: &str) {
        for place in self.scope.asked.missing.take() {
            self.add(kind, field, &place);
        }
    }

    /// The meaning of a word, and a note where it has none.
    fn word<T>(&mut self, kind: NoteKind, field: &str, word: Word<T>) -> Option<T> {
        self.missing(NoteKind::Nothing, field);
        match word {
            Word::Known(meaning) => Some(meaning),
            Word::Absent => None,
            Word::Unknown(word, default) => {
                self.add(kind, field, &word);
                default
            }
        }
    }
}

/// One alert for the members of a list that are more than the host takes: they may be as urgent as
/// the most urgent one before them.
pub fn of_the_rest(request: &Request, body: &[u8], rest: &[Node<'_>], priority: Priority) -> Alert {
    let title = format!(
        "{}: {} more events in one request",
        request.source,
        rest.len()
    );
    let mut alert = Alert::new(format!("{}/rest", hash(body)), priority, title);
    alert.message = Some("The details hold them as they were sent.".to_owned());
    let rest: Vec<_> = rest.iter().map(Node::json).collect();
    alert.details = to_raw_value(&rest).ok();
    alert
}

/// One alert for the events left out by the sender, as it says: they may be as urgent as the most
/// urgent one that came.
pub fn of_the_left_out(request: &Request, count: u64, priority: Priority) -> Alert {
    let key = format!("left-out/{}", request.source);
    let noun = if count == 1 {
        "1 event is".to_owned()
    } else {
        format!("{count} events are")
    };
    let id = hash(&[request.received_at.as_bytes(), b"\n", &request.body.bytes()].concat());
    Alert {
        key: Some(key),
        message: Some(
            "The sender left them out of a request. Look there for what they are.".to_owned(),
        ),
        ..Alert::new(
            format!("left-out {id}"),
            priority,
            format!("{}: {noun} missing", request.source),
        )
    }
}

/// The title by the settings, or else the best words of the event.
fn title(event: &Event<'_, '_>, given: Option<Cow<'_, str>>) -> String {
    let scope = &event.scope;
    let given = given.map(|text| line(&text, MAX_TITLE_CHARS));
    let source = &scope.request.source;
    if let Some(unreadable) = event.unreadable {
        return match given.filter(|title| !title.is_empty()) {
            Some(title) => line(
                &format!("{title} (could not be read: {unreadable})"),
                MAX_TITLE_CHARS,
            ),
            None => body::unreadable::alert(scope.request, unreadable, Priority::High).title,
        };
    }
    given.filter(|title| !title.is_empty()).unwrap_or_else(|| {
        let missing = scope.asked.missing.take();
        let likely = || {
            LIKELY_TITLES
                .iter()
                .find_map(|place| scope.text(Cow::Borrowed(place)))
        };
        let words = likely().unwrap_or(Cow::Borrowed(event.text));
        scope.asked.missing.replace(missing);
        let words = line(&words, MAX_TITLE_CHARS);
        line(
            &format!(
                "{source}: {}",
                if words.is_empty() {
                    "an empty request"
                } else {
                    &words
                }
            ),
            MAX_TITLE_CHARS,
        )
    })
}

/// Gives an alert the id of its mapping, or one of its own.
pub fn identify(
    alert: &mut Alert,
    given: Option<String>,
    bytes: &[u8],
    identity: &Identity<'_, '_, '_>,
) {
    let id = given.unwrap_or_else(|| identity.of(alert, bytes));
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

/// Several lines: other control characters than line ends and tabs become spaces, and a cut is
/// shown.
fn lines(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes);
    let mut lines = text[..end].replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), " ");
    if end < text.len() {
        lines.push('…');
    }
    lines
}

/// A time as a sender may write it; `None` where it is none, and then the time of receipt stands.
fn time_of(text: &str) -> Option<String> {
    time::any(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_however_it_is_written() {
        for time in [
            "2026-01-31T09:00:00+01:00",
            "1769846400",
            "1769846400000",
            "Sat, 31 Jan 2026 08:00:00 GMT",
        ] {
            assert_eq!(
                time_of(time).as_deref(),
                Some("2026-01-31T08:00:00Z"),
                "{time}"
            );
        }
        assert_eq!(time_of("yesterday"), None);
    }

    #[test]
    fn a_message_keeps_its_lines_and_a_cut_is_shown() {
        assert_eq!(lines("a\r\nb\u{0}\tc", 99), "a \nb \tc");
        assert_eq!(lines("äöü", 3), "ä…");
    }
}
