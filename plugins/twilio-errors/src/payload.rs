//! The field `Payload` of Twilio's Debugger webhook: a JSON **text** that describes the event.
//!
//! Twilio documents `resource_sid`, `service_sid`, `error_code`, `more_info` and `webhook`.
//! Captured ones show more: all of them may be absent, `error_code` is a string of digits,
//! `more_info` spells its message `Msg` or `msg`, and `webhook.response.status_code` is null even
//! where the response was a 502. The real status is `more_info.httpResponse`.

use plugin_sdk::body;
use plugin_sdk::contract::Unreadable;
use plugin_sdk::json::{self, Object};
use serde_json::value::RawValue;

/// The known parts of a Payload. Every text is as sent, and may be long.
#[derive(Debug, Default)]
pub struct Payload {
    /// The error code, mostly digits.
    pub error_code: Option<String>,
    /// The event, in Twilio's words or those of the failing server.
    pub message: Option<String>,
    /// The SID of the call, message, … that it happened to.
    pub resource_sid: Option<String>,
    /// The SID of the service above it.
    pub service_sid: Option<String>,
    /// The number of the component of Twilio that reports.
    pub source_component: Option<String>,
    /// The HTTP status that a webhook of the operator's was answered with.
    pub http_status: Option<String>,
    /// The URL of that webhook.
    pub url: Option<String>,
    /// The method of that webhook.
    pub method: Option<String>,
    /// The reason why it could not be read, where it was no JSON.
    pub unreadable: Option<Unreadable>,
}

impl Payload {
    /// Reads a Payload. What is not JSON, or no object, says one thing: its text.
    pub fn read(text: &str) -> Self {
        // Nearly every Payload is one, and reading it is the check.
        if let Ok(payload) = serde_json::from_str(text) {
            return Self::of(&payload, text);
        }
        let no_object = || Self::of(&Object::default(), text);
        if serde_json::from_str::<&RawValue>(text).is_ok() || text.trim().is_empty() {
            return no_object();
        }
        let unreadable = match body::read_text(text) {
            // Small mistakes are repaired.
            Ok(reading) => match &reading.body {
                body::Body::Json(json) => return Self::of(&Object::read(json), json),
                _ => Unreadable {
                    reason: "not JSON".to_owned(),
                    at: "line 1, column 1".to_owned(),
                },
            },
            Err(why) => why,
        };
        Self {
            unreadable: Some(unreadable),
            ..no_object()
        }
    }

    fn of(payload: &Object<'_>, text: &str) -> Self {
        // A `more_info` of another make may be the message itself, or an object once more as text.
        let more_text = payload.text("more_info");
        let more = more_text
            .as_deref()
            .map_or_else(|| payload.object("more_info"), Object::read);
        let request = payload.object("webhook").object("request");
        // `ErrorCode` can be `32009,Your TwiML tried to …`.
        let code_and_words = more.text("ErrorCode").unwrap_or_default();
        let (code, words) = code_and_words
            .split_once(',')
            .unwrap_or((&code_and_words, ""));
        let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let more_message = more_text.as_deref().filter(|text| !text.starts_with('{'));
        Self {
            error_code: payload.text("error_code").or_else(|| some(code)),
            message: more
                .text("Msg")
                .or_else(|| more.text("msg"))
                .or_else(|| some(words))
                .or_else(|| more_message.map(str::to_owned))
                .or_else(|| says_only(text)),
            resource_sid: payload.text("resource_sid"),
            service_sid: payload.text("service_sid"),
            source_component: more.text("sourceComponent"),
            http_status: more.text("httpResponse"),
            url: more.text("url").or_else(|| request.text("url")),
            method: request.text("method"),
            unreadable: None,
        }
    }
}

/// The words of a Payload that is a lone JSON string, or no JSON at all.
fn says_only(text: &str) -> Option<String> {
    if let Ok(value) = serde_json::from_str::<&RawValue>(text) {
        return json::text(value.get());
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
