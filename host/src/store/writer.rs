//! The one thread that writes, and how it shares one sync among all that waits.

use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::append::{self, Appended, NewRequest, PluginId, PluginRecord, Reading};
use super::lock::Lock;
use super::place::Place;
use super::replay::{self, Replay, Reread};
use super::retention::{self, Bounds, Retained};
use super::settle::{self, Settlement};
use super::totals::Totals;
use super::{ALERTS_PER_REQUEST, StoreError};
use crate::metrics::Metrics;

/// The most commands in one transaction. With more, the first would wait for the last one's work.
const GROUP: usize = 512;

/// No request has a number beyond this: ten thousand a second come to it after a century.
pub(super) const LAST_SEQ: i64 = 1 << 45;

pub(super) const NEXT_SEQ: &str = "SELECT 1 + max(0,
    ifnull((SELECT max(seq) FROM requests WHERE seq < ?1), 0),
    ifnull((SELECT max(id) FROM alerts WHERE id < ?1 * ?2), 0) / ?2,
    ifnull((SELECT max(alert) FROM events WHERE alert < ?1 * ?2), 0) / ?2)";

/// What the writer is asked to do.
#[derive(Debug)]
pub enum Command {
    Append(Ask<(NewRequest, Reading), Appended>),
    Settle(Ask<Settlement, ()>),
    FinishReplay(Ask<Reread, Appended>),
    Requeue(Ask<Replay, usize>),
    Retain(Ask<Bounds, Retained>),
    Plugin(Ask<PluginRecord, PluginId>),
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
    committed: watch::Sender<u64>,
    metrics: Metrics,
    _lock: Lock,
}

impl Writer {
    pub fn new(
        connection: Connection,
        place: Place,
        committed: watch::Sender<u64>,
        metrics: Metrics,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        let next_seq = next_seq(&connection)?;
        let totals = Totals::read(&connection)?;
        totals.show(&metrics);
        Ok(Self { connection, place, next_seq, totals, groups: 0, committed, metrics, _lock: lock })
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
        match &outcome {
            Ok(()) => {
                self.metrics.commit_duration.observe(started.elapsed().as_secs_f64());
                self.metrics.commit_group.observe(group.len() as f64);
                self.totals.show(&self.metrics);
                self.groups += 1;
            }
            Err(error) => {
                tracing::error!(%error, commands = group.len(), "a commit failed; nothing of it was confirmed");
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
            self.committed.send_replace(self.groups);
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

/// One more than the number of any request, and of any that a row claims to belong to: a row that stands where a new one
/// is to go would stop all of them. What claims to belong to a request that no gateway has reached is none of ours.
fn next_seq(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row(NEXT_SEQ, [LAST_SEQ, ALERTS_PER_REQUEST as i64], |row| row.get(0))?)
}

impl Command {
    fn run(&mut self, step: Step<'_>) -> Result<(), StoreError> {
        match self {
            Self::Append(ask) => ask.run(|(request, reading)| append::append(step, request, reading)),
            Self::Settle(ask) => ask.run(|settlement| settle::settle(step, settlement)),
            Self::FinishReplay(ask) => ask.run(|reread| replay::finish(step, reread)),
            Self::Requeue(ask) => ask.run(|replay| replay::requeue(step, replay)),
            Self::Retain(ask) => ask.run(|bounds| retention::retain(step, bounds)),
            Self::Plugin(ask) => ask.run(|plugin| append::plugin(step, plugin)),
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
