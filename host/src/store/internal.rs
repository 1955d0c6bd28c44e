//! Keeping internal alerts: what the gateway reports about itself.
//!
//! They go the way of all others: rows in the store, delivered until the destination has them.
//! Which are open stands in `conditions`, which the same transaction keeps in step, so that neither
//! a crash nor a repetition opens or ends one twice.

use plugin_sdk::contract::Status;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::command::Command;
use super::ids::{alert_ids, request_id};
use super::keys;
use super::notice::{Notice, Told};
use super::put;
use super::request::{Failure, NewAlert, NewRequest, PluginRecord};
use super::step::Step;
use crate::alert::Alert;
use crate::alert::internal::{self, Topic};
use crate::config::OWN_SOURCE;

/// The time before an open internal alert fires again. An hour: trouble that goes on for longer is
/// worth another look, and pages that come more often are not read.
const AGAIN_MS: i64 = 60 * 60 * 1000;

/// Opens or resolves an internal alert, due since `now_ms`. Returns whether it is news.
#[derive(Debug)]
pub struct Tell {
    pub notice: Notice,
    pub now_ms: i64,
}

/// Forgets that an internal alert is open.
#[derive(Debug)]
pub struct Forget(pub Told);

impl Command for Tell {
    type Output = bool;

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        tell(step, &self.notice, self.now_ms)
    }
}

impl Command for Forget {
    type Output = ();

    fn run(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        forget(step, &self.0)
    }
}

/// Keeps a notice, as an alert of a request that nobody sent. Returns whether it was news: what
/// opens one that was told within the hour, and what ends none, is dropped. It is due at `now_ms`.
pub fn tell(step: &mut Step<'_>, notice: &Notice, now_ms: i64) -> Result<bool, StoreError> {
    match notice.event.status {
        Status::Trigger => {
            if !open(step, notice, now_ms)? {
                return Ok(false);
            }
            say(step, notice.clone(), now_ms)?;
        }
        Status::Resolve => {
            let key = notice.event.key();
            let Some((destination, _)) = told(step, key)? else {
                return Ok(false);
            };
            forget(
                step,
                &Told {
                    key: key.to_owned(),
                    destination: destination.clone(),
                },
            )?;
            say(
                step,
                Notice {
                    destination,
                    ..notice.clone()
                },
                now_ms,
            )?;
        }
    }
    Ok(true)
}

/// Forgets that this is open there. What was told under its key elsewhere meanwhile stays.
fn forget(step: &Step<'_>, told: &Told) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM conditions WHERE key = ? AND destination = ?")?
        .execute([&told.key, &told.destination])?;
    Ok(())
}

/// Counts a failed request, and keeps the notice of it at the request itself, unless one was told
/// within the hour.
pub fn failed(
    step: &mut Step<'_>,
    seq: i64,
    request: &NewRequest,
    failure: &Failure,
    now_ms: i64,
) -> Result<(), StoreError> {
    let unproven = failure.unproven.map(|_| request.bytes());
    let source = step.source(&request.source)?;
    let waiting: i64 = step
        .transaction
        .prepare_cached(
            "UPDATE sources SET failed = failed + 1, unproven_bytes = unproven_bytes + ifnull(?2, 0),
                                unproven = unproven + CASE WHEN ?2 IS NULL THEN 0 ELSE 1 END WHERE id = ?1 RETURNING failed",
        )?
        .query_row(params![source, unproven], |row| row.get(0))?;
    let Some(notice) = failure.notice.as_deref() else {
        return Ok(());
    };
    if !open(step, notice, now_ms)? {
        return Ok(());
    }
    let mut notice = notice.clone();
    let message = notice.event.message.get_or_insert_default();
    *message += &format!("\nRequests of this source that wait now: {waiting}.");
    // The last place is the gateway's own: no plugin's answer reaches it.
    let [_, last] = alert_ids(seq);
    keep(step, seq, last, notice, now_ms)
}

/// Counts that request `seq` does not wait for its plugin any more, at `at_ms`. After the last one
/// of its source, the notice of it is ended. To be called before the request's row changes.
pub fn no_longer_failed(
    step: &mut Step<'_>,
    seq: i64,
    source: &str,
    at_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    step.totals.failed -= 1;
    let waiting: Option<i64> = step
        .transaction
        .prepare_cached(
            "UPDATE sources SET failed = failed - 1, unproven = unproven - CASE WHEN was.bytes IS NULL THEN 0 ELSE 1 END,
                                unproven_bytes = unproven_bytes - ifnull(was.bytes, 0)
             FROM (SELECT (SELECT unproven FROM requests WHERE seq = ?2) AS bytes) AS was
             WHERE name = ?1 RETURNING failed",
        )?
        .query_row(params![source, seq], |row| row.get(0))
        .optional()?;
    if waiting == Some(0) {
        let event = Topic::PluginFailed.resolves(source);
        // Behind all that was told of it, wherever in the order of requests the last one stood.
        tell(
            step,
            &Notice {
                destination: String::new(),
                event,
                at_ms,
            },
            now_ms,
        )?;
    }
    Ok(())
}

/// Returns where the open alert of a key was told, and when.
fn told(step: &Step<'_>, key: &str) -> Result<Option<(String, i64)>, StoreError> {
    let mut statement = step
        .transaction
        .prepare_cached("SELECT destination, told_at FROM conditions WHERE key = ?")?;
    Ok(statement
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Takes down that this is open, at its destination and nowhere else. Returns whether it is news
/// there.
fn open(step: &mut Step<'_>, notice: &Notice, now_ms: i64) -> Result<bool, StoreError> {
    if let Some((destination, told_at)) = told(step, notice.event.key())? {
        if destination != notice.destination {
            // Nobody would end it there later: from now on it stands under its new destination.
            let event = internal::moved(notice.event.clone());
            say(
                step,
                Notice {
                    destination,
                    event,
                    at_ms: notice.at_ms,
                },
                now_ms,
            )?;
        } else if (notice.at_ms - told_at).abs() < AGAIN_MS {
            return Ok(false);
        }
    }
    step.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO conditions (key, destination, told_at) VALUES (?, ?, ?)",
        )?
        .execute(params![
            notice.event.key(),
            notice.destination,
            notice.at_ms
        ])?;
    Ok(true)
}

/// Keeps a notice as the alert of a request of its own.
fn say(step: &mut Step<'_>, notice: Notice, now_ms: i64) -> Result<(), StoreError> {
    let seq = request(step, OWN_SOURCE, notice.at_ms)?;
    let [first, _] = alert_ids(seq);
    keep(step, seq, first, notice, now_ms)
}

/// Adds a request without a sender, so that an alert that the gateway makes is listed, delivered
/// and removed like every other. Returns its number.
pub fn request(step: &mut Step<'_>, source: &str, at_ms: i64) -> Result<i64, StoreError> {
    let seq = step.take_seq();
    let source = step.source(source)?;
    let record = PluginRecord {
        name: OWN_SOURCE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: String::new(),
    };
    let plugin = put::plugin(step, &record)?;
    step.transaction
        .prepare_cached(
            "INSERT INTO requests (seq, id, source, received_at, state, plugin, duplicates) VALUES (?, ?, ?, ?, 'read', ?, 0)",
        )?
        .execute(params![seq, request_id(&uuid::Uuid::now_v7().to_string()), source, at_ms, plugin.0])?;
    step.transaction
        .prepare_cached(
            "INSERT INTO bodies (seq, method, url, headers, body) VALUES (?, '', '', '[]', ?)",
        )?
        .execute(params![seq, [0_u8; 0]])?;
    Ok(seq)
}

/// Keeps the alert of a notice under `id`, due at `now_ms`.
fn keep(
    step: &mut Step<'_>,
    seq: i64,
    id: i64,
    notice: Notice,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Notice {
        destination,
        mut event,
        ..
    } = notice;
    // No number is given twice, so this is an id of its own however often a key is told.
    event.event_id = match event.status {
        Status::Trigger => format!("{}/{seq}", event.key()),
        Status::Resolve => format!("{}/{seq}/ends", event.key()),
    };
    let alert = Alert {
        source: OWN_SOURCE.to_owned(),
        request: String::new(),
        received_at: String::new(),
        event,
    };
    let mut alert = NewAlert::new(&alert, [destination])
        .map_err(|error| StoreError::Disk(error.to_string()))?;
    keys::end_everywhere(step, &mut alert)?;
    match put::known(step, id, &alert)? {
        None => put::put(step, id, &alert, None, true, now_ms),
        // Somebody wrote it there.
        Some(_) => Ok(()),
    }
}
