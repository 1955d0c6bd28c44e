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
mod open;
mod orphans;
mod pings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use plugin_sdk::contract;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alert::internal::Topic;
use crate::clock::wall_ms;
use crate::health::{Board, Health};
use crate::metrics::{Metrics, SourceLabel};
use crate::policy::CurrentMutes;
use crate::store::{Notice, Snapshot, Store, StoreError};

pub use direct::Direct;
pub use heartbeat::{Expected, Reloaded};
pub use pings::{Beat, Pings};

use destinations::{Destinations, HEALTH};
use heartbeat::{Heartbeats, WRITE};
use open::Open;
use orphans::{Orphan, Watchers};

/// The pause after a failed write to the store.
const PAUSE: Duration = Duration::from_secs(5);
/// The interval at which a write probes a failing disk: without requests, nothing else would write
/// to it.
const PROBE: Duration = Duration::from_secs(10);
/// The time after which a mute is asked again whether it still holds a missed heartbeat.
const LOOK: Duration = Duration::from_secs(5);
/// The time for which dead letters gather before they are counted again.
const GATHER: Duration = Duration::from_secs(2);
/// The interval of recounts within an hour of the last alert about dead letters.
const RECOUNT: Duration = Duration::from_secs(5 * 60);

/// Raises internal alerts, and resolves them.
#[derive(Debug)]
pub struct Monitor {
    store: Store,
    health: Health,
    metrics: Metrics,
    heartbeats: Heartbeats,
    destinations: Destinations,
    /// The names of all destinations.
    configured: Vec<String>,
    open: Open,
    mutes: CurrentMutes,
    /// The time of the next count of dead letters and of what waits for destinations that are gone.
    count_at: Option<Instant>,
    counted_at: Instant,
    remembered: Arc<Mutex<Snapshot>>,
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
    /// The names of those that are not configured any more.
    pub gone: Vec<String>,
    /// The mutes that hold now.
    pub mutes: CurrentMutes,
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
        let open = Open::new(remembered.told()?);
        let operators = plan.operator_destination.as_deref();
        let mut destinations = Destinations::new(operators, &plan.destinations, &plan.gone, now);
        for topic in HEALTH {
            for name in open.about(topic) {
                if open.place(&topic.key(name)) == destinations.fires_at(name) {
                    let waits = plan.waiting.iter().any(|one| one == name);
                    destinations.inherit(topic, name, waits, now);
                }
            }
        }
        let monitor = Self {
            heartbeats: Heartbeats::new(plan.sources.clone(), remembered.seen()?, now),
            store,
            health,
            metrics,
            destinations,
            configured: plan.destinations.clone(),
            open,
            mutes: plan.mutes.clone(),
            count_at: Some(now),
            counted_at: now,
            remembered: Arc::new(Mutex::new(remembered)),
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
        let mut not_before = start;
        loop {
            let now = Instant::now();
            let shown = board.borrow_and_update().clone();
            self.learn(&shown, now);
            if taken.has_changed().unwrap_or(false) {
                let taken = taken.borrow_and_update().clone();
                self.take(taken).await;
                self.learn(&shown, now);
                self.count_at = Some(now);
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
            let soon = self.counted_at + GATHER;
            let wake = next.map_or(write_at, |at| at.min(write_at));
            tokio::select! {
                changed = board.changed() => if changed.is_err() { return },
                // Not with every commit that fails, because internal alerts fail with them.
                changed = trouble.wait_for(|trouble| trouble.lasts != in_trouble) => if changed.is_err() { return },
                changed = dead.changed(), if self.count_at.is_none_or(|at| at > soon) => match changed {
                    Ok(()) => self.count_at = Some(soon.max(Instant::now())),
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
        self.destinations.find(board, now);
        // In this order: what comes between the two is waited for.
        self.heartbeats
            .awaited(&self.open)
            .for_each(|source| self.health.wait_for(source));
        self.heartbeats.hear(&self.health.last_heard());
        for (source, silent) in self.heartbeats.states(now) {
            let missed = &self.metrics.source_heartbeat_missed;
            missed.get_or_create(&label(source)).set(i64::from(silent));
        }
    }

    /// Watches these sources and destinations from now on.
    async fn take(&mut self, taken: Reloaded) {
        self.destinations.take(&taken.destinations, taken.since);
        self.configured = taken.destinations;
        let gone = self.heartbeats.take(taken.sources, taken.since);
        let names: Vec<_> = gone.iter().map(|seen| Arc::from(&*seen.source)).collect();
        for source in &names {
            self.metrics.source_last_seen.remove(&label(source));
        }
        for source in names.iter().chain(self.heartbeats.unexpected()) {
            self.metrics.source_heartbeat_missed.remove(&label(source));
        }
        self.show_last_seen();
        if !gone.is_empty()
            && let Err(error) = self.store.remember(gone).await
        {
            tracing::warn!(%error, "it could not be written down when the sources that are gone were heard of");
        }
        // Other parts of the gateway have told of sources since the start.
        match self.read(|snapshot| snapshot.told()).await {
            Ok(told) => self.open = Open::new(told),
            Err(error) => tracing::warn!(%error, "the open internal alerts could not be read"),
        }
    }

    fn show_last_seen(&self) {
        for (source, last_seen) in self.heartbeats.last_seen() {
            let shown = self.metrics.source_last_seen.get_or_create(&label(source));
            shown.set(last_seen as f64 / 1000.0);
        }
    }

    /// Returns when an alert is due, if nothing changes.
    fn next(&self) -> Option<Instant> {
        let heartbeat = self.heartbeats.next(&self.open);
        let condition = self.destinations.next();
        [self.count_at, heartbeat, condition]
            .into_iter()
            .flatten()
            .min()
    }

    /// Raises every alert that is due at `now`. Returns whether there was any.
    async fn tell(&mut self, now: Instant) -> Result<bool, StoreError> {
        let mut any = false;
        while let Some(Orphan { told, end }) = self.orphan() {
            match end {
                Some(event) => {
                    self.raise(&told.destination, event).await?;
                }
                None => {
                    self.store.forget(told.clone()).await?;
                    self.open.forget(&told.key);
                }
            }
        }
        let mut is_written = false;
        while let Some((event, destination)) = self.heartbeats.due(now, &self.open) {
            let source = Topic::MissedHeartbeat.name_in(event.key());
            let source = source.unwrap_or_default();
            if self.mutes.get().of(source, &event, wall_ms()).is_some() {
                self.heartbeats.hold(source, now + LOOK);
                continue;
            }
            // Before it fires: after a crash between the two it is still to fire, and does not
            // begin anew.
            if !is_written {
                self.write(false).await?;
                is_written = true;
            }
            self.raise(&destination, event).await?;
            any = true;
        }
        while let Some((event, operators, done)) = self.destinations.due(now) {
            self.raise(&operators, event).await?;
            self.destinations.done(&done, now);
            any = true;
        }
        // Not before orphans have ended: that would end the count's alert as well.
        if self.count_at.is_some_and(|at| at <= now) {
            let all_told = self.count().await?;
            self.counted_at = now;
            self.count_at = (!all_told).then(|| now + RECOUNT);
        }
        Ok(any)
    }

    fn orphan(&self) -> Option<Orphan> {
        let watchers = Watchers {
            heartbeats: &self.heartbeats,
            destinations: &self.destinations,
            configured: &self.configured,
        };
        watchers.orphan(&self.open)
    }

    /// Counts dead letters, and what waits for destinations that are gone, and raises what that
    /// calls for. Returns whether all of it was told and nothing is left to count: within an hour of
    /// the last alert about dead letters, the store drops another one. (The alert of an earlier run
    /// counts as none, because its number is not known: once too often is better than never.)
    async fn count(&mut self) -> Result<bool, StoreError> {
        let [watched, gone] = self.destinations.names();
        if watched.is_empty() && gone.is_empty() {
            return Ok(true);
        }
        // Again and again while one is gone: a request that began before a reload may still bring
        // alerts for it, and what waits may be dismissed.
        let mut all_told = gone.is_empty();
        let counts = self.read(move |snapshot| {
            let dead: BTreeMap<_, _> = snapshot.dead()?.into_iter().collect();
            let dead = |name: String| {
                let alerts = dead.get(&name).copied().unwrap_or_default();
                (Topic::DeadLetters, name, alerts)
            };
            let mut counts: Vec<_> = watched.into_iter().map(dead).collect();
            for name in gone {
                let alerts = snapshot.count_waiting_for(&name)?;
                counts.push((Topic::DestinationGone, name, alerts));
            }
            Ok(counts)
        });
        for (topic, name, alerts) in counts.await? {
            let open = &self.open;
            let due = self.destinations.due_by_count(topic, &name, alerts, open);
            let Some((event, operators)) = due else {
                continue;
            };
            let news = self.raise(&operators, event).await?;
            if !news && topic == Topic::DeadLetters {
                all_told = false;
            } else if let Some(said) = self.destinations.said(topic, &name) {
                *said = alerts;
            }
        }
        Ok(all_told)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let remembered = Arc::clone(&self.remembered);
        let read = tokio::task::spawn_blocking(move || read(&remembered.lock()));
        read.await.map_err(|_| StoreError::Closed)?
    }

    /// Has the store keep an internal alert, and logs it where it is news. Returns whether it was.
    async fn raise(
        &mut self,
        destination: &str,
        event: contract::Alert,
    ) -> Result<bool, StoreError> {
        let key = event.key().to_owned();
        let status = event.status;
        let title = event.title.clone();
        let notice = Notice {
            destination: destination.to_owned(),
            event,
            at_ms: wall_ms(),
        };
        let news = self.store.tell(notice).await?;
        if news {
            let status = status.as_str();
            tracing::warn!(key, status, destination, title, "internal alert");
        }
        self.open.note(key, status, destination);
        Ok(news)
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

fn label(source: &Arc<str>) -> SourceLabel {
    let source = Arc::clone(source);
    SourceLabel { source }
}

fn unless_written(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "it could not be written down when sources were heard of");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mutes;
    use crate::store::{MuteRecord, Options};

    #[tokio::test]
    async fn mute_of_a_source_holds_its_missed_heartbeat() {
        const HOUR: Duration = Duration::from_secs(3600);
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            sync: false,
            ..Options::default()
        };
        let (store, closing) = Store::open(dir.path(), &options, Metrics::new()).unwrap();
        let muted = |source: &str| MuteRecord {
            id: 1,
            name: None,
            conditions: vec![("source".to_owned(), source.to_owned())],
            from_ms: 0,
            until_ms: 9_000_000_000_000,
            why: "maintenance".to_owned(),
            who: "me".to_owned(),
            ended_ms: None,
            events: 0,
            holds: true,
        };
        let plan = Plan {
            sources: ["a", "b"]
                .map(|source| Expected {
                    source: source.into(),
                    destination: "d".into(),
                    every: Some(HOUR),
                })
                .into(),
            destinations: vec!["d".to_owned()],
            operator_destination: None,
            waiting: Vec::new(),
            gone: Vec::new(),
            mutes: CurrentMutes::default(),
        };
        plan.mutes.set(Mutes::new(&[], &[muted("a")]));
        let mut monitor = Monitor::new(&plan, store, Health::default(), Metrics::new()).unwrap();
        let now = Instant::now() + 2 * HOUR;
        assert!(monitor.tell(now).await.unwrap());
        let told = |monitor: &Monitor| {
            monitor
                .open
                .about(Topic::MissedHeartbeat)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(told(&monitor), "b");
        plan.mutes.set(Mutes::default());
        assert!(!monitor.tell(now).await.unwrap());
        assert_eq!(monitor.heartbeats.next(&monitor.open), Some(now + LOOK));
        assert!(monitor.tell(now + LOOK).await.unwrap());
        assert_eq!(told(&monitor), "a b");
        drop(monitor);
        closing.close().await;
    }

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
            mutes: CurrentMutes::default(),
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
