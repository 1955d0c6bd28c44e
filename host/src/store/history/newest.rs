//! The newest requests of some sources, to read them once more.

use std::collections::BTreeMap;

use super::History;
use crate::store::{StoreError, identities};

/// The rows that one look goes through at most, some tenths of a second's worth: a source that is
/// silent for longer than that counts as one without requests.
const ROWS: i64 = 2_000_000;
/// The rows that are read at once.
const PAGE: i64 = 10_000;

/// A choice of requests.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The sources.
    pub sources: Vec<String>,
    /// The most requests of each.
    pub each: usize,
    /// Only what was received at or after this: Unix milliseconds.
    pub since_ms: i64,
    /// Only what was received before this: Unix milliseconds.
    pub until_ms: i64,
    /// True if only failed requests are meant.
    pub failed: bool,
}

impl Newest {
    /// The newest requests of these sources, at most so many of each.
    pub fn of(sources: Vec<String>, each: usize) -> Self {
        Self {
            sources,
            each,
            since_ms: i64::MIN,
            until_ms: i64::MAX,
            failed: false,
        }
    }
}

impl History {
    /// Returns the numbers of the newest requests of each source, oldest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn newest(&self, newest: &Newest) -> Result<BTreeMap<String, Vec<i64>>, StoreError> {
        let mut found: BTreeMap<String, Vec<i64>> = newest
            .sources
            .iter()
            .map(|source| (source.clone(), Vec::new()))
            .collect();
        let mut wanted = found.len().saturating_mul(newest.each);
        // The requests are walked through from the end; a source is looked up for each. The gateway's own
        // alerts about a source, such as those of groups, have a plugin without a wasm: no sender sent them.
        let mut statement = self.connection.prepare_cached(
            "SELECT r.seq, s.name FROM requests r CROSS JOIN sources s ON s.id = r.source
             WHERE r.received_at >= ?1 AND r.received_at < ?2 AND (?3 = 0 OR r.state = 'failed') AND r.seq < ?5
               AND r.plugin NOT IN (SELECT id FROM plugins WHERE sha256 = '')
             ORDER BY r.seq DESC LIMIT ?4",
        )?;
        let mut before = i64::MAX;
        // A database gives all rows of a question at once, so that it is asked for some at a time.
        for _ in 0..ROWS / PAGE {
            let bounds = [
                newest.since_ms,
                newest.until_ms,
                newest.failed.into(),
                PAGE,
                before,
            ];
            let mut rows = statement.query(bounds)?;
            let mut read = 0;
            while wanted > 0
                && let Some(row) = rows.next()?
            {
                read += 1;
                before = row.get(0)?;
                let Some(seqs) = found.get_mut(&row.get::<_, String>(1)?) else {
                    continue;
                };
                if seqs.len() < newest.each {
                    seqs.push(before);
                    wanted -= 1;
                }
            }
            if read < PAGE {
                break;
            }
        }
        for seqs in found.values_mut() {
            seqs.reverse();
        }
        Ok(found)
    }

    /// Returns the number of the request that brought an event first; none for a new event.
    ///
    /// # Errors
    /// What the disk said.
    pub fn first_request_of(
        &self,
        source: &str,
        event_id: &str,
    ) -> Result<Option<i64>, StoreError> {
        identities::first_request_of(&self.connection, source, event_id)
    }
}
