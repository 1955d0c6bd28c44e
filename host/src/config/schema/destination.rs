//! `[destinations.<name>]`: one closed table for each kind.

use serde_json::{Map, Value as Json, json};

use super::value::{closed, duration, secret, some, text, word};
use crate::config::{CONCURRENCY, FALLBACK_AFTER, ITOC360_URL, TIMEOUT, shown_duration};

/// The kinds, each with its required keys and all keys of its own.
pub(super) fn kinds() -> [(&'static str, &'static [&'static str], Json); 8] {
    let url = |default: &str| {
        text(format!(
            "The URL that alerts are posted to. Default {default}."
        ))
    };
    let secret_url = || secret("The URL that alerts are posted to, which is a credential.");
    [
        (
            "itoc360",
            &["token"],
            json!({
                "url": url(ITOC360_URL),
                "token": secret("The token of the source that was created in ITOC360."),
                "format": word(
                    "The payload that the source in ITOC360 expects. Default alertmanager.",
                    &FORMATS,
                ),
            }),
        ),
        (
            "webhook",
            &["url"],
            json!({
                "url": secret_url(),
                "method": word("Default POST.", &["POST", "PUT", "PATCH"]),
                "headers": {
                    "description": "Headers by name.",
                    "type": "object",
                    "additionalProperties": secret("The header's value."),
                },
                "body": text("A template of the body. Default: the alert as JSON."),
                "success": {
                    "description": "The statuses that accept an alert. Default any 2xx.",
                    "type": "array",
                    "minItems": 1,
                    "items": { "type": "integer", "minimum": 200, "maximum": 599 },
                },
                "secret": secret("The key of a Standard Webhooks signature."),
            }),
        ),
        ("slack", &["url"], json!({ "url": secret_url() })),
        ("teams", &["url"], json!({ "url": secret_url() })),
        (
            "pagerduty",
            &["routing_key"],
            json!({
                "url": text("The URL of the Events API v2."),
                "routing_key": secret("The integration key of the service."),
            }),
        ),
        (
            "opsgenie",
            &["api_key"],
            json!({
                "url": text("The URL that creates alerts."),
                "api_key": secret("The key of an API integration."),
            }),
        ),
        (
            "alertmanager",
            &["url"],
            json!({
                "url": text("The URL of its web interface."),
                "token": secret("A bearer token for a proxy before it."),
                "expires": duration("The time an alert stays open there without a resolve. Default 7d."),
            }),
        ),
        (
            "smtp",
            &["url", "from", "to"],
            json!({
                "url": text("The mail server, like smtps://user@mail.example.com, or smtp:// for STARTTLS."),
                "tls": word("The use of TLS with smtp://. Default starttls.", &["starttls", "off"]),
                "password": secret("The password of the user in url."),
                "from": text("The sender's address."),
                "to": some("The recipients' addresses.", text("An address.")),
            }),
        ),
    ]
}

/// The words of `format`.
pub(super) const FORMATS: [&str; 3] = ["alertmanager", "zapier", "original"];

pub(super) fn destination() -> Json {
    let each = kinds().map(|(kind, required, own)| {
        let mut properties = Map::new();
        properties.insert("kind".to_owned(), json!({ "const": kind }));
        let mut required = required.to_vec();
        required.push("kind");
        for keys in [own, common()] {
            if let Json::Object(keys) = keys {
                properties.extend(keys);
            }
        }
        closed(
            &format!("A destination of kind {kind}."),
            &required,
            properties.into(),
        )
    });
    json!({ "type": "object", "required": ["kind"], "oneOf": each })
}

/// The keys that every kind has.
fn common() -> Json {
    let timeout = format!(
        "The time one delivery may take. Default {}.",
        shown_duration(TIMEOUT)
    );
    let after = format!(
        "The time for which an alert was not taken, until it goes to the fallback. Default {}.",
        shown_duration(FALLBACK_AFTER)
    );
    json!({
        "concurrency": {
            "description": format!("The most deliveries at once. Default {CONCURRENCY}, and 4 for mail."),
            "type": "integer",
            "minimum": 1,
            "maximum": 256,
        },
        "timeout": duration(timeout),
        "egress": word("The addresses that may be reached. Default any.", &["any", "public"]),
        "proxy": secret("A proxy: http://user:password@host:port. Default HTTPS_PROXY."),
        "ca": text("The authorities that vouch for it, a file in PEM. Default the machine's."),
        "client_cert": text("The certificate by which the gateway proves itself, a file in PEM."),
        "client_key": text("The key of client_cert, a file in PEM."),
        "fallback": text("The destination that gets what this one does not take."),
        "fallback_after": duration(after),
    })
}
