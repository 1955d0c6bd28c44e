//! `plugin outdated`: what there is of fetched plugins where they came from.

use std::io::Write;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::add::{Used, used};
use super::fetch::fetch;
use super::fetch::registry::Registry;
use super::fetch::versions::newest;
use super::fetch::web::Web;
use super::{Failure, Outcome, block_on};
use crate::cli::location::ConfigFile;
use crate::cli::plain;
use crate::config::{Config, Fetched, FetchedFrom, OciImage, listed};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin outdated
  alert-gateway plugin outdated --json | jq '.[] | select(.compatible or .newest or .moved)'")]
pub struct Outdated {
    #[command(flatten)]
    file: ConfigFile,
    /// A JSON array of objects with plugin, sources, moved (the same tag or URL has another content
    /// now), compatible and newest (newer tags), and error
    #[arg(long)]
    json: bool,
}

/// The versions of a plugin.
#[derive(Debug, Serialize)]
struct Row {
    plugin: String,
    sources: Vec<String>,
    #[serde(flatten)]
    now: Now,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The content at the place of a plugin now.
#[derive(Debug, Default, Serialize)]
pub struct Now {
    /// True if its tag or URL has another content.
    pub moved: bool,
    /// The newest tag that can take the place of its own.
    pub compatible: Option<String>,
    /// The newest tag of all of its form.
    pub newest: Option<String>,
}

pub fn outdated(what: &Outdated) -> Outcome {
    let config = Config::load_without_secrets(&what.file.path()?, "unknown")?;
    let mut rows = Vec::new();
    block_on(async {
        let mut web = Web::default();
        for Used { plugin, sources } in used(&config) {
            let (now, error) = match look(&mut web, &plugin).await {
                Ok(now) => (now, None),
                Err(error) => (Now::default(), Some(format!("{error:#}"))),
            };
            rows.push(Row {
                plugin: plugin.from.to_string(),
                sources,
                now,
                error,
            });
        }
        Ok(())
    })?;
    let mut out = std::io::stdout().lock();
    if what.json {
        writeln!(
            out,
            "{}",
            plain::json(&serde_json::to_string_pretty(&rows)?)
        )?;
    } else if rows.is_empty() {
        writeln!(out, "no source has a plugin of a URL or a registry")?;
    } else {
        for row in &rows {
            let sources = listed(row.sources.iter().map(String::as_str), "and");
            writeln!(
                out,
                "{} (of {sources}): {}",
                row.plugin,
                plain::line(&row.words())
            )?;
        }
    }
    let failed = rows.iter().filter(|row| row.error.is_some()).count();
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Run(anyhow!(
            "{failed} of {} plugins could not be asked for",
            rows.len()
        ))),
    }
}

impl Row {
    fn words(&self) -> String {
        if let Some(error) = &self.error {
            return format!("unknown: {error}");
        }
        let Now {
            moved,
            compatible,
            newest,
        } = &self.now;
        let mut words = Vec::new();
        if let Some(tag) = compatible {
            words.push(format!("{tag} is newer"));
        }
        if let Some(tag) = newest
            .as_ref()
            .filter(|tag| Some(*tag) != compatible.as_ref())
        {
            words.push(format!("{tag} is newer and not compatible by its number"));
        }
        if *moved {
            words.push("another content stands there now".to_owned());
        }
        match words.is_empty() {
            true => "up to date".to_owned(),
            false => words.join("; "),
        }
    }
}

/// Asks the place of a plugin for what is there now.
///
/// # Errors
/// It cannot be asked, or it has no artifact there any more.
pub async fn look(web: &mut Web, plugin: &Fetched) -> anyhow::Result<Now> {
    match &plugin.from {
        FetchedFrom::Url(_) => {
            let (now, _) = fetch(web, &plugin.from, None, false).await?;
            Ok(Now {
                moved: now.digest != plugin.digest,
                ..Now::default()
            })
        }
        FetchedFrom::Oci(image) => {
            let OciImage { tag: Some(tag), .. } = image else {
                return Ok(Now::default());
            };
            let mut registry = Registry::new(web, image)?;
            let tags = registry.tags().await?;
            let now = registry.digest_of(tag).await?;
            Ok(Now {
                moved: now.is_some_and(|now| now != plugin.digest),
                compatible: newest(tag, &tags, true).map(str::to_owned),
                newest: newest(tag, &tags, false).map(str::to_owned),
            })
        }
    }
}
