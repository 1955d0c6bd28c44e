//! The open alerts: those that nothing has resolved, among the newest.

use std::collections::HashSet;

use plugin_sdk::contract::{Priority, Status};
use serde::Deserialize;

use super::History;
use crate::clock::rfc3339;
use crate::store::due::priority;
use crate::store::ids::request_id_text;
use crate::store::sql::Row;
use crate::store::{StoreError, json};

/// The newest alerts that are looked at. A look costs the same whatever is stored.
const LOOKED_AT: i64 = 500;

/// An alert that nothing has resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// The request that brought it last.
    pub request: String,
    /// The time of that: RFC 3339.
    pub received_at: String,
    /// Its source.
    pub source: String,
    /// Its priority.
    pub priority: Priority,
    /// Its title.
    pub title: String,
}

/// The part of an alert that tells whether it is open, and its title.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    status: Status,
    title: String,
}

impl History {
    /// Returns the alerts that are open, the newest first, among the newest [`LOOKED_AT`] of all.
    ///
    /// An alert opens and resolves by its deliveries, so that those count alone that have one: not
    /// what was ignored, grouped or muted. An evicted alert says nothing of itself any more.
    ///
    /// # Errors
    /// What the disk said.
    pub fn open_alerts(&self) -> Result<Vec<OpenAlert>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.ordering_key, a.priority, s.name, r.id, r.received_at, e.json
             FROM (SELECT id, source, ordering_key, priority FROM alerts ORDER BY id DESC LIMIT ?) a
             JOIN sources s ON s.id = a.source JOIN requests r ON r.seq = a.id / 1024
             JOIN events e ON e.alert = a.id
             WHERE EXISTS (SELECT 1 FROM queue q WHERE q.id >= a.id * 16 AND q.id < a.id * 16 + 16)
                OR EXISTS (SELECT 1 FROM attempts t WHERE t.delivery >= a.id * 16 AND t.delivery < a.id * 16 + 16)
             ORDER BY a.id DESC",
        )?;
        let mut rows = statement.query([LOOKED_AT])?;
        let mut known = HashSet::new();
        let mut open = Vec::new();
        while let Some(row) = rows.next()? {
            // The newest alert of a key decides.
            if !known.insert(row.get::<_, i64>(0)?) {
                continue;
            }
            // A list must not end at a bad row.
            let Ok(Told { status, title }) = json::<Told>(row, 5) else {
                continue;
            };
            if status == Status::Trigger {
                open.push(OpenAlert {
                    request: request(row)?,
                    received_at: rfc3339(row.get(4)?),
                    source: row.get(2)?,
                    priority: priority(row.get(1)?),
                    title,
                });
            }
        }
        Ok(open)
    }

    /// Returns the sources in a storm.
    ///
    /// # Errors
    /// What the disk said.
    pub fn stormy(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT s.name FROM storms t JOIN sources s ON s.id = t.source
                   WHERE t.look_at IS NOT NULL ORDER BY s.name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Returns the id of the request in a row.
fn request(row: Row<'_>) -> rusqlite::Result<String> {
    Ok(request_id_text(row.get_ref(3)?.as_blob()?))
}
