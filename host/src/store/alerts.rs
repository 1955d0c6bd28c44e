//! Adding alerts and their deliveries to a request, or counting what they repeat.

use rusqlite::{OptionalExtension, params};

use super::groups::After;
use super::ids::{alert_ids, delivery_ids};
use super::repeats::Repeat;
use super::request::{Appended, NewAlert, PluginId, PluginRecord, Proofs, rank};
use super::step::Step;
use super::tracking::{self, Way};
use super::{ALERTS_PER_REQUEST, StoreError};

/// The origin of alerts: the part that all alerts of one request share.
pub struct Origin<'a> {
    pub seq: i64,
    /// The stored id of the request.
    pub request: &'a [u8],
    /// Unix milliseconds, by the machine's clock.
    pub at_ms: i64,
}

/// Adds what was read from a request. Where one of its proofs was seen before, nothing is added.
/// `after` is to be finished once the request itself is in the store.
pub fn keep_alerts(
    step: &mut Step<'_>,
    origin: &Origin<'_>,
    alerts: &[NewAlert],
    proofs: &Proofs,
    after: &mut After,
) -> Result<Appended, StoreError> {
    if let Some(alert) = seen(step, proofs, origin.at_ms)? {
        repeat(step, alert, origin);
        return Ok(Appended {
            accepted: 0,
            duplicates: alerts.len(),
        });
    }
    let [first, _] = alert_ids(origin.seq);
    let (mut accepted, mut first_new) = (0, None);
    for (id, alert) in (first..).zip(alerts.iter().take(ALERTS_PER_REQUEST - 1)) {
        match known(step, id, alert)? {
            Some(earlier) => repeat(step, earlier, origin),
            None => {
                insert(step, id, alert, after)?;
                accepted += 1;
                first_new.get_or_insert(id);
            }
        }
    }
    if let Some(first_new) = first_new {
        let mut remember = step
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO identities (hash, alert) VALUES (?, ?)")?;
        for hash in proofs.hashes() {
            remember.execute(params![hash.0, first_new])?;
        }
    }
    Ok(Appended {
        accepted,
        duplicates: alerts.len() - accepted,
    })
}

/// Returns the alert of an earlier request with one of these proofs. It counts still at `at_ms`.
fn seen(step: &Step<'_>, proofs: &Proofs, at_ms: i64) -> Result<Option<i64>, StoreError> {
    for hash in proofs.hashes() {
        let mut select = step.transaction.prepare_cached(
            "SELECT alert FROM identities JOIN requests ON seq = alert / ?2
             WHERE hash = ?1 AND (proofs_until IS NULL OR proofs_until >= ?3)",
        )?;
        let alert = select
            .query_row(params![hash.0, ALERTS_PER_REQUEST as i64, at_ms], |row| {
                row.get(0)
            })
            .optional()?;
        if alert.is_some() {
            return Ok(alert);
        }
    }
    Ok(None)
}

/// Takes down the identity of alert `id`, unless it is known already; then it returns the alert
/// that has it.
pub fn known(step: &Step<'_>, id: i64, alert: &NewAlert) -> Result<Option<i64>, StoreError> {
    let new = step
        .transaction
        .prepare_cached(
            "INSERT INTO identities (hash, alert) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
        )?
        .execute(params![alert.identity.0, id])?;
    if new > 0 {
        return Ok(None);
    }
    let mut select = step
        .transaction
        .prepare_cached("SELECT alert FROM identities WHERE hash = ?")?;
    Ok(Some(
        select.query_row([alert.identity.0], |row| row.get(0))?,
    ))
}

fn repeat(step: &mut Step<'_>, alert: i64, origin: &Origin<'_>) {
    step.repeats.push((
        alert,
        Repeat {
            times: 1,
            at_ms: origin.at_ms,
            request: origin.request.to_vec(),
        },
    ));
}

/// The reason for which an alert is ignored that comes after one of its key with a greater order.
const TOO_LATE: &str = "a later event of the same key was seen before it";

/// Returns whether an alert of this key with a greater order was seen before; otherwise alert `id`
/// has the greatest now.
fn is_too_late(step: &Step<'_>, id: i64, alert: &NewAlert) -> Result<bool, StoreError> {
    let Some(order) = alert.order else {
        return Ok(false);
    };
    let raised = step
        .transaction
        .prepare_cached(
            "INSERT INTO orders (ordering_key, greatest, alert) VALUES (?1, ?2, ?3)
             ON CONFLICT (ordering_key) DO UPDATE SET greatest = ?2, alert = ?3 WHERE greatest <= ?2",
        )?
        .execute(params![alert.ordering_key, order, id])?;
    Ok(raised == 0)
}

/// Adds an alert whose identity was taken down, and a delivery for each of its destinations. One
/// that comes too late in the order of its key has none, and neither has a member of a group.
fn insert(
    step: &mut Step<'_>,
    id: i64,
    alert: &NewAlert,
    after: &mut After,
) -> Result<(), StoreError> {
    let now_ms = after.now_ms();
    let too_late = is_too_late(step, id, alert)?;
    if let Some(ignored) = alert.ignored.as_deref().or(too_late.then_some(TOO_LATE)) {
        return put(step, id, alert, Some(ignored), !too_late, now_ms);
    }
    let source = step.source(&alert.source)?;
    let (ignored, is_sent) = match tracking::place(step, id, source, alert, after)? {
        Way::Out => (None, true),
        Way::Group | Way::Muted => (None, false),
        Way::Nowhere(why) => (Some(why), false),
    };
    put(step, id, alert, ignored, is_sent, now_ms)
}

/// Adds an alert whose identity was taken down, whatever became of it. `is_sent` says that it has a
/// delivery for each of its destinations.
pub fn put(
    step: &mut Step<'_>,
    id: i64,
    alert: &NewAlert,
    ignored: Option<&str>,
    is_sent: bool,
    now_ms: i64,
) -> Result<(), StoreError> {
    let source = step.source(&alert.source)?;
    let priority = rank(alert.priority);
    step.transaction
        .prepare_cached(
            "INSERT INTO alerts (id, source, event_id, ordering_key, priority, ignored) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![id, source, alert.event_id, alert.ordering_key, priority, ignored])?;
    step.transaction
        .prepare_cached("INSERT INTO events (alert, json) VALUES (?, ?)")?
        .execute(params![id, alert.json])?;
    step.totals.alerts += 1;
    if is_sent {
        deliver(step, id, source, alert, now_ms)?;
    }
    Ok(())
}

/// Adds a delivery of an alert for each of its destinations.
pub fn deliver(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    now_ms: i64,
) -> Result<(), StoreError> {
    let [first, _] = delivery_ids(id);
    for (delivery, name) in (first..).zip(&alert.destinations) {
        let destination = step.destination(name)?;
        enqueue(
            step,
            &Pending {
                delivery,
                destination,
                source,
                ordering_key: alert.ordering_key,
                priority: rank(alert.priority),
                resolves: alert.resolves,
                attempts: 0,
                since: now_ms,
                fell_back: false,
            },
            now_ms,
        )?;
    }
    Ok(())
}

/// A delivery on its way into the queue.
pub struct Pending {
    pub delivery: i64,
    pub destination: i64,
    pub source: i64,
    pub ordering_key: i64,
    pub priority: i64,
    /// True if it is as urgent as what waits before it, which it resolves.
    pub resolves: bool,
    /// The number of earlier attempts.
    pub attempts: i64,
    /// The time since when it waits, by the store's clock.
    pub since: i64,
    /// True if it is not to go to the fallback of its destination.
    pub fell_back: bool,
}

/// Adds a delivery to the queue, due since `due_at`; or behind the others of its ordering key,
/// where there are any. It hands its priority on to those before it that are less urgent, as it
/// goes out no sooner than they do. One that resolves those before it is as urgent as they are.
pub fn enqueue(step: &mut Step<'_>, pending: &Pending, due_at: i64) -> Result<(), StoreError> {
    let Pending {
        delivery,
        destination,
        source,
        ordering_key,
        priority,
        resolves,
        attempts,
        since,
        fell_back,
    } = pending;
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE ordering_key = ?1 AND destination = ?2),
                (SELECT min(priority) FROM queue WHERE ordering_key = ?1 AND destination = ?2
                 AND (id > ?3 OR ?4))",
    )?;
    let (is_busy, beside): (bool, Option<i64>) = select.query_row(
        params![ordering_key, destination, delivery, resolves],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let urgency = beside.map_or(*priority, |beside| beside.min(*priority));
    if is_busy {
        step.transaction
            .prepare_cached(
                "UPDATE queue SET priority = ?3 WHERE ordering_key = ?1 AND destination = ?2 AND priority > ?3
                 AND (id < ?4 OR due_at IS NOT NULL)",
            )?
            .execute(params![ordering_key, destination, urgency, delivery])?;
    }
    step.transaction
        .prepare_cached(
            "INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts, since, fell_back)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            delivery,
            destination,
            source,
            ordering_key,
            urgency,
            (!is_busy).then_some(due_at),
            attempts,
            since,
            fell_back
        ])?;
    step.totals.pending += 1;
    Ok(())
}

/// Makes a plugin known, or finds it.
pub fn plugin(step: &Step<'_>, plugin: &PluginRecord) -> Result<PluginId, StoreError> {
    let id = step.transaction.query_row(
        "INSERT INTO plugins (sha256, name, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (sha256, name) DO UPDATE SET version = ?3 RETURNING id",
        params![plugin.sha256, plugin.name, plugin.version],
        |row| row.get(0),
    )?;
    Ok(PluginId(id))
}
