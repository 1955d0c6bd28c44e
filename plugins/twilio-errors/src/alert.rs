//! One alert from one authenticated event, however odd the event is.

use std::borrow::Cow;

use plugin_sdk::contract::{Alert, Note, NoteKind, Priority, ProofIdentity};
use plugin_sdk::form::Form;
use plugin_sdk::json;
use plugin_sdk::text::{self, line};
use plugin_sdk::time;
use twilio_webhooks::codes::{self, Code};
use twilio_webhooks::{identity, level, pages};

use crate::payload::Payload;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// A line of the message.
const MAX_LINE_CHARS: usize = 400;

/// Labels are for rules; the details hold all of it.
const MAX_LABEL_CHARS: usize = 128;

/// The names of the labels.
pub const LABELS: [&str; 9] = [
    "level",
    "error_code",
    "product",
    "account_sid",
    "parent_account_sid",
    "resource_sid",
    "service_sid",
    "source_component",
    "http_status",
];

/// Returns the alert of an authentic event, from its body, its form, and the identity of its proof.
pub fn from_event(body: &[u8], form: &Form<'_>, proof: Option<&ProofIdentity>) -> Alert {
    let event = Event::read(body, form);
    let mut alert = Alert::new(
        event.id(proof),
        level::priority(&event.level),
        event.title(),
    );
    alert.message = event.message();
    event.tell_time(&mut alert);
    level::tell(&mut alert, &event.level);
    if let Some(why) = &event.payload.unreadable {
        // What it says is not known, so it may be worse than its level.
        alert.priority = alert.priority.min(Priority::High);
        let said = alert
            .message
            .take()
            .map_or_else(String::new, |said| said + "\n");
        alert.message = Some(format!(
            "{said}The Payload could not be read ({why}); the details show it as it came"
        ));
        alert.unreadable = Some(why.clone());
    }
    alert.link = event.field("Sid").and_then(|sid| pages::of_event(&sid));
    for (name, value) in event.labels() {
        let value = line(&value.unwrap_or_default(), MAX_LABEL_CHARS);
        if !value.is_empty() {
            alert.labels.insert(name.to_owned(), value);
        }
    }
    alert.details = match event.form.get("Payload") {
        Some(payload) => json::details("payload_text", &payload),
        None => json::as_text("body_text", &text::of_bytes(body)),
    };
    alert
}

/// An event, read as far as it can be.
struct Event<'a> {
    body: &'a [u8],
    form: &'a Form<'a>,
    /// In lower case, without white space around it.
    level: String,
    payload: Payload,
    code: Option<Code>,
}

impl<'a> Event<'a> {
    fn read(body: &'a [u8], form: &'a Form<'a>) -> Self {
        let level = form
            .get("Level")
            .map(|level| level.trim().to_ascii_lowercase())
            .unwrap_or_default();
        let payload = form
            .get("Payload")
            .map(|payload| Payload::read(&payload))
            .unwrap_or_default();
        let code = payload.error_code.as_deref().and_then(codes::look_up);
        Self {
            body,
            form,
            level,
            payload,
            code,
        }
    }

    /// A form field without white space around it, where anything is left.
    fn field(&self, name: &str) -> Option<String> {
        let value = self.form.get(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The Sid. One that cannot be one is no id, because the signature covers no borders between
    /// fields: somebody with a recorded request could cut a new one out of it each time. Then it is
    /// the hash of the signed text.
    fn id(&self, proof: Option<&ProofIdentity>) -> String {
        self.field("Sid")
            .filter(|sid| identity::is_event_sid(sid))
            .unwrap_or_else(|| identity::of(proof, self.body))
    }

    fn tell_time(&self, alert: &mut Alert) {
        match self.field("Timestamp") {
            None => alert
                .notes
                .push(Note::new(NoteKind::NoTime, "occurred_at", "")),
            Some(time) => {
                alert.occurred_at = time::as_sent(&time);
                if alert.occurred_at.is_none() {
                    alert
                        .notes
                        .push(Note::new(NoteKind::UnreadableTime, "occurred_at", &time));
                }
            }
        }
    }

    /// The event in words: its own, or else the name of the code.
    fn words(&self) -> Option<&str> {
        self.payload.message.as_deref().or(self.code_name())
    }

    fn code_name(&self) -> Option<&str> {
        self.code.as_ref().map(|code| code.name.as_str())
    }

    fn title(&self) -> String {
        let level = if self.level.is_empty() {
            "event"
        } else {
            &self.level
        };
        let title = match (self.payload.error_code.as_deref(), self.words()) {
            (Some(code), Some(words)) => format!("Twilio {}: {words}", line(code, 32)),
            (Some(code), None) => format!(
                "Twilio {}: {} without a description",
                line(code, 32),
                line(level, 32)
            ),
            (None, Some(words)) => format!("Twilio {}: {words}", line(level, 32)),
            (None, None) => format!("Twilio {} without a code or a description", line(level, 32)),
        };
        line(&title, MAX_TITLE_CHARS)
    }

    fn message(&self) -> Option<String> {
        let payload = &self.payload;
        let name = self.code_name().filter(|name| Some(*name) != self.words());
        let target = payload.url.as_deref().map(|url| match &payload.method {
            Some(method) => format!("{method} {url}"),
            None => url.to_owned(),
        });
        let webhook = match (&payload.http_status, target) {
            (Some(status), Some(target)) => Some(format!("HTTP {status} from {target}")),
            (Some(status), None) => Some(format!("HTTP {status}")),
            (None, Some(target)) => Some(format!("At {target}")),
            (None, None) => None,
        };
        let parent = self
            .field("ParentAccountSid")
            .map(|parent| format!(", of {parent}"))
            .unwrap_or_default();
        let lines = [
            name.map(str::to_owned),
            webhook,
            payload
                .resource_sid
                .as_ref()
                .map(|sid| format!("Resource {sid}")),
            self.field("AccountSid")
                .map(|sid| format!("Account {sid}{parent}")),
            payload.error_code.as_deref().and_then(pages::of_code),
        ];
        let lines: Vec<_> = lines
            .iter()
            .flatten()
            .map(|text| line(text, MAX_LINE_CHARS))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn labels(&self) -> impl Iterator<Item = (&'static str, Option<Cow<'_, str>>)> {
        let payload = &self.payload;
        let values = [
            Some(Cow::Borrowed(&*self.level)),
            said(&payload.error_code),
            self.code
                .as_ref()
                .and_then(|code| code.product)
                .map(Cow::Borrowed),
            self.form.get("AccountSid"),
            self.form.get("ParentAccountSid"),
            said(&payload.resource_sid),
            said(&payload.service_sid),
            said(&payload.source_component),
            said(&payload.http_status),
        ];
        LABELS.into_iter().zip(values)
    }
}

fn said(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}
