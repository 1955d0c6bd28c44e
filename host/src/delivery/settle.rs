//! Settling: turns an outcome into what the store keeps of it, and has it kept.

use std::sync::Arc;
use std::time::Duration;

use super::Attempt;
use crate::alert::Outcome;
use crate::clock::wall_ms;
use crate::destinations::backoff;
use crate::log_throttle::LogThrottle;
use crate::store::{DAMAGED, Settlement, Store, StoreError, Unreadable};

/// The wait before an outcome that could not be written down is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Returns what the store keeps of an attempt that ended at `now_ms` on the store's clock. An alert
/// that is to be sent again waits no longer than `longest`, where the destination fails; where there
/// is none, the alert does. `throttle` bounds what is logged: a whole
/// backlog may meet a wrong url or format.
pub fn settlement(
    attempt: Attempt,
    longest: Option<Duration>,
    now_ms: i64,
    rng: &mut fastrand::Rng,
    destination: &str,
    throttle: &LogThrottle,
) -> Settlement {
    let Attempt {
        alert,
        attempts,
        at_ms,
        sent,
        ..
    } = attempt;
    let outcome = match sent.outcome {
        // The breaker stays closed for a poison message, so it must wait by itself.
        Outcome::Blocked { why } if longest.is_none() => Outcome::Retry {
            why,
            retry_after: None,
        },
        outcome => outcome,
    };
    let asked = match &outcome {
        Outcome::Retry { retry_after, .. } => *retry_after,
        _ => None,
    };
    let mut answer = None;
    let wait = match &outcome {
        Outcome::Accepted(receipt) => {
            if sent.lacks_receipt {
                warn_of_missing_receipt(&sent.answer_excerpt, alert, destination, throttle);
            }
            if let Some(refused) = &sent.left_out {
                warn_of_refused_recipients(refused, alert, destination, throttle);
            }
            answer = receipt.id.is_empty().then_some(sent.answer_excerpt);
            Duration::ZERO
        }
        Outcome::Retry { retry_after, .. } => {
            let longest = longest.unwrap_or(backoff::LAST_CEILING);
            backoff::delay(attempts + 1, *retry_after, longest, rng)
        }
        Outcome::Blocked { .. } => Duration::ZERO,
        Outcome::Rejected { why } => {
            if let Some(suppressed) = throttle.due(destination, "rejected") {
                tracing::error!(
                    destination,
                    why,
                    alert,
                    suppressed,
                    "the destination rejected an alert; unless it was a test, it is a dead letter now. \
                    See `alert-gateway events list --state dead`, and `events replay` once the cause is fixed"
                );
            }
            Duration::ZERO
        }
    };
    Settlement {
        delivery: alert,
        at: at_ms,
        duration_us: sent.duration.as_micros() as i64,
        status: sent.status,
        outcome,
        answer,
        due_at: now_ms + wait.as_millis() as i64,
        not_before: asked.map_or(0, |asked| now_ms + asked.as_millis() as i64),
        fallback: None,
    }
}

fn warn_of_missing_receipt(said: &str, alert: i64, destination: &str, throttle: &LogThrottle) {
    if let Some(suppressed) = throttle.due(destination, "no receipt") {
        let what = "the destination accepted an alert without a receipt: is its url right?";
        tracing::warn!(destination, alert, said, suppressed, "{what}");
    }
}

fn warn_of_refused_recipients(
    refused: &str,
    alert: i64,
    destination: &str,
    throttle: &LogThrottle,
) {
    if let Some(suppressed) = throttle.due(destination, "recipients") {
        let what = "the destination took an alert, but not for all its recipients";
        tracing::warn!(destination, alert, refused, suppressed, "{what}");
    }
}

/// Returns the settlement of a row that holds something else than an alert: a dead letter, so that
/// those behind it go on.
pub fn dead_letter(
    unreadable: Unreadable,
    destination: &str,
    throttle: &LogThrottle,
) -> Settlement {
    let Unreadable { id: alert, why } = unreadable;
    if let Some(suppressed) = throttle.due(destination, "unreadable") {
        tracing::error!(
            destination,
            why,
            alert,
            suppressed,
            "an alert that was due cannot be read from the store; it is a dead letter now, and its request is kept. \
            See `alert-gateway store check`"
        );
    }
    let outcome = Outcome::Rejected {
        why: format!("it cannot be read from the store: {why}"),
    };
    Settlement {
        delivery: alert,
        at: wall_ms(),
        duration_us: 0,
        status: None,
        outcome,
        answer: None,
        due_at: 0,
        not_before: 0,
        fallback: None,
    }
}

/// Makes due now what waits for a destination that has recovered. Where the disk does not take
/// that, each alert goes at the end of its own backoff.
pub async fn wake(store: Store, destination: Arc<str>) {
    let destination = &*destination;
    match store.wake(destination).await {
        Ok(0) => {}
        Ok(alerts) => {
            tracing::info!(
                destination,
                alerts,
                "the destination has recovered; what waits for it is due now"
            );
        }
        Err(error) => {
            tracing::warn!(
                destination,
                %error,
                "what waits for the destination could not be made due; it goes out as it comes due"
            );
        }
    }
}

/// An alert whose attempt has ended.
#[derive(Debug)]
pub struct Settled {
    pub alert: i64,
    /// True if the alert is to be sent again.
    pub pending: bool,
    /// True if the alert went to a fallback with its outcome. Where the store does not have that, the
    /// alert must not be touched again by this process.
    pub written: Result<bool, StoreError>,
}

/// Has the store keep a settlement, however long the disk takes to recover: a lost outcome is an
/// alert that is sent again.
pub async fn write_down(store: Store, settlement: Settlement) -> Settled {
    let pending = matches!(
        settlement.outcome,
        Outcome::Retry { .. } | Outcome::Blocked { .. }
    );
    let mut damaged = 0;
    loop {
        let written = store.settle(settlement.clone()).await;
        damaged = if matches!(written, Err(StoreError::Damaged(_))) {
            damaged + 1
        } else {
            0
        };
        match written {
            Err(StoreError::Damaged(_)) if damaged < DAMAGED => {}
            // A row that cannot be written never can: another try would take a place from those
            // that can.
            Ok(_) | Err(StoreError::Closed | StoreError::Row(_) | StoreError::Damaged(_)) => {
                return Settled {
                    alert: settlement.delivery,
                    pending,
                    written,
                };
            }
            // The store raises the internal alert.
            Err(error) => {
                tracing::debug!(%error, "an outcome could not be written down; it is tried again")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rusqlite::Connection;

    use super::*;
    use crate::delivery::window::tests::with;
    use crate::metrics::Metrics;
    use crate::store;

    fn settled(alert: i64, outcome: Outcome) -> Settlement {
        Settlement {
            delivery: alert,
            at: 1,
            duration_us: 1,
            status: None,
            outcome,
            answer: None,
            due_at: 0,
            not_before: 0,
            fallback: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn outcome_whose_row_is_damaged_is_given_up_after_retries() {
        let (mut window, store, closing, folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        drop((window, store));
        closing.close().await;
        let path = store::file(folder.path());
        let page: u32 = Connection::open(&path)
            .unwrap()
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'attempts'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x55; 8192], u64::from(page - 1) * 8192)
            .unwrap();
        let (store, _closing) =
            Store::open(folder.path(), &store::Options::default(), Metrics::new()).unwrap();
        let settlement = settled(alert, Outcome::Rejected { why: "400".into() });
        let settled = write_down(store.clone(), settlement).await;
        assert!(
            matches!(settled.written, Err(StoreError::Damaged(_))),
            "{settled:?}"
        );
        assert_eq!(store.trouble().borrow().failures, u64::from(DAMAGED));
    }

    #[tokio::test]
    async fn outcome_after_the_store_is_closed_is_not_written() {
        let (mut window, store, closing, _folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        closing.close().await;
        let settlement = settled(alert, Outcome::Blocked { why: "402".into() });
        assert!(matches!(
            write_down(store, settlement).await.written,
            Err(StoreError::Closed)
        ));
    }
}
