//! The writer of one gateway among those that share a store.
//!
//! Each of its transactions begins with the lock on `writer`, and so sees all that others have
//! committed, as the one writer of a file does. It numbers its commits: where a connection is lost
//! within one, the next transaction finds out by that number whether it happened.

use rusqlite::params;

use crate::store::StoreError;
use crate::store::ahead::{Ahead, Wanted};
use crate::store::postgres::{Given, Question};
use crate::store::sql::{Connection, Row, Transaction};
use crate::store::totals::{TOTALS, Totals};

/// The name of the leader's lease: it delivers, and does all else that is done once.
pub const LEADER: &str = "leader";

/// Selects the state of the writers, of this gateway among them, and of the leader.
const ENTER: &str = "SELECT w.next_seq, w.instance, g.instance, g.commit, l.instance, EXISTS (SELECT 1 FROM guarded)
    FROM writer w LEFT JOIN gateways g ON g.node = ? LEFT JOIN leases l ON l.name = 'leader'";

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
    /// The rows that commands will look for.
    pub ahead: Ahead,
}

impl Session {
    /// Begins a transaction, and reads in it the state left by others and what commands will look
    /// for.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where another gateway has this one's name; otherwise the database's.
    pub fn begin<'a>(
        &mut self,
        connection: &'a Connection,
        wanted: Wanted,
    ) -> Result<(Transaction<'a>, Entered), StoreError> {
        let given = Given::One(self.node.clone().into());
        let totals = Question {
            sql: TOTALS,
            given: Given::Nothing,
        };
        let mut questions = vec![Question { sql: ENTER, given }, totals];
        questions.extend(wanted.questions());
        let (transaction, answers) = connection.write_asking(&questions)?;
        let mut answers = answers.into_iter();
        let state = answers.next().and_then(|rows| rows.into_iter().next());
        let Some(state) = state else {
            return Err(self.lost());
        };
        let state = Row::Postgres(&state);
        if state.get::<_, Option<String>>(2)?.as_deref() != Some(&self.instance) {
            return Err(self.lost());
        }
        self.committed = state.get::<_, Option<i64>>(3)?.unwrap_or_default();
        self.leads = state.get::<_, Option<String>>(4)?.as_deref() == Some(&self.instance);
        self.guarded = state.get(5)?;
        let mut totals = Totals::default();
        for row in answers.next().unwrap_or_default() {
            totals.take(Row::Postgres(&row))?;
        }
        let mut rest = || answers.next().unwrap_or_default();
        let ahead = Ahead::new(wanted, std::array::from_fn(|_| rest()));
        let entered = Entered {
            next_seq: state.get(0)?,
            totals,
            is_news: state.get::<_, String>(1)? != self.instance,
            ahead,
        };
        Ok((transaction, entered))
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
