//! The contents of an open group, and the alert that tells them.
//!
//! A [`Tally`] is bounded however many events join, because it is read and written with each of
//! them. The events themselves are in the store, whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use plugin_sdk::contract::{Alert, MAX_KEY_BYTES, Priority, Status};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use super::shown_time;

/// The number of labels whose values a tally counts.
const MOST_LABELS: usize = 16;
/// The number of values of a label that it counts one by one; all others are counted together.
const MOST_VALUES: usize = 16;
/// The number of values of a label that an alert shows.
const SHOWN_VALUES: usize = 8;
/// The longest value that it keeps, in bytes.
const LONGEST_VALUE: usize = 64;
/// The longest title that it keeps, in bytes.
const LONGEST_TITLE: usize = 256;

/// The label values that the members of a group share, in the order of `by`.
pub type Shared = Vec<(String, String)>;

/// An event on its way into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The words that the group may mention.
    pub mention: Mention,
    /// Its priority.
    pub priority: Priority,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// An event, as a group mentions it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Its event id.
    pub event_id: String,
    /// The time when its request was received: RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// Its title.
    pub title: String,
}

/// The events of an open group, summed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The number of events that have joined.
    pub count: u64,
    /// The first of them.
    pub first: Mention,
    /// The newest of them.
    pub last: Mention,
    /// The highest priority of them.
    pub priority: Priority,
    /// The values of their labels, with the number of events of each.
    labels: BTreeMap<String, Values>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Values {
    counts: BTreeMap<String, u64>,
    #[serde(default)]
    others: u64,
}

/// The reason of an alert about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase<'a> {
    /// The group opens, or has news.
    Open,
    /// The group has been quiet for this long.
    Quiet(Duration),
    /// The rate of the source has been below the threshold for this long.
    Calm(Duration),
    /// The sender has resolved every key of the group.
    Resolved,
    /// An operator has ended it; the sentence that says so.
    Operator(&'a str),
}

/// The details of a group's alert.
#[derive(Debug, Serialize)]
struct Details<'a> {
    group: BTreeMap<&'a str, &'a str>,
    events: u64,
    per_minute: f64,
    first: &'a Mention,
    last: &'a Mention,
    labels: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
}

/// Returns the label values by which an alert is grouped. A label that the alert does not have is
/// empty.
pub fn shared(by: &[String], alert: &Alert) -> Shared {
    let value = |name: &String| alert.labels.get(name).cloned().unwrap_or_default();
    by.iter().map(|name| (name.clone(), value(name))).collect()
}

/// Returns the key of a group at its destination: `group/error_code=30006`.
pub fn key(shared: &Shared) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let mut key = "group".to_owned();
    for (name, value) in shared {
        // Encoded, so that no value can look like two.
        let _ = write!(key, "/{}={}", encoded(name), encoded(value));
    }
    if key.len() <= MAX_KEY_BYTES {
        key
    } else {
        format!("group/{}", hex(&key))
    }
}

impl Member {
    /// Takes from an event what a group may say of it.
    pub fn of(event: &Alert, received_at: &str) -> Self {
        Self {
            mention: Mention {
                event_id: event.event_id.clone(),
                received_at: received_at.to_owned(),
                title: cut(&event.title, LONGEST_TITLE).to_owned(),
            },
            priority: event.priority,
            labels: event.labels.clone(),
        }
    }
}

impl Tally {
    /// Begins with the first event.
    pub fn new(member: &Member) -> Self {
        let mut tally = Self {
            count: 0,
            first: member.mention.clone(),
            last: member.mention.clone(),
            priority: member.priority,
            labels: BTreeMap::new(),
        };
        tally.add(member);
        tally
    }

    /// Counts an event.
    pub fn add(&mut self, member: &Member) {
        self.count += 1;
        self.last = member.mention.clone();
        // The most urgent one is the least.
        self.priority = self.priority.min(member.priority);
        for (name, value) in &member.labels {
            if self.labels.len() < MOST_LABELS || self.labels.contains_key(name) {
                self.labels.entry(name.clone()).or_default().add(value);
            }
        }
    }

    /// Returns the alert that a destination is sent about the group; `minutes` is the time for
    /// which it has been open. It has no event id yet.
    pub fn alert(&self, shared: &Shared, phase: Phase<'_>, minutes: f64) -> Alert {
        let mut alert = Alert::new("", self.priority, self.title(shared));
        alert.key = Some(key(shared));
        alert.labels = shared
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .cloned()
            .collect();
        alert.occurred_at = Some(self.last.received_at.clone());
        alert.message = Some(self.message(phase));
        if phase != Phase::Open {
            alert.status = Status::Resolve;
        }
        alert.details = self.details(shared, minutes);
        alert
    }

    /// Returns the most frequent values of its labels, each with its number of events, but for what
    /// all of them share.
    pub fn frequent(&self, shared: &Shared, most: usize) -> Vec<(String, String, u64)> {
        let labels = self.labels.iter();
        let labels = labels.filter(|(label, _)| shared.iter().all(|(name, _)| name != *label));
        let values = labels.flat_map(|(label, values)| {
            let counts = values.counts.iter();
            counts.map(move |(value, count)| (label.clone(), value.clone(), *count))
        });
        let mut values: Vec<_> = values.collect();
        values.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        values.truncate(most);
        values
    }

    fn message(&self, phase: Phase<'_>) -> String {
        let span = format!(
            "{} from {} to {}",
            events(self.count),
            self.first.received_at,
            self.last.received_at
        );
        match phase {
            Phase::Open => format!(
                "{span}. The newest is {}: {}",
                self.last.event_id, self.last.title
            ),
            Phase::Quiet(time) => format!(
                "Resolved by the gateway: no event of this group for {}. It had {span}.",
                shown_time(time)
            ),
            Phase::Calm(time) => format!(
                "Resolved by the gateway: the rate of the source has been normal for {}, and its \
                 events are alerts of their own again. The group had {span}.",
                shown_time(time)
            ),
            Phase::Resolved => {
                format!("Resolved: the sender has resolved every key of this group. It had {span}.")
            }
            Phase::Operator(said) => format!("{said}. The group had {span}."),
        }
    }

    fn title(&self, shared: &Shared) -> String {
        let by: Vec<_> = shared
            .iter()
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect();
        let by = if by.is_empty() {
            String::new()
        } else {
            format!(" with {}", by.join(", "))
        };
        format!("{}{by}: {}", events(self.count), self.last.title)
    }

    fn details(&self, shared: &Shared, minutes: f64) -> Option<Box<RawValue>> {
        let others = self
            .labels
            .iter()
            .filter(|(name, _)| !shared.iter().any(|(shared, _)| shared == *name));
        to_raw_value(&Details {
            group: shared
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            events: self.count,
            per_minute: (self.count as f64 / minutes.max(1.0) * 100.0).round() / 100.0,
            first: &self.first,
            last: &self.last,
            labels: others
                .map(|(name, values)| (name.as_str(), values.top()))
                .collect(),
        })
        .ok()
    }
}

impl Values {
    /// Counts a value. A new one takes the place of one that came once, so that those that come
    /// often are found whenever they begin.
    fn add(&mut self, value: &str) {
        let value = cut(value, LONGEST_VALUE);
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
            return;
        }
        if self.counts.len() >= MOST_VALUES {
            self.others += 1;
            let single = self.counts.iter().find(|(_, count)| **count == 1);
            let Some(single) = single.map(|(value, _)| value.clone()) else {
                return;
            };
            self.counts.remove(&single);
        }
        self.counts.insert(value.to_owned(), 1);
    }

    /// Returns the most frequent values, and the number of events with any other.
    fn top(&self) -> BTreeMap<&str, u64> {
        let mut values: Vec<_> = self.counts.iter().collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let rest: u64 = values.iter().skip(SHOWN_VALUES).map(|(_, n)| **n).sum();
        let top = values.into_iter().take(SHOWN_VALUES);
        let mut top: BTreeMap<&str, u64> =
            top.map(|(value, count)| (value.as_str(), *count)).collect();
        if self.others + rest > 0 {
            top.insert("(others)", self.others + rest);
        }
        top
    }
}

fn events(count: u64) -> String {
    if count == 1 {
        "1 event".to_owned()
    } else {
        format!("{count} events")
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() {
        "(none)"
    } else {
        cut(value, LONGEST_VALUE)
    }
}

/// Returns the text up to so many bytes, at a character's end.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32, priority: Priority) -> Alert {
        let title = format!("Message {number} was filtered");
        let mut alert = Alert::new(format!("e{number}"), priority, title);
        alert
            .labels
            .insert("error_code".to_owned(), "30006".to_owned());
        alert.labels.insert("to".to_owned(), format!("n{number}"));
        alert
    }

    fn by(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn alert_says_what_and_how_many() {
        let at = "2026-11-28T10:05:00.000Z";
        let mut tally = Tally::new(&Member::of(
            &event(1, Priority::Low),
            "2026-11-28T10:00:00.000Z",
        ));
        for number in 2..=12 {
            let priority = if number == 5 {
                Priority::High
            } else {
                Priority::Medium
            };
            tally.add(&Member::of(&event(number, priority), at));
        }
        let shared = shared(&by(&["error_code", "team"]), &event(1, Priority::Low));
        let alert = tally.alert(&shared, Phase::Open, 6.0);
        assert_eq!(
            alert.title,
            "12 events with error_code 30006, team (none): Message 12 was filtered"
        );
        assert_eq!(alert.key(), "group/error_code=30006/team=");
        assert_eq!(
            (alert.priority, alert.status),
            (Priority::High, Status::Trigger)
        );
        let details: serde_json::Value =
            serde_json::from_str(alert.details.unwrap().get()).unwrap();
        assert_eq!(
            (&details["events"], &details["per_minute"]),
            (&12.into(), &2.0.into())
        );
        assert_eq!(details["first"]["event_id"], "e1");
        assert_eq!(details["first"]["received_at"], "2026-11-28T10:00:00.000Z");
        assert_eq!(details["last"]["event_id"], "e12");
        assert_eq!(details["labels"]["to"]["(others)"], 4);
        assert!(
            details["labels"].get("error_code").is_none(),
            "what all share is said once"
        );
        let quiet = tally.alert(&shared, Phase::Quiet(Duration::from_secs(1800)), 40.0);
        assert_eq!(
            (quiet.status, quiet.key()),
            (Status::Resolve, "group/error_code=30006/team=")
        );
        assert!(
            quiet
                .message
                .unwrap()
                .starts_with("Resolved by the gateway: no event of this group for 30m")
        );
    }

    #[test]
    fn frequent_value_is_found_whenever_it_begins() {
        let mut tally = Tally::new(&Member::of(&event(0, Priority::Low), "t"));
        for number in 1..100 {
            tally.add(&Member::of(&event(number, Priority::Low), "t"));
        }
        for _ in 0..7 {
            tally.add(&Member::of(&event(1000, Priority::Low), "t"));
        }
        let details = tally.alert(&Vec::new(), Phase::Open, 1.0).details.unwrap();
        let details: serde_json::Value = serde_json::from_str(details.get()).unwrap();
        assert_eq!(details["labels"]["to"]["n1000"], 7);
        let sum: u64 = details["labels"]["to"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum();
        assert_eq!(sum, 107, "each event is counted once");
    }

    #[test]
    fn keys_of_different_values_differ() {
        let of = |values: [&str; 2]| {
            let names = ["a".to_owned(), "b".to_owned()];
            key(&names.into_iter().zip(values.map(str::to_owned)).collect())
        };
        let keys = [
            ["1/b=2", ""],
            ["1", "2"],
            ["1/b", "=2"],
            ["", "1/b=2"],
            ["1%2Fb", "2"],
        ]
        .map(of);
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{key}");
        }
        assert!(of([&"x".repeat(2000), ""]).len() <= MAX_KEY_BYTES);
        assert_ne!(of([&"x".repeat(2000), ""]), of([&"x".repeat(2001), ""]));
    }

    #[test]
    fn tally_stays_small_however_many_join() {
        let mut tally = Tally::new(&Member::of(&event(0, Priority::Low), "t"));
        for number in 0..2_000 {
            let mut event = event(number, Priority::Low);
            for label in 0..40 {
                event.labels.insert(
                    format!("label{label}"),
                    format!("{number}{}", "x".repeat(4000)),
                );
            }
            event.title = "y".repeat(4000);
            tally.add(&Member::of(&event, "t"));
        }
        let json = serde_json::to_string(&tally).unwrap();
        assert!(json.len() < 32 * 1024, "{}", json.len());
        assert_eq!(serde_json::from_str::<Tally>(&json).unwrap(), tally);
    }
}
