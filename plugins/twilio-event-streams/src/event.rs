//! One event, however odd it is: an alert, or nothing that anybody needs to know.

use plugin_sdk::cloud_events::CloudEvent;
use plugin_sdk::contract::{Alert, Note, NoteKind, Priority, Proved, Unreadable};
use plugin_sdk::json::{self, Object};
use plugin_sdk::signature::sha256;
use plugin_sdk::text::line;
use plugin_sdk::time;
use twilio_webhooks::codes::{self, Code};
use twilio_webhooks::{identity, level, pages};

use crate::Level;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// As much of what is no event as a title shows.
const MAX_SHOWN_CHARS: usize = 100;

/// A line of the message.
const MAX_LINE_CHARS: usize = 400;

/// Labels are for rules; the details hold all of it. An id of more than this is none of Twilio's.
const MAX_LABEL_CHARS: usize = 128;

/// The labels, and the members of the data that they are.
const LABELS: [(&str, &str); 8] = [
    ("level", "level"),
    ("error_code", "error_code"),
    ("account_sid", "account_sid"),
    ("parent_account_sid", "master_account_sid"),
    ("service_sid", "service_sid"),
    ("correlation_sid", "correlation_sid"),
    ("request_sid", "request_sid"),
    ("product", "product_name"),
];

/// The names of the labels.
pub fn labels() -> Vec<String> {
    LABELS
        .iter()
        .map(|(name, _)| *name)
        .chain(["claimed_account_sid"])
        .map(str::to_owned)
        .collect()
}

/// The result of reading an event.
pub enum Reading {
    Alert(Box<Alert>),
    /// The reason why it makes no alert.
    Ignored(String),
}

/// Reads an event of an account that has proved itself.
pub fn read(event: &CloudEvent<'_>, least: Level, proved: Option<&Proved>) -> Reading {
    // A sink may be subscribed to more, and its test event is of another kind as well. What does
    // not say its kind may be an error.
    if !event.kind.is_empty() && !event.kind.starts_with("com.twilio.error-logs.") {
        return Reading::Ignored(format!(
            "of the kind {}, which is no error log",
            line(&event.kind, MAX_LABEL_CHARS)
        ));
    }
    // JSON as text, such as `"{\"level\":\"ERROR\"}"`.
    let text = event
        .data
        .filter(|data| data.starts_with('"'))
        .and_then(json::text);
    let data = text.as_deref().or(event.data).map(Object::read);
    let log = Log::read(event, data.unwrap_or_default());
    match log.known_level() {
        Some(known) if known < least => {
            Reading::Ignored(format!("of the level {}", line(&log.level, 32)))
        }
        _ => {
            let mut alert = log.alert();
            let claimed = log
                .data
                .text("account_sid")
                .map(|account| line(&account, MAX_LABEL_CHARS));
            identity::bind(&mut alert, proved, claimed.as_deref());
            Reading::Alert(Box::new(alert))
        }
    }
}

/// The alert of a member that is no event, and has no words: its place tells it from others.
pub fn of_no_event(event: &CloudEvent<'_>, index: usize, request: &str) -> Alert {
    let why = Unreadable {
        reason: "no event".to_owned(),
        at: format!("member {}", index + 1),
    };
    let shown = line(event.whole, MAX_SHOWN_CHARS);
    Alert {
        details: event.details(),
        message: Some(
            "Twilio signed it, and it is no CloudEvent. The details show it as it came.".to_owned(),
        ),
        unreadable: Some(why.clone()),
        ..Alert::new(
            format!("{request}/{index}"),
            Priority::High,
            format!("Twilio: {shown} (could not be read: {why})"),
        )
    }
}

/// One alert for the events of a request that are more than the host takes.
pub fn of_the_rest(body: &str, rest: &[CloudEvent<'_>]) -> Alert {
    let title = format!("Twilio: {} more events in one request", rest.len());
    let mut alert = Alert::new(
        format!("sha256:{}/rest", sha256(body.as_bytes()).hex()),
        Priority::High,
        title,
    );
    alert.message = Some("The details hold them as they were sent.".to_owned());
    let rest: Vec<_> = rest.iter().map(|event| event.whole).collect();
    alert.details = json::details("body_text", &format!("[{}]", rest.join(",")));
    alert
}

/// An entry of the error log, read as far as it can be.
struct Log<'a> {
    event: &'a CloudEvent<'a>,
    data: Object<'a>,
    level: String,
    error_code: Option<String>,
    /// The event's own words.
    message: Option<String>,
    code: Option<Code>,
}

impl<'a> Log<'a> {
    fn read(event: &'a CloudEvent<'a>, data: Object<'a>) -> Self {
        // JSON as text, such as `{"error_code":93101,"message":"…"}`.
        let payload_text = data.text("payload");
        let payload = payload_text
            .as_deref()
            .map_or_else(|| data.object("payload"), Object::read);
        let error_code = data
            .text("error_code")
            .or_else(|| payload.text("error_code"));
        let message = payload
            .text("message")
            .or_else(|| payload_text.clone().filter(|text| !text.starts_with('{')));
        Self {
            event,
            level: data.text("level").unwrap_or_default(),
            code: error_code.as_deref().and_then(codes::look_up),
            error_code,
            message,
            data,
        }
    }

    fn known_level(&self) -> Option<Level> {
        match self.level.to_ascii_uppercase().as_str() {
            "INFO" => Some(Level::Info),
            "WARNING" => Some(Level::Warning),
            "ERROR" => Some(Level::Error),
            _ => None,
        }
    }

    fn alert(&self) -> Alert {
        let mut alert = Alert::new(
            self.id(),
            level::priority(&self.level),
            line(&self.title(), MAX_TITLE_CHARS),
        );
        alert.message = self.message();
        level::tell(&mut alert, &self.level);
        if self.data.is_empty() {
            // What it says is not known. A level that nobody reads ranks as high already.
            alert.unreadable = Some(Unreadable {
                reason: "an event without data that could be read".to_owned(),
                at: String::new(),
            });
        }
        let times = [self.event.time.clone(), self.data.text("date_created")];
        alert.occurred_at = times.iter().flatten().find_map(|text| time::as_sent(text));
        if alert.occurred_at.is_none() {
            let (kind, found) = match times.iter().flatten().next() {
                Some(found) => (NoteKind::UnreadableTime, &**found),
                None => (NoteKind::NoTime, ""),
            };
            alert.notes.push(Note::new(kind, "occurred_at", found));
        }
        alert.link = self.data.text("sid").and_then(|sid| pages::of_event(&sid));
        for (label, member) in LABELS {
            if let Some(value) = self.data.text(member) {
                alert
                    .labels
                    .insert(label.to_owned(), line(&value, MAX_LABEL_CHARS));
            }
        }
        alert.details = self.event.details();
        alert
    }

    /// Twilio delivers at least once, and repeats the event's `id`.
    fn id(&self) -> String {
        // What is not UTF-8 reads as U+FFFD, and then two ids may look the same.
        let plausible =
            |id: &String| (1..=MAX_LABEL_CHARS).contains(&id.len()) && !id.contains('\u{fffd}');
        let own = Some(self.event.id.clone())
            .filter(plausible)
            .or_else(|| self.data.text("sid").filter(plausible));
        own.unwrap_or_else(|| format!("sha256:{}", sha256(self.event.whole.as_bytes()).hex()))
    }

    /// The event's own words, or else the name of the code.
    fn words(&self) -> Option<&str> {
        self.message
            .as_deref()
            .or(self.code.as_ref().map(|code| code.name.as_str()))
    }

    fn title(&self) -> String {
        let code = self.error_code.as_deref().map(|code| line(code, 32));
        let level = if self.level.is_empty() {
            "event".to_owned()
        } else {
            line(&self.level, 32).to_ascii_lowercase()
        };
        match (code, self.words()) {
            (Some(code), Some(words)) => format!("Twilio {code}: {words}"),
            (Some(code), None) => format!("Twilio {code}: {level} without a description"),
            (None, Some(words)) => format!("Twilio {level}: {words}"),
            (None, None) => format!("Twilio {level} without a code or a description"),
        }
    }

    fn message(&self) -> Option<String> {
        let name = self
            .code
            .as_ref()
            .map(|code| code.name.clone())
            .filter(|name| Some(name.as_str()) != self.words());
        let lines = [
            name,
            self.data
                .text("product_name")
                .map(|product| format!("Product {product}")),
            self.data
                .text("correlation_sid")
                .map(|sid| format!("Resource {sid}")),
            self.data
                .text("account_sid")
                .map(|sid| format!("Account {sid}")),
            self.error_code.as_deref().and_then(pages::of_code),
        ];
        let lines: Vec<_> = lines
            .iter()
            .flatten()
            .map(|text| line(text, MAX_LINE_CHARS))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
