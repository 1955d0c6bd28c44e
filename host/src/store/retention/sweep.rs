//! A slice of a sweep: some rows, looked at and removed in one commit.

use rusqlite::params;

use crate::store::StoreError;
use crate::store::command::Command;
use crate::store::ids::{Identity, StoredEventId, alert_ids, deliveries_of, delivery_ids};
use crate::store::space::Space;
use crate::store::step::Step;
use crate::store::totals::Totals;
use crate::store::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, groups, internal, keys, mutes};

/// The bytes that the identity of one alert takes on the disk, with its request, its receipt and
/// all indexes. An estimate from the widths of the rows with Twilio's event ids;
/// `cargo bench --bench load -- repeats` prints the size of a real file.
pub const IDENTITY_BYTES: u64 = 256;

/// The number of rows one slice removes. A slice holds up the commits behind it, so it is short.
const LOOK: i64 = 256;

/// The number of rows one slice looks at for content that may go. At full speed some thousand
/// alerts are on their way: to pass over them must not take commits in which as much comes in.
const PASS: i64 = 8 * LOOK;

/// A run of rows, which go by one statement, takes no more rows once it has so many, or so many bytes.
/// What goes beyond the bound is no more than one run.
const RUN: u64 = 16;
const RUN_BYTES: i64 = 64 * 1024;

/// The number of pages one slice gives back.
const PAGES: u32 = 256;

/// The condition for a slice's search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Requests that are too old.
    Age,
    /// Bodies, while too much is in use.
    Bodies,
    /// What alerts say, and all but their last attempts, while too much is in use.
    Events,
    /// The oldest identities, while there are too many.
    Identities,
    /// Pages that nothing is in.
    Space,
}

/// The rows that may go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests received before this may go: Unix milliseconds.
    pub before_ms: i64,
    /// Requests received after this came in under a clock that was ahead, and say nothing of the
    /// age of those behind them.
    pub now_ms: i64,
    /// While more bytes than this are in use, content goes.
    pub size: u64,
    /// While identities take more bytes than this, the oldest go.
    pub identities: u64,
}

/// Removes some of what may go, from a row on.
#[derive(Debug)]
pub struct Sweep {
    /// The condition of the search.
    pub stage: Stage,
    /// A request's `seq`, or an alert's id; 0 to begin.
    pub from: i64,
    /// The rows that may go.
    pub bounds: Bounds,
}

/// The result of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Swept {
    /// The amount removed.
    pub removed: Removed,
    /// The place where the next slice begins; `None` says that there is no more to look at.
    pub next: Option<i64>,
    /// True if the bound is kept to now.
    pub is_enough: bool,
    /// The number of bytes in use now.
    pub bytes: u64,
    /// The amount kept now.
    pub(in crate::store) totals: Totals,
}

/// Rows side by side that may go.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: i64,
    last: i64,
    rows: u64,
    bytes: i64,
}

impl Run {
    /// Returns whether the row behind this one, which is the latest that was looked at, goes with it.
    fn is_joined_behind(&self, row: Option<i64>) -> bool {
        row == Some(self.last) && self.rows < RUN && self.bytes < RUN_BYTES
    }
}

/// The amount removed, by the exceeded limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Requests that were older than may be.
    pub by_age: u64,
    /// Requests whose content, or identity, took more room than it may; or alerts that lost what
    /// they said.
    pub by_size: u64,
}

impl Command for Sweep {
    type Output = Swept;

    fn run(&self, step: &mut Step<'_>) -> Result<Swept, StoreError> {
        let mut removed = Removed::default();
        let next = match self.stage {
            Stage::Age => self.old(step, &mut removed)?,
            Stage::Bodies => self.bodies(step, &mut removed)?,
            Stage::Events => self.events(step, &mut removed)?,
            Stage::Identities => self.identities(step, &mut removed)?,
            Stage::Space => self.space(step)?,
        };
        let bytes = Space::of(step.transaction)?.in_use;
        let is_enough = match self.stage {
            Stage::Age | Stage::Space => false,
            Stage::Bodies | Stage::Events => bytes <= self.bounds.size,
            Stage::Identities => !self.has_too_many(step),
        };
        Ok(Swept {
            removed,
            next,
            is_enough,
            bytes,
            totals: *step.totals,
        })
    }
}

impl Sweep {
    fn old(&self, step: &mut Step<'_>, removed: &mut Removed) -> Result<Option<i64>, StoreError> {
        let Bounds {
            before_ms, now_ms, ..
        } = self.bounds;
        let oldest: Vec<(i64, i64)> = step
            .transaction
            .prepare_cached(
                "SELECT seq, received_at FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?",
            )?
            .query_map(params![self.from, LOOK], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        let next = oldest.last().and_then(|(seq, _)| seq.checked_add(1));
        for (seq, received_at) in oldest {
            if received_at >= before_ms {
                if received_at > now_ms {
                    continue;
                }
                return Ok(None);
            }
            removed.by_age += u64::from(remove(step, seq, true)?);
        }
        Ok(next)
    }

    fn bodies(
        &self,
        step: &mut Step<'_>,
        removed: &mut Removed,
    ) -> Result<Option<i64>, StoreError> {
        let is_undelivered = undelivered("b.seq * ?3", "(b.seq + 1) * ?3 - 1");
        let (runs, next) = self.runs(
            step,
            &format!(
                "SELECT b.seq, ifnull(r.state, '') <> 'failed' AND NOT ({is_undelivered}), length(b.body)
                 FROM bodies b LEFT JOIN requests r ON r.seq = b.seq WHERE b.seq >= ?1 ORDER BY b.seq LIMIT ?2"
            ),
            (ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64,
        )?;
        for run in runs {
            if Space::of(step.transaction)?.in_use <= self.bounds.size {
                return Ok(Some(run.first));
            }
            step.transaction
                .prepare_cached("DELETE FROM bodies WHERE seq BETWEEN ? AND ?")?
                .execute([run.first, run.last])?;
            removed.by_size += run.rows;
        }
        Ok(next)
    }

    fn events(
        &self,
        step: &mut Step<'_>,
        removed: &mut Removed,
    ) -> Result<Option<i64>, StoreError> {
        let is_undelivered = undelivered("alert * ?3", "(alert + 1) * ?3 - 1");
        let (runs, next) = self.runs(
            step,
            &format!(
                "SELECT alert, NOT ({is_undelivered}), octet_length(json)
                 FROM events e WHERE alert >= ?1 ORDER BY alert LIMIT ?2"
            ),
            DELIVERIES_PER_ALERT as i64,
        )?;
        for run in runs {
            if Space::of(step.transaction)?.in_use <= self.bounds.size {
                return Ok(Some(run.first));
            }
            let alerts = [run.first, run.last];
            keys::keep_words(step, alerts)?;
            let [first, _] = delivery_ids(run.first);
            let [_, last] = delivery_ids(run.last);
            // Between them there may be an alert whose content is lost, and which is a dead letter.
            for sql in [
                "DELETE FROM attempts WHERE delivery BETWEEN ?1 AND ?2
                 AND EXISTS (SELECT 1 FROM events WHERE alert = delivery / ?3)
                 AND n < (SELECT max(n) FROM attempts t WHERE t.delivery = attempts.delivery)",
                "UPDATE attempts SET fingerprint = NULL, said = NULL WHERE delivery BETWEEN ?1 AND ?2
                 AND EXISTS (SELECT 1 FROM events WHERE alert = delivery / ?3)",
            ] {
                step.transaction
                    .prepare_cached(sql)?
                    .execute([first, last, DELIVERIES_PER_ALERT as i64])?;
            }
            step.transaction
                .prepare_cached("DELETE FROM events WHERE alert BETWEEN ? AND ?")?
                .execute(alerts)?;
            removed.by_size += run.rows;
        }
        Ok(next)
    }

    /// Returns the next rows that may go, and the place of the row behind those that were looked
    /// at, if there may be one. `sql` gives the number of a row, whether it may go, and its bytes.
    fn runs(
        &self,
        step: &Step<'_>,
        sql: &str,
        deliveries_per_row: i64,
    ) -> Result<(Vec<Run>, Option<i64>), StoreError> {
        let mut select = step.transaction.prepare_cached(sql)?;
        let mut rows = select.query(params![self.from, PASS, deliveries_per_row])?;
        let mut runs: Vec<Run> = Vec::new();
        let mut last: Option<i64> = None;
        let mut looked = 0;
        let mut settled = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let before = last.replace(id);
            looked += 1;
            if !row.get::<_, bool>(1)? {
                continue;
            }
            let bytes: i64 = row.get(2)?;
            match runs.last_mut().filter(|run| run.is_joined_behind(before)) {
                Some(run) => {
                    run.last = id;
                    run.rows += 1;
                    run.bytes = run.bytes.saturating_add(bytes);
                }
                None => runs.push(Run {
                    first: id,
                    last: id,
                    rows: 1,
                    bytes,
                }),
            }
            settled += 1;
            if settled == LOOK {
                break;
            }
        }
        let is_all = settled < LOOK && looked < PASS;
        let next = last.and_then(|last| last.checked_add(1));
        Ok((runs, next.filter(|_| !is_all)))
    }

    fn identities(
        &self,
        step: &mut Step<'_>,
        removed: &mut Removed,
    ) -> Result<Option<i64>, StoreError> {
        let mut select = step
            .transaction
            .prepare_cached("SELECT seq FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?")?;
        let oldest: Vec<i64> = select
            .query_map(params![self.from, LOOK], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut last = None;
        for seq in oldest {
            if !self.has_too_many(step) {
                return Ok(Some(seq));
            }
            removed.by_size += u64::from(remove(step, seq, false)?);
            last = seq.checked_add(1);
        }
        Ok(last)
    }

    fn has_too_many(&self, step: &Step<'_>) -> bool {
        step.totals
            .alerts
            .unsigned_abs()
            .saturating_mul(IDENTITY_BYTES)
            > self.bounds.identities
    }

    /// Gives some pages back to the disk.
    fn space(&self, step: &Step<'_>) -> Result<Option<i64>, StoreError> {
        let Space { spare, .. } = Space::of(step.transaction)?;
        if spare <= self.bounds.size / 20 {
            return Ok(None);
        }
        let mut vacuum = step
            .transaction
            .prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        let left = Space::of(step.transaction)?.spare;
        // A file that an older gateway made without the means for it gives nothing back.
        Ok((left < spare && left > self.bounds.size / 20).then_some(0))
    }
}

/// Returns the condition that one of the deliveries from `first` to `last` is pending, or a dead
/// letter, or its alert held by a mute.
fn undelivered(first: &str, last: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM queue WHERE id BETWEEN {first} AND {last})
         OR EXISTS (SELECT 1 FROM dead WHERE id BETWEEN {first} AND {last})
         OR EXISTS (SELECT 1 FROM muted WHERE held IS NOT NULL
                    AND muted.alert BETWEEN ({first}) / {DELIVERIES_PER_ALERT} AND ({last}) / {DELIVERIES_PER_ALERT})"
    )
}

/// Returns whether one of these deliveries is pending, or a dead letter, or its alert held by a mute.
fn is_undelivered(step: &Step<'_>, deliveries: [i64; 2]) -> Result<bool, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached(&format!("SELECT {}", undelivered("?1", "?2")))?;
    Ok(select.query_row(deliveries, |row| row.get(0))?)
}

/// Removes a request and all that hangs on it, unless one of its alerts is not delivered, or its
/// plugin failed on it. A failed request of a sender that has proved nothing goes where it is
/// `old`. Returns whether it is gone.
fn remove(step: &mut Step<'_>, seq: i64, old: bool) -> Result<bool, StoreError> {
    // The newest request stays, whatever its age: the next number is one more than its own, so none
    // is given twice.
    if seq >= *step.next_seq - 1 || is_undelivered(step, deliveries_of(seq))? {
        return Ok(false);
    }
    // The group is an alert that is open, and its members are what it is about.
    if old && groups::is_open(step, seq)? {
        return Ok(false);
    }
    let (state, unproven, received_at, source): (String, bool, i64, String) = step
        .transaction
        .prepare_cached(
            "SELECT state, r.unproven IS NOT NULL, received_at, ifnull(name, '')
             FROM requests r LEFT JOIN sources s ON s.id = r.source WHERE seq = ?",
        )?
        .query_row([seq], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    if state == "failed" {
        if !(old && unproven) {
            return Ok(false);
        }
        tracing::warn!(
            source,
            "a failed request whose sender had proved nothing was removed for its age"
        );
        internal::no_longer_failed(step, seq, &source, received_at, 0)?;
    }
    forget_identities(step, seq)?;
    keys::forget(step, seq)?;
    groups::forget(step, seq)?;
    mutes::forget(step, seq)?;
    let alerts = alert_ids(seq);
    let deliveries = deliveries_of(seq);
    let mut delivered = step.transaction.prepare_cached(
        "SELECT count(*) FROM attempts WHERE delivery BETWEEN ? AND ? AND outcome = 'accepted'",
    )?;
    step.totals.delivered -= delivered.query_row(deliveries, |row| row.get::<_, i64>(0))?;
    for sql in [
        "DELETE FROM attempts WHERE delivery BETWEEN ? AND ?",
        "DELETE FROM fallbacks WHERE id BETWEEN ? AND ?",
    ] {
        step.transaction.prepare_cached(sql)?.execute(deliveries)?;
    }
    step.transaction
        .prepare_cached(
            "DELETE FROM orders WHERE alert BETWEEN ?1 AND ?2
             AND ordering_key IN (SELECT ordering_key FROM alerts WHERE id BETWEEN ?1 AND ?2)",
        )?
        .execute(alerts)?;
    for table in ["events", "repeats"] {
        let sql = format!("DELETE FROM {table} WHERE alert BETWEEN ? AND ?");
        step.transaction.prepare_cached(&sql)?.execute(alerts)?;
    }
    let removed = step
        .transaction
        .prepare_cached("DELETE FROM alerts WHERE id BETWEEN ? AND ?")?
        .execute(alerts)?;
    step.totals.alerts -= removed as i64;
    for table in ["bodies", "requests"] {
        step.transaction
            .prepare_cached(&format!("DELETE FROM {table} WHERE seq = ?"))?
            .execute([seq])?;
    }
    Ok(true)
}

/// Removes what the events and the proofs of a request are known by.
fn forget_identities(step: &mut Step<'_>, seq: i64) -> Result<(), StoreError> {
    let alerts = alert_ids(seq);
    let mut select = step.transaction.prepare_cached(
        "SELECT name, event_id FROM alerts a JOIN sources s ON s.id = a.source WHERE a.id BETWEEN ? AND ?",
    )?;
    let mut rows = select.query(alerts)?;
    let mut hashes = Vec::new();
    while let Some(row) = rows.next()? {
        // Where somebody has written another thing there, its identity stays: it is found by no
        // event.
        if let (Ok(source), Ok(event_id)) =
            (row.get::<_, String>(0), row.get::<_, StoredEventId>(1))
        {
            hashes.push(event_id.identity(&source));
        }
    }
    drop(rows);
    let mut select = step
        .transaction
        .prepare_cached("SELECT proofs FROM requests WHERE seq = ? AND proofs IS NOT NULL")?;
    let mut rows = select.query([seq])?;
    while let Some(row) = rows.next()? {
        let (proofs, _) = row.get_ref(0)?.as_blob().unwrap_or_default().as_chunks();
        hashes.extend(proofs.iter().copied().map(Identity));
    }
    drop(rows);
    drop(select);
    // Where another alert is known by the same by now, that one stays.
    for hash in hashes {
        step.forget(hash, alerts)?;
    }
    Ok(())
}
