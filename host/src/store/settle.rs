//! Keeping what became of an attempt at delivery.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::writer::Step;
use crate::alert::Outcome;

/// What became of one attempt at delivering one alert.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The alert's id in the store.
    pub alert: i64,
    /// When the attempt began, by the machine's clock: Unix milliseconds.
    pub at: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// The HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// What it came to.
    pub outcome: Outcome,
    /// The destination's answer, where it accepted the alert without a receipt.
    pub answer: Option<String>,
    /// When an alert that is to be sent again is due: Unix milliseconds on the store's clock.
    pub due_at: i64,
}

pub fn settle(step: Step<'_>, settlement: &Settlement, now_ms: i64) -> Result<(), StoreError> {
    let Settlement { alert, at, duration_us, status, outcome, answer, due_at } = settlement;
    let (state, due_at) = match outcome {
        Outcome::Accepted(_) => ("delivered", None),
        Outcome::Rejected { .. } => ("set_aside", None),
        Outcome::Retry { .. } | Outcome::Blocked { .. } => ("pending", Some(*due_at)),
    };
    let row = step
        .transaction
        .prepare_cached(
            "UPDATE alerts SET state = ?2, due_at = ?3,
             attempts = CASE WHEN attempts BETWEEN 0 AND 1000000000 THEN attempts ELSE 0 END + 1 WHERE id = ?1 AND state = 'pending'
             RETURNING attempts, lane, destination",
        )?
        .query_row(params![alert, state, due_at], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Value>(1)?, row.get::<_, Value>(2)?))
        })
        .optional()?;
    // Only what is pending is attempted, and only its attempt settles it.
    let Some((n, lane, destination)) = row else { return Ok(()) };

    let receipt = outcome.receipt();
    let (receipt, fingerprint) = (receipt.map(|receipt| &receipt.id), receipt.map(|receipt| &receipt.fingerprint));
    let said = outcome.why().or(answer.as_deref());
    step.transaction
        .prepare_cached(
            // An outcome that cannot be written down is tried again for ever, so nothing that stands there may prevent it.
            "INSERT OR REPLACE INTO attempts (alert, n, at, duration, outcome, status, receipt, fingerprint, said)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![alert, n, at, duration_us, outcome.as_str(), status, receipt, fingerprint, said])?;

    if state != "pending" {
        step.totals.pending -= 1;
        *(if state == "delivered" { &mut step.totals.delivered } else { &mut step.totals.set_aside }) += 1;
        step.transaction
            .prepare_cached(
                "UPDATE alerts SET due_at = ?3 WHERE due_at IS NULL AND id =
                 (SELECT id FROM alerts WHERE lane = ?1 AND destination = ?2 AND state = 'pending' ORDER BY id LIMIT 1)",
            )?
            .execute(params![lane, destination, now_ms])?;
    }
    Ok(())
}
