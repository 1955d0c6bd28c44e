//! The state of all at one look. Each question costs the same whatever is stored: it reads counts
//! that are kept in step, small tables, or a bounded number of rows.

use plugin_sdk::contract;

use crate::store::sql::Row;
use serde::Serialize;

use super::{AttemptRecord, History};
use crate::clock::rfc3339;
use crate::store::ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, request_id_text};
use crate::store::totals::Totals;
use crate::store::{Node, StoreError, shared};

/// Pending deliveries that are looked at. Beyond them, what waits for a destination is at least so
/// much.
const BACKLOG: i64 = 10_000;

/// Attempts among which last receipts are looked for.
const RECEIPTS: i64 = 1_000;

/// The pending deliveries among which one that nobody has is looked for.
const STUCK: i64 = 500;

/// The pending deliveries of one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// The destination.
    pub destination: String,
    /// The number of them among the oldest [`BACKLOG`] of all destinations.
    pub pending: i64,
    /// The time when the oldest of them was received: RFC 3339.
    pub oldest: String,
    /// The time since when the first of them waits that has not gone to a fallback, by the store's
    /// clock: Unix milliseconds.
    #[serde(skip)]
    pub waits_since: Option<i64>,
}

/// A source, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceRecord {
    /// Its name.
    pub name: String,
    /// Its failed requests.
    pub failed: i64,
    /// The time when it was heard last, as far as that is on disk: Unix milliseconds.
    pub last_seen: Option<i64>,
}

/// An internal alert that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenCondition {
    /// Its key: topic, and mostly the name of a source or destination.
    pub key: String,
    /// The destination that received it.
    pub destination: String,
    /// The time when it was raised: Unix milliseconds.
    pub since_ms: i64,
}

/// An attempt at delivery, with the request that brought its alert.
#[derive(Debug, Clone, Serialize)]
pub struct Attempted {
    /// The request's id.
    pub request: String,
    /// The alert's title; none where it was evicted.
    pub title: Option<String>,
    /// The attempt.
    #[serde(flatten)]
    pub attempt: AttemptRecord,
}

impl History {
    /// The number of deliveries in each state, and of failed requests.
    ///
    /// # Errors
    /// What the disk said.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        Totals::read(&self.connection)
    }

    /// The gateways that share the store; none where it is a file.
    ///
    /// # Errors
    /// What the database said.
    pub fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        shared::nodes(&self.connection)
    }

    /// The pending deliveries of each destination, among the oldest of all; and whether there are
    /// more than were looked at.
    ///
    /// # Errors
    /// What the disk said.
    pub fn backlog(&self) -> Result<(Vec<Backlog>, bool), StoreError> {
        let per_request = (ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64;
        let mut statement = self.connection.prepare_cached(
            "SELECT d.name, q.n, (SELECT received_at FROM requests r WHERE r.seq = q.oldest / ?2), q.since
             FROM (SELECT destination, count(*) AS n, min(id) AS oldest, min(CASE WHEN fell_back <> 1 THEN since END) AS since
                   FROM (SELECT id, destination, since, fell_back FROM queue ORDER BY id LIMIT ?1) oldest GROUP BY destination) q
             JOIN destinations d ON d.id = q.destination ORDER BY d.name",
        )?;
        let rows = statement.query_map([BACKLOG, per_request], |row| {
            Ok(Backlog {
                destination: row.get(0)?,
                pending: row.get(1)?,
                oldest: rfc3339(row.get::<_, Option<i64>>(2)?.unwrap_or_default()),
                waits_since: row.get(3)?,
            })
        })?;
        let backlog: Vec<_> = rows.collect::<Result<_, _>>()?;
        let seen: i64 = backlog.iter().map(|backlog| backlog.pending).sum();
        Ok((backlog, seen >= BACKLOG))
    }

    /// Dead letters by destination.
    ///
    /// # Errors
    /// What the disk said.
    pub fn dead(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "SELECT name, count(*) FROM (SELECT destination FROM dead LIMIT ?) q
                   JOIN destinations d ON d.id = q.destination GROUP BY name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([BACKLOG], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every source that the store has met.
    ///
    /// # Errors
    /// What the disk said.
    pub fn sources(&self) -> Result<Vec<SourceRecord>, StoreError> {
        let sql = "SELECT name, failed, last_seen FROM sources ORDER BY name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(SourceRecord {
                name: row.get(0)?,
                failed: row.get(1)?,
                last_seen: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every internal alert that is open, oldest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn conditions(&self) -> Result<Vec<OpenCondition>, StoreError> {
        let sql = "SELECT key, destination, told_at FROM conditions ORDER BY told_at, key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(OpenCondition {
                key: row.get(0)?,
                destination: row.get(1)?,
                since_ms: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The attempts at the youngest deliveries, the youngest attempt first, at most `limit`.
    ///
    /// # Errors
    /// What the disk said.
    pub fn attempted(&self, limit: usize) -> Result<Vec<Attempted>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT t.at, t.duration, t.outcome, t.status, t.receipt, t.fingerprint, t.said, d.name, r.id, e.json
             FROM (SELECT * FROM attempts ORDER BY delivery DESC, n DESC LIMIT ?) t
             JOIN destinations d ON d.id = t.destination JOIN requests r ON r.seq = t.delivery / 16384
             LEFT JOIN events e ON e.alert = t.delivery / 16",
        )?;
        let rows = statement.query_map([limit as i64], |row| {
            Ok((row.get::<_, i64>(0)?, attempted(row)?))
        })?;
        let mut attempts: Vec<(i64, Attempted)> = rows.collect::<Result<_, _>>()?;
        attempts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Ok(attempts.into_iter().map(|(_, attempt)| attempt).collect())
    }
}

impl History {
    /// The time of the last receipt of each destination, by its name, among the youngest
    /// [`RECEIPTS`] attempts: RFC 3339.
    ///
    /// # Errors
    /// What the disk said.
    pub fn last_receipts(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT d.name, max(t.at) FROM (SELECT at, outcome, destination FROM attempts ORDER BY delivery DESC, n DESC LIMIT ?) t
             JOIN destinations d ON d.id = t.destination WHERE t.outcome = 'accepted' GROUP BY d.name",
        )?;
        let rows = statement.query_map([RECEIPTS], |row| {
            Ok((
                row.get(0)?,
                rfc3339(row.get::<_, Option<i64>>(1)?.unwrap_or_default()),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl History {
    /// Returns whether one of the oldest pending alerts was received before `before_ms`, and no
    /// destination has it, nor a fallback.
    ///
    /// # Errors
    /// What the disk said.
    pub fn is_stuck(&self, before_ms: i64) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM (SELECT id / 16 AS alert FROM queue ORDER BY id LIMIT ?) q
             JOIN requests r ON r.seq = q.alert / 1024
             WHERE r.received_at < ? AND NOT EXISTS (SELECT 1 FROM attempts t
                 WHERE t.delivery >= q.alert * 16 AND t.delivery < q.alert * 16 + 16 AND t.outcome = 'accepted')",
        )?;
        let found: i64 = statement.query_row([STUCK, before_ms], |row| row.get(0))?;
        Ok(found > 0)
    }
}

fn attempted(row: Row<'_>) -> rusqlite::Result<Attempted> {
    Ok(Attempted {
        request: request_id_text(row.get_ref(8)?.as_blob()?),
        title: crate::store::json::<contract::Alert>(row, 9)
            .ok()
            .map(|alert| alert.title),
        attempt: super::attempt(row)?,
    })
}
