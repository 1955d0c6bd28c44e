//! Time that passes over groups, storms and timers.

use super::command::Command;
use super::keys::{self, Fired};
use super::step::Step;
use super::{StoreError, groups, own};

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

/// Fires timers that are due. Returns whether more are.
fn fire(step: &mut Step<'_>, at_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
    let due = keys::fire(step, now_ms, BATCH)?;
    let is_more = due.len() == BATCH;
    for (ordering_key, fired) in due {
        let Some(fired) = fired else {
            tracing::error!(ordering_key, "a timer cannot be read; its alert stays open");
            continue;
        };
        let Fired {
            source,
            destinations,
            event,
        } = fired;
        own::own(step, &source, &destinations, event, None, at_ms, now_ms)?;
    }
    Ok(is_more)
}
