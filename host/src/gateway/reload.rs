//! Hot reload: applies a changed configuration while requests come in.
//!
//! The whole file is read and checked first, as at a start, in a sandbox of its own with the new
//! limits. Then the new sources replace the old ones in one step: no request sees half a
//! configuration, or none. The old sandbox is dropped with the last request that began in it. The
//! store knows sources by name only, so a reload neither loses nor reopens anything.
//!
//! If anything is wrong, or a change needs a restart, nothing is applied: half of a configuration
//! is one that no operator wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::watch;

use super::{Gateway, announce, expected, known, sandbox};
use crate::config::{Config, Problems, causes, listed};
use crate::intake::Intake;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::monitor::Reloaded;
use crate::sources;
use crate::store::Store;

/// The parts of a running gateway that a reload changes or asks.
#[derive(Debug)]
pub struct Reloading {
    started_with: Config,
    intake: Arc<Intake>,
    store: Store,
    taken: watch::Sender<Reloaded>,
    metrics: Metrics,
}

/// The reason why a configuration was not applied.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("what is wrong is told above, and by `alert-gateway check`")]
    Problems(#[from] Problems),
    #[error("what has changed in {} needs a restart, and a restart loses nothing", listed(.0.iter().map(|t| &**t), "and"))]
    Restart(Vec<String>),
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Gateway {
    /// Reads the configuration again and applies its sources and limits, or nothing. The log has
    /// the outcome. If this is dropped before it ends, nothing was applied.
    pub async fn reload(&mut self) {
        let Reloading { taken, metrics, .. } = &self.reloading;
        let (started, before) = (Instant::now(), names(&taken.borrow()));
        let taken_up = self.reloading.take_up(&before).await;
        let outcome = if taken_up.is_ok() {
            "taken_up"
        } else {
            "refused"
        };
        match taken_up {
            Ok(()) => {
                let (now, took_ms) = (names(&taken.borrow()), started.elapsed().as_millis() as u64);
                let list = |names: Vec<&Arc<str>>| {
                    names
                        .iter()
                        .map(|name| &***name)
                        .collect::<Vec<_>>()
                        .join(" ")
                };
                let new = list(now.difference(&before).collect());
                let gone = list(before.difference(&now).collect());
                tracing::info!(
                    outcome,
                    sources = now.len(),
                    new,
                    gone,
                    took_ms,
                    "the configuration was read again"
                );
            }
            Err(refused) => {
                if let Refused::Problems(Problems(problems)) = &refused {
                    causes(problems)
                        .iter()
                        .for_each(|cause| tracing::error!("{cause}"));
                }
                tracing::error!(outcome, why = %refused, "the configuration was read again; all goes on as it was");
            }
        }
        metrics
            .reloads
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }
}

impl Reloading {
    /// Prepares reloads of a gateway that was started with `config`, and so with the sources of
    /// `taken`.
    pub fn new(
        config: &Config,
        taken: Reloaded,
        intake: Arc<Intake>,
        store: Store,
        metrics: Metrics,
    ) -> Self {
        // Its sources are dropped: a replaced token must not stay in memory.
        let started_with = Config {
            sources: Vec::new(),
            ..config.clone()
        };
        Self {
            started_with,
            intake,
            store,
            taken: watch::Sender::new(taken),
            metrics,
        }
    }

    /// Watches the sources of the latest applied configuration.
    pub fn subscribe(&self) -> watch::Receiver<Reloaded> {
        self.taken.subscribe()
    }

    async fn take_up(&self, before: &BTreeSet<Arc<str>>) -> Result<(), Refused> {
        let path = self.started_with.path.clone();
        // The file and its secrets may be on a disk that does not answer.
        let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
        let config = read.context("reading the configuration panicked")??;
        let tables = self.started_with.restarts_for(&config);
        if !tables.is_empty() {
            return Err(Refused::Restart(tables));
        }
        let loaded = sources::load(&config, &sandbox(&config, true)?).await?;
        let warnings = super::warnings(&config, &loaded);
        let sources = loaded.sources;
        let expected = sources.iter().map(expected).collect();
        let sources = known(sources, &self.store)
            .await
            .context("the plugins cannot be written down")?;
        for cause in causes(&warnings) {
            tracing::warn!("{cause}");
        }
        sources
            .iter()
            .filter(|(source, _)| !before.contains(&source.name))
            .for_each(|(source, _)| announce(source));
        // From here on nothing fails, and nothing waits.
        let since = tokio::time::Instant::now();
        self.intake.open(sources);
        self.taken.send_replace(Reloaded {
            sources: expected,
            since,
        });
        Ok(())
    }
}

fn names(taken: &Reloaded) -> BTreeSet<Arc<str>> {
    taken
        .sources
        .iter()
        .map(|expected| Arc::clone(&expected.source))
        .collect()
}
