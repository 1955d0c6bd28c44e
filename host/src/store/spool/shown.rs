//! The places where it is shown what waits in a spool.

use parking_lot::Mutex;

use super::amount::Amount;
use super::error::SpoolError;
use crate::health::Health;
use crate::metrics::Metrics;

/// The places where it is shown what waits.
#[derive(Debug)]
pub struct Shown {
    pub amount: Mutex<Amount>,
    pub health: Health,
    pub metrics: Metrics,
}

impl Shown {
    /// Shows the amount that waits, and why no more is taken.
    pub fn set(&self, amount: Amount, refused: Option<&SpoolError>) {
        *self.amount.lock() = amount;
        let requests = i64::try_from(amount.requests).unwrap_or(i64::MAX);
        self.metrics.spooled.set(requests);
        let Amount { requests, bytes } = amount;
        let why = refused.map(ToString::to_string);
        self.health.set_spool(requests, bytes, why);
    }
}
