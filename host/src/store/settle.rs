//! Keeping what became of an attempt at delivery.

use plugin_sdk::contract::Alert;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::ahead::{AWAITED, Queued, Turn, Wanted};
use super::command::Command;
use super::dismiss;
use super::fallback::{self, To};
use super::ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, request_id_text};
use super::json;
use super::shared::guard;
use super::step::Step;
use crate::alert::Outcome;
use crate::alert::fallback::Reason;
use crate::alert::test;

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
    /// The destination that gets an alert which this one rejects for good.
    pub fallback: Option<String>,
}

/// Settles an attempt that ended at `now_ms`, on the store's clock.
#[derive(Debug)]
pub struct Settle {
    pub settlement: Settlement,
    pub now_ms: i64,
}

/// The reason why a rejected alert of a test is given up at once.
const OF_A_TEST: &str = "it was a test: nothing waits for an operator";

/// A delivery in the queue, with the number of this attempt at it; whatever somebody wrote there, it
/// can be counted on from.
const TAKEN: &str =
    "SELECT CASE WHEN attempts BETWEEN 0 AND 1000000000 THEN attempts ELSE 0 END + 1,
    ordering_key, destination, source, priority, fell_back FROM queue WHERE id = ?";

impl Command for Settle {
    /// True if the alert went to a fallback.
    type Output = bool;

    const TURN: Turn = Turn::Settles;

    fn foresee(&self, wanted: &mut Wanted) {
        wanted.deliveries.push(self.settlement.delivery);
    }

    fn run(&self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let Settlement {
            delivery,
            at,
            duration_us,
            status,
            outcome,
            answer,
            ..
        } = &self.settlement;
        // Where another gateway has taken over, it makes the attempt again, and settles that.
        if step.leads == Some(false) {
            return Ok(false);
        }
        // Only what is pending is attempted, and only its attempt settles it.
        let Some(taken) = take(step, &self.settlement)? else {
            return Ok(false);
        };
        let Queued { n, destination, .. } = &taken;
        let receipt = outcome.receipt();
        step.transaction
            .prepare_cached(
                // An outcome that cannot be written down is tried again for ever, so nothing that
                // stands there may prevent it.
                "INSERT OR REPLACE INTO attempts
                     (delivery, n, destination, at, duration, outcome, status, receipt, fingerprint, said)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute_soon(params![
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
            Outcome::Rejected { .. } if is_of_a_test(step, *delivery)? => {
                let ended_ms = at + duration_us / 1000;
                dismiss::note(step, *delivery, destination, ended_ms, OF_A_TEST)?;
            }
            Outcome::Rejected { .. } => {
                step.totals.dead += 1;
                step.transaction
                    .prepare_cached("INSERT OR REPLACE INTO dead (id, destination) VALUES (?, ?)")?
                    .execute_soon(params![delivery, destination])?;
            }
            Outcome::Retry { .. } | Outcome::Blocked { .. } => return Ok(false),
        }
        step.totals.pending -= 1;
        let fell_back = self.fall_back(step, &taken)?;
        if !taken.is_alone {
            promote(step, &taken, self.now_ms)?;
        }
        Ok(fell_back)
    }
}

impl Settle {
    /// Sends what was rejected to the fallback, or tells that of what was accepted. Returns whether
    /// the alert went to a fallback.
    fn fall_back(&self, step: &mut Step<'_>, taken: &Queued) -> Result<bool, StoreError> {
        let queued = [&taken.source, &taken.ordering_key, &taken.priority];
        let (Some(late), Value::Integer(destination)) = (
            fallback::late(self.settlement.delivery, queued),
            &taken.destination,
        ) else {
            return Ok(false);
        };
        match (&self.settlement.outcome, &self.settlement.fallback) {
            (Outcome::Accepted(_), fallback) => {
                if taken.has_stand_in {
                    fallback::taken(step, &late, *destination, self.now_ms)?;
                }
                if taken.is_awaited
                    && let Some(fallback) = fallback
                {
                    fallback::ended(step, &late, fallback, self.now_ms)?;
                }
                Ok(false)
            }
            (Outcome::Rejected { .. }, fallback) => {
                let to = To {
                    destination: *destination,
                    fallback: fallback.as_deref().unwrap_or_default(),
                    reason: Reason::Rejected,
                    now_ms: self.now_ms,
                };
                if taken.has_stand_in {
                    fallback::left_behind(step, &late, &to)?;
                }
                match fallback {
                    Some(_) => fallback::rejected(step, &late, &to),
                    None => Ok(false),
                }
            }
            _ => Ok(false),
        }
    }
}

/// Returns whether a delivery is of an operator's test. Who made it was told what became of it, and
/// it is no dead letter that waits for somebody.
fn is_of_a_test(step: &Step<'_>, delivery: i64) -> Result<bool, StoreError> {
    let alert = delivery.div_euclid(DELIVERIES_PER_ALERT as i64);
    let seq = alert.div_euclid(ALERTS_PER_REQUEST as i64);
    let mut select = step.transaction.prepare_cached(
        "SELECT r.id, e.json FROM requests r JOIN events e ON e.alert = ?2 WHERE r.seq = ?1",
    )?;
    let is_one = select.query_row([seq, alert], |row| {
        let id = request_id_text(row.get_ref(0)?.as_blob()?);
        let event: Option<Alert> = json(row, 1).ok();
        Ok(event.is_some_and(|event| test::is_marked(&event, &id)))
    });
    Ok(is_one.optional()?.unwrap_or(false))
}

/// Takes a delivery from the queue, or puts it back there.
fn take(step: &mut Step<'_>, settlement: &Settlement) -> Result<Option<Queued>, StoreError> {
    let delivery = settlement.delivery;
    let ahead = step.ahead.take(delivery);
    let taken = match ahead {
        Some(taken) => Some(taken),
        None => find(step, delivery)?,
    };
    let Some(taken) = taken else {
        return Ok(None);
    };
    match settlement.outcome {
        Outcome::Accepted(_) | Outcome::Rejected { .. } => step
            .transaction
            .prepare_cached("DELETE FROM queue WHERE id = ?")?
            .execute_soon([delivery])?,
        Outcome::Retry { .. } | Outcome::Blocked { .. } => step
            .transaction
            .prepare_cached(
                "UPDATE queue SET due_at = ?2, not_before = ?3, attempts = ?4 WHERE id = ?1",
            )?
            .execute_soon([delivery, settlement.due_at, settlement.not_before, taken.n])?,
    };
    Ok(Some(taken))
}

/// Finds a delivery in the queue.
fn find(step: &Step<'_>, delivery: i64) -> Result<Option<Queued>, StoreError> {
    // Not by RETURNING, for which SQLite makes a table in memory at each use.
    let found = step
        .transaction
        .prepare_cached(TAKEN)?
        .query_row([delivery], |row| {
            Ok(Queued {
                n: row.get(0)?,
                ordering_key: row.get(1)?,
                destination: row.get(2)?,
                source: row.get(3)?,
                priority: row.get(4)?,
                is_alone: false,
                has_stand_in: true,
                is_awaited: row.get::<_, Value>(5)? == Value::Integer(AWAITED),
            })
        });
    Ok(found.optional()?)
}

/// Makes the oldest pending delivery of the ordering key of one that is settled its head, due since
/// `now_ms`.
fn promote(step: &mut Step<'_>, settled: &Queued, now_ms: i64) -> Result<(), StoreError> {
    let Queued {
        ordering_key,
        destination,
        ..
    } = settled;
    if let (Value::Integer(key), Value::Integer(of)) = (ordering_key, destination)
        && guard::holds(step, *key, *of)?
    {
        return Ok(());
    }
    let promoted = step
        .transaction
        .prepare_cached(
            "UPDATE queue SET due_at = ?3 WHERE due_at IS NULL AND id =
             (SELECT id FROM queue WHERE ordering_key = ?1 AND destination = ?2 ORDER BY id LIMIT 1)",
        )?
        .execute_soon(params![ordering_key, destination, now_ms])?;
    // There is one, where it is not known at once.
    step.made_due.others |= promoted.is_none_or(|promoted| promoted > 0);
    Ok(())
}
