//! Webhook: any HTTP endpoint, with the alert as JSON or a body of the operator's own.
//!
//! The JSON is described by a published schema, `docs/webhook-alert.schema.json`. A `body` is a
//! Jinja template over the same fields; for a JSON content type each `{{ value }}` is written as
//! JSON, quotes included, so that no sender's text can break out of it. With a `secret`, each
//! request is signed as Standard Webhooks has it; its id is that of the event, so that a receiver
//! recognises a repeat.
//!
//! | answer | outcome |
//! |---|---|
//! | a status of `success` (2xx by default) | accepted |
//! | 401, 402, 403, 404, redirects | blocked |
//! | 408, 429 with its `Retry-After`, 5xx, no answer | retry |
//! | any other | rejected |

mod template;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use plugin_sdk::contract::Status;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::template::Template;
use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{link, occurred_at, priority, title, write};
use crate::alert::{Alert, Outcome, Receipt};
use crate::clock::wall_ms;
use crate::config;

const SERVICE: &str = "the webhook";

/// A webhook of the operator's own.
pub(crate) struct Webhook {
    endpoint: Endpoint,
    config: config::Webhook,
    key: Option<Vec<u8>>,
    template: Option<Template>,
}

/// The alert as JSON, version 1; also the fields of a template.
#[derive(Serialize)]
struct Fields<'a> {
    version: u32,
    status: &'static str,
    priority: &'static str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    source: &'a str,
    key: &'a str,
    fingerprint: &'a str,
    event_id: &'a str,
    request: &'a str,
    received_at: &'a str,
    occurred_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    labels: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a RawValue>,
}

impl Webhook {
    pub(crate) fn new(config: &config::Webhook) -> Result<Self, NotUsable> {
        let mut endpoint = Endpoint::secret(config.url.expose())?;
        let values: Vec<_> = config
            .headers
            .iter()
            .map(|(_, value)| value.expose())
            .collect();
        endpoint.mask.add(values);
        let mut json = true;
        for (name, value) in &config.headers {
            let invalid = || NotUsable::Header(name.clone());
            let name = HeaderName::try_from(name).map_err(|_| invalid())?;
            let value = HeaderValue::try_from(value.expose()).map_err(|_| invalid())?;
            json &= name != CONTENT_TYPE
                || value
                    .as_bytes()
                    .windows(4)
                    .any(|word| word.eq_ignore_ascii_case(b"json"));
            endpoint = endpoint.with(name, value);
        }
        let key = config.secret.as_ref().map(|secret| {
            endpoint.mask.add([secret.expose()]);
            signing_key(secret.expose())
        });
        let template = config
            .body
            .as_deref()
            .map(|body| Template::new(body, json))
            .transpose()?;
        Ok(Self {
            endpoint,
            config: config.clone(),
            key: key.transpose()?,
            template,
        })
    }

    /// Returns what is likely a mistake in the template, each with its help.
    pub(crate) fn doubts(&self) -> Vec<(String, String)> {
        self.template
            .as_ref()
            .map(Template::doubts)
            .unwrap_or_default()
    }
}

impl HttpKind for Webhook {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        let Some(template) = &self.template else {
            return Ok(fields(alert));
        };
        template.render(alert).map(Bytes::from).map_err(|error| {
            format!("the body's template fails on this alert: {error}; fix it, and send it again")
        })
    }

    fn render(&self, alert: &Alert, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.endpoint.post(body.clone());
        *request.method_mut() = self.config.method.clone();
        if let Some(key) = &self.key {
            let id = message_id(alert);
            let at = (wall_ms() / 1000).to_string();
            let signature = signature(key, &id, &at, &body);
            for (name, value) in [
                ("webhook-id", id),
                ("webhook-timestamp", at),
                ("webhook-signature", signature),
            ] {
                if let Ok(value) = HeaderValue::try_from(value) {
                    request.headers_mut().insert(name, value);
                }
            }
        }
        request
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        // The operator's own service may well answer a page.
        let is_success = answer.status.is_success();
        let is_accepted = match &*self.config.success {
            [] => is_success,
            success => success.contains(&answer.status.as_u16()),
        };
        match answer.judged() {
            _ if is_accepted => Outcome::Accepted(Receipt::default()),
            Judged::Retry => answer.retry(SERVICE),
            Judged::Blocked if !is_success => {
                answer.blocked(SERVICE, "check the url, and the headers that authorise")
            }
            _ => answer.rejected(SERVICE),
        }
    }
}

/// Returns the alert as JSON.
fn fields(alert: &Alert) -> Bytes {
    let fields = Fields {
        version: 1,
        status: if alert.event.status == Status::Trigger {
            "trigger"
        } else {
            "resolve"
        },
        priority: priority(alert.event.priority),
        title: &title(alert),
        message: alert.event.message.as_deref(),
        source: &alert.source,
        key: alert.event.key(),
        fingerprint: &alert.fingerprint(),
        event_id: &alert.event.event_id,
        request: &alert.request,
        received_at: &alert.received_at,
        occurred_at: &occurred_at(alert),
        link: link(alert),
        labels: &alert.event.labels,
        details: alert.event.details.as_deref(),
    };
    write(&fields, 1024)
}

/// Returns the key of a Standard Webhooks secret: base64 behind `whsec_`.
fn signing_key(secret: &str) -> Result<Vec<u8>, NotUsable> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    STANDARD
        .decode(encoded)
        .ok()
        .filter(|key| key.len() >= 16)
        .ok_or(NotUsable::Secret)
}

/// Returns `v1,` and the base64 of HMAC-SHA256 over id, time and body.
fn signature(key: &[u8], id: &str, at: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Returns the id of the message: the same for each repeat of an event, and another for any other
/// event.
fn message_id(alert: &Alert) -> String {
    let digest = Sha256::digest(format!("{}\0{}", alert.source, alert.event.event_id));
    digest
        .iter()
        .take(16)
        .fold("msg_".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::super::fixture::{alert, judged};
    use super::*;
    use crate::config::Secret;

    fn config() -> config::Webhook {
        config::Webhook {
            url: Secret::new("https://hooks.example/canary-of-the-path"),
            method: Method::POST,
            headers: Vec::new(),
            body: None,
            success: Vec::new(),
            secret: None,
        }
    }

    fn text(webhook: &Webhook, alert: &Alert) -> String {
        String::from_utf8(webhook.body(alert).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn alert_as_json_fits_the_published_schema() {
        let schema = include_str!("../../../docs/webhook-alert.schema.json");
        let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let webhook = Webhook::new(&config()).unwrap();
        for status in [Status::Trigger, Status::Resolve] {
            let body: serde_json::Value =
                serde_json::from_str(&text(&webhook, &alert(status))).unwrap();
            assert!(schema.is_valid(&body), "{body}");
            let mut more = body.clone();
            more["unknown"] = true.into();
            assert!(!schema.is_valid(&more), "the schema names every field");
        }
        assert!(text(&webhook, &alert(Status::Trigger)).contains(r#""details":{"a": 1.50}"#));
    }

    #[test]
    fn template_writes_values_as_json_whatever_they_hold() {
        let body = Some(
            r#"{"text": {{ title }}, "code": {{ labels.error_code }}, "all": {{ labels }}, "n": {{ none }}}"#.into(),
        );
        let webhook = Webhook::new(&config::Webhook { body, ..config() }).unwrap();
        let mut alert = alert(Status::Trigger);
        alert.event.title = "\", \"admin\": true, \"\n".into();
        let body: serde_json::Value =
            serde_json::from_str(&text(&webhook, &alert)).unwrap_or_default();
        assert_eq!(
            (&body["text"], &body["code"]),
            (&alert.event.title.clone().into(), &"11200".into()),
            "{body}"
        );
        assert_eq!(body.get("admin"), None);
    }

    #[test]
    fn template_for_text_writes_values_as_they_are() {
        let headers = vec![("Content-Type".to_owned(), Secret::new("text/plain"))];
        let body = Some("{{ priority }}: {{ title }}".into());
        let webhook = Webhook::new(&config::Webhook {
            body,
            headers,
            ..config()
        })
        .unwrap();
        assert_eq!(
            text(&webhook, &alert(Status::Trigger)),
            "high: 11200 <HTTP> retrieval failure"
        );
        assert_eq!(
            webhook
                .render(&alert(Status::Trigger), Bytes::new())
                .headers()["content-type"],
            "text/plain"
        );
    }

    #[test]
    fn template_that_fails_on_an_alert_renders_nothing() {
        let body = Some("{ \"code\": {{ labels.absent.code }} }".into());
        let webhook = Webhook::new(&config::Webhook { body, ..config() }).unwrap();
        let why = webhook.body(&alert(Status::Trigger)).unwrap_err();
        assert!(why.contains("template fails on this alert"), "{why}");
    }

    #[test]
    fn signature_is_that_of_standard_webhooks() {
        // The vector of the specification's own libraries.
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(signing_key("whsec_short"), Err(NotUsable::Secret));
    }

    #[test]
    fn repeat_of_an_event_has_the_same_message_id() {
        let one = alert(Status::Trigger);
        let mut other = alert(Status::Trigger);
        assert_eq!(message_id(&one), message_id(&other));
        other.event.event_id = "NO2".into();
        assert_ne!(message_id(&one), message_id(&other));
    }

    #[test]
    fn success_codes_replace_the_default_ones() {
        let webhook = Webhook::new(&config()).unwrap();
        for (status, expected) in [
            (200, "accepted"),
            (204, "accepted"),
            (301, "blocked"),
            (400, "rejected"),
            (401, "blocked"),
            (409, "rejected"),
            (429, "retry"),
            (500, "retry"),
        ] {
            assert_eq!(judged(&webhook, status, "").as_str(), expected, "{status}");
        }
        let webhook = Webhook::new(&config::Webhook {
            success: vec![200, 409],
            ..config()
        })
        .unwrap();
        for (status, expected) in [
            (200, "accepted"),
            (204, "rejected"),
            (409, "accepted"),
            (500, "retry"),
        ] {
            assert_eq!(judged(&webhook, status, "").as_str(), expected, "{status}");
        }
        let quoted = judged(&webhook, 400, "no canary-of-the-path here");
        assert!(!quoted.why().unwrap().contains("canary"), "{quoted:?}");
    }

    #[test]
    fn broken_template_or_header_is_reported_at_once() {
        let broken = config::Webhook {
            body: Some("{{ title".into()),
            ..config()
        };
        assert!(matches!(Webhook::new(&broken), Err(NotUsable::Template(_))));
        let headers = vec![("X Y".to_owned(), Secret::new("v"))];
        assert!(matches!(
            Webhook::new(&config::Webhook {
                headers,
                ..config()
            }),
            Err(NotUsable::Header(_))
        ));
    }
}
