//! ITOC360's vendor-neutral JSON. `id`, `title`, `status`, `severity` and `message` are documented;
//! the other keys are the alert's own, for whoever reads the event in ITOC360.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::alert::Alert;
use crate::destinations::words::{link, occurred_at, title, write};

/// The keys and words of a payload, with room for what is short.
const FRAME_LEN: usize = 1024;

pub(super) fn body(alert: &Alert) -> Bytes {
    let event = &alert.event;
    let payload = Payload {
        id: &alert.fingerprint(),
        title: &title(alert),
        status: event.status.as_str(),
        severity: event.priority.as_str(),
        message: event.message.as_deref(),
        source: &alert.source,
        event_id: &event.event_id,
        request: &alert.request,
        occurred_at: &occurred_at(alert),
        received_at: &alert.received_at,
        link: link(alert),
        labels: &event.labels,
        details: event.details.as_deref(),
    };
    let long = event.message.as_deref().map_or(0, str::len)
        + event.details.as_deref().map_or(0, |text| text.get().len());
    write(&payload, FRAME_LEN + event.title.len() + long)
}

#[derive(Serialize)]
struct Payload<'a> {
    /// The fingerprint: without it, ITOC360 groups by title.
    id: &'a str,
    title: &'a str,
    status: &'a str,
    severity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    source: &'a str,
    event_id: &'a str,
    request: &'a str,
    occurred_at: &'a str,
    received_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a RawValue>,
}
