//! Alerts and answers for the tests of every kind.

use hyper::StatusCode;
use hyper::header::HeaderMap;
use plugin_sdk::contract::{self, Priority, Status};
use serde_json::value::RawValue;

use super::http::{Answer, HttpKind};
use crate::alert::{Alert, Outcome};

/// An alert with everything that an alert can have.
pub(super) fn alert(status: Status) -> Alert {
    let mut event = contract::Alert::new("NO1", Priority::High, "11200 <HTTP> retrieval failure");
    event.status = status;
    event.message = Some("line 1\nline & 2".into());
    event.occurred_at = Some("2026-01-02T04:04:05.678+01:00".into());
    event.link = Some("https://example.com/NO1".into());
    event.labels.insert("error_code".into(), "11200".into());
    event.details = Some(RawValue::from_string(r#"{"a": 1.50}"#.into()).unwrap());
    Alert {
        source: "twilio-prod".into(),
        request: "0197".into(),
        received_at: "2026-01-02T03:04:06.001Z".into(),
        event,
    }
}

/// An alert that is longer than any service takes.
pub(super) fn long() -> Alert {
    let mut alert = alert(Status::Trigger);
    alert.event.title = "😀".repeat(100_000);
    alert.event.message = Some("<&>".repeat(100_000));
    for number in 0..100 {
        alert
            .event
            .labels
            .insert(format!("label {number}"), "😀".repeat(1000));
    }
    alert.event.details =
        Some(RawValue::from_string(format!("\"{}\"", "x".repeat(2_000_000))).unwrap());
    alert
}

/// The outcome of an answer.
pub(super) fn judged(kind: &impl HttpKind, status: u16, body: &str) -> Outcome {
    let status = StatusCode::from_u16(status).unwrap();
    let headers = HeaderMap::new();
    kind.judge(&Answer {
        status,
        headers: &headers,
        body: body.as_bytes(),
        mask: &kind.endpoint().mask,
    })
}
