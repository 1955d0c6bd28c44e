//! Opsgenie, and the alerts API of Jira Service Management, which takes the same requests under
//! another URL.
//!
//! The alias is the alert's fingerprint, so a repeat is counted at the open alert. A resolve closes
//! it by that alias.
//!
//! | answer | outcome |
//! |---|---|
//! | 202, any other 2xx but for a web page | accepted; its `requestId` is the receipt |
//! | 401, 402 (subscription), 403, 404, redirects | blocked |
//! | 422, and any other 4xx | rejected |
//! | 408, 429, 5xx, no answer | retry |

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};
use plugin_sdk::contract::{Priority, Status};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{cut, link, title, write};
use crate::alert::{Alert, Outcome, Receipt};

const SERVICE: &str = "Opsgenie";
/// Opsgenie's limits, in characters: the message, the description, the source, a tag, and the
/// details together.
const MESSAGE_MAX: usize = 130;
const DESCRIPTION_MAX: usize = 15_000;
const SOURCE_MAX: usize = 100;
const DETAIL_MAX: usize = 300;
const DETAILS_MAX: usize = 20;

/// An API integration of Opsgenie.
pub(crate) struct Opsgenie {
    endpoint: Endpoint,
}

impl Opsgenie {
    pub(crate) fn new(url: Uri, api_key: &str) -> Result<Self, NotUsable> {
        Ok(Self {
            endpoint: Endpoint::new(url, &[api_key]).authorized("GenieKey", api_key)?,
        })
    }

    /// Returns the URL that closes the alert of an alias, which is hexadecimal, or stands for none.
    fn close_url(&self, alias: &str) -> Uri {
        let url = self.endpoint.url.to_string();
        let close = format!(
            "{}/{alias}/close?identifierType=alias",
            url.trim_end_matches('/')
        );
        close.parse().unwrap_or_else(|_| self.endpoint.url.clone())
    }
}

impl HttpKind for Opsgenie {
    const GIVES_RECEIPTS: bool = true;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        if alert.event.status == Status::Trigger {
            return Ok(write(&payload(alert), 2048));
        }
        let note = cut(
            alert.event.message.as_deref().unwrap_or(&alert.event.title),
            DESCRIPTION_MAX,
        );
        let close = json!({ "source": cut(&alert.source, SOURCE_MAX), "user": "alert-gateway", "note": note });
        Ok(write(&close, 256))
    }

    fn render(&self, alert: &Alert, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.endpoint.post(body);
        if alert.event.status == Status::Resolve {
            *request.uri_mut() = self.close_url(&alert.fingerprint());
        }
        request
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match answer.judged() {
            Judged::Accepted => Outcome::Accepted(receipt(answer)),
            Judged::Retry => answer.retry(SERVICE),
            Judged::Blocked => answer.blocked(
                SERVICE,
                "check the API key, that its integration may create and close alerts, and the url of your region",
            ),
            Judged::Rejected => answer.rejected(SERVICE),
        }
    }

    /// Closes what was never opened, which Opsgenie drops.
    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        let mut request = self.endpoint.post("{}");
        *request.uri_mut() = self.close_url("alert-gateway-check");
        Some(request)
    }
}

fn receipt(answer: &Answer<'_>) -> Receipt {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Accepted {
        request_id: String,
    }
    let id = serde_json::from_slice(answer.body)
        .map(|Accepted { request_id }| answer.excerpt(&request_id));
    Receipt {
        id: id.unwrap_or_default(),
        ..Receipt::default()
    }
}

fn payload(alert: &Alert) -> Value {
    let priority = match alert.event.priority {
        Priority::Critical => "P1",
        Priority::High => "P2",
        Priority::Medium => "P3",
        Priority::Low => "P5",
    };
    let title = title(alert);
    let mut description = alert
        .event
        .message
        .clone()
        .unwrap_or_else(|| title.clone().into_owned());
    if let Some(link) = link(alert) {
        description = format!("{}\n{link}", cut(&description, DESCRIPTION_MAX - 2048));
    }
    let mut details = Map::new();
    for (name, value) in alert.event.labels.iter().take(DETAILS_MAX) {
        details.insert(
            cut(name, DETAIL_MAX).into_owned(),
            cut(value, DETAIL_MAX).into(),
        );
    }
    details.insert(
        "event_id".to_owned(),
        cut(&alert.event.event_id, DETAIL_MAX).into(),
    );
    details.insert("request".to_owned(), alert.request.clone().into());
    json!({
        "message": cut(&title, MESSAGE_MAX),
        "alias": alert.fingerprint(),
        "description": cut(&description, DESCRIPTION_MAX),
        "details": details,
        "source": cut(&alert.source, SOURCE_MAX),
        "entity": cut(&alert.source, SOURCE_MAX),
        "priority": priority,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{alert, judged, long};
    use super::*;

    fn opsgenie() -> Opsgenie {
        Opsgenie::new(
            Uri::from_static("https://api.opsgenie.com/v2/alerts"),
            "canary-api-key",
        )
        .unwrap()
    }

    #[test]
    fn resolve_closes_the_alias_of_the_trigger() {
        let opened = payload(&alert(Status::Trigger));
        let resolve = opsgenie().render(&alert(Status::Resolve), Bytes::new());
        let alias = opened["alias"].as_str().unwrap();
        let expected =
            format!("https://api.opsgenie.com/v2/alerts/{alias}/close?identifierType=alias");
        assert_eq!(resolve.uri().to_string(), expected);
        assert_eq!(
            (&opened["priority"], &opened["details"]["error_code"]),
            (&json!("P2"), &json!("11200"))
        );
        assert_eq!(
            opened["description"],
            "line 1\nline & 2\nhttps://example.com/NO1"
        );
        assert_eq!(
            resolve.headers()["authorization"],
            "GenieKey canary-api-key"
        );
    }

    #[test]
    fn long_alert_stays_within_the_limits_of_the_api() {
        let body = payload(&long());
        let chars = |name: &str| body[name].as_str().unwrap().chars().count();
        assert_eq!((chars("message"), chars("alias")), (MESSAGE_MAX, 32));
        assert!(chars("description") <= DESCRIPTION_MAX);
    }

    #[test]
    fn every_answer_of_opsgenie_has_its_outcome() {
        let taken = r#"{"result":"Request will be processed","took":0.3,"requestId":"43a29c5c"}"#;
        for (status, body, expected) in [
            (202, taken, "accepted"),
            (301, "", "blocked"),
            (401, "", "blocked"),
            (402, "", "blocked"),
            (403, "", "blocked"),
            (404, "", "blocked"),
            (422, "", "rejected"),
            (429, "", "retry"),
            (503, "", "retry"),
        ] {
            assert_eq!(
                judged(&opsgenie(), status, body).as_str(),
                expected,
                "{status} {body}"
            );
        }
        assert_eq!(
            judged(&opsgenie(), 202, taken).receipt().unwrap().id,
            "43a29c5c"
        );
        let quoted = judged(&opsgenie(), 403, "key canary-api-key may not");
        assert!(!quoted.why().unwrap().contains("canary"), "{quoted:?}");
    }
}
