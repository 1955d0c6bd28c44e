//! The rows of an alert: its identity, itself, and a delivery for each of its destinations.

use std::sync::Arc;

use rusqlite::params;

use super::StoreError;
use super::due;
use super::handover::Due;
use super::ids::{ALERTS_PER_REQUEST, deliveries_of, delivery_ids};
use super::request::{NewAlert, PluginId, PluginRecord, rank};
use super::shared::guard;
use super::step::Step;

/// The reason for which an alert has no delivery whose request is sent as it came, with another.
pub const CARRIED: &str = "its request is sent as it came, with its first alert";

/// Takes down the identity of alert `id`, unless it is known already; then it returns the alert
/// that has it.
pub fn known(step: &mut Step<'_>, id: i64, alert: &NewAlert) -> Result<Option<i64>, StoreError> {
    let known = step.known_as(alert.identity)?;
    if known.is_none() {
        step.identify(alert.identity, id)?;
    }
    Ok(known)
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
        .execute_soon(params![id, source, alert.event_id, alert.ordering_key, priority, ignored])?;
    step.transaction
        .prepare_cached("INSERT INTO events (alert, json) VALUES (?, ?)")?
        .execute_soon(params![id, alert.json])?;
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
    deliver_to(step, id, source, alert, &alert.destinations, now_ms)
}

/// Adds a delivery of an alert for each of these destinations.
pub fn deliver_to(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    destinations: &[String],
    now_ms: i64,
) -> Result<(), StoreError> {
    if destinations.is_empty() {
        return Ok(());
    }
    let [first, _] = delivery_ids(id);
    let urgent = &mut step.names.urgent;
    let mut priority = rank(alert.priority);
    if alert.resolves {
        priority = urgent.closes(alert.ordering_key, priority);
    } else {
        urgent.opens(alert.ordering_key, priority);
    }
    for (delivery, name) in (first..).zip(destinations) {
        let destination = step.destination(name)?;
        if is_carried(step, id, destination, name, alert)? {
            continue;
        }
        let pending = Pending {
            delivery,
            destination,
            source,
            ordering_key: alert.ordering_key,
            priority,
            resolves: alert.resolves,
            attempts: 0,
            since: now_ms,
            fell_back: false,
        };
        let is_due = insert(step, &pending, now_ms)?;
        match &alert.whole {
            Some(whole) if is_due => step.made_due.add(
                name,
                Due {
                    id: delivery,
                    attempts: 0,
                    priority: due::priority(priority),
                    bytes: alert.json.len(),
                    alert: Arc::clone(whole),
                },
            ),
            _ => step.made_due.others |= is_due,
        }
    }
    Ok(())
}

/// Returns whether every delivery of an alert is that of an earlier alert of its request.
pub fn all_carried(
    step: &mut Step<'_>,
    id: i64,
    alert: &NewAlert,
    destinations: &[String],
) -> Result<bool, StoreError> {
    for name in destinations {
        let destination = step.destination(name)?;
        if !is_carried(step, id, destination, name, alert)? {
            return Ok(false);
        }
    }
    Ok(!destinations.is_empty())
}

/// Returns whether a destination gets the request of an alert with an earlier alert of it.
fn is_carried(
    step: &Step<'_>,
    id: i64,
    destination: i64,
    name: &str,
    alert: &NewAlert,
) -> Result<bool, StoreError> {
    if !alert.originals.have(name) {
        return Ok(false);
    }
    let of_request = deliveries_of(id / ALERTS_PER_REQUEST as i64);
    are_any_for(step, of_request, destination)
}

/// Returns whether any delivery of this range, whatever became of it, is one to a destination.
pub fn are_any_for(
    step: &Step<'_>,
    [first, last]: [i64; 2],
    destination: i64,
) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE id BETWEEN ?1 AND ?2 AND destination = ?3)
             OR EXISTS (SELECT 1 FROM dead WHERE id BETWEEN ?1 AND ?2 AND destination = ?3)
             OR EXISTS (SELECT 1 FROM attempts WHERE delivery BETWEEN ?1 AND ?2 AND destination = ?3)",
    )?;
    Ok(select.query_row([first, last, destination], |row| row.get(0))?)
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
    let is_due = insert(step, pending, due_at)?;
    step.made_due.others |= is_due;
    Ok(())
}

/// The same, but for an alert that can be handed over: returns whether it is due.
fn insert(step: &mut Step<'_>, pending: &Pending, due_at: i64) -> Result<bool, StoreError> {
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
    let is_busy = !step.ahead.is_idle(*ordering_key) && is_busy(step, *ordering_key, *destination)?;
    let mut urgency = *priority;
    if is_busy {
        let mut select = step.transaction.prepare_cached(
            "SELECT min(priority) FROM queue WHERE ordering_key = ?1 AND destination = ?2 AND (id > ?3 OR ?4)",
        )?;
        let beside: Option<i64> = select.query_row(
            params![ordering_key, destination, delivery, resolves],
            |row| row.get(0),
        )?;
        urgency = beside.map_or(urgency, |beside| beside.min(urgency));
        let raised = step
            .transaction
            .prepare_cached(
                "UPDATE queue SET priority = ?3 WHERE ordering_key = ?1 AND destination = ?2 AND priority > ?3
                 AND (id < ?4 OR due_at IS NOT NULL)",
            )?
            .execute(params![ordering_key, destination, urgency, delivery])?;
        step.made_due.others |= raised > 0;
    }
    let is_due = !is_busy && !guard::holds(step, *ordering_key, *destination)?;
    step.transaction
        .prepare_cached(
            "INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts, since, fell_back)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute_soon(params![
            delivery,
            destination,
            source,
            ordering_key,
            urgency,
            is_due.then_some(due_at),
            attempts,
            since,
            fell_back
        ])?;
    step.ahead.queued(*ordering_key);
    step.totals.pending += 1;
    Ok(is_due)
}

/// Returns whether a delivery of an ordering key waits for a destination.
pub fn is_busy(step: &Step<'_>, ordering_key: i64, destination: i64) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE ordering_key = ?1 AND destination = ?2)",
    )?;
    Ok(select.query_row([ordering_key, destination], |row| row.get(0))?)
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
