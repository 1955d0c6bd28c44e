//! Giving up failed requests and dead letters on purpose.

use rusqlite::{OptionalExtension, ToSql, params};

use super::StoreError;
use super::command::Command;
use super::internal;
use super::jobs::{Job, JobKind, JobTarget, Part, done};
use super::replay::{BATCH, dead_letters};
use super::step::Step;

/// Dismisses what a job is about, at `at_ms` on the machine's clock.
#[derive(Debug)]
pub struct Dismiss {
    pub job: Job,
    pub at_ms: i64,
    pub now_ms: i64,
}

/// The dismissed alerts and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dismissed {
    /// Failed requests.
    pub requests: usize,
    /// Dead letters.
    pub dead: usize,
}

impl Command for Dismiss {
    type Output = Dismissed;

    fn run(&self, step: &mut Step<'_>) -> Result<Dismissed, StoreError> {
        let JobKind::Dismiss { why } = &self.job.kind else {
            return Ok(Dismissed::default());
        };
        let mut dismissed = Dismissed::default();
        if let JobTarget::Request { seq, part } = self.job.target
            && part != Part::Dead
        {
            dismissed.requests += usize::from(self.request(step, seq, why)?);
        }
        let dead = dead_letters(step, &self.job, self.at_ms)?;
        for letter in &dead {
            step.transaction
                .prepare_cached("DELETE FROM dead WHERE id = ?")?
                .execute([letter.delivery])?;
            note(step, letter.delivery, &letter.destination, self.at_ms, why)?;
        }
        step.totals.dead -= dead.len() as i64;
        dismissed.dead = dead.len();
        if dead.len() < BATCH {
            done(step, self.job.id)?;
        }
        Ok(dismissed)
    }
}

/// Writes down that a delivery was given up, behind its attempts.
pub fn note(
    step: &Step<'_>,
    delivery: i64,
    destination: &impl ToSql,
    at_ms: i64,
    why: &str,
) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "INSERT INTO attempts (delivery, n, destination, at, duration, outcome, said)
             SELECT ?1, ifnull(max(n), 0) + 1, ?2, ?3, 0, 'dismissed', ?4 FROM attempts WHERE delivery = ?1",
        )?
        .execute(params![delivery, destination, at_ms, why])?;
    Ok(())
}

impl Dismiss {
    /// Dismisses a request, where it failed and was not read since.
    fn request(&self, step: &mut Step<'_>, seq: i64, why: &str) -> Result<bool, StoreError> {
        let source: Option<String> = step
            .transaction
            .prepare_cached(
                "SELECT name FROM requests r JOIN sources s ON s.id = r.source WHERE seq = ? AND state = 'failed'",
            )?
            .query_row([seq], |row| row.get(0))
            .optional()?;
        let Some(source) = source else {
            return Ok(false);
        };
        internal::no_longer_failed(step, seq, &source, self.at_ms, self.now_ms)?;
        step.transaction
            .prepare_cached("UPDATE requests SET state = 'dismissed', reason = ?2, unproven = NULL WHERE seq = ?1")?
            .execute(params![seq, why])?;
        Ok(true)
    }
}
