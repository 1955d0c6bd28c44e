//! An answer, and the alerts in it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::request::Body;

/// A plugin's answer to a request. As JSON it is an object with one key: `alerts`, `ignored`,
/// `rejected` or `reply`. Beside `alerts` may stand `proof`.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The alerts that the request carried, oldest first. They are on disk before the sender is
    /// answered 200.
    Alerts(Alerts),
    /// A genuine request that needs nobody: answered 200, and nothing is kept.
    Ignored {
        /// The reason, for the operator's log.
        reason: String,
    },
    /// The sender could not prove who it is, or this is not a request of this integration at all.
    Rejected(Rejection),
    /// An answer that the sender demands word for word, such as a challenge when a webhook is
    /// registered.
    Reply {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// The body.
        body: Body,
    },
}

/// The alerts of one request: a list, and what proves the request.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// The alerts, oldest first.
    pub list: Vec<Alert>,
    /// The proof that the plugin has checked by itself. The host remembers it, and a request with
    /// the same proof again opens nothing. Needless where
    /// [`Request::proved`](super::Request::proved) holds one.
    pub proof: Option<ProofIdentity>,
}

impl From<Vec<Alert>> for Alerts {
    fn from(list: Vec<Alert>) -> Self {
        Self { list, proof: None }
    }
}

impl Deref for Alerts {
    type Target = Vec<Alert>;

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl DerefMut for Alerts {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.list
    }
}

impl<'a> IntoIterator for &'a Alerts {
    type Item = &'a Alert;
    type IntoIter = std::slice::Iter<'a, Alert>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl IntoIterator for Alerts {
    type Item = Alert;
    type IntoIter = std::vec::IntoIter<Alert>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// The identity of a proof among all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofIdentity {
    /// Unique for the signed text within the source, 1 to 128 bytes: a hash of the signature.
    pub id: String,
    /// The time when the scheme itself refuses the proof, because a time is signed: RFC 3339, UTC.
    /// Until then the host remembers it; where this is absent, as long as it remembers event ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// The reason why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The answer to the sender.
    pub kind: RejectionKind,
    /// The fault, for the sender and the operator. It must hold no secret.
    pub reason: String,
    /// The advice to the operator; it goes to the log, not to the sender. It must hold no secret.
    #[serde(default)]
    pub help: String,
    /// The value of `WWW-Authenticate` for a 401, such as `Basic realm="alerts"`: some senders show
    /// a login only when they are asked for it. Absent where no scheme of HTTP's fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

impl Rejection {
    /// A rejection without a challenge.
    pub fn new(kind: RejectionKind, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            help: help.into(),
            challenge: None,
        }
    }
}

/// The kinds of [`Rejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionKind {
    /// No credential was given: 401.
    Unauthenticated,
    /// A credential was given, and it is wrong: 403.
    Forbidden,
    /// Not a request of this integration: 400.
    Malformed,
}

/// One thing that happened, made plain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alert {
    /// Unique for this event within its source. A repeat is dropped as a duplicate.
    pub event_id: String,
    /// The key that groups events into one alert at the destination; [`Alert::event_id`] where
    /// absent. A `resolve` needs the key of the `trigger` that it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// True if it opens or closes.
    #[serde(default)]
    pub status: Status,
    /// The alert's priority.
    pub priority: Priority,
    /// One line that a person woken at night understands.
    pub title: String,
    /// More words, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The time when it happened: RFC 3339. The host takes the time of receipt where this is absent
    /// or does not parse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// The place of this event among those of its key, where the sender numbers them: a run's
    /// number, a version. Of two alerts of one key, one with a smaller order than one seen before
    /// changes nothing: it is stored as ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
    /// A page about this event: an absolute `http` or `https` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Short facts that rules can match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// All that the sender said, as JSON, byte for byte where the sender sent JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
    /// The reason why the request could not be read, where this alert stands for one that could
    /// not: the host logs it and counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
    /// Notes to the operator on how this alert was made. The host logs each kind once, counts it,
    /// and `try` shows it; the destination sees nothing of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Alert {
    /// An alert that opens, with the required fields only.
    pub fn new(event_id: impl Into<String>, priority: Priority, title: impl Into<String>) -> Self {
        Self {
            event_id: event_id.into(),
            key: None,
            status: Status::Trigger,
            priority,
            title: title.into(),
            message: None,
            occurred_at: None,
            order: None,
            link: None,
            labels: BTreeMap::new(),
            details: None,
            unreadable: None,
            notes: Vec::new(),
        }
    }

    /// Returns the key that groups this event with others: its key, or its event id.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.event_id)
    }
}

/// The reason why a body, or a part of it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The fault, in a few words that are the same for every such request, for a metric's label:
    /// `not JSON`.
    pub reason: String,
    /// The position: `line 1, column 42`. Empty where there is no place to name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)?;
        if self.at.is_empty() {
            Ok(())
        } else {
            write!(out, ": {}", self.at)
        }
    }
}

/// A note to the operator on how an alert was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The kind, for a metric's label.
    pub kind: NoteKind,
    /// The part of the alert that it is about, or the setting: `status`, `key`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The text found there, cut to a line. It must hold no secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
}

impl Note {
    /// A note of this kind about a field, where this was found.
    pub fn new(kind: NoteKind, field: &str, found: &str) -> Self {
        Self {
            kind,
            field: field.to_owned(),
            found: crate::text::line(found, 120),
        }
    }
}

/// The kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A word for a status that is not known: the alert opens.
    UnknownStatus,
    /// A word for a priority that is not known: the alert has the default.
    UnknownPriority,
    /// There is no time: that of receipt stands.
    NoTime,
    /// An unreadable time: the time of receipt stands.
    UnreadableTime,
    /// An order that is no whole number: the alert counts whatever came before.
    UnreadableOrder,
    /// A part of the key is missing.
    IncompleteKey,
    /// A part of the event id is missing.
    IncompleteId,
    /// A place that a setting names holds nothing.
    Nothing,
    /// The body had to be repaired before it could be read.
    Repaired,
    /// Another, of a newer contract.
    #[serde(other)]
    Other,
}

impl NoteKind {
    /// The word used in JSON and in labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownStatus => "unknown_status",
            Self::UnknownPriority => "unknown_priority",
            Self::NoTime => "no_time",
            Self::UnreadableTime => "unreadable_time",
            Self::UnreadableOrder => "unreadable_order",
            Self::IncompleteKey => "incomplete_key",
            Self::IncompleteId => "incomplete_id",
            Self::Nothing => "nothing",
            Self::Repaired => "repaired",
            Self::Other => "other",
        }
    }
}

/// True if an event opens an alert or closes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The event opens the alert of its key, or adds to it.
    #[default]
    Trigger,
    /// The event closes the alert of its key.
    Resolve,
}

/// The urgency of an alert. ITOC360 shows the same four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody must get up now.
    Critical,
    /// Something is broken.
    High,
    /// Something will break, or is worth a look.
    Medium,
    /// Worth knowing.
    Low,
}

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The word used in JSON, in labels of metrics and at the destination.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Returns the priority whose [word](Self::as_str) this is, to the letter.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl Status {
    /// The word used in JSON and at the destination.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Resolve => "resolve",
        }
    }
}

// By hand, because a key beside the enum's own would have to be flattened, and what is flattened is
// no longer spelled as the plugin spelled it.

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Ignored<'a> {
            reason: &'a str,
        }

        #[derive(Serialize)]
        struct Reply<'a> {
            status: u16,
            headers: &'a [(String, String)],
            body: &'a Body,
        }

        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Alerts(alerts) => {
                map.serialize_entry("alerts", &alerts.list)?;
                if let Some(proof) = &alerts.proof {
                    map.serialize_entry("proof", proof)?;
                }
            }
            Self::Ignored { reason } => map.serialize_entry("ignored", &Ignored { reason })?,
            Self::Rejected(rejection) => map.serialize_entry("rejected", rejection)?,
            Self::Reply {
                status,
                headers,
                body,
            } => {
                map.serialize_entry(
                    "reply",
                    &Reply {
                        status: *status,
                        headers,
                        body,
                    },
                )?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KINDS: [&str; 5] = ["alerts", "ignored", "rejected", "reply", "proof"];

        #[derive(Deserialize)]
        struct Ignored {
            reason: String,
        }

        #[derive(Deserialize)]
        struct Reply {
            status: u16,
            headers: Vec<(String, String)>,
            body: Body,
        }

        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Answer;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with one of `alerts`, `ignored`, `rejected` and `reply`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
                let mut answer = None;
                let mut proof = None;
                let mut answers = 0;
                // A text, so that an error names the place below it.
                while let Some(key) = map.next_key::<String>()? {
                    answers += usize::from(key != "proof");
                    match key.as_str() {
                        "alerts" => {
                            answer = Some(Answer::Alerts(map.next_value::<Vec<Alert>>()?.into()))
                        }
                        "ignored" => {
                            let Ignored { reason } = map.next_value()?;
                            answer = Some(Answer::Ignored { reason });
                        }
                        "rejected" => answer = Some(Answer::Rejected(map.next_value()?)),
                        "reply" => {
                            let Reply {
                                status,
                                headers,
                                body,
                            } = map.next_value()?;
                            answer = Some(Answer::Reply {
                                status,
                                headers,
                                body,
                            });
                        }
                        "proof" => proof = map.next_value()?,
                        other => return Err(de::Error::unknown_variant(other, &KINDS)),
                    }
                }
                match answer {
                    Some(mut answer) if answers == 1 => {
                        if let Answer::Alerts(alerts) = &mut answer {
                            alerts.proof = proof;
                        }
                        Ok(answer)
                    }
                    _ => Err(de::Error::invalid_length(answers, &self)),
                }
            }
        }

        deserializer.deserialize_map(Parts)
    }
}
