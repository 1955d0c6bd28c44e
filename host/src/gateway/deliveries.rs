//! The deliveries that run, one for each configured destination, and their changes at a reload.
//!
//! A destination whose settings, or files, have changed gets a new client, which its delivery takes
//! up between two attempts: what is under way ends with the old one, so no alert is under way
//! twice. A removed one ends its attempts and sends no more; what waits for it stays in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::tasks::Tasks;
use crate::config::{self, Config, Digest, Problems};
use crate::delivery::Delivery;
use crate::destinations::Destination;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::spans::Spans;
use crate::store::Store;

/// The deliveries that run.
#[derive(Debug)]
pub struct Deliveries {
    running: BTreeMap<String, Running>,
    /// Those that were removed and may still end an attempt.
    ending: BTreeMap<String, CancellationToken>,
    store: Store,
    health: Health,
    metrics: Metrics,
    spans: Spans,
}

#[derive(Debug)]
struct Running {
    wanted: Wanted,
    client: watch::Sender<Destination>,
    stop: CancellationToken,
    /// Cancelled once its last attempt is settled.
    ended: CancellationToken,
}

/// All that decides how a destination is sent to.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    configured: config::Destination,
    /// The content of the files that it names.
    files: Vec<Option<Digest>>,
}

/// Changes that were checked, and cannot fail any more.
#[derive(Debug, Default)]
pub struct Change {
    changed: Vec<(Wanted, Destination)>,
    added: Vec<(Wanted, watch::Sender<Destination>, Delivery)>,
    /// The names of those that are gone, and how many alerts wait for each.
    pub removed: Vec<(String, i64)>,
}

impl Deliveries {
    /// Returns none yet.
    pub fn new(store: Store, health: Health, metrics: Metrics, spans: Spans) -> Self {
        Self {
            running: BTreeMap::new(),
            ending: BTreeMap::new(),
            store,
            health,
            metrics,
            spans,
        }
    }

    /// Returns what has to change for `config`. Nothing is changed yet.
    ///
    /// # Errors
    /// [`Problems`] of destinations that can never be sent to; or a store that cannot be read.
    pub async fn change(&self, config: &Config) -> anyhow::Result<Change> {
        let mut change = Change::default();
        let mut problems = Vec::new();
        for configured in &config.destinations {
            let name = &configured.name;
            let wanted = Wanted::of(configured, config);
            let running = self.running.get(name);
            if running.is_some_and(|running| running.wanted == wanted) {
                continue;
            }
            let client = match Destination::configured(config, configured) {
                Ok(client) => client,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if running.is_some() {
                change.changed.push((wanted, client));
                continue;
            }
            // It was removed a moment ago, and an alert must not be under way twice.
            if let Some(ended) = self.ending.get(name) {
                ended.cancelled().await;
            }
            let concurrency = client.concurrency();
            let (sender, following) = watch::channel(client.clone());
            let health = self.health.clone();
            let metrics = self.metrics.clone();
            let store = self.store.clone();
            let delivery = Delivery::new(
                name.as_str().into(),
                client,
                concurrency,
                store,
                health,
                metrics,
            )?;
            change.added.push((
                wanted,
                sender,
                delivery.following(following).traced(self.spans.clone()),
            ));
        }
        if !problems.is_empty() {
            return Err(Problems(problems).into());
        }
        for name in self.running.keys() {
            if config.destinations.iter().all(|one| one.name != *name) {
                let snapshot = self.store.snapshot()?;
                let counted = name.clone();
                let count = move || snapshot.count_waiting_for(&counted);
                let alerts = tokio::task::spawn_blocking(count)
                    .await
                    .context("counting what waits panicked")??;
                change.removed.push((name.clone(), alerts));
            }
        }
        Ok(change)
    }

    /// Makes a change, with tasks that stop together with those of `tasks`.
    pub fn apply(&mut self, change: Change, tasks: &mut Tasks) {
        self.ending.retain(|_, ended| !ended.is_cancelled());
        for (wanted, client) in change.changed {
            if let Some(running) = self.running.get_mut(&wanted.configured.name) {
                running.client.send_replace(client);
                running.wanted = wanted;
            }
        }
        for (name, alerts) in change.removed {
            if let Some(running) = self.running.remove(&name) {
                running.stop.cancel();
                if alerts > 0 {
                    tracing::error!(
                        destination = name,
                        alerts,
                        "a destination was removed while alerts wait for it; \
                        they are kept, and go out once a destination has this name again"
                    );
                }
                self.ending.insert(name, running.ended);
            }
        }
        for (wanted, client, delivery) in change.added {
            let name = wanted.configured.name.clone();
            let fallback = wanted.configured.fallback.as_ref();
            self.metrics
                .add_destination(&Arc::from(&*name), fallback.map(|one| &*one.destination));
            let stop = tasks.stopped().child_token();
            let ended = CancellationToken::new();
            let all = tasks.stopped().clone();
            let health = self.health.clone();
            let metrics = self.metrics.clone();
            let label = Arc::<str>::from(&*name);
            let guard = ended.clone().drop_guard();
            let running = stop.clone();
            tasks.spawn_until("deliveries", stop.clone(), async move {
                delivery.run(running).await;
                if !all.is_cancelled() {
                    health.remove_destination(&label);
                    metrics.remove_destination(&label);
                }
                drop(guard);
            });
            let running = Running {
                wanted,
                client,
                stop,
                ended,
            };
            self.running.insert(name, running);
        }
    }

    /// Returns the destinations, by name.
    pub fn clients(&self) -> Vec<(String, Destination)> {
        let running = self.running.iter();
        running
            .map(|(name, running)| (name.clone(), running.client.borrow().clone()))
            .collect()
    }

    /// Returns the client of a destination, and each later one.
    pub fn client(&self, name: &str) -> Option<watch::Receiver<Destination>> {
        Some(self.running.get(name)?.client.subscribe())
    }
}

impl Wanted {
    fn of(configured: &config::Destination, config: &Config) -> Self {
        let files = configured.network.files();
        Self {
            configured: configured.clone(),
            files: files.map(|path| config.files.get(path).copied()).collect(),
        }
    }
}

impl Change {
    /// Returns how many destinations change or are new.
    pub fn count(&self) -> usize {
        self.changed.len() + self.added.len()
    }
}
