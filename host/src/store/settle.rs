//! Keeping what became of an attempt at delivery.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::command::Command;
use super::step::Step;
use crate::alert::Outcome;

/// The outcome of one attempt at one delivery, as it is written down.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The delivery's id in the store.
    pub delivery: i64,
    /// The time when the attempt began, by the machine's clock: Unix milliseconds.
    pub at: i64,
    /// The time it took, in microseconds.
    pub duration_us: i64,
    /// The HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// The outcome.
    pub outcome: Outcome,
    /// The destination's answer, where it accepted the alert without a receipt.
    pub answer: Option<String>,
    /// The time when an alert that is to be sent again is due: Unix milliseconds on the store's
    /// clock.
    pub due_at: i64,
    /// The time before which the destination asked not to be sent it again, on the same clock; 0
    /// where it did not.
    pub not_before: i64,
}

/// Settles an attempt that ended at `now_ms`, on the store's clock.
#[derive(Debug)]
pub struct Settle {
    pub settlement: Settlement,
    pub now_ms: i64,
}

/// The number of times a delivery was attempted; whatever somebody wrote there, it can be counted
/// on from.
const ATTEMPTS: &str = "CASE WHEN attempts BETWEEN 0 AND 1000000000 THEN attempts ELSE 0 END + 1";

impl Command for Settle {
    type Output = ();

    fn run(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let Settlement {
            delivery,
            at,
            duration_us,
            status,
            outcome,
            answer,
            ..
        } = &self.settlement;
        // Only what is pending is attempted, and only its attempt settles it.
        let Some((n, ordering_key, destination)) = take(step, &self.settlement)? else {
            return Ok(());
        };
        let receipt = outcome.receipt();
        step.transaction
            .prepare_cached(
                // An outcome that cannot be written down is tried again for ever, so nothing that
                // stands there may prevent it.
                "INSERT OR REPLACE INTO attempts
                     (delivery, n, destination, at, duration, outcome, status, receipt, fingerprint, said)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                delivery,
                n,
                destination,
                at,
                duration_us,
                outcome.as_str(),
                status,
                receipt.map(|receipt| &receipt.id),
                receipt.map(|receipt| &receipt.fingerprint),
                outcome.why().or(answer.as_deref())
            ])?;
        match outcome {
            Outcome::Accepted(_) => step.totals.delivered += 1,
            Outcome::Rejected { .. } => {
                step.totals.dead += 1;
                step.transaction
                    .prepare_cached("INSERT OR REPLACE INTO dead (id, destination) VALUES (?, ?)")?
                    .execute(params![delivery, destination])?;
            }
            Outcome::Retry { .. } | Outcome::Blocked { .. } => return Ok(()),
        }
        step.totals.pending -= 1;
        promote(step, &ordering_key, &destination, self.now_ms)
    }
}

/// Takes a delivery from the queue, or puts it back there. Returns the number of the attempt, and
/// what it is queued by.
fn take(
    step: &Step<'_>,
    settlement: &Settlement,
) -> Result<Option<(i64, Value, Value)>, StoreError> {
    let delivery = settlement.delivery;
    let due_at = match settlement.outcome {
        Outcome::Accepted(_) | Outcome::Rejected { .. } => None,
        Outcome::Retry { .. } | Outcome::Blocked { .. } => Some(settlement.due_at),
    };
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let taken = match due_at {
        None => {
            let sql = format!(
                "DELETE FROM queue WHERE id = ? RETURNING {ATTEMPTS}, ordering_key, destination"
            );
            step.transaction
                .prepare_cached(&sql)?
                .query_row([delivery], row)
        }
        Some(due_at) => {
            let sql = format!(
                "UPDATE queue SET due_at = ?2, not_before = ?3, attempts = {ATTEMPTS} WHERE id = ?1
                 RETURNING attempts, ordering_key, destination"
            );
            step.transaction
                .prepare_cached(&sql)?
                .query_row([delivery, due_at, settlement.not_before], row)
        }
    };
    Ok(taken.optional()?)
}

/// Makes the oldest pending delivery of an ordering key its head, due since `now_ms`.
pub fn promote(
    step: &Step<'_>,
    ordering_key: &Value,
    destination: &Value,
    now_ms: i64,
) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached(
            "UPDATE queue SET due_at = ?3 WHERE due_at IS NULL AND id =
             (SELECT id FROM queue WHERE ordering_key = ?1 AND destination = ?2 ORDER BY id LIMIT 1)",
        )?
        .execute(params![ordering_key, destination, now_ms])?;
    Ok(())
}
