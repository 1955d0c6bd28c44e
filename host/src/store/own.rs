//! Keeping what the gateway tells of itself.
//!
//! Its alerts go the way of all others: rows in the store, delivered until the destination has them. What is open stands
//! in `conditions`, which the same transaction keeps in step, so that neither a crash nor a repetition opens or ends one
//! twice.

use plugin_sdk::contract::{self, Status};
use rusqlite::{OptionalExtension, params};

use super::append::{self, NewAlert, PluginRecord};
use super::remembered::Told;
use super::writer::Step;
use super::{StoreError, alert_ids};
use crate::alert::Alert;
use crate::alert::internal::{self, Topic};
use crate::config::OWN_SOURCE;

/// How long one that is open is not told again. An hour, because what goes on for longer is worth another look, and a page
/// more often than that is read by nobody.
const AGAIN_MS: i64 = 60 * 60 * 1000;

/// Something that the gateway has to tell.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Where to; the end of one that is open goes where that went, and one that is open elsewhere is ended there first.
    pub destination: String,
    /// What, with its key; the store gives it its event id.
    pub event: contract::Alert,
    /// When it was found: Unix milliseconds.
    pub at_ms: i64,
}

/// Keeps a notice, as an alert of a request that nobody sent. Says whether it was news: what opens one that was told within
/// the hour, and what ends none, is dropped. It is due at `now_ms`.
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
            let Some((destination, _)) = told(step, key)? else { return Ok(false) };
            forget(step, &Told { key: key.to_owned(), destination: destination.clone() })?;
            say(step, Notice { destination, ..notice.clone() }, now_ms)?;
        }
    }
    Ok(true)
}

/// Takes it that nobody waits any more for the end of this. What was told under its key elsewhere meanwhile stays.
pub fn forget(step: &Step<'_>, told: &Told) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM conditions WHERE key = ? AND destination = ?")?
        .execute([&told.key, &told.destination])?;
    Ok(())
}

/// Counts a request that its plugin failed on, and keeps the notice of it at the request itself, unless one was told within
/// the hour.
pub fn failed(
    step: &mut Step<'_>,
    seq: i64,
    source: &str,
    notice: Option<&Notice>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let waiting: i64 = step
        .transaction
        .prepare_cached(
            "INSERT INTO sources (name, failed) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET failed = failed + 1
             RETURNING failed",
        )?
        .query_row([source], |row| row.get(0))?;
    let Some(notice) = notice else { return Ok(()) };
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

/// A request that a plugin had failed on was read at `at_ms`. After the last one of its source, the notice of it is ended.
pub fn mended(step: &mut Step<'_>, source: &str, at_ms: i64, now_ms: i64) -> Result<(), StoreError> {
    let waiting: Option<i64> = step
        .transaction
        .prepare_cached("UPDATE sources SET failed = failed - 1 WHERE name = ? RETURNING failed")?
        .query_row([source], |row| row.get(0))
        .optional()?;
    if waiting == Some(0) {
        let event = Topic::PluginFailed.resolves(source);
        // Behind all that was told of it, wherever in the order of requests the last one stood.
        tell(step, &Notice { destination: String::new(), event, at_ms }, now_ms)?;
    }
    Ok(())
}

/// Where the open alert of a key was told, and when.
fn told(step: &Step<'_>, key: &str) -> Result<Option<(String, i64)>, StoreError> {
    let mut statement = step.transaction.prepare_cached("SELECT destination, told_at FROM conditions WHERE key = ?")?;
    Ok(statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Takes down that this is open, at its destination and nowhere else. Says whether it is news there.
fn open(step: &mut Step<'_>, notice: &Notice, now_ms: i64) -> Result<bool, StoreError> {
    if let Some((destination, told_at)) = told(step, notice.event.key())? {
        if destination != notice.destination {
            // Nobody would end it there later: from now on it stands under its new destination.
            let event = internal::moved(notice.event.clone());
            say(step, Notice { destination, event, at_ms: notice.at_ms }, now_ms)?;
        } else if (notice.at_ms - told_at).abs() < AGAIN_MS {
            return Ok(false);
        }
    }
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO conditions (key, destination, told_at) VALUES (?, ?, ?)")?
        .execute(params![notice.event.key(), notice.destination, notice.at_ms])?;
    Ok(true)
}

/// Keeps a notice as the alert of a request of its own.
fn say(step: &mut Step<'_>, notice: Notice, now_ms: i64) -> Result<(), StoreError> {
    let seq = request(step, notice.at_ms)?;
    let [first, _] = alert_ids(seq);
    keep(step, seq, first, notice, now_ms)
}

/// A request that nobody sent, so that what hangs on it is listed, shown, delivered and removed like everything else.
fn request(step: &mut Step<'_>, at_ms: i64) -> Result<i64, StoreError> {
    let seq = *step.next_seq;
    *step.next_seq += 1;
    let record = PluginRecord {
        name: OWN_SOURCE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: String::new(),
    };
    let plugin = append::plugin(step, &record)?;
    step.transaction
        .prepare_cached(
            "INSERT INTO requests (seq, id, source, received_at, state, plugin, duplicates, method, url, headers, body)
             VALUES (?, ?, ?, ?, 'read', ?, 0, '', '', '[]', x'')",
        )?
        .execute(params![seq, uuid::Uuid::now_v7().to_string(), OWN_SOURCE, at_ms, plugin.0])?;
    Ok(seq)
}

/// Keeps the alert of a notice under `id`, due at `now_ms`.
fn keep(step: &mut Step<'_>, seq: i64, id: i64, notice: Notice, now_ms: i64) -> Result<(), StoreError> {
    let Notice { destination, mut event, .. } = notice;
    // No number is given twice, so this is an id of its own however often a key is told.
    event.event_id = match event.status {
        Status::Trigger => format!("{}/{seq}", event.key()),
        Status::Resolve => format!("{}/{seq}/ends", event.key()),
    };
    let alert = Alert { source: OWN_SOURCE.to_owned(), request: String::new(), received_at: String::new(), event };
    let alert = NewAlert::new(&alert, &destination).map_err(|error| StoreError::Disk(error.to_string()))?;
    let kept = append::insert(step, id, OWN_SOURCE, &alert, now_ms)?;
    step.totals.pending += i64::from(kept);
    Ok(())
}
