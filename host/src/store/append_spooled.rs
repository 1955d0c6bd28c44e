//! Keeping requests that a spool kept while the database was away.
//!
//! A gateway may die after a request is in the database and before it is out of the spool, and a
//! commit whose answer did not come may have kept it. So a request whose id the store has is left
//! out. One that brought nothing but repeats has no row to be known by: its repeats may be counted
//! twice.

use std::collections::HashSet;
use std::sync::Arc;

use super::ahead::{Turn, Wanted};
use super::append::{append, foresee};
use super::command::Command;
use super::ids::request_id;
use super::spool::Spooled;
use super::sql::params_from_iter;
use super::step::Step;
use super::{StoreError, groups};

/// Appends requests in this order, all or none; their alerts are due at `now_ms`, on the store's
/// clock.
#[derive(Debug)]
pub struct AppendSpooled {
    pub requests: Vec<Arc<Spooled>>,
    pub now_ms: i64,
}

/// The number of requests that are looked for at once.
const LOOKED_FOR: usize = 64;

impl Command for AppendSpooled {
    /// The number of those that the store had already.
    type Output = usize;

    const TURN: Turn = Turn::Appends;

    fn foresee(&self, wanted: &mut Wanted) {
        for spooled in &self.requests {
            foresee(&spooled.reading, wanted);
        }
    }

    fn run(&self, step: &mut Step<'_>) -> Result<usize, StoreError> {
        let known = self.known(step)?;
        let mut left_out = 0;
        for spooled in &self.requests {
            let Spooled { request, reading } = spooled.as_ref();
            if known.contains(&request_id(&request.id)) {
                left_out += 1;
                continue;
            }
            // Its bound was kept as it came in: its sender has the answer that it is kept.
            append(step, request, reading, self.now_ms)?;
            if step.touched.is_full() {
                groups::settle(step)?;
            }
        }
        Ok(left_out)
    }
}

impl AppendSpooled {
    /// Returns the ids of those that the store has.
    fn known(&self, step: &Step<'_>) -> Result<HashSet<Vec<u8>>, StoreError> {
        let marks = ["?"; LOOKED_FOR].join(", ");
        let select = format!("SELECT id FROM requests WHERE id IN ({marks})");
        let ids = self.requests.iter();
        let ids: Vec<_> = ids.map(|spooled| request_id(&spooled.request.id)).collect();
        let mut known = HashSet::new();
        for some in ids.chunks(LOOKED_FOR) {
            // The last one stands for those that are missing.
            let asked = some.iter().chain(std::iter::repeat(&some[some.len() - 1]));
            let found = step
                .transaction
                .prepare_cached(&select)?
                .query_map(params_from_iter(asked.take(LOOKED_FOR)), |row| row.get(0))?;
            for id in found {
                known.insert(id?);
            }
        }
        Ok(known)
    }
}
