//! The history: for the operator's question "did the page go out?".

mod counts;
mod groups;
mod list;
mod newest;
mod open;
mod overview;
mod same_key;
mod traced;
mod tried;
mod waiting;

use std::time::Duration;

use crate::store::sql::{Connection, Row};
use plugin_sdk::contract;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use counts::Count;
pub use groups::{GroupFilter, GroupState};
pub use newest::Newest;
pub use open::OpenAlert;
pub use overview::{Attempted, Backlog, OpenCondition, SourceRecord};
pub use same_key::SameKey;
pub use traced::Traced;
pub use tried::Tried;
pub use waiting::{Selection, UnknownId, Waiting, WaitingRequest};

use super::audit;
use super::ids::{StoredEventId, alert_ids, delivery_ids, request_id, request_id_text};
use super::request::UnderRules;
use super::{Entry, Location, MuteRecord, PluginId, Sender, StoreError, identities, mutes};
use crate::clock::rfc3339;
use crate::health::HeldUp;
use crate::recent::{Answered, Answers};

/// The text in place of a title where an alert is not delivered, and nothing of it is kept but the
/// id.
pub const MISSING: &str =
    "this event cannot be read (nothing of it is kept): see `alert-gateway store check`";

/// The reason why content is gone while what it belongs to is kept.
pub const EVICTED: &str = "removed to keep to [retention] size; what identifies it and its receipt are kept for [retention] age";

/// A connection that reads the history. It waits for no writer, and holds none up.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

/// A filter for the lines of a list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this source.
    pub source: Option<String>,
    /// Only alerts of this key; of a source, which must be named.
    pub key: Option<String>,
    /// Only this state.
    pub state: Option<ListedState>,
    /// Only alerts of this priority.
    pub priority: Option<contract::Priority>,
    /// Only alerts with these labels.
    pub labels: Vec<(String, String)>,
    /// Only what has this text in its title, message, labels or event id; or the id itself.
    pub text: Option<String>,
    /// Only what was received at or after this: Unix milliseconds.
    pub since_ms: i64,
    /// Only what was received before this: Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Only what comes after this place, which is an earlier page's [`Page::next`].
    pub before: Option<i64>,
    /// Only what has this place, or a newer one.
    pub from: Option<i64>,
    /// Only members of this group: its id, or the key of all groups that had it.
    pub group: Option<String>,
    /// Only what this mute has held.
    pub mute: Option<i64>,
    /// At most so many, newest first.
    pub limit: usize,
    /// The time after which a page ends although it is not full. None: it is looked for to the end.
    pub patience: Option<Duration>,
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The lines, newest first.
    pub lines: Vec<Line>,
    /// The place where the next page begins; none where this is the last one.
    pub next: Option<i64>,
}

/// The states that a list can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedState {
    /// Waits to be delivered.
    Pending,
    /// The destination has it.
    Delivered,
    /// A dead letter: the destination rejected it for good.
    Dead,
    /// A request that its plugin failed on.
    Failed,
    /// An alert that is delivered nowhere, as a rule says; or a request that has no alert.
    Ignored,
    /// A request that its plugin rejected when it was read again.
    Rejected,
    /// A member of a group, which is delivered in its place.
    Grouped,
    /// An alert that a mute kept from its destinations.
    Muted,
    /// An alert or a request that an operator gave up.
    Dismissed,
}

impl ListedState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Delivered,
        Self::Dead,
        Self::Failed,
        Self::Ignored,
        Self::Rejected,
        Self::Grouped,
        Self::Muted,
        Self::Dismissed,
    ];

    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Rejected => "rejected",
            Self::Grouped => "grouped",
            Self::Muted => "muted",
            Self::Dismissed => "dismissed",
        }
    }
}

/// One line of a list: an alert, or a request without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its place in the order of all lines: the id of the alert, or the first one that an alert of
    /// the request could have.
    #[serde(skip)]
    pub place: i64,
    /// The time the request came in: RFC 3339.
    pub received_at: String,
    /// The source; the gateway's own where it tells of itself.
    pub source: String,
    /// The state of the alert, or of the request where it has none.
    pub state: String,
    /// The request's id.
    pub request: String,
    /// The event's id; absent where the request has no alert.
    pub event_id: Option<String>,
    /// The alert's priority.
    pub priority: Option<contract::Priority>,
    /// True if the alert opens its key or closes it; absent where the request has no alert, or its
    /// content was evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<contract::Status>,
    /// The alert's title, or why there is none.
    pub title: String,
    /// The number of repeats of the event.
    pub repeated: i64,
    /// The time when it came again last: RFC 3339.
    pub last_at: Option<String>,
    /// The destinations that have accepted it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<ListedReceipt>,
    /// The reason why an alert is delivered nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A destination that has accepted an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedReceipt {
    /// The destination.
    pub destination: String,
    /// Its id of the event; empty where it gives none.
    pub receipt: String,
    /// The destination that it stands in for, where it is the fallback of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_for: Option<String>,
}

/// A kept request and all that came of it: the chain from the sender to the receipt.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Order of acceptance; the store's own number.
    #[serde(skip)]
    pub seq: i64,
    /// UUIDv7, as answered to the sender.
    pub id: String,
    /// The source.
    pub source: String,
    /// RFC 3339.
    pub received_at: String,
    /// `read`, `failed`, `rejected`, `ignored` or `dismissed`.
    pub state: String,
    /// The reason why it is not `read`.
    pub reason: Option<String>,
    /// The plugin's number in the store.
    #[serde(skip)]
    pub plugin_id: PluginId,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// SHA-256 of the plugin's wasm, in hex.
    pub plugin_sha256: String,
    /// The number of events in it that were known already.
    pub duplicates: i64,
    /// The method; empty where the request was evicted.
    pub method: String,
    /// The reason why its URL, headers and body are gone, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evicted: Option<String>,
    /// The number of places that were masked before it was stored; none where it stands as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<i64>,
    /// Its sender; absent of the gateway's own, and where it was evicted or not written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// The answer to its sender, while the gateway that runs remembers it: no store has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// The URL; it may hold a credential, so it is not for printing.
    #[serde(skip)]
    pub url: String,
    /// JSON: `[[name, value], …]`; it may hold a credential, so it is not for printing.
    #[serde(skip)]
    pub headers: String,
    /// The bytes.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// The alerts that the plugin made of it.
    pub alerts: Vec<AlertRecord>,
}

/// A kept alert.
#[derive(Debug, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Its id in the store.
    #[serde(skip)]
    pub id: i64,
    /// The source of the request, or the gateway's own where it tells of itself.
    pub source: String,
    /// The first destination that it goes to, or went to.
    pub destination: String,
    /// The least settled state of its deliveries: `pending`, `dead`, `delivered` or `dismissed`; or
    /// `ignored`, `grouped` or `muted`.
    pub state: String,
    /// The group that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupRecord>,
    /// The mute that holds it, or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<MutedBy>,
    /// The time when it is tried next: RFC 3339. Absent where it is settled, or behind another with
    /// the same key.
    pub due_at: Option<String>,
    /// The alert as the plugin made it; only its event id and priority where the rest was evicted.
    pub event: contract::Alert,
    /// The work of the operator's policy on it.
    #[serde(flatten)]
    pub under: UnderRules,
    /// The reason why what the plugin said is gone, where it is; or why the alert is delivered
    /// nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The number of repeats of the event.
    pub repeated: i64,
    /// The time when it came again last: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// The request that brought it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_request: Option<String>,
    /// The newest events of its key, where these were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_key: Option<SameKey>,
    /// One for each destination.
    pub deliveries: Vec<DeliveryRecord>,
    /// Every attempt at delivering it, wherever to, in the order of deliveries; of an evicted alert
    /// the last one of each.
    pub attempts: Vec<AttemptRecord>,
}

impl AlertRecord {
    /// Returns whether nothing is left of what it said.
    pub fn is_evicted(&self) -> bool {
        self.note.as_deref() == Some(EVICTED)
    }
}

/// The mute of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutedBy {
    /// Its number.
    pub id: i64,
    /// The reason.
    pub why: String,
    /// The operator, or `configuration`.
    pub who: String,
    /// True if it holds the alert now.
    pub holds: bool,
}

/// The group of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its number.
    pub id: i64,
    /// Its key at the destination.
    pub key: String,
    /// `open` or `resolved`.
    pub state: String,
    /// The number of its members that are kept.
    pub members: i64,
}

/// The state of a kept alert at one destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The destination.
    pub destination: String,
    /// `pending`, `dead`, `delivered` or `dismissed`.
    pub state: String,
    /// The time when it is tried next: RFC 3339. Absent where it is settled, or behind another with
    /// the same key.
    pub due_at: Option<String>,
    /// The time when its destination accepted it, or it was dismissed: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
    /// The destination that it stands in for, where it is the fallback of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_for: Option<String>,
    /// The reason for that: `late`, `rejected`; `taken` tells the fallback that the other one has
    /// the alert after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// The time since when it waits, by the store's clock: Unix milliseconds. None where it is
    /// settled, or goes to no fallback any more.
    #[serde(skip)]
    pub waits_since: Option<i64>,
    /// The fallback that gets the alert as well, where its own destination does not take it before:
    /// the configuration has it, and no store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falls_back: Option<FallsBack>,
    /// The state of its destination, while it waits for one without traffic: a running gateway
    /// knows it, and no store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<HeldUp>,
}

/// The way of an alert where its destination does not take it in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallsBack {
    /// The fallback.
    pub destination: String,
    /// The time when it goes there: RFC 3339.
    pub at: String,
}

impl FallsBack {
    /// The way of an alert that waits since a time (Unix milliseconds), where its destination has this
    /// fallback after so many seconds.
    pub fn of(fallback: &str, after_s: f64, since_ms: i64) -> Option<Self> {
        let after = Duration::try_from_secs_f64(after_s).ok()?;
        let after_ms = i64::try_from(after.as_millis()).ok()?;
        Some(Self {
            destination: fallback.to_owned(),
            at: rfc3339(since_ms.checked_add(after_ms)?),
        })
    }
}

impl AlertRecord {
    /// Tells each pending delivery its fallback, and when it goes there. `fallback` says it for a
    /// destination and the beginning of the wait. An alert goes to each destination once.
    pub fn add_fallbacks(&mut self, fallback: impl Fn(&str, i64) -> Option<FallsBack>) {
        let names: Vec<_> = self
            .deliveries
            .iter()
            .map(|one| one.destination.clone())
            .collect();
        for delivery in &mut self.deliveries {
            let since = delivery.waits_since;
            let planned = since.and_then(|since| fallback(&delivery.destination, since));
            delivery.falls_back = planned.filter(|to| !names.contains(&to.destination));
        }
    }
}

impl RequestRecord {
    /// Adds the answer to its sender, where it is remembered.
    pub fn add_answer(&mut self, answers: &Answers) {
        let id = self.id.parse::<Uuid>().ok();
        self.answered = id.and_then(|id| answers.of(id.as_u128()));
    }

    /// Returns how long its sender waited, in words: until the answer, or as far as it is stored.
    pub fn wait(&self) -> Option<String> {
        let time = |us: u64| match us {
            0..1_000_000 => format!("{:.1}\u{a0}ms", us as f64 / 1e3),
            _ => format!("{:.1}\u{a0}s", us as f64 / 1e6),
        };
        let waited = self.sender.as_ref().and_then(|sender| sender.waited_us);
        match (self.answered, waited) {
            (Some(Answered { status, after_us }), _) => Some(format!(
                "{status} after {}, once it was synced",
                time(after_us)
            )),
            (None, Some(us)) => Some(format!(
                "after the sync of what was written at {}",
                time(us)
            )),
            (None, None) => None,
        }
    }

    /// Returns the deliveries of its alerts that wait.
    pub fn waiting(&mut self) -> impl Iterator<Item = &mut DeliveryRecord> {
        let alerts = self.alerts.iter_mut();
        let deliveries = alerts.flat_map(|alert| &mut alert.deliveries);
        deliveries.filter(|one| one.state == "pending")
    }
}

/// One attempt at delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The destination.
    pub destination: String,
    /// The time when it began: RFC 3339.
    pub at: String,
    /// The time it took, in microseconds.
    pub duration_us: i64,
    /// `accepted`, `retry`, `blocked` or `rejected`; `dismissed` where an operator gave it up.
    pub outcome: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The destination's id of the event.
    pub receipt: Option<String>,
    /// The destination's word for the alert.
    pub fingerprint: Option<String>,
    /// The reason why it was not accepted.
    pub said: Option<String>,
}

const REQUEST: &str = "SELECT r.seq, r.id, s.name, r.received_at, r.state, r.reason, p.name, p.version, p.sha256, r.duplicates,
        p.id, b.method, b.url, b.headers, b.body, b.redacted, b.proved
    FROM requests r JOIN plugins p ON p.id = r.plugin JOIN sources s ON s.id = r.source LEFT JOIN bodies b ON b.seq = r.seq";

impl History {
    pub(super) fn beside(location: &Location) -> Result<Self, StoreError> {
        let connection = location.reads()?;
        Ok(Self { connection })
    }

    /// Opens a store, whether or not a gateway has it open. A file is looked at first, as it may be
    /// anything.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none, [`StoreError::Unusable`] where it is no store.
    pub fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        let connection = location.into().looks()?;
        Ok(Self { connection })
    }

    /// The newest lines that fit the filter, newest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Line>, StoreError> {
        Ok(self.page(filter)?.lines)
    }

    /// The number of events in each state that fit a filter without labels and text, as far as its
    /// patience lasts.
    ///
    /// # Errors
    /// What the disk said.
    pub fn counts(&self, filter: &Filter) -> Result<Vec<Count>, StoreError> {
        counts::counts(&self.connection, filter)
    }

    /// A page of the lines that fit the filter, newest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn page(&self, filter: &Filter) -> Result<Page, StoreError> {
        list::page(&self.connection, filter)
    }

    /// The steps by which SQLite reads a window of a list.
    #[cfg(test)]
    pub fn plan(&self, filter: &Filter) -> Result<Vec<String>, StoreError> {
        list::plan(&self.connection, filter)
    }

    /// Returns the actions of operators that came before number `before`, newest first, at most
    /// `limit`, each with its number.
    ///
    /// # Errors
    /// What the disk said.
    pub fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Entry)>, StoreError> {
        audit::list(&self.connection, before, limit)
    }

    /// Sets the time that every question from now on may take together.
    ///
    /// # Errors
    /// SQLite's.
    pub fn hurry(&mut self, within: Duration) -> Result<(), StoreError> {
        self.connection.hurry(within)
    }

    /// Returns the mutes, newest first; without `all`, those that hold now, or will.
    ///
    /// # Errors
    /// What the disk said.
    pub fn mutes(&self, all: bool) -> Result<Vec<MuteRecord>, StoreError> {
        let mut mutes = mutes::list(&self.connection, true)?;
        mutes.retain(|mute| all || mute.holds || (mute.name.is_none() && mute.ended_ms.is_none()));
        Ok(mutes)
    }

    /// Returns the first place and the time of receipt of the request that has `behind` newer ones;
    /// none where there are fewer.
    ///
    /// # Errors
    /// What the disk said.
    pub fn place_behind(&self, behind: usize) -> Result<Option<(i64, String)>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT seq, received_at FROM requests ORDER BY seq DESC LIMIT 1 OFFSET ?",
        )?;
        let found = select.query_row([behind as i64], |row| {
            let [place, _] = alert_ids(row.get(0)?);
            Ok((place, rfc3339(row.get(1)?)))
        });
        Ok(found.optional()?)
    }

    /// The requests that `id` names: one by its own id; or those that hold an event with that id,
    /// one for each source; or the one whose event the request with that id brought again last.
    ///
    /// # Errors
    /// What the disk said.
    pub fn find(&self, id: &str) -> Result<Vec<RequestRecord>, StoreError> {
        let seqs = named(&self.connection, id)?;
        let mut requests = Vec::new();
        for seq in seqs {
            requests.extend(self.chain(seq)?);
        }
        Ok(requests)
    }

    /// A request by its number, with all that came of it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn chain(&self, seq: i64) -> Result<Option<RequestRecord>, StoreError> {
        let Some(mut request) = self.request(seq)? else {
            return Ok(None);
        };
        request.alerts = self.alerts(seq)?;
        Ok(Some(request))
    }

    /// A request by its number, without its alerts.
    ///
    /// # Errors
    /// What the disk said.
    pub fn request(&self, seq: i64) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self
            .connection
            .query_row(&format!("{REQUEST} WHERE r.seq = ?"), [seq], request)
            .optional()?)
    }

    /// The alert at a place of a list.
    ///
    /// # Errors
    /// What the disk said.
    pub fn alert(&self, place: i64) -> Result<Option<AlertRecord>, StoreError> {
        Ok(self.alerts_between([place, place])?.pop())
    }

    fn alerts(&self, seq: i64) -> Result<Vec<AlertRecord>, StoreError> {
        self.alerts_between(alert_ids(seq))
    }

    fn alerts_between(&self, ids: [i64; 2]) -> Result<Vec<AlertRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.id, s.name, a.event_id, e.json, a.priority, a.ignored, t.times, t.last_at, t.last_request,
                    g.id, g.key, CASE WHEN g.look_at IS NULL THEN 'resolved' ELSE 'open' END, (SELECT count(*) FROM members WHERE grp = g.id),
                    u.id, u.why, u.who, x.held IS NOT NULL
             FROM alerts a JOIN sources s ON s.id = a.source LEFT JOIN events e ON e.alert = a.id
             LEFT JOIN repeats t ON t.alert = a.id LEFT JOIN members m ON m.alert = a.id LEFT JOIN groups g ON g.id = m.grp
             LEFT JOIN muted x ON x.alert = a.id LEFT JOIN mutes u ON u.id = x.mute
             WHERE a.id BETWEEN ? AND ? ORDER BY a.id",
        )?;
        let rows = statement.query_map(ids, |row| {
            let event_id: StoredEventId = row.get(2)?;
            let evicted = matches!(row.get_ref(3)?, rusqlite::types::ValueRef::Null);
            let ignored: Option<String> = row.get(5)?;
            let group = match row.get::<_, Option<i64>>(9)? {
                Some(id) => Some(GroupRecord {
                    id,
                    key: row.get(10)?,
                    state: row.get(11)?,
                    members: row.get(12)?,
                }),
                None => None,
            };
            let mute = muted_by(row, 13)?;
            let alert = AlertRecord {
                id: row.get(0)?,
                source: row.get(1)?,
                destination: String::new(),
                state: match (&group, &mute) {
                    _ if ignored.is_some() => "ignored",
                    (Some(_), _) => "grouped",
                    (None, Some(_)) => "muted",
                    (None, None) => "delivered",
                }
                .to_owned(),
                group,
                mute,
                due_at: None,
                event: event(row, 3, &event_id.shown(), row.get(4)?),
                under: super::json(row, 3).unwrap_or_default(),
                note: ignored.or_else(|| evicted.then(|| EVICTED.to_owned())),
                repeated: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
                last_at: row.get::<_, Option<i64>>(7)?.map(rfc3339),
                last_request: row
                    .get::<_, Option<Vec<u8>>>(8)?
                    .map(|id| request_id_text(&id)),
                same_key: None,
                deliveries: Vec::new(),
                attempts: Vec::new(),
            };
            Ok(alert)
        })?;
        rows.map(|row| {
            let mut alert = row?;
            self.settled(alert.id, &mut alert)?;
            Ok(alert)
        })
        .collect()
    }

    /// Returns the number of the group of an alert, and the mute that holds it or did.
    ///
    /// # Errors
    /// What the disk said.
    pub fn quiet(&self, alert: i64) -> Result<(Option<i64>, Option<MutedBy>), StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT (SELECT grp FROM members WHERE alert = ?1), u.id, u.why, u.who, x.held IS NOT NULL
             FROM (SELECT 1 AS one) o LEFT JOIN muted x ON x.alert = ?1 LEFT JOIN mutes u ON u.id = x.mute",
        )?;
        Ok(select.query_row([alert], |row| Ok((row.get(0)?, muted_by(row, 1)?)))?)
    }

    /// Where an alert stands with each of its destinations.
    ///
    /// # Errors
    /// What the disk said.
    pub fn deliveries(&self, alert: i64) -> Result<Vec<DeliveryRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "WITH deliveries AS (
                 SELECT id, destination, 'pending' AS state, due_at, CASE WHEN fell_back <> 1 THEN since END AS since, CAST(NULL AS INTEGER) AS settled
                     FROM queue WHERE id BETWEEN ?1 AND ?2
                 UNION ALL SELECT id, destination, 'dead', NULL, NULL, NULL FROM dead WHERE id BETWEEN ?1 AND ?2
                 UNION ALL SELECT delivery, destination, CASE WHEN outcome = 'dismissed' THEN outcome ELSE 'delivered' END, NULL, NULL, at + duration / 1000 FROM attempts t
                     WHERE delivery BETWEEN ?1 AND ?2 AND delivery NOT IN (SELECT id FROM queue WHERE id BETWEEN ?1 AND ?2)
                     AND delivery NOT IN (SELECT id FROM dead WHERE id BETWEEN ?1 AND ?2)
                     AND n = (SELECT max(n) FROM attempts l WHERE l.delivery = t.delivery))
             SELECT d.name, state, due_at, o.name, f.reason, since, settled FROM deliveries x JOIN destinations d ON d.id = x.destination
             LEFT JOIN fallbacks f ON f.id = x.id LEFT JOIN destinations o ON o.id = f.destination ORDER BY x.id",
        )?;
        let rows = statement.query_map(delivery_ids(alert), |row| {
            let due_at = row.get::<_, Option<i64>>(2)?.map(rfc3339);
            Ok(DeliveryRecord {
                destination: row.get(0)?,
                state: row.get(1)?,
                due_at,
                fallback_for: row.get(3)?,
                fallback_reason: row.get(4)?,
                waits_since: row.get(5)?,
                settled_at: row.get::<_, Option<i64>>(6)?.map(rfc3339),
                falls_back: None,
                held_up: None,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds where an alert stands with each of its destinations, and its attempts.
    fn settled(&self, id: i64, alert: &mut AlertRecord) -> Result<(), StoreError> {
        alert.deliveries = self.deliveries(id)?;
        if let Some(first) = alert.deliveries.first() {
            alert.destination.clone_from(&first.destination);
        }
        for state in ["delivered", "dismissed", "dead", "pending"] {
            if alert
                .deliveries
                .iter()
                .any(|delivery| delivery.state == state)
            {
                state.clone_into(&mut alert.state);
            }
        }
        // Nothing is evicted that is not delivered.
        if matches!(alert.state.as_str(), "dead" | "pending")
            && alert.note.as_deref() == Some(EVICTED)
        {
            (alert.note, alert.event.title) = (None, MISSING.to_owned());
        }
        alert.due_at = alert
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.due_at.clone())
            .min();
        alert.attempts = self.attempts(delivery_ids(id))?;
        Ok(())
    }

    fn attempts(&self, deliveries: [i64; 2]) -> Result<Vec<AttemptRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at, duration, outcome, status, receipt, fingerprint, said, name FROM attempts t
             JOIN destinations d ON d.id = t.destination WHERE delivery BETWEEN ? AND ? ORDER BY delivery, n",
        )?;
        let rows = statement.query_map(deliveries, attempt)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Reads the columns of an attempt, which are the first, in the order of these.
fn attempt(row: Row<'_>) -> rusqlite::Result<AttemptRecord> {
    Ok(AttemptRecord {
        at: rfc3339(row.get(0)?),
        duration_us: row.get(1)?,
        outcome: row.get(2)?,
        status: row.get(3)?,
        receipt: row.get(4)?,
        fingerprint: row.get(5)?,
        said: row.get(6)?,
        destination: row.get(7)?,
    })
}

/// Returns the numbers of the requests that an id names, in order.
fn named(connection: &Connection, id: &str) -> Result<Vec<i64>, StoreError> {
    let stored = request_id(id);
    let one = |sql: &str| -> Result<Option<i64>, StoreError> {
        Ok(connection
            .prepare_cached(sql)?
            .query_row([&stored], |row| row.get(0))
            .optional()?)
    };
    let mut seqs: Vec<i64> = one("SELECT seq FROM requests WHERE id = ?")?
        .into_iter()
        .collect();
    seqs.extend(identities::requests_of(connection, id)?);
    // Repeats have no index by their request: they are looked through for nothing but such an id.
    if seqs.is_empty() && id.parse::<Uuid>().is_ok() {
        let sql = "SELECT alert / 1024 FROM repeats WHERE last_request = ?";
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement.query_map([&stored], |row| row.get::<_, i64>(0))?;
        seqs.extend(found.flatten());
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

/// The event in column `index`; where it was evicted, or is none, one that says so, as a list must
/// not end at a bad row.
fn event(row: Row<'_>, index: usize, event_id: &str, rank: i64) -> contract::Alert {
    let stand_in = |title: String| {
        let priority = super::due::priority(rank);
        contract::Alert::new(event_id, priority, title)
    };
    match row.get_ref(index) {
        Ok(rusqlite::types::ValueRef::Null) => stand_in("(evicted)".to_owned()),
        _ => super::json(row, index).unwrap_or_else(|error| {
            stand_in(format!(
                "this event cannot be read ({error}): see `alert-gateway store check`"
            ))
        }),
    }
}

/// Returns the mute whose number, reason, author and hold stand from column `first` on.
fn muted_by(row: Row<'_>, first: usize) -> rusqlite::Result<Option<MutedBy>> {
    let Some(id) = row.get(first)? else {
        return Ok(None);
    };
    Ok(Some(MutedBy {
        id,
        why: row.get(first + 1)?,
        who: row.get(first + 2)?,
        holds: row.get(first + 3)?,
    }))
}

fn request(row: Row<'_>) -> rusqlite::Result<RequestRecord> {
    let method: Option<String> = row.get(11)?;
    Ok(RequestRecord {
        seq: row.get(0)?,
        id: request_id_text(row.get_ref(1)?.as_blob()?),
        source: row.get(2)?,
        received_at: rfc3339(row.get(3)?),
        state: row.get(4)?,
        reason: row.get(5)?,
        plugin_id: PluginId(row.get(10)?),
        plugin: row.get(6)?,
        plugin_version: row.get(7)?,
        plugin_sha256: row.get(8)?,
        duplicates: row.get(9)?,
        evicted: method.is_none().then(|| EVICTED.to_owned()),
        method: method.unwrap_or_default(),
        redacted: row.get(15)?,
        // A list must not end at a bad row.
        sender: super::json(row, 16).ok(),
        answered: None,
        url: row.get::<_, Option<_>>(12)?.unwrap_or_default(),
        headers: row.get::<_, Option<_>>(13)?.unwrap_or_default(),
        body: row.get::<_, Option<_>>(14)?.unwrap_or_default(),
        alerts: Vec::new(),
    })
}
