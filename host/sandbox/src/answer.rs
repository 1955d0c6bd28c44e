//! Validates a plugin's answer: its bytes become an answer on which the gateway can rely.
//!
//! The contract describes a correct answer. For one that is incorrect there are two rules. Event
//! ids, keys, statuses and priorities decide **whether** the operator is paged, and about which
//! event, so they must be right: where one of them cannot be used, the call fails and the failed
//! request is kept, for replay with a fixed plugin. The other fields only decide how the page
//! **reads**: they are corrected, because a page with a shortened title is better than none.
//!
//! | part | an error | repaired |
//! |---|---|---|
//! | the whole | no JSON, another shape, more than 1,000 alerts | |
//! | `event_id` | empty, or more than 256 bytes | |
//! | `key` | empty, or more than 1,024 bytes | |
//! | `title` | | cut at 1 KiB; the event id where it is blank |
//! | `message` | | cut at 64 KiB |
//! | `occurred_at` | | dropped beyond 64 bytes |
//! | `link` | | dropped where it is no absolute http or https URL, or has more than 2 KiB |
//! | `labels` | | names that are empty or have more than 128 bytes, and all beyond 64, dropped; values cut at 1 KiB |
//! | `details` | | carried as text where they nest deeper than 64 |
//! | `reason`, `help` | | cut at 2 KiB |
//! | `reply` | status outside 200 to 599, more than 64 headers, base64 that does not decode | |
//! | `reply.headers` | one that HTTP forbids, that belongs to the connection, or that no challenge needs | |

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use plugin_sdk::contract::{Alert, Answer, Body, MAX_ALERTS, MAX_EVENT_ID_BYTES, MAX_KEY_BYTES};
use plugin_sdk::json::is_deeper;
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use thiserror::Error;

use super::log::said;

const MAX_TITLE: usize = 1024;
const MAX_MESSAGE: usize = 64 * 1024;
const MAX_TIME: usize = 64;
const MAX_LINK: usize = 2 * 1024;
const MAX_LABELS: usize = 64;
const MAX_LABEL_NAME: usize = 128;
const MAX_LABEL_VALUE: usize = 1024;
const MAX_DEPTH: usize = 64;
const MAX_REASON: usize = 2 * 1024;
const MAX_HEADERS: usize = 64;

/// The headers of a reply, beside those that begin with `x-` or `webhook-`. Senders ask for these
/// when a webhook is registered. Nothing else is the plugin's to say for the whole origin
/// (`set-cookie`, `access-control-*`, `strict-transport-security`) or for the connection.
const REPLY: [&str; 5] = [
    "content-language",
    "content-type",
    "etag",
    "retry-after",
    "www-authenticate",
];

/// Prefixes of headers that a reply may not have: a server in front obeys them, such as nginx's
/// `X-Accel-Redirect`, or they are the host's.
const NOT_IN_A_REPLY: [&str; 8] = [
    "x-accel-",
    "x-content-type-options",
    "x-forwarded-",
    "x-frame-options",
    "x-lighttpd-",
    "x-litespeed-",
    "x-reproxy-",
    "x-sendfile",
];

/// The media types of a reply. A browser runs none of them.
const MEDIA_TYPES: [&str; 6] = [
    "application/json",
    "application/octet-stream",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/plain",
];

/// The fault of an answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AnswerError {
    /// The answer is not JSON, or JSON of another shape.
    #[error("{}{reason}", place(.path))]
    Shape {
        /// The field, such as `alerts[0].title`; empty where it is the whole answer.
        path: String,
        /// The expected and the found shape.
        reason: String,
    },
    /// A field has a value that cannot be used.
    #[error("`{path}`: expected {expected}, found {found}")]
    Value {
        /// The field.
        path: String,
        /// The right form.
        expected: &'static str,
        /// The present form.
        found: String,
    },
}

fn place(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("`{path}`: ")
    }
}

/// Reads JSON that a plugin wrote.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AnswerError> {
    if bytes.is_empty() {
        return Err(AnswerError::Shape {
            path: String::new(),
            reason: "expected JSON, found nothing".into(),
        });
    }
    // Once more for the place, which costs something to keep track of, only where it is needed.
    serde_json::from_slice(bytes).map_err(|error| {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) if error.path().iter().next().is_some() => {
                // Both repeat what the plugin wrote, whole values with it.
                let path = error.path().to_string();
                let reason = error.inner().to_string();
                AnswerError::Shape {
                    path: said(path.as_bytes()),
                    reason: said(reason.as_bytes()),
                }
            }
            _ => AnswerError::Shape {
                path: String::new(),
                reason: said(error.to_string().as_bytes()),
            },
        }
    })
}

/// Reads and checks the answer to a request.
pub(super) fn answer(bytes: &[u8]) -> Result<Answer, AnswerError> {
    let mut answer = read(bytes)?;
    match &mut answer {
        Answer::Alerts(alerts) => check_alerts(alerts)?,
        Answer::Ignored { reason } => cut(reason, MAX_REASON),
        Answer::Rejected(rejection) => {
            cut(&mut rejection.reason, MAX_REASON);
            cut(&mut rejection.help, MAX_REASON);
        }
        Answer::Reply {
            status,
            headers,
            body,
        } => check_reply(*status, headers, body)?,
    }
    Ok(answer)
}

fn check_alerts(alerts: &mut [Alert]) -> Result<(), AnswerError> {
    if alerts.len() > MAX_ALERTS {
        return wrong("alerts", "at most 1,000 alerts", alerts.len().to_string());
    }
    for (number, alert) in alerts.iter_mut().enumerate() {
        check_identity(number, alert)?;
        repair(alert);
    }
    Ok(())
}

fn check_identity(number: usize, alert: &Alert) -> Result<(), AnswerError> {
    match alert.event_id.len() {
        1..=MAX_EVENT_ID_BYTES => {}
        found => {
            return wrong(
                &format!("alerts[{number}].event_id"),
                "1 to 256 bytes",
                bytes(found),
            );
        }
    }
    match alert.key.as_ref().map(String::len) {
        None | Some(1..=MAX_KEY_BYTES) => Ok(()),
        Some(found) => wrong(
            &format!("alerts[{number}].key"),
            "1 to 1,024 bytes, or no key",
            bytes(found),
        ),
    }
}

fn repair(alert: &mut Alert) {
    if alert.title.trim().is_empty() {
        alert.title.clone_from(&alert.event_id);
    }
    cut(&mut alert.title, MAX_TITLE);
    if let Some(message) = &mut alert.message {
        cut(message, MAX_MESSAGE);
    }
    alert.occurred_at.take_if(|time| time.len() > MAX_TIME);
    alert.link.take_if(|link| !is_link(link));
    let mut place = 0;
    alert.labels.retain(|name, value| {
        let kept = !name.is_empty() && name.len() <= MAX_LABEL_NAME && place < MAX_LABELS;
        if kept {
            place += 1;
            cut(value, MAX_LABEL_VALUE);
        }
        kept
    });
    if let Some(details) = &mut alert.details
        && is_deeper(details.get(), MAX_DEPTH)
        && let Ok(text) = to_raw_value(details.get())
    {
        *details = text;
    }
}

fn check_reply(status: u16, headers: &[(String, String)], body: &Body) -> Result<(), AnswerError> {
    if !(200..=599).contains(&status) {
        return wrong("reply.status", "200 to 599", status.to_string());
    }
    if headers.len() > MAX_HEADERS {
        return wrong(
            "reply.headers",
            "at most 64 headers",
            headers.len().to_string(),
        );
    }
    for (number, (name, value)) in headers.iter().enumerate() {
        let path = format!("reply.headers[{number}]");
        let Ok(parsed) = HeaderName::try_from(name) else {
            return wrong(&path, "the name of a header", format!("{name:.64?}"));
        };
        if !is_for_a_reply(parsed.as_str()) {
            let expected =
                "a header that begins with `x-` or `webhook-`, or one such as `content-type`";
            return wrong(&path, expected, format!("`{parsed}`"));
        }
        if parsed == CONTENT_TYPE && !is_inert(value) {
            return wrong(
                &path,
                "a media type that no browser runs, such as text/plain",
                format!("{value:.64?}"),
            );
        }
        if HeaderValue::try_from(value).is_err() {
            return wrong(
                &path,
                "a value without control characters",
                format!("one that HTTP forbids for `{parsed}`"),
            );
        }
    }
    match body {
        Body::Base64(text) if STANDARD.decode(text).is_err() => wrong(
            "reply.body.base64",
            "padded standard base64",
            "text that does not decode".into(),
        ),
        _ => Ok(()),
    }
}

/// Returns whether a reply may have a header of this name, which is in lower case.
fn is_for_a_reply(name: &str) -> bool {
    let custom = name.starts_with("x-") || name.starts_with("webhook-");
    (custom || REPLY.contains(&name)) && !NOT_IN_A_REPLY.iter().any(|start| name.starts_with(start))
}

/// Returns whether a browser shows a body of this media type and does not run it.
fn is_inert(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    MEDIA_TYPES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(essence))
}

fn wrong(path: &str, expected: &'static str, found: String) -> Result<(), AnswerError> {
    Err(AnswerError::Value {
        path: path.to_owned(),
        expected,
        found,
    })
}

fn bytes(count: usize) -> String {
    format!("{count} bytes")
}

/// Cuts a text at a character's boundary, and shows that it was cut.
fn cut(text: &mut String, max: usize) {
    const CUT: &str = "…";
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - CUT.len()));
        text.push_str(CUT);
    }
}

fn is_link(link: &str) -> bool {
    link.len() <= MAX_LINK
        && link.parse::<Uri>().is_ok_and(|link| {
            matches!(link.scheme_str(), Some("http" | "https"))
                && link.host().is_some_and(|host| !host.is_empty())
        })
}
