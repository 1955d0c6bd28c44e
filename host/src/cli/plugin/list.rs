//! `plugin list`: the bundled catalogue.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::subject::{self, Subject};
use super::{Outcome, block_on, figures, proof};
use crate::cli::plain;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin list
  alert-gateway plugin list --json | jq -r .[].name")]
pub struct List {
    /// A JSON array of objects with name, version, summary, authenticates (where it is false, a
    /// source needs a token, or a setting by which the plugin proves its sender) and size in bytes
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The table of the catalogue's page, in Markdown
    #[arg(long)]
    markdown: bool,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    version: String,
    summary: String,
    authenticates: bool,
    size: usize,
    #[serde(skip)]
    proof: String,
}

pub fn list(what: &List) -> Outcome {
    let rows = block_on(async {
        let sandbox = subject::sandbox()?;
        let mut rows = Vec::new();
        // Kept until the end: the engine of several is compiled once.
        let mut loaded = Vec::new();
        for bundled in alert_gateway_plugins::all() {
            let plugin = Subject::bundled(bundled).load(&sandbox).await?;
            let description = plugin.description();
            rows.push(Row {
                name: bundled.name,
                version: description.version.clone(),
                summary: description.summary.clone(),
                authenticates: description.authenticates,
                size: bundled.size(),
                proof: proof::words(description),
            });
            loaded.push(plugin);
        }
        Ok(rows)
    })?;
    let mut out = std::io::stdout().lock();
    if what.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    if what.markdown {
        writeln!(
            out,
            "| `plugin = \"…\"` | reads | proof of the sender |\n|---|---|---|"
        )?;
        for row in &rows {
            let name = row.name;
            writeln!(
                out,
                "| [`{name}`](../plugins/{name}/README.md) | {} | {} |",
                plain::lines(&row.summary),
                row.proof
            )?;
        }
        return Ok(());
    }
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or_default();
    for Row {
        name,
        version,
        summary,
        authenticates,
        size,
        proof: _,
    } in &rows
    {
        let sender = if *authenticates {
            "proves its sender"
        } else {
            "token or setting"
        };
        writeln!(
            out,
            "{name:<width$}  {version:<7} {:>10}  {sender:<17}  {summary}",
            figures::size(*size)
        )?;
    }
    Ok(())
}
