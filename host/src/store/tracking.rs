//! Where each key is open: at its destination as an alert of its own, or in a group.
//!
//! A resolve must go where its trigger went, whatever the configuration says by then. So from the
//! first alert on that a policy delivers otherwise, the keys of its source are tracked, for ever.
//! All that the source had before counts as open at its destination. A source without a policy
//! costs nothing.

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::groups::After;
use super::ids::alert_ids;
use super::request::{Handling, NewAlert};
use super::step::Step;
use super::{groups, mutes, timers};

/// The reason for which a resolve is ignored whose key is not open anywhere.
const NOT_OPEN: &str = "its key is not open at any destination";

/// The way of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To its destinations.
    Out,
    /// Into a group.
    Group,
    /// Nowhere as long as a mute holds it.
    Muted,
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

/// The row of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Key {
    /// True if it is open at its destination, or may be.
    own: bool,
    group: Option<i64>,
    /// The mute that holds its newest alert.
    mute: Option<i64>,
}

/// Decides where a new alert goes that is not ignored, and takes down where its key is open now. To
/// be called before the alert is in the store.
pub fn place(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    after: &mut After,
) -> Result<Way, StoreError> {
    if !is_tracked(step, source)? {
        if alert.handling.is_default() {
            return Ok(Way::Out);
        }
        track(step, source, id)?;
    }
    if alert.resolves {
        resolve(step, id, alert, after)
    } else {
        trigger(step, id, source, alert, after)
    }
}

fn trigger(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    after: &mut After,
) -> Result<Way, StoreError> {
    if let Some(mute) = &alert.handling.mute
        && let Some(mute) = mutes::hold(step, id, alert, mute)?
    {
        timers::reset(step, alert.ordering_key, after.now_ms())?;
        let key = Key {
            mute: Some(mute),
            ..read(step, alert)?.unwrap_or_default()
        };
        write(step, alert.ordering_key, id, key)?;
        return Ok(Way::Muted);
    }
    open(step, id, source, alert, after)
}

/// Decides where an alert goes that no mute holds, and takes down that its key is open there.
pub fn open(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    after: &mut After,
) -> Result<Way, StoreError> {
    let now_ms = after.now_ms();
    let Handling {
        group,
        resolve_after_ms,
        ..
    } = &alert.handling;
    let grouped = match group {
        Some(group) if groups::is_on(step, source, alert, group, after)? => Some(group),
        _ => None,
    };
    let Some(group) = grouped else {
        timers::set(step, source, alert, *resolve_after_ms, now_ms)?;
        write(
            step,
            alert.ordering_key,
            id,
            Key {
                own: true,
                mute: None,
                ..read(step, alert)?.unwrap_or_default()
            },
        )?;
        return Ok(Way::Out);
    };
    let before = read(step, alert)?.unwrap_or_default();
    let joined = groups::join(step, id, source, alert, group, before.group, after)?;
    timers::reset(step, alert.ordering_key, now_ms)?;
    let key = Key {
        group: Some(joined),
        mute: None,
        ..before
    };
    write(step, alert.ordering_key, id, key)?;
    Ok(Way::Group)
}

fn resolve(
    step: &mut Step<'_>,
    id: i64,
    alert: &NewAlert,
    after: &mut After,
) -> Result<Way, StoreError> {
    timers::cancel(step, alert.ordering_key)?;
    let Some(key) = read(step, alert)? else {
        return Ok(Way::Out);
    };
    if let Some(group) = key.group {
        groups::resolve_key(step, group, after)?;
    }
    if key.own {
        close(step, alert.ordering_key)?;
        return Ok(Way::Out);
    }
    // Kept, so that a second resolve of it goes nowhere either.
    write(step, alert.ordering_key, id, Key::default())?;
    match (key.group, key.mute) {
        (Some(group), _) => {
            groups::link(step, id, group)?;
            Ok(Way::Group)
        }
        (None, Some(mute)) => {
            mutes::link(step, id, mute)?;
            Ok(Way::Muted)
        }
        (None, None) => Ok(Way::Nowhere(NOT_OPEN)),
    }
}

/// Takes down that a key is open nowhere.
pub fn close(step: &Step<'_>, ordering_key: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM keys WHERE ordering_key = ?")?
        .execute_soon([ordering_key])?;
    Ok(())
}

/// Removes what is known of the keys of alerts that are about to go: those of request `seq`.
pub fn forget(step: &Step<'_>, seq: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "DELETE FROM keys WHERE alert BETWEEN ?1 AND ?2
             AND ordering_key IN (SELECT ordering_key FROM alerts WHERE id BETWEEN ?1 AND ?2)",
        )?
        .execute(alert_ids(seq))?;
    Ok(())
}

fn read(step: &Step<'_>, alert: &NewAlert) -> Result<Option<Key>, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT own, grp, mute FROM keys WHERE ordering_key = ?")?;
    let row = select.query_row([alert.ordering_key], |row| {
        Ok(Key {
            own: row.get(0)?,
            group: row.get(1)?,
            mute: row.get(2)?,
        })
    });
    Ok(row.optional()?)
}

fn write(step: &Step<'_>, ordering_key: i64, alert: i64, key: Key) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO keys (ordering_key, alert, own, grp, mute) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute_soon(params![ordering_key, alert, key.own, key.group, key.mute])?;
    Ok(())
}

fn is_tracked(step: &mut Step<'_>, source: i64) -> Result<bool, StoreError> {
    if let Some(known) = step.names.tracked.get(&source) {
        return Ok(*known);
    }
    let mut select = step
        .transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM tracked WHERE source = ?)")?;
    let tracked = select.query_row([source], |row| row.get(0))?;
    step.names.tracked.insert(source, tracked);
    Ok(tracked)
}

/// Begins to track a source with its alert `before`. The pass over all alerts happens once for a
/// source.
fn track(step: &mut Step<'_>, source: i64, before: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("INSERT INTO tracked (source) VALUES (?)")?
        .execute([source])?;
    step.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO keys (ordering_key, alert, own, grp, mute)
             SELECT ordering_key, max(id), 1, NULL, NULL FROM alerts
             WHERE source = ?1 AND id < ?2 AND ignored IS NULL GROUP BY ordering_key",
        )?
        .execute([source, before])?;
    step.names.tracked.insert(source, true);
    Ok(())
}
