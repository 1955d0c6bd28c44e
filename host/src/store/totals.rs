//! The number of deliveries in each state: kept in step with every commit, because counting
//! millions of rows takes seconds.

use crate::store::sql::{Connection, Row, Transaction};
use rusqlite::params;

use super::StoreError;
use crate::metrics::{Metrics, StateLabel};

/// Selects all of them.
pub const TOTALS: &str = "SELECT state, n FROM totals";

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
        let mut statement = connection.prepare_cached(TOTALS)?;
        let mut rows = statement.query([])?;
        let mut totals = Self::default();
        while let Some(row) = rows.next()? {
            totals.take(row)?;
        }
        Ok(totals)
    }

    /// Takes over a row of [`TOTALS`].
    pub(super) fn take(&mut self, row: Row<'_>) -> Result<(), StoreError> {
        // Figures for a page: whatever else stands there is no reason not to start.
        let n = row.get(1).unwrap_or_default();
        match row.get_ref(0)?.as_str() {
            Ok("pending") => self.pending = n,
            Ok("delivered") => self.delivered = n,
            Ok("dead") => self.dead = n,
            Ok("failed") => self.failed = n,
            Ok("alerts") => self.alerts = n,
            _ => {}
        }
        Ok(())
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
                    .execute_soon(params![state, now])?;
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
