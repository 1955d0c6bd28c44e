//! `plugin upgrade`: newer versions of fetched plugins, written into the configuration once they
//! are known to take the settings of their sources.

mod edit;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;

use super::add::{Used, fetch_into, used};
use super::fetch::web::Web;
use super::outdated::{Now, look};
use super::{Failure, Outcome, block_on};
use crate::cli::caches;
use crate::cli::env_file::EnvFile;
use crate::cli::location::ConfigFile;
use crate::cli::plain;
use crate::config::{Config, Fetched, FetchedFrom, OciImage, PluginRef, causes, listed};
use crate::gateway;
use crate::sources;
use crate::sources::fetched::PluginStore;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin upgrade
  alert-gateway plugin upgrade bell --latest --dry-run
  sudo alert-gateway plugin upgrade --env-file /etc/alert-gateway/env && sudo alert-gateway reload")]
pub struct Upgrade {
    /// Only the plugins of these sources [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Take the newest version, even if it is not compatible by its number
    #[arg(long)]
    latest: bool,
    /// Fetch and check, and leave the configuration as it is
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    env_file: EnvFile,
}

/// The state of a plugin after the attempt.
enum Upgraded {
    /// There is nothing newer.
    Current,
    /// The sources take this one.
    To(Fetched),
}

pub fn upgrade(what: &Upgrade) -> Outcome {
    let variables = what.env_file.read()?;
    let config = Config::draft(&what.file.path()?, &|name| variables.get(name))?.whole()?;
    if let Some(unknown) = what
        .sources
        .iter()
        .find(|name| config.sources.iter().all(|source| source.name != **name))
    {
        return Err(Failure::Usage(format!("there is no source {unknown:?}")));
    }
    let mut all = used(&config);
    if !what.sources.is_empty() {
        for one in &mut all {
            one.sources.retain(|name| what.sources.contains(name));
        }
        all.retain(|one| !one.sources.is_empty());
    }
    let mut out = std::io::stdout().lock();
    if all.is_empty() {
        writeln!(out, "no such source has a plugin of a URL or a registry")?;
    }
    let mut failed = 0;
    let mut edits = Vec::new();
    block_on(async {
        let mut web = Web::default();
        for one in &all {
            let sources = listed(one.sources.iter().map(String::as_str), "and");
            let from = &one.plugin.from;
            match try_out(&config, &mut web, one, what.latest).await {
                Ok(Upgraded::Current) => writeln!(out, "{from} (of {sources}) is up to date")?,
                Ok(Upgraded::To(new)) => {
                    writeln!(out, "{from} (of {sources}) becomes plugin = {}", new.toml())?;
                    edits.push((one, new));
                }
                Err(error) => {
                    failed += 1;
                    let why = plain::lines(&format!("{error:#}"));
                    eprintln!("error: {from} (of {sources}): {why}");
                }
            }
        }
        Ok(())
    })?;
    if !what.dry_run {
        let mut written: Vec<PathBuf> = Vec::new();
        for (one, new) in &edits {
            for source in &one.sources {
                let path = write(&config, source, &one.plugin, new)?;
                if !written.contains(&path) {
                    written.push(path);
                }
            }
        }
        for path in written {
            let path = path.display();
            writeln!(out, "{path} is written; alert-gateway reload takes it up")?;
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Run(anyhow!(
            "{failed} of {} plugins could not be upgraded",
            all.len()
        ))),
    }
}

/// Fetches what is newer than a plugin, and has it judge the settings of its sources.
async fn try_out(
    config: &Config,
    web: &mut Web,
    one: &Used,
    latest: bool,
) -> anyhow::Result<Upgraded> {
    let now = look(web, &one.plugin).await?;
    let Some(from) = chosen(&one.plugin.from, now, latest) else {
        return Ok(Upgraded::Current);
    };
    let store = PluginStore::of(&config.gateway);
    let sandbox = gateway::sandbox(config, caches::compiled())?;
    let (new, ..) = fetch_into(&store, &sandbox, web, &from, None).await?;
    let mut changed = config.clone();
    changed
        .sources
        .retain(|source| one.sources.contains(&source.name));
    for source in &mut changed.sources {
        source.plugin = PluginRef::Fetched(new.clone());
    }
    let (_, problems) = sources::examine(&changed, &sandbox).await;
    if problems.is_empty() {
        return Ok(Upgraded::To(new));
    }
    let problems = causes(&problems);
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Err(anyhow!(
        "{from} is fetched and not taken: {}",
        problems.join("; ")
    ))
}

/// Returns the place of the newer one.
fn chosen(from: &FetchedFrom, now: Now, latest: bool) -> Option<FetchedFrom> {
    let newer = if latest { now.newest } else { now.compatible };
    match from {
        FetchedFrom::Oci(image) if newer.is_some() => Some(FetchedFrom::Oci(OciImage {
            tag: newer,
            ..image.clone()
        })),
        _ => now.moved.then(|| from.clone()),
    }
}

/// Writes the new plugin of a source into the file that names the old one, and returns that file.
fn write(config: &Config, source: &str, old: &Fetched, new: &Fetched) -> Result<PathBuf, Failure> {
    let source = config.sources.iter().find(|one| one.name == source);
    let position = source.context("a source that was there")?.plugin_position;
    let path = config.text.file(position).to_owned();
    let text = std::fs::read_to_string(&path)?;
    let edited = edit::edited(&text, position.line, old, new).ok_or_else(|| {
        Failure::Run(anyhow!(
            "{}:{} does not name the plugin word for word: write plugin = {} there",
            path.display(),
            position.line,
            new.toml()
        ))
    })?;
    edit::replace(&path, &edited).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
