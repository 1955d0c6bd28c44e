//! The one thread that writes, and how it shares one sync among all that waits.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::append::{self, Appended, NewRequest, PluginId, PluginRecord, Reading};
use super::lock::Lock;
use super::own::{self, Notice};
use super::place::Place;
use super::remembered::{self, Seen, Told};
use super::replay::{self, Replay, Reread};
use super::retention::{self, Bounds, Retained};
use super::settle::{self, Settlement};
use super::totals::Totals;
use super::{ALERTS_PER_REQUEST, StoreError};
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;

/// The most commands in one transaction. With more, the first would wait for the last one's work.
const GROUP: usize = 512;

/// No request has a number beyond this: ten thousand a second come to it after a century.
pub(super) const LAST_SEQ: i64 = 1 << 45;

pub(super) const NEXT_SEQ: &str = "SELECT 1 + max(0,
    ifnull((SELECT max(seq) FROM requests WHERE seq < ?1), 0),
    ifnull((SELECT max(id) FROM alerts WHERE id < ?1 * ?2), 0) / ?2,
    ifnull((SELECT max(alert) FROM events WHERE alert < ?1 * ?2), 0) / ?2)";

/// What the writer is asked to do; where it depends on the time, with the time.
#[derive(Debug)]
pub enum Command {
    Append(Ask<(NewRequest, Reading, i64), Appended>),
    Settle(Ask<(Settlement, i64), ()>),
    FinishReplay(Ask<(Reread, i64), Appended>),
    Requeue(Ask<(Replay, i64), usize>),
    Retain(Ask<Bounds, Retained>),
    Plugin(Ask<PluginRecord, PluginId>),
    Tell(Ask<(Notice, i64), bool>),
    Forget(Ask<Told, ()>),
    Remember(Ask<Vec<Seen>, ()>),
    Close,
}

/// A question, and where its answer goes once the transaction that it was part of is on disk.
#[derive(Debug)]
pub struct Ask<I, O> {
    input: I,
    output: Option<O>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

/// What a step of a transaction works on.
pub struct Step<'a> {
    pub transaction: &'a Transaction<'a>,
    pub next_seq: &'a mut i64,
    pub totals: &'a mut Totals,
}

pub struct Writer {
    connection: Connection,
    place: Place,
    next_seq: i64,
    totals: Totals,
    groups: u64,
    signals: Signals,
    throttle: LogThrottle,
    metrics: Metrics,
    _lock: Lock,
}

/// How the disk fares, as the writer finds it, or who waits for the writer.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// How many commits it did not take since the start.
    pub failures: u64,
    /// What it said to the last of them.
    pub said: Option<StoreError>,
    /// Whether that was the last commit of all: since then it has taken nothing.
    pub lasts: bool,
}

impl Trouble {
    /// Adds a failure.
    pub(super) fn meet(&mut self, error: &StoreError) {
        *self = Self { failures: self.failures + 1, said: Some(error.clone()), lasts: true };
    }
}

/// What the writer announces to whoever waits for it.
#[derive(Debug, Default)]
pub struct Signals {
    /// The number of the last commit.
    pub committed: watch::Sender<u64>,
    /// How the disk fares.
    pub trouble: Arc<watch::Sender<Trouble>>,
    /// How many alerts are set aside.
    pub set_aside: watch::Sender<i64>,
}

impl Writer {
    pub fn new(
        connection: Connection,
        place: Place,
        signals: Signals,
        metrics: Metrics,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        let next_seq = next_seq(&connection)?;
        let totals = Totals::read(&connection)?;
        totals.show(&metrics);
        signals.set_aside.send_replace(totals.set_aside);
        Ok(Self {
            connection,
            place,
            next_seq,
            totals,
            groups: 0,
            signals,
            throttle: LogThrottle::default(),
            metrics,
            _lock: lock,
        })
    }

    /// Until [`Command::Close`], or until nobody is left who could ask.
    pub fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            if group.iter().any(|command| matches!(command, Command::Close)) {
                // What is in the queue already is still taken; nothing can be added.
                queue.close();
                group.retain(|command| !matches!(command, Command::Close));
            }
            self.commit(&mut group);
        }
        // Closing the connection folds the log into the file.
    }

    fn commit(&mut self, group: &mut Vec<Command>) {
        if group.is_empty() {
            return;
        }
        let started = Instant::now();
        let outcome = self.transact(group);
        self.signals.tell(&outcome, self.totals.set_aside);
        match &outcome {
            Ok(()) => {
                self.metrics.commit_duration.observe(started.elapsed().as_secs_f64());
                self.metrics.commit_group.observe(group.len() as f64);
                self.totals.show(&self.metrics);
                self.groups += 1;
            }
            Err(error) => {
                // Outcomes are tried again twice a second, each of them, for as long as the disk is full.
                if let Some(left_out) = self.throttle.due("", error.kind()) {
                    tracing::error!(%error, commands = group.len(), left_out, "a commit failed; nothing of it was confirmed");
                }
                // One bad row must not cost its neighbours theirs. A disk that fails does so for each of them.
                if group.len() > 1 && matches!(error, StoreError::Row(_) | StoreError::Damaged(_)) {
                    for command in group.drain(..) {
                        self.commit(&mut vec![command]);
                    }
                    return;
                }
            }
        }
        for command in group.drain(..) {
            command.answer(&outcome);
        }
        if outcome.is_ok() {
            self.signals.committed.send_replace(self.groups);
        }
    }

    fn transact(&mut self, group: &mut [Command]) -> Result<(), StoreError> {
        let (mut next_seq, mut totals) = (self.next_seq, self.totals);
        // IMMEDIATE, so that waiting for another process happens here and not in the midst.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for command in group {
            let step = Step { transaction: &transaction, next_seq: &mut next_seq, totals: &mut totals };
            command.run(step)?;
        }
        totals.write(&self.totals, &transaction)?;
        self.place.check()?;
        transaction.commit()?;
        (self.next_seq, self.totals) = (next_seq, totals);
        Ok(())
    }
}

impl Signals {
    /// Says how the disk fares, and how many alerts are set aside, where that has changed.
    fn tell(&self, outcome: &Result<(), StoreError>, set_aside: i64) {
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
        self.set_aside.send_if_modified(|shown| std::mem::replace(shown, set_aside) != set_aside);
    }
}

/// One more than the number of any request, and of any that a row claims to belong to: a row that stands where a new one
/// is to go would stop all of them. What claims to belong to a request that no gateway has reached is none of ours.
fn next_seq(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row(NEXT_SEQ, [LAST_SEQ, ALERTS_PER_REQUEST as i64], |row| row.get(0))?)
}

impl Command {
    fn run(&mut self, mut step: Step<'_>) -> Result<(), StoreError> {
        match self {
            Self::Append(ask) => ask.run(|(request, reading, now)| append::append(step, request, reading, *now)),
            Self::Settle(ask) => ask.run(|(settlement, now)| settle::settle(step, settlement, *now)),
            Self::FinishReplay(ask) => ask.run(|(reread, now)| replay::finish(step, reread, *now)),
            Self::Requeue(ask) => ask.run(|(replay, now)| replay::requeue(step, replay, *now)),
            Self::Retain(ask) => ask.run(|bounds| retention::retain(step, bounds)),
            Self::Plugin(ask) => ask.run(|plugin| append::plugin(&step, plugin)),
            Self::Tell(ask) => ask.run(|(notice, now_ms)| own::tell(&mut step, notice, *now_ms)),
            Self::Forget(ask) => ask.run(|told| own::forget(&step, told)),
            Self::Remember(ask) => ask.run(|seen| remembered::remember(step, seen)),
            Self::Close => Ok(()),
        }
    }

    fn answer(self, outcome: &Result<(), StoreError>) {
        match self {
            Self::Append(ask) => ask.answer(outcome),
            Self::Settle(ask) => ask.answer(outcome),
            Self::FinishReplay(ask) => ask.answer(outcome),
            Self::Requeue(ask) => ask.answer(outcome),
            Self::Retain(ask) => ask.answer(outcome),
            Self::Plugin(ask) => ask.answer(outcome),
            Self::Tell(ask) => ask.answer(outcome),
            Self::Forget(ask) => ask.answer(outcome),
            Self::Remember(ask) => ask.answer(outcome),
            Self::Close => {}
        }
    }
}

impl<I, O> Ask<I, O> {
    pub fn new(input: I) -> (Self, oneshot::Receiver<Result<O, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { input, output: None, reply }, answer)
    }

    fn run(&mut self, work: impl FnOnce(&I) -> Result<O, StoreError>) -> Result<(), StoreError> {
        self.output = Some(work(&self.input)?);
        Ok(())
    }

    fn answer(self, outcome: &Result<(), StoreError>) {
        let answer = match (outcome, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // Who asked may have gone away, as a sender does that hangs up; the work is done all the same.
        let _ = self.reply.send(answer);
    }
}
