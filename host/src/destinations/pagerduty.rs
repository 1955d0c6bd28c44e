//! PagerDuty: Events API v2. `dedup_key` is the alert's fingerprint, so a repeat updates the open
//! incident.
//!
//! | answer | outcome |
//! |---|---|
//! | 202, any other 2xx but for a web page | accepted; its `dedup_key` is the receipt |
//! | 400 that names the routing key, 401, 402, 403, 404, redirects | blocked |
//! | any other 400, 413, and any other 4xx | rejected |
//! | 408, 429, 5xx, no answer | retry |

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};
use plugin_sdk::contract::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::words::{cut, link, occurred_at, severity, title, write};
use crate::alert::{Alert, Outcome, Receipt};

const SERVICE: &str = "PagerDuty";
/// PagerDuty's limits: the summary in characters, and the details, of an event's 512 KB, in bytes.
const SUMMARY_MAX: usize = 1024;
const DETAILS_MAX: usize = 256 * 1024;
const MESSAGE_MAX: usize = 16 * 1024;
const LABELS_MAX: usize = 50;
const LABEL_MAX: usize = 500;

/// A key that no alert has: a fingerprint is hexadecimal.
const NEVER_OPENED: &str = "alert-gateway-check";

/// A service of PagerDuty.
pub(crate) struct PagerDuty {
    endpoint: Endpoint,
    routing_key: String,
}

impl PagerDuty {
    pub(crate) fn new(url: Uri, routing_key: &str) -> Self {
        Self {
            endpoint: Endpoint::new(url, &[routing_key]),
            routing_key: routing_key.to_owned(),
        }
    }

    fn payload(&self, alert: &Alert) -> Value {
        let fingerprint = alert.fingerprint();
        if alert.event.status == Status::Resolve {
            return json!({
                "routing_key": self.routing_key, "event_action": "resolve", "dedup_key": fingerprint,
            });
        }
        let links: Vec<_> = link(alert)
            .map(|href| json!({ "href": href, "text": "Open" }))
            .into_iter()
            .collect();
        json!({
            "routing_key": self.routing_key,
            "event_action": "trigger",
            "dedup_key": fingerprint,
            "client": "alert-gateway",
            "payload": {
                "summary": cut(&title(alert), SUMMARY_MAX),
                "source": alert.source,
                "severity": severity(alert.event.priority),
                "timestamp": occurred_at(alert),
                "custom_details": details(alert),
            },
            "links": links,
        })
    }
}

impl HttpKind for PagerDuty {
    const GIVES_RECEIPTS: bool = true;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        Ok(write(&self.payload(alert), 2048))
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        const FIX: &str =
            "the routing key is wrong; copy the integration key of Events API v2 from the service";
        match (answer.judged(), answer.status.as_u16()) {
            (Judged::Accepted, _) => Outcome::Accepted(receipt(answer)),
            (Judged::Retry, _) => answer.retry(SERVICE),
            (Judged::Blocked, _) => answer.blocked(SERVICE, FIX),
            (Judged::Rejected, 400)
                if answer.contains("outing key") || answer.contains("routing_key") =>
            {
                answer.blocked(SERVICE, FIX)
            }
            (Judged::Rejected, _) => answer.rejected(SERVICE),
        }
    }

    /// Resolves what was never opened, which PagerDuty drops.
    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        let resolve = json!({
            "routing_key": self.routing_key, "event_action": "resolve", "dedup_key": NEVER_OPENED,
        });
        Some(self.endpoint.post(resolve.to_string()))
    }
}

fn receipt(answer: &Answer<'_>) -> Receipt {
    #[derive(Deserialize)]
    struct Accepted {
        dedup_key: String,
    }
    match serde_json::from_slice(answer.body) {
        Ok(Accepted { dedup_key }) => {
            let key = answer.excerpt(&dedup_key);
            Receipt {
                id: key.clone(),
                fingerprint: key,
                kind: String::new(),
            }
        }
        Err(_) => Receipt::default(),
    }
}

fn details(alert: &Alert) -> Map<String, Value> {
    let mut details = Map::new();
    for (name, value) in alert.event.labels.iter().take(LABELS_MAX) {
        details.insert(
            cut(name, LABEL_MAX).into_owned(),
            cut(value, LABEL_MAX).into(),
        );
    }
    if let Some(message) = &alert.event.message {
        details.insert("message".to_owned(), cut(message, MESSAGE_MAX).into());
    }
    details.insert("event_id".to_owned(), alert.event.event_id.clone().into());
    details.insert("request".to_owned(), alert.request.clone().into());
    if let Some(raw) = alert
        .event
        .details
        .as_deref()
        .map(RawValue::get)
        .filter(|raw| raw.len() <= DETAILS_MAX)
    {
        details.insert(
            "details".to_owned(),
            serde_json::from_str(raw).unwrap_or_else(|_| raw.into()),
        );
    }
    details
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{alert, judged, long};
    use super::*;

    fn pagerduty() -> PagerDuty {
        PagerDuty::new(
            Uri::from_static("https://events.pagerduty.com/v2/enqueue"),
            "canary-routing-key",
        )
    }

    #[test]
    fn trigger_and_resolve_share_a_dedup_key() {
        let opened = pagerduty().payload(&alert(Status::Trigger));
        let resolved = pagerduty().payload(&alert(Status::Resolve));
        assert_eq!(
            (&opened["event_action"], &resolved["event_action"]),
            (&json!("trigger"), &json!("resolve"))
        );
        assert_eq!(opened["dedup_key"], resolved["dedup_key"]);
        let payload = &opened["payload"];
        assert_eq!(
            (&payload["severity"], &payload["source"]),
            (&json!("error"), &json!("twilio-prod"))
        );
        assert_eq!(payload["custom_details"]["details"], json!({ "a": 1.5 }));
        assert_eq!(opened["links"][0]["href"], "https://example.com/NO1");
    }

    #[test]
    fn long_alert_stays_within_the_limits_of_an_event() {
        let body = pagerduty().payload(&long());
        assert_eq!(
            body["payload"]["summary"].as_str().unwrap().chars().count(),
            SUMMARY_MAX
        );
        assert!(write(&body, 0).len() < 512 * 1024);
    }

    #[test]
    fn every_answer_of_pagerduty_has_its_outcome() {
        let taken = r#"{"status":"success","message":"Event processed","dedup_key":"f7d5"}"#;
        let wrong = r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#;
        let invalid = r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'summary'"]}"#;
        for (status, body, expected) in [
            (202, taken, "accepted"),
            (302, "", "blocked"),
            (400, wrong, "blocked"),
            (400, invalid, "rejected"),
            (403, "", "blocked"),
            (413, "", "rejected"),
            (429, "", "retry"),
            (503, "", "retry"),
        ] {
            assert_eq!(
                judged(&pagerduty(), status, body).as_str(),
                expected,
                "{status} {body}"
            );
        }
        assert_eq!(
            judged(&pagerduty(), 202, taken).receipt().unwrap().id,
            "f7d5"
        );
        let quoted = judged(&pagerduty(), 400, "no canary-routing-key here");
        assert!(!quoted.why().unwrap().contains("canary"), "{quoted:?}");
    }
}
