//! What happened: for the operator who asks "did the page go out?".

use std::path::Path;

use plugin_sdk::contract;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{PluginId, StoreError, alert_ids, schema};

/// A connection that reads what happened. It waits for nobody and holds nobody up.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

/// Which lines a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this source.
    pub source: Option<String>,
    /// Only this state.
    pub state: Option<ListedState>,
    /// Only what was received at or after this: Unix milliseconds.
    pub since_ms: i64,
    /// At most so many, newest first.
    pub limit: usize,
}

/// The states that a list can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedState {
    /// Waits to be delivered.
    Pending,
    /// The destination has it.
    Delivered,
    /// The destination will not have it.
    SetAside,
    /// A request kept raw because its plugin failed.
    Failed,
}

/// One line of a list: an alert, or a request without one.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// When the request came in: RFC 3339.
    pub received_at: String,
    /// The source; the gateway's own where it tells of itself.
    pub source: String,
    /// The state of the alert, or of the request where it has none.
    pub state: String,
    /// The request's id.
    pub request: String,
    /// The event's id; absent where the request has no alert.
    pub event_id: Option<String>,
    /// How urgent it is.
    pub priority: Option<contract::Priority>,
    /// The alert's title, or why there is none.
    pub title: String,
}

/// A kept request and all that came of it: the chain from the sender to the receipt.
#[derive(Debug, Serialize)]
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
    /// `read`, `failed`, `rejected` or `ignored`.
    pub state: String,
    /// Why it is not `read`.
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
    /// How many events in it were known already.
    pub duplicates: i64,
    /// The method.
    pub method: String,
    /// The URL; it may hold a credential, so it is not for printing.
    #[serde(skip)]
    pub url: String,
    /// JSON: `[[name, value], …]`; it may hold a credential, so it is not for printing.
    #[serde(skip)]
    pub headers: String,
    /// The bytes.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// What the plugin made of it.
    pub alerts: Vec<AlertRecord>,
}

/// A kept alert.
#[derive(Debug, Serialize)]
pub struct AlertRecord {
    /// The source of the request, or the gateway's own where it tells of itself.
    pub source: String,
    /// Where it goes.
    pub destination: String,
    /// `pending`, `delivered` or `set_aside`.
    pub state: String,
    /// When it is tried next: RFC 3339. Absent where it is settled, or behind another with the same key.
    pub due_at: Option<String>,
    /// What the plugin said.
    pub event: contract::Alert,
    /// Every attempt at delivering it.
    pub attempts: Vec<AttemptRecord>,
}

/// One attempt at delivery.
#[derive(Debug, Serialize)]
pub struct AttemptRecord {
    /// When it began: RFC 3339.
    pub at: String,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// `accepted`, `later`, `blocked` or `refused`.
    pub outcome: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The destination's id of the event.
    pub receipt: Option<String>,
    /// The destination's word for the alert.
    pub fingerprint: Option<String>,
    /// Why it was not accepted.
    pub said: Option<String>,
}

const REQUEST: &str = "SELECT r.seq, r.id, r.source, r.received_at, r.state, r.reason, p.name, p.version, p.sha256,
    r.duplicates, r.method, r.url, r.headers, r.body, p.id FROM requests r JOIN plugins p ON p.id = r.plugin";

impl History {
    pub(super) fn open_file(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: schema::open_reader(path)? })
    }

    /// Opens the store of `data_dir`, whether or not a gateway has it open.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_file(&super::file(data_dir))
    }

    /// The newest lines that fit the filter, newest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Line>, StoreError> {
        // The states are written out, so that SQLite can use the index that holds only those rows.
        let (from, order) = match filter.state {
            None => ("requests r LEFT JOIN alerts a ON a.id BETWEEN r.seq * 1024 AND r.seq * 1024 + 1023", "r.seq"),
            Some(ListedState::Failed) => ("requests r LEFT JOIN alerts a ON 0 WHERE r.state = 'failed'", "r.seq"),
            Some(ListedState::Pending) => (PENDING, "a.id"),
            Some(ListedState::SetAside) => (SET_ASIDE, "a.id"),
            Some(ListedState::Delivered) => (DELIVERED, "a.id"),
        };
        let and = if from.contains("WHERE") { "AND" } else { "WHERE" };
        let sql = format!(
            "SELECT r.received_at, coalesce(a.source, r.source), coalesce(a.state, r.state), r.id, a.event_id, r.reason,
                    r.duplicates, (SELECT json FROM events e WHERE e.alert = a.id), r.source, r.state,
                    a.source <> r.source AND NOT EXISTS (SELECT 1 FROM alerts b WHERE b.id >= r.seq * 1024 AND b.id < a.id)
             FROM {from} {and} r.received_at >= ?1 AND (?2 IS NULL OR r.source = ?2 OR a.source = ?2)
             ORDER BY {order} DESC LIMIT ?3"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params![filter.since_ms, filter.source, filter.limit as i64])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let told = line(row)?;
            // The one alert of this request is the gateway's own, so the request has a line beside it.
            let bare = row.get::<_, Option<bool>>(10)? == Some(true) && filter.state.is_none();
            if bare && filter.source.as_ref().is_none_or(|source| *source != told.source) {
                let beside =
                    Line { source: row.get(8)?, state: row.get(9)?, event_id: None, priority: None, ..told.clone() };
                let title = without_alert(row)?;
                lines.extend([told, Line { title, ..beside }]);
            } else {
                lines.push(told);
            }
        }
        lines.truncate(filter.limit);
        Ok(lines)
    }

    /// The requests that `id` names: one by its own id, or those that hold an event with that id (one for each source).
    ///
    /// # Errors
    /// What the disk said.
    pub fn find(&self, id: &str) -> Result<Vec<RequestRecord>, StoreError> {
        let sql = format!(
            "{REQUEST} WHERE r.id = ?1 OR r.seq IN (SELECT a.id / 1024 FROM alerts a WHERE a.event_id = ?1) ORDER BY r.seq"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut requests: Vec<_> = statement.query_map([id], request)?.collect::<Result<_, _>>()?;
        for request in &mut requests {
            request.alerts = self.alerts(request.seq)?;
        }
        Ok(requests)
    }

    /// A request by its number, without its alerts.
    ///
    /// # Errors
    /// What the disk said.
    pub fn request(&self, seq: i64) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.connection.query_row(&format!("{REQUEST} WHERE r.seq = ?"), [seq], request).optional()?)
    }

    fn alerts(&self, seq: i64) -> Result<Vec<AlertRecord>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT a.id, a.destination, a.state, a.due_at, e.json, a.event_id, a.source
             FROM alerts a LEFT JOIN events e ON e.alert = a.id WHERE a.id BETWEEN ? AND ? ORDER BY a.id",
        )?;
        let rows = statement.query_map(alert_ids(seq), |row| {
            let alert = AlertRecord {
                source: row.get(6)?,
                destination: row.get(1)?,
                state: row.get(2)?,
                due_at: row.get::<_, Option<i64>>(3)?.map(super::rfc3339),
                event: event(row, 4, &row.get::<_, String>(5)?),
                attempts: Vec::new(),
            };
            Ok((row.get::<_, i64>(0)?, alert))
        })?;
        rows.map(|row| {
            let (id, mut alert) = row?;
            alert.attempts = self.attempts(id)?;
            Ok(alert)
        })
        .collect()
    }

    fn attempts(&self, alert: i64) -> Result<Vec<AttemptRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at, duration, outcome, status, receipt, fingerprint, said FROM attempts WHERE alert = ? ORDER BY n",
        )?;
        let rows = statement.query_map([alert], |row| {
            Ok(AttemptRecord {
                at: super::rfc3339(row.get(0)?),
                duration_us: row.get(1)?,
                outcome: row.get(2)?,
                status: row.get(3)?,
                receipt: row.get(4)?,
                fingerprint: row.get(5)?,
                said: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

const PENDING: &str = "alerts a JOIN requests r ON r.seq = a.id / 1024 WHERE a.state = 'pending'";
const SET_ASIDE: &str = "alerts a JOIN requests r ON r.seq = a.id / 1024 WHERE a.state = 'set_aside'";
const DELIVERED: &str = "alerts a JOIN requests r ON r.seq = a.id / 1024 WHERE a.state = 'delivered'";

/// The event in column `index`; where it is none, one that says so, as a list must not end at a bad row.
fn event(row: &Row<'_>, index: usize, event_id: &str) -> contract::Alert {
    super::event(row, index).unwrap_or_else(|error| {
        let title = format!("this event cannot be read ({error}): see `alert-gateway store check`");
        contract::Alert::new(event_id, contract::Priority::High, title)
    })
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    let event = row.get::<_, Option<String>>(4)?.map(|event_id| event(row, 7, &event_id));
    let title = match &event {
        Some(event) => event.title.clone(),
        None => without_alert(row)?,
    };
    Ok(Line {
        received_at: super::rfc3339(row.get(0)?),
        source: row.get(1)?,
        state: row.get(2)?,
        request: row.get(3)?,
        event_id: row.get(4)?,
        priority: event.map(|event| event.priority),
        title,
    })
}

/// What stands in the place of a title where a request has no alert.
fn without_alert(row: &Row<'_>) -> rusqlite::Result<String> {
    let duplicates: i64 = row.get(6)?;
    Ok(match row.get::<_, Option<String>>(5)? {
        Some(reason) => reason,
        None if duplicates > 0 => format!("nothing new: {duplicates} known already"),
        None => "no alerts".to_owned(),
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<RequestRecord> {
    Ok(RequestRecord {
        seq: row.get(0)?,
        id: row.get(1)?,
        source: row.get(2)?,
        received_at: super::rfc3339(row.get(3)?),
        state: row.get(4)?,
        reason: row.get(5)?,
        plugin_id: PluginId(row.get(14)?),
        plugin: row.get(6)?,
        plugin_version: row.get(7)?,
        plugin_sha256: row.get(8)?,
        duplicates: row.get(9)?,
        method: row.get(10)?,
        url: row.get(11)?,
        headers: row.get(12)?,
        body: row.get(13)?,
        alerts: Vec::new(),
    })
}
