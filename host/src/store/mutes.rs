//! Mutes in the store: alerts that are held, and their end.
//!
//! A held alert is stored and listed like any other. When its mute ends, each source is sent one
//! summary, and what is still open is opened: the newest alert of each key goes where it would have
//! gone, into a group as well.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use plugin_sdk::contract::{Alert, Priority};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::groups::{After, json, own};
use super::ids::{alert_ids, request_id_text};
use super::request::NewAlert;
use super::step::Step;
use super::tracking::{self, Way};
use super::{Entry, StoreError, alerts, schema};
use crate::alert;
use crate::alert::group::Grouping;
use crate::clock::rfc3339;

/// The number of alerts that one commit opens when a mute ends.
const BATCH: usize = 256;

/// The number of titles that a summary names.
const NAMED: usize = 10;

/// The time after which the summary of a mute is resolved. It asks for nothing but a look.
const SUMMARY_MS: i64 = 24 * 60 * 60 * 1000;

/// A mute that holds an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MuteRef {
    /// One that an operator made at run time, by its number.
    Stored(i64),
    /// One of the configuration.
    Configured {
        /// Its words.
        name: String,
        /// The reason.
        why: String,
    },
}

/// A mute as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MuteRecord {
    /// Its number.
    pub id: i64,
    /// Its words, where it is one of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names and patterns of the alerts that it holds.
    pub conditions: Vec<(String, String)>,
    /// Unix milliseconds.
    pub from_ms: i64,
    /// Unix milliseconds.
    pub until_ms: i64,
    /// The reason.
    pub why: String,
    /// The operator.
    pub who: String,
    /// The time of its end: Unix milliseconds.
    pub ended_ms: Option<i64>,
    /// The number of alerts that it has held, and that are kept; 0 where it was not asked for.
    pub events: i64,
    /// True if it holds alerts now.
    pub holds: bool,
}

/// A mute to make at run time.
#[derive(Debug, Clone)]
pub struct NewMute {
    /// Names and patterns.
    pub conditions: Vec<(String, String)>,
    /// Unix milliseconds.
    pub from_ms: i64,
    /// Unix milliseconds.
    pub until_ms: i64,
    /// The reason.
    pub why: String,
    /// The operator.
    pub who: String,
}

/// Where a held alert would have gone.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    destinations: Vec<String>,
    group: Option<Grouping>,
    operator: Option<String>,
    resolve_after_ms: Option<i64>,
}

/// Finds the mute that holds an alert of a source now.
pub type Still = dyn Fn(&str, &Alert) -> Option<MuteRef> + Send + Sync;

/// Ends a mute, a part at a time.
pub struct EndMute {
    /// Its number.
    pub mute: i64,
    /// The mutes that hold now: an alert that another one holds stays held.
    pub still: Arc<Still>,
    /// By the machine's clock.
    pub at_ms: i64,
    /// By the store's clock.
    pub now_ms: i64,
}

impl fmt::Debug for EndMute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndMute")
            .field("mute", &self.mute)
            .finish_non_exhaustive()
    }
}

impl Command for EndMute {
    /// True if more is held.
    type Output = bool;

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let mute = self.mute;
        let summed_up: Option<bool> = step
            .transaction
            .prepare_cached(
                "UPDATE mutes SET ended_at = iif(name IS NULL, ifnull(ended_at, ?2), NULL) WHERE id = ?1
                 RETURNING summed_up",
            )?
            .query_row([mute, self.at_ms], |row| row.get(0))
            .optional()?;
        if summed_up == Some(false) {
            self.sum_up(step)?;
        }
        let mut after = After::new(self.at_ms, self.now_ms);
        let open = open(step, mute)?;
        for one in &open {
            self.revive(step, one, &mut after)?;
        }
        after.finish(step)?;
        if open.len() == BATCH {
            return Ok(true);
        }
        // What is left was resolved, or is not the newest of its key.
        step.transaction
            .prepare_cached("UPDATE muted SET held = NULL WHERE mute = ? AND held IS NOT NULL")?
            .execute([mute])?;
        step.transaction
            .prepare_cached("UPDATE keys SET mute = NULL WHERE mute = ?")?
            .execute([mute])?;
        Ok(false)
    }
}

/// A held alert whose key is open.
struct Open {
    id: i64,
    source: i64,
    held: Held,
    alert: alert::Alert,
}

impl EndMute {
    /// Sends one summary for each source.
    fn sum_up(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        step.transaction
            .prepare_cached("UPDATE mutes SET summed_up = 1 WHERE id = ?")?
            .execute([self.mute])?;
        let why: String = step
            .transaction
            .prepare_cached("SELECT why FROM mutes WHERE id = ?")?
            .query_row([self.mute], |row| row.get(0))?;
        let mut select = step.transaction.prepare_cached(
            "SELECT s.name, count(*), count(k.alert), min(a.priority),
                    (SELECT held FROM muted h JOIN alerts b ON b.id = h.alert
                     WHERE h.mute = ?1 AND h.held IS NOT NULL AND b.source = a.source LIMIT 1), a.source
             FROM muted m JOIN alerts a ON a.id = m.alert JOIN sources s ON s.id = a.source
             LEFT JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
             WHERE m.mute = ?1 AND m.held IS NOT NULL GROUP BY a.source",
        )?;
        let sources: Vec<(String, i64, i64, i64, Option<Held>, i64)> = select
            .query_map([self.mute], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    json(row, 4).ok(),
                    row.get(5)?,
                ))
            })?
            .collect::<Result<_, _>>()?;
        drop(select);
        for (name, events, open, rank, held, source) in sources {
            let Some(held) = held else {
                continue;
            };
            let titles = self.titles(step, source)?;
            let event = self.summary(&why, events, open, rank, &titles);
            let destinations = &held.destinations;
            own(
                step,
                &name,
                destinations,
                event,
                Some(SUMMARY_MS),
                self.at_ms,
                self.now_ms,
            )?;
        }
        Ok(())
    }

    /// The titles of the first alerts of a source whose keys are open.
    fn titles(&self, step: &Step<'_>, source: i64) -> Result<Vec<String>, StoreError> {
        let mut select = step.transaction.prepare_cached(
            "SELECT e.json FROM muted m JOIN alerts a ON a.id = m.alert JOIN events e ON e.alert = a.id
             JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
             WHERE m.mute = ?1 AND m.held IS NOT NULL AND a.source = ?2 ORDER BY a.id LIMIT ?3",
        )?;
        let rows = select.query_map(params![self.mute, source, NAMED as i64], |row| {
            Ok(json::<Alert>(row, 0)
                .map(|alert| format!("{} ({})", alert.title, alert.key()))
                .unwrap_or_default())
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn summary(&self, why: &str, events: i64, open: i64, rank: i64, titles: &[String]) -> Alert {
        let priority = if open > 0 {
            super::due::priority(rank)
        } else {
            Priority::Low
        };
        let title = format!("{events} muted events, {open} keys still open: {why}");
        let mut alert = Alert::new("", priority, title);
        let mute = self.mute;
        alert.key = Some(format!("mute/{mute}"));
        let mut message =
            format!("A mute has ended. Each event of it: alert-gateway events list --mute {mute}");
        if open > 0 {
            message += "\nStill open, and delivered now:";
            for title in titles {
                message += &format!("\n- {title}");
            }
            let more = open.saturating_sub(titles.len() as i64);
            if more > 0 {
                message += &format!("\n- and {more} more");
            }
        }
        alert.message = Some(message);
        alert.labels.insert("mute".to_owned(), mute.to_string());
        alert
    }

    /// Sends a held alert on its way, or leaves it to another mute.
    fn revive(&self, step: &mut Step<'_>, one: &Open, after: &mut After) -> Result<(), StoreError> {
        let Open {
            id,
            source,
            held,
            alert,
        } = one;
        if let Some(other) = (self.still)(&alert.source, &alert.event)
            && let Some(other) = number(step, &other)?.filter(|other| *other != self.mute)
        {
            step.transaction
                .prepare_cached("UPDATE muted SET mute = ?2 WHERE alert = ?1")?
                .execute([*id, other])?;
            step.transaction
                .prepare_cached("UPDATE keys SET mute = ?2 WHERE alert = ?1 AND mute = ?3")?
                .execute([*id, other, self.mute])?;
            return dirty(step, other);
        }
        release(step, *id)?;
        let mut new = NewAlert::new(alert, &held.destinations)
            .map_err(|error| StoreError::Disk(error.to_string()))?;
        if let Some(group) = &held.group {
            new = new.grouped(alert, group.clone(), held.operator.as_deref());
        }
        new.handling.resolve_after_ms = held.resolve_after_ms;
        if tracking::open(step, *id, *source, &new, after)? == Way::Out {
            alerts::deliver(step, *id, *source, &new, self.now_ms)?;
        }
        Ok(())
    }
}

/// Holds an alert that a mute matches. Returns the mute's number.
pub fn hold(
    step: &Step<'_>,
    id: i64,
    alert: &NewAlert,
    mute: &MuteRef,
) -> Result<Option<i64>, StoreError> {
    let Some(mute) = number(step, mute)? else {
        return Ok(None);
    };
    let handling = &alert.handling;
    let held = Held {
        destinations: alert.destinations.clone(),
        group: handling.group.as_ref().map(|group| group.grouping.clone()),
        operator: handling
            .group
            .as_ref()
            .and_then(|group| group.operator.clone()),
        resolve_after_ms: handling.resolve_after_ms,
    };
    let held = serde_json::to_string(&held).map_err(|error| StoreError::Disk(error.to_string()))?;
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO muted (alert, mute, held) VALUES (?, ?, ?)")?
        .execute(params![id, mute, held])?;
    dirty(step, mute)?;
    Ok(Some(mute))
}

/// Takes down that a resolve was kept back like the alert that it resolves. That one is not open any
/// more, and counts in the summary.
pub fn link(step: &Step<'_>, id: i64, mute: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO muted (alert, mute) VALUES (?, ?)")?
        .execute([id, mute])?;
    Ok(())
}

/// Returns whether an alert of request `seq` is held.
pub fn is_held(step: &Step<'_>, [first, last]: [i64; 2]) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM muted WHERE alert BETWEEN ? AND ? AND held IS NOT NULL)",
    )?;
    Ok(select.query_row([first, last], |row| row.get(0))?)
}

/// Removes what is known of muted alerts that are about to go: those of request `seq`.
pub fn forget(step: &Step<'_>, seq: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM muted WHERE alert BETWEEN ? AND ?")?
        .execute(alert_ids(seq))?;
    Ok(())
}

/// Reads the mutes that hold or may hold something, newest first.
pub fn list(connection: &Connection, all: bool) -> Result<Vec<MuteRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, conditions, from_at, until_at, why, who, ended_at,
                iif(?1, (SELECT count(*) FROM muted WHERE mute = m.id), 0),
                EXISTS (SELECT 1 FROM muted WHERE mute = m.id AND held IS NOT NULL)
         FROM mutes m WHERE ?1 OR (name IS NULL AND ended_at IS NULL) OR summed_up = 0
                         OR EXISTS (SELECT 1 FROM muted WHERE mute = m.id AND held IS NOT NULL)
         ORDER BY id DESC LIMIT 1000",
    )?;
    let rows = statement.query_map([all], |row| {
        Ok(MuteRecord {
            id: row.get(0)?,
            name: row.get(1)?,
            conditions: json(row, 2).unwrap_or_default(),
            from_ms: row.get(3)?,
            until_ms: row.get(4)?,
            why: row.get(5)?,
            who: row.get(6)?,
            ended_ms: row.get(7)?,
            events: row.get(8)?,
            holds: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes a mute, and writes it into the audit; for a process that is not the gateway. Returns its
/// number.
///
/// # Errors
/// Where there is no store, or what the disk said; nothing is muted then.
pub fn add(path: &Path, mute: &NewMute, audit: &Entry) -> Result<i64, StoreError> {
    let mut connection = schema::open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    let conditions = serde_json::to_string(&mute.conditions)
        .map_err(|error| StoreError::Disk(error.to_string()))?;
    transaction.execute(
        "INSERT INTO mutes (conditions, from_at, until_at, why, who) VALUES (?, ?, ?, ?, ?)",
        params![conditions, mute.from_ms, mute.until_ms, mute.why, mute.who],
    )?;
    let id = transaction.last_insert_rowid();
    let about = format!("{id}: {}", audit.about);
    Entry {
        about,
        ..audit.clone()
    }
    .insert(&transaction)?;
    transaction.commit()?;
    Ok(id)
}

/// Ends a mute that an operator made, and writes it into the audit; for a process that is not the
/// gateway. Returns whether there was one that had not ended.
///
/// # Errors
/// Where there is no store, or what the disk said; nothing is changed then.
pub fn end(path: &Path, id: i64, audit: &Entry) -> Result<bool, StoreError> {
    let mut connection = schema::open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    let ended = transaction.execute(
        "UPDATE mutes SET ended_at = ?2 WHERE id = ?1 AND name IS NULL AND ended_at IS NULL",
        [id, audit.at_ms],
    )?;
    if ended > 0 {
        audit.insert(&transaction)?;
    }
    transaction.commit()?;
    Ok(ended > 0)
}

/// Returns the number of a mute, which is a new one where the configuration has it and no alert has
/// met it yet. `None` where it is not there any more.
fn number(step: &Step<'_>, mute: &MuteRef) -> Result<Option<i64>, StoreError> {
    match mute {
        MuteRef::Stored(id) => {
            let mut select = step
                .transaction
                .prepare_cached("SELECT id FROM mutes WHERE id = ?")?;
            Ok(select.query_row([id], |row| row.get(0)).optional()?)
        }
        MuteRef::Configured { name, why } => {
            let mut insert = step.transaction.prepare_cached(
                "INSERT INTO mutes (name, conditions, from_at, until_at, why, who)
                 VALUES (?, '[]', 0, 0, ?, 'configuration') ON CONFLICT (name) DO UPDATE SET why = ?2 RETURNING id",
            )?;
            Ok(Some(insert.query_row([name, why], |row| row.get(0))?))
        }
    }
}

/// Takes down that a mute has something to sum up.
fn dirty(step: &Step<'_>, mute: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("UPDATE mutes SET summed_up = 0 WHERE id = ? AND summed_up <> 0")?
        .execute([mute])?;
    Ok(())
}

fn release(step: &Step<'_>, alert: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("UPDATE muted SET held = NULL WHERE alert = ?")?
        .execute([alert])?;
    Ok(())
}

/// Returns some of the held alerts whose keys are open, oldest first. One that cannot be read is
/// released, and stays undelivered in the list.
fn open(step: &Step<'_>, mute: i64) -> Result<Vec<Open>, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT a.id, a.source, m.held, s.name, r.id, r.received_at, e.json
         FROM muted m JOIN alerts a ON a.id = m.alert JOIN sources s ON s.id = a.source
         JOIN requests r ON r.seq = a.id / 1024 JOIN events e ON e.alert = a.id
         JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
         WHERE m.mute = ?1 AND m.held IS NOT NULL ORDER BY a.id LIMIT ?2",
    )?;
    let rows = select.query_map(params![mute, BATCH as i64], |row| {
        let read = || -> rusqlite::Result<Open> {
            Ok(Open {
                id: row.get(0)?,
                source: row.get(1)?,
                held: json(row, 2)?,
                alert: alert::Alert {
                    source: row.get(3)?,
                    request: request_id_text(row.get_ref(4)?.as_blob()?),
                    received_at: rfc3339(row.get(5)?),
                    event: json(row, 6)?,
                },
            })
        };
        Ok((row.get::<_, i64>(0)?, read()))
    })?;
    let mut open = Vec::new();
    for row in rows {
        let (id, read) = row?;
        match read {
            Ok(one) => open.push(one),
            Err(error) => {
                tracing::error!(alert = id, %error, "a muted alert cannot be read, and is not delivered");
                release(step, id)?;
            }
        }
    }
    Ok(open)
}
