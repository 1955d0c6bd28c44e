//! Removing what is old and delivered, a little at a time, between the commits of the day's work.

use std::time::Duration;

use rusqlite::params;
use tokio::sync::watch;

use super::writer::Step;
use super::{ALERTS_PER_REQUEST, Store, StoreError};

/// How often there is a look at what may go.
const EVERY: Duration = Duration::from_secs(60);

/// How far the machine's clock may be set without a word.
const DRIFT: Duration = Duration::from_secs(60);

/// How many requests one step looks at. A step holds up the commits behind it, so it is short.
const LOOK: i64 = 256;

/// What may go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Look at requests from this `seq` on; 0 to begin.
    pub from: i64,
    /// Requests received before this may go: Unix milliseconds.
    pub before_ms: i64,
    /// While more bytes than this are in use, younger requests go too.
    pub size: u64,
}

/// What a step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// How many requests were removed.
    pub removed: usize,
    /// Where the next step begins; `None` says that there is no more to do for now.
    pub next: Option<i64>,
}

/// Removes what is older than `age`, and the oldest while more than `size` bytes are in use, now and then until `stop`
/// says so. What is not delivered stays.
///
/// Age is counted by the earlier of two clocks: the steady one and the machine's. So a clock that is set forward by mistake
/// removes nothing early. One that was behind when the gateway started, and was then put right, leaves the steady one
/// behind until a restart: meanwhile all is kept for that much longer, within `size`.
pub async fn keep_within(store: Store, age: Duration, size: u64, mut stop: watch::Receiver<bool>) {
    let mut drift_ms = 0;
    loop {
        tell_of_drift(&store, &mut drift_ms);
        let before_ms = store.clock().earliest_ms().saturating_sub(age.as_millis() as i64);
        match remove_all(&store, before_ms, size).await {
            Ok(0) => {}
            Ok(requests) => tracing::info!(requests, "retention removed old requests, all of them delivered"),
            Err(error) => tracing::warn!(%error, "retention could not remove what is old"),
        }
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

async fn remove_all(store: &Store, before_ms: i64, size: u64) -> Result<usize, StoreError> {
    let (mut from, mut removed) = (Some(0), 0);
    while let Some(seq) = from {
        let step = store.retain(Bounds { from: seq, before_ms, size }).await?;
        removed += step.removed;
        from = step.next;
    }
    Ok(removed)
}

pub fn retain(step: Step<'_>, bounds: &Bounds) -> Result<Retained, StoreError> {
    let over_size = bytes_in_use(&step)? > bounds.size;
    let oldest: Vec<(i64, i64, bool)> = step
        .transaction
        .prepare_cached("SELECT seq, received_at, state <> 'failed' FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?")?
        .query_map(params![bounds.from, LOOK], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut retained = Retained { removed: 0, next: oldest.last().map(|(seq, ..)| seq + 1) };
    for (seq, received_at, settled) in oldest {
        if received_at >= bounds.before_ms && !over_size {
            retained.next = None;
            break;
        }
        // The newest request stays, whatever its age: the next number is one more than its own, so none is given twice.
        let newest = seq + 1 == *step.next_seq;
        if settled
            && !newest
            && let Some(alerts) = remove(&step, seq)?
        {
            step.totals.delivered -= alerts as i64;
            retained.removed += 1;
        }
    }
    Ok(retained)
}

/// Removes a request and all that hangs on it, unless one of its alerts is not delivered. Gives the number of its alerts.
fn remove(step: &Step<'_>, seq: i64) -> Result<Option<usize>, StoreError> {
    let first = seq * ALERTS_PER_REQUEST as i64;
    let range = [first, first + ALERTS_PER_REQUEST as i64 - 1];
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
