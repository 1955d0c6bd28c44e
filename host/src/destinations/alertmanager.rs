//! Alertmanager: its API v2, so that an existing Alertmanager routes, groups and silences.
//!
//! Alertmanager knows an alert by all of its labels together, and a resolve may have others than its
//! trigger. So a resolve first asks for all open alerts of its source and key, and ends each by its
//! labels. Where the question is refused, it ends what carries its own labels.
//! Alertmanager resolves an alert by itself at its `endsAt`; an alert that opens is given one so far
//! ahead as `expires` says.
//!
//! | answer | outcome |
//! |---|---|
//! | 200, any other 2xx but for a web page | accepted |
//! | 401, 402, 403, 404, redirects | blocked |
//! | 400, and any other 4xx | rejected |
//! | 408, 429, 5xx, no answer | retry |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use jiff::{SignedDuration, Timestamp};
use plugin_sdk::contract::Status;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{link, occurred_at, severity, title, write};
use crate::alert::{Alert, Outcome, Receipt};
use crate::clock::wall_ms;

const SERVICE: &str = "Alertmanager";
/// The label with the key of the alert.
const KEY: &str = "key";

/// An Alertmanager.
pub(crate) struct Alertmanager {
    endpoint: Endpoint,
    /// The address of its state.
    status: Uri,
    expires: SignedDuration,
}

impl Alertmanager {
    /// Returns the Alertmanager whose web interface is at `url`.
    pub(crate) fn new(
        url: &Uri,
        token: Option<&str>,
        expires: Duration,
    ) -> Result<Self, NotUsable> {
        let api = |of: &str| -> Result<Uri, NotUsable> {
            let api = format!("{}/api/v2/{of}", url.to_string().trim_end_matches('/'));
            api.parse().map_err(|_| NotUsable::Url)
        };
        let status = api("status")?;
        let endpoint = Endpoint::new(api("alerts")?, token.as_slice());
        let endpoint = match token {
            Some(token) => endpoint.authorized("Bearer", token)?,
            None => endpoint,
        };
        let expires = SignedDuration::try_from(expires).unwrap_or(SignedDuration::MAX);
        Ok(Self {
            endpoint,
            status,
            expires,
        })
    }

    /// Returns the alert under each of these sets of labels; `now_ms` is the time of the wall.
    fn payload<L: Serialize>(&self, alert: &Alert, sets: &[L], now_ms: i64) -> Value {
        let at = not_after_receipt(alert);
        let mut one = json!({ "annotations": annotations(alert) });
        if let Some(link) = link(alert) {
            one["generatorURL"] = link.into();
        }
        match alert.event.status {
            Status::Resolve => one["endsAt"] = at.as_ref().into(),
            Status::Trigger => {
                one["startsAt"] = at.as_ref().into();
                if let Some(ends_at) = self.ends_at(alert, now_ms) {
                    one["endsAt"] = ends_at.to_string().into();
                }
            }
        }
        let with = |labels| {
            let mut one = one.clone();
            one["labels"] = json!(labels);
            one
        };
        sets.iter().map(with).collect()
    }

    /// Returns the end of an alert without a resolve. It counts from the receipt, so that a repeat is
    /// the same. Late alerts count from now on, or they would be over before they are seen.
    fn ends_at(&self, alert: &Alert, now_ms: i64) -> Option<Timestamp> {
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let received = alert.received_at.parse().unwrap_or(now);
        let is_late = now.duration_since(received) > self.expires / 2;
        let from = if is_late { now } else { received };
        from.checked_add(self.expires).ok()
    }
}

impl HttpKind for Alertmanager {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        let payload = self.payload(alert, &[labels(alert)], wall_ms());
        Ok(write(&payload, 2048))
    }

    /// A resolve asks for the open alerts of its key. The labels of a trigger may be others: those
    /// of the plugin, the severity of a group that became more urgent, the mark of a fallback.
    fn question(&self, alert: &Alert) -> Option<Request<Full<Bytes>>> {
        if alert.event.status == Status::Trigger {
            return None;
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in identity(alert) {
            query.append_pair("filter", &format!("{name}={}", quoted(value)));
        }
        let mut request = self.endpoint.post(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = format!("{}?{}", self.endpoint.url, query.finish())
            .parse()
            .ok()?;
        Some(request)
    }

    /// Ends each open alert of the key by its own labels.
    fn body_by(&self, alert: &Alert, answer: &[u8]) -> Option<Bytes> {
        #[derive(Deserialize)]
        struct Open {
            labels: BTreeMap<String, String>,
        }
        let open: Vec<Open> = serde_json::from_slice(answer).ok()?;
        let is_its_own = |labels: &BTreeMap<String, String>| {
            let mut identity = identity(alert).into_iter();
            identity.all(|(name, value)| labels.get(name).is_some_and(|found| found == value))
        };
        let sets: Vec<_> = open
            .into_iter()
            .map(|open| open.labels)
            .filter(is_its_own)
            .collect();
        (!sets.is_empty()).then(|| write(&self.payload(alert, &sets, wall_ms()), 2048))
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match answer.judged() {
            Judged::Accepted => Outcome::Accepted(Receipt::default()),
            Judged::Retry => answer.retry(SERVICE),
            Judged::Blocked => answer.blocked(
                SERVICE,
                "check the url, which is that of its web interface, and the token",
            ),
            Judged::Rejected => answer.rejected(SERVICE),
        }
    }

    /// Asks for its state.
    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        let mut request = self.endpoint.post(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.status.clone();
        Some(request)
    }
}

/// Returns the labels that a trigger and its resolve share in any case.
fn identity(alert: &Alert) -> [(&'static str, &str); 3] {
    [
        ("alertname", &alert.source),
        ("source", &alert.source),
        (KEY, alert.event.key()),
    ]
}

/// Returns a value as a matcher of Alertmanager has it.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', r"\n"))
}

/// Returns the time of the event, or of its receipt where the sender's clock is ahead. Alertmanager
/// keeps an alert open until an end in the future, and extends that to the end of its trigger.
fn not_after_receipt(alert: &Alert) -> Cow<'_, str> {
    let occurred_at = occurred_at(alert);
    let time = |text: &str| text.parse::<Timestamp>().ok();
    match (time(&occurred_at), time(&alert.received_at)) {
        (Some(occurred), Some(received)) if occurred > received => {
            Cow::Borrowed(&alert.received_at)
        }
        _ => occurred_at,
    }
}

/// Returns the labels: the host's, which no plugin can replace, then the plugin's. A name that
/// Alertmanager does not take is made one that it does.
fn labels(alert: &Alert) -> BTreeMap<String, &str> {
    let mut labels: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in &alert.event.labels {
        labels.insert(label_name(name), value);
    }
    for (name, value) in identity(alert)
        .into_iter()
        .chain([("severity", severity(alert.event.priority))])
    {
        let sent = labels.insert(name.to_owned(), value);
        if let Some(sent) = sent.filter(|_| name != KEY) {
            labels.entry(format!("exported_{name}")).or_insert(sent);
        }
    }
    // An empty label is none to Alertmanager.
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn label_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() || char == '_' {
                char
            } else {
                '_'
            }
        })
        .collect();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

fn annotations(alert: &Alert) -> BTreeMap<&str, String> {
    let mut annotations = BTreeMap::from([
        ("summary", title(alert).into_owned()),
        ("event_id", alert.event.event_id.clone()),
        ("request", alert.request.clone()),
    ]);
    if let Some(message) = &alert.event.message {
        annotations.insert("description", message.clone());
    }
    if let Some(details) = &alert.event.details {
        annotations.insert("details", details.get().to_owned());
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{alert, judged};
    use super::*;

    fn alertmanager() -> Alertmanager {
        let url = Uri::from_static("http://localhost:9093/am/");
        Alertmanager::new(&url, Some("canary-token"), Duration::from_secs(3600)).unwrap()
    }

    fn payload(alert: &Alert, now: &str) -> Value {
        let now = now.parse::<Timestamp>().unwrap().as_millisecond();
        alertmanager().payload(alert, &[labels(alert)], now)
    }

    #[test]
    fn time_of_a_sender_ahead_is_not_after_the_receipt() {
        let ahead = |status| {
            let mut alert = alert(status);
            alert.event.occurred_at = Some("2026-01-02T03:05:00Z".into());
            payload(&alert, "2026-01-02T03:04:10Z")
        };
        let opened = ahead(Status::Trigger);
        assert_eq!(opened[0]["startsAt"], "2026-01-02T03:04:06.001Z");
        assert_eq!(opened[0]["endsAt"], "2026-01-02T04:04:06.001Z");
        let resolved = ahead(Status::Resolve);
        assert_eq!(resolved[0]["endsAt"], "2026-01-02T03:04:06.001Z");
    }

    #[test]
    fn alert_delivered_late_is_open_for_its_time_from_then() {
        let opened = payload(&alert(Status::Trigger), "2026-01-02T03:40:00Z");
        assert_eq!(opened[0]["endsAt"], "2026-01-02T04:40:00Z");
    }

    #[test]
    fn resolve_asks_by_source_and_key_and_ends_what_is_open() {
        let mut resolve = alert(Status::Resolve);
        resolve.event.key = Some("a \"key\"\\\n".into());
        assert!(alertmanager().question(&alert(Status::Trigger)).is_none());
        let question = alertmanager().question(&resolve).unwrap();
        let query = question.uri().query().unwrap_or_default();
        let filters: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            filters,
            [
                "filter: alertname=\"twilio-prod\"",
                "filter: source=\"twilio-prod\"",
                r#"filter: key="a \"key\"\\\n""#
            ]
        );
        let open = |more: &str| {
            let mut labels = json!({ "alertname": "twilio-prod", "source": "twilio-prod" });
            labels["key"] = resolve.event.key().into();
            labels[more] = "x".into();
            json!({ "labels": labels, "annotations": {} })
        };
        let mut other = open("another key");
        other["labels"]["key"] = "other".into();
        let answer = json!([open("fallback_for"), open("severity"), other]).to_string();
        let body = alertmanager().body_by(&resolve, answer.as_bytes()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let ended = |number: usize| {
            let one = &body[number];
            (one["labels"].clone(), one["endsAt"].clone())
        };
        let end = json!("2026-01-02T03:04:05Z");
        let label = |more: &str| (open(more)["labels"].clone(), end.clone());
        assert_eq!(ended(0), label("fallback_for"));
        assert_eq!(ended(1), label("severity"));
        assert_eq!(body.as_array().map(Vec::len), Some(2), "{body}");
        for nothing in ["[]", "<html>", "[{}]"] {
            let body = alertmanager().body_by(&resolve, nothing.as_bytes());
            assert!(body.is_none(), "{nothing}");
        }
    }

    #[test]
    fn resolve_has_the_labels_of_its_trigger_and_an_end() {
        let opened = payload(&alert(Status::Trigger), "2026-01-02T03:10:00Z");
        let resolved = payload(&alert(Status::Resolve), "2026-01-02T03:10:00Z");
        assert_eq!(opened[0]["labels"], resolved[0]["labels"]);
        assert_eq!(
            (&opened[0]["startsAt"], &resolved[0]["endsAt"]),
            (&json!("2026-01-02T03:04:05Z"), &opened[0]["startsAt"])
        );
        assert_eq!(
            opened[0]["endsAt"], "2026-01-02T04:04:06.001Z",
            "an hour after it came in"
        );
        assert!(resolved[0].get("startsAt").is_none());
        assert_eq!(
            alertmanager().endpoint.url,
            "http://localhost:9093/am/api/v2/alerts"
        );
    }

    #[test]
    fn labels_are_names_that_alertmanager_takes() {
        let mut alert = alert(Status::Trigger);
        alert
            .event
            .labels
            .insert("http.status-code".into(), "502".into());
        alert.event.labels.insert("1st".into(), "x".into());
        alert
            .event
            .labels
            .insert("severity".into(), "its own".into());
        alert.event.labels.insert("empty".into(), String::new());
        let labels = labels(&alert);
        assert_eq!((labels["http_status_code"], labels["_1st"]), ("502", "x"));
        assert_eq!(
            (labels["severity"], labels["exported_severity"]),
            ("error", "its own")
        );
        assert!(!labels.contains_key("empty"));
    }

    #[test]
    fn every_answer_of_alertmanager_has_its_outcome() {
        for (status, expected) in [
            (200, "accepted"),
            (302, "blocked"),
            (400, "rejected"),
            (401, "blocked"),
            (404, "blocked"),
            (500, "retry"),
        ] {
            assert_eq!(
                judged(&alertmanager(), status, "canary-token").as_str(),
                expected,
                "{status}"
            );
        }
        assert!(!format!("{:?}", judged(&alertmanager(), 500, "canary-token")).contains("canary"));
    }
}
