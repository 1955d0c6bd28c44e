//! Timers: keys that the gateway resolves when no event of theirs comes for some time.
//!
//! They stand in the store and are counted by the steady clock, so that they survive a restart and
//! a clock that is set. One that passed while the gateway was down fires once, at the start.

use std::time::Duration;

use crate::store::sql::Connection;
use plugin_sdk::contract::{Alert, Status};
use rusqlite::params;

use super::StoreError;
use super::request::NewAlert;
use super::step::Step;
use crate::config::shown_duration;

/// Sets the timer of an alert that is delivered by itself, or removes that of its key where the
/// newest alert has none.
pub fn set(
    step: &Step<'_>,
    source: i64,
    alert: &NewAlert,
    resolve_after_ms: Option<i64>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(after) = resolve_after_ms else {
        return cancel(step, alert.ordering_key);
    };
    let event: Alert = serde_json::from_str(&alert.json).map_err(disk)?;
    let resolve = serde_json::to_string(&resolving(event, after)).map_err(disk)?;
    let destinations = serde_json::to_string(&alert.destinations).map_err(disk)?;
    step.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO timers (ordering_key, source, at, resolve_after, destinations, json)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            alert.ordering_key,
            source,
            now_ms.saturating_add(after),
            after,
            destinations,
            resolve
        ])?;
    Ok(())
}

/// Begins the time of a key anew, where it has a timer.
pub fn reset(step: &Step<'_>, ordering_key: i64, now_ms: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("UPDATE timers SET at = ?2 + resolve_after WHERE ordering_key = ?1")?
        .execute([ordering_key, now_ms])?;
    Ok(())
}

/// Removes the timer of a key.
pub fn cancel(step: &Step<'_>, ordering_key: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM timers WHERE ordering_key = ?")?
        .execute([ordering_key])?;
    Ok(())
}

/// Moves timers that another clock set to `now_ms`, where they lie further ahead than they can.
pub fn bring_back(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE timers SET at = ?1 + resolve_after WHERE at > ?1 + resolve_after")?
        .execute([now_ms])?;
    Ok(())
}

/// Returns the alert that resolves an event of which nothing more comes.
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

fn disk(error: serde_json::Error) -> StoreError {
    StoreError::Disk(error.to_string())
}
