//! The number of deliveries in each state: kept in step with every commit, because counting
//! millions of rows takes seconds.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::StoreError;
use crate::metrics::{Metrics, StateLabel};

/// Numbers of rows, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries that wait.
    pub pending: i64,
    /// Deliveries that their destinations have accepted.
    pub delivered: i64,
    /// Dead letters.
    pub dead: i64,
    /// Requests, not deliveries: those that a plugin failed on.
    pub failed: i64,
    /// Alerts, whatever became of them: each one is an identity.
    pub alerts: i64,
}

impl Totals {
    /// Reads them from the store.
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let mut statement = connection.prepare("SELECT n FROM totals WHERE state = ?")?;
        let mut read = |state: &str| -> Result<i64, StoreError> {
            // Figures for a page: whatever else stands there is no reason not to start.
            let n = statement
                .query_row([state], |row| Ok(row.get(0).unwrap_or_default()))
                .optional()?;
            Ok(n.unwrap_or_default())
        };
        Ok(Self {
            pending: read("pending")?,
            delivered: read("delivered")?,
            dead: read("dead")?,
            failed: read("failed")?,
            alerts: read("alerts")?,
        })
    }

    /// Writes what differs from `before`.
    pub(super) fn write(
        &self,
        before: &Self,
        transaction: &Transaction<'_>,
    ) -> Result<(), StoreError> {
        for ((state, now), (_, then)) in self.rows().into_iter().zip(before.rows()) {
            if now != then {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO totals (state, n) VALUES (?, ?)")?
                    .execute(params![state, now])?;
            }
        }
        Ok(())
    }

    /// Sets the metrics that show them.
    pub(super) fn show(&self, metrics: &Metrics) {
        for (state, n) in self.rows() {
            match state {
                "failed" => metrics.requests_failed.set(n),
                "alerts" => metrics.store_identities.set(n),
                _ => metrics.alerts.get_or_create(&StateLabel { state }).set(n),
            };
        }
    }

    fn rows(&self) -> [(&'static str, i64); 5] {
        [
            ("pending", self.pending),
            ("delivered", self.delivered),
            ("dead", self.dead),
            ("failed", self.failed),
            ("alerts", self.alerts),
        ]
    }
}
