//! Slack: an incoming webhook, with Block Kit.
//!
//! A webhook cannot change a message that stands, so a resolve is a message of its own that says
//! so. Slack answers `ok`, and gives no id: there is no receipt beyond that, and a repeat after a
//! crash is a second message.
//!
//! | answer | outcome |
//! |---|---|
//! | 200, any other 2xx but for a web page | accepted |
//! | 400 `invalid_payload`, `no_text`, 413, and any other 4xx | rejected |
//! | 401, 402, 403 `action_prohibited`, 404 `no_service`, 410 `channel_is_archived`, redirects | blocked |
//! | 408, 429 with its `Retry-After`, 5xx, no answer | retry |

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use plugin_sdk::contract::Status;
use serde_json::{Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{cut, facts, heading, link, write};
use crate::alert::{Alert, Outcome, Receipt};

const SERVICE: &str = "Slack";
/// Slack's limits, in characters: a header, a section, a field, and how many fields a section has.
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3000;
const FIELD_MAX: usize = 200;
const FIELDS_MAX: usize = 10;

/// An incoming webhook of Slack.
pub(crate) struct Slack {
    endpoint: Endpoint,
}

impl Slack {
    pub(crate) fn new(url: &str) -> Result<Self, NotUsable> {
        Ok(Self {
            endpoint: Endpoint::secret(url)?,
        })
    }
}

impl HttpKind for Slack {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        Ok(write(&body(alert), 2048))
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match (answer.judged(), answer.status.as_u16()) {
            (Judged::Accepted, _) => Outcome::Accepted(Receipt::default()),
            (Judged::Retry, _) => answer.retry(SERVICE),
            (Judged::Blocked, _) | (_, 410) => answer.blocked(
                SERVICE,
                "the webhook was removed or may not post there; make a new one in Slack",
            ),
            (Judged::Rejected, _) => answer.rejected(SERVICE),
        }
    }

    fn harmless(&self) -> Option<Request<Full<Bytes>>> {
        Some(self.endpoint.post("{}"))
    }

    /// Slack knows the webhook where it misses the text of a message alone.
    fn judge_harmless(&self, answer: &Answer<'_>) -> Outcome {
        if answer.status == StatusCode::BAD_REQUEST
            && (answer.contains("no_text") || answer.contains("invalid_payload"))
        {
            return Outcome::Accepted(Receipt::default());
        }
        self.judge(answer)
    }
}

fn body(alert: &Alert) -> Value {
    let heading = heading(alert);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&heading, HEADER_MAX), "emoji": false },
    })];
    if let Some(message) = alert
        .event
        .message
        .as_deref()
        .filter(|message| !message.trim().is_empty())
    {
        // Escaping can only make it longer.
        let text = cut(&escaped(&cut(message, SECTION_MAX)), SECTION_MAX).into_owned();
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let fields = facts(alert)
        .into_iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| {
            let text = format!(
                "*{}*\n{}",
                escaped(&cut(&name, FIELD_MAX)),
                escaped(&cut(&value, FIELD_MAX))
            );
            json!({ "type": "mrkdwn", "text": text })
        });
    blocks.push(json!({ "type": "section", "fields": fields.collect::<Vec<_>>() }));
    if let Some(link) = link(alert) {
        let text = format!("<{}|Open>", escaped(link).replace('|', "%7C"));
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let about = format!("{} · request {}", alert.fingerprint(), alert.request);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": about }] }));
    let sign = if alert.event.status == Status::Resolve {
        ":white_check_mark:"
    } else {
        ":rotating_light:"
    };
    json!({ "text": format!("{sign} {}", escaped(&cut(&heading, SECTION_MAX))), "blocks": blocks })
}

/// Returns the text with Slack's three control characters escaped, so that no sender can mention a
/// channel or hide a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{alert, judged, long};
    use super::*;

    fn slack() -> Slack {
        Slack::new("https://hooks.slack.com/services/T0/B0/canary-path-of-slack").unwrap()
    }

    #[test]
    fn open_and_resolve_say_what_happened() {
        let opened = body(&alert(Status::Trigger));
        assert_eq!(
            opened["text"],
            ":rotating_light: 11200 &lt;HTTP&gt; retrieval failure"
        );
        assert_eq!(
            opened["blocks"][0]["text"]["text"],
            "11200 <HTTP> retrieval failure"
        );
        assert_eq!(opened["blocks"][1]["text"]["text"], "line 1\nline &amp; 2");
        assert_eq!(opened["blocks"][2]["fields"][0]["text"], "*Priority*\nhigh");
        assert_eq!(
            opened["blocks"][2]["fields"][3]["text"],
            "*error_code*\n11200"
        );
        assert_eq!(
            opened["blocks"][3]["text"]["text"],
            "<https://example.com/NO1|Open>"
        );
        let resolved = body(&alert(Status::Resolve));
        assert_eq!(
            resolved["text"],
            ":white_check_mark: Resolved: 11200 &lt;HTTP&gt; retrieval failure"
        );
    }

    #[test]
    fn long_alert_stays_within_the_limits_of_block_kit() {
        let body = body(&long());
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(chars(&blocks[0]["text"]["text"]), HEADER_MAX);
        assert_eq!(chars(&blocks[1]["text"]["text"]), SECTION_MAX);
        let fields = blocks[2]["fields"].as_array().unwrap();
        assert!(
            fields.len() == FIELDS_MAX && fields.iter().all(|field| chars(&field["text"]) <= 2000)
        );
    }

    #[test]
    fn every_answer_of_slack_has_its_outcome() {
        for (status, body, expected) in [
            (200, "ok", "accepted"),
            (302, "", "blocked"),
            (400, "invalid_payload", "rejected"),
            (403, "action_prohibited", "blocked"),
            (404, "no_service", "blocked"),
            (410, "channel_is_archived", "blocked"),
            (413, "", "rejected"),
            (429, "rate_limited", "retry"),
            (500, "rollup_error", "retry"),
        ] {
            assert_eq!(
                judged(&slack(), status, body).as_str(),
                expected,
                "{status} {body}"
            );
        }
        let quoted = judged(
            &slack(),
            404,
            "no /services/T0/B0/canary-path-of-slack here",
        );
        assert!(!quoted.why().unwrap().contains("canary"), "{quoted:?}");
    }
}
