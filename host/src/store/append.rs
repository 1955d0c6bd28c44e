//! Keeping a request and the alerts made of it.

use hyper::body::Bytes;
use rusqlite::params;

use super::own::{self, Notice};
use super::writer::Step;
use super::{ALERTS_PER_REQUEST, StoreError, alert_ids};
use crate::alert::Alert;

/// A request to keep, as it came in.
#[derive(Debug)]
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
    /// The bytes.
    pub body: Bytes,
    /// Which plugin read it.
    pub plugin: PluginId,
}

/// What came of reading a request.
#[derive(Debug)]
pub enum Reading {
    /// The alerts in it, oldest first; fewer than [`ALERTS_PER_REQUEST`], as the last place is the gateway's own.
    Alerts(Vec<NewAlert>),
    /// The plugin failed: the request is kept raw until it is replayed.
    Failed(Failure),
    /// Only after a replay: the plugin, mended, says that the sender did not prove itself.
    Rejected(String),
    /// Only after a replay: the plugin, mended, says that nobody needs to know.
    Ignored(String),
}

/// Why a request could not be read.
#[derive(Debug)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// What is told of it, where it is news.
    pub notice: Option<Box<Notice>>,
}

/// An alert to keep.
#[derive(Debug)]
pub struct NewAlert {
    event_id: String,
    destination: String,
    lane: i64,
    json: String,
}

/// The number of a plugin in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginId(pub(super) i64);

/// Which wasm, exactly.
#[derive(Debug, Clone)]
pub struct PluginRecord {
    /// The plugin's name.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// SHA-256 of the wasm, in hex.
    pub sha256: String,
}

/// What an append came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Alerts that are new, and will be delivered.
    pub accepted: usize,
    /// Alerts whose event id the source has sent before.
    pub duplicates: usize,
}

impl NewAlert {
    /// Prepares an alert for the store, outside the writer's thread.
    ///
    /// # Errors
    /// Where the alert does not become JSON, which no alert that came from JSON does.
    pub fn new(alert: &Alert, destination: &str) -> Result<Self, serde_json::Error> {
        Ok(Self {
            event_id: alert.event.event_id.clone(),
            destination: destination.to_owned(),
            lane: lane(alert),
            json: serde_json::to_string(&alert.event)?,
        })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.event_id.capacity() + self.destination.capacity() + self.json.capacity()
    }
}

impl Reading {
    /// How many bytes it holds, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Alerts(alerts) => alerts.iter().map(NewAlert::bytes).sum(),
            // The notice of a failure says little more than its reason.
            Self::Failed(failure) => failure.reason.len(),
            Self::Rejected(reason) | Self::Ignored(reason) => reason.len(),
        }
    }
}

/// 64 bits that say which alerts are delivered in order: the first half of the fingerprint. Two keys that share a lane by
/// chance merely wait for each other.
fn lane(alert: &Alert) -> i64 {
    let fingerprint = alert.fingerprint();
    u64::from_str_radix(&fingerprint[..16], 16).unwrap_or_default().cast_signed()
}

pub fn append(
    mut step: Step<'_>,
    request: &NewRequest,
    reading: &Reading,
    now_ms: i64,
) -> Result<Appended, StoreError> {
    let seq = *step.next_seq;
    *step.next_seq += 1;
    let (state, reason) = reading.state();
    step.transaction
        .prepare_cached(
            "INSERT INTO requests (seq, id, source, received_at, state, reason, plugin, duplicates, method, url, headers, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            seq,
            request.id,
            request.source,
            request.received_at,
            state,
            reason,
            request.plugin.0,
            request.method,
            request.url,
            request.headers,
            &request.body[..],
        ])?;
    if let Reading::Failed(failure) = reading {
        step.totals.failed += 1;
        own::failed(&mut step, seq, &request.source, failure.notice.as_deref(), now_ms)?;
    }
    keep_alerts(&mut step, seq, &request.source, now_ms, reading)
}

/// Adds what was read from request `seq` to it; the alerts are due at `now_ms`.
pub fn keep_alerts(
    step: &mut Step<'_>,
    seq: i64,
    source: &str,
    now_ms: i64,
    reading: &Reading,
) -> Result<Appended, StoreError> {
    let Reading::Alerts(alerts) = reading else { return Ok(Appended { accepted: 0, duplicates: 0 }) };
    let [first, _] = alert_ids(seq);
    let mut accepted = 0;
    for (id, alert) in (first..).zip(alerts.iter().take(ALERTS_PER_REQUEST - 1)) {
        accepted += usize::from(insert(step, id, source, alert, now_ms)?);
    }
    let duplicates = alerts.len() - accepted;
    if duplicates > 0 {
        step.transaction
            .prepare_cached("UPDATE requests SET duplicates = ? WHERE seq = ?")?
            .execute(params![duplicates as i64, seq])?;
    }
    step.totals.pending += accepted as i64;
    Ok(Appended { accepted, duplicates })
}

/// Adds one alert, which is due now unless another of its lane is before it. Says whether it is new.
pub fn insert(step: &Step<'_>, id: i64, source: &str, alert: &NewAlert, now_ms: i64) -> Result<bool, StoreError> {
    let new = step
        .transaction
        .prepare_cached(
            "INSERT INTO alerts (id, source, event_id, destination, lane, state, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending',
                     CASE WHEN EXISTS (SELECT 1 FROM alerts WHERE lane = ?5 AND destination = ?4 AND state = 'pending')
                          THEN NULL ELSE ?6 END)
             ON CONFLICT (event_id, source) DO NOTHING",
        )?
        .execute(params![id, source, alert.event_id, alert.destination, alert.lane, now_ms])?;
    if new > 0 {
        let mut event = step.transaction.prepare_cached("INSERT INTO events (alert, json) VALUES (?, ?)")?;
        event.execute(params![id, alert.json])?;
    }
    Ok(new > 0)
}

pub fn plugin(step: &Step<'_>, plugin: &PluginRecord) -> Result<PluginId, StoreError> {
    let id = step.transaction.query_row(
        "INSERT INTO plugins (sha256, name, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (sha256, name) DO UPDATE SET version = ?3 RETURNING id",
        params![plugin.sha256, plugin.name, plugin.version],
        |row| row.get(0),
    )?;
    Ok(PluginId(id))
}

impl Reading {
    /// The words for `requests.state` and `requests.reason`.
    pub fn state(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Alerts(_) => ("read", None),
            Self::Failed(failure) => ("failed", Some(&failure.reason)),
            Self::Rejected(reason) => ("rejected", Some(reason)),
            Self::Ignored(reason) => ("ignored", Some(reason)),
        }
    }
}

/// A failure of which nothing is told.
impl<T: Into<String>> From<T> for Failure {
    fn from(reason: T) -> Self {
        Self { reason: reason.into(), notice: None }
    }
}
