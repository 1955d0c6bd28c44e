//! The snapshot of state for a restart: the last request of each source, open internal alerts, and
//! which destinations alerts wait for.

use std::time::Duration;

use crate::config::OWN_SOURCE;
use crate::store::sql::Connection;
use rusqlite::params;

use super::command::Command;
use super::notice::Told;
use super::step::Step;
use super::{Location, MuteRecord, StoreError, mutes};

pub(super) const WAITING_FOR: &str = "WITH RECURSIVE waiting (number) AS (
    SELECT min(destination) FROM queue WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(destination) FROM queue WHERE due_at IS NOT NULL AND destination > number)
    FROM waiting WHERE number IS NOT NULL
) SELECT name FROM waiting JOIN destinations d ON d.id = number ORDER BY name";

/// The time when a source was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub source: String,
    /// Unix milliseconds; none where it never was.
    pub last_seen: Option<i64>,
    /// For how long the gateway has run since, and heard nothing.
    pub silence: Duration,
}

/// A connection that reads the snapshot.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
}

impl Snapshot {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        let connection = location.reads()?;
        Ok(Self { connection })
    }

    /// Every source that was ever heard of, or waited for.
    ///
    /// # Errors
    /// What the disk said.
    pub fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, last_seen, silence FROM sources WHERE last_seen IS NOT NULL OR silence > 0 ORDER BY name",
        )?;
        let rows = statement.query_map([], |row| {
            let silence = Duration::from_millis(row.get::<_, i64>(2)?.unsigned_abs());
            Ok(Seen {
                source: row.get(0)?,
                last_seen: row.get(1)?,
                silence,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every internal alert that is open.
    ///
    /// # Errors
    /// What the disk said.
    pub fn told(&self) -> Result<Vec<Told>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, destination FROM conditions")?;
        let rows = statement.query_map([], |row| {
            Ok(Told {
                key: row.get(0)?,
                destination: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the time at which a group, a storm or a timer is to be looked at next, by the store's
    /// clock: Unix milliseconds.
    ///
    /// # Errors
    /// What the disk said.
    pub fn next_change(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(at) FROM (
                       SELECT min(look_at) AS at FROM groups WHERE look_at IS NOT NULL
                       UNION ALL SELECT min(look_at) FROM storms WHERE look_at IS NOT NULL
                       UNION ALL SELECT min(at) FROM keys WHERE at IS NOT NULL) changes";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Returns the mutes that hold now, will, or have something to sum up.
    ///
    /// # Errors
    /// What the disk said.
    pub fn mutes(&self) -> Result<Vec<MuteRecord>, StoreError> {
        mutes::list(&self.connection, false)
    }

    /// Destinations that have dead letters, and how many.
    ///
    /// # Errors
    /// What the disk said.
    pub fn dead(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "SELECT name, count(*) FROM dead JOIN destinations d ON d.id = destination GROUP BY name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Destinations that alerts wait for. It steps from one to the next, and does not look at what
    /// waits.
    ///
    /// # Errors
    /// What the disk said.
    pub fn waiting_for(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(WAITING_FOR)?;
        let rows = statement.query_map([], |row| {
            Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the number of alerts of senders that wait for `destination`. It looks at all that
    /// wait.
    ///
    /// # Errors
    /// What the disk said.
    pub fn count_waiting_for(&self, destination: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM queue q WHERE destination = (SELECT id FROM destinations WHERE name = ?1)
                   AND source IS DISTINCT FROM (SELECT id FROM sources WHERE name = ?2)";
        Ok(self
            .connection
            .query_row(sql, [destination, OWN_SOURCE], |row| row.get(0))?)
    }

    /// Returns how many requests of a source its plugin failed on and have not been read since, and
    /// how many bytes they have.
    ///
    /// # Errors
    /// What the disk said.
    pub fn failed(&self, source: &str) -> Result<(usize, usize), StoreError> {
        // `length` of a blob reads its header alone.
        let sql = "SELECT count(*), coalesce(sum(length(url) + length(headers) + length(body)), 0)
                   FROM requests r JOIN bodies b ON b.seq = r.seq
                   WHERE state = 'failed' AND source = (SELECT id FROM sources WHERE name = ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([source], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let whole = |number: i64| usize::try_from(number).unwrap_or_default();
        Ok((whole(found.0), whole(found.1)))
    }
}

/// Writes down when sources were heard of.
#[derive(Debug)]
pub struct Remember(pub Vec<Seen>);

impl Command for Remember {
    type Output = ();

    fn run(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        for Seen {
            source,
            last_seen,
            silence,
        } in &self.0
        {
            let id = step.source(source)?;
            // Another gateway may have heard of it since.
            let sql = match step.leads {
                None => "UPDATE sources SET last_seen = ?2, silence = ?3 WHERE id = ?1",
                Some(_) => {
                    "UPDATE sources SET last_seen = max(last_seen, ?2), silence = ?3 WHERE id = ?1"
                }
            };
            step.transaction.prepare_cached(sql)?.execute(params![
                id,
                last_seen,
                i64::try_from(silence.as_millis()).unwrap_or(i64::MAX)
            ])?;
        }
        Ok(())
    }
}
