//! Time that passes over groups, storms and timers.

use plugin_sdk::contract::Alert;
use rusqlite::params;

use super::command::Command;
use super::step::Step;
use super::{StoreError, groups, json, own, tracking};

/// The number of groups, and of timers, that one commit passes. More would hold up the commits
/// behind it.
const BATCH: usize = 256;

/// Lets time pass over groups, storms and timers.
#[derive(Debug)]
pub struct Pass {
    /// By the machine's clock.
    pub at_ms: i64,
    /// By the store's clock.
    pub now_ms: i64,
}

impl Command for Pass {
    /// True if more is due.
    type Output = bool;

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let groups = groups::pass(step, self.at_ms, self.now_ms, BATCH)?;
        Ok(fire(step, self.at_ms, self.now_ms)? || groups)
    }
}

/// The source, the destinations and the alert of a timer.
type Due = (String, Vec<String>, Alert);

/// Fires timers that are due. Returns whether more are.
fn fire(step: &mut Step<'_>, at_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
    let mut delete = step.transaction.prepare_cached(
        "DELETE FROM timers WHERE ordering_key IN (SELECT ordering_key FROM timers WHERE at <= ? ORDER BY at LIMIT ?)
         RETURNING ordering_key, (SELECT name FROM sources s WHERE s.id = source), destinations, json",
    )?;
    let due: Vec<(i64, Option<Due>)> = delete
        .query_map(params![now_ms, BATCH as i64], |row| {
            // Whatever another program wrote there, it fires once and is gone.
            let due =
                || -> rusqlite::Result<Due> { Ok((row.get(1)?, json(row, 2)?, json(row, 3)?)) };
            Ok((row.get(0)?, due().ok()))
        })?
        .collect::<Result<_, _>>()?;
    let fired = due.len();
    for (ordering_key, due) in due {
        let Some((source, destinations, event)) = due else {
            tracing::error!(ordering_key, "a timer cannot be read; its alert stays open");
            continue;
        };
        tracking::close(step, ordering_key)?;
        own::own(step, &source, &destinations, event, None, at_ms, now_ms)?;
    }
    Ok(fired == BATCH)
}
