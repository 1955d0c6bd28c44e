//! Microsoft Teams: the webhook of a workflow ("When a Teams webhook request is received"), with an
//! Adaptive Card.
//!
//! A resolve is a card of its own that says so. Teams gives no id of the message.
//!
//! | answer | outcome |
//! |---|---|
//! | 200, 202, any other 2xx but for a web page | accepted |
//! | 200 with `Microsoft Teams endpoint returned HTTP error 4xx/5xx` in its text, as the retired connectors answer | retry |
//! | 400, 413 (a card beyond 28 KB), and any other 4xx | rejected |
//! | 401, 402, 403, 404 (the workflow is gone or turned off), redirects | blocked |
//! | 408, 429 with its `Retry-After`, 5xx, no answer | retry |

use hyper::body::Bytes;
use plugin_sdk::contract::{Priority, Status};
use serde_json::{Value, json};

use super::http::{Answer, Endpoint, HttpKind, Judged};
use super::kind::NotUsable;
use super::words::{cut, facts, heading, link, write};
use crate::alert::{Alert, Outcome, Receipt};

const SERVICE: &str = "Teams";
/// A card has 28 KB at most. These bound it to less than 20 KB even where each character takes four
/// bytes.
const TITLE_MAX: usize = 200;
const MESSAGE_MAX: usize = 2000;
const FACT_MAX: usize = 100;
const FACTS_MAX: usize = 15;

/// A workflow webhook of Microsoft Teams.
pub(crate) struct Teams {
    endpoint: Endpoint,
}

impl Teams {
    pub(crate) fn new(url: &str) -> Result<Self, NotUsable> {
        Ok(Self {
            endpoint: Endpoint::secret(url)?,
        })
    }
}

impl HttpKind for Teams {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn body(&self, alert: &Alert) -> Result<Bytes, String> {
        Ok(write(&body(alert), 4096))
    }

    fn judge(&self, answer: &Answer<'_>) -> Outcome {
        match answer.judged() {
            Judged::Accepted if answer.contains("endpoint returned HTTP error") => {
                answer.retry(SERVICE)
            }
            Judged::Accepted => Outcome::Accepted(Receipt::default()),
            Judged::Retry => answer.retry(SERVICE),
            Judged::Blocked => answer.blocked(
                SERVICE,
                "the workflow is gone or turned off; copy its URL anew",
            ),
            Judged::Rejected => answer.rejected(SERVICE),
        }
    }
}

fn body(alert: &Alert) -> Value {
    let color = match (alert.event.status, alert.event.priority) {
        (Status::Resolve, _) => "good",
        (_, Priority::Critical | Priority::High) => "attention",
        (_, Priority::Medium) => "warning",
        (_, Priority::Low) => "default",
    };
    let heading = escaped(&cut(&heading(alert), TITLE_MAX));
    let mut card = vec![
        json!({ "type": "TextBlock", "text": heading, "weight": "bolder", "size": "medium", "wrap": true, "color": color }),
    ];
    if let Some(message) = alert
        .event
        .message
        .as_deref()
        .filter(|message| !message.trim().is_empty())
    {
        card.push(json!({ "type": "TextBlock", "text": escaped(&cut(message, MESSAGE_MAX)), "wrap": true }));
    }
    let facts = facts(alert)
        .into_iter()
        .take(FACTS_MAX)
        .map(|(name, value)| json!({ "title": cut(&name, FACT_MAX), "value": escaped(&cut(&value, FACT_MAX)) }));
    card.push(json!({ "type": "FactSet", "facts": facts.collect::<Vec<_>>() }));
    let about = format!("{} · request {}", alert.fingerprint(), alert.request);
    card.push(json!({ "type": "TextBlock", "text": about, "isSubtle": true, "size": "small", "wrap": true }));
    let actions: Vec<_> = link(alert)
        .map(|url| json!({ "type": "Action.OpenUrl", "title": "Open", "url": url }))
        .into_iter()
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": card,
                "actions": actions,
            },
        }],
    })
}

/// Returns the text with the characters of a card's Markdown escaped, so that no sender can hide a
/// link in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(
            character,
            '\\' | '[' | ']' | '(' | ')' | '*' | '_' | '~' | '`'
        ) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{alert, judged, long};
    use super::*;

    fn teams() -> Teams {
        Teams::new(
            "https://prod.logic.azure.com/workflows/1?api-version=1&sig=canary-signature-of-teams",
        )
        .unwrap()
    }

    #[test]
    fn card_holds_title_message_facts_and_link() {
        let body = body(&alert(Status::Trigger));
        let card = &body["attachments"][0]["content"];
        assert_eq!(card["body"][0]["text"], "11200 <HTTP> retrieval failure");
        assert_eq!(card["body"][0]["color"], "attention");
        assert_eq!(card["body"][1]["text"], "line 1\nline & 2");
        assert_eq!(
            card["body"][2]["facts"][3],
            json!({ "title": "error_code", "value": "11200" })
        );
        assert_eq!(card["actions"][0]["url"], "https://example.com/NO1");
    }

    #[test]
    fn long_alert_stays_below_the_limit_of_a_card() {
        assert!(write(&body(&long()), 0).len() < 28 * 1024);
    }

    #[test]
    fn markdown_of_a_sender_is_escaped() {
        assert_eq!(
            escaped("[x](https://evil.example)"),
            r"\[x\]\(https://evil.example\)"
        );
    }

    #[test]
    fn every_answer_of_teams_has_its_outcome() {
        let throttled = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
        for (status, body, expected) in [
            (202, "", "accepted"),
            (200, "1", "accepted"),
            (200, throttled, "retry"),
            (308, "", "blocked"),
            (400, "", "rejected"),
            (401, "", "blocked"),
            (404, "", "blocked"),
            (413, "", "rejected"),
            (429, "", "retry"),
            (502, "", "retry"),
        ] {
            assert_eq!(
                judged(&teams(), status, body).as_str(),
                expected,
                "{status} {body}"
            );
        }
        let quoted = judged(&teams(), 401, "sig canary-signature-of-teams is wrong");
        assert!(!quoted.why().unwrap().contains("canary"), "{quoted:?}");
    }
}
