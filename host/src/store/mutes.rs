//! Mutes in the store, and the alerts that they hold. A held alert is stored and listed like any
//! other; [`end_mute`](mod@super::end_mute) has what becomes of it.

use crate::store::sql::Connection;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::ids::alert_ids;
use super::request::{MuteRef, NewAlert, Originals};
use super::step::Step;
use super::{Entry, Location, StoreError, json, text};
use crate::alert::group::Grouping;
use crate::config::Condition;

/// A mute as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The most patterns of a mute.
const PATTERNS: usize = 32;
/// The longest name or pattern.
const LONGEST: usize = 256;
/// The longest reason.
const REASON: usize = 500;
/// The longest time that a mute may hold: a year.
const YEAR_MS: i64 = 366 * 24 * 60 * 60 * 1000;

impl NewMute {
    /// Returns the alerts that it would hold.
    ///
    /// # Errors
    /// What is wrong with it, in words that begin with the field.
    pub fn checked(&self) -> Result<Condition, String> {
        let pairs = self.conditions.iter();
        let pairs = pairs.map(|(name, pattern)| (&**name, &**pattern));
        if !(1..=PATTERNS).contains(&self.conditions.len()) {
            return Err(format!(
                "when: name 1 to {PATTERNS} patterns, such as twilio-prod for source"
            ));
        }
        let fits = |text: &str| (1..=LONGEST).contains(&text.len());
        if !pairs
            .clone()
            .all(|(name, pattern)| fits(name) && fits(pattern))
        {
            return Err(format!(
                "when: a name and a pattern have 1 to {LONGEST} bytes"
            ));
        }
        let when = Condition::of_pairs(pairs).map_err(|why| format!("when: {why}"))?;
        if self.until_ms <= self.from_ms {
            return Err("until: the mute would end before it begins".to_owned());
        }
        if self.until_ms - self.from_ms > YEAR_MS {
            return Err("until: a mute holds for a year at most".to_owned());
        }
        match self.why.trim().len() {
            0 => Err("why: say why, for whoever looks at it later".to_owned()),
            1..=REASON => Ok(when),
            _ => Err(format!("why: at most {REASON} bytes")),
        }
    }
}

/// The way that a held alert would have gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Held {
    pub destinations: Vec<String>,
    pub group: Option<Grouping>,
    pub operator: Option<String>,
    pub resolve_after_ms: Option<i64>,
    #[serde(default)]
    pub originals: Originals,
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
        originals: alert.originals.clone(),
    };
    let held = text(&held)?;
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO muted (alert, mute, held) VALUES (?, ?, ?)")?
        .execute(params![id, mute, held])?;
    dirty(step, mute)?;
    Ok(Some(mute))
}

/// Links a resolve with the mute of the alert that it resolves. That one is not open any more, and
/// counts in the summary.
pub fn link(step: &Step<'_>, id: i64, mute: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("INSERT OR REPLACE INTO muted (alert, mute, held) VALUES (?, ?, NULL)")?
        .execute([id, mute])?;
    Ok(())
}

/// Removes the links of muted alerts that are about to go: those of request `seq`.
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
                CASE WHEN ?1 THEN (SELECT count(*) FROM muted WHERE mute = m.id) ELSE 0 END,
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
pub fn add(
    location: impl Into<Location>,
    mute: &NewMute,
    audit: &Entry,
) -> Result<i64, StoreError> {
    let connection = location.into().writes()?;
    let transaction = connection.write()?;
    let id = insert(&transaction, mute, audit)?;
    transaction.commit()?;
    Ok(id)
}

fn insert(connection: &Connection, mute: &NewMute, audit: &Entry) -> Result<i64, StoreError> {
    let conditions = text(&mute.conditions)?;
    let id = connection.query_row(
        "INSERT INTO mutes (conditions, from_at, until_at, why, who) VALUES (?, ?, ?, ?, ?) RETURNING id",
        params![conditions, mute.from_ms, mute.until_ms, mute.why, mute.who],
        |row| row.get(0),
    )?;
    let about = format!("{id}: {}", audit.about);
    Entry {
        about,
        ..audit.clone()
    }
    .insert(connection)?;
    Ok(id)
}

/// Ends a mute that an operator made, and writes it into the audit; for a process that is not the
/// gateway. Returns whether there was one that had not ended.
///
/// # Errors
/// Where there is no store, or what the disk said; nothing is changed then.
pub fn end(location: impl Into<Location>, id: i64, audit: &Entry) -> Result<bool, StoreError> {
    let connection = location.into().writes()?;
    let transaction = connection.write()?;
    let ended = stop(&transaction, id, audit)?;
    transaction.commit()?;
    Ok(ended)
}

fn stop(connection: &Connection, id: i64, audit: &Entry) -> Result<bool, StoreError> {
    let ended = connection.execute(
        "UPDATE mutes SET ended_at = ?2 WHERE id = ?1 AND name IS NULL AND ended_at IS NULL",
        [id, audit.at_ms],
    )?;
    if ended > 0 {
        audit.insert(connection)?;
    }
    Ok(ended > 0)
}

/// Makes a mute. Returns its number. For the gateway itself.
#[derive(Debug)]
pub struct AddMute(pub NewMute, pub Entry);

impl Command for AddMute {
    type Output = i64;

    fn run(&self, step: &mut Step<'_>) -> Result<i64, StoreError> {
        insert(step.transaction, &self.0, &self.1)
    }
}

/// Ends a mute that an operator made. Returns whether there was one that had not ended. For the
/// gateway itself.
#[derive(Debug)]
pub struct StopMute(pub i64, pub Entry);

impl Command for StopMute {
    type Output = bool;

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        stop(step.transaction, self.0, &self.1)
    }
}

/// Returns the number of a mute, which is a new one where the configuration has it and no alert has
/// met it yet. `None` where it is not there any more.
pub fn number(step: &Step<'_>, mute: &MuteRef) -> Result<Option<i64>, StoreError> {
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
pub fn dirty(step: &Step<'_>, mute: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("UPDATE mutes SET summed_up = 0 WHERE id = ? AND summed_up <> 0")?
        .execute([mute])?;
    Ok(())
}

/// Takes down that a mute does not hold an alert any more.
pub fn release(step: &Step<'_>, alert: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("UPDATE muted SET held = NULL WHERE alert = ?")?
        .execute([alert])?;
    Ok(())
}
