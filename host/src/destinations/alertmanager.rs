//! Alertmanager: its API v2, so that an existing Alertmanager routes, groups and silences.
//!
//! Alertmanager knows an alert by all of its labels together, so a resolve closes what carries the
//! same labels and priority. It resolves an alert by itself at its `endsAt`; an alert that opens is
//! given one so far ahead as `expires` says.
//!
//! | answer | outcome |
//! |---|---|
//! | 200 | accepted |
//! | 401, 402, 403, 404, redirects | blocked |
//! | 400, and any other 4xx | rejected |
//! | 408, 429, 5xx, no answer | retry |

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use jiff::{SignedDuration, Timestamp};
use plugin_sdk::contract::Status;
use serde_json::{Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{link, occurred_at, severity, title, write};
use crate::alert::{Alert, Outcome, Receipt};

const SERVICE: &str = "Alertmanager";

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

    fn payload(&self, alert: &Alert) -> Value {
        let occurred_at = occurred_at(alert);
        let mut one = json!({ "labels": labels(alert), "annotations": annotations(alert) });
        if let Some(link) = link(alert) {
            one["generatorURL"] = link.into();
        }
        match alert.event.status {
            Status::Resolve => one["endsAt"] = occurred_at.as_ref().into(),
            Status::Trigger => {
                one["startsAt"] = occurred_at.as_ref().into();
                let latest = [&*occurred_at, &*alert.received_at]
                    .into_iter()
                    .filter_map(|at| at.parse::<Timestamp>().ok());
                let ends_at = latest
                    .max()
                    .and_then(|latest| latest.checked_add(self.expires).ok());
                if let Some(ends_at) = ends_at {
                    one["endsAt"] = ends_at.to_string().into();
                }
            }
        }
        json!([one])
    }
}

impl HttpKind for Alertmanager {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        Ok(write(&self.payload(alert), 2048))
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

/// Returns the labels: the host's, which no plugin can replace, then the plugin's. A name that
/// Alertmanager does not take is made one that it does.
fn labels(alert: &Alert) -> BTreeMap<String, &str> {
    let mut labels: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in &alert.event.labels {
        labels.insert(label_name(name), value);
    }
    let fingerprint = [("alertname", &*alert.source), ("source", &alert.source)];
    for (name, value) in fingerprint
        .into_iter()
        .chain([("severity", severity(alert.event.priority))])
    {
        if let Some(sent) = labels.insert(name.to_owned(), value) {
            labels.entry(format!("exported_{name}")).or_insert(sent);
        }
    }
    labels.insert("key".to_owned(), alert.event.key());
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

    #[test]
    fn resolve_has_the_labels_of_its_trigger_and_an_end() {
        let opened = alertmanager().payload(&alert(Status::Trigger));
        let resolved = alertmanager().payload(&alert(Status::Resolve));
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
