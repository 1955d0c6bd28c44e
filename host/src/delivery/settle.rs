//! From an outcome to what the store writes down of it.

use std::time::Duration;

use super::Attempt;
use crate::clock::wall_ms;
use crate::itoc360::{Outcome, backoff};
use crate::log_throttle::LogThrottle;
use crate::store::{DAMAGED, Settlement, Store, StoreError, Unreadable, Verdict};

/// How long to wait before an outcome that could not be written down is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What follows from an attempt that ended at `now_ms` on the store's clock; `own_trouble` says that it is the alert that
/// fails, and not the destination. `throttle` bounds what is logged of it: a whole backlog may meet a wrong url or format.
pub fn settlement(
    attempt: Attempt,
    own_trouble: bool,
    now_ms: i64,
    rng: &mut fastrand::Rng,
    destination: &str,
    throttle: &LogThrottle,
) -> Settlement {
    let Attempt { alert, attempts, at_ms, sent } = attempt;
    let mut later = |why, retry_after| {
        let wait = backoff::delay(attempts + 1, retry_after, rng);
        Verdict::Later { due_at: now_ms + wait.as_millis() as i64, said: why }
    };
    let verdict = match sent.outcome {
        Outcome::Accepted(receipt) => {
            let said = receipt.id.is_empty().then_some(sent.answer_excerpt);
            if let Some(said) = &said
                && let Some(left_out) = throttle.due(destination, "no receipt")
            {
                tracing::warn!(
                    destination,
                    alert,
                    said,
                    left_out,
                    "the destination took an alert without a receipt: is its url right?"
                );
            }
            Verdict::Accepted { receipt: receipt.id, fingerprint: receipt.fingerprint, said }
        }
        Outcome::Later { why, retry_after } => later(why, retry_after),
        // No gate is closed for it, so it must wait by itself.
        Outcome::Blocked { why } if own_trouble => later(why, None),
        Outcome::Blocked { why } => Verdict::Blocked { said: why },
        Outcome::Refused { why } => {
            if let Some(left_out) = throttle.due(destination, "refused") {
                tracing::error!(
                    destination,
                    why,
                    alert,
                    left_out,
                    "the destination refused an alert; it is set aside. \
                    See `alert-gateway events list --state set-aside`, and `events replay` once that is mended"
                );
            }
            Verdict::Refused { said: why }
        }
    };
    Settlement { alert, at: at_ms, duration_us: sent.duration.as_micros() as i64, status: sent.status, verdict }
}

/// What follows where the store holds something else than an alert: it is set aside, so that those behind it go on.
pub fn set_aside(unreadable: Unreadable, destination: &str, throttle: &LogThrottle) -> Settlement {
    let Unreadable { id: alert, why } = unreadable;
    if let Some(left_out) = throttle.due(destination, "unreadable") {
        tracing::error!(
            destination,
            why,
            alert,
            left_out,
            "an alert that was due cannot be read from the store; it is set aside, and its request is kept. \
            See `alert-gateway store check`"
        );
    }
    let verdict = Verdict::Refused { said: format!("it cannot be read from the store: {why}") };
    Settlement { alert, at: wall_ms(), duration_us: 0, status: None, verdict }
}

/// An alert whose attempt has ended.
#[derive(Debug)]
pub struct Settled {
    pub alert: i64,
    /// Whether it is to be sent again.
    pub pending: bool,
    /// Whether the store has the outcome. Where not, the alert must not be touched again by this process.
    pub written: Result<(), StoreError>,
}

/// Has the store keep a settlement, however long the disk takes to recover: an outcome that is lost is an alert that is
/// sent again.
pub async fn write_down(store: Store, settlement: Settlement) -> Settled {
    let pending = matches!(settlement.verdict, Verdict::Later { .. } | Verdict::Blocked { .. });
    let mut damaged = 0;
    loop {
        let written = store.settle(settlement.clone()).await;
        damaged = if matches!(written, Err(StoreError::Damaged(_))) { damaged + 1 } else { 0 };
        match written {
            Err(StoreError::Damaged(_)) if damaged < DAMAGED => {}
            // A row that will not do never will: to try again would take a place from those that can be written.
            Ok(()) | Err(StoreError::Closed | StoreError::Row(_) | StoreError::Damaged(_)) => {
                return Settled { alert: settlement.alert, pending, written };
            }
            // The store tells the operator of it.
            Err(error) => tracing::debug!(%error, "an outcome could not be written down; it is tried again"),
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

    #[tokio::test(start_paused = true)]
    async fn an_outcome_whose_place_is_damaged_is_tried_again_and_then_given_up() {
        let (mut window, store, closing, folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        drop((window, store));
        closing.close().await;
        let path = store::file(folder.path());
        let page: u32 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'attempts'", [], |row| row.get(0))
            .unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x55; 8192], u64::from(page - 1) * 8192).unwrap();
        let (store, _closing) = Store::open(folder.path(), &store::Options::default(), Metrics::new()).unwrap();
        let verdict = Verdict::Refused { said: "400".into() };
        let settlement = Settlement { alert, at: 1, duration_us: 1, status: Some(400), verdict };
        let settled = write_down(store.clone(), settlement).await;
        assert!(matches!(settled.written, Err(StoreError::Damaged(_))), "{settled:?}");
        assert_eq!(store.trouble().borrow().failures, u64::from(DAMAGED));
    }

    #[tokio::test]
    async fn an_outcome_that_comes_when_the_store_is_closed_is_not_called_written() {
        let (mut window, store, closing, _folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        closing.close().await;
        let verdict = Verdict::Blocked { said: "402".into() };
        let settlement = Settlement { alert, at: 1, duration_us: 1, status: Some(402), verdict };
        assert!(matches!(write_down(store, settlement).await.written, Err(StoreError::Closed)));
    }
}
