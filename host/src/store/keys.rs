//! The row of a key: where it is open, and the timer after which the gateway resolves it.
//!
//! A timer is counted by the steady clock and stands in the row that each event of its key writes
//! anyway. So it costs no row of its own, and survives a restart and a clock that is set. One that
//! passed while the gateway was down fires once, at the start. The words of the resolve are those
//! of its alert, which are read when it fires: they are kept here only once the alert's own are
//! gone.

use std::time::Duration;

use crate::store::sql::Connection;
use plugin_sdk::contract::{Alert, Status};
use rusqlite::{OptionalExtension, params};

use super::ids::{DELIVERIES_PER_ALERT, alert_ids, delivery_ids};
use super::request::NewAlert;
use super::step::Step;
use super::{StoreError, json, text};
use crate::config::shown_duration;

/// The places where a key is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Key {
    /// True if it is open at its destination, or may be.
    pub own: bool,
    /// The group in which it is open.
    pub group: Option<i64>,
    /// The mute that holds its newest alert.
    pub mute: Option<i64>,
}

/// A timer that begins with an alert.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    /// The number of the alert's source.
    pub source: i64,
    /// The time without an event of its key until the gateway resolves it.
    pub resolve_after_ms: i64,
    /// The time by the store's clock.
    pub now_ms: i64,
}

/// Reads the row of a key.
pub fn read(step: &Step<'_>, ordering_key: i64) -> Result<Option<Key>, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT own, grp, mute FROM keys WHERE ordering_key = ?")?;
    let row = select.query_row([ordering_key], |row| {
        Ok(Key {
            own: row.get(0)?,
            group: row.get(1)?,
            mute: row.get(2)?,
        })
    });
    Ok(row.optional()?)
}

/// Returns the destinations at which a key is open as an alert of its own. Where they were not
/// taken down, they are those of its newest alert, as long as these are kept.
pub fn destinations(step: &Step<'_>, ordering_key: i64) -> Result<Vec<String>, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT alert, destinations FROM keys WHERE ordering_key = ?")?;
    let found = select.query_row([ordering_key], |row| {
        Ok((row.get(0)?, json(row, 1).unwrap_or_default()))
    });
    let Some((alert, names)) = found.optional()? else {
        return Ok(Vec::new());
    };
    if Vec::is_empty(&names) {
        return sent_to(step, alert);
    }
    Ok(names)
}

/// Returns the destinations that were taken down for a key, whatever its newest alert is.
pub fn noted(step: &Step<'_>, ordering_key: i64) -> Result<Vec<String>, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT destinations FROM keys WHERE ordering_key = ? AND own = 1")?;
    let found = select.query_row([ordering_key], |row| Ok(json(row, 0).unwrap_or_default()));
    Ok(found.optional()?.unwrap_or_default())
}

/// Takes down that a key is open at a fallback as well, by `alert`.
pub fn open_also(
    step: &Step<'_>,
    ordering_key: i64,
    alert: i64,
    fallback: &str,
) -> Result<(), StoreError> {
    let is_open = read(step, ordering_key)?.is_some_and(|key| key.own);
    let mut names = if is_open {
        destinations(step, ordering_key)?
    } else {
        sent_to(step, alert)?
    };
    add(&mut names, vec![fallback.to_owned()]);
    step.transaction
        .prepare_cached(
            "INSERT INTO keys (ordering_key, alert, own, destinations) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (ordering_key) DO UPDATE SET own = 1, destinations = ?3",
        )?
        .execute(params![ordering_key, alert, text(&names)?])?;
    Ok(())
}

/// Returns the name of a destination by its number.
pub fn destination_name(step: &Step<'_>, id: i64) -> Result<String, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT name FROM destinations WHERE id = ?")?;
    Ok(select.query_row([id], |row| row.get(0))?)
}

/// Takes down that a key is open at a fallback no more.
pub fn closed_at(step: &Step<'_>, ordering_key: i64, fallback: i64) -> Result<(), StoreError> {
    let name = destination_name(step, fallback)?;
    let mut noted = noted(step, ordering_key)?;
    let before = noted.len();
    noted.retain(|one| *one != name);
    if noted.len() < before && !noted.is_empty() {
        step.transaction
            .prepare_cached("UPDATE keys SET destinations = ?2 WHERE ordering_key = ?1")?
            .execute(params![ordering_key, text(&noted)?])?;
    }
    Ok(())
}

/// Adds the fallbacks at which its key is open to the destinations of the gateway's own resolve. The
/// key is closed then.
pub fn end_everywhere(step: &Step<'_>, alert: &mut NewAlert) -> Result<(), StoreError> {
    if alert.resolves {
        let noted = noted(step, alert.ordering_key)?;
        // Groups that go to different destinations may share a key.
        if noted.iter().any(|name| alert.destinations.contains(name)) {
            close(step, alert.ordering_key)?;
            add(&mut alert.destinations, noted);
            alert.destinations.truncate(DELIVERIES_PER_ALERT);
        }
    }
    Ok(())
}

/// Returns the destinations of an alert, but for fallbacks.
pub fn sent_to(step: &Step<'_>, alert: i64) -> Result<Vec<String>, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT name FROM destinations WHERE id IN (
             SELECT destination FROM queue WHERE id BETWEEN ?1 AND ?2
                AND NOT EXISTS (SELECT 1 FROM fallbacks f WHERE f.id = queue.id)
             UNION SELECT destination FROM dead WHERE id BETWEEN ?1 AND ?2
                AND NOT EXISTS (SELECT 1 FROM fallbacks f WHERE f.id = dead.id)
             UNION SELECT destination FROM attempts WHERE delivery BETWEEN ?1 AND ?2
                AND NOT EXISTS (SELECT 1 FROM fallbacks f WHERE f.id = attempts.delivery))
         ORDER BY name",
    )?;
    let names = select.query_map(delivery_ids(alert), |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Writes where a key is open after its alert `id`. A timer that it has begins anew.
pub fn write(
    step: &Step<'_>,
    ordering_key: i64,
    id: i64,
    key: Key,
    now_ms: i64,
) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "INSERT INTO keys (ordering_key, alert, own, grp, mute) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (ordering_key) DO UPDATE SET alert = ?2, own = ?3, grp = ?4, mute = ?5,
                                                      at = ?6 + keys.resolve_after",
        )?
        .execute_soon(params![
            ordering_key,
            id,
            key.own,
            key.group,
            key.mute,
            now_ms
        ])?;
    Ok(())
}

/// Writes where a key is open after its alert `id`, with a new timer, or without any.
/// `destinations` are those at which it is open as an alert of its own.
pub fn replace(
    step: &Step<'_>,
    ordering_key: i64,
    id: i64,
    key: Key,
    destinations: &[String],
    timer: Option<&Timer>,
) -> Result<(), StoreError> {
    let destinations = key.own.then(|| text(&destinations)).transpose()?;
    // Each column, as PostgreSQL keeps those that are not named.
    step.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO keys
                 (ordering_key, alert, own, grp, mute, at, resolve_after, timed, source, destinations, json)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        )?
        .execute_soon(params![
            ordering_key,
            id,
            key.own,
            key.group,
            key.mute,
            timer.map(|timer| timer.now_ms.saturating_add(timer.resolve_after_ms)),
            timer.map(|timer| timer.resolve_after_ms),
            timer.map(|_| id),
            timer.map(|timer| timer.source),
            destinations
        ])?;
    Ok(())
}

/// Removes the row of a key: it is open nowhere, as far as is known.
pub fn close(step: &Step<'_>, ordering_key: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM keys WHERE ordering_key = ?")?
        .execute_soon([ordering_key])?;
    Ok(())
}

/// Removes the keys whose newest alerts are about to go: those of request `seq`. One with a timer
/// stays until that fires.
pub fn forget(step: &Step<'_>, seq: i64) -> Result<(), StoreError> {
    let alerts = alert_ids(seq);
    keep_words(step, alerts)?;
    step.transaction
        .prepare_cached(
            "DELETE FROM keys WHERE alert BETWEEN ?1 AND ?2 AND at IS NULL
             AND ordering_key IN (SELECT ordering_key FROM alerts WHERE id BETWEEN ?1 AND ?2)",
        )?
        .execute(alerts)?;
    Ok(())
}

/// Keeps the words of the resolves of these alerts, whose content is about to go.
pub fn keep_words(step: &Step<'_>, alerts: [i64; 2]) -> Result<(), StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT k.ordering_key, e.json, k.resolve_after FROM alerts a
         JOIN keys k ON k.ordering_key = a.ordering_key AND k.timed = a.id JOIN events e ON e.alert = a.id
         WHERE a.id BETWEEN ? AND ?",
    )?;
    let rows = select.query_map(alerts, |row| {
        // One that cannot be read has none, and does not fire.
        let event: Option<Alert> = json(row, 1).ok();
        Ok((row.get::<_, i64>(0)?, event, row.get::<_, i64>(2)?))
    })?;
    for row in rows {
        if let (ordering_key, Some(event), after) = row? {
            step.transaction
                .prepare_cached("UPDATE keys SET json = ?2 WHERE ordering_key = ?1")?
                .execute(params![ordering_key, text(&resolving(event, after))?])?;
        }
    }
    Ok(())
}

/// A timer that has fired.
#[derive(Debug)]
pub struct Fired {
    /// The name of its source.
    pub source: String,
    /// The destinations of its alert.
    pub destinations: Vec<String>,
    /// The resolve.
    pub event: Alert,
}

/// Removes at most `most` keys whose timers are due, oldest first, and returns these with their
/// ordering keys. One that cannot be read is nothing: whatever another program wrote there, it
/// fires once and is gone.
pub fn fire(
    step: &Step<'_>,
    now_ms: i64,
    most: usize,
) -> Result<Vec<(i64, Option<Fired>)>, StoreError> {
    let mut delete = step.transaction.prepare_cached(
        "DELETE FROM keys WHERE ordering_key IN
             (SELECT ordering_key FROM keys WHERE at <= ? ORDER BY at LIMIT ?)
         RETURNING ordering_key, (SELECT name FROM sources s WHERE s.id = source), destinations, resolve_after, json,
                   (SELECT json FROM events e WHERE e.alert = timed)",
    )?;
    let due = delete.query_map(params![now_ms, most as i64], |row| {
        let fired = || -> rusqlite::Result<Fired> {
            let event = match json(row, 4) {
                Ok(kept) => kept,
                Err(_) => resolving(json(row, 5)?, row.get(3)?),
            };
            Ok(Fired {
                source: row.get(1)?,
                destinations: json(row, 2)?,
                event,
            })
        };
        Ok((row.get(0)?, fired().ok()))
    })?;
    Ok(due.collect::<Result<_, _>>()?)
}

/// Adds names that are not there yet.
pub fn add(names: &mut Vec<String>, others: Vec<String>) {
    for name in others {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

/// Moves timers that another clock set to `now_ms`, where they lie further ahead than they can.
pub fn bring_back(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE keys SET at = ?1 + resolve_after WHERE at > ?1 AND at > ?1 + resolve_after",
        )?
        .execute([now_ms])?;
    Ok(())
}

/// Returns the alert that resolves an event after its time.
fn resolving(event: Alert, resolve_after_ms: i64) -> Alert {
    let time = shown_duration(Duration::from_millis(resolve_after_ms.unsigned_abs()));
    Alert {
        key: Some(event.key().to_owned()),
        status: Status::Resolve,
        message: Some(format!(
            "Resolved by the gateway: no event of this key for {time}."
        )),
        details: None,
        occurred_at: None,
        order: None,
        ..event
    }
}
