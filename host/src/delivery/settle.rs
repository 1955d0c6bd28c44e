//! From an outcome to what the store writes down of it.

use std::time::Duration;

use super::Attempt;
use crate::itoc360::{Outcome, backoff};
use crate::store::{Settlement, Store, StoreError, Verdict};

/// How long to wait before an outcome that could not be written down is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What follows from an attempt that ended at `now_ms` on the store's clock.
pub fn settlement(attempt: Attempt, now_ms: i64, rng: &mut fastrand::Rng) -> Settlement {
    let Attempt { alert, attempts, at_ms, sent } = attempt;
    let verdict = match sent.outcome {
        Outcome::Accepted(receipt) => {
            let said = receipt.id.is_empty().then_some(sent.answer_excerpt);
            if let Some(said) = &said {
                tracing::warn!(alert, said, "the destination took an alert without a receipt: is its url right?");
            }
            Verdict::Accepted { receipt: receipt.id, fingerprint: receipt.fingerprint, said }
        }
        Outcome::Later { why, retry_after } => {
            let wait = backoff::delay(attempts + 1, retry_after, rng);
            Verdict::Later { due_at: now_ms + wait.as_millis() as i64, said: why }
        }
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

/// An alert whose outcome the store has.
#[derive(Debug)]
pub struct Settled {
    pub alert: i64,
    /// Whether it is to be sent again.
    pub pending: bool,
}

/// Has the store keep a settlement, however long the disk takes to recover: an outcome that is lost is an alert that is
/// sent again.
pub async fn write_down(store: Store, settlement: Settlement) -> Settled {
    let pending = matches!(settlement.verdict, Verdict::Later { .. } | Verdict::Blocked { .. });
    loop {
        match store.settle(settlement.clone()).await {
            Ok(()) | Err(StoreError::Closed) => return Settled { alert: settlement.alert, pending },
            Err(error) => {
                tracing::warn!(%error, "an outcome could not be written down; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
