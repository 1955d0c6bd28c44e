//! Due deliveries in their order: urgent first, and fair.
//!
//! By priority, within it by the sources in turns, within a source the longest due first. So that
//! low priorities are not starved, each priority hands one of [`SHARE`] places to those below it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::store::sql::{Connection, Row, Transaction};
use plugin_sdk::contract::Priority;
use rusqlite::{OptionalExtension, params};

use super::ahead::{AWAITED, NOT_YET};
use super::handover::{Due, READ_BYTES};
use super::ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, request_id_text};
use super::jobs::{self, Job};
use super::{Location, Node, StoreError, shared};
use crate::alert::Alert;
use crate::alert::fallback::{self, Reason};
use crate::clock::{LONGEST_WAIT, rfc3339};

/// How often in a row a place in the file must be found damaged until that is taken for its end: a
/// disk that fails may recover.
pub const DAMAGED: u32 = 5;

/// Of so many places in a row, one is for lower priorities.
pub const SHARE: u64 = 8;

/// A connection that reads due deliveries.
#[derive(Debug)]
pub struct DueReader {
    connection: Connection,
    unreadable: Vec<Unreadable>,
    cut: bool,
    /// Those in whose place the disk gave back something else than was written, and how often in a
    /// row.
    suspects: HashMap<i64, u32>,
    /// The number of places that were given, so that shares are kept over many readings.
    places: u64,
    /// By destination and priority, the source that had a place last.
    turns: HashMap<(i64, i64), i64>,
}

/// A due delivery whose alert cannot be read from the store.
#[derive(Debug)]
pub struct Unreadable {
    /// The delivery's id in the store.
    pub id: i64,
    /// The fault that was found.
    pub why: String,
}

/// The next priority after this one of which something is in the queue for a destination.
pub(super) const NEXT_PRIORITY: &str = "SELECT min(priority) FROM queue INDEXED BY queue_due
    WHERE destination = ?1 AND due_at IS NOT NULL AND priority > ?2";

/// The next source after this one that has something in the queue for a destination and priority.
pub(super) const NEXT_SOURCE: &str = "SELECT min(source) FROM queue INDEXED BY queue_due
    WHERE destination = ?1 AND due_at IS NOT NULL AND priority = ?2 AND source > ?3";

/// Due deliveries of one priority and source, behind the last one read.
pub(super) const DUE: &str = "SELECT id, due_at FROM queue INDEXED BY queue_due
    WHERE destination = ?1 AND priority = ?2 AND source = ?3 AND due_at IS NOT NULL AND due_at <= ?4
    AND (due_at, id) > (?5, ?6) ORDER BY due_at, id LIMIT ?7";

/// Makes due now what was written down while the machine's clock was ahead of what it is now, and
/// would wait until that time comes again: what is due later than anything waits, and what is yet
/// to come due and was never tried, as that was due when it came in.
pub fn bring_back(transaction: &Transaction<'_>, now_ms: i64) -> Result<(), StoreError> {
    let ahead = later_than(
        transaction,
        "SELECT id FROM queue WHERE due_at > ?1 AND (due_at > ?1 + ?2 OR attempts = 0)",
        params![now_ms, LONGEST_WAIT.as_millis() as i64],
    )?;
    set_back(
        transaction,
        "UPDATE queue SET due_at = ? WHERE id = ?",
        &ahead,
        now_ms,
    )?;
    let deliveries = ahead.len();
    // By destination, so that only what is to be changed is read.
    let ahead = later_than(
        transaction,
        "SELECT q.id FROM destinations d CROSS JOIN (SELECT 0 AS fell_back UNION ALL SELECT 1 UNION ALL SELECT 2) f
         CROSS JOIN queue q INDEXED BY queue_since
         ON q.destination = d.id AND q.fell_back = f.fell_back AND q.since > ?1",
        params![now_ms],
    )?;
    set_back(
        transaction,
        "UPDATE queue SET since = ? WHERE id = ?",
        &ahead,
        now_ms,
    )?;
    if deliveries > 0 {
        tracing::warn!(
            deliveries,
            "alerts were due in the future: the machine's clock was set back; they are due now"
        );
    }
    Ok(())
}

/// Reads a due delivery with its alert.
fn due_of(row: Row<'_>) -> rusqlite::Result<Due> {
    let received_at = rfc3339(row.get(3)?);
    let bytes = row.get_ref(4)?.as_bytes()?.len();
    let mut event = super::json(row, 4)?;
    if let Some(reason) = row.get::<_, Option<String>>(6)? {
        let stands_for: Option<String> = row.get(7)?;
        let stands_for = stands_for.as_deref().unwrap_or("another destination");
        fallback::mark(&mut event, Reason::of(&reason), stands_for);
    }
    let request = request_id_text(row.get_ref(2)?.as_blob()?);
    let alert = Alert {
        source: row.get(1)?,
        request,
        received_at,
        event,
    };
    // It only says how long to wait; how often that was cannot be in its way.
    let attempts = u32::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
    Ok(Due {
        id: row.get(8)?,
        attempts,
        priority: priority(row.get(5)?),
        bytes,
        alert: Arc::new(alert),
    })
}

/// Returns the deliveries whose times are later than they can be.
fn later_than(
    transaction: &Transaction<'_>,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<i64>, StoreError> {
    let mut select = transaction.prepare_cached(sql)?;
    let rows = select.query_map(params, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets a time of deliveries to `now_ms`.
fn set_back(
    transaction: &Transaction<'_>,
    sql: &str,
    deliveries: &[i64],
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut update = transaction.prepare_cached(sql)?;
    for id in deliveries {
        match update.execute([now_ms, *id]).map_err(StoreError::from) {
            // Nothing can be changed in it. It waits, and holds nothing up.
            Err(StoreError::Row(why)) => {
                tracing::warn!(delivery = id, why, "an alert whose time is wrong keeps it")
            }
            done => drop(done?),
        }
    }
    Ok(())
}

impl DueReader {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        let connection = location.reads()?;
        let unreadable = Vec::new();
        let suspects = HashMap::new();
        let turns = HashMap::new();
        Ok(Self {
            connection,
            unreadable,
            cut: false,
            suspects,
            places: 0,
            turns,
        })
    }

    /// At most `limit` alerts of `destination` that are due at `now_ms` and not in `claimed`, in
    /// the order in which they are to go out. No two of them share an ordering key. It stops once
    /// they come to [`READ_BYTES`], which [`Self::was_cut`] tells. Those that cannot be read do not
    /// keep the others back: [`Self::take_unreadable`] has them.
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
        self.cut = false;
        let Some(destination) = number(&transaction, destination)? else {
            return Ok(Vec::new());
        };
        let queued = Queued {
            transaction: &transaction,
            destination,
            now_ms,
            claimed,
        };
        let ids = queued.order(limit, &mut self.places, &mut self.turns)?;
        let mut rows = transaction.prepare_cached(
            "SELECT q.attempts, s.name, r.id, r.received_at, e.json, q.priority, f.reason, d.name, q.id
             FROM queue q JOIN alerts a ON a.id = q.id / ?3 JOIN sources s ON s.id = a.source
             JOIN events e ON e.alert = a.id JOIN requests r ON r.seq = a.id / ?2
             LEFT JOIN fallbacks f ON f.id = q.id LEFT JOIN destinations d ON d.id = f.destination
             WHERE q.id = ?1",
        )?;
        let each = ids
            .iter()
            .map(|id| [*id, ALERTS_PER_REQUEST as i64, DELIVERIES_PER_ALERT as i64]);
        let mut read = rows.query_each(each, due_of);
        let mut due = Vec::with_capacity(ids.len());
        let mut suspected = None;
        let mut bytes = 0;
        for id in &ids {
            if bytes >= READ_BYTES {
                self.cut = true;
                break;
            }
            let Some(read) = read.next() else { break };
            match read.map_err(StoreError::from) {
                Ok(one) => {
                    self.suspects.remove(id);
                    bytes += one.bytes;
                    due.push(one);
                }
                Err(StoreError::Row(why)) => self.unreadable.push(Unreadable { id: *id, why }),
                Err(StoreError::Damaged(why)) => {
                    let seen = self.suspects.entry(*id).or_default();
                    *seen += 1;
                    if *seen < DAMAGED {
                        suspected = Some(StoreError::Damaged(why));
                    } else {
                        self.suspects.remove(id);
                        self.unreadable.push(Unreadable { id: *id, why });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // Where there is nothing else, the caller looks again soon.
        match suspected.filter(|_| due.is_empty()) {
            Some(error) => Err(error),
            None => Ok(due),
        }
    }

    /// Returns whether the latest [`Self::due`] left some for the next one, because of their size.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Takes those that the latest [`Self::due`] found due and could not read, to be dead letters.
    pub fn take_unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.unreadable)
    }

    /// Each priority and source of which something is due for `destination` at `now_ms` and not in
    /// `claimed`, the most urgent first. It asks an index once for each source that waits.
    ///
    /// # Errors
    /// What the disk said.
    pub fn unclaimed(
        &mut self,
        destination: &str,
        now_ms: i64,
        claimed: &HashSet<i64>,
    ) -> Result<Vec<(Priority, String)>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(destination) = number(&transaction, destination)? else {
            return Ok(Vec::new());
        };
        let queued = Queued {
            transaction: &transaction,
            destination,
            now_ms,
            claimed,
        };
        let mut name = transaction.prepare_cached("SELECT name FROM sources WHERE id = ?")?;
        let mut unclaimed = Vec::new();
        for (rank, source) in queued.sources()? {
            let (due, _) = queued.of_source(rank, source, (i64::MIN, i64::MIN), 1)?;
            if !due.is_empty()
                && let Some(name) = name.query_row([source], |row| row.get(0)).optional()?
            {
                unclaimed.push((priority(rank), name));
            }
        }
        Ok(unclaimed)
    }

    /// Returns the time when the next alert of `destination` after `now_ms` becomes due: Unix
    /// milliseconds.
    ///
    /// # Errors
    /// What the disk said.
    pub fn next_due_at(
        &mut self,
        destination: &str,
        now_ms: i64,
    ) -> Result<Option<i64>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(destination) = number(&transaction, destination)? else {
            return Ok(None);
        };
        let claimed = HashSet::new();
        let queued = Queued {
            transaction: &transaction,
            destination,
            now_ms,
            claimed: &claimed,
        };
        let mut next = transaction.prepare_cached(
            "SELECT min(due_at) FROM queue INDEXED BY queue_due
             WHERE destination = ?1 AND priority = ?2 AND source = ?3 AND due_at IS NOT NULL AND due_at > ?4",
        )?;
        let mut earliest: Option<i64> = None;
        for (priority, source) in queued.sources()? {
            let found: Option<i64> =
                next.query_row([destination, priority, source, now_ms], |row| row.get(0))?;
            earliest = [earliest, found].into_iter().flatten().min();
        }
        Ok(earliest)
    }

    /// Returns the time since when the oldest alert waits for `destination` that has not gone to its
    /// fallback: Unix milliseconds on the store's clock.
    ///
    /// # Errors
    /// What the disk said.
    pub fn not_fallen_back_since(&self, destination: &str) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(since) FROM queue INDEXED BY queue_since
             WHERE destination = (SELECT id FROM destinations WHERE name = ?) AND fell_back = ?",
        )?;
        let mut oldest = None;
        for fell_back in [NOT_YET, AWAITED] {
            let since: Option<i64> =
                statement.query_row(params![destination, fell_back], |row| row.get(0))?;
            oldest = [oldest, since].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    /// Returns the number of alerts that wait for `destination`, and since when the oldest of them
    /// does: Unix milliseconds on the store's clock. It looks at all that wait.
    ///
    /// # Errors
    /// What the disk said.
    pub fn backlog(&self, destination: &str) -> Result<(i64, Option<i64>), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*), min(since) FROM queue INDEXED BY queue_since
             WHERE destination = (SELECT id FROM destinations WHERE name = ?)",
        )?;
        Ok(statement.query_row([destination], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// The gateways that share the store; none where it is a file.
    ///
    /// # Errors
    /// What the database said.
    pub fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        shared::nodes(&self.connection)
    }

    /// Returns the time when the oldest request with an undelivered, pending alert came in: Unix
    /// milliseconds.
    ///
    /// # Errors
    /// What the disk said.
    pub fn oldest_pending(&self) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT received_at FROM requests WHERE seq = (SELECT min(id) FROM queue) / ?",
        )?;
        let mut rows = statement.query([(ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Returns the jobs that operators asked for, oldest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        jobs::list(&self.connection)
    }
}

/// A snapshot of the alerts that wait for a destination.
struct Queued<'a> {
    transaction: &'a Transaction<'a>,
    destination: i64,
    now_ms: i64,
    claimed: &'a HashSet<i64>,
}

/// The due alerts of one priority, by source, the longest due first.
type Level = VecDeque<VecDeque<i64>>;

impl Queued<'_> {
    /// The priorities and sources of which something is in the queue. It steps from one to the next
    /// through an index.
    fn sources(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        let mut next_priority = self.transaction.prepare_cached(NEXT_PRIORITY)?;
        let mut next_source = self.transaction.prepare_cached(NEXT_SOURCE)?;
        let mut found = Vec::new();
        let mut priority: Option<i64> =
            next_priority.query_row([self.destination, i64::MIN], |row| row.get(0))?;
        while let Some(of) = priority {
            let mut last = i64::MIN;
            while let Some(source) =
                next_source.query_row([self.destination, of, last], |row| row.get(0))?
            {
                last = source;
                found.push((of, source));
            }
            priority = next_priority.query_row([self.destination, of], |row| row.get(0))?;
        }
        Ok(found)
    }

    /// At most `limit` deliveries of a priority and source that are due and not claimed, behind
    /// `after`. Also returns where the next reading goes on, where there may be more.
    #[expect(
        clippy::type_complexity,
        reason = "a place in the index is two numbers"
    )]
    fn of_source(
        &self,
        priority: i64,
        source: i64,
        after: (i64, i64),
        limit: usize,
    ) -> Result<(Vec<i64>, Option<(i64, i64)>), StoreError> {
        let mut due = self.transaction.prepare_cached(DUE)?;
        let most = (limit + self.claimed.len()) as i64;
        let mut rows = due.query([
            self.destination,
            priority,
            source,
            self.now_ms,
            after.0,
            after.1,
            most,
        ])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if self.claimed.contains(&id) {
                continue;
            }
            ids.push(id);
            if ids.len() == limit {
                return Ok((ids, Some((row.get(1)?, id))));
            }
        }
        Ok((ids, None))
    }

    /// The deliveries that are to go out next, at most `limit`.
    fn order(
        &self,
        limit: usize,
        places: &mut u64,
        turns: &mut HashMap<(i64, i64), i64>,
    ) -> Result<Vec<i64>, StoreError> {
        let sources = self.sources()?;
        let (mut levels, mut found): (Vec<(i64, Vec<i64>, Level)>, usize) = (Vec::new(), 0);
        for of_one in sources.chunk_by(|a, b| a.0 == b.0) {
            let priority = of_one[0].0;
            let mut names: Vec<i64> = of_one.iter().map(|(_, source)| *source).collect();
            // The turn is with the source after the one that had it last.
            if let Some(last) = turns.get(&(self.destination, priority)) {
                let next = names
                    .iter()
                    .position(|source| source > last)
                    .unwrap_or_default();
                names.rotate_left(next);
            }
            // Of what is less urgent than enough, no more than its share is needed.
            let need = if found >= limit {
                limit / SHARE as usize + 1
            } else {
                limit
            };
            let level = self.level(priority, &names, need)?;
            found += level.iter().map(VecDeque::len).sum::<usize>();
            levels.push((priority, names, level));
        }
        let mut ids = Vec::with_capacity(limit.min(found));
        while ids.len() < limit {
            levels.retain(|(_, _, level)| level.iter().any(|source| !source.is_empty()));
            if levels.is_empty() {
                break;
            }
            *places += 1;
            let level = share(*places).min(levels.len() - 1);
            let (priority, names, level) = &mut levels[level];
            // One of the next source that has any.
            for _ in 0..names.len() {
                names.rotate_left(1);
                level.rotate_left(1);
                if let (Some(source), Some(id)) =
                    (names.last(), level.back_mut().and_then(VecDeque::pop_front))
                {
                    turns.insert((self.destination, *priority), *source);
                    ids.push(id);
                    break;
                }
            }
        }
        Ok(ids)
    }

    /// Returns the due alerts of one priority, up to `need` in all, taken evenly from its sources.
    fn level(&self, priority: i64, sources: &[i64], need: usize) -> Result<Level, StoreError> {
        let mut level: Level = sources.iter().map(|_| VecDeque::new()).collect();
        let mut more: Vec<(usize, (i64, i64))> = (0..sources.len())
            .map(|index| (index, (i64::MIN, i64::MIN)))
            .collect();
        let mut missing = need;
        while missing > 0 && !more.is_empty() {
            let each = missing.div_ceil(more.len());
            for (index, after) in std::mem::take(&mut more) {
                let (ids, next) = self.of_source(priority, sources[index], after, each)?;
                missing = missing.saturating_sub(ids.len());
                level[index].extend(ids);
                more.extend(next.map(|next| (index, next)));
            }
        }
        Ok(level)
    }
}

/// Returns the number of priorities the place with this number is below the most urgent one.
fn share(place: u64) -> usize {
    let mut below = 0;
    let mut rest = place;
    while rest != 0 && rest.is_multiple_of(SHARE) {
        below += 1;
        rest /= SHARE;
    }
    below
}

fn number(transaction: &Transaction<'_>, destination: &str) -> Result<Option<i64>, StoreError> {
    let mut select = transaction.prepare_cached("SELECT id FROM destinations WHERE name = ?")?;
    let mut rows = select.query([destination])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// The priority that has this number; whatever else somebody wrote there counts as urgent.
pub fn priority(rank: i64) -> Priority {
    match rank {
        3 => Priority::Low,
        2 => Priority::Medium,
        1 => Priority::High,
        _ => Priority::Critical,
    }
}
