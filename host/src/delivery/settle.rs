//! From an outcome to what the store writes down of it.

use std::time::Duration;

use super::Attempt;
use crate::clock::wall_ms;
use crate::itoc360::{Outcome, backoff};
use crate::store::{Settlement, Store, StoreError, Unreadable, Verdict};

/// How long to wait before an outcome that could not be written down is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What follows from an attempt that ended at `now_ms` on the store's clock; `own_trouble` says that it is the alert that
/// fails, and not the destination.
pub fn settlement(attempt: Attempt, own_trouble: bool, now_ms: i64, rng: &mut fastrand::Rng) -> Settlement {
    let Attempt { alert, attempts, at_ms, sent } = attempt;
    let mut later = |why, retry_after| {
        let wait = backoff::delay(attempts + 1, retry_after, rng);
        Verdict::Later { due_at: now_ms + wait.as_millis() as i64, said: why }
    };
    let verdict = match sent.outcome {
        Outcome::Accepted(receipt) => {
            let said = receipt.id.is_empty().then_some(sent.answer_excerpt);
            if let Some(said) = &said {
                tracing::warn!(alert, said, "the destination took an alert without a receipt: is its url right?");
            }
            Verdict::Accepted { receipt: receipt.id, fingerprint: receipt.fingerprint, said }
        }
        Outcome::Later { why, retry_after } => later(why, retry_after),
        // No gate is closed for it, so it must wait by itself.
        Outcome::Blocked { why } if own_trouble => later(why, None),
        Outcome::Blocked { why } => Verdict::Blocked { said: why },
        Outcome::Refused { why } => {
            tracing::error!(
                why,
                alert,
                "the destination refused an alert; it is set aside. \
                See `alert-gateway events list --state set-aside`, and `events replay` once that is mended"
            );
            Verdict::Refused { said: why }
        }
    };
    Settlement { alert, at: at_ms, duration_us: sent.duration.as_micros() as i64, status: sent.status, verdict }
}

/// What follows where the store holds something else than an alert: it is set aside, so that those behind it go on.
pub fn set_aside(unreadable: Unreadable) -> Settlement {
    let Unreadable { id: alert, why } = unreadable;
    tracing::error!(
        why,
        alert,
        "an alert that was due cannot be read from the store; it is set aside, and its request is kept. \
        See `alert-gateway store check`"
    );
    let verdict = Verdict::Refused { said: format!("it cannot be read from the store: {why}") };
    Settlement { alert, at: wall_ms(), duration_us: 0, status: None, verdict }
}

/// An alert whose outcome the store has.
#[derive(Debug)]
pub struct Settled {
    pub alert: i64,
    /// Whether it is to be sent again.
    pub pending: bool,
    /// Whether the store has it. Where not, it must not be touched again by this process.
    pub written: bool,
}

/// Has the store keep a settlement, however long the disk takes to recover: an outcome that is lost is an alert that is
/// sent again.
pub async fn write_down(store: Store, settlement: Settlement) -> Settled {
    let pending = matches!(settlement.verdict, Verdict::Later { .. } | Verdict::Blocked { .. });
    loop {
        match store.settle(settlement.clone()).await {
            Ok(()) | Err(StoreError::Closed) => {
                return Settled { alert: settlement.alert, pending, written: true };
            }
            // It is the row that will not do, now and ever: to try again would take a place from those that can be written.
            Err(error @ (StoreError::Row(_) | StoreError::Damaged(_))) => {
                let alert = settlement.alert;
                tracing::error!(%error, alert, "an outcome cannot be written down; a restart sends the alert again");
                return Settled { alert, pending, written: false };
            }
            Err(error) => {
                tracing::warn!(%error, "an outcome could not be written down; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
