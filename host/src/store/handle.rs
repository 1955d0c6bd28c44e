//! The handle by which all others use the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::append::{Append, Plugin};
use super::append_spooled::AppendSpooled;
use super::audit::{Audit, Entry};
use super::checkpoint::Checkpointer;
use super::closing::Closing;
use super::command::{Command, queued};
use super::dismiss::{Dismiss, Dismissed};
use super::end_mute::{EndMute, Still};
use super::fallback::FallBack;
use super::files::{self, Place};
use super::handover::{Handover, MadeDue};
use super::internal::{Forget, Tell};
use super::jobs::{Ask, Job, JobKind, JobTarget};
use super::mutes::{AddMute, NewMute, StopMute};
use super::notice::{Notice, Told};
use super::pass::Pass;
use super::postgres::Link;
use super::replay::{FinishReplay, Requeue, Reread};
use super::request::{Appended, NewRequest, PluginId, PluginRecord, Reading};
use super::resolve::{Resolution, ResolveAlert, ResolveGroup};
use super::retention::{Sweep, Swept};
use super::settle::{Settle, Settlement};
use super::shared::{Heard, Joined, LEADER, Leases};
use super::snapshot::{Remember, Seen, Snapshot};
use super::spool::Spooled;
use super::sql::Connection;
use super::wake::Wake;
use super::writer::{Engine, Message, Signals, Trouble, Writer};
use super::{
    DueReader, History, Lease, Location, SharedStore, StoreError, due, groups, keys, older, schema,
    shared,
};
use crate::clock::{Clock, wall_ms};
use crate::metrics::Metrics;

/// The number of commands that may wait for the writer. More than that, and the disk is not keeping
/// up: the sender is asked to send again later.
pub(super) const QUEUE: usize = 4096;

/// Options for opening the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// True if a commit waits for the disk. Only a benchmark of the cost of the sync says `false`.
    pub sync: bool,
    /// The clock by which alerts become due; `None` is one that starts from the time of the
    /// machine, or of the database.
    pub clock: Option<Clock>,
    /// The time for which the copy of a store is kept that was made before the store was brought up
    /// to a newer schema; `None` makes no copy.
    pub copy_for: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: true,
            clock: None,
            copy_for: Some(crate::config::AGE),
        }
    }
}

/// A handle to the store: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Store {
    pub(super) messages: mpsc::Sender<Message>,
    signals: Signals,
    location: Location,
    clock: Clock,
    /// None where no other gateway can have the store.
    leases: Option<Arc<Leases>>,
}

/// A store that is open, before anything of it runs.
struct Opened {
    connection: Connection,
    engine: Engine,
    clock: Clock,
    leases: Option<Arc<Leases>>,
}

impl Opened {
    fn file(folder: &Path, options: &Options) -> Result<Self, StoreError> {
        let lock = files::acquire(folder)?;
        let path = super::file(folder);
        let mut connection = schema::open(&path, options.sync, options.copy_for.is_some())?;
        let checkpointer = Checkpointer::new(&mut connection, &path, options.sync)?;
        older::sweep(&path, options.copy_for.unwrap_or(crate::config::AGE));
        Ok(Self {
            connection: Connection::Embedded(connection),
            engine: Engine::Embedded(Place::of(&path)?, lock, checkpointer),
            clock: options.clock.unwrap_or_else(Clock::start),
            leases: None,
        })
    }

    /// Joins the gateways that share a database.
    fn database(
        shared: &SharedStore,
        options: &Options,
        signals: &Signals,
    ) -> Result<Self, StoreError> {
        let signals = signals.clone();
        // What has come due with it is to be read.
        let committed = move || {
            signals.committed.send_modify(|commits| *commits += 1);
            signals.handovers.offer(MadeDue::others());
        };
        let Joined {
            server,
            session,
            leases,
            keeper,
            clock,
        } = shared::join(shared, options.clock, Box::new(committed))?;
        for warning in &server.warnings {
            tracing::warn!(database = shared.address.shown(), "{warning}");
        }
        Ok(Self {
            connection: Connection::Postgres(Link::new(Arc::clone(&shared.address))),
            engine: Engine::Shared(session, keeper),
            clock,
            leases: Some(leases),
        })
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store. In a folder it makes the directory (mode 0700), the file (0600) and the
    /// newest schema as needed; in a database, the tables.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another gateway has it open; [`StoreError::Newer`] where a
    /// newer version wrote it; [`StoreError::Unusable`] where something else stands in its place;
    /// otherwise what the disk said. In each case nothing was changed.
    pub fn open(
        location: impl Into<Location>,
        options: &Options,
        metrics: Metrics,
    ) -> Result<(Self, Closing), StoreError> {
        let location = location.into();
        let signals = Signals::default();
        let opened = match &location {
            Location::Folder(folder) => Opened::file(folder, options)?,
            Location::Postgres(shared) => Opened::database(shared, options, &signals)?,
        };
        let Opened {
            connection,
            engine,
            clock,
            leases,
        } = opened;
        {
            let transaction = connection.write()?;
            due::bring_back(&transaction, clock.now_ms())?;
            groups::bring_back(&transaction, clock.now_ms())?;
            keys::bring_back(&transaction, clock.now_ms())?;
            transaction.commit()?;
        }
        let (messages, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(connection, engine, signals.clone(), metrics)?;
        let (ending, ended) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let _ending = ending;
                writer.run(queue);
            })
            .map_err(|error| {
                StoreError::Disk(format!("cannot start the writer's thread: {error}"))
            })?;
        let store = Self {
            messages: messages.clone(),
            signals,
            location,
            clock,
            leases,
        };
        Ok((
            store,
            Closing {
                messages,
                thread,
                ended,
            },
        ))
    }

    /// Keeps a request and the alerts made of it, or counts its repeats. Once this returns `Ok`,
    /// its events are on disk. Dropping the future changes nothing: the append happens whole or not
    /// at all.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where too much waits already; [`StoreError::Unproven`] where its source
    /// has too many failed requests of senders that have proved nothing; or what the disk said.
    /// Nothing is kept then.
    pub async fn append(
        &self,
        request: NewRequest,
        reading: Reading,
    ) -> Result<Appended, StoreError> {
        self.append_now(self.to_append(request, reading)).await
    }

    /// Returns what appends a request, now or later.
    pub(super) fn to_append(&self, request: NewRequest, reading: Reading) -> Append {
        Append {
            request,
            reading,
            now_ms: self.clock.now_ms(),
        }
    }

    /// Appends as [`Store::append`] does, by an [`Append`] or one that is shared with the caller.
    pub(super) async fn append_now(
        &self,
        append: impl Command<Output = Result<Appended, StoreError>>,
    ) -> Result<Appended, StoreError> {
        let (command, answer) = queued(append);
        self.messages
            .try_send(Message::Do(command))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        answer.await.map_err(|_| StoreError::Closed)??
    }

    /// Appends requests that were kept elsewhere before, all or none, in this order. Those that the
    /// store has already are left out; returns their number.
    ///
    /// # Errors
    /// What the disk said; nothing is kept then.
    pub(super) async fn append_spooled(
        &self,
        requests: Vec<Arc<Spooled>>,
    ) -> Result<usize, StoreError> {
        self.ask(AppendSpooled {
            requests,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Keeps the outcome of an attempt at delivery, and makes the next delivery of the ordering key
    /// due where this one is settled. Returns whether the alert went to a fallback with it.
    ///
    /// # Errors
    /// What the disk said; the delivery is then as it was before the attempt.
    pub async fn settle(&self, settlement: Settlement) -> Result<bool, StoreError> {
        self.ask(Settle {
            settlement,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Makes due now all that waits for `destination`, because it takes alerts again; but for the
    /// time that it asked for itself. What has waited longest goes first. Returns how many deliveries that were.
    ///
    /// # Errors
    /// What the disk said; some may be due already.
    pub async fn wake(&self, destination: &str) -> Result<usize, StoreError> {
        let mut from = i64::MIN;
        let mut deliveries = 0;
        loop {
            let wake = Wake {
                destination: destination.to_owned(),
                from,
                now_ms: self.clock.now_ms(),
            };
            let woken = self.ask(wake).await?;
            deliveries += woken.deliveries;
            match woken.next {
                Some(next) => from = next,
                None => return Ok(deliveries),
            }
        }
    }

    /// Has what comes due for a destination offered from memory, from now on.
    pub fn handover(&self, destination: &str) -> Handover {
        self.signals.handovers.to(destination)
    }

    /// Sends to `fallback` what `destination` has not taken within `after`, each alert once. Returns
    /// the number of these alerts.
    ///
    /// # Errors
    /// What the disk said; some may have gone already.
    pub async fn fall_back(
        &self,
        destination: &str,
        fallback: &str,
        after: Duration,
    ) -> Result<usize, StoreError> {
        let mut deliveries = 0;
        loop {
            let now_ms = self.clock.now_ms();
            let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            let fell_back = self
                .ask(FallBack {
                    destination: destination.to_owned(),
                    fallback: fallback.to_owned(),
                    since_ms: now_ms.saturating_sub(after_ms),
                    now_ms,
                })
                .await?;
            deliveries += fell_back.deliveries;
            if !fell_back.more {
                return Ok(deliveries);
            }
        }
    }

    /// Keeps what a second reading of a failed request came to, and takes the job off the list.
    ///
    /// # Errors
    /// What the disk said; the job then stays on the list.
    pub async fn finish_replay(&self, reread: Reread) -> Result<Appended, StoreError> {
        self.ask(FinishReplay {
            reread,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Makes the dead letters that a job names pending again, and takes it off the list. Returns
    /// their number.
    ///
    /// # Errors
    /// What the disk said; the job then stays on the list.
    pub async fn requeue(&self, job: Job) -> Result<usize, StoreError> {
        self.ask(Requeue {
            job,
            wall_ms: wall_ms(),
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Dismisses the failed request and the dead letters that a job names, and takes it off the
    /// list once all are.
    ///
    /// # Errors
    /// What the disk said; the job then stays on the list.
    pub async fn dismiss(&self, job: Job) -> Result<Dismissed, StoreError> {
        self.ask(Dismiss {
            job,
            at_ms: wall_ms(),
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Puts jobs on the list that are not on it yet, with an entry in the audit: both or nothing.
    /// Returns the number of those that are new.
    ///
    /// # Errors
    /// What the disk said; nothing is on the list then.
    pub async fn ask_for(
        &self,
        kind: JobKind,
        targets: Vec<JobTarget>,
        entry: Entry,
    ) -> Result<usize, StoreError> {
        self.ask(Ask {
            kind,
            targets,
            entry,
        })
        .await
    }

    /// Writes down what an operator did.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn audit(&self, entry: Entry) -> Result<(), StoreError> {
        self.ask(Audit(entry)).await
    }

    /// Runs a slice of a sweep.
    ///
    /// # Errors
    /// What the disk said; nothing was removed then.
    pub(crate) async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.ask(sweep).await
    }

    /// Returns the number of a plugin, new or known.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn plugin(&self, plugin: PluginRecord) -> Result<PluginId, StoreError> {
        self.ask(Plugin(plugin)).await
    }

    /// Keeps an internal alert, to be delivered like every alert. Returns whether it was news.
    ///
    /// # Errors
    /// What the disk said; nothing was told then.
    pub async fn tell(&self, notice: Notice) -> Result<bool, StoreError> {
        self.ask(Tell {
            notice,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Forgets an open internal alert whose destination is gone.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn forget(&self, told: Told) -> Result<(), StoreError> {
        self.ask(Forget(told)).await
    }

    /// Keeps when sources were heard of.
    ///
    /// # Errors
    /// The disk's error; the earlier times stand.
    pub async fn remember(&self, seen: Vec<Seen>) -> Result<(), StoreError> {
        self.ask(Remember(seen)).await
    }

    /// Lets time pass over some of the groups and timers that are due; `wall_ms` is the machine's
    /// time. Returns whether more are due.
    ///
    /// # Errors
    /// What the disk said; nothing has passed then.
    pub async fn pass(&self, wall_ms: i64) -> Result<bool, StoreError> {
        self.ask(Pass {
            at_ms: wall_ms,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Ends a mute.
    ///
    /// # Errors
    /// The disk's; a part may stay held then.
    pub async fn end_mute(&self, mute: i64, still: Arc<Still>) -> Result<(), StoreError> {
        let mut next = Some(i64::MIN);
        while let Some(after) = next {
            let part = EndMute {
                mute,
                after,
                still: Arc::clone(&still),
                at_ms: wall_ms(),
                now_ms: self.clock.now_ms(),
            };
            next = self.ask(part).await?;
        }
        Ok(())
    }

    /// Makes a mute, with an entry in the audit: both or nothing. Returns its number.
    ///
    /// # Errors
    /// What the disk said; nothing is muted then.
    pub async fn add_mute(&self, mute: NewMute, entry: Entry) -> Result<i64, StoreError> {
        self.ask(AddMute(mute, entry)).await
    }

    /// Ends a mute that an operator made, with an entry in the audit. Returns whether it had not
    /// ended before; its alerts are delivered within a second.
    ///
    /// # Errors
    /// What the disk said; the mute goes on then.
    pub async fn stop_mute(&self, mute: i64, entry: Entry) -> Result<bool, StoreError> {
        self.ask(StopMute(mute, entry)).await
    }

    /// Resolves an alert at its destinations, with an entry in the audit; `alert` is its id.
    ///
    /// # Errors
    /// What the disk said; nothing is resolved then.
    pub async fn resolve_alert(&self, alert: i64, entry: Entry) -> Result<Resolution, StoreError> {
        self.ask(ResolveAlert {
            alert,
            entry,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Resolves an open group, with an entry in the audit.
    ///
    /// # Errors
    /// What the disk said; nothing is resolved then.
    pub async fn resolve_group(&self, group: i64, entry: Entry) -> Result<Resolution, StoreError> {
        self.ask(ResolveGroup {
            group,
            entry,
            now_ms: self.clock.now_ms(),
        })
        .await
    }

    /// Returns when the writer is gone: at the end, or because it panicked.
    pub async fn ended(&self) {
        self.messages.closed().await;
    }

    /// Changes with every commit that the disk does not take, and when it takes one again.
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.signals.trouble.subscribe()
    }

    /// Returns the error of the last commit, where the disk did not take it.
    pub fn unstored(&self) -> Option<String> {
        let trouble = self.signals.trouble.borrow();
        let said = trouble.said.as_ref().filter(|_| trouble.lasts);
        said.map(ToString::to_string)
    }

    /// Returns the error by which another gateway has taken over from this one, which then keeps
    /// nothing more.
    pub(super) fn lost(&self) -> Option<StoreError> {
        let trouble = self.signals.trouble.borrow();
        let said = trouble.said.as_ref().filter(|_| trouble.lasts);
        said.filter(|said| matches!(said, StoreError::Lost(_)))
            .cloned()
    }

    /// Takes down that the caller has waited too long for an answer: a disk that hangs says nothing
    /// by itself. Returns the error that is to be answered; whether the request was kept in the end
    /// is not known.
    pub fn hangs(&self) -> StoreError {
        let error = StoreError::Disk("it has not answered for too long, and may hang".to_owned());
        self.signals
            .trouble
            .send_modify(|trouble| trouble.meet(&error));
        error
    }

    /// The file that is there while the operator may know of trouble with the disk. A disk that has
    /// no room for a page mostly has some for a name.
    pub fn told_of_trouble(&self) -> PathBuf {
        self.location.folder().join("told-of-trouble")
    }

    /// The number of dead letters.
    pub fn dead(&self) -> watch::Receiver<i64> {
        self.signals.dead.subscribe()
    }

    /// Opens a connection of its own that reads the snapshot of state.
    ///
    /// # Errors
    /// What the disk said.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::open(&self.location)
    }

    /// Changes with every commit: what waits for new alerts waits on this.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.signals.committed.subscribe()
    }

    /// The clock that alerts are due by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Opens a connection of its own for due deliveries.
    ///
    /// # Errors
    /// What the disk said.
    pub fn due_reader(&self) -> Result<DueReader, StoreError> {
        DueReader::open(&self.location)
    }

    /// Opens a connection of its own for the history.
    ///
    /// # Errors
    /// What the disk said.
    pub fn history(&self) -> Result<History, StoreError> {
        History::beside(&self.location)
    }

    /// Returns the file, where the store is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.location.file()
    }

    /// Returns the place where the store is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the lease of the gateway that delivers, and does all else that is done once for all
    /// that share the store.
    pub fn leads(&self) -> Lease {
        match &self.leases {
            None => Lease::alone(),
            Some(leases) => Lease::among(leases, LEADER.to_owned()),
        }
    }

    /// Returns whether other gateways may have the store, too.
    pub fn is_shared(&self) -> bool {
        self.leases.is_some()
    }

    /// Writes down the times at which this gateway heard of sources, unless later ones are known.
    ///
    /// # Errors
    /// What the database said.
    pub(super) async fn heard(&self, heard: Heard) -> Result<(), StoreError> {
        self.ask(heard).await
    }

    /// Returns the number of bytes in use, after each commit.
    pub(super) fn bytes(&self) -> watch::Receiver<u64> {
        self.signals.bytes.subscribe()
    }

    /// Returns the number of unused bytes of the file.
    pub(super) fn spare_bytes(&self) -> u64 {
        self.signals.spare.load(Ordering::Relaxed)
    }

    /// Returns the number of alerts known again.
    pub(super) fn identities(&self) -> u64 {
        self.signals.identities.load(Ordering::Relaxed)
    }

    /// Returns whether counts of repeats wait to be written down.
    pub(super) fn has_repeats(&self) -> bool {
        self.signals.repeats.load(Ordering::Relaxed)
    }

    async fn ask<C: Command>(&self, command: C) -> Result<C::Output, StoreError> {
        let (command, answer) = queued(command);
        self.messages
            .send(Message::Do(command))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
