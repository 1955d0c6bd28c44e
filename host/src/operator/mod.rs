//! What the operator must hear: the gateway's own alerts.
//!
//! They take the way of all others, through the [store](crate::store) and [delivery](crate::delivery), so that a crash
//! neither loses nor repeats them. This hallway finds out what there is to tell: a source that has fallen silent is told at
//! its own destination; a destination that is held or failing, or has refused alerts, or is gone while alerts wait for it, is
//! told at the operator's, where the configuration names one. That the store itself fails cannot go through the store, and
//! goes out [directly](direct). (That a plugin failed is kept together with its request, by [intake](crate::intake).)
//!
//! Nothing here polls: the health board, the store and the sources that are waited for tell when something has changed.

mod condition;
mod destinations;
mod direct;
mod inherit;
mod silence;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plugin_sdk::contract;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::alert::own::{self, Topic};
use crate::clock::wall_ms;
use crate::health::{Board, Health};
use crate::metrics::{Metrics, SourceLabel};
use crate::store::{Notice, Remembered, Store, StoreError, Told};

pub use direct::Direct;
pub use silence::{Expected, Taken};

use destinations::Destinations;
use silence::{Gone, Silence, WRITE};

/// How long to leave a store alone that could not keep something.
const PAUSE: Duration = Duration::from_secs(5);
/// How often something is written to a disk that took nothing, to find out whether it does again: where no request comes,
/// nobody else would.
const PROBE: Duration = Duration::from_secs(10);
/// How long to let refusals gather before they are counted again.
const GATHER: Duration = Duration::from_secs(2);
/// When to count again where more are set aside than was told, and it is not yet an hour since: that much later than then at
/// most they are told.
const RECOUNT: Duration = Duration::from_secs(5 * 60);

/// Tells the operator.
#[derive(Debug)]
pub struct Operator {
    store: Store,
    health: Health,
    metrics: Metrics,
    silence: Silence,
    ops: Option<Ops>,
    remembered: Arc<Mutex<Remembered>>,
    /// What is to be done before anything else.
    first: VecDeque<Work>,
}

/// What is told at the operator's own destination.
#[derive(Debug)]
struct Ops {
    /// Its name.
    name: String,
    /// The other destinations.
    others: Destinations,
    /// How many alerts of each are set aside, as far as that was told.
    set_aside: BTreeMap<String, i64>,
}

/// Something that the store is asked for.
#[derive(Debug, Clone)]
enum Work {
    Tell(Notice),
    /// To forget that this was told.
    Forget(Told),
}

/// What the configuration says.
#[derive(Debug)]
pub struct Plan {
    /// Every source.
    pub sources: Vec<Expected>,
    /// The names of all destinations.
    pub destinations: Vec<String>,
    /// The one at which the operator hears of the others.
    pub operator_destination: Option<String>,
    /// The names of all destinations that alerts wait for.
    pub waiting: Vec<String>,
    /// Destinations that are not configured any more, and how many alerts wait for each.
    pub gone: Vec<(String, i64)>,
}

impl Operator {
    /// Goes on from what `store` remembers of earlier runs.
    ///
    /// # Errors
    /// What the disk said.
    pub fn new(plan: &Plan, store: Store, health: Health, metrics: Metrics) -> Result<Self, StoreError> {
        let now = Instant::now();
        let remembered = store.remembered()?;
        let mut silence = Silence::new(plan.sources.clone(), remembered.seen()?, now);
        let ops = plan.operator_destination.as_ref();
        let mut others =
            ops.map(|ops| Destinations::new(plan.destinations.iter().filter(|name| *name != ops).cloned(), now));
        let (first, set_aside) = inherit::inherit(remembered.told()?, plan, &mut silence, others.as_mut());
        let ops = ops.zip(others).map(|(name, others)| Ops { name: name.clone(), others, set_aside });
        let remembered = Arc::new(Mutex::new(remembered));
        let operator = Self { store, health, metrics, silence, ops, remembered, first };
        operator.show_last_seen();
        Ok(operator)
    }

    /// Until `stop` says so; then what was heard is written down. The sources are those of `taken`, which may change.
    pub async fn run(mut self, mut taken: watch::Receiver<Taken>, mut stop: watch::Receiver<bool>) {
        let (mut board, mut trouble) = (self.health.watch(), self.store.trouble());
        let mut set_aside = self.store.set_aside();
        let start = Instant::now();
        let (mut write_at, mut count_at, mut counted_at, mut not_before) = (start + WRITE, Some(start), start, start);
        let mut recount_at: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let shown = board.borrow_and_update().clone();
            self.learn(&shown, now);
            if taken.has_changed().unwrap_or(false) {
                let taken = taken.borrow_and_update().clone();
                self.take(taken).await;
                self.learn(&shown, now);
            }
            let in_trouble = trouble.borrow_and_update().lasts;
            if write_at <= now || self.silence.is_outdated() {
                unless_written(self.write(in_trouble).await);
                write_at = now + WRITE;
            }
            if in_trouble {
                write_at = write_at.min(now + PROBE);
            }
            let mut next = Some(not_before);
            if not_before <= now {
                // Not before what is inherited was ended: that would end what the count tells as well.
                if self.first.is_empty() && [count_at, recount_at].into_iter().flatten().any(|at| at <= now) {
                    (count_at, recount_at, counted_at) = (None, None, now);
                    match self.count().await {
                        Ok(true) => {}
                        Ok(false) => recount_at = Some(now + RECOUNT),
                        Err(error) => {
                            tracing::warn!(%error, "what is set aside could not be told; it is tried again");
                            count_at = Some(now + PAUSE);
                        }
                    }
                }
                next = match self.tell(now).await {
                    // What was told may be over by now.
                    Ok(true) => continue,
                    Ok(false) => self.next(),
                    Err(error) => {
                        tracing::warn!(%error, "the operator could not be told; it is tried again");
                        not_before = now + PAUSE;
                        Some(not_before)
                    }
                };
            }
            let count = [count_at, recount_at].into_iter().flatten().min().map(|at| at.max(not_before));
            let wake = [next, count].into_iter().flatten().fold(write_at, Instant::min);
            tokio::select! {
                changed = board.changed() => if changed.is_err() { return },
                // Not with every commit that fails, as what is told here fails with them.
                changed = trouble.wait_for(|trouble| trouble.lasts != in_trouble) => if changed.is_err() { return },
                changed = set_aside.changed(), if count_at.is_none() => match changed {
                    Ok(()) => count_at = Some(Instant::now().max(counted_at + GATHER)),
                    Err(_) => return,
                },
                () = self.health.came() => {}
                Ok(()) = taken.changed() => taken.mark_changed(),
                () = tokio::time::sleep_until(wake) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.learn(&Board::default(), Instant::now());
        unless_written(self.write(false).await);
    }

    /// Learns how the destinations are, and what has come.
    fn learn(&mut self, board: &Board, now: Instant) {
        if let Some(ops) = &mut self.ops {
            ops.others.find(board, now);
        }
        // In this order: what comes between the two is waited for.
        self.silence.awaited().for_each(|source| self.health.wait_for(source));
        self.silence.hear(&self.health.last_heard());
        for (source, silent) in self.silence.states(now) {
            let label = SourceLabel { source: Arc::clone(source) };
            self.metrics.source_silent.get_or_create(&label).set(i64::from(silent));
        }
    }

    /// Listens to these sources from now on. What was told of those that are gone is over, wherever it was told.
    async fn take(&mut self, taken: Taken) {
        let expected = |silence: &Silence| -> HashSet<_> { silence.expected().cloned().collect() };
        let before = expected(&self.silence);
        let mut seen = Vec::new();
        for Gone { expected: Expected { source, destination, .. }, seen: last, told } in self.silence.take(taken) {
            if told {
                let (destination, event) = (destination.to_string(), Topic::Silent.ends(&source));
                self.first.push_back(Work::Tell(Notice { destination, event, at_ms: wall_ms() }));
            }
            self.metrics.source_last_seen.remove(&SourceLabel { source });
            seen.push(last);
        }
        for source in before.difference(&expected(&self.silence)) {
            self.metrics.source_silent.remove(&SourceLabel { source: Arc::clone(source) });
        }
        self.show_last_seen();
        if !seen.is_empty()
            && let Err(error) = self.store.remember(seen).await
        {
            tracing::warn!(%error, "it could not be written down when the sources that are gone were heard of");
        }
    }

    fn show_last_seen(&self) {
        for (source, last_seen) in self.silence.last_seen() {
            let label = SourceLabel { source: Arc::clone(source) };
            self.metrics.source_last_seen.get_or_create(&label).set(last_seen as f64 / 1000.0);
        }
    }

    /// When there is something to tell, if nothing changes.
    fn next(&self) -> Option<Instant> {
        let destinations = self.ops.as_ref().and_then(|ops| ops.others.next());
        [self.silence.next(), destinations].into_iter().flatten().min()
    }

    /// Tells all that there is to tell at `now`. Says whether there was anything.
    async fn tell(&mut self, now: Instant) -> Result<bool, StoreError> {
        let mut any = false;
        while let Some(work) = self.first.front() {
            match work.clone() {
                Work::Tell(notice) => drop(keep(&self.store, &notice.destination, notice.event).await?),
                Work::Forget(told) => self.store.forget(told).await?,
            }
            self.first.pop_front();
        }
        if self.silence.due(now).is_some() {
            // Before it is told: whoever starts after a crash between the two finds it still to be told, and not over again.
            self.write(false).await?;
        }
        while let Some((event, destination, done)) = self.silence.due(now) {
            keep(&self.store, &destination, event).await?;
            self.silence.done(&done);
            any = true;
        }
        let Some(ops) = &mut self.ops else { return Ok(any) };
        while let Some((event, done)) = ops.others.due(now) {
            keep(&self.store, &ops.name, event).await?;
            ops.others.done(&done, now);
            any = true;
        }
        Ok(any)
    }

    /// Counts what is set aside, and tells of more than before, or of none any more. Says whether all of it is told: within an
    /// hour of the last alert, the store takes none of more. (What an earlier run told counts as none, as how many it told of
    /// is not known: once too often is better than never.)
    async fn count(&mut self) -> Result<bool, StoreError> {
        let Some(ops) = &mut self.ops else { return Ok(true) };
        let remembered = Arc::clone(&self.remembered);
        let count = move || remembered.lock().unwrap_or_else(PoisonError::into_inner).set_aside();
        let counted = tokio::task::spawn_blocking(count).await.map_err(|_| StoreError::Closed)??;
        let counted: BTreeMap<_, _> = counted.into_iter().filter(|(name, _)| ops.others.contains(name)).collect();
        let mut all_told = true;
        for (name, alerts) in &counted {
            let more = ops.set_aside.get(name).is_none_or(|told| alerts > told);
            if !more || keep(&self.store, &ops.name, own::set_aside(name, *alerts)).await? {
                ops.set_aside.insert(name.clone(), *alerts);
            } else {
                all_told = false;
            }
        }
        let over: Vec<_> = ops.set_aside.keys().filter(|name| !counted.contains_key(*name)).cloned().collect();
        for name in over {
            keep(&self.store, &ops.name, Topic::SetAside.ends(&name)).await?;
            ops.set_aside.remove(&name);
        }
        Ok(all_told)
    }

    /// Writes down when sources were heard of: `all` of them, or those that have news.
    async fn write(&mut self, all: bool) -> Result<(), StoreError> {
        let now = Instant::now();
        let seen = self.silence.to_write(now, all);
        if !seen.is_empty() {
            self.store.remember(seen).await?;
            self.silence.written(now);
        }
        Ok(())
    }
}

fn unless_written(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "it could not be written down when sources were heard of");
    }
}

/// Has the store keep an alert, and says so in the log where it is news. Says whether it was.
async fn keep(store: &Store, destination: &str, event: contract::Alert) -> Result<bool, StoreError> {
    let (key, status, title) = (event.key().to_owned(), event.status.as_str(), event.title.clone());
    let news = store.tell(Notice { destination: destination.to_owned(), event, at_ms: wall_ms() }).await?;
    if news {
        tracing::warn!(key, status, destination, title, "the gateway tells of itself");
    }
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn refusals_within_the_hour_are_told_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { sync: false, ..Options::default() };
        let (store, closing) = Store::open(dir.path(), &options, Metrics::new()).unwrap();
        let plan = Plan {
            sources: Vec::new(),
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: Some("ops".to_owned()),
            waiting: Vec::new(),
            gone: Vec::new(),
        };
        let mut operator = Operator::new(&plan, store, Health::default(), Metrics::new()).unwrap();
        let file = rusqlite::Connection::open(dir.path().join("gateway.db")).unwrap();
        let refuse = |id: i64| {
            let sql = "INSERT INTO alerts (id, source, event_id, destination, lane, state) VALUES (?1, 's', ?1, 'd', 0, 'set_aside')";
            file.execute(sql, [id]).unwrap();
        };
        refuse(1);
        assert!(operator.count().await.unwrap());
        refuse(2);
        assert!(!operator.count().await.unwrap(), "it was told within the hour");
        assert!(!operator.count().await.unwrap(), "and is not forgotten");
        file.execute("UPDATE conditions SET told_at = told_at - 60 * 60 * 1000", []).unwrap();
        assert!(operator.count().await.unwrap());
        let titles: Vec<String> = file
            .prepare("SELECT json ->> 'title' FROM events ORDER BY alert")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(titles, [1, 2].map(|alerts| format!("{alerts} alerts for destination d are set aside")));
        drop(operator);
        closing.close().await;
    }
}
