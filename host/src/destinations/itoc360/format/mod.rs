//! The two payloads that ITOC360 reads. Which of them a token accepts is decided by the type of the source that was
//! created in ITOC360, so the operator names it in the configuration.
//!
//! Both are one alert a request, because ITOC360 documents no batch. What is documented is the structure, the words for
//! status and severity, where the title comes from, and that the fingerprint (or id) groups events. Two things are
//! guesses: that ITOC360 shows *all* annotations of an `alertmanager` event to the responder, and that it keeps keys of
//! a `zapier` event beyond the documented ones. Neither carries anything that opening or closing an alert depends on.

mod alertmanager;
#[cfg(test)]
mod tests;
mod zapier;

use std::borrow::Cow;

use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::alert::Alert;
pub use crate::config::Format;

/// The body that tells ITOC360 of `alert`. The same alert always gives the same bytes.
pub fn body(format: Format, alert: &Alert) -> Bytes {
    match format {
        Format::Alertmanager => alertmanager::body(alert),
        Format::Zapier => zapier::body(alert),
    }
}

/// Writes `payload` as JSON, into one allocation where `expected_len` bytes suffice.
fn write(payload: &impl Serialize, expected_len: usize) -> Bytes {
    let mut body = Vec::with_capacity(expected_len);
    serde_json::to_writer(&mut body, payload).expect("strings under string keys, written to memory, always serialise");
    body.into()
}

/// The title, or a line made of what every alert has: ITOC360 refuses an event without one.
fn title(alert: &Alert) -> Cow<'_, str> {
    if alert.event.title.trim().is_empty() {
        Cow::Owned(format!("Event {} from {}", alert.event.event_id, alert.source))
    } else {
        Cow::Borrowed(&alert.event.title)
    }
}

/// The link, where it is one that a responder can safely click.
fn link(alert: &Alert) -> Option<&str> {
    let link = alert.event.link.as_deref()?;
    (link.starts_with("https://") || link.starts_with("http://")).then_some(link)
}

/// When it happened, as `YYYY-MM-DDTHH:MM:SSZ`: the plugin's word, or the time of receipt where that is absent, not RFC
/// 3339, or before 1970 (Alertmanager's own "no time" is the year 1).
fn occurred_at(alert: &Alert) -> Cow<'_, str> {
    let seconds = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_second).filter(|&second| second > 0);
    alert
        .event
        .occurred_at
        .as_deref()
        .and_then(seconds)
        .or_else(|| seconds(&alert.received_at))
        .and_then(|second| Timestamp::from_second(second).ok())
        .map_or(Cow::Borrowed(&*alert.received_at), |at| Cow::Owned(at.to_string()))
}
