//! The alert of a firing, however odd the firing is.

use plugin_sdk::body::unreadable;
use plugin_sdk::contract::{
    Alert, Note, NoteKind, Priority, ProofIdentity, Proved, Request, Status,
};
use plugin_sdk::text::line;
use plugin_sdk::{attempt, time};
use twilio_webhooks::codes::{self, Code};
use twilio_webhooks::{identity, level, pages};

use crate::Again;
use crate::fields::Fields;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// A line of the message.
const MAX_LINE_CHARS: usize = 400;

/// Labels are for rules; the details hold all of it.
const MAX_LABEL_CHARS: usize = 128;

/// A part of an id, or a key, of more than this is none of Twilio's. The host takes 256 bytes of an
/// id, which may have two such parts and a word.
const MAX_ID_BYTES: usize = 100;

/// The labels, and the fields that they are.
const LABELS: [(&str, &str); 7] = [
    ("level", "Log"),
    ("error_code", "ErrorCode"),
    ("account_sid", "AccountSid"),
    ("alarm_sid", "AppMonitorTriggerSid"),
    ("period", "TimePeriod"),
    ("value", "CurrentValue"),
    ("threshold", "TriggerValue"),
];

/// The names of the labels.
pub fn labels() -> Vec<String> {
    LABELS
        .iter()
        .map(|(name, _)| *name)
        .chain(["product", "claimed_account_sid"])
        .map(str::to_owned)
        .collect()
}

/// Returns the alert of a firing; before it, where wanted, the resolve of the previous firing's
/// alert.
pub fn from_firing(
    request: &Request,
    fields: &Fields,
    again: Again,
    proved: Option<&Proved>,
) -> Vec<Alert> {
    let proof = proved.and_then(|proved| proved.proof.as_ref());
    let firing = Firing {
        received_at: &request.received_at,
        fields,
        proof,
        code: fields.get("ErrorCode").and_then(codes::look_up),
    };
    if let Some(why) = fields.unreadable().filter(|_| fields.is_empty()) {
        let id = firing.id();
        let mut alert = Alert {
            event_id: id,
            ..unreadable::alert(request, why, firing.priority())
        };
        identity::bind_always(&mut alert, proved, None);
        return vec![alert];
    }
    let mut alert = firing.alert();
    if let Some(why) = fields.unreadable() {
        alert.priority = alert.priority.min(Priority::High);
        alert.unreadable = Some(why.clone());
        let said = alert
            .message
            .take()
            .map_or_else(String::new, |said| said + "\n");
        alert.message = Some(format!(
            "{said}The body could not be read ({why}); what is known comes from the URL"
        ));
    }
    let claimed = fields
        .get("AccountSid")
        .map(|account| line(account, MAX_LABEL_CHARS));
    // The Sid of an alarm is no secret: another account could close its alert.
    identity::bind_always(&mut alert, proved, claimed.as_deref());
    match (again, &alert.key) {
        (Again::Reopen, Some(key)) => {
            let title = format!("{} (the firing before)", alert.title);
            let closing = Alert {
                status: Status::Resolve,
                key: Some(key.clone()),
                ..Alert::new(format!("{} before", alert.event_id), alert.priority, title)
            };
            vec![closing, alert]
        }
        _ => vec![alert],
    }
}

/// The id that a firing brings; `None` where nothing in it tells it from the next one.
pub fn own_id(fields: &Fields) -> Option<String> {
    let short = |name| short(fields, name);
    let token = short("IdempotencyToken").or_else(|| short("AppMonitorTriggerSid"))?;
    Some(format!("{token} {}", short("DateFired")?))
}

/// A field that can be an id. It is not cut: a cut id would be another one.
fn short(fields: &Fields, name: &str) -> Option<String> {
    let value = fields
        .get(name)
        .filter(|value| value.len() <= MAX_ID_BYTES)?;
    Some(value.to_owned())
}

/// A firing, read as far as it can be.
struct Firing<'a> {
    received_at: &'a str,
    fields: &'a Fields,
    proof: Option<&'a ProofIdentity>,
    code: Option<Code>,
}

impl Firing<'_> {
    fn alert(&self) -> Alert {
        let mut alert = Alert::new(
            self.id(),
            self.priority(),
            line(&self.title(), MAX_TITLE_CHARS),
        );
        // One alarm is one alert, however often it fires.
        alert.key = short(self.fields, "AppMonitorTriggerSid");
        alert.message = self.message();
        level::tell(&mut alert, self.fields.get("Log").unwrap_or_default());
        let date = self.fields.get("DateFired");
        alert.occurred_at = date.and_then(time::any);
        if alert.occurred_at.is_none() {
            let kind = if date.is_some() {
                NoteKind::UnreadableTime
            } else {
                NoteKind::NoTime
            };
            alert
                .notes
                .push(Note::new(kind, "occurred_at", date.unwrap_or_default()));
        }
        if alert.key.is_none() {
            alert.notes.push(Note::new(
                NoteKind::IncompleteKey,
                "key",
                "no AppMonitorTriggerSid",
            ));
        }
        alert.link = self.fields.get("ErrorCode").and_then(pages::of_code);
        for (label, field) in LABELS {
            if let Some(value) = self.fields.get(field) {
                alert
                    .labels
                    .insert(label.to_owned(), line(value, MAX_LABEL_CHARS));
            }
        }
        if let Some(product) = self.code.as_ref().and_then(|code| code.product) {
            alert
                .labels
                .insert("product".to_owned(), product.to_owned());
        }
        alert.details = self.fields.details();
        alert
    }

    /// The hash of what Twilio signed. Of what nobody signed, the token; it may repeat between
    /// firings, so the time belongs to it. What has neither is another event some minutes later.
    fn id(&self) -> String {
        if let Some(proof) = self.proof {
            return proof.id.clone();
        }
        let made_of = self.fields.hash().as_bytes();
        own_id(self.fields).unwrap_or_else(|| attempt::event_id(made_of, self.received_at))
    }

    fn priority(&self) -> Priority {
        level::priority(self.fields.get("Log").unwrap_or_default())
    }

    /// `Twilio alarm: Voice webhooks fail (11200: 25 in five minutes)`.
    fn title(&self) -> String {
        let code = self.fields.get("ErrorCode").map(|code| line(code, 32));
        let name = self.code.as_ref().map(|code| code.name.as_str());
        let what = self
            .fields
            .get("Description")
            .or(name)
            .unwrap_or("without a description");
        let facts = match (code, self.count()) {
            (Some(code), Some(count)) => format!(" ({code}: {count})"),
            (Some(fact), None) | (None, Some(fact)) => format!(" ({fact})"),
            (None, None) => String::new(),
        };
        // The facts are short, and say more than the end of a long description.
        let room = MAX_TITLE_CHARS.saturating_sub("Twilio alarm: ".len() + facts.chars().count());
        format!("Twilio alarm: {}{facts}", line(what, room))
    }

    /// `25 in five minutes`.
    fn count(&self) -> Option<String> {
        let value = line(self.fields.get("CurrentValue")?, 32);
        Some(match self.fields.get("TimePeriod") {
            Some(period) => format!("{value} in {}", words(period)),
            None => value,
        })
    }

    fn message(&self) -> Option<String> {
        let threshold = self
            .fields
            .get("TriggerValue")
            .map(|value| format!("The alarm fires from {value}"));
        let code = self.fields.get("ErrorCode").zip(self.code.as_ref());
        let lines = [
            code.map(|(code, known)| format!("Error {code}: {}", known.name)),
            threshold,
            self.fields
                .get("AppMonitorTriggerSid")
                .map(|sid| format!("Alarm {sid}")),
            self.fields
                .get("AccountSid")
                .map(|sid| format!("Account {sid}")),
        ];
        let lines: Vec<_> = lines
            .iter()
            .flatten()
            .map(|text| line(text, MAX_LINE_CHARS))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// `FIVE_MINS` in words: `five minutes`.
fn words(period: &str) -> String {
    let words = line(period, 32).to_ascii_lowercase().replace('_', " ");
    words.replace("mins", "minutes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_aloud() {
        for (period, said) in [
            ("FIVE_MINS", "five minutes"),
            ("ONE_HOUR", "one hour"),
            ("ONE_DAY", "one day"),
        ] {
            assert_eq!(words(period), said);
        }
    }
}
