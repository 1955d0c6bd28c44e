//! The audit: the actions of operators on the store.

use crate::store::sql::Connection;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::command::Command;
use super::step::Step;

/// One action of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The operator: a user of this machine, or of the admin listener.
    pub who: String,
    /// The origin of the action: `command line`, or an address.
    pub origin: String,
    /// The action in a word: `replay`, `dismiss`, …
    pub action: String,
    /// Ids, as the operator gave them, or a filter.
    pub about: String,
    /// The operator's reason.
    pub why: Option<String>,
}

/// Writes an action down.
#[derive(Debug)]
pub struct Audit(pub Entry);

impl Command for Audit {
    type Output = ();

    fn run(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        self.0.insert(step.transaction)
    }
}

impl Entry {
    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let Self {
            at_ms,
            who,
            origin,
            action,
            about,
            why,
        } = self;
        connection
            .prepare_cached(
                "INSERT INTO audit (at, who, origin, action, about, why) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![at_ms, who, origin, action, about, why])?;
        Ok(())
    }
}

/// Reads the newest actions before number `before`, newest first, each with its number.
pub fn list(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, Entry)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, who, origin, action, about, why, id FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
    )?;
    let bounds = [before.unwrap_or(i64::MAX), limit as i64];
    let rows = statement.query_map(bounds, |row| {
        let entry = Entry {
            at_ms: row.get(0)?,
            who: row.get(1)?,
            origin: row.get(2)?,
            action: row.get(3)?,
            about: row.get(4)?,
            why: row.get(5)?,
        };
        Ok((row.get(6)?, entry))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
