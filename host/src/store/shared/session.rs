//! The writer of one gateway among those that share a store.
//!
//! Each of its transactions begins with the lock on `writer`, and so sees all that others have
//! committed, as the one writer of a file does. It numbers its commits: where a connection is lost
//! within one, the next transaction finds out by that number whether it happened.

use rusqlite::params;

use crate::store::StoreError;
use crate::store::sql::Transaction;
use crate::store::totals::Totals;

/// The name of the leader's lease: it delivers, and does all else that is done once.
pub const LEADER: &str = "leader";

/// A gateway, among those that share a store.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its name.
    pub node: String,
    /// This run of it.
    pub instance: String,
    /// The number of the commit that it tried last.
    pub commits: i64,
    /// The number of its last commit that happened, as the database had it.
    pub committed: i64,
    /// True if it led the others with the last transaction.
    pub leads: bool,
    /// True if keys are guarded after a takeover.
    pub guarded: bool,
}

/// The state at the beginning of a transaction.
pub struct Entered {
    /// The number of the next request.
    pub next_seq: i64,
    /// The number of rows by state.
    pub totals: Totals,
    /// True if another gateway has written since this one did.
    pub is_news: bool,
}

impl Session {
    /// Reads the state left by others, within a transaction that has the lock.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where another gateway has this one's name.
    pub fn enter(&mut self, transaction: &Transaction<'_>) -> Result<Entered, StoreError> {
        let mut select = transaction.prepare_cached(
            "SELECT w.next_seq, w.instance, g.instance, g.commit, l.instance,
                    EXISTS (SELECT 1 FROM guarded)
             FROM writer w
             LEFT JOIN gateways g ON g.node = ? LEFT JOIN leases l ON l.name = 'leader'",
        )?;
        let (next_seq, last, instance, committed, leader, guarded) =
            select.query_row([&self.node], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<String>>(2)?,
                    row.get::<_, Option<i64>>(3)?.unwrap_or_default(),
                    row.get::<_, Option<String>>(4)?,
                    row.get(5)?,
                ))
            })?;
        if instance.as_deref() != Some(&self.instance) {
            return Err(self.lost());
        }
        let totals = Totals::read(transaction)?;
        let is_news = last != self.instance;
        self.committed = committed;
        self.guarded = guarded;
        self.leads = leader.as_deref() == Some(&self.instance);
        Ok(Entered {
            next_seq,
            totals,
            is_news,
        })
    }

    /// Leaves word for the next one, at the end of a transaction with this number.
    ///
    /// # Errors
    /// The database's.
    pub fn leave(
        &self,
        transaction: &Transaction<'_>,
        next_seq: i64,
        number: i64,
    ) -> Result<(), StoreError> {
        transaction
            .prepare_cached("UPDATE writer SET next_seq = ?, instance = ?, commits = commits + 1")?
            .execute_soon(params![next_seq, self.instance])?;
        transaction
            .prepare_cached("UPDATE gateways SET commit = ? WHERE node = ?")?
            .execute_soon(params![number, self.node])?;
        Ok(())
    }

    fn lost(&self) -> StoreError {
        StoreError::Lost(format!(
            "another gateway runs under the name {:?}: give each a node of its own in [store]",
            self.node
        ))
    }
}
