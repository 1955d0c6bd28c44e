//! Counting how often events came again, at the price of a counter.
//!
//! A request without a new event is answered from the disk, and stored nowhere. The writer counts
//! it in memory and writes the counts down together, at most once a second, so that a flood of
//! repeats costs a look-up each and a sync a second. A crash loses the counts of that second; what
//! is known of the event itself was on disk before the answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::sql::Transaction;
use rusqlite::params;

use super::StoreError;

/// The time counts may wait in memory.
pub const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The number of events whose counts may wait in memory: 0.5 MB.
const MOST: usize = 8192;

/// An event came again.
#[derive(Debug, Clone)]
pub struct Repeat {
    pub times: i64,
    pub at_ms: i64,
    /// The stored id of the request that brought it.
    pub request: Vec<u8>,
}

/// Counts that are not written down yet.
#[derive(Debug)]
pub struct Repeats {
    waiting: HashMap<i64, Repeat>,
    written: Instant,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            written: Instant::now(),
        }
    }
}

impl Repeats {
    /// Adds the repeats of a transaction, once that is on disk.
    pub fn add(&mut self, met: impl IntoIterator<Item = (i64, Repeat)>) {
        for (
            alert,
            Repeat {
                times,
                at_ms,
                request,
            },
        ) in met
        {
            let waiting = self.waiting.entry(alert).or_insert_with(|| Repeat {
                times: 0,
                at_ms,
                request: Vec::new(),
            });
            waiting.times += times;
            (waiting.at_ms, waiting.request) = (at_ms, request);
        }
    }

    /// Returns whether any count waits.
    pub fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns whether the counts should be written down with the next transaction.
    pub fn are_due(&self) -> bool {
        self.any() && (self.waiting.len() >= MOST || self.written.elapsed() >= WRITE_EVERY)
    }

    /// Writes the counts down; [`Repeats::written`] follows once they are on disk.
    ///
    /// # Errors
    /// What the disk said.
    pub fn write(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        // An event may have been removed since, and its count with it.
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO repeats (alert, times, last_at, last_request) SELECT id, ?2, ?3, ?4 FROM alerts WHERE id = ?1
             ON CONFLICT (alert) DO UPDATE SET times = repeats.times + ?2, last_at = ?3, last_request = ?4",
        )?;
        let mut alerts: Vec<_> = self.waiting.iter().collect();
        alerts.sort_unstable_by_key(|(alert, _)| **alert);
        for (
            alert,
            Repeat {
                times,
                at_ms,
                request,
            },
        ) in alerts
        {
            upsert.execute_soon(params![alert, times, at_ms, request])?;
        }
        Ok(())
    }

    /// Forgets the counts that were written down.
    pub fn written(&mut self) {
        self.waiting.clear();
        self.written = Instant::now();
    }
}
