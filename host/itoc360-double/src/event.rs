//! Reads a body as ITOC360 documents it, and no further than it takes to know the alert.

use std::borrow::Cow;

use serde::Deserialize;

use super::Format;

/// An event that ITOC360 would take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'b> {
    pub(super) fingerprint: Cow<'b, str>,
    pub(super) opens: bool,
}

/// A body that ITOC360 would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Answered 400.
    Invalid,
    /// A status that ITOC360's alertmanager reader does not know. Answered 500.
    Status,
}

pub(super) fn read(format: Format, body: &[u8]) -> Result<Event<'_>, Unreadable> {
    match format {
        Format::Alertmanager => alertmanager(body),
        Format::Zapier => zapier(body),
    }
}

fn alertmanager(body: &[u8]) -> Result<Event<'_>, Unreadable> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow)]
        alerts: [One<'a>; 1],
    }
    /// Events without a fingerprint collapse into one alert, here into that of the empty one.
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(borrow, default)]
        fingerprint: Cow<'a, str>,
    }
    let Payload {
        status,
        alerts: [One { fingerprint }],
    } = serde_json::from_slice(body).map_err(|_| Unreadable::Invalid)?;
    match &*status {
        "firing" => Ok(Event {
            fingerprint,
            opens: true,
        }),
        "resolved" => Ok(Event {
            fingerprint,
            opens: false,
        }),
        _ => Err(Unreadable::Status),
    }
}

fn zapier(body: &[u8]) -> Result<Event<'_>, Unreadable> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        title: Cow<'a, str>,
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow)]
        severity: Cow<'a, str>,
    }
    let payload: Payload<'_> = serde_json::from_slice(body).map_err(|_| Unreadable::Invalid)?;
    if !["critical", "high", "medium", "low"].contains(&&*payload.severity) {
        return Err(Unreadable::Invalid);
    }
    let fingerprint = payload.id.unwrap_or(payload.title);
    match &*payload.status {
        "trigger" => Ok(Event {
            fingerprint,
            opens: true,
        }),
        "resolve" => Ok(Event {
            fingerprint,
            opens: false,
        }),
        _ => Err(Unreadable::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fingerprint: &str, opens: bool) -> Event<'_> {
        Event {
            fingerprint: fingerprint.into(),
            opens,
        }
    }

    #[test]
    fn an_alertmanager_event_is_known_by_its_fingerprint() {
        let read = |body: &'static str| read(Format::Alertmanager, body.as_bytes());
        assert_eq!(
            read(r#"{"status":"firing","alerts":[{"fingerprint":"f"}]}"#),
            Ok(event("f", true))
        );
        assert_eq!(
            read(r#"{"status":"resolved","alerts":[{}]}"#),
            Ok(event("", false))
        );
        assert_eq!(
            read(r#"{"status":"trigger","alerts":[{"fingerprint":"f"}]}"#),
            Err(Unreadable::Status)
        );
        assert_eq!(
            read(r#"{"status":"firing","alerts":[]}"#),
            Err(Unreadable::Invalid)
        );
        assert_eq!(read("{"), Err(Unreadable::Invalid));
    }

    #[test]
    fn a_zapier_event_is_known_by_its_id_or_else_its_title() {
        let read = |body: &'static str| read(Format::Zapier, body.as_bytes());
        let trigger = r#"{"id":"i","title":"t","status":"trigger","severity":"high"}"#;
        assert_eq!(read(trigger), Ok(event("i", true)));
        assert_eq!(
            read(r#"{"title":"t","status":"resolve","severity":"low"}"#),
            Ok(event("t", false))
        );
        assert_eq!(
            read(r#"{"title":"t","status":"firing","severity":"low"}"#),
            Err(Unreadable::Invalid)
        );
        assert_eq!(
            read(r#"{"title":"t","status":"trigger","severity":"error"}"#),
            Err(Unreadable::Invalid)
        );
        assert_eq!(
            read(r#"{"status":"trigger","severity":"low"}"#),
            Err(Unreadable::Invalid)
        );
    }
}
