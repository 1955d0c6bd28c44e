//! `events replay --diff`: stored requests through another plugin or other rules, without sending.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use super::super::env_file::EnvFile;
use super::super::{ConfigFile, Failure, Outcome, block_on, caches, owner, plain, trial};
use crate::config::{Config, PluginRef, did_you_mean, listed};
use crate::gateway;
use crate::intake::shadow::{Compared, Reader, Summary, Verdict};
use crate::sources;
use crate::store::{History, Location, Newest, RequestRecord};

/// The newest requests of each source that are read, unless the operator says otherwise.
const LAST: usize = 500;

/// The choice of requests, and what reads them.
#[derive(Debug)]
pub struct Difference<'a> {
    /// The configuration, whose rules apply.
    pub file: &'a ConfigFile,
    /// The environment of its secrets.
    pub env_file: &'a EnvFile,
    /// The plugin in place of the source's.
    pub plugin: Option<&'a str>,
    /// The ids of requests or events; none where the rest chooses.
    pub ids: &'a [String],
    /// True if only failed requests are meant.
    pub failed: bool,
    /// Only this source.
    pub source: Option<&'a str>,
    /// Only what came in since.
    pub since: Option<Timestamp>,
    /// Only what came in before.
    pub until: Option<Timestamp>,
    /// At most so many of each source.
    pub last: Option<usize>,
}

/// Prints the alerts before and after, where they differ.
pub fn show(what: &Difference<'_>) -> Outcome {
    let variables = what.env_file.read()?;
    let path = what.file.path()?;
    let mut config = Config::draft(&path, &|name| variables.get(name))?.whole()?;
    owner::become_owner(&config.gateway.data_dir)?;
    let history = History::open(&Location::of(&config)?)?;
    if let Some(source) = what.source {
        trial::narrow(&mut config, source)?;
    }
    let mut chosen = what.chosen(&history, &config)?;
    config
        .sources
        .retain(|source| chosen.contains_key(&source.name));
    if config.sources.is_empty() {
        writeln!(
            std::io::stdout(),
            "nothing to compare: no stored request is chosen by this"
        )?;
        return Ok(());
    }
    let after = match what.plugin {
        Some(plugin) => format!("with {plugin} and {}", config.path.display()),
        None => format!("with {}", config.path.display()),
    };
    block_on(async {
        if let Some(plugin) = what.plugin {
            what.put(plugin, &mut config).await?;
        }
        let sandbox = gateway::sandbox(&config, caches::compiled())?;
        let loaded = sources::load(&config, &sandbox).await?;
        for source in &loaded.sources {
            let seqs = chosen.remove(&*source.name).unwrap_or_default();
            compare(&history, &Reader::new(source), &source.name, &seqs, &after).await?;
        }
        Ok(())
    })?;
    writeln!(std::io::stdout(), "nothing was sent or stored")?;
    Ok(())
}

impl Difference<'_> {
    /// Returns the numbers of the chosen requests of each source, oldest first.
    fn chosen(
        &self,
        history: &History,
        config: &Config,
    ) -> Result<BTreeMap<String, Vec<i64>>, Failure> {
        let names = config.sources.iter().map(|source| source.name.clone());
        if self.ids.is_empty() {
            return Ok(history.newest(&Newest {
                sources: names.collect(),
                each: self.last.unwrap_or(LAST),
                since_ms: self.since.map_or(i64::MIN, Timestamp::as_millisecond),
                until_ms: self.until.map_or(i64::MAX, Timestamp::as_millisecond),
                failed: self.failed,
            })?);
        }
        let known: Vec<String> = names.collect();
        let mut chosen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for id in self.ids {
            for request in super::find(history, id)? {
                if !known.contains(&request.source) {
                    return Err(Failure::Usage(format!(
                        "request {} came in at source {:?}, which the configuration does not have",
                        plain::line(&request.id),
                        plain::line(&request.source)
                    )));
                }
                chosen.entry(request.source).or_default().push(request.seq);
            }
        }
        Ok(chosen)
    }

    /// Puts another plugin in the place of that of the sources that it is for: the chosen ones, or
    /// those whose plugin has its name.
    async fn put(&self, plugin: &str, config: &mut Config) -> Result<(), Failure> {
        let path = Path::new(plugin);
        let is_file = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        let replacement = if is_file {
            let path = std::path::absolute(path)?;
            if let Err(error) = std::fs::metadata(&path) {
                let path = path.display();
                return Err(Failure::Usage(format!("--plugin: {path}: {error}")));
            }
            PluginRef::File { path, sha256: None }
        } else {
            if alert_gateway_plugins::find(plugin).is_none() {
                return Err(unknown(plugin));
            }
            PluginRef::Bundled(plugin.to_owned())
        };
        if config.sources.len() > 1 && self.source.is_none() && self.ids.is_empty() {
            let sandbox = gateway::sandbox(config, caches::compiled())?;
            let name = if is_file {
                let wasm = std::fs::read(path).map_err(|error| {
                    Failure::Usage(format!("cannot read {}: {error}", path.display()))
                })?;
                let loaded = sandbox.load(plugin, &wasm).await?;
                loaded.description().name.clone()
            } else {
                plugin.to_owned()
            };
            let loaded = sources::load(config, &sandbox).await?;
            let fitting = loaded
                .sources
                .iter()
                .filter(|one| one.plugin.description().name == name);
            let fitting: Vec<&str> = fitting.map(|source| &*source.name).collect();
            if fitting.is_empty() {
                let names = config.sources.iter().map(|source| source.name.as_str());
                return Err(Failure::Usage(format!(
                    "no source has a plugin called {:?}: name the source that it is for with --source, one of {}",
                    plain::line(&name),
                    listed(names, "and")
                )));
            }
            config
                .sources
                .retain(|source| fitting.contains(&&*source.name));
        }
        for source in &mut config.sources {
            source.plugin = replacement.clone();
        }
        Ok(())
    }
}

fn unknown(plugin: &str) -> Failure {
    let names = || {
        let all = alert_gateway_plugins::all().iter();
        all.map(|plugin| plugin.name)
    };
    let near = did_you_mean(plugin, names());
    let near = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Failure::Usage(format!(
        "--plugin: there is no bundled plugin {:?}, and a file of yours ends in .wasm{near}",
        plain::line(plugin)
    ))
}

async fn compare(
    history: &History,
    reader: &Reader<'_>,
    source: &str,
    seqs: &[i64],
    after: &str,
) -> Outcome {
    let mut summary = Summary::of(source);
    for seq in seqs {
        let Some(request) = history.chain(*seq)? else {
            continue;
        };
        let compared = reader.against_stored(history, &request).await?;
        summary.count(&request, compared.as_ref());
        if let Some(compared) = compared.filter(|one| one.verdict != Verdict::Same) {
            print(&request, &compared, after)?;
        }
    }
    let summary = plain::line(&summary.to_string());
    writeln!(std::io::stdout(), "{summary}")?;
    Ok(())
}

fn print(request: &RequestRecord, compared: &Compared, after: &str) -> Outcome {
    let what = match compared.verdict {
        Verdict::Same => "the same",
        Verdict::Changed => "other alerts",
        Verdict::Fails => "the plugin fails now",
        Verdict::Recovers => "the plugin fails no more",
        Verdict::Rejected => "the sender is rejected now",
    };
    let RequestRecord {
        id,
        source,
        received_at,
        ..
    } = request;
    let head = format!("request {id} of {received_at} to source {source}: {what}");
    let diff = compared.diff("as stored", after)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", plain::line(&head), plain::lines(&diff))?;
    Ok(())
}
