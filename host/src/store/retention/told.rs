//! Internal alerts about retention: one when trouble begins, and one when it ends.

use std::time::Duration;

use super::{Retention, Swept};
use crate::alert::internal::{self, Topic};
use crate::clock::wall_ms;
use crate::metrics::Metrics;
use crate::store::totals::Totals;
use crate::store::{Notice, Store, StoreError};

/// The largest step of the machine's clock that is not reported.
const DRIFT: Duration = Duration::from_secs(60);

/// A log of more bytes than this says that it cannot be folded into the file. Well, it is some 16
/// MB.
const LONG_LOG: u64 = 256 * 1024 * 1024;

/// The alerts that the operator was sent.
#[derive(Debug, Default)]
pub struct Told {
    over_size: bool,
    long_log: bool,
    identities: bool,
    drift_ms: i64,
}

impl Told {
    /// Returns what an earlier run has told and not ended.
    pub fn of_earlier_runs(store: &Store) -> Self {
        let key = Topic::IdentitiesFull.key("");
        let open = store.snapshot().and_then(|snapshot| snapshot.told());
        let open = open.unwrap_or_default();
        Self {
            identities: open.iter().any(|told| told.key == key),
            ..Self::default()
        }
    }

    /// Tells when the machine's clock has been set since it was last told.
    pub fn of_drift(&mut self, store: &Store) {
        let drift_ms = store.clock().drift_ms();
        if drift_ms.abs_diff(self.drift_ms) < DRIFT.as_millis() as u64 {
            return;
        }
        tracing::warn!(
            seconds = drift_ms / 1000,
            "the machine's clock was set while the gateway runs. Deliveries keep their pace; what is shown follows it; \
            until a restart, nothing is removed for an age that it has not by both"
        );
        self.drift_ms = drift_ms;
    }

    /// Tells where more is in use than may be although all that may go is gone.
    pub fn of_size(&mut self, last: &Swept, retention: &Retention) {
        let Swept { bytes, totals, .. } = *last;
        let size = retention.size;
        let over_size = bytes > size;
        if over_size == std::mem::replace(&mut self.over_size, over_size) {
            return;
        }
        let Totals {
            pending,
            dead,
            failed,
            alerts,
            ..
        } = totals;
        if over_size {
            tracing::warn!(
                bytes,
                size,
                pending,
                dead,
                failed,
                identities = alerts,
                "the store exceeds [retention] size by what is not delivered, or by identities alone, which are never removed \
                for it. Repeats are still recognised. Pending: see /readyz for what the destination wants. Dead letters: \
                `alert-gateway events list --state dead`, then `events replay --dead`, or `events dismiss`. Failed: fix the \
                plugin, then `events replay`. Or raise the size, if the disk has room"
            );
        } else {
            tracing::info!(bytes, size, "the store keeps to [retention] size again");
        }
    }

    /// Tells where nine tenths of what identities may take are in use. Returns whether the operator
    /// knows.
    pub async fn of_identities(
        &mut self,
        store: &Store,
        retention: &Retention,
        used: u64,
    ) -> Result<bool, StoreError> {
        let bound = retention.identities;
        let near = used > bound / 10 * 9;
        if near != self.identities {
            let event = if near {
                tracing::warn!(
                    bytes = used,
                    bound,
                    "identities are about to exceed [retention] identities: the oldest will be forgotten, and would open again \
                    if they were repeated. Raise the bound, or lower the age"
                );
                internal::identities_full(used, bound)
            } else {
                tracing::info!(
                    bytes = used,
                    bound,
                    "identities keep to [retention] identities again"
                );
                Topic::IdentitiesFull.resolves("")
            };
            if let Some(destination) = &retention.operator_destination {
                store
                    .tell(Notice {
                        destination: destination.clone(),
                        event,
                        at_ms: wall_ms(),
                    })
                    .await?;
            }
            self.identities = near;
        }
        Ok(near)
    }

    /// Tells where the log cannot be folded into the file.
    pub fn of_log(&mut self, bytes: u64, metrics: &Metrics) {
        metrics
            .store_log_size
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let long = bytes > LONG_LOG;
        if long && !self.long_log {
            tracing::warn!(
                bytes,
                "the store's log (gateway.db-wal) grows and cannot be folded into the file: is a program reading the store \
                for long (sqlite3, `store check`, `store backup`), or does the disk fail? Nothing is lost while it has room"
            );
        }
        self.long_log = long;
    }
}
