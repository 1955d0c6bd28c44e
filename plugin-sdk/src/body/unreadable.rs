//! The alert of an unreadable request.

use serde_json::value::RawValue;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::attempt;
use crate::contract::{Alert, Priority, Request, Unreadable};
use crate::json;
use crate::text::{self, line};

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// As much of the sender's words as a title shows.
const MAX_WORDS_CHARS: usize = 100;

/// As much of the body as the details show; the host keeps all of it. As text it grows threefold at
/// most.
const MAX_SHOWN_BYTES: usize = 256 * 1024;

/// The places where senders put their words.
const LIKELY: [&str; 10] = [
    "title",
    "summary",
    "subject",
    "alertname",
    "alert_name",
    "message",
    "msg",
    "text",
    "name",
    "description",
];

/// The alert of a request that proved its sender and cannot be read. It is at least HIGH, because
/// the meaning of the request is not known, and its title is the readable part. Its id is made of
/// the whole request: the same request again is a repeat for some minutes
/// ([`attempt`]), and any other is not.
pub fn alert(request: &Request, why: &Unreadable, priority: Priority) -> Alert {
    let bytes = request.body.bytes();
    let text = text::of_bytes(&bytes);
    let what = format!("could not be read: {why}");
    let title = match words(&text) {
        Some(words) => format!(
            "{}: {} ({what})",
            request.source,
            line(&words, MAX_WORDS_CHARS)
        ),
        None => format!("{}: a request {what}", request.source),
    };
    let header = |name: &str| request.header(name).unwrap_or_default();
    let parts: [&[u8]; 5] = [
        request.method.as_bytes(),
        request.url.as_bytes(),
        header("content-type").as_bytes(),
        header("content-encoding").as_bytes(),
        &bytes,
    ];
    // No text holds the byte between them, so no two requests are spelled alike.
    let id = attempt::event_id(&parts.join(&0xff), &request.received_at);
    Alert {
        message: Some(format!(
            "The sender proved itself, and what it sent {what}. The details show it as it came, and the gateway keeps \
             the request."
        )),
        details: details(&bytes, why),
        unreadable: Some(why.clone()),
        // The contract orders priorities from the most urgent down.
        ..Alert::new(
            format!("unreadable {id}"),
            priority.min(Priority::High),
            line(&title, MAX_TITLE_CHARS),
        )
    }
}

fn details(bytes: &[u8], why: &Unreadable) -> Option<Box<RawValue>> {
    let shown = &bytes[..bytes.len().min(MAX_SHOWN_BYTES)];
    let why = why.to_string();
    match str::from_utf8(bytes) {
        Ok(text) => {
            let text = &text[..text.floor_char_boundary(MAX_SHOWN_BYTES)];
            json::object([("unreadable", &*why), ("body_text", text)])
        }
        Err(_) => json::object([
            ("unreadable", &*why),
            ("body_base64", &*STANDARD.encode(shown)),
        ]),
    }
}

/// The sender's words, as far as they can be made out: the text behind a likely name, or else the
/// beginning. `None` for what is not text.
fn words(text: &str) -> Option<String> {
    let said = LIKELY.iter().find_map(|name| {
        let (_, after) = text.split_once(&format!("\"{name}\""))?;
        let value = after
            .trim_start()
            .strip_prefix(':')?
            .trim_start()
            .strip_prefix('"')?;
        let end = value.find(['"', '\n']).unwrap_or(value.len());
        Some(value[..end].to_owned()).filter(|words| !words.trim().is_empty())
    });
    let is_text = |text: &str| {
        let shown: Vec<char> = text.chars().take(MAX_WORDS_CHARS).collect();
        let odd = shown
            .iter()
            .filter(|c| **c == '\u{fffd}' || (c.is_control() && !c.is_whitespace()))
            .count();
        !text.trim().is_empty() && odd * 10 <= shown.len()
    };
    said.or_else(|| is_text(text).then(|| text.chars().take(4 * MAX_WORDS_CHARS).collect()))
}
