//! The monitor: raises the internal alerts.
//!
//! Internal alerts take the way of all others, through the [store](crate::store) and
//! [delivery](crate::delivery), so that a crash neither loses nor repeats them. The monitor decides
//! when a [condition] is worth one: a missed heartbeat fires at the source's own destination; a
//! destination that is held or failing, has dead letters, or is gone while alerts wait for it,
//! fires at the operator's, where the configuration names one. A failing store cannot report itself
//! through the store, so that alert goes out [directly](direct). (A plugin's failure is stored
//! together with its request, by [intake](crate::intake).)
//!
//! Nothing here polls: the health board, the store and the sources that are waited for signal when
//! something has changed.

mod condition;
mod destinations;
mod direct;
mod heartbeat;
mod inherit;
mod pings;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use plugin_sdk::contract;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alert::internal::{self, Topic};
use crate::clock::wall_ms;
use crate::health::{Board, Health};
use crate::metrics::{Metrics, SourceLabel};
use crate::store::{Notice, Snapshot, Store, StoreError, Told};

pub use direct::Direct;
pub use heartbeat::{Expected, Reloaded};
pub use pings::{Beat, Pings};

use destinations::Destinations;
use heartbeat::{Gone, Heartbeats, WRITE};

/// The pause after a failed write to the store.
const PAUSE: Duration = Duration::from_secs(5);
/// The interval at which a write probes a failing disk: without requests, nothing else would write
/// to it.
const PROBE: Duration = Duration::from_secs(10);
/// The time for which dead letters gather before they are counted again.
const GATHER: Duration = Duration::from_secs(2);
/// The interval of recounts within an hour of the last alert about dead letters.
const RECOUNT: Duration = Duration::from_secs(5 * 60);

/// Tells the monitor.
#[derive(Debug)]
pub struct Monitor {
    store: Store,
    health: Health,
    metrics: Metrics,
    heartbeats: Heartbeats,
    ops: Option<Ops>,
    remembered: Arc<Mutex<Snapshot>>,
    /// The work to be done before anything else.
    first: VecDeque<Work>,
}

/// The conditions that fire at the operator's destination.
#[derive(Debug)]
struct Ops {
    /// Its name.
    name: String,
    /// The other destinations.
    others: Destinations,
    /// The number of dead letters of each destination that the last alert said.
    dead_letters: BTreeMap<String, i64>,
    /// Destinations that are not configured any more, and whether it fired that alerts wait for
    /// them.
    gone: BTreeMap<String, bool>,
}

/// A change that the store is asked for.
#[derive(Debug, Clone)]
enum Work {
    /// To raise this alert at a destination.
    Tell(String, Box<contract::Alert>),
    /// To forget that this fired.
    Forget(Told),
}

/// The part of the configuration that the monitor needs.
#[derive(Debug)]
pub struct Plan {
    /// Every source.
    pub sources: Vec<Expected>,
    /// The names of all destinations.
    pub destinations: Vec<String>,
    /// The destination at which conditions of the others fire.
    pub operator_destination: Option<String>,
    /// The names of all destinations that alerts wait for.
    pub waiting: Vec<String>,
    /// Destinations that are not configured any more, and how many alerts wait for each.
    pub gone: Vec<(String, i64)>,
}

impl Monitor {
    /// Returns a monitor that goes on from the conditions that `store` remembers of earlier runs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        plan: &Plan,
        store: Store,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let now = Instant::now();
        let remembered = store.snapshot()?;
        let mut heartbeats = Heartbeats::new(plan.sources.clone(), remembered.seen()?, now);
        let ops = plan.operator_destination.as_ref();
        let mut others = ops.map(|ops| {
            Destinations::new(
                plan.destinations
                    .iter()
                    .filter(|name| *name != ops)
                    .cloned(),
                now,
            )
        });
        let (first, dead_letters) =
            inherit::inherit(remembered.told()?, plan, &mut heartbeats, others.as_mut());
        let ops = ops.zip(others).map(|(name, others)| Ops {
            name: name.clone(),
            others,
            dead_letters,
            gone: plan
                .gone
                .iter()
                .map(|(name, _)| (name.clone(), true))
                .collect(),
        });
        let remembered = Arc::new(Mutex::new(remembered));
        let monitor = Self {
            store,
            health,
            metrics,
            heartbeats,
            ops,
            remembered,
            first,
        };
        monitor.show_last_seen();
        Ok(monitor)
    }

    /// Runs until `stop` is cancelled; then the heartbeats are written down. The sources are those
    /// of `taken`, which may change.
    pub async fn run(mut self, mut taken: watch::Receiver<Reloaded>, stop: CancellationToken) {
        let mut board = self.health.watch();
        let mut trouble = self.store.trouble();
        let mut dead = self.store.dead();
        let start = Instant::now();
        let mut write_at = start + WRITE;
        let mut count_at = Some(start);
        let mut counted_at = start;
        let mut not_before = start;
        loop {
            let now = Instant::now();
            let shown = board.borrow_and_update().clone();
            self.learn(&shown, now);
            if taken.has_changed().unwrap_or(false) {
                let taken = taken.borrow_and_update().clone();
                self.take(taken).await;
                self.learn(&shown, now);
                count_at = Some(now);
            }
            let in_trouble = trouble.borrow_and_update().lasts;
            self.health.set_unstored(|| self.store.unstored());
            if write_at <= now || self.heartbeats.is_outdated() {
                unless_written(self.write(in_trouble).await);
                write_at = now + WRITE;
            }
            if in_trouble {
                write_at = write_at.min(now + PROBE);
            }
            let mut next = Some(not_before);
            if not_before <= now {
                // Not before inherited conditions have resolved: that would resolve the count's
                // alert as well.
                if self.first.is_empty() && count_at.is_some_and(|at| at <= now) {
                    counted_at = now;
                    count_at = match self.count().await {
                        Ok(true) => None,
                        Ok(false) => Some(now + RECOUNT),
                        Err(error) => {
                            tracing::warn!(%error, "dead letters could not be reported; it is tried again");
                            Some(now + PAUSE)
                        }
                    };
                }
                next = match self.tell(now).await {
                    // A condition that has just fired may be over by now.
                    Ok(true) => continue,
                    Ok(false) => self.next(),
                    Err(error) => {
                        tracing::warn!(%error, "an internal alert could not be stored; it is tried again");
                        not_before = now + PAUSE;
                        Some(not_before)
                    }
                };
            }
            let count = count_at.map(|at| at.max(not_before));
            let soon = counted_at + GATHER;
            let wake = [next, count]
                .into_iter()
                .flatten()
                .fold(write_at, Instant::min);
            tokio::select! {
                changed = board.changed() => if changed.is_err() { return },
                // Not with every commit that fails, because internal alerts fail with them.
                changed = trouble.wait_for(|trouble| trouble.lasts != in_trouble) => if changed.is_err() { return },
                changed = dead.changed(), if count_at.is_none_or(|at| at > soon) => match changed {
                    Ok(()) => count_at = Some(soon.max(Instant::now())),
                    Err(_) => return,
                },
                () = self.health.came() => {}
                Ok(()) = taken.changed() => taken.mark_changed(),
                () = tokio::time::sleep_until(wake) => {}
                () = stop.cancelled() => break,
            }
        }
        self.learn(&Board::default(), Instant::now());
        unless_written(self.write(false).await);
    }

    /// Learns the state of the destinations, and which sources were heard.
    fn learn(&mut self, board: &Board, now: Instant) {
        if let Some(ops) = &mut self.ops {
            ops.others.find(board, now);
        }
        // In this order: what comes between the two is waited for.
        self.heartbeats
            .awaited()
            .for_each(|source| self.health.wait_for(source));
        self.heartbeats.hear(&self.health.last_heard());
        for (source, silent) in self.heartbeats.states(now) {
            let label = SourceLabel {
                source: Arc::clone(source),
            };
            self.metrics
                .source_heartbeat_missed
                .get_or_create(&label)
                .set(i64::from(silent));
        }
    }

    /// Watches these sources from now on. A missed heartbeat of a source that is gone resolves
    /// where it fired.
    async fn take(&mut self, taken: Reloaded) {
        let expected =
            |heartbeats: &Heartbeats| -> HashSet<_> { heartbeats.expected().cloned().collect() };
        let before = expected(&self.heartbeats);
        self.take_destinations(&taken.destinations, taken.since);
        let mut seen = Vec::new();
        for Gone {
            expected:
                Expected {
                    source,
                    destination,
                    ..
                },
            seen: last,
            told,
        } in self.heartbeats.take(taken.sources, taken.since)
        {
            if told {
                let event = Topic::MissedHeartbeat.resolves(&source);
                self.first
                    .push_back(Work::Tell(destination.to_string(), Box::new(event)));
            }
            self.metrics
                .source_last_seen
                .remove(&SourceLabel { source });
            seen.push(last);
        }
        for source in before.difference(&expected(&self.heartbeats)) {
            self.metrics.source_heartbeat_missed.remove(&SourceLabel {
                source: Arc::clone(source),
            });
        }
        self.show_last_seen();
        if !seen.is_empty()
            && let Err(error) = self.store.remember(seen).await
        {
            tracing::warn!(%error, "it could not be written down when the sources that are gone were heard of");
        }
    }

    /// Watches these destinations from now on. Alerts about one that is gone resolve, and it is
    /// watched whether anything waits for it.
    fn take_destinations(&mut self, names: &[String], now: Instant) {
        let Some(ops) = &mut self.ops else { return };
        let present = names.iter().filter(|name| **name != ops.name).cloned();
        let ended = ops.others.take(present, now);
        let mut over: Vec<_> = ended.told;
        ops.gone
            .extend(ended.gone.into_iter().map(|name| (name, false)));
        for name in names {
            if ops.gone.remove(name) == Some(true) {
                over.push(Topic::DestinationGone.resolves(name));
            }
        }
        let tell = |event| Work::Tell(ops.name.clone(), Box::new(event));
        self.first.extend(over.into_iter().map(tell));
    }

    fn show_last_seen(&self) {
        for (source, last_seen) in self.heartbeats.last_seen() {
            let label = SourceLabel {
                source: Arc::clone(source),
            };
            self.metrics
                .source_last_seen
                .get_or_create(&label)
                .set(last_seen as f64 / 1000.0);
        }
    }

    /// Returns when an alert is due, if nothing changes.
    fn next(&self) -> Option<Instant> {
        let destinations = self.ops.as_ref().and_then(|ops| ops.others.next());
        [self.heartbeats.next(), destinations]
            .into_iter()
            .flatten()
            .min()
    }

    /// Raises every alert that is due at `now`. Returns whether there was any.
    async fn tell(&mut self, now: Instant) -> Result<bool, StoreError> {
        let mut any = false;
        while let Some(work) = self.first.front() {
            match work.clone() {
                Work::Tell(destination, event) => {
                    keep(&self.store, &destination, *event).await?;
                }
                Work::Forget(told) => self.store.forget(told).await?,
            }
            self.first.pop_front();
        }
        if self.heartbeats.due(now).is_some() {
            // Before it fires: after a crash between the two it is still to fire, and does not
            // begin anew.
            self.write(false).await?;
        }
        while let Some((event, destination, done)) = self.heartbeats.due(now) {
            keep(&self.store, &destination, event).await?;
            self.heartbeats.done(&done);
            any = true;
        }
        let Some(ops) = &mut self.ops else {
            return Ok(any);
        };
        while let Some((event, done)) = ops.others.due(now) {
            keep(&self.store, &ops.name, event).await?;
            ops.others.done(&done, now);
            any = true;
        }
        Ok(any)
    }

    /// Counts the dead letters, and fires where there are more than before, or resolves where there
    /// are none. Returns whether all of it was reported: within an hour of the last alert, the
    /// store drops another one. (The alert of an earlier run counts as none, because its number is
    /// not known: once too often is better than never.)
    async fn count(&mut self) -> Result<bool, StoreError> {
        let Some(ops) = &mut self.ops else {
            return Ok(true);
        };
        let remembered = Arc::clone(&self.remembered);
        let count = move || remembered.lock().dead();
        let counted = tokio::task::spawn_blocking(count)
            .await
            .map_err(|_| StoreError::Closed)??;
        let counted: BTreeMap<_, _> = counted
            .into_iter()
            .filter(|(name, _)| ops.others.contains(name))
            .collect();
        let mut all_told = true;
        for (name, alerts) in &counted {
            let more = ops.dead_letters.get(name).is_none_or(|told| alerts > told);
            if !more
                || keep(
                    &self.store,
                    &ops.name,
                    internal::dead_letters(name, *alerts),
                )
                .await?
            {
                ops.dead_letters.insert(name.clone(), *alerts);
            } else {
                all_told = false;
            }
        }
        let over: Vec<_> = ops
            .dead_letters
            .keys()
            .filter(|name| !counted.contains_key(*name))
            .cloned()
            .collect();
        for name in over {
            keep(&self.store, &ops.name, Topic::DeadLetters.resolves(&name)).await?;
            ops.dead_letters.remove(&name);
        }
        // Again and again while there is one: a request that began before a reload may still bring
        // alerts for it, and what waits may be dismissed.
        Ok(ops.count_gone(&self.store).await? && all_told)
    }

    /// Writes down when sources were heard: `all` of them, or those that have news.
    async fn write(&mut self, all: bool) -> Result<(), StoreError> {
        let now = Instant::now();
        let seen = self.heartbeats.to_write(now, all);
        if !seen.is_empty() {
            self.store.remember(seen).await?;
            self.heartbeats.written(now);
        }
        Ok(())
    }
}

impl Ops {
    /// Counts what waits for destinations that are gone, and fires or resolves where that is news.
    /// Returns whether there is none.
    async fn count_gone(&mut self, store: &Store) -> Result<bool, StoreError> {
        if self.gone.is_empty() {
            return Ok(true);
        }
        let reader = store.due_reader()?;
        let names = self.gone.keys().cloned();
        let names: Vec<_> = names.collect();
        let count = move || {
            let count = |name: String| Ok((reader.count_waiting_for(&name)?, name));
            names.into_iter().map(count).collect()
        };
        let counted: Result<Vec<_>, StoreError> = tokio::task::spawn_blocking(count)
            .await
            .map_err(|_| StoreError::Closed)?;
        for (alerts, name) in counted? {
            let told = self.gone.get(&name).copied().unwrap_or_default();
            let event = match (alerts, told) {
                (0, true) => Topic::DestinationGone.resolves(&name),
                (1.., false) => internal::destination_gone(&name, alerts),
                _ => continue,
            };
            keep(store, &self.name, event).await?;
            self.gone.insert(name, !told);
        }
        Ok(false)
    }
}

fn unless_written(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "it could not be written down when sources were heard of");
    }
}

/// Has the store keep an internal alert, and logs it where it is news. Returns whether it was.
async fn keep(
    store: &Store,
    destination: &str,
    event: contract::Alert,
) -> Result<bool, StoreError> {
    let key = event.key().to_owned();
    let status = event.status.as_str();
    let title = event.title.clone();
    let news = store
        .tell(Notice {
            destination: destination.to_owned(),
            event,
            at_ms: wall_ms(),
        })
        .await?;
    if news {
        tracing::warn!(key, status, destination, title, "internal alert");
    }
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn dead_letters_within_the_hour_fire_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            sync: false,
            ..Options::default()
        };
        let (store, closing) = Store::open(dir.path(), &options, Metrics::new()).unwrap();
        let plan = Plan {
            sources: Vec::new(),
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: Some("ops".to_owned()),
            waiting: Vec::new(),
            gone: Vec::new(),
        };
        let mut monitor = Monitor::new(&plan, store, Health::default(), Metrics::new()).unwrap();
        let file = rusqlite::Connection::open(dir.path().join("gateway.db")).unwrap();
        let refuse = |id: i64| {
            file.execute("INSERT OR IGNORE INTO destinations (name) VALUES ('d')", [])
                .unwrap();
            file.execute(
                "INSERT INTO dead SELECT ?1, id FROM destinations WHERE name = 'd'",
                [id],
            )
            .unwrap();
        };
        refuse(1);
        assert!(monitor.count().await.unwrap());
        refuse(2);
        assert!(
            !monitor.count().await.unwrap(),
            "it was told within the hour"
        );
        assert!(!monitor.count().await.unwrap(), "and is not forgotten");
        file.execute(
            "UPDATE conditions SET told_at = told_at - 60 * 60 * 1000",
            [],
        )
        .unwrap();
        assert!(monitor.count().await.unwrap());
        let titles: Vec<String> = file
            .prepare("SELECT json ->> 'title' FROM events ORDER BY alert")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            titles,
            ["1 dead letter", "2 dead letters"].map(|so| format!("Destination d has {so}"))
        );
        drop(monitor);
        closing.close().await;
    }
}
