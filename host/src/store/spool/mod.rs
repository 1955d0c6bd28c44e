//! The spool: requests that are kept on a gateway's own disk while the database is away.
//!
//! A failover of the database takes longer than senders wait. With `spool = true` a request that
//! the database does not take, or does not answer for within [`PATIENCE`], is synced to a
//! [file] in the data directory and acknowledged. Once the database takes requests again it is handed
//! over. Nothing is delivered from here, so what makes "opens once" true stays in one place: the
//! database, which finds a repeat as always, whichever gateway kept it meanwhile.
//!
//! What it promises:
//!
//! 1. A request is answered once it is synced, in the database or here.
//! 2. It leaves the spool only after the database has it. Where the gateway dies between the two,
//!    or a commit whose answer did not come has kept it after all, the database knows its id.
//! 3. The requests of one gateway go into the database in the order of their arrival: as long as
//!    the spool holds something, all go [through it](gate).
//! 4. It is bounded. Beyond the bounds, and where it is of no use itself, senders are refused as
//!    without it.
//!
//! The price is the reason why it is off by default: what it holds is on one machine, and is lost
//! with that, or late until it is back.

mod error;
mod file;
mod gate;
mod handing;
mod keeping;
mod opening;
mod thread;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bytesize::ByteSize;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{NewRequest, Reading, StoreError};
use crate::health::Health;
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;
use file::File;
use gate::Gate;
use thread::Message;

pub use error::SpoolError;
pub use opening::look as spooled;

/// The name of the file in the data directory.
const FILE: &str = "spool.db";

/// The time that the database has for a request. A sender waits longer, and most hiccups are over.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two tries to hand over.
const PAUSE: Duration = Duration::from_millis(500);

/// The most requests that wait: as many as come in a failover of 25 seconds at 10,000 a second.
pub const REQUESTS: u64 = 250_000;

/// The longest wait for the file to be closed.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// A number of requests, and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// So many requests,
    pub requests: u64,
    /// of so many bytes together.
    pub bytes: u64,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = if self.requests == 1 { "" } else { "s" };
        write!(
            f,
            "{} request{noun} ({})",
            self.requests,
            ByteSize(self.bytes)
        )
    }
}

/// A request as the store would have taken it.
#[derive(Debug)]
pub struct Spooled {
    /// The request.
    pub request: NewRequest,
    /// The result of reading it.
    pub reading: Reading,
}

/// A handle to the spool of a gateway: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Spool(Arc<Inner>);

struct Inner {
    gate: Mutex<Gate>,
    messages: Sender<Message>,
    /// Says that the gate has changed.
    changed: Notify,
    /// False where it only hands over what an earlier run left, or is of no more use.
    takes: AtomicBool,
    shown: Arc<Shown>,
    /// The number of requests that were handed over since the spool was empty.
    passed: AtomicU64,
    throttle: LogThrottle,
}

/// The places where it is shown what waits.
#[derive(Debug)]
struct Shown {
    amount: Mutex<Amount>,
    health: Health,
    metrics: Metrics,
}

impl Shown {
    /// Shows the amount that waits, and why no more is taken.
    fn set(&self, amount: Amount, refused: Option<&SpoolError>) {
        *self.amount.lock() = amount;
        let requests = i64::try_from(amount.requests).unwrap_or(i64::MAX);
        self.metrics.spooled.set(requests);
        let Amount { requests, bytes } = amount;
        let why = refused.map(ToString::to_string);
        self.health.set_spool(requests, bytes, why);
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("amount", &self.amount())
            .finish_non_exhaustive()
    }
}

/// Returns the path of the spool's file within a data directory.
fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Returns whether a spool stands in a data directory.
pub fn is_there(data_dir: &Path) -> bool {
    path_in(data_dir).exists()
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
    pub(super) fn within(
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

/// Returns an error of the spool as one of the store.
fn of_spool(error: SpoolError) -> StoreError {
    StoreError::Disk(format!("the spool: {error}"))
}
