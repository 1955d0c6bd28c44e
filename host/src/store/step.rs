//! The transaction of a group of commands, and the writer's memory beside it.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::StoreError;
use super::identities::{Changes, Identities};
use super::repeats::Repeat;
use super::totals::Totals;

/// Names of sources and destinations, by the numbers under which rows have them. There are few, and
/// they are never removed.
#[derive(Debug, Clone, Default)]
pub struct Names {
    sources: HashMap<String, i64>,
    destinations: HashMap<String, i64>,
    /// By the number of a source, whether its keys are tracked.
    pub tracked: HashMap<i64, bool>,
}

/// The part of a transaction that a command works on.
pub struct Step<'a> {
    pub transaction: &'a Transaction<'a>,
    /// The number of the next request.
    pub next_seq: &'a mut i64,
    pub totals: &'a mut Totals,
    pub names: &'a mut Names,
    /// Repeats that the commands of this transaction met.
    pub repeats: &'a mut Vec<(i64, Repeat)>,
    /// The first request that is new in this transaction.
    pub first_seq: i64,
    /// The identities that wait in memory,
    pub waiting: &'a Identities,
    /// and what the commands of this transaction changed in them.
    pub changes: &'a mut Changes,
}

impl Step<'_> {
    /// Returns the number of a source, which is a new one where the store has not met it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn source(&mut self, name: &str) -> Result<i64, StoreError> {
        number(self.transaction, &mut self.names.sources, "sources", name)
    }

    /// Returns the number of a destination, which is a new one where the store has not met it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn destination(&mut self, name: &str) -> Result<i64, StoreError> {
        number(
            self.transaction,
            &mut self.names.destinations,
            "destinations",
            name,
        )
    }

    /// Takes the number of a new request.
    pub fn take_seq(&mut self) -> i64 {
        let seq = *self.next_seq;
        *self.next_seq += 1;
        seq
    }
}

fn number(
    transaction: &Transaction<'_>,
    known: &mut HashMap<String, i64>,
    table: &str,
    name: &str,
) -> Result<i64, StoreError> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let mut select =
        transaction.prepare_cached(&format!("SELECT id FROM {table} WHERE name = ?"))?;
    let found = select.query_row([name], |row| row.get(0)).optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            transaction
                .prepare_cached(&format!("INSERT INTO {table} (name) VALUES (?)"))?
                .execute(params![name])?;
            transaction.last_insert_rowid()
        }
    };
    known.insert(name.to_owned(), id);
    Ok(id)
}
