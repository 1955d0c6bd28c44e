//! Alertmanager's webhook, version 4, with one alert in it: what ITOC360's own SDKs send.

use hyper::body::Bytes;
use plugin_sdk::contract::{Priority, Status};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::alert::Alert;
use crate::destinations::words::{link, occurred_at, title, write};

/// The keys and words of a payload, without what the alert fills in: measured once, to allocate
/// once.
const FRAME_LEN: usize = 1024;

pub(super) fn body(alert: &Alert) -> Bytes {
    let status = match alert.event.status {
        Status::Trigger => "firing",
        Status::Resolve => "resolved",
    };
    let title = title(alert);
    let occurred_at = occurred_at(alert);
    let fingerprint = alert.fingerprint();
    let labels = raw(&Labels {
        alert,
        severity: severity(alert.event.priority),
    });
    let annotations = raw(&Annotations {
        summary: &title,
        description: alert.event.message.as_deref(),
        link: link(alert),
        event_id: &alert.event.event_id,
        request: &alert.request,
        received_at: &alert.received_at,
        details: alert.event.details.as_deref().map(|details| details.get()),
    });
    let payload = Payload {
        receiver: "alert-gateway",
        status,
        alerts: [One {
            status,
            labels: &labels,
            annotations: &annotations,
            starts_at: &occurred_at,
            ends_at: (alert.event.status == Status::Resolve).then_some(&*occurred_at),
            fingerprint: &fingerprint,
            generator_url: link(alert),
        }],
        group_labels: GroupLabels {
            fingerprint: &fingerprint,
        },
        common_labels: &labels,
        common_annotations: &annotations,
        version: "4",
        group_key: &format!("{{}}:{{fingerprint=\"{fingerprint}\"}}"),
    };
    let twice = labels.get().len() + annotations.get().len();
    write(&payload, FRAME_LEN + 2 * twice)
}

/// Writes a part that stands in the payload twice, so that its strings are escaped once.
fn raw(part: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(part)
        .expect("strings under string keys, written to memory, always serialise")
}

/// ITOC360 reads these four words, and gives no priority to any other.
fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::High => "error",
        Priority::Medium => "warning",
        Priority::Low => "info",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    receiver: &'a str,
    status: &'a str,
    alerts: [One<'a>; 1],
    group_labels: GroupLabels<'a>,
    common_labels: &'a RawValue,
    common_annotations: &'a RawValue,
    version: &'a str,
    group_key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    status: &'a str,
    labels: &'a RawValue,
    annotations: &'a RawValue,
    starts_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<&'a str>,
    fingerprint: &'a str,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'a str>,
}

#[derive(Serialize)]
struct GroupLabels<'a> {
    fingerprint: &'a str,
}

/// Annotations are strings, so the details travel as JSON text.
#[derive(Serialize)]
struct Annotations<'a> {
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    event_id: &'a str,
    request: &'a str,
    received_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
}

/// The host's labels, then the plugin's. The host's win, so that no plugin passes for another
/// source; a label of the same name goes out as `exported_<name>`, as Prometheus has it, so that
/// rules can match it.
struct Labels<'a> {
    alert: &'a Alert,
    severity: &'static str,
}

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Alertmanager's `alertname` names the rule, not the event: a title would be a label
        // without bounds.
        let own = [
            ("alertname", &*self.alert.source),
            ("severity", self.severity),
            ("source", &self.alert.source),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in own {
            map.serialize_entry(name, value)?;
        }
        let labels = &self.alert.event.labels;
        for (name, value) in labels {
            if !own.iter().any(|(taken, _)| taken == name) {
                map.serialize_entry(name, value)?;
                continue;
            }
            let exported = format!("exported_{name}");
            if !labels.contains_key(&exported) {
                map.serialize_entry(&exported, value)?;
            }
        }
        map.end()
    }
}
