//! Where each key is open: at its destination as an alert of its own, or in a group.
//!
//! A resolve must go where its trigger went, whatever the configuration says by then. So the keys
//! of a source are tracked, for ever, from its first alert on that a policy delivers otherwise. An
//! alert with another destination than the one before it begins it too, and a rejected one with a
//! fallback. All that the source had
//! before counts as open at its destination. A source without a policy costs nothing.

use std::borrow::Cow;

use rusqlite::params;

use super::StoreError;
use super::ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, alert_ids};
use super::keys::{self, Key, Timer, add};
use super::request::{Handling, NewAlert};
use super::step::Step;
use super::{groups, mutes, put};
use crate::config::OWN_SOURCE;

/// The reason for which a resolve is ignored whose key is not open anywhere.
const NOT_OPEN: &str = "its key is not open at any destination";

/// The way of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To its destinations.
    Out,
    /// To these, where its key is open.
    To(Vec<String>),
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
        let is_turned = turns(step, id, source, alert)?;
        if alert.handling.is_default() && !is_turned {
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
            resolve_after_ms,
            now_ms,
        });
        let mut destinations = alert.destinations.clone();
        if before.own {
            let earlier = keys::destinations(step, alert.ordering_key)?;
            add(&mut destinations, earlier);
        }
        keys::replace(
            step,
            alert.ordering_key,
            id,
            key,
            &destinations,
            timer.as_ref(),
        )?;
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
        let open = keys::destinations(step, alert.ordering_key)?;
        keys::close(step, alert.ordering_key)?;
        return way_to(step, open, alert);
    }
    // Kept, so that a second resolve of it goes nowhere either.
    keys::replace(step, alert.ordering_key, id, Key::default(), &[], None)?;
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

/// Returns the way of a resolve to the destinations where its key is open, fallbacks included. In
/// the place of those without a configuration it goes where it would go by itself; but where the
/// alert still waits for one of these, it waits behind it.
fn way_to(step: &mut Step<'_>, was_open: Vec<String>, alert: &NewAlert) -> Result<Way, StoreError> {
    let configured = &alert.handling.configured;
    let mut is_gone = false;
    let mut open = Vec::with_capacity(was_open.len());
    for name in was_open {
        let waits = |step: &mut Step<'_>| {
            let destination = step.destination(&name)?;
            put::is_busy(step, alert.ordering_key, destination)
        };
        if configured.is_empty() || configured.contains(&name) || waits(step)? {
            open.push(name);
        } else {
            is_gone = true;
        }
    }
    // What is sent with its request goes there with it in any case.
    let originals = alert.destinations.iter();
    let originals = originals.filter(|name| alert.originals.have(name));
    add(&mut open, originals.cloned().collect());
    if is_gone {
        add(&mut open, alert.destinations.clone());
    }
    if open.is_empty() {
        return Ok(Way::Out);
    }
    open.truncate(DELIVERIES_PER_ALERT);
    Ok(Way::To(open))
}

/// The number of requests, the newest ones, among which a start looks for an alert of a source.
const LOOK_BACK: i64 = 10_000;

/// Returns whether an alert goes to other destinations than the one of its source before it, by a
/// rule or another configuration.
fn turns(step: &mut Step<'_>, id: i64, source: i64, alert: &NewAlert) -> Result<bool, StoreError> {
    let mut before = match step.names.routes.get(&source) {
        Some(before) if *before == alert.destinations => return Ok(false),
        Some(before) => before.clone(),
        None => newest_route(step, id, source)?,
    };
    let mut destinations = alert.destinations.clone();
    step.names.routes.insert(source, destinations.clone());
    before.sort_unstable();
    destinations.sort_unstable();
    Ok(!before.is_empty() && before != destinations)
}

/// Returns the destinations of the newest alert of a source before `id`; none where there was none
/// lately.
fn newest_route(step: &Step<'_>, id: i64, source: i64) -> Result<Vec<String>, StoreError> {
    let first = id - LOOK_BACK * ALERTS_PER_REQUEST as i64;
    let mut select = step.transaction.prepare_cached(
        "SELECT max(id) FROM alerts WHERE source = ?1 AND id >= ?2 AND id < ?3 AND ignored IS NULL",
    )?;
    let newest: Option<i64> = select.query_row([source, first, id], |row| row.get(0))?;
    newest.map_or(Ok(Vec::new()), |newest| keys::sent_to(step, newest))
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

/// Begins to track a source, where that is not done yet, with the next request: a fallback has one
/// of its alerts for good, and is to be told of its end. The gateway itself knows where its own are
/// open.
pub fn begin(step: &mut Step<'_>, source: i64) -> Result<(), StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sources WHERE id = ? AND name = ?)")?;
    let is_own = select.query_row(params![source, OWN_SOURCE], |row| row.get(0))?;
    if is_own || is_tracked(step, source)? {
        return Ok(());
    }
    let [next, _] = alert_ids(*step.next_seq);
    track(step, source, next)
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
