//! The words of an alert that every kind of destination needs: title, link, time, and a bounded
//! excerpt.

use std::borrow::Cow;

use hyper::body::Bytes;
use jiff::Timestamp;
use plugin_sdk::contract::{Priority, Status};
use serde::Serialize;

use crate::alert::Alert;

/// Writes `payload` as JSON, into one allocation where `expected_len` bytes suffice.
pub(super) fn write(payload: &impl Serialize, expected_len: usize) -> Bytes {
    let mut body = Vec::with_capacity(expected_len);
    serde_json::to_writer(&mut body, payload)
        .expect("strings under string keys, written to memory, always serialise");
    body.into()
}

/// Returns the title, or a line made of what every alert has: most services reject an alert without
/// one.
pub(super) fn title(alert: &Alert) -> Cow<'_, str> {
    if alert.event.title.trim().is_empty() {
        Cow::Owned(format!(
            "Event {} from {}",
            alert.event.event_id, alert.source
        ))
    } else {
        Cow::Borrowed(&alert.event.title)
    }
}

/// Returns the title as a heading for people: a resolve says that it is one.
pub(super) fn heading(alert: &Alert) -> Cow<'_, str> {
    match alert.event.status {
        Status::Trigger => title(alert),
        Status::Resolve => Cow::Owned(format!("Resolved: {}", title(alert))),
    }
}

/// Returns the link, where it is one that a responder can safely click.
pub(super) fn link(alert: &Alert) -> Option<&str> {
    let link = alert.event.link.as_deref()?;
    (link.starts_with("https://") || link.starts_with("http://")).then_some(link)
}

/// Returns the time of the event as `YYYY-MM-DDTHH:MM:SSZ`: the plugin's, or the time of receipt
/// where that is absent, not RFC 3339, or before 1970 (Alertmanager's own "no time" is the year 1).
pub(super) fn occurred_at(alert: &Alert) -> Cow<'_, str> {
    let seconds = |text: &str| {
        text.parse::<Timestamp>()
            .ok()
            .map(Timestamp::as_second)
            .filter(|&second| second > 0)
    };
    alert
        .event
        .occurred_at
        .as_deref()
        .and_then(seconds)
        .or_else(|| seconds(&alert.received_at))
        .and_then(|second| Timestamp::from_second(second).ok())
        .map_or(Cow::Borrowed(&*alert.received_at), |at| {
            Cow::Owned(at.to_string())
        })
}

/// Returns the word for a priority.
pub(super) fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
    }
}

/// Returns the severity that Alertmanager's and PagerDuty's worlds share.
pub(super) fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::High => "error",
        Priority::Medium => "warning",
        Priority::Low => "info",
    }
}

/// Returns the first `max` characters, the last of them an ellipsis where more were cut off.
pub(super) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(
            text.chars()
                .take(max.saturating_sub(1))
                .chain(['…'])
                .collect(),
        ),
    }
}

/// Returns labels and facts for people, each as a name and a value.
pub(super) fn facts(alert: &Alert) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let own = [
        ("Priority", Cow::Borrowed(priority(alert.event.priority))),
        ("Source", Cow::Borrowed(&*alert.source)),
        ("Occurred at", occurred_at(alert)),
    ];
    let labels = alert
        .event
        .labels
        .iter()
        .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)));
    own.into_iter()
        .map(|(name, value)| (Cow::Borrowed(name), value))
        .chain(labels)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_characters_and_says_so() {
        assert_eq!(
            (&*cut("über", 4), &*cut("über", 3), &*cut("", 0)),
            ("über", "üb…", "")
        );
    }
}
