//! Timers: keys that the gateway resolves when no event of theirs comes for some time.
//!
//! They stand in the store and are counted by the steady clock, so that they survive a restart and
//! a clock that is set. One that passed while the gateway was down fires once, at the start.

use std::time::Duration;

use plugin_sdk::contract::{Alert, Status};
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::command::Command;
use super::groups::{self, json};
use super::request::NewAlert;
use super::step::Step;
use super::{Snapshot, Store, StoreError, tracking};
use crate::clock::wall_ms;
use crate::config::shown_duration;

/// The time between two looks at what is due.
const LOOK: Duration = Duration::from_secs(1);

/// The number of groups, and of timers, that one commit passes. More would hold up the commits
/// behind it.
const BATCH: usize = 256;

/// Lets time pass over groups, storms and timers.
#[derive(Debug)]
pub struct Pass {
    /// By the machine's clock.
    pub at_ms: i64,
    /// By the store's clock.
    pub now_ms: i64,
}

impl Command for Pass {
    /// True if more is due.
    type Output = bool;

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let groups = groups::pass(step, self.at_ms, self.now_ms, BATCH)?;
        Ok(fire(step, self.at_ms, self.now_ms)? || groups)
    }
}

/// Lets time pass in the store until `stop` is cancelled.
pub async fn pass_time(store: Store, reader: Snapshot, stop: CancellationToken) {
    loop {
        let next = reader.next_change();
        let passed = match next {
            Ok(Some(at)) if at <= store.clock().now_ms() => store.pass(wall_ms()).await,
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        };
        match passed {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "groups and timers that are due could not be passed; it tries again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

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
        .prepare("UPDATE timers SET at = ?1 + resolve_after WHERE at > ?1 + resolve_after")?
        .execute([now_ms])?;
    Ok(())
}

/// The source, the destinations and the alert of a timer.
type Due = (String, Vec<String>, Alert);

/// Fires timers that are due. Returns whether more are.
fn fire(step: &mut Step<'_>, at_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
    let mut delete = step.transaction.prepare_cached(
        "DELETE FROM timers WHERE ordering_key IN (SELECT ordering_key FROM timers WHERE at <= ? ORDER BY at LIMIT ?)
         RETURNING ordering_key, (SELECT name FROM sources s WHERE s.id = source), destinations, json",
    )?;
    let due: Vec<(i64, Option<Due>)> = delete
        .query_map(params![now_ms, BATCH as i64], |row| {
            // Whatever another program wrote there, it fires once and is gone.
            let due =
                || -> rusqlite::Result<Due> { Ok((row.get(1)?, json(row, 2)?, json(row, 3)?)) };
            Ok((row.get(0)?, due().ok()))
        })?
        .collect::<Result<_, _>>()?;
    let fired = due.len();
    for (ordering_key, due) in due {
        let Some((source, destinations, event)) = due else {
            tracing::error!(ordering_key, "a timer cannot be read; its alert stays open");
            continue;
        };
        tracking::close(step, ordering_key)?;
        groups::own(step, &source, &destinations, event, None, at_ms, now_ms)?;
    }
    Ok(fired == BATCH)
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
