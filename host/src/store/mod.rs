//! What the gateway keeps: requests, the alerts made of them, and every attempt at delivering them.
//!
//! # What it promises
//!
//! 1. What [`Store::append`] confirmed survives `kill -9` and a power cut: the answer to `append` is sent after the
//!    transaction is committed *and* synced.
//! 2. An `event_id` opens once per source: a repeat is counted as a duplicate and nothing else, for as long as the first
//!    one is kept.
//! 3. Alerts with the same key are handed to delivery in the order in which they were accepted, one at a time; but one that
//!    an operator has replayed comes after those that were handed over before.
//! 4. Where the disk is full or fails, nothing is confirmed: the whole group is rolled back, and each caller is told.
//! 5. Retention is bounded by age and by size, and never removes a request with an alert that is not delivered.
//! 6. Nothing that stands in the file makes the gateway panic, or keeps it from delivering the alerts that can be read.
//!
//! # How
//!
//! One SQLite file in WAL mode with `synchronous=FULL`. One thread, the [writer], owns the gateway's only connection that
//! writes; beside it, `events replay` adds to the list of replays from a process of its own. Whatever waits in the writer's
//! queue becomes one transaction and one sync: the *group commit*. Intake's appends and delivery's settlements share it, so
//! the cost of a sync is divided by the load. Readers have connections of their own and never wait for the writer.
//! `sqlite3 gateway.db` may look on while the gateway runs.
//!
//! A number, `seq`, orders the requests. The alerts of request `seq` have the ids from `seq * 1024`
//! ([`ALERTS_PER_REQUEST`]), so that ids are in the order of acceptance and the alerts of a request are a range that
//! needs no index of its own.
//!
//! An alert's `lane` is half of its fingerprint, which is a hash of its source and its key. Of the pending alerts that share
//! a lane and a destination one, their *head*, has a `due_at`; the others have none. Settling a head makes the oldest of them
//! the head. That is the order of acceptance, unless a replay brings back an older one while a younger is the head: then it
//! waits for that one. So the question "what is due?" is one step in one index, however long the backlog and however many
//! alerts share a key.
//!
//! What the gateway tells of itself is an alert like any other. That its plugin failed on a request is kept with the
//! request, in one transaction, at the last place of its range; anything else hangs on a request that nobody sent.
//!
//! # When the disk fails
//!
//! A commit whose write or sync fails is rolled back, and its callers are told. The connection stays open, and the next
//! commit finds out whether the disk is well: nobody restarts anything. That is safe although a kernel may forget, after a
//! failed sync, what it could not write, and call the next sync a success, for these reasons (`walFrames` and
//! `walCheckpoint` in `sqlite3.c`):
//!
//! - SQLite moves the end of the log (`mxFrame`) only after the sync. So the next commit writes over the frames of the one
//!   that failed and syncs them itself. Every frame before them was synced by the commit that it belongs to.
//! - A checkpoint syncs the log, writes the pages into the file and syncs that, and only then counts the frames as done. If
//!   one of these fails, the next checkpoint writes all of these pages once more, and meanwhile the log has them.
//! - To close and open the connection would change nothing: what would be read again is what the kernel holds.
//!
//! The frames of a failed commit can still be found after a crash, whole, where nothing was written over them. Then a request
//! is kept whose sender was told 503: the sender sends it again, and its events are duplicates.
//!
//! A log that lost its end, because the disk called a sync done that was not, opens as the store of an earlier moment: frames
//! carry checksums that build on each other. If the end was lost while a checkpoint was half done, the file may be damaged;
//! `store check` finds that.
//!
//! A file that was moved, removed or replaced under a running gateway is noticed before each commit, as SQLite would go on
//! writing to what nobody finds again.
//!
//! # Time
//!
//! Points in time are Unix milliseconds: `due_at` by the steady [clock] that delivery waits by, all others by the
//! machine's. The writer asks for neither; who asks it something says what time it is.
//!
//! [clock]: crate::clock

mod append;
mod backup;
mod check;
mod due;
mod error;
mod found;
mod history;
mod lock;
mod own;
mod place;
mod remembered;
mod replay;
mod retention;
mod schema;
mod settle;
mod spared;
mod totals;
mod writer;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::{Clock, wall_ms};
use crate::metrics::Metrics;

pub use append::{Appended, Failure, NewAlert, NewRequest, PluginId, PluginRecord, Reading};
pub use backup::{Backup, Written};
pub use check::{Depth, Finding, Report, check};
pub use due::{DAMAGED, Due, DueReader, READ_BYTES, Unreadable};
pub use error::StoreError;
pub use history::{AlertRecord, AttemptRecord, Filter, History, Line, ListedState, RequestRecord};
pub use own::Notice;
pub use remembered::{Remembered, Seen, Told};
pub use replay::{Replay, ReplayTarget, Reread, ask as ask_replay};
pub use retention::{Bounds, Removed, Retained, keep_within};
pub use settle::Settlement;

use place::Place;
pub use writer::Trouble;
use writer::{Ask, Command, Signals, Writer};

/// The most alerts that one request may carry; the distance between the ids of two requests' first alerts.
pub const ALERTS_PER_REQUEST: usize = 1024;

/// The name of the file in the data directory.
const FILE: &str = "gateway.db";

/// How many commands may wait for the writer. More than that, and the disk is not keeping up: the sender is told to come
/// back.
const QUEUE: usize = 4096;

/// How long the writer may take to close the file: what waits is committed, and the log is folded in. More than another
/// program may hold the file, and less than systemd waits before it kills.
const CLOSING_TIME: Duration = Duration::from_secs(15);

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether a commit waits for the disk. Only a benchmark that wants to know what the sync costs says `false`.
    pub sync: bool,
    /// What alerts are due by.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: true, clock: Clock::start() }
    }
}

/// A handle to the store: cheap to clone, usable from any task.
#[derive(Debug, Clone)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    commits: watch::Receiver<u64>,
    trouble: Arc<watch::Sender<Trouble>>,
    set_aside: watch::Receiver<i64>,
    path: Arc<Path>,
    clock: Clock,
}

/// The writer's thread, to be ended by [`Closing::close`].
#[derive(Debug)]
pub struct Closing {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
    /// Says nothing, and is dropped when the thread ends.
    ended: Receiver<Infallible>,
}

impl Store {
    /// Opens the store in `data_dir`, making the directory (mode 0700), the file (0600) and the newest schema as needed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another gateway has it open; [`StoreError::Newer`] where a newer version wrote it;
    /// [`StoreError::Unusable`] where something else stands in its place; otherwise what the disk said. In each case
    /// nothing was changed.
    pub fn open(data_dir: &Path, options: &Options, metrics: Metrics) -> Result<(Self, Closing), StoreError> {
        let lock = lock::acquire(data_dir)?;
        let path: Arc<Path> = file(data_dir).into();
        let clock = options.clock;
        let mut connection = schema::open(&path, options.sync)?;
        due::bring_back(&mut connection, clock.now_ms())?;
        let signals = Signals::default();
        let (commits, trouble) = (signals.committed.subscribe(), Arc::clone(&signals.trouble));
        let set_aside = signals.set_aside.subscribe();
        let (commands, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(connection, Place::of(&path)?, signals, metrics, lock)?;
        let (ending, ended) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let _ending = ending;
                writer.run(queue);
            })
            .map_err(|error| StoreError::Disk(format!("cannot start the writer's thread: {error}")))?;
        let store = Self { commands: commands.clone(), commits, trouble, set_aside, path, clock };
        Ok((store, Closing { commands, thread, ended }))
    }

    /// Keeps a request and what was read from it. Once this returns `Ok`, it is on disk. Dropping the future changes
    /// nothing: the append happens whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where too much waits already, or what the disk said; nothing is kept then.
    pub async fn append(&self, request: NewRequest, reading: Reading) -> Result<Appended, StoreError> {
        let (ask, answer) = Ask::new((request, reading, self.clock.now_ms()));
        self.commands.try_send(Command::Append(ask)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Keeps the outcome of an attempt at delivery, and makes the next alert of the lane due where this one is settled.
    ///
    /// # Errors
    /// What the disk said; the alert is then as it was before the attempt.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.ask(Command::Settle, (settlement, self.clock.now_ms())).await
    }

    /// Keeps what a second reading of a kept request came to, and takes the replay off the list.
    ///
    /// # Errors
    /// What the disk said; the replay then stays on the list.
    pub async fn finish_replay(&self, reread: Reread) -> Result<Appended, StoreError> {
        self.ask(Command::FinishReplay, (reread, self.clock.now_ms())).await
    }

    /// Makes the set-aside alerts that a replay names pending again, and takes it off the list. Gives their number.
    ///
    /// # Errors
    /// What the disk said; the replay then stays on the list.
    pub async fn requeue(&self, replay: Replay) -> Result<usize, StoreError> {
        self.ask(Command::Requeue, (replay, wall_ms())).await
    }

    /// Removes some of the requests that may go under `bounds`, oldest first.
    ///
    /// # Errors
    /// What the disk said; nothing was removed then.
    pub async fn retain(&self, bounds: Bounds) -> Result<Retained, StoreError> {
        self.ask(Command::Retain, bounds).await
    }

    /// The number that says which plugin read a request, new or known.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn plugin(&self, plugin: PluginRecord) -> Result<PluginId, StoreError> {
        self.ask(Command::Plugin, plugin).await
    }

    /// Keeps what the gateway has to tell of itself, to be delivered like every alert. Says whether it was news.
    ///
    /// # Errors
    /// What the disk said; nothing was told then.
    pub async fn tell(&self, notice: Notice) -> Result<bool, StoreError> {
        self.ask(Command::Tell, (notice, self.clock.now_ms())).await
    }

    /// Forgets that something was told, where nobody is left who could be told its end.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn forget(&self, told: Told) -> Result<(), StoreError> {
        self.ask(Command::Forget, told).await
    }

    /// Keeps when sources were heard of.
    ///
    /// # Errors
    /// What the disk said; what was kept of them before stands.
    pub async fn remember(&self, seen: Vec<Seen>) -> Result<(), StoreError> {
        self.ask(Command::Remember, seen).await
    }

    /// Returns when the writer is gone: at the end, or because it panicked.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Changes with every commit that the disk does not take, and when it takes one again.
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.subscribe()
    }

    /// To be told by who has waited too long for an answer: a disk that hangs says nothing by itself. Gives the error that is
    /// to be answered; whether it was kept in the end, nobody knows.
    pub fn hangs(&self) -> StoreError {
        let error = StoreError::Disk("it has not answered for too long, and may hang".to_owned());
        self.trouble.send_modify(|trouble| trouble.meet(&error));
        error
    }

    /// The file whose being there says that somebody may have been told of trouble with the disk. A disk that has no room for a page
    /// mostly has some for a name.
    pub fn told_of_trouble(&self) -> PathBuf {
        self.path.with_file_name("told-of-trouble")
    }

    /// How many alerts are set aside.
    pub fn set_aside(&self) -> watch::Receiver<i64> {
        self.set_aside.clone()
    }

    /// A connection of its own that reads what is remembered.
    ///
    /// # Errors
    /// What the disk said.
    pub fn remembered(&self) -> Result<Remembered, StoreError> {
        Remembered::open(&self.path)
    }

    /// Changes with every commit: what waits for new alerts waits on this.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// What alerts are due by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A connection of its own that reads what is due.
    ///
    /// # Errors
    /// What the disk said.
    pub fn due_reader(&self) -> Result<DueReader, StoreError> {
        DueReader::open(&self.path)
    }

    /// A connection of its own that reads what happened.
    ///
    /// # Errors
    /// What the disk said.
    pub fn history(&self) -> Result<History, StoreError> {
        History::open_file(&self.path)
    }

    async fn ask<I, O>(&self, command: fn(Ask<I, O>) -> Command, input: I) -> Result<O, StoreError> {
        let (ask, answer) = Ask::new(input);
        self.commands.send(command(ask)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Closing {
    /// Waits until the writer has committed all that was handed to it before this call, and has closed the file. Says whether
    /// it has: a disk that hangs may never let it.
    pub async fn close(self) -> bool {
        self.close_within(CLOSING_TIME).await
    }

    async fn close_within(self, time: Duration) -> bool {
        let Self { commands, thread, ended } = self;
        // By a thread, as no clock of a test may hurry the disk.
        let waiting = tokio::task::spawn_blocking(move || ended.recv_timeout(time));
        let asking = async {
            // A failed send says that the writer is gone already.
            let _ = commands.send(Command::Close).await;
            std::future::pending::<Infallible>().await
        };
        let waited = tokio::select! {
            waited = waiting => waited,
            never = asking => match never {},
        };
        if matches!(waited, Ok(Err(RecvTimeoutError::Timeout))) {
            tracing::error!(
                ?time,
                "the disk does not let the store be closed, and is not waited for: what was confirmed is on it, and what was \
                not written down is done again at the next start"
            );
            return false;
        }
        let whole = thread.join().is_ok();
        if !whole {
            tracing::error!("the store's writer panicked; what was confirmed is on disk");
        }
        whole
    }
}

/// Where the store's file stands within a data directory.
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Unix milliseconds as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(unix_ms: i64) -> String {
    // Out of range only where somebody wrote into the file by hand.
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// The first and the last id that the alerts of request `seq` can have.
fn alert_ids(seq: i64) -> [i64; 2] {
    // Somebody may have written any number into the file by hand.
    let first = seq.saturating_mul(ALERTS_PER_REQUEST as i64);
    [first, first.saturating_add(ALERTS_PER_REQUEST as i64 - 1)]
}

/// The event that column `index` holds as JSON.
fn event(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<plugin_sdk::contract::Alert> {
    serde_json::from_str(row.get_ref(index)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, error.into()))
}
