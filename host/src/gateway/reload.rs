//! Hot reload: applies a changed configuration while requests come in.
//!
//! The whole file is read and checked first, as at a start, in a sandbox of its own with the new
//! limits. Then the destinations, the sources, the credentials of the admin listener and the
//! heartbeat replace the old ones in one step: no request sees half a configuration, or none. The old sandbox is dropped with the last request that began in
//! it. The store knows sources and destinations by name only, so a reload neither loses nor reopens
//! anything.
//!
//! If anything is wrong, or a change needs a restart, nothing is applied: half of a configuration
//! is one that no operator wrote.
//!
//! Three things lead to a reload: SIGHUP, the command `reload`, and the changed file of a secret.
//! The last one reads the text that is in use, and not the file, which may be half edited.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use alert_gateway_sandbox::Compiler;
use anyhow::Context;
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use super::control::{Answer, Asked, Question};
use super::deliveries::Deliveries;
use super::secrets::Secrets;
use super::tasks::Tasks;
use super::{Gateway, setup, shadow, systemd};
use crate::admin::{Admin, Catalogue};
use crate::clock::wall_ms;
use crate::config::{Config, Problems, ReloadMode, causes, listed};
use crate::intake::Intake;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::monitor::{Beat, Reloaded};
use crate::sources::{self, Source};
use crate::store::Store;

/// The parts of a running gateway that a reload changes or asks.
#[derive(Debug)]
pub struct Reloading {
    /// The configuration at the start, without secrets: what of it has changed needs a restart.
    started_with: Config,
    /// The configuration in use, without its sources and destinations.
    in_use: Config,
    secrets: Secrets,
    intake: Arc<Intake>,
    store: Store,
    taken: watch::Sender<Reloaded>,
    metrics: Metrics,
    followers: Followers,
    compiler: Option<Compiler>,
}

/// The parts that take up their share of a configuration as soon as it is applied.
#[derive(Debug)]
pub struct Followers {
    /// Has the configuration as the admin listener shows it.
    pub catalogue: watch::Sender<Arc<Catalogue>>,
    /// The admin listener, where there is one.
    pub admin: Option<Admin>,
    /// Has the outgoing heartbeat.
    pub heartbeat: watch::Sender<Option<Beat>>,
}

impl Followers {
    fn take_up(&self, config: &Config, catalogue: Arc<Catalogue>, beat: Option<Option<Beat>>) {
        self.catalogue.send_replace(catalogue);
        if let (Some(pages), Some(admin)) = (&self.admin, &config.gateway.admin) {
            pages.take_up(admin);
        }
        if let Some(beat) = beat {
            self.heartbeat.send_replace(beat);
        }
    }
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

impl Refused {
    /// Returns the problems of a configuration as such.
    fn of(error: anyhow::Error) -> Self {
        error.downcast().map_or_else(Self::Failed, Self::Problems)
    }
}

/// The text that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The text of the file.
    File,
    /// The text that is in use, with the present secrets.
    Secrets,
}

/// A configuration that was applied.
struct Taken {
    summary: String,
    destinations: usize,
    warnings: Vec<String>,
}

impl Gateway {
    /// Reloads at each SIGHUP, at each question of `alert-gateway reload`, and when the file of a
    /// secret has changed. One that comes during a reload leads to another, which reads what is
    /// written by then. If this is dropped before a reload ends, that one applied nothing.
    pub async fn attend(&mut self, mut hangup: Signal) -> Infallible {
        loop {
            tokio::select! {
                _ = hangup.recv() => drop(self.reload(From::File).await),
                Some(Asked { question, answer }) = self.asked.recv() => {
                    let answered = match question {
                        Question::Reload => self.reload(From::File).await,
                        Question::LogShown => self.log(),
                        Question::Log { filter, who } => {
                            self.change_log(filter.as_deref(), who).await
                        }
                        // The socket answers them itself.
                        Question::Test { .. }
                        | Question::Traced
                        | Question::Answered { .. }
                        | Question::Look { .. } => continue,
                    };
                    // A client that has left has the log.
                    let _ = answer.send(answered);
                }
                Some(asked) = self.tests.recv() => self.test(asked),
                Some(_) = self.testing.join_next() => {}
                () = self.reloading.secrets.changed() => {
                    tracing::info!("the file of a secret has changed");
                    self.reload(From::Secrets).await;
                }
            }
        }
    }

    /// Reads the configuration again and applies its destinations, sources and limits, or nothing.
    /// The log has the outcome.
    async fn reload(&mut self, from: From) -> Answer {
        systemd::reloading();
        let started = Instant::now();
        let before = names(&self.reloading.taken.borrow());
        let Self {
            reloading,
            deliveries,
            delivery,
            ..
        } = self;
        let taken_up = reloading.take_up(from, &before, deliveries, delivery).await;
        let outcome = if taken_up.is_ok() {
            "taken_up"
        } else {
            "refused"
        };
        let metrics = &reloading.metrics;
        metrics
            .last_reload_successful
            .set(i64::from(taken_up.is_ok()));
        metrics
            .reloads
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
        match taken_up {
            Ok(Taken {
                summary,
                destinations,
                warnings,
            }) => {
                metrics.last_reload_success.set(wall_ms() as f64 / 1000.0);
                let now = names(&reloading.taken.borrow());
                let took_ms = started.elapsed().as_millis() as u64;
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
                    destinations,
                    took_ms,
                    "the configuration was read again"
                );
                systemd::ready(&summary);
                Answer::Reloaded { summary, warnings }
            }
            Err(refused) => {
                let problems: Vec<_> = match &refused {
                    Refused::Problems(Problems(problems)) => {
                        causes(problems).iter().map(ToString::to_string).collect()
                    }
                    _ => Vec::new(),
                };
                problems
                    .iter()
                    .for_each(|problem| tracing::error!("{problem}"));
                tracing::error!(outcome, why = %refused, "the configuration was read again; all goes on as it was");
                systemd::ready("the changed configuration was refused; the one before is in use");
                Answer::Refused {
                    problems,
                    why: refused.to_string(),
                }
            }
        }
    }
}

impl Reloading {
    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Prepares reloads of a gateway that was started with `config`, and so with the sources of
    /// `taken`.
    pub fn new(
        config: &Config,
        taken: Reloaded,
        intake: Arc<Intake>,
        store: Store,
        metrics: Metrics,
        followers: Followers,
        compiler: Option<Compiler>,
    ) -> Self {
        let mut secrets = Secrets::default();
        secrets.follow(config.files.clone());
        metrics.last_reload_successful.set(1);
        metrics.last_reload_success.set(wall_ms() as f64 / 1000.0);
        Self {
            started_with: config.clone().without_secrets(),
            in_use: in_use(config),
            secrets,
            intake,
            store,
            taken: watch::Sender::new(taken),
            metrics,
            followers,
            compiler,
        }
    }

    /// Watches the sources and destinations of the latest applied configuration.
    pub fn subscribe(&self) -> watch::Receiver<Reloaded> {
        self.taken.subscribe()
    }

    async fn take_up(
        &mut self,
        from: From,
        before: &BTreeSet<Arc<str>>,
        deliveries: &mut Deliveries,
        tasks: &mut Tasks,
    ) -> Result<Taken, Refused> {
        let in_use = self.in_use.clone();
        // The file and its secrets may be on a disk that does not answer.
        let read = tokio::task::spawn_blocking(move || match from {
            From::File => Config::load(&in_use.path),
            From::Secrets => in_use.again(),
        });
        let config = read.await.context("reading the configuration panicked")??;
        let tables = self.started_with.restarts_for(&config);
        if !tables.is_empty() {
            return Err(Refused::Restart(tables));
        }
        let loaded =
            sources::load(&config, &setup::cached_sandbox(&config, self.compiler)?).await?;
        let warnings = setup::warnings(&config, &loaded);
        let sources = loaded.sources;
        let strict = config.gateway.reload == ReloadMode::Strict;
        let changes = self.changes(&sources, strict).await?;
        let differences = shadow::judge(&changes, strict)?;
        let expected = sources.iter().map(setup::expected).collect();
        let catalogue = Catalogue::of(&config, &sources);
        let sources = setup::known(sources, &self.store)
            .await
            .context("the plugins cannot be written down")?;
        let change = deliveries.change(&config).await;
        let change = change.map_err(Refused::of)?;
        let beat = self.changed_beat(&config)?;
        let mut warnings: Vec<_> = causes(&warnings).iter().map(ToString::to_string).collect();
        warnings
            .iter()
            .for_each(|warning| tracing::warn!("{warning}"));
        // The log has these already.
        warnings.extend(differences);
        let left = change.removed.iter().filter(|(_, alerts)| *alerts > 0);
        warnings.extend(left.map(|(name, alerts)| {
            format!(
                "{alerts} alerts wait for [destinations.{name}], which is removed; \
                they are kept, and go out once a destination has this name again"
            )
        }));
        sources
            .iter()
            .filter(|(source, _)| !before.contains(&source.name))
            .for_each(|(source, _)| setup::announce(source));
        // From here on nothing fails, and nothing waits.
        let since = tokio::time::Instant::now();
        let destinations = change.count();
        deliveries.apply(change, tasks);
        let names = setup::destination_names(&config);
        self.intake
            .open(sources, config.mutes.clone(), names.into());
        self.followers.take_up(&config, catalogue, beat);
        self.taken.send_replace(Reloaded {
            sources: expected,
            destinations: setup::destination_names(&config),
            since,
        });
        self.secrets.follow(config.files.clone());
        self.in_use = self::in_use(&config);
        Ok(Taken {
            summary: summary(&config),
            destinations,
            warnings,
        })
    }
}

impl Reloading {
    /// Returns the heartbeat of a configuration, where that differs from the one in use.
    fn changed_beat(&self, config: &Config) -> anyhow::Result<Option<Option<Beat>>> {
        let heartbeat = &config.gateway.heartbeat;
        if self.in_use.gateway.heartbeat == *heartbeat {
            return Ok(None);
        }
        let beat = heartbeat.as_ref().map(Beat::new).transpose();
        beat.map(Some).context("cannot use the heartbeat's url")
    }

    /// Tries changed plugins and rules on stored requests. A store that cannot be read keeps back
    /// only a reload that must not go wrong.
    async fn changes(
        &self,
        sources: &[Source],
        strict: bool,
    ) -> anyhow::Result<Vec<shadow::Summary>> {
        let changes = match self.store.history() {
            Ok(history) => shadow::changes(&self.intake, history, sources).await,
            Err(error) => Err(error),
        };
        match changes {
            Err(error) if !strict => {
                tracing::warn!(%error, "changed plugins and rules could not be tried on stored requests");
                Ok(Vec::new())
            }
            changes => {
                changes.context("changed plugins and rules cannot be tried on stored requests")
            }
        }
    }
}

/// Says in one line what a configuration has.
pub fn summary(config: &Config) -> String {
    let counted = |count: usize, noun: &str| {
        let ending = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{ending}")
    };
    format!(
        "{}, {}",
        counted(config.sources.len(), "source"),
        counted(config.destinations.len(), "destination")
    )
}

/// Returns what a later reload needs of the configuration in use: its text above all.
fn in_use(config: &Config) -> Config {
    let text = config.text.clone();
    Config {
        text,
        ..config.clone().without_secrets()
    }
}

fn names(taken: &Reloaded) -> BTreeSet<Arc<str>> {
    taken
        .sources
        .iter()
        .map(|expected| Arc::clone(&expected.source))
        .collect()
}
