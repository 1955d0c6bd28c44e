//! The words of intake: a request, and the alerts that were read from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use plugin_sdk::contract::{Priority, Status};
use serde::{Deserialize, Serialize};

use super::add_members;
use super::ids::{Identity, StoredEventId};
use super::notice::Notice;
use super::sender::Sender;
use crate::alert::change::Change;
use crate::alert::group::{self, Grouping, Member};
use crate::alert::{Alert, fingerprint};

/// A mute that holds an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MuteRef {
    /// One that an operator made at run time, by its number.
    Stored(i64),
    /// One of the configuration.
    Configured {
        /// Its words.
        name: String,
        /// The reason.
        why: String,
    },
}

/// A request to keep, as it came in.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewRequest {
    /// UUIDv7, as it is answered to the sender.
    pub id: String,
    /// The name of the source.
    pub source: String,
    /// Unix milliseconds.
    pub received_at: i64,
    /// The method, in upper case.
    pub method: String,
    /// As in the contract: the public URL with the received path suffix and query.
    pub url: String,
    /// JSON: `[[name, value], …]`.
    pub headers: String,
    /// The bytes. A spool has them beside the rest.
    #[serde(skip)]
    pub body: Bytes,
    /// The plugin that read it.
    pub plugin: PluginId,
    /// The number of places that were masked, where it does not stand as it came in.
    pub redacted: Option<i64>,
    /// Its [sender](super::Sender), as JSON; none where it is the gateway's own.
    pub sender: Option<String>,
    /// The time since when its sender waits; none where it does not wait for the store.
    #[serde(skip)]
    pub began: Option<Instant>,
}

/// The result of reading a request.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reading {
    /// The plugin found alerts.
    Alerts {
        /// The alerts, oldest first; fewer than [`ALERTS_PER_REQUEST`](super::ALERTS_PER_REQUEST),
        /// as the last place is for an internal alert.
        alerts: Vec<NewAlert>,
        /// The proofs of the sender, where none may prove a second request.
        proofs: Proofs,
    },
    /// The plugin failed: the request is kept until it is replayed or dismissed.
    Failed(Failure),
    /// Only after a replay: the plugin, fixed, says that the sender did not prove itself.
    Rejected(String),
    /// Only after a replay: the plugin, fixed, says that nobody needs to know.
    Ignored(String),
}

/// The proofs of a request, such as its signature: a second kind of identity.
///
/// A request with a proof that was seen before is a repeat, whatever events it claims to carry: all
/// of them count as duplicates, and none opens anything. So a proof belongs here only where a
/// sender never makes the same one for something else: a signature over the whole request, not a
/// token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proofs {
    hashes: Vec<Identity>,
    until_ms: Option<i64>,
    /// True if they may have been seen before.
    again: bool,
}

/// The most proofs that are remembered of one request. A header with more signatures than that is
/// not a sender's.
const PROOFS: usize = 16;

impl Proofs {
    /// The proofs that came with a request of `source`; each is any text or bytes. They are
    /// remembered as long as its alerts are, or until `until_ms` (Unix milliseconds) where the
    /// scheme itself refuses what is older.
    pub fn new<P: AsRef<[u8]>>(
        source: &str,
        proofs: impl IntoIterator<Item = P>,
        until_ms: Option<i64>,
    ) -> Self {
        let hashes = proofs
            .into_iter()
            .take(PROOFS)
            .map(|proof| Identity::of_proof(source, proof.as_ref()));
        Self {
            hashes: hashes.collect(),
            until_ms,
            again: false,
        }
    }

    /// The same proofs, which may prove one more request and none after it: for a request of the
    /// operator's own.
    #[must_use]
    pub fn again(self) -> Self {
        Self {
            again: true,
            ..self
        }
    }

    pub(super) fn may_be_known(&self) -> bool {
        self.again
    }

    pub(super) fn hashes(&self) -> &[Identity] {
        &self.hashes
    }

    pub(super) fn until_ms(&self) -> Option<i64> {
        self.until_ms
    }

    /// The hashes as `requests.proofs` holds them.
    pub(super) fn stored(&self) -> Option<Vec<u8>> {
        (!self.hashes.is_empty()).then(|| {
            self.hashes
                .iter()
                .flat_map(|Identity(hash)| *hash)
                .collect()
        })
    }
}

/// The reason why a request could not be read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// What is told of it, where it is news.
    pub notice: Option<Box<Notice>>,
    /// What bounds it where its sender has proved nothing; `None` where the sender has.
    pub unproven: Option<UnprovenBounds>,
}

/// The number of failed requests of unproved senders that one source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnprovenBounds {
    /// So many requests,
    pub count: i64,
    /// of so many bytes together.
    pub bytes: i64,
}

/// An alert to keep.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewAlert {
    pub(super) source: String,
    pub(super) event_id: StoredEventId,
    pub(super) identity: Identity,
    pub(super) destinations: Vec<String>,
    /// The destinations that are sent the request as it came.
    pub(super) originals: Originals,
    pub(super) ordering_key: i64,
    pub(super) priority: Priority,
    /// True if it resolves what was opened before under its key.
    pub(super) resolves: bool,
    pub(super) order: Option<i64>,
    pub(super) ignored: Option<String>,
    pub(super) handling: Handling,
    pub(super) json: String,
    /// The alert itself, where it may go to its destinations without being read back.
    #[serde(skip)]
    pub(super) whole: Option<Arc<Alert>>,
}

/// The ways in which a policy has an alert delivered otherwise than by itself and for ever.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Handling {
    /// The group that it goes into.
    pub group: Option<Box<Grouped>>,
    /// The time without an event of its key until the gateway resolves it, in milliseconds.
    pub resolve_after_ms: Option<i64>,
    /// The mute that holds it.
    pub mute: Option<MuteRef>,
    /// The reason for ignoring a resolve where its key is open nowhere.
    pub ignored_unless_open: Option<String>,
    /// The destinations of the configuration, for a resolve; none where they are not known.
    #[serde(default)]
    pub configured: Vec<String>,
}

/// The destinations of an alert that are sent its request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Originals {
    /// Their names.
    pub names: Vec<String>,
    /// The destination that is told of it what the gateway has to say.
    pub instead: String,
}

impl Originals {
    /// Returns whether a destination is one of them.
    pub fn have(&self, destination: &str) -> bool {
        self.names.iter().any(|name| name == destination)
    }

    /// Returns those of some destinations that can be told what the gateway has to say.
    pub fn told<'a>(&'a self, destinations: &'a [String]) -> Vec<&'a str> {
        let takes = destinations.iter().map(String::as_str);
        let takes: Vec<_> = takes.filter(|name| !self.have(name)).collect();
        if takes.is_empty() && !self.instead.is_empty() {
            return vec![&self.instead];
        }
        takes
    }
}

/// The work of the operator's policy on an alert, in its text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct UnderRules {
    /// The rules that applied, by their numbers from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<usize>,
    /// The fields that they changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The number of places that were masked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub masked: usize,
}

/// The group of an alert, and what the alert brings to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grouped {
    pub grouping: Grouping,
    /// The key of the group at its destination.
    pub key: String,
    pub member: Member,
    /// The destination that is told of a storm.
    pub operator: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Handling {
    /// Returns whether the alert is delivered by itself.
    pub fn is_default(&self) -> bool {
        self.group.is_none()
            && self.resolve_after_ms.is_none()
            && self.mute.is_none()
            && self.ignored_unless_open.is_none()
    }
}

/// The number of a plugin in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginId(pub(super) i64);

/// The SHA-256 of its wasm.
#[derive(Debug, Clone)]
pub struct PluginRecord {
    /// The plugin's name.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// SHA-256 of the wasm, in hex.
    pub sha256: String,
}

/// The result of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Alerts that are new, and will be delivered.
    pub accepted: usize,
    /// Alerts whose event id the source has sent before, or whose request is proved by what proved
    /// another before.
    pub duplicates: usize,
}

impl NewAlert {
    /// Prepares an alert for the store, outside the writer's thread. It has one delivery for each
    /// of `destinations`, of which those beyond
    /// [`DELIVERIES_PER_ALERT`](super::DELIVERIES_PER_ALERT) are left out.
    ///
    /// # Errors
    /// Where the alert does not become JSON. One that came from JSON always does.
    pub fn new<D: AsRef<str>>(
        alert: &Alert,
        destinations: impl IntoIterator<Item = D>,
    ) -> Result<Self, serde_json::Error> {
        let event_id = StoredEventId::new(&alert.source, &alert.event.event_id);
        let destinations = destinations.into_iter().take(super::DELIVERIES_PER_ALERT);
        Ok(Self {
            source: alert.source.clone(),
            identity: event_id.identity(&alert.source),
            event_id,
            destinations: destinations.map(|name| name.as_ref().to_owned()).collect(),
            originals: Originals::default(),
            ordering_key: ordering_key(&alert.source, alert.event.key()),
            priority: alert.event.priority,
            resolves: alert.event.status == Status::Resolve,
            order: alert.event.order,
            ignored: None,
            handling: Handling::default(),
            json: serde_json::to_string(&alert.event)?,
            whole: None,
        })
    }

    /// The same, with the alert itself at hand for those that deliver it: it need not be read back.
    #[must_use]
    pub fn at_hand(self, alert: Alert) -> Self {
        Self {
            whole: Some(Arc::new(alert)),
            ..self
        }
    }

    /// The same alert, delivered nowhere, with the reason. It is stored and listed, and its event
    /// is known again.
    #[must_use]
    pub fn ignored(self, why: impl Into<String>) -> Self {
        Self {
            destinations: Vec::new(),
            ignored: Some(why.into()),
            ..self
        }
    }

    /// The same resolve, which goes where its key is open, among the destinations of the
    /// configuration.
    #[must_use]
    pub fn among(mut self, configured: &[String]) -> Self {
        self.handling.configured = configured.to_vec();
        self
    }

    /// The same resolve, delivered nowhere for this reason where its key is open nowhere.
    #[must_use]
    pub fn ignored_unless_open(mut self, why: impl Into<String>) -> Self {
        self.handling.ignored_unless_open = Some(why.into());
        self
    }

    /// The same alert, with the work of the operator's policy on it, in the text of the alert.
    ///
    /// # Errors
    /// Where it does not become JSON.
    pub fn under_rules(mut self, under: &UnderRules) -> Result<Self, serde_json::Error> {
        add_members(&mut self.json, &serde_json::to_string(under)?);
        Ok(self)
    }

    /// The same alert, where each of these destinations is sent its request as it came, and so gets no
    /// more than one delivery of it. `instead` is told what the gateway has to say.
    #[must_use]
    pub fn carried(self, originals: &[String], instead: &str) -> Self {
        if originals.is_empty() {
            return self;
        }
        Self {
            originals: Originals {
                names: originals.to_vec(),
                instead: instead.to_owned(),
            },
            ..self
        }
    }

    /// The same alert, as a member of a group of its source, where that is on. `operator` is the
    /// destination that is told of a storm.
    #[must_use]
    pub fn grouped(mut self, alert: &Alert, grouping: Grouping, operator: Option<&str>) -> Self {
        self.handling.group = Some(Box::new(Grouped {
            key: group::key(&grouping.shared),
            member: Member::of(&alert.event, &alert.received_at),
            operator: operator.map(str::to_owned),
            grouping,
        }));
        self
    }

    /// The same alert, resolved by the gateway where no event of its key comes for `time`.
    #[must_use]
    pub fn resolved_after(mut self, time: Duration) -> Self {
        self.handling.resolve_after_ms = i64::try_from(time.as_millis()).ok();
        self
    }

    /// The same alert, held by a mute.
    #[must_use]
    pub fn muted(mut self, mute: MuteRef) -> Self {
        self.handling.mute = Some(mute);
        self
    }

    fn bytes(&self) -> usize {
        // What a group mentions of it stands in its JSON as well.
        let member = if self.handling.group.is_some() {
            self.json.len()
        } else {
            0
        };
        // Its texts are those of the JSON.
        let whole = if self.whole.is_some() {
            size_of::<Alert>() + 2 * self.json.len()
        } else {
            0
        };
        let text = member
            + whole
            + self.source.capacity()
            + self.json.capacity()
            + self.event_id.shown().len();
        size_of::<Self>()
            + text
            + self
                .destinations
                .iter()
                .map(|name| size_of::<String>() + name.capacity())
                .sum::<usize>()
    }
}

impl Reading {
    /// These alerts, of a request without a proof that is to be remembered.
    pub fn alerts(alerts: Vec<NewAlert>) -> Self {
        Self::Alerts {
            alerts,
            proofs: Proofs::default(),
        }
    }

    /// Returns how many bytes it holds, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Alerts { alerts, .. } => alerts.iter().map(NewAlert::bytes).sum(),
            // The notice of a failure says little more than its reason.
            Self::Failed(failure) => failure.reason.len(),
            Self::Rejected(reason) | Self::Ignored(reason) => reason.len(),
        }
    }

    /// Returns the words for `requests.state` and `requests.reason`.
    pub fn state(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Alerts { .. } => ("read", None),
            Self::Failed(failure) => ("failed", Some(&failure.reason)),
            Self::Rejected(reason) => ("rejected", Some(reason)),
            Self::Ignored(reason) => ("ignored", Some(reason)),
        }
    }
}

impl NewRequest {
    /// Returns how many bytes of it come from its sender.
    pub(super) fn bytes(&self) -> i64 {
        (self.url.len() + self.headers.len() + self.body.len()) as i64
    }

    /// Returns its sender as it is stored now, with the time that it has waited.
    pub(super) fn stored_sender(&self) -> Option<String> {
        let sender = self.sender.as_ref()?;
        Some(match self.began {
            Some(began) => Sender::with_wait(sender, began.elapsed()),
            None => sender.clone(),
        })
    }
}

/// 64 bits that say which alerts are delivered in order: the first half of the fingerprint. Two
/// keys that share one by chance merely wait for each other.
pub fn ordering_key(source: &str, key: &str) -> i64 {
    let fingerprint = fingerprint(source, key);
    u64::from_str_radix(&fingerprint[..16], 16)
        .unwrap_or_default()
        .cast_signed()
}

/// The number by which a priority is sorted: the most urgent one has the least.
pub fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Medium => 2,
        Priority::Low => 3,
    }
}

/// A failure of a proven sender, without a notice.
impl<T: Into<String>> From<T> for Failure {
    fn from(reason: T) -> Self {
        Self {
            reason: reason.into(),
            notice: None,
            unproven: None,
        }
    }
}
