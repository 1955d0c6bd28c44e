//! The one writing thread, and its group commit: one sync for all waiting commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::sql::Connection;
use tokio::sync::{mpsc, watch};

use super::ahead::{Ahead, Turn, Wanted};
use super::checkpoint::Checkpointer;
use super::command::Queued;
use super::files::{Lock, Place};
use super::handover::{Handovers, MadeDue};
use super::identities::{self, Changes, Identities, Written};
use super::repeats::Repeats;
use super::shared::{Keeper, Session};
use super::space::Space;
use super::step::{Names, Step};
use super::totals::Totals;
use super::touched::Touched;
use super::wait::wait;
use super::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, StoreError, groups};
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;

/// The most commands in one transaction. With more, the first would wait for the last one's work.
const GROUP: usize = 512;

/// The longest wait of a few settlements for others. A sender that waits for each answer sends its
/// next request about when the alert of the last one is delivered: the settlement would be committed
/// first, and the append after that.
const LINGER: Duration = Duration::from_millis(1);

/// The most settlements that wait for an append. More are a group already.
const FEW: usize = 2;

/// The pause between two questions about a commit whose outcome is not known.
const PAUSE: Duration = Duration::from_millis(200);

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
    engine: Engine,
    next_seq: i64,
    totals: Totals,
    names: Names,
    repeats: Repeats,
    identities: Identities,
    signals: Signals,
    throttle: LogThrottle,
    metrics: Metrics,
}

/// The part of the writer that differs by where the store is.
#[derive(Debug)]
pub enum Engine {
    /// A file, the lock by which no other gateway has it open, and its checkpoints.
    Embedded(
        Place,
        #[expect(dead_code, reason = "it is held as long as the store is open")] Lock,
        Checkpointer,
    ),
    /// A database, this gateway among those that share it, and the keeper of its leases.
    Shared(Session, Keeper),
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
        connection: Connection,
        engine: Engine,
        signals: Signals,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let numbers = [
            LAST_SEQ,
            ALERTS_PER_REQUEST as i64,
            DELIVERIES_PER_ALERT as i64,
        ];
        let next_seq = match &engine {
            Engine::Embedded(..) => connection.query_row(NEXT_SEQ, numbers, |row| row.get(0))?,
            // Each transaction begins with it.
            Engine::Shared(..) => 1,
        };
        let totals = Totals::read(&connection)?;
        let identities = match &engine {
            Engine::Embedded(..) => Identities::read(&connection, next_seq)?,
            // Each transaction writes its own.
            Engine::Shared(..) => Identities::default(),
        };
        let writer = Self {
            connection,
            engine,
            next_seq,
            totals,
            names: Names::default(),
            repeats: Repeats::default(),
            identities,
            signals,
            throttle: LogThrottle::default(),
            metrics,
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
            take(&mut messages, &mut group, &mut queue);
            linger(&mut messages, &mut group, &mut queue, LINGER);
            self.commit(&mut group, false);
        }
        self.commit(&mut group, true);
        match self.engine {
            // Closing the last connection to a file folds the log into it.
            Engine::Embedded(.., checkpointer) => drop(checkpointer),
            Engine::Shared(_, keeper) => keeper.stop(),
        }
    }

    fn commit(&mut self, group: &mut Vec<Box<dyn Queued>>, last: bool) {
        if group.is_empty() && !(last && (self.repeats.any() || self.identities.any())) {
            return;
        }
        let started = Instant::now();
        let changes = self.connection.total_changes();
        let outcome = self.transact_until_known(group, last);
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
            self.signals
                .committed
                .send_modify(|committed| *committed += 1);
        }
        if let (Engine::Embedded(.., checkpointer), Connection::Embedded(connection)) =
            (&mut self.engine, &self.connection)
        {
            checkpointer.go_on(connection);
        }
    }

    /// Commits a group. Where the connection to a database is lost within the commit, it asks until
    /// it knows whether that happened, and does it again where it did not.
    fn transact_until_known(
        &mut self,
        group: &mut [Box<dyn Queued>],
        last: bool,
    ) -> Result<(), StoreError> {
        loop {
            let outcome = self.transact(group, last);
            let Err(error @ StoreError::Unknown(_)) = outcome else {
                return outcome;
            };
            self.signals.tell(&Err(error.clone()));
            tracing::warn!(%error, commands = group.len(), "the database is asked");
            while let Err(error) = self.ask_what_happened() {
                if matches!(error, StoreError::Lost(_)) {
                    return Err(error);
                }
                self.signals.tell(&Err(error));
                thread::park_timeout(PAUSE);
            }
            let Engine::Shared(session, _) = &self.engine else {
                return Err(error);
            };
            // It has the number of what was tried, where that was committed.
            if session.committed == session.commits {
                return self.after_commit();
            }
        }
    }

    /// Finds out which commit of this gateway was the last. It commits itself, as only that says
    /// that a standby has all before it.
    fn ask_what_happened(&mut self) -> Result<(), StoreError> {
        let Engine::Shared(session, _) = &mut self.engine else {
            return Ok(());
        };
        let (transaction, entered) = session.begin(&self.connection, Wanted::default())?;
        session.leave(&transaction, entered.next_seq, session.committed)?;
        transaction.commit()
    }

    /// Takes over the figures of a commit that happened after all.
    fn after_commit(&mut self) -> Result<(), StoreError> {
        // What commands met in it is not known any more: only counts of repeats.
        self.repeats.written();
        self.totals = Totals::read(&self.connection)?;
        Ok(())
    }

    fn transact(&mut self, group: &mut [Box<dyn Queued>], last: bool) -> Result<(), StoreError> {
        let mut next_seq = self.next_seq;
        let mut before = self.totals;
        let mut met = Vec::new();
        let mut changes = Changes::new();
        let mut made_due = MadeDue::default();
        // Waiting for another process happens here and not in the midst.
        let (transaction, mut ahead) = match &mut self.engine {
            Engine::Embedded(..) => (self.connection.write()?, Ahead::default()),
            Engine::Shared(session, _) => {
                group.sort_by_key(|command| command.turn());
                let mut wanted = Wanted::default();
                group
                    .iter()
                    .for_each(|command| command.foresee(&mut wanted));
                let (transaction, entered) = session.begin(&self.connection, wanted)?;
                (next_seq, before) = (entered.next_seq, entered.totals);
                if entered.is_news {
                    self.names.tracked.clear();
                }
                (transaction, entered.ahead)
            }
        };
        let engine = &mut self.engine;
        let mut totals = before;
        let (leads, guarded) = match engine {
            Engine::Embedded(..) => (None, false),
            Engine::Shared(session, _) => (Some(session.leads), session.guarded),
        };
        let first_seq = next_seq;
        let run = || -> Result<(bool, Option<Written>), StoreError> {
            let mut step = Step {
                transaction: &transaction,
                next_seq: &mut next_seq,
                totals: &mut totals,
                names: &mut self.names,
                repeats: &mut met,
                made_due: &mut made_due,
                ahead: &mut ahead,
                first_seq,
                waiting: &self.identities,
                changes: &mut changes,
                leads,
                guarded,
                touched: Touched::default(),
            };
            for command in group {
                if command.turn() == Turn::Other {
                    step.ahead.forget();
                }
                command.run(&mut step)?;
                if step.touched.is_full() {
                    groups::settle(&mut step)?;
                }
            }
            groups::settle(&mut step)?;
            let counts = last || self.repeats.are_due();
            if counts {
                self.repeats.write(&transaction)?;
            }
            totals.write(&before, &transaction)?;
            let written = match engine {
                Engine::Embedded(place, ..) => {
                    let identities = &self.identities;
                    let written = identities.write(&transaction, &changes, next_seq, last)?;
                    place.check()?;
                    written
                }
                Engine::Shared(session, _) => {
                    // Other gateways must know them at once.
                    for (hash, alert) in changes.drain() {
                        if let Some(alert) = alert {
                            identities::insert(&transaction, hash, alert)?;
                        }
                    }
                    session.commits = session.committed + 1;
                    session.leave(&transaction, next_seq, session.commits)?;
                    None
                }
            };
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

/// Takes commands from the queue into a group.
fn take(
    messages: &mut Vec<Message>,
    group: &mut Vec<Box<dyn Queued>>,
    queue: &mut mpsc::Receiver<Message>,
) {
    for message in messages.drain(..) {
        match message {
            Message::Do(command) => group.push(command),
            // What is in the queue already is still taken; nothing can be added.
            Message::Close => queue.close(),
        }
    }
}

/// Waits for more while a group is one or two settlements, at most for so long.
fn linger(
    messages: &mut Vec<Message>,
    group: &mut Vec<Box<dyn Queued>>,
    queue: &mut mpsc::Receiver<Message>,
    within: Duration,
) {
    let started = Instant::now();
    let are_few = |group: &[Box<dyn Queued>]| {
        (1..=FEW).contains(&group.len()) && group.iter().all(|one| one.turn() == Turn::Settles)
    };
    while are_few(group) {
        let left = within.saturating_sub(started.elapsed());
        match wait(queue.recv_many(messages, GROUP), left) {
            Some(1..) => take(messages, group, queue),
            Some(0) | None => return,
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
                | StoreError::Away(_)
                | StoreError::Refused(_)
                | StoreError::Unknown(_)
                | StoreError::Lost(_)
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

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use plugin_sdk::contract::{self, Priority};

    use super::*;
    use crate::alert::{Alert, Outcome, Receipt};
    use crate::store::append::{Append, Plugin};
    use crate::store::command::{Answer, Command, queued};
    use crate::store::settle::Settle;
    use crate::store::tests::ground::Ground;
    use crate::store::{
        Appended, Lease, Location, NewAlert, NewRequest, PluginId, PluginRecord, Reading,
        Settlement, shared,
    };

    /// Runs commands as one group. Returns their outputs, and how often the database was waited for.
    fn run<C: Command>(writer: &mut Writer, commands: Vec<C>) -> (Vec<C::Output>, u64) {
        let (mut group, answers): (Vec<_>, Vec<Answer<C::Output>>) =
            commands.into_iter().map(queued).unzip();
        let waits = |writer: &Writer| match &writer.connection {
            Connection::Postgres(link) => link.waits(),
            Connection::Embedded(_) => 0,
        };
        let before = waits(writer);
        writer.commit(&mut group, false);
        let answered = answers
            .into_iter()
            .map(|answer| answer.blocking_recv().unwrap().unwrap());
        (answered.collect(), waits(writer) - before)
    }

    fn append(number: u32, plugin: PluginId) -> Append {
        let mut event = contract::Alert::new(format!("e{number}"), Priority::High, "t");
        event.key = Some(format!("k{number}"));
        let alert = Alert {
            source: "s".to_owned(),
            request: number.to_string(),
            received_at: String::new(),
            event,
        };
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id: uuid::Uuid::now_v7().to_string(),
            source: "s".to_owned(),
            received_at: 0,
            method: "POST".to_owned(),
            url: String::new(),
            headers: "[]".to_owned(),
            body: Bytes::new(),
            plugin,
        };
        Append {
            request,
            reading: Reading::alerts(vec![NewAlert::new(&alert, ["d"]).unwrap()]),
            now_ms: 0,
        }
    }

    fn settle(number: u32) -> Settle {
        let first = i64::from(number) + 1;
        let id = first * (ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64;
        let outcome = Outcome::Accepted(Receipt {
            id: number.to_string(),
            fingerprint: String::new(),
            kind: "ALERT".to_owned(),
        });
        let settlement = Settlement {
            delivery: id,
            at: 0,
            duration_us: 0,
            status: Some(200),
            outcome,
            answer: None,
            due_at: 0,
            not_before: 0,
            fallback: None,
        };
        Settle {
            settlement,
            now_ms: 0,
        }
    }

    /// Lets a group wait while other commands come, and returns what it is then.
    fn waited_for(
        group: Vec<Box<dyn Queued>>,
        others: impl FnOnce(&mpsc::Sender<Message>) + Send + 'static,
    ) -> Vec<Turn> {
        let (sender, mut queue) = mpsc::channel(8);
        let sending = thread::spawn(move || others(&sender));
        let mut group = group;
        let within = Duration::from_secs(60);
        linger(&mut Vec::new(), &mut group, &mut queue, within);
        sending.join().unwrap();
        group.iter().map(|command| command.turn()).collect()
    }

    #[test]
    fn only_a_few_settlements_wait_for_an_append() {
        let settlement = |number| queued(settle(number)).0;
        let request = |number| queued(append(number, PluginId(1))).0;
        let comes = |sender: &mpsc::Sender<Message>| {
            thread::park_timeout(Duration::from_millis(5));
            sender.blocking_send(Message::Do(queued(append(9, PluginId(1))).0))
        };
        let lone = waited_for(vec![settlement(0)], move |sender| comes(sender).unwrap());
        assert_eq!(lone, [Turn::Settles, Turn::Appends]);
        for group in [
            vec![settlement(0), settlement(1), settlement(2)],
            vec![settlement(0), request(1)],
            vec![],
        ] {
            let before = group.len();
            // The queue may be gone before it comes.
            let left = waited_for(group, move |sender| drop(comes(sender)));
            assert_eq!(left.len(), before);
        }
        let stopped = waited_for(vec![settlement(0)], |_| {});
        assert_eq!(stopped, [Turn::Settles]);
    }

    #[test]
    fn database_is_waited_for_twice_a_commit_of_64() {
        let Some(ground) = Ground::database() else {
            return;
        };
        let Location::Postgres(shared) = ground.location() else {
            unreachable!("a database is one");
        };
        let joined = shared::join(&shared, None, Box::new(|| {})).unwrap();
        let leader = Lease::among(&joined.leases, shared::LEADER.to_owned());
        while !leader.holds() {
            thread::park_timeout(PAUSE);
        }
        let link = crate::store::postgres::Link::new(Arc::clone(&shared.address));
        let engine = Engine::Shared(joined.session, joined.keeper);
        let mut writer = Writer::new(
            Connection::Postgres(link),
            engine,
            Signals::default(),
            Metrics::new(),
        )
        .unwrap();
        let record = PluginRecord {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: "00".to_owned(),
        };
        let (plugin, _) = run(&mut writer, vec![Plugin(record)]);
        let appends = |numbers: std::ops::Range<u32>| {
            numbers
                .map(|number| append(number, plugin[0]))
                .collect::<Vec<_>>()
        };
        // These prepare the statements, and read the names.
        run(&mut writer, appends(0..2));
        run(&mut writer, vec![settle(0), settle(1)]);

        let (appended, waits) = run(&mut writer, appends(2..66));
        let accepted =
            |one: &Result<Appended, StoreError>| one.as_ref().is_ok_and(|one| one.accepted == 1);
        assert!(appended.iter().all(accepted));
        assert_eq!(waits, 2, "to begin, and to commit");
        assert_eq!(writer.totals.pending, 64);
        let (_, waits) = run(&mut writer, (2..66).map(settle).collect());
        assert_eq!((writer.totals.pending, waits), (0, 2));
        assert_eq!(writer.totals.delivered, 66);
    }
}
