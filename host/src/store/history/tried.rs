//! A condition, tried on the newest alerts of senders.

use std::time::{Duration, Instant};

use plugin_sdk::contract::{Alert, Status};

use super::History;
use crate::clock::rfc3339;
use crate::config::OWN_SOURCE;
use crate::store::ids::request_id_text;
use crate::store::sql::Row;
use crate::store::{StoreError, json};

/// Alerts that are read at once.
const WINDOW: i64 = 200;
/// The alerts that are named.
const NAMED: usize = 5;

/// The alerts that a condition would have held for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// The alerts that were looked at, the newest first.
    pub looked_at: u64,
    /// The time when the oldest of them was received: RFC 3339.
    pub since: Option<String>,
    /// The number of those for which it holds.
    pub matched: u64,
    /// The newest of these: the request, the time when it was received, and the title.
    pub newest: Vec<(String, String, String)>,
}

impl History {
    /// Tries a condition on the newest alerts of senders that open something, as many as `patience`
    /// lasts for, of those that were received since.
    ///
    /// # Errors
    /// What the disk said.
    pub fn tried(
        &self,
        since_ms: i64,
        patience: Duration,
        holds: impl Fn(&str, &Alert) -> bool,
    ) -> Result<Tried, StoreError> {
        let started = Instant::now();
        let mut tried = Tried::default();
        let mut before = i64::MAX;
        let own = format!("{OWN_SOURCE}/");
        loop {
            let mut statement = self.connection.prepare_cached(
                "SELECT a.id, s.name, r.id, r.received_at, e.json
                 FROM (SELECT id, source FROM alerts WHERE id < ?1 ORDER BY id DESC LIMIT ?2) a
                 JOIN sources s ON s.id = a.source JOIN requests r ON r.seq = a.id / 1024
                 JOIN events e ON e.alert = a.id ORDER BY a.id DESC",
            )?;
            let mut rows = statement.query([before, WINDOW])?;
            let reached = before;
            while let Some(row) = rows.next()? {
                before = row.get(0)?;
                let received_ms: i64 = row.get(3)?;
                if received_ms < since_ms {
                    return Ok(tried);
                }
                let source: String = row.get(1)?;
                // A list must not end at a bad row.
                let Ok(alert) = json::<Alert>(row, 4) else {
                    continue;
                };
                let is_own = source == OWN_SOURCE || alert.event_id.starts_with(&own);
                if is_own || alert.status == Status::Resolve {
                    continue;
                }
                let received_at = rfc3339(received_ms);
                tried.looked_at += 1;
                if holds(&source, &alert) {
                    tried.matched += 1;
                    if tried.newest.len() < NAMED {
                        let named = (request(row)?, received_at.clone(), alert.title);
                        tried.newest.push(named);
                    }
                }
                tried.since = Some(received_at);
            }
            // Evicted alerts have no words; beyond the first of them are more.
            if before == reached || started.elapsed() >= patience {
                return Ok(tried);
            }
        }
    }
}

/// Returns the id of the request in a row.
fn request(row: Row<'_>) -> rusqlite::Result<String> {
    Ok(request_id_text(row.get_ref(2)?.as_blob()?))
}
