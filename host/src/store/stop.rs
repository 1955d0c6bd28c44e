//! A signal that ends a long look at the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::StoreError;

/// The number of its own instructions that SQLite executes between two looks at that: some
/// microseconds.
const INSTRUCTIONS: i32 = 1000;

/// Ends [`Backup::write`](super::Backup::write) from another thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nothing more is written, and what was written is removed.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Ends what SQLite does on a connection once it is told to stop.
    pub(super) fn watches(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let stopped = Arc::clone(&self.0);
        Ok(connection
            .progress_handler(INSTRUCTIONS, Some(move || stopped.load(Ordering::Relaxed)))?)
    }

    /// Returns an error once it is told to stop.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) {
            Err(StoreError::Disk("interrupted".to_owned()))
        } else {
            Ok(())
        }
    }
}
