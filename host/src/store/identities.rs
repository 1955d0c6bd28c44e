//! Identities that are known, and not in their table yet.
//!
//! A hash is random, so in a large table each one lies on a page of its own: written with its
//! request, it would cost the log a page. So identities wait in memory, in the order of their
//! hashes, and each commit writes the next of them in that order, many to a page. A crash loses
//! nothing: `identified` says before which request all identities are in the table, and a start
//! reads the others from the alerts and the proofs that follow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::ids::{ALERTS_PER_REQUEST, Identity, StoredEventId};
use super::sql::{Connection, Transaction};

/// The number of identities that wait: 1.5 MB, and 10 ms of reading after a crash. The more wait,
/// the more share a page: of a table with a million, each commit of 64 requests writes some 20
/// pages instead of 120.
pub(super) const KEEP: usize = if cfg!(test) { 8 } else { 32 * 1024 };

/// The number of requests whose identities may wait, so that a start need not read more.
const REQUESTS: i64 = 4 * KEEP as i64;

/// The identities in memory that a transaction has changed: known as those of an alert, or no more.
pub type Changes = HashMap<[u8; 16], Option<i64>>;

/// Identities that wait to be written.
#[derive(Debug, Default)]
pub struct Identities {
    waiting: BTreeMap<[u8; 16], i64>,
    /// The last one that was written in this pass over all hashes.
    last: Option<[u8; 16]>,
    /// The identities of the requests before this one are in the table.
    before: i64,
    /// The next request when this pass began: at its end, all before it are in the table.
    began: i64,
}

/// The identities that a transaction has written, and how far the pass is then.
#[derive(Debug)]
pub struct Written {
    rows: Vec<([u8; 16], i64)>,
    last: Option<[u8; 16]>,
    before: i64,
    began: i64,
}

impl Identities {
    /// Reads the identities that the table of an open store lacks.
    ///
    /// # Errors
    /// What the disk said.
    pub fn read(connection: &Connection, next_seq: i64) -> Result<Self, StoreError> {
        let before = before(connection)?.min(next_seq);
        let mut read = Self {
            waiting: BTreeMap::new(),
            last: None,
            before,
            began: next_seq,
        };
        let transaction = connection.write()?;
        // A page that is damaged must not keep the gateway from starting.
        if let Err(error) = read.fill(&transaction) {
            tracing::error!(
                %error,
                "some events cannot be known again, and open once more if they are repeated: see `alert-gateway store check`"
            );
        }
        transaction.commit()?;
        Ok(read)
    }

    /// Reads the identities of all requests from `before` on, in their order, so that the latest of
    /// each hash counts.
    fn fill(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut select = transaction.prepare_cached(
            "SELECT a.id, name, event_id FROM alerts a JOIN sources s ON s.id = a.source WHERE a.id >= ? ORDER BY a.id",
        )?;
        let mut rows = select.query([self.before.saturating_mul(ALERTS_PER_REQUEST as i64)])?;
        while let Some(row) = rows.next()? {
            if let (Ok(id), Ok(source), Ok(event_id)) = (
                row.get(0),
                row.get::<_, String>(1),
                row.get::<_, StoredEventId>(2),
            ) {
                self.waiting.insert(event_id.identity(&source).0, id);
                self.relieve(transaction)?;
            }
        }
        let mut select = transaction.prepare_cached(
            "SELECT proofs, (SELECT min(id) FROM alerts WHERE id BETWEEN seq * ?2 AND seq * ?2 + ?2 - 1)
             FROM requests WHERE seq >= ?1 AND proofs IS NOT NULL ORDER BY seq",
        )?;
        let mut rows = select.query([self.before, ALERTS_PER_REQUEST as i64])?;
        while let Some(row) = rows.next()? {
            if let (Ok(proofs), Ok(Some(alert))) = (row.get::<_, Vec<u8>>(0), row.get(1)) {
                let (hashes, _) = proofs.as_chunks();
                self.waiting
                    .extend(hashes.iter().map(|hash| (*hash, alert)));
                self.relieve(transaction)?;
            }
        }
        Ok(())
    }

    /// Writes what was read, where it is more than a crash leaves behind: somebody has removed the
    /// number of the first of them.
    fn relieve(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        if self.waiting.len() > 16 * KEEP {
            for (hash, alert) in std::mem::take(&mut self.waiting) {
                insert(transaction, hash, alert)?;
            }
        }
        Ok(())
    }

    /// Returns the alert that is known by this and waits.
    pub fn get(&self, identity: Identity) -> Option<i64> {
        self.waiting.get(&identity.0).copied()
    }

    /// Returns whether any waits.
    pub fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes the next of them, as many as are too many; or all, at the last commit. `changes` are
    /// those of this transaction.
    ///
    /// # Errors
    /// What the disk said.
    pub fn write(
        &self,
        transaction: &Transaction<'_>,
        changes: &Changes,
        next_seq: i64,
        all: bool,
    ) -> Result<Option<Written>, StoreError> {
        let mut count = self.waiting.len().saturating_sub(KEEP);
        if next_seq.saturating_sub(self.before) > REQUESTS {
            count = count.max(self.waiting.len() / 16 + 1);
        }
        if count == 0 && !all {
            return Ok(None);
        }
        let from = match self.last {
            Some(last) if !all => Bound::Excluded(last),
            _ => Bound::Unbounded,
        };
        let mut next = self.waiting.range((from, Bound::Unbounded));
        let limit = if all { usize::MAX } else { count };
        let rows: Vec<_> = next
            .by_ref()
            .take(limit)
            .map(|(hash, alert)| (*hash, *alert))
            .collect();
        let is_end = next.next().is_none();
        for (hash, alert) in &rows {
            if !changes.contains_key(hash) {
                insert(transaction, *hash, *alert)?;
            }
        }
        if all {
            for (hash, alert) in changes {
                if let Some(alert) = alert {
                    insert(transaction, *hash, *alert)?;
                }
            }
        }
        let before = match (all, is_end) {
            (true, _) => next_seq,
            (false, true) => self.began,
            (false, false) => self.before,
        };
        if before != self.before {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO identified (id, before) VALUES (1, ?)")?
                .execute([before])?;
        }
        Ok(Some(Written {
            last: rows.last().map(|(hash, _)| *hash).filter(|_| !is_end),
            rows,
            before,
            began: if is_end { next_seq } else { self.began },
        }))
    }

    /// Takes over the identities that a transaction has written and changed. To be called once they
    /// are on disk.
    pub fn committed(&mut self, written: Option<Written>, changes: Changes) {
        if let Some(written) = written {
            for (hash, _) in &written.rows {
                self.waiting.remove(hash);
            }
            (self.last, self.before, self.began) = (written.last, written.before, written.began);
        }
        for (hash, alert) in changes {
            match alert {
                Some(alert) => self.waiting.insert(hash, alert),
                None => self.waiting.remove(&hash),
            };
        }
    }
}

/// Returns the request that brought an event of a source first.
///
/// # Errors
/// What the disk said.
pub fn first_request_of(
    connection: &Connection,
    source: &str,
    event_id: &str,
) -> Result<Option<i64>, StoreError> {
    if let Some(alert) = find(connection, Identity::of_event(source, event_id))? {
        return Ok(Some(alert / ALERTS_PER_REQUEST as i64));
    }
    Ok(connection
        .prepare_cached(
            "SELECT a.id / ?4 FROM alerts a JOIN sources s ON s.id = a.source
             WHERE a.id >= ?3 * ?4 AND event_id = ?2 AND name = ?1 ORDER BY a.id DESC LIMIT 1",
        )?
        .query_row(
            params![
                source,
                StoredEventId::new(source, event_id),
                before(connection)?,
                ALERTS_PER_REQUEST as i64
            ],
            |row| row.get(0),
        )
        .optional()?)
}

/// Returns the requests that brought an event with this id first, of whatever source.
///
/// # Errors
/// What the disk said.
pub fn requests_of(connection: &Connection, event_id: &str) -> Result<Vec<i64>, StoreError> {
    let mut names = connection.prepare_cached("SELECT name FROM sources")?;
    let mut names = names.query([])?;
    let mut found = Vec::new();
    let mut stored = HashSet::new();
    while let Some(row) = names.next()? {
        let Ok(source) = row.get::<_, String>(0) else {
            continue;
        };
        found.extend(find(connection, Identity::of_event(&source, event_id))?);
        stored.insert(StoredEventId::new(&source, event_id));
    }
    let mut recent = connection.prepare_cached("SELECT id, event_id FROM alerts WHERE id >= ?")?;
    let mut recent =
        recent.query([before(connection)?.saturating_mul(ALERTS_PER_REQUEST as i64)])?;
    while let Some(row) = recent.next()? {
        if let (Ok(id), Ok(event_id)) = (row.get(0), row.get::<_, StoredEventId>(1))
            && stored.contains(&event_id)
        {
            found.push(id);
        }
    }
    Ok(found
        .into_iter()
        .map(|alert: i64| alert / ALERTS_PER_REQUEST as i64)
        .collect())
}

/// Returns the first request whose identities the table may lack.
fn before(connection: &Connection) -> Result<i64, StoreError> {
    // Whatever else somebody wrote there: all of them are read again.
    let before = connection
        .prepare_cached("SELECT before FROM identified WHERE id = 1")?
        .query_row([], |row| Ok(row.get(0).unwrap_or_default()))
        .optional()?;
    Ok(before.unwrap_or_default())
}

/// Returns the alert that the table knows by this.
///
/// # Errors
/// What the disk said.
pub fn find(connection: &Connection, identity: Identity) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT alert FROM identities WHERE hash = ?")?
        .query_row([identity.0], |row| row.get(0))
        .optional()?)
}

/// Writes an identity into the table.
///
/// # Errors
/// What the disk said.
pub fn insert(transaction: &Transaction<'_>, hash: [u8; 16], alert: i64) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO identities (hash, alert) VALUES (?, ?)")?
        .execute_soon(params![hash, alert])?;
    Ok(())
}
