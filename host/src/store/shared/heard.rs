//! Writing down that this gateway has heard of sources.

use std::sync::Arc;

use rusqlite::params;

use crate::store::StoreError;
use crate::store::command::Command;
use crate::store::step::Step;

/// Sources that this gateway has heard of, each with the time: Unix milliseconds.
#[derive(Debug)]
pub struct Heard(pub Vec<(Arc<str>, i64)>);

impl Command for Heard {
    type Output = ();

    fn run(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        for (source, at_ms) in &self.0 {
            let id = step.source(source)?;
            step.transaction
                .prepare_cached(
                    "UPDATE sources SET last_seen = ?2 WHERE id = ?1 AND (last_seen IS NULL OR last_seen < ?2)",
                )?
                .execute(params![id, at_ms])?;
        }
        Ok(())
    }
}
