//! The transaction of a group of commands, and the writer's memory beside it.

use std::collections::HashMap;

use crate::store::sql::Transaction;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::ahead::Ahead;
use super::handover::MadeDue;
use super::identities::{self, Changes, Identities};
use super::ids::{ALERTS_PER_REQUEST, Identity};
use super::repeats::Repeat;
use super::totals::Totals;
use super::touched::Touched;
use super::urgent::Urgent;

/// The memory of the writer between transactions: above all names of sources and destinations, by
/// the numbers under which rows have them. There are few, and they are never removed.
#[derive(Debug, Clone, Default)]
pub struct Names {
    sources: HashMap<String, i64>,
    destinations: HashMap<String, i64>,
    /// By the number of a source, whether its keys are tracked.
    pub tracked: HashMap<i64, bool>,
    /// By the number of a source whose keys are not tracked, the destinations of its last alert.
    pub routes: HashMap<i64, Vec<String>>,
    /// The urgency of the newest keys.
    pub urgent: Urgent,
}

/// The part of a transaction that a command works on.
pub struct Step<'a> {
    pub transaction: &'a Transaction<'a>,
    /// The number of the next request.
    pub next_seq: &'a mut i64,
    pub totals: &'a mut Totals,
    pub names: &'a mut Names,
    /// True if this gateway leads those that share the store; none where it is alone.
    pub leads: Option<bool>,
    /// True if keys are guarded after a takeover.
    pub guarded: bool,
    /// The rows that were read ahead.
    pub ahead: &'a mut Ahead,
    /// Repeats that the commands of this transaction met.
    pub repeats: &'a mut Vec<(i64, Repeat)>,
    /// The deliveries that this transaction made due.
    pub made_due: &'a mut MadeDue,
    /// The first request that is new in this transaction.
    pub first_seq: i64,
    /// The identities that wait in memory,
    pub waiting: &'a Identities,
    /// and what the commands of this transaction changed in them.
    pub changes: &'a mut Changes,
    /// The groups that the commands of this transaction changed, until they are written.
    pub touched: Touched,
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

    /// Returns the alert that is known by this.
    ///
    /// # Errors
    /// What the disk said.
    pub fn known_as(&self, identity: Identity) -> Result<Option<i64>, StoreError> {
        match self.in_memory(identity) {
            Some(alert) => Ok(Some(alert)),
            None if self.ahead.is_new(identity) => Ok(None),
            None => identities::find(self.transaction, identity),
        }
    }

    /// Takes down that an alert is known by this.
    ///
    /// # Errors
    /// What the disk said.
    pub fn identify(&mut self, identity: Identity, alert: i64) -> Result<(), StoreError> {
        // A start reads those of new requests only.
        let is_new = alert.div_euclid(ALERTS_PER_REQUEST as i64) >= self.first_seq;
        if !is_new {
            identities::insert(self.transaction, identity.0, alert)?;
        }
        self.changes.insert(identity.0, is_new.then_some(alert));
        self.ahead.identified(identity);
        Ok(())
    }

    /// Forgets an identity, if it is that of one of these alerts.
    ///
    /// # Errors
    /// What the disk said.
    pub fn forget(
        &mut self,
        identity: Identity,
        [first, last]: [i64; 2],
    ) -> Result<(), StoreError> {
        if self
            .in_memory(identity)
            .is_some_and(|alert| (first..=last).contains(&alert))
        {
            self.changes.insert(identity.0, None);
        }
        self.transaction
            .prepare_cached("DELETE FROM identities WHERE hash = ?1 AND alert BETWEEN ?2 AND ?3")?
            .execute(params![identity.0, first, last])?;
        Ok(())
    }

    fn in_memory(&self, identity: Identity) -> Option<i64> {
        match self.changes.get(&identity.0) {
            Some(changed) => *changed,
            None => self.waiting.get(identity),
        }
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
        None => transaction
            .prepare_cached(&format!(
                "INSERT INTO {table} (name) VALUES (?) RETURNING id"
            ))?
            .query_row([name], |row| row.get(0))?,
    };
    known.insert(name.to_owned(), id);
    Ok(id)
}
