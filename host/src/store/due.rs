//! What is to be delivered now.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, params};

use super::{ALERTS_PER_REQUEST, StoreError, schema};
use crate::alert::Alert;
use crate::clock::LONGEST_WAIT;
use crate::config::OWN_SOURCE;

/// How often in a row a place in the file must be found damaged until that is taken for its end: a disk that fails may mend.
pub const DAMAGED: u32 = 5;

/// How many bytes of alerts are read at once: a plugin may make large ones, and all that is read is in memory.
pub const READ_BYTES: usize = 8 * 1024 * 1024;

/// A connection that reads what is due.
#[derive(Debug)]
pub struct DueReader {
    connection: Connection,
    unreadable: Vec<Unreadable>,
    cut: bool,
    /// Those in whose place the disk gave back something else than was written, and how often in a row.
    suspects: HashMap<i64, u32>,
}

/// An alert that may be delivered now.
#[derive(Debug)]
pub struct Due {
    /// Its id in the store.
    pub id: i64,
    /// How often it was tried before.
    pub attempts: u32,
    /// How many bytes the alert has, as JSON.
    pub bytes: usize,
    /// The alert.
    pub alert: Alert,
}

/// An alert that is due, and cannot be delivered, because what the store holds of it is no alert.
#[derive(Debug)]
pub struct Unreadable {
    /// Its id in the store.
    pub id: i64,
    /// What is wrong with it.
    pub why: String,
}

pub(super) const DUE: &str = "SELECT id FROM alerts
    WHERE destination = ?1 AND due_at IS NOT NULL AND due_at <= ?2 AND state = 'pending' ORDER BY due_at, id LIMIT ?3";

pub(super) const WAITING_FOR: &str = "WITH RECURSIVE waiting (name) AS (
    SELECT min(destination) FROM alerts WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(destination) FROM alerts WHERE due_at IS NOT NULL AND destination > name)
    FROM waiting WHERE name IS NOT NULL
) SELECT CAST(name AS TEXT) FROM waiting WHERE name IS NOT NULL";

/// Makes due now what was written down while the machine's clock was ahead of what it is now, and would wait until that time
/// comes again: what is due later than anything waits, and what is yet to come due and was never tried, as that was due when
/// it came in.
pub fn bring_back(connection: &mut Connection, now_ms: i64) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    // Through the index of what is due, as no other place holds so little: the table holds all that was ever delivered.
    let ahead: Vec<i64> = transaction
        .prepare(
            "SELECT id FROM alerts INDEXED BY alerts_due WHERE due_at IS NOT NULL AND due_at > ?1
             AND (due_at > ?1 + ?2 OR attempts = 0)",
        )?
        .query_map(params![now_ms, LONGEST_WAIT.as_millis() as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let alerts = ahead.len();
    let mut update = transaction.prepare("UPDATE alerts SET due_at = ? WHERE id = ?")?;
    for id in ahead {
        match update.execute([now_ms, id]).map_err(StoreError::from) {
            // Nothing can be changed in it. It waits, and holds nobody up.
            Err(StoreError::Row(why)) => tracing::warn!(alert = id, why, "an alert that is due too late stays so"),
            done => drop(done?),
        }
    }
    drop(update);
    transaction.commit()?;
    if alerts > 0 {
        tracing::warn!(alerts, "alerts were due in the future: the machine's clock was set back; they are due now");
    }
    Ok(())
}

impl DueReader {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_reader(path)?;
        Ok(Self { connection, unreadable: Vec::new(), cut: false, suspects: HashMap::new() })
    }

    /// At most `limit` alerts of `destination` that are due at `now_ms` and not in `claimed`, the longest due first. No two
    /// of them share a key. It stops once they come to [`READ_BYTES`], which [`Self::was_cut`] tells. Those that cannot be
    /// read do not keep the others back: [`Self::take_unreadable`] has them.
    ///
    /// # Errors
    /// What the disk said.
    pub fn due(
        &mut self,
        destination: &str,
        now_ms: i64,
        claimed: &HashSet<i64>,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        // One transaction, so that all of it is of one moment.
        let transaction = self.connection.transaction()?;
        let mut ids = transaction.prepare_cached(DUE)?;
        let ids: Vec<i64> = ids
            .query_map(params![destination, now_ms, (limit + claimed.len()) as i64], |row| row.get(0))?
            .filter(|id| !matches!(id, Ok(id) if claimed.contains(id)))
            .take(limit)
            .collect::<Result<_, _>>()?;
        let mut rows = transaction.prepare_cached(
            "SELECT a.attempts, a.source, r.id, r.received_at, e.json FROM alerts a
             JOIN events e ON e.alert = a.id JOIN requests r ON r.seq = a.id / ?2 WHERE a.id = ?1",
        )?;
        let (mut due, mut suspected, mut bytes) = (Vec::with_capacity(ids.len()), None, 0);
        self.cut = false;
        for id in ids {
            if bytes >= READ_BYTES {
                self.cut = true;
                break;
            }
            let read = rows.query_row(params![id, ALERTS_PER_REQUEST as i64], |row| {
                let received_at = super::rfc3339(row.get(3)?);
                let (event, bytes) = (super::event(row, 4)?, row.get_ref(4)?.as_bytes()?.len());
                let alert = Alert { source: row.get(1)?, request: row.get(2)?, received_at, event };
                // It only says how long to wait; how often that was cannot be in its way.
                let attempts = u32::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
                Ok(Due { id, attempts, bytes, alert })
            });
            match read.map_err(StoreError::from) {
                Ok(one) => {
                    self.suspects.remove(&id);
                    bytes += one.bytes;
                    due.push(one);
                }
                Err(StoreError::Row(why)) => self.unreadable.push(Unreadable { id, why }),
                Err(StoreError::Damaged(why)) => {
                    let seen = self.suspects.entry(id).or_default();
                    *seen += 1;
                    if *seen < DAMAGED {
                        suspected = Some(StoreError::Damaged(why));
                    } else {
                        self.suspects.remove(&id);
                        self.unreadable.push(Unreadable { id, why });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // Where there is nothing else, whoever asked looks again soon.
        match suspected.filter(|_| due.is_empty()) {
            Some(error) => Err(error),
            None => Ok(due),
        }
    }

    /// Whether the latest [`Self::due`] left some for the next one, because of their size.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Those that the latest [`Self::due`] found due and could not read, to be set aside.
    pub fn take_unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.unreadable)
    }

    /// When the next alert of `destination` after `now_ms` becomes due: Unix milliseconds.
    ///
    /// # Errors
    /// What the disk said.
    pub fn next_due_at(&self, destination: &str, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(due_at) FROM alerts WHERE destination = ? AND due_at IS NOT NULL AND due_at > ? AND state = 'pending'",
        )?;
        Ok(statement.query_row(params![destination, now_ms], |row| row.get(0))?)
    }

    /// When the oldest request with an undelivered, pending alert came in: Unix milliseconds.
    ///
    /// # Errors
    /// What the disk said.
    pub fn oldest_pending(&self) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT received_at FROM requests WHERE seq = (SELECT min(id) FROM alerts WHERE state = 'pending') / ?",
        )?;
        let mut rows = statement.query([ALERTS_PER_REQUEST as i64])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Destinations that alerts wait for. It steps from one to the next, and does not look at what waits.
    ///
    /// # Errors
    /// What the disk said.
    pub fn waiting_for(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(WAITING_FOR)?;
        let rows =
            statement.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many alerts of senders wait for `destination`. It looks at all that wait.
    ///
    /// # Errors
    /// What the disk said.
    pub fn count_waiting_for(&self, destination: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM alerts WHERE state = 'pending' AND destination = ? AND source <> ?";
        Ok(self.connection.query_row(sql, [destination, OWN_SOURCE], |row| row.get(0))?)
    }

    /// What an operator asked to have done again, oldest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn replays(&self) -> Result<Vec<super::Replay>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT id, request FROM replays ORDER BY id LIMIT 100")?;
        let rows = statement.query_map([], |row| {
            let target = match row.get::<_, Option<i64>>(1)? {
                Some(seq) => super::ReplayTarget::Request(seq),
                None => super::ReplayTarget::AllSetAside,
            };
            Ok(super::Replay { id: row.get(0)?, target })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
