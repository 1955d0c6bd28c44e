//! Keeping what became of an attempt at delivery.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::writer::Step;

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
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from an attempt.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Delivered, with the destination's receipt.
    Accepted {
        /// The destination's id of the event.
        receipt: String,
        /// The destination's word for the alert that the event belongs to.
        fingerprint: String,
        /// What it answered instead, where that was no receipt.
        said: Option<String>,
    },
    /// To be tried again.
    Later {
        /// Not before this: Unix milliseconds on the store's clock.
        due_at: i64,
        /// Why.
        said: String,
    },
    /// The destination takes nothing at present; the alert stays due.
    Blocked {
        /// Why.
        said: String,
    },
    /// Set aside: the destination will never take this one.
    Refused {
        /// Why.
        said: String,
    },
}

impl Verdict {
    /// The word for `attempts.outcome`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Later { .. } => "later",
            Self::Blocked { .. } => "blocked",
            Self::Refused { .. } => "refused",
        }
    }

    fn said(&self) -> Option<&str> {
        match self {
            Self::Accepted { said, .. } => said.as_deref(),
            Self::Later { said, .. } | Self::Blocked { said } | Self::Refused { said } => Some(said),
        }
    }
}

pub fn settle(step: Step<'_>, settlement: &Settlement, now_ms: i64) -> Result<(), StoreError> {
    let Settlement { alert, at, duration_us, status, verdict } = settlement;
    let (state, due_at) = match verdict {
        Verdict::Accepted { .. } => ("delivered", None),
        Verdict::Refused { .. } => ("set_aside", None),
        Verdict::Later { due_at, .. } => ("pending", Some(*due_at)),
        Verdict::Blocked { .. } => ("pending", Some(now_ms)),
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

    let (receipt, fingerprint) = match verdict {
        Verdict::Accepted { receipt, fingerprint, .. } => (Some(receipt), Some(fingerprint)),
        _ => (None, None),
    };
    step.transaction
        .prepare_cached(
            // An outcome that cannot be written down is tried again for ever, so nothing that stands there may prevent it.
            "INSERT OR REPLACE INTO attempts (alert, n, at, duration, outcome, status, receipt, fingerprint, said)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![alert, n, at, duration_us, verdict.outcome(), status, receipt, fingerprint, verdict.said()])?;

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
