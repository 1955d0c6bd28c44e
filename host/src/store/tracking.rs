//! Where each key is open: at its destination as an alert of its own, or in a group.
//!
//! A resolve must go where its trigger went, whatever the configuration says by then. So from the
//! first alert on that a policy delivers otherwise, the keys of its source are tracked, for ever.
//! All that the source had before counts as open at its destination. A source without a policy
//! costs nothing.

use std::borrow::Cow;

use super::StoreError;
use super::keys::{self, Key, Timer};
use super::request::{Handling, NewAlert};
use super::step::Step;
use super::{groups, mutes};

/// The reason for which a resolve is ignored whose key is not open anywhere.
const NOT_OPEN: &str = "its key is not open at any destination";

/// The way of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To its destinations.
    Out,
    /// Into a group.
    Group,
    /// Nowhere as long as a mute holds it.
    Muted,
    /// Nowhere, for this reason.
    Nowhere(Cow<'static, str>),
}

/// Decides where a new alert goes that is not ignored, and takes down where its key is open now. To
/// be called before the alert is in the store.
pub fn place(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
) -> Result<Way, StoreError> {
    if !is_tracked(step, source)? {
        if alert.handling.is_default() {
            return Ok(Way::Out);
        }
        track(step, source, id)?;
    }
    if alert.resolves {
        resolve(step, id, alert)
    } else {
        trigger(step, id, source, alert)
    }
}

fn trigger(step: &mut Step<'_>, id: i64, source: i64, alert: &NewAlert) -> Result<Way, StoreError> {
    if let Some(mute) = &alert.handling.mute
        && let Some(mute) = mutes::hold(step, id, alert, mute)?
    {
        let before = keys::read(step, alert.ordering_key)?.unwrap_or_default();
        let key = Key {
            mute: Some(mute),
            ..before
        };
        keys::write(step, alert.ordering_key, id, key, step.touched.now_ms)?;
        return Ok(Way::Muted);
    }
    open(step, id, source, alert)
}

/// Decides where an alert goes that no mute holds, and takes down that its key is open there.
pub fn open(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
) -> Result<Way, StoreError> {
    let now_ms = step.touched.now_ms;
    let Handling {
        group,
        resolve_after_ms,
        ..
    } = &alert.handling;
    let grouped = match group {
        Some(group) if groups::is_on(step, source, alert, group)? => Some(group),
        _ => None,
    };
    let before = keys::read(step, alert.ordering_key)?.unwrap_or_default();
    let Some(group) = grouped else {
        let key = Key {
            own: true,
            mute: None,
            ..before
        };
        let timer = resolve_after_ms.map(|resolve_after_ms| Timer {
            source,
            destinations: &alert.destinations,
            resolve_after_ms,
            now_ms,
        });
        keys::replace(step, alert.ordering_key, id, key, timer.as_ref())?;
        return Ok(Way::Out);
    };
    let joined = groups::join(step, id, source, alert, group, before.group)?;
    let key = Key {
        group: Some(joined),
        mute: None,
        ..before
    };
    keys::write(step, alert.ordering_key, id, key, now_ms)?;
    Ok(Way::Group)
}

fn resolve(step: &mut Step<'_>, id: i64, alert: &NewAlert) -> Result<Way, StoreError> {
    let key = keys::read(step, alert.ordering_key)?;
    if let Some(why) = &alert.handling.ignored_unless_open
        && key.is_none_or(|key| key == Key::default())
    {
        return Ok(Way::Nowhere(why.clone().into()));
    }
    let Some(key) = key else {
        return Ok(Way::Out);
    };
    if let Some(group) = key.group {
        groups::resolve_key(step, group)?;
    }
    if key.own {
        keys::close(step, alert.ordering_key)?;
        return Ok(Way::Out);
    }
    // Kept, so that a second resolve of it goes nowhere either.
    keys::replace(step, alert.ordering_key, id, Key::default(), None)?;
    match (key.group, key.mute) {
        (Some(group), _) => {
            groups::link(step, id, group)?;
            Ok(Way::Group)
        }
        (None, Some(mute)) => {
            mutes::link(step, id, mute)?;
            Ok(Way::Muted)
        }
        (None, None) => Ok(Way::Nowhere(NOT_OPEN.into())),
    }
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
