//! The one writing thread, and its group commit: one sync for all waiting commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, watch};

use super::command::Queued;
use super::files::{Lock, Place};
use super::handover::{Handovers, MadeDue};
use super::identities::{Changes, Identities, Written};
use super::repeats::Repeats;
use super::space::Space;
use super::step::{Names, Step};
use super::totals::Totals;
use super::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, StoreError};
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;

/// The most commands in one transaction. With more, the first would wait for the last one's work.
const GROUP: usize = 512;

/// No request has a number beyond this: ten thousand a second come to it after a century.
pub(super) const LAST_SEQ: i64 = 1 << 45;

/// One more than the number of any request, and of any that a row claims to belong to: a row that
/// stands where a new one is to go would stop all of them. What claims to belong to a request that
/// no gateway has reached is none of ours.
pub(super) const NEXT_SEQ: &str = "SELECT 1 + max(0,
    ifnull((SELECT max(seq) FROM requests WHERE seq < ?1), 0),
    ifnull((SELECT max(seq) FROM bodies WHERE seq < ?1), 0),
    ifnull((SELECT max(id) FROM alerts WHERE id < ?1 * ?2), 0) / ?2,
    ifnull((SELECT max(alert) FROM events WHERE alert < ?1 * ?2), 0) / ?2,
    ifnull((SELECT max(id) FROM queue WHERE id < ?1 * ?2 * ?3), 0) / (?2 * ?3))";

/// A message to the writer.
pub enum Message {
    /// Do this.
    Do(Box<dyn Queued>),
    /// Commit what waits, and close the file.
    Close,
}

/// Commits what is asked of it, group by group.
pub struct Writer {
    connection: Connection,
    place: Place,
    next_seq: i64,
    totals: Totals,
    names: Names,
    repeats: Repeats,
    identities: Identities,
    groups: u64,
    signals: Signals,
    throttle: LogThrottle,
    metrics: Metrics,
    _lock: Lock,
}

/// The state of the disk, as the writer or a task waiting for it finds it.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// The number of commits it did not take since the start.
    pub failures: u64,
    /// The disk's error at the last of them.
    pub said: Option<StoreError>,
    /// True if that was the last commit of all: since then it has taken nothing.
    pub lasts: bool,
}

impl Trouble {
    /// Adds a failure.
    pub(super) fn meet(&mut self, error: &StoreError) {
        *self = Self {
            failures: self.failures + 1,
            said: Some(error.clone()),
            lasts: true,
        };
    }
}

/// The signals of the writer.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// The tasks that deliver.
    pub handovers: Handovers,
    /// The number of the last commit.
    pub committed: watch::Sender<u64>,
    /// The state of the disk.
    pub trouble: watch::Sender<Trouble>,
    /// The number of dead letters.
    pub dead: watch::Sender<i64>,
    /// The number of bytes in use.
    pub bytes: watch::Sender<u64>,
    /// The number of unused bytes of the file.
    pub spare: Arc<AtomicU64>,
    /// The number of alerts known again.
    pub identities: Arc<AtomicU64>,
    /// True if counts of repeats wait to be written down.
    pub repeats: Arc<AtomicBool>,
}

impl Writer {
    /// Makes ready to write to a store that is open.
    ///
    /// # Errors
    /// What the disk said.
    pub fn new(
        mut connection: Connection,
        place: Place,
        signals: Signals,
        metrics: Metrics,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        let numbers = [
            LAST_SEQ,
            ALERTS_PER_REQUEST as i64,
            DELIVERIES_PER_ALERT as i64,
        ];
        let next_seq = connection.query_row(NEXT_SEQ, numbers, |row| row.get(0))?;
        let totals = Totals::read(&connection)?;
        let identities = Identities::read(&mut connection, next_seq)?;
        let writer = Self {
            connection,
            place,
            next_seq,
            totals,
            names: Names::default(),
            repeats: Repeats::default(),
            identities,
            groups: 0,
            signals,
            throttle: LogThrottle::default(),
            metrics,
            _lock: lock,
        };
        writer.show();
        Ok(writer)
    }

    /// Works until [`Message::Close`], or until there is no handle left that could ask for
    /// anything.
    pub fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(GROUP);
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut messages, GROUP) > 0 {
            for message in messages.drain(..) {
                match message {
                    Message::Do(command) => group.push(command),
                    // What is in the queue already is still taken; nothing can be added.
                    Message::Close => queue.close(),
                }
            }
            self.commit(&mut group, false);
        }
        self.commit(&mut group, true);
        // Closing the connection folds the log into the file.
    }

    fn commit(&mut self, group: &mut Vec<Box<dyn Queued>>, last: bool) {
        if group.is_empty() && !(last && (self.repeats.any() || self.identities.any())) {
            return;
        }
        let started = Instant::now();
        let changes = self.connection.total_changes();
        let outcome = self.transact(group, last);
        self.signals.tell(&outcome);
        match &outcome {
            Ok(()) => {
                self.metrics
                    .commit_duration
                    .observe(started.elapsed().as_secs_f64());
                self.metrics.commit_group.observe(group.len() as f64);
                self.show();
            }
            Err(error) => {
                // Outcomes are tried again twice a second, each of them, for as long as the disk is
                // full.
                if let Some(left_out) = self.throttle.due("", error.kind()) {
                    tracing::error!(%error, commands = group.len(), left_out, "a commit failed; nothing of it was confirmed");
                }
                // One bad row must not cost its neighbours theirs. A disk that fails does so for
                // each of them.
                if group.len() > 1 && matches!(error, StoreError::Row(_) | StoreError::Damaged(_)) {
                    for command in group.drain(..) {
                        self.commit(&mut vec![command], false);
                    }
                    return;
                }
            }
        }
        for command in group.drain(..) {
            command.answer(&outcome);
        }
        // A look at what has not changed finds nothing.
        if outcome.is_ok() && self.connection.total_changes() != changes {
            self.groups += 1;
            self.signals.committed.send_replace(self.groups);
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Queued>], last: bool) -> Result<(), StoreError> {
        let mut next_seq = self.next_seq;
        let mut totals = self.totals;
        let mut met = Vec::new();
        let mut changes = Changes::new();
        let mut made_due = MadeDue::default();
        // IMMEDIATE, so that waiting for another process happens here and not in the midst.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let run = || -> Result<(bool, Option<Written>), StoreError> {
            for command in group {
                command.run(&mut Step {
                    transaction: &transaction,
                    next_seq: &mut next_seq,
                    totals: &mut totals,
                    names: &mut self.names,
                    repeats: &mut met,
                    made_due: &mut made_due,
                    first_seq: self.next_seq,
                    waiting: &self.identities,
                    changes: &mut changes,
                })?;
            }
            let counts = last || self.repeats.are_due();
            if counts {
                self.repeats.write(&transaction)?;
            }
            let written = self
                .identities
                .write(&transaction, &changes, next_seq, last)?;
            totals.write(&self.totals, &transaction)?;
            self.place.check()?;
            transaction.commit()?;
            Ok((counts, written))
        };
        match run() {
            Ok((counts, written)) => {
                (self.next_seq, self.totals) = (next_seq, totals);
                if counts {
                    self.repeats.written();
                }
                self.repeats.add(met);
                self.identities.committed(written, changes);
                self.signals.handovers.offer(made_due);
                Ok(())
            }
            Err(error) => {
                // Names that were new are rolled back with the rest.
                self.names = Names::default();
                Err(error)
            }
        }
    }

    /// Shows what is kept now.
    fn show(&self) {
        self.totals.show(&self.metrics);
        let dead = self.totals.dead;
        self.signals
            .dead
            .send_if_modified(|shown| std::mem::replace(shown, dead) != dead);
        self.signals
            .identities
            .store(self.totals.alerts.unsigned_abs(), Ordering::Relaxed);
        self.signals
            .repeats
            .store(self.repeats.any(), Ordering::Relaxed);
        // A figure for retention and for the metrics; the next commit brings another.
        if let Ok(Space { in_use, spare }) = Space::of(&self.connection) {
            self.metrics
                .store_size
                .set(i64::try_from(in_use).unwrap_or(i64::MAX));
            self.signals.spare.store(spare, Ordering::Relaxed);
            self.signals
                .bytes
                .send_if_modified(|shown| std::mem::replace(shown, in_use) != in_use);
        }
    }
}

impl Signals {
    /// Says how the disk fares, where that has changed.
    fn tell(&self, outcome: &Result<(), StoreError>) {
        self.trouble.send_if_modified(|trouble| match outcome {
            Ok(()) => std::mem::take(&mut trouble.lasts),
            Err(
                error @ (StoreError::Full
                | StoreError::Disk(_)
                | StoreError::Damaged(_)
                | StoreError::Moved(_)
                // Another program held the file for as long as a commit waits.
                | StoreError::Busy),
            ) => {
                trouble.meet(error);
                true
            }
            Err(_) => false,
        });
    }
}
