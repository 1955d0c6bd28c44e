//! Removing what is old and delivered, a little at a time, between the commits of the day's work.
//!
//! What was not delivered is never removed: not what waits, not what the destination refused (set aside), not what a plugin
//! failed on (kept raw). None of these is bounded by anything but the disk, because each was accepted, and nobody has heard
//! of it. Where they alone exceed the size, the log says so and what to do; where they fill the disk, senders are told 503.
//! What was delivered keeps half of the size even then: see [`spared`].

use std::fs::metadata;
use std::time::Duration;

use rusqlite::params;
use tokio::sync::watch;

use super::totals::Totals;
use super::writer::Step;
use super::{Store, StoreError, alert_ids, schema, spared};
use crate::clock::wall_ms;
use crate::metrics::{CauseLabel, Metrics};

/// How often there is a look at what may go.
const EVERY: Duration = Duration::from_secs(60);

/// How far the machine's clock may be set without a word.
const DRIFT: Duration = Duration::from_secs(60);

/// How many requests one step looks at. A step holds up the commits behind it, so it is short.
const LOOK: i64 = 256;

/// How many steps in a row may find nothing to remove. What is not delivered may be millions of requests, and each step over
/// them takes the writer some milliseconds: the next sweep goes on where this one left off.
const FRUITLESS: u32 = 512;

/// A log of more bytes than this says that it cannot be folded into the file. Well, it is some 16 MB.
const LONG_LOG: u64 = 256 * 1024 * 1024;

/// What may go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Look at requests from this `seq` on; 0 to begin.
    pub from: i64,
    /// Requests received before this may go: Unix milliseconds.
    pub before_ms: i64,
    /// Requests received after this came in under a clock that was ahead, and say nothing of the age of those behind them.
    pub now_ms: i64,
    /// While more bytes than this are in use, younger requests go too,
    pub size: u64,
    /// but none from this `seq` on.
    pub spared: i64,
}

/// What a step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// How many requests were removed.
    pub removed: Removed,
    /// Where the next step begins; `None` says that there is no more to do for now.
    pub next: Option<i64>,
    /// How many bytes are in use now.
    pub bytes: u64,
    /// What is kept now.
    pub(super) totals: Totals,
}

/// How many requests were removed, by what they exceeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// They were older than may be.
    pub by_age: u64,
    /// They were younger, and all of it took more room than it may.
    pub by_size: u64,
}

/// Where the sweeps are.
#[derive(Debug, Default)]
struct Sweeps {
    /// Where the next step begins.
    from: i64,
    /// From where on nothing goes for the size; 0 until somebody has looked.
    spared: i64,
    /// How many bytes were in use when that was looked for, or fewer that were since.
    looked_at: Option<u64>,
}

/// What the operator has been told of, so that it is told when it begins and when it ends.
#[derive(Debug, Default)]
struct Told {
    over_size: bool,
    long_log: bool,
}

/// Removes what is older than `age`, and the oldest while more than `size` bytes are in use, now and then until `stop`
/// says so. What is not delivered stays.
///
/// Age is counted by the earlier of two clocks: the steady one and the machine's. So a clock that is set forward by mistake
/// removes nothing early. One that was behind when the gateway started, and was then put right, leaves the steady one
/// behind until a restart: meanwhile all is kept for that much longer, within `size`.
pub async fn keep_within(store: Store, age: Duration, size: u64, metrics: Metrics, mut stop: watch::Receiver<bool>) {
    let (mut sweeps, mut told, mut drift_ms) = (Sweeps::default(), Told::default(), 0);
    loop {
        tell_of_drift(&store, &mut drift_ms);
        let before_ms = store.clock().earliest_ms().saturating_sub(age.as_millis() as i64);
        let swept = tokio::select! {
            swept = sweeps.sweep(&store, before_ms, size, &metrics) => swept,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match swept {
            Ok((removed, last)) => {
                if removed != Removed::default() {
                    let Removed { by_age, by_size } = removed;
                    tracing::info!(by_age, by_size, "retention removed old requests, all of them delivered");
                }
                metrics.retention_last_sweep.set(wall_ms() as f64 / 1000.0);
                told.of_size(&last, size);
            }
            Err(error) => tracing::warn!(%error, "retention could not remove what is old; it tries again"),
        }
        told.of_log(metadata(schema::log(&store.path)).map_or(0, |log| log.len()), &metrics);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Tells when the machine's clock has been set since it was last told.
fn tell_of_drift(store: &Store, told_ms: &mut i64) {
    let drift_ms = store.clock().drift_ms();
    if drift_ms.abs_diff(*told_ms) < DRIFT.as_millis() as u64 {
        return;
    }
    tracing::warn!(
        seconds = drift_ms / 1000,
        "the machine's clock was set while the gateway runs. Deliveries keep their pace; what is shown follows it; \
        until a restart, nothing is removed for an age that it has not by both"
    );
    *told_ms = drift_ms;
}

impl Sweeps {
    /// Removes what may go, and counts it. Gives its number, and what the last step said.
    async fn sweep(
        &mut self,
        store: &Store,
        before_ms: i64,
        size: u64,
        metrics: &Metrics,
    ) -> Result<(Removed, Retained), StoreError> {
        let (mut removed, mut fruitless) = (Removed::default(), 0);
        loop {
            let bounds = Bounds { from: self.from, before_ms, now_ms: wall_ms(), size, spared: self.spared };
            let step = store.retain(bounds).await?;
            for (cause, count, sum) in [
                ("age", step.removed.by_age, &mut removed.by_age),
                ("size", step.removed.by_size, &mut removed.by_size),
            ] {
                metrics.retention_removed.get_or_create(&CauseLabel { cause }).inc_by(count);
                *sum += count;
            }
            metrics.store_size.set(i64::try_from(step.bytes).unwrap_or(i64::MAX));
            fruitless = if step.removed == Removed::default() { fruitless + 1 } else { 0 };
            match step.next {
                Some(seq) => {
                    self.from = seq;
                    if fruitless == FRUITLESS {
                        return Ok((removed, step));
                    }
                }
                None if self.is_outdated(step.bytes, size) => {
                    self.spared = look(store, size / 2).await?;
                    self.looked_at = Some(step.bytes);
                }
                None => {
                    self.from = 0;
                    self.looked_at = self.looked_at.map(|bytes| bytes.min(step.bytes));
                    return Ok((removed, step));
                }
            }
        }
    }

    /// Whether what was spared may be less by now. To look reads as much as was delivered and more, so it is done once for
    /// each sixteenth of the size that has come.
    fn is_outdated(&self, bytes: u64, size: u64) -> bool {
        bytes > size && self.looked_at.is_none_or(|looked_at| bytes > looked_at.saturating_add(size / 16))
    }
}

/// Looks what is to be spared, where waiting for the disk holds up nobody.
async fn look(store: &Store, bytes: u64) -> Result<i64, StoreError> {
    let path = store.path.clone();
    let looked = tokio::task::spawn_blocking(move || spared::from(&schema::open_reader(&path)?, bytes)).await;
    looked.unwrap_or(Err(StoreError::Closed))
}

impl Told {
    /// Whatever may go is gone, or soon will be: what still exceeds the size is what was not delivered.
    fn of_size(&mut self, last: &Retained, size: u64) {
        let over_size = last.bytes > size;
        if over_size == std::mem::replace(&mut self.over_size, over_size) {
            return;
        }
        let Retained { bytes, totals: Totals { pending, set_aside, failed, .. }, .. } = *last;
        if over_size {
            tracing::warn!(
                bytes,
                size,
                pending,
                set_aside,
                failed,
                "the store exceeds [retention] size by what is not delivered, which is never removed. What was delivered keeps \
                half of the size; repeats of what was removed are not recognised any more. Pending: see /readyz \
                for what the destination wants. Set aside: `alert-gateway events list --state set-aside`, then `events \
                replay --set-aside`. Failed: mend the plugin, then `events replay`. Or raise the size, if the disk has room"
            );
        } else {
            tracing::info!(bytes, size, "the store keeps to [retention] size again");
        }
    }

    fn of_log(&mut self, bytes: u64, metrics: &Metrics) {
        metrics.store_log_size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let long = bytes > LONG_LOG;
        if long && !self.long_log {
            tracing::warn!(
                bytes,
                "the store's log (gateway.db-wal) grows and cannot be folded into the file: is a program reading the store \
                for long (sqlite3, `store check`, `store backup`), or does the disk fail? Nothing is lost while it has room"
            );
        }
        self.long_log = long;
    }
}

pub fn retain(step: Step<'_>, bounds: &Bounds) -> Result<Retained, StoreError> {
    let bytes = bytes_in_use(&step)?;
    let over_size = bytes > bounds.size;
    let oldest: Vec<(i64, i64, bool)> = step
        .transaction
        .prepare_cached("SELECT seq, received_at, state <> 'failed' FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?")?
        .query_map(params![bounds.from, LOOK], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let (mut removed, mut next) = (Removed::default(), oldest.last().and_then(|(seq, ..)| seq.checked_add(1)));
    for (seq, received_at, settled) in oldest {
        if received_at >= bounds.before_ms && !(over_size && seq < bounds.spared) {
            if received_at > bounds.now_ms {
                continue;
            }
            next = None;
            break;
        }
        // The newest request stays, whatever its age: the next number is one more than its own, so none is given twice.
        let newest = seq >= *step.next_seq - 1;
        if settled
            && !newest
            && let Some(alerts) = remove(&step, seq)?
        {
            step.totals.delivered -= alerts as i64;
            *(if received_at < bounds.before_ms { &mut removed.by_age } else { &mut removed.by_size }) += 1;
        }
    }
    let bytes = if removed == Removed::default() { bytes } else { bytes_in_use(&step)? };
    Ok(Retained { removed, next, bytes, totals: *step.totals })
}

/// Removes a request and all that hangs on it, unless one of its alerts is not delivered. Gives the number of its alerts.
fn remove(step: &Step<'_>, seq: i64) -> Result<Option<usize>, StoreError> {
    let range = alert_ids(seq);
    let undelivered: bool = step
        .transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM alerts WHERE id BETWEEN ? AND ? AND state <> 'delivered')")?
        .query_row(range, |row| row.get(0))?;
    if undelivered {
        return Ok(None);
    }
    for sql in ["DELETE FROM attempts WHERE alert BETWEEN ? AND ?", "DELETE FROM events WHERE alert BETWEEN ? AND ?"] {
        step.transaction.prepare_cached(sql)?.execute(range)?;
    }
    let alerts = step.transaction.prepare_cached("DELETE FROM alerts WHERE id BETWEEN ? AND ?")?.execute(range)?;
    step.transaction.prepare_cached("DELETE FROM requests WHERE seq = ?")?.execute([seq])?;
    Ok(Some(alerts))
}

fn bytes_in_use(step: &Step<'_>) -> Result<u64, StoreError> {
    let pragma = |name| step.transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).unsigned_abs())
}
