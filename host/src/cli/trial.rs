//! `try`: has a request from a file read in the real sandbox, and shows the body that would be
//! sent.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::case;
use plugin_sdk::contract::{Answer, Request};
use plugin_sdk::signature::View;

use super::env_file::EnvFile;
use super::single::{self, Single};
use super::{ConfigFile, Failure, Outcome, block_on, caches, plain};
use crate::alert::{Alert, group};
use crate::config::{
    self, Config, DestinationKind, Problem, Problems, Settings, causes, did_you_mean,
    shown_duration,
};
use crate::destinations::Destination;
use crate::gateway;
use crate::policy::{Decision, Policy, Stored};
use crate::sources::{self, Source};

/// The destination of `try --plugin`, at which nothing is delivered.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The file holds an HTTP/1.1 request: a request line with the whole URL as the sender knows it,
/// headers, an empty line, and the body, byte for byte.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway try --source twilio-prod request.http
  sudo alert-gateway try --env-file /etc/alert-gateway/env --source twilio-prod request.http
  alert-gateway try --plugin webhook --settings settings.toml request.http")]
pub struct Try {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    env_file: EnvFile,
    /// Read the request as this source of the configuration would
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "plugin",
        conflicts_with = "plugin"
    )]
    source: Option<String>,
    /// Read the request with this plugin: a bundled one, or a wasm file
    #[arg(long, value_name = "NAME|FILE.wasm")]
    plugin: Option<String>,
    /// The plugin's settings alone, as TOML or JSON: what stands below [sources.….settings]
    #[arg(long, value_name = "FILE", requires = "plugin")]
    settings: Option<PathBuf>,
    /// The format of the body for ITOC360, with --plugin: alertmanager or zapier
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "alertmanager",
        conflicts_with = "source"
    )]
    format: String,
    /// The request
    #[arg(value_name = "REQUEST.http")]
    request: PathBuf,
}

pub fn try_out(what: &Try) -> Outcome {
    let message = std::fs::read(&what.request)
        .with_context(|| format!("cannot read {}", what.request.display()))?;
    let request = case::parse_request(
        &message,
        case::no_settings(),
        what.source.as_deref(),
        case::RECEIVED_AT,
    )
    .map_err(|error| Failure::Usage(format!("{}: {error}", what.request.display())))?;
    let config = what.configuration(&request)?;
    let answer = block_on(async {
        let mut only = config.clone();
        if let Some(name) = &what.source {
            narrow(&mut only, name)?;
        }
        let sandbox = gateway::sandbox(&only, caches::compiled())?;
        let loaded = sources::load(&only, &sandbox).await;
        let mut loaded = loaded.map_err(|problems| what.placed(problems, &only))?;
        let source = loaded
            .sources
            .pop()
            .ok_or_else(|| anyhow!("the configuration has no source"))?;
        let answer = read(&source, &request).await?;
        show(&source, &request, &answer, &config.destinations)?;
        for cause in causes(&Destination::warnings(&config)) {
            eprintln!("warning: {}", plain::lines(&cause.to_string()));
        }
        Ok(answer)
    })?;
    match answer {
        Answer::Rejected(rejection) => Err(Failure::Run(anyhow!(
            "the request would be rejected: {}",
            plain::line(&rejection.reason)
        ))),
        _ => Ok(()),
    }
}

impl Try {
    /// Returns problems with their places in what the operator wrote: those of a plugin that is
    /// named on the command line have none there, nor have those of settings in JSON.
    fn placed(&self, problems: Problems, config: &Config) -> Problems {
        let is_plugin = |problem: &Problem| {
            let mut sources = config.sources.iter();
            sources.any(|source| problem.position == Some(source.plugin_position))
        };
        let is_located = self
            .settings
            .as_deref()
            .is_some_and(|path| !single::is_json(path));
        let placed = |mut problem: Problem| {
            if self.plugin.is_some() && is_plugin(&problem) {
                problem.file = PathBuf::from("--plugin");
                problem.position = None;
            } else if self.plugin.is_some() && !is_located {
                problem.position = None;
            }
            problem
        };
        Problems(problems.0.into_iter().map(placed).collect())
    }

    fn configuration(&self, request: &Request) -> Result<Config, Failure> {
        let Some(plugin) = &self.plugin else {
            let variables = self.env_file.read()?;
            return Ok(Config::draft(&self.file.path()?, &|name| variables.get(name))?.whole()?);
        };
        let toml = self
            .settings
            .as_deref()
            .filter(|path| !single::is_json(path));
        let (settings, file) = match &self.settings {
            // TOML is read from its own text below, so that a mistake is told at its line.
            Some(path) if toml.is_some() => (toml::Table::new(), path.as_path()),
            Some(path) => (single::settings(path)?, path.as_path()),
            None => (toml::Table::new(), Path::new("--plugin")),
        };
        let url = &*request.url;
        let itoc360 = NOWHERE;
        let format = &*self.format;
        let data_dir = Path::new(".");
        let mut config = Single {
            plugin,
            url,
            settings,
            file,
            itoc360,
            format,
            data_dir,
        }
        .config()?;
        if let Some(path) = toml {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let variables = self.env_file.read()?;
            for source in &mut config.sources {
                let name = &source.name;
                source.settings = Settings::parse(&text, path, name, &|name| variables.get(name))?;
            }
        }
        Ok(config)
    }
}

/// Leaves a configuration the one source of this name.
///
/// # Errors
/// It has none; then it is as it was.
pub fn narrow(config: &mut Config, name: &str) -> Result<(), Failure> {
    if !config.sources.iter().any(|source| source.name == name) {
        return Err(unknown(name, config));
    }
    config.sources.retain(|source| source.name == name);
    Ok(())
}

fn unknown(name: &str, config: &Config) -> Failure {
    let names = || config.sources.iter().map(|source| source.name.as_str());
    let near = did_you_mean(name, names())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    let all = names().collect::<Vec<_>>().join(", ");
    Failure::Usage(format!(
        "{} has no source \"{name}\" (it has: {all}){near}",
        config.path.display()
    ))
}

async fn read(source: &Source, request: &Request) -> anyhow::Result<Answer> {
    let headers = serde_json::value::to_raw_value(&request.headers)?;
    let Request {
        received_at,
        method,
        url,
        body,
        ..
    } = request;
    // As at the entrance: some proofs only the host can check.
    let unchecked = source.unchecked_proof();
    let proved = match source.verify(&View::from(request)) {
        _ if unchecked.is_some() => {
            eprintln!(
                "the gateway that runs fetches the key of the sender: the proof is not checked here"
            );
            unchecked
        }
        Ok(proven) => proven.map(|proven| proven.proved),
        Err(rejection) => return Ok(Answer::Rejected(rejection)),
    };
    let proved = proved.as_ref();
    Ok(source
        .read(received_at, method, url, &headers, &body.bytes(), proved)
        .await?)
}

fn show(
    source: &Source,
    request: &Request,
    answer: &Answer,
    destinations: &[config::Destination],
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let description = source.plugin.description();
    let name = plain::line(&description.name);
    let version = plain::line(&description.version);
    writeln!(
        out,
        "plugin {name} {version} (sha256 {}) answers:",
        source.plugin.sha256()
    )?;
    // JSON escapes some control characters and not all.
    writeln!(
        out,
        "{}",
        plain::lines(&serde_json::to_string_pretty(answer)?)
    )?;
    let Answer::Alerts(alerts) = answer else {
        return Ok(());
    };
    let policy = Policy::of(&source.configured);
    let mut masked = Vec::new();
    for event in alerts {
        let decision = policy.decide(&source.name, event.clone());
        told(&decision, &mut out)?;
        masked.extend(decision.masked.clone());
        if decision.dropped_by.is_some() {
            continue;
        }
        let alert = Alert {
            source: source.name.to_string(),
            request: "00000000-0000-7000-8000-000000000000".to_owned(),
            received_at: request.received_at.clone(),
            event: decision.alert,
        };
        let names = decision
            .destinations
            .as_ref()
            .unwrap_or(&source.configured.destinations);
        for destination in names
            .iter()
            .filter_map(|name| destinations.iter().find(|one| one.name == *name))
        {
            if destination.kind.is_original() {
                let body = request.body.bytes();
                writeln!(
                    out,
                    "\n{} would be sent the request's own body ({} bytes), once for all of its alerts",
                    destination.name,
                    body.len()
                )?;
                continue;
            }
            sent(&alert, destination, names.len() > 1, &mut out)?;
        }
    }
    if let Some(redactor) = policy.stored() {
        let Request {
            url, headers, body, ..
        } = request;
        let stored = redactor.redact(url, headers, &body.bytes(), &masked);
        kept(&request.method, &stored, &mut out)?;
    }
    Ok(())
}

/// Writes the request as it would be stored.
fn kept(method: &str, stored: &Stored, out: &mut impl Write) -> std::io::Result<()> {
    let places = stored.places;
    writeln!(
        out,
        "\nThe request would be stored like this, with {places} masked places (redact_stored):"
    )?;
    writeln!(out, "{} {}", plain::line(method), plain::line(&stored.url))?;
    for (name, value) in &stored.headers {
        writeln!(out, "{}: {}", plain::line(name), plain::line(value))?;
    }
    writeln!(
        out,
        "\n{}",
        plain::lines(&String::from_utf8_lossy(&stored.body))
    )
}

/// Writes the message for an alert as a destination would be sent it; `named` by its name, where
/// there are several.
fn sent(
    alert: &Alert,
    destination: &config::Destination,
    named: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let body = Destination::new(destination)?.preview(alert);
    let body = match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(json) => serde_json::to_string_pretty(&json)?,
        Err(_) => body,
    };
    let service = match &destination.kind {
        DestinationKind::Itoc360 { format, .. } if !named => {
            format!("ITOC360 would be sent ({})", format.as_str())
        }
        DestinationKind::Itoc360 { format, .. } => {
            format!("{} would be sent ({})", destination.name, format.as_str())
        }
        other => format!("{} would be sent ({})", destination.name, other.as_str()),
    };
    writeln!(out, "\n{service}:\n{}", plain::lines(&body))?;
    Ok(())
}

/// Writes which of the operator's rules applied to an alert.
fn told(decision: &Decision, out: &mut impl Write) -> std::io::Result<()> {
    let rules = |numbers: &[usize]| {
        numbers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !decision.applied.is_empty() {
        writeln!(out, "\nRules that apply: {}.", rules(&decision.applied))?;
        for change in &decision.changes {
            let changed = plain::line(&change.to_string());
            writeln!(out, "  rule {}: {changed}", change.rule)?;
        }
    }
    if decision.redacted > 0 {
        writeln!(out, "\nMasked places: {}.", decision.redacted)?;
    }
    if let Some(group) = &decision.group {
        let key = plain::line(&group::key(&group.shared));
        let when = if group.guard.is_some() {
            " during a storm"
        } else {
            ""
        };
        writeln!(out, "\nIt is a member of {key}{when}.")?;
    }
    if let Some(time) = decision.resolve_after {
        let time = shown_duration(time);
        writeln!(
            out,
            "\nDelivered by itself, it is resolved after {time} without another event of its key."
        )?;
    }
    if let Some(rule) = decision.dropped_unless_open {
        writeln!(
            out,
            "\nRule {rule} drops the resolve: it would be stored as ignored, unless the alert of its key is open. Then it \
             is delivered."
        )?;
    }
    match decision.dropped_by {
        Some(rule) => {
            writeln!(
                out,
                "\nRule {rule} drops the alert: it would be stored as ignored, and delivered nowhere."
            )
        }
        None => match &decision.destinations {
            Some(destinations) => writeln!(out, "\nIt goes to {}.", destinations.join(", ")),
            None => Ok(()),
        },
    }
}
