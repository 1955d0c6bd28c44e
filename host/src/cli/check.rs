//! `check`: the meaning of a configuration, or everything that is wrong with it.
//!
//! It looks at more than the file: at the plugins and what they say of their settings, at the
//! certificate, and at the data directory. A mistake in one table hides none in another.

mod database;
mod machine;
mod online;
mod shown;

use std::path::Path;

use clap::Args;

use super::env_file::{EnvFile, Variables};
use super::{ConfigFile, Failure, Outcome, block_on, caches, owner, plain};
use crate::config::{Config, Problem, Problems, causes};
use crate::destinations::Destination;
use crate::gateway;
use crate::gateway::shadow::{self, Summary};
use crate::hops::Hop;
use crate::sources::{self, Loaded};
use crate::store::{History, Location, StoreError};

/// Explains a configuration, or lists everything that is wrong with it. Nothing is started, and
/// nothing is left behind.
///
/// Exit codes: 0, the gateway can run with it; 2, it cannot, or, with --strict, there is a warning,
/// or, with --online, something on the network is not as it should be.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway check
  sudo alert-gateway check --env-file /etc/alert-gateway/env
  alert-gateway check --config new.toml --against-store
  alert-gateway check --config new.toml --strict --json
  sudo alert-gateway check --online --env-file /etc/alert-gateway/env")]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    env_file: EnvFile,
    /// Read the newest stored requests of each source once more, and compare the alerts with those
    /// that are stored; nothing is sent
    #[arg(long)]
    against_store: bool,
    /// Print the whole setup page of each plugin, and not its beginning alone
    #[arg(long, conflicts_with = "json")]
    setup: bool,
    /// Fail where there are warnings, too
    #[arg(long)]
    strict: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Look at the network as well: the listeners, the public URL, every destination, the clock
    ///
    /// The public URL is followed to this very gateway: to the one that runs, or to this check, which
    /// listens in its place for a moment. Destinations are asked what opens nothing there, with
    /// their credential where the service has such a question.
    #[arg(long)]
    online: bool,
}

/// Everything that is known of a configuration without running it.
pub struct Examination {
    /// The configuration and its sources; `None` where the file cannot be read at all.
    known: Option<(Config, Loaded)>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The database and the gateways that share it, in words.
    database: Option<String>,
    /// The comparison with the store, where it was asked for.
    against_store: Vec<Summary>,
    /// The findings on the network, where `--online` asked for them.
    online: Option<Vec<Hop>>,
}

pub fn check(what: &Check) -> Outcome {
    let path = what.file.path()?;
    let mut examination = examine(&path, &what.env_file.read()?)?;
    if what.against_store {
        examination.compare()?;
    }
    if what.online
        && examination.errors.is_empty()
        && let Some((config, _)) = &examination.known
    {
        examination.online = Some(block_on(async { Ok(online::look(config).await) })?);
    }
    if what.json {
        shown::json(&path, &examination)?;
    } else {
        for cause in causes(&examination.warnings) {
            eprintln!("warning: {}", plain::lines(&cause.to_string()));
        }
        if examination.errors.is_empty() {
            shown::text(&path, &examination, what.setup)?;
            shown::online(&examination)?;
        }
    }
    let refused = what.strict && !examination.warnings.is_empty();
    match (examination.errors.is_empty(), what.json) {
        (true, false) if examination.failed_online() > 0 => {
            let found = counted(examination.failed_online(), "finding");
            Err(Failure::Usage(format!("{found} on the network")))
        }
        (true, _) if !refused && examination.failed_online() == 0 => Ok(()),
        // The document says it.
        (_, true) => Err(Failure::Told),
        (true, false) => {
            let Examination { warnings, .. } = &examination;
            Err(Failure::Usage(format!(
                "{}, and --strict allows none",
                counted(warnings.len(), "warning")
            )))
        }
        (false, false) => Err(examination.failure()),
    }
}

/// Returns the failure of a faulty configuration, with everything that is wrong with it.
pub fn failure(path: &Path) -> Result<Failure, Failure> {
    Ok(examine(path, &Variables::default())?.failure())
}

fn examine(path: &Path, variables: &Variables) -> Result<Examination, Failure> {
    let draft = match Config::draft(path, &|name| variables.get(name)) {
        Ok(draft) => draft,
        Err(Problems(errors)) => {
            return Ok(Examination {
                known: None,
                errors,
                warnings: Vec::new(),
                database: None,
                against_store: Vec::new(),
                online: None,
            });
        }
    };
    let config = draft.config;
    let mut errors = draft.problems;
    let (loaded, problems) = block_on(async {
        let sandbox = gateway::sandbox(&config, caches::compiled())?;
        Ok(sources::examine(&config, &sandbox).await)
    })?;
    errors.extend(problems);
    let mut warnings = gateway::warnings(&config, &loaded);
    let mut database = None;
    for destination in &config.destinations {
        errors.extend(Destination::configured(&config, destination).err());
    }
    // Of a table [gateway] that cannot be read the data directory is a guess.
    if errors.is_empty() {
        machine::look(&config, &mut errors, &mut warnings);
        database::spool(&config, &mut warnings);
        database = database::look(&config, &mut errors, &mut warnings);
    }
    errors.sort_by_key(|problem| problem.position);
    warnings.sort_by_key(|problem| problem.position);
    Ok(Examination {
        known: Some((config, loaded)),
        errors,
        warnings,
        database,
        against_store: Vec::new(),
        online: None,
    })
}

impl Examination {
    /// Compares the sources with the store. Plugins that fail, and senders that are not believed,
    /// are warnings.
    fn compare(&mut self) -> Outcome {
        let Some((config, loaded)) = self.known.as_ref().filter(|_| self.errors.is_empty()) else {
            return Ok(());
        };
        owner::become_owner(&config.gateway.data_dir)?;
        let history = match History::open(&Location::of(config)?) {
            // A gateway that has never run has stored nothing.
            Err(StoreError::Missing(_)) => return Ok(()),
            opened => opened?,
        };
        let sources = &loaded.sources;
        self.against_store =
            block_on(async { Ok(shadow::against_store(&history, sources).await?) })?;
        for (source, summary) in sources.iter().zip(&self.against_store) {
            if summary.fails + summary.rejected > 0 {
                let help = "look at them with `alert-gateway events replay --diff`";
                let position = source.configured.position;
                let found = plain::line(&summary.to_string());
                self.warnings.push(config.problem(position, found, help));
            }
        }
        Ok(())
    }

    /// Returns the number of hops on the network that were not passed.
    fn failed_online(&self) -> usize {
        let hops = self.online.iter().flatten();
        hops.filter(|hop| !hop.ok).count()
    }

    fn failure(self) -> Failure {
        Failure::Configuration {
            errors: self.errors,
            warnings: self.warnings.len(),
        }
    }
}

/// Returns a number with its noun: `1 error`, `2 errors`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
