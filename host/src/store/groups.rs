//! Groups in the store: an event joins one in its own transaction, and time passes over them.

use std::collections::btree_map::Entry;

use crate::store::sql::Connection;
use plugin_sdk::contract;
use rusqlite::{OptionalExtension, params};

use super::ids::alert_ids;
use super::internal;
use super::notice::Notice;
use super::own::own;
use super::request::{Grouped, NewAlert};
use super::step::Step;
use super::touched::{Address, Touched};
use super::{StoreError, json, text};
use crate::alert::group::{Group, Storm};
use crate::alert::internal::{Topic, storm};

/// Writes the groups and storms that the commit has changed so far, and adds the alerts about them.
pub fn settle(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Touched {
        at_ms,
        now_ms,
        groups,
        storms,
        begun,
        ..
    } = std::mem::take(&mut step.touched);
    for (source, storm) in &storms {
        write_storm(step, *source, storm)?;
    }
    for (destination, event) in begun {
        let notice = Notice {
            destination,
            event,
            at_ms,
        };
        internal::tell(step, &notice, now_ms)?;
    }
    for (id, mut group) in groups {
        let storm = group.terms().in_storm && is_storm(step, id)?;
        let notice = group.look(storm, now_ms);
        let ends = notice.as_ref().is_some_and(|notice| notice.ends);
        write_group(step, id, &group, ends.then_some(at_ms))?;
        if let Some(notice) = notice {
            tell(step, id, notice.event, at_ms, now_ms)?;
        }
    }
    Ok(())
}

/// Returns an open group to be changed. One whose state cannot be read, because another program
/// wrote it, ends here: its next event opens another.
fn load<'s>(step: &'s mut Step<'_>, id: i64) -> Result<Option<&'s mut Group>, StoreError> {
    let new = match step.touched.groups.entry(id) {
        Entry::Occupied(known) => return Ok(Some(known.into_mut())),
        Entry::Vacant(new) => new,
    };
    let mut select = step
        .transaction
        .prepare_cached("SELECT state FROM groups WHERE id = ? AND look_at IS NOT NULL")?;
    let state = select.query_row([id], |row| Ok(json(row, 0))).optional()?;
    match state {
        None => Ok(None),
        Some(Ok(group)) => Ok(Some(new.insert(group))),
        Some(Err(error)) => {
            tracing::error!(group = id, %error, "the state of a group cannot be read; the group is closed");
            step.transaction
                .prepare_cached(
                    "UPDATE groups SET look_at = NULL, closed_at = opened_at WHERE id = ?",
                )?
                .execute([id])?;
            Ok(None)
        }
    }
}

/// Counts an event of a source. Returns whether it goes into its group: without a threshold always,
/// else during a storm.
pub fn is_on(
    step: &mut Step<'_>,
    source: i64,
    alert: &NewAlert,
    group: &Grouped,
) -> Result<bool, StoreError> {
    let Some(guard) = group.grouping.guard else {
        return Ok(true);
    };
    if !step.touched.storms.contains_key(&source) {
        let storm = read_storm(step, source)?.unwrap_or_else(|| Storm::new(guard));
        step.touched.storms.insert(source, storm);
    }
    let touched = &mut step.touched;
    let now_ms = touched.now_ms;
    let Some(storm) = touched.storms.get_mut(&source) else {
        return Ok(false);
    };
    let begins = storm.event(guard, now_ms);
    if begins && let Some(operator) = &group.operator {
        let event = self::storm(&alert.source, guard, &group.grouping.shared);
        touched.begun.push((operator.clone(), event));
    }
    Ok(storm.is_on())
}

/// Adds an alert to its group, which opens where it is not open. `before` is the group in which its
/// key is open. Returns the group.
pub fn join(
    step: &mut Step<'_>,
    id: i64,
    source: i64,
    alert: &NewAlert,
    grouped: &Grouped,
    before: Option<i64>,
) -> Result<i64, StoreError> {
    let Grouped {
        grouping,
        key,
        member,
        ..
    } = grouped;
    let address = Address {
        source,
        key: key.clone(),
        destinations: text(&alert.destinations)?,
    };
    let now_ms = step.touched.now_ms;
    let mut joined = None;
    if let Some(found) = find(step, &address)?
        && let Some(group) = load(step, found)?
    {
        group.join(member, before != Some(found), grouping.terms, now_ms);
        joined = Some(found);
    }
    let number = match joined {
        Some(joined) => joined,
        None => {
            let group = Group::open(grouping.shared.clone(), grouping.terms, member, now_ms);
            let number = insert(step, &address, &group)?;
            step.touched.groups.insert(number, group);
            number
        }
    };
    step.touched.open.insert(address, number);
    link(step, id, number)?;
    Ok(number)
}

/// Returns the number of the open group of an address.
fn find(step: &Step<'_>, address: &Address) -> Result<Option<i64>, StoreError> {
    if let Some(known) = step.touched.open.get(address) {
        return Ok(Some(*known));
    }
    let mut select = step.transaction.prepare_cached(
        "SELECT id FROM groups WHERE source = ? AND key = ? AND destinations = ? AND look_at IS NOT NULL",
    )?;
    let Address {
        source,
        key,
        destinations,
    } = address;
    let found = select.query_row(params![source, key, destinations], |row| row.get(0));
    Ok(found.optional()?)
}

/// Adds a group that opens. Returns its number.
fn insert(step: &Step<'_>, address: &Address, group: &Group) -> Result<i64, StoreError> {
    let Address {
        source,
        key,
        destinations,
    } = address;
    let mut insert = step.transaction.prepare_cached(
        "INSERT INTO groups (source, key, destinations, state, opened_at, look_at, resolve_after)
         VALUES (?, ?, ?, '', ?, ?, ?) RETURNING id",
    )?;
    let row = params![
        source,
        key,
        destinations,
        step.touched.at_ms,
        group.look_at(),
        group.terms().resolve_after_ms
    ];
    Ok(insert.query_row(row, |row| row.get(0))?)
}

/// Takes down that an alert belongs to a group.
pub fn link(step: &Step<'_>, alert: i64, group: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO members (alert, grp) VALUES (?, ?)")?
        .execute([alert, group])?;
    Ok(())
}

/// Counts one open key less, in a group that is still open: the sender has resolved it.
pub fn resolve_key(step: &mut Step<'_>, group: i64) -> Result<(), StoreError> {
    if let Some(group) = load(step, group)? {
        group.resolve_key();
    }
    Ok(())
}

/// Resolves a group because an operator says so. Returns whether it was open.
pub fn resolve(
    step: &mut Step<'_>,
    id: i64,
    said: &str,
    at_ms: i64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    settle(step)?;
    let Some(group) = load(step, id)? else {
        return Ok(false);
    };
    let event = group.resolve(said, now_ms);
    if let Some(group) = step.touched.groups.remove(&id) {
        write_group(step, id, &group, Some(at_ms))?;
    }
    tell(step, id, event, at_ms, now_ms)?;
    Ok(true)
}

/// Looks at the groups and storms that time may have changed, at most `most` groups. Returns
/// whether more are left.
pub fn pass(step: &mut Step<'_>, at_ms: i64, now_ms: i64, most: usize) -> Result<bool, StoreError> {
    settle(step)?;
    let storms: Vec<i64> = numbers(
        step.transaction,
        "SELECT source FROM storms WHERE look_at <= ?1 LIMIT ?2",
        now_ms,
        most,
    )?;
    for source in storms {
        let Some(mut storm) = read_storm(step, source)? else {
            step.transaction
                .prepare_cached("DELETE FROM storms WHERE source = ?")?
                .execute([source])?;
            continue;
        };
        let ends = storm.look(now_ms);
        write_storm(step, source, &storm)?;
        if ends {
            let event = Topic::Storm.resolves(&source_name(step, source)?);
            let notice = Notice {
                destination: String::new(),
                event,
                at_ms,
            };
            internal::tell(step, &notice, now_ms)?;
            step.transaction
                .prepare_cached(
                    "UPDATE groups SET look_at = ?2 WHERE source = ?1 AND look_at > ?2",
                )?
                .execute([source, now_ms])?;
        }
    }
    let due: Vec<i64> = numbers(
        step.transaction,
        "SELECT id FROM groups WHERE look_at <= ?1 ORDER BY look_at LIMIT ?2",
        now_ms,
        most,
    )?;
    step.touched.begin(at_ms, now_ms);
    for id in &due {
        load(step, *id)?;
    }
    settle(step)?;
    Ok(due.len() == most)
}

/// Moves times that another clock took to `now_ms`, where they lie further ahead than time can
/// have put them.
pub fn bring_back(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    let ahead = numbers(
        connection,
        "SELECT id FROM groups WHERE look_at > ?1 + resolve_after LIMIT ?2",
        now_ms,
        usize::MAX >> 1,
    )?;
    for id in ahead {
        let mut select = connection.prepare_cached("SELECT state FROM groups WHERE id = ?")?;
        let state = select.query_row([id], |row| Ok(json::<Group>(row, 0)))?;
        let Ok(mut group) = state else {
            continue;
        };
        group.bring_back(now_ms);
        connection
            .prepare_cached("UPDATE groups SET state = ?2, look_at = ?3 WHERE id = ?1")?
            .execute(params![id, text(&group)?, group.look_at()])?;
    }
    let storms = numbers(
        connection,
        "SELECT source FROM storms WHERE look_at > ?1 LIMIT ?2",
        now_ms,
        usize::MAX >> 1,
    )?;
    for source in storms {
        let mut select = connection.prepare_cached("SELECT state FROM storms WHERE source = ?")?;
        let state = select.query_row([source], |row| Ok(json::<Storm>(row, 0)))?;
        let Ok(mut storm) = state else {
            continue;
        };
        storm.bring_back(now_ms);
        connection
            .prepare_cached("UPDATE storms SET state = ?2, look_at = ?3 WHERE source = ?1")?
            .execute(params![source, text(&storm)?, storm.look_at()])?;
    }
    Ok(())
}

/// Returns whether an alert of request `seq` belongs to a group that is open.
pub fn is_open(step: &Step<'_>, seq: i64) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM members m JOIN groups g ON g.id = m.grp
                        WHERE m.alert BETWEEN ? AND ? AND g.look_at IS NOT NULL)",
    )?;
    Ok(select.query_row(alert_ids(seq), |row| row.get(0))?)
}

/// Removes the alerts of request `seq` from their groups, and groups that are closed and have no
/// other.
pub fn forget(step: &Step<'_>, seq: i64) -> Result<(), StoreError> {
    let mut delete = step
        .transaction
        .prepare_cached("DELETE FROM members WHERE alert BETWEEN ? AND ? RETURNING grp")?;
    let groups: Vec<i64> = delete
        .query_map(alert_ids(seq), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for group in groups {
        step.transaction
            .prepare_cached(
                "DELETE FROM groups WHERE id = ?1 AND look_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM members WHERE grp = ?1)",
            )?
            .execute([group])?;
    }
    Ok(())
}

/// Adds an alert about a group, as one of its source.
fn tell(
    step: &mut Step<'_>,
    id: i64,
    mut event: contract::Alert,
    at_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT s.name, g.destinations FROM groups g JOIN sources s ON s.id = g.source WHERE g.id = ?",
    )?;
    let (source, destinations): (String, Vec<String>) =
        select.query_row([id], |row| Ok((row.get(0)?, json(row, 1)?)))?;
    let group = id.to_string();
    let message = event.message.get_or_insert_default();
    *message += &format!("\nEach of them: alert-gateway events list --group {group}");
    event.labels.insert("group".to_owned(), group);
    own(step, &source, &destinations, event, None, at_ms, now_ms)
}

fn write_group(
    step: &Step<'_>,
    id: i64,
    group: &Group,
    closed_at: Option<i64>,
) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "UPDATE groups SET state = ?2, look_at = ?3, resolve_after = ?4, closed_at = ?5 WHERE id = ?1",
        )?
        .execute(params![
            id,
            text(group)?,
            closed_at.is_none().then(|| group.look_at()),
            group.terms().resolve_after_ms,
            closed_at
        ])?;
    Ok(())
}

fn read_storm(step: &Step<'_>, source: i64) -> Result<Option<Storm>, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT state FROM storms WHERE source = ?")?;
    // One that cannot be read is a storm that is over.
    Ok(select
        .query_row([source], |row| Ok(json(row, 0).ok()))
        .optional()?
        .flatten())
}

fn write_storm(step: &Step<'_>, source: i64, storm: &Storm) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO storms (source, state, look_at) VALUES (?, ?, ?)")?
        .execute(params![source, text(storm)?, storm.look_at()])?;
    Ok(())
}

/// Returns whether the source of a group is in a storm.
fn is_storm(step: &Step<'_>, group: i64) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM groups g JOIN storms s ON s.source = g.source
                        WHERE g.id = ? AND s.look_at IS NOT NULL)",
    )?;
    Ok(select.query_row([group], |row| row.get(0))?)
}

fn source_name(step: &Step<'_>, source: i64) -> Result<String, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT name FROM sources WHERE id = ?")?;
    Ok(select.query_row([source], |row| row.get(0))?)
}

fn numbers(
    connection: &Connection,
    sql: &str,
    now_ms: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map(params![now_ms, most as i64], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
