//! Taking up a changed configuration while requests come in.
//!
//! All of the file is read and checked first, as at a start, in a sandbox of its own that is as large as the new limits ask.
//! Then the new sources stand in the place of the old ones, in one step; so there is no moment at which a configuration
//! is half taken up, and no request that meets none. The old sandbox goes with the last request that began in it. What was
//! kept knows only the names of sources, so nothing of it is lost or opened again.
//!
//! Where anything is wrong, or what has changed can only be taken up by a restart, nothing is taken up at all: half of what
//! an operator wrote is something that nobody wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::watch;

use super::{Gateway, announce, expected, known, sandbox};
use crate::config::{Config, Problems, listed};
use crate::intake::Intake;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::monitor::Reloaded;
use crate::sources::{self, Loaded};
use crate::store::Store;

/// What a running gateway needs for it.
#[derive(Debug)]
pub struct Reloading {
    started_with: Config,
    intake: Arc<Intake>,
    store: Store,
    taken: watch::Sender<Reloaded>,
    metrics: Metrics,
}

/// Why a configuration was not taken up.
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
    /// Reads the configuration again and takes up its sources and limits, or nothing. The log says what came of it. Where
    /// this is dropped before it ends, nothing was taken up.
    pub async fn reload(&mut self) {
        let Reloading { taken, metrics, .. } = &self.reloading;
        let (started, before) = (Instant::now(), names(&taken.borrow()));
        let taken_up = self.reloading.take_up(&before).await;
        let outcome = if taken_up.is_ok() { "taken_up" } else { "refused" };
        match taken_up {
            Ok(()) => {
                let (now, took_ms) = (names(&taken.borrow()), started.elapsed().as_millis() as u64);
                let list = |names: Vec<&Arc<str>>| names.iter().map(|name| &***name).collect::<Vec<_>>().join(" ");
                let new = list(now.difference(&before).collect());
                let gone = list(before.difference(&now).collect());
                tracing::info!(outcome, sources = now.len(), new, gone, took_ms, "the configuration was read again");
            }
            Err(refused) => {
                if let Refused::Problems(Problems(problems)) = &refused {
                    problems.iter().for_each(|problem| tracing::error!("{problem}"));
                }
                tracing::error!(outcome, why = %refused, "the configuration was read again; all goes on as it was");
            }
        }
        metrics.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

impl Reloading {
    /// For a gateway that was started with `config`, and so with the sources of `taken`.
    pub fn new(config: &Config, taken: Reloaded, intake: Arc<Intake>, store: Store, metrics: Metrics) -> Self {
        // Its sources are not kept: a token that was replaced is not to stay in memory.
        let started_with = Config { sources: Vec::new(), ..config.clone() };
        Self { started_with, intake, store, taken: watch::Sender::new(taken), metrics }
    }

    /// The sources, as of the latest configuration that was taken up.
    pub fn subscribe(&self) -> watch::Receiver<Reloaded> {
        self.taken.subscribe()
    }

    async fn take_up(&self, before: &BTreeSet<Arc<str>>) -> Result<(), Refused> {
        let path = self.started_with.path.clone();
        // The file, and the secrets that it names, may be on a disk that does not answer.
        let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
        let config = read.context("reading the configuration panicked")??;
        let tables = self.started_with.restarts_for(&config);
        if !tables.is_empty() {
            return Err(Refused::Restart(tables));
        }
        let Loaded { sources, warnings } = sources::load(&config, &sandbox(&config, true)?).await?;
        let expected = sources.iter().map(expected).collect();
        let sources = known(sources, &self.store).await.context("the plugins cannot be written down")?;
        for warning in config.warnings.iter().chain(&warnings) {
            tracing::warn!("{warning}");
        }
        sources.iter().filter(|(source, _)| !before.contains(&source.name)).for_each(|(source, _)| announce(source));
        // From here on nothing fails, and nothing waits.
        let since = tokio::time::Instant::now();
        self.intake.open(sources);
        self.taken.send_replace(Reloaded { sources: expected, since });
        Ok(())
    }
}

fn names(taken: &Reloaded) -> BTreeSet<Arc<str>> {
    taken.sources.iter().map(|expected| Arc::clone(&expected.source)).collect()
}
