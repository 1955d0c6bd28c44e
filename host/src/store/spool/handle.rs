//! The handle to a spool, which intake and the gateway share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::amount::Amount;
use super::error::SpoolError;
use super::file::File;
use super::gate::Gate;
use super::shown::Shown;
use super::thread::{self, Message};
use crate::health::Health;
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// The most requests that wait: as many as come in a failover of 25 seconds at 10,000 a second.
pub const REQUESTS: u64 = 250_000;

/// A handle to the spool of a gateway: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Spool(pub(super) Arc<Inner>);

/// The parts of a spool.
pub struct Inner {
    pub gate: Mutex<Gate>,
    pub messages: Sender<Message>,
    /// Says that the gate has changed.
    pub changed: Notify,
    /// False where it only hands over what an earlier run left, or is of no more use.
    pub takes: AtomicBool,
    pub shown: Arc<Shown>,
    /// The number of requests that were handed over since the spool was empty.
    pub passed: AtomicU64,
    pub throttle: LogThrottle,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("amount", &self.amount())
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool in a data directory, and begins with what an earlier run left in it. It takes
    /// no more than `bytes`; and no more requests at all, unless it `takes` them, once that is
    /// handed over.
    ///
    /// # Errors
    /// Why it is of no use; it is as it was.
    pub fn open(
        data_dir: &Path,
        takes: bool,
        bytes: u64,
        metrics: &Metrics,
        health: &Health,
    ) -> Result<Self, SpoolError> {
        let requests = REQUESTS;
        Self::within(data_dir, takes, Amount { requests, bytes }, metrics, health)
    }

    /// The same, within any bounds.
    pub(in crate::store) fn within(
        data_dir: &Path,
        takes: bool,
        bounds: Amount,
        metrics: &Metrics,
        health: &Health,
    ) -> Result<Self, SpoolError> {
        let file = File::open(data_dir, bounds)?;
        let amount = file.amount();
        let before = || StoreError::Away("what came before is not handed over yet".to_owned());
        let gate = Gate::new(file.next_number()?, (amount.requests > 0).then(before));
        let shown = Arc::new(Shown {
            amount: Mutex::default(),
            health: health.clone(),
            metrics: metrics.clone(),
        });
        shown.set(amount, None);
        let (messages, queue) = channel();
        let of_thread = Arc::clone(&shown);
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || thread::run(file, &queue, &of_thread))
            .map_err(|error| SpoolError::Failed(format!("cannot start its thread: {error}")))?;
        if amount.requests > 0 {
            tracing::warn!(
                "{amount} of an earlier run wait in the spool, and go into the database before any other"
            );
        }
        Ok(Self(Arc::new(Inner {
            gate: Mutex::new(gate),
            messages,
            changed: Notify::new(),
            takes: AtomicBool::new(takes),
            shown,
            passed: AtomicU64::new(0),
            throttle: LogThrottle::default(),
        })))
    }

    /// Returns the amount that waits in it.
    pub fn amount(&self) -> Amount {
        *self.0.shown.amount.lock()
    }
}
