//! A configuration, turned into what the parts of the gateway are made of. A start and a reload share
//! it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::wall_ms;
use crate::config::{Config, Problem, StoreKind};
use crate::destinations::Destination;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::monitor::Expected;
use crate::policy;
use crate::sources::{self, Loaded, Source};
use crate::store::{self, PluginId, PluginRecord, Snapshot, Spool, Store, StoreError};
use alert_gateway_sandbox::{Compiler, Sandbox, SandboxOptions};

/// The instances that a source adds to the sandbox: four times its calls, because one plugin may
/// use a quarter of all.
const INSTANCES_PER_SOURCE: u32 = 4 * sources::CALLS as u32;
/// The most instances, for any number of sources: each reserves some GiB of address space.
const INSTANCES: u32 = 256;

/// Returns everything in a configuration that is allowed and yet unwise, rules and mutes without an
/// effect included.
pub fn warnings(config: &Config, loaded: &Loaded) -> Vec<Problem> {
    let sources = loaded.sources.iter().map(|source| {
        let declared = &source.plugin.description().labels;
        // A plugin that declares no labels may set any.
        let declared = (!declared.is_empty()).then_some(declared.as_slice());
        (&source.configured, declared)
    });
    let sources: Vec<_> = sources.collect();
    let rules = sources
        .iter()
        .flat_map(|(source, declared)| policy::lint(source, *declared));
    let now = Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
    let mutes = policy::lint_mutes(&config.mutes, &sources, now);
    let unmatched = rules
        .chain(mutes)
        .map(|finding| config.problem(finding.position, finding.found, finding.help));
    config
        .warnings
        .iter()
        .chain(&loaded.warnings)
        .cloned()
        .chain(unmatched)
        .chain(Destination::warnings(config))
        .collect()
}

/// Creates the sandbox for a configuration. Compiled plugins are kept in `cache`.
///
/// # Errors
/// The machine lacks memory or processor features for it.
pub fn sandbox(config: &Config, cache: Option<PathBuf>) -> anyhow::Result<Sandbox> {
    Ok(Sandbox::new(options(config, cache))?)
}

/// Creates the sandbox for a configuration that runs. Compiled plugins are kept in the data
/// directory; `compiler` compiles them.
///
/// # Errors
/// As [`sandbox`].
pub fn cached_sandbox(config: &Config, compiler: Option<Compiler>) -> anyhow::Result<Sandbox> {
    let cache = config.gateway.data_dir.join("cache");
    Ok(Sandbox::with_compiler(
        options(config, Some(cache)),
        compiler,
    )?)
}

fn options(config: &Config, cache_dir: Option<PathBuf>) -> SandboxOptions {
    let granted = config
        .sources
        .iter()
        .map(|source| source.limits.memory)
        .max()
        .unwrap_or_default();
    let max_memory = granted.max(sources::LARGEST_ASKED_MEMORY);
    let instances = (config.sources.len() as u32)
        .saturating_mul(INSTANCES_PER_SOURCE)
        .clamp(INSTANCES_PER_SOURCE, INSTANCES);
    SandboxOptions {
        cache_dir,
        instances,
        max_memory,
    }
}

/// Returns the spool, where a database has one, or has left one. One that is of no use is reported,
/// and requests are refused as without it while the database is away.
pub fn spool(config: &Config, metrics: &Metrics, health: &Health) -> Option<Spool> {
    let data_dir = &config.gateway.data_dir;
    let StoreKind::Postgres(database) = &config.store else {
        match store::spooled(data_dir) {
            Ok(Some(left)) if left.requests > 0 => tracing::error!(
                "{left} wait in the spool in data_dir for a database that [store] does not name any more; they are kept, and \
                 go out once it names it again"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a spool in data_dir cannot be read"),
        }
        return None;
    };
    if !database.spool && !store::has_spool(data_dir) {
        return None;
    }
    match Spool::open(
        data_dir,
        database.spool,
        database.spool_size,
        metrics,
        health,
    ) {
        Ok(spool) => Some(spool),
        Err(error) => {
            tracing::error!(%error, "the spool cannot be used: requests are refused while the database is away");
            health.set_spool(0, 0, Some(error.to_string()));
            None
        }
    }
}

/// Returns the names of the destinations.
pub fn destination_names(config: &Config) -> Vec<String> {
    let names = config.destinations.iter();
    names.map(|destination| destination.name.clone()).collect()
}

/// Returns what the monitor expects of a source.
pub fn expected(source: &Source) -> Expected {
    let name = Arc::clone(&source.name);
    let destination = Arc::clone(&source.destination);
    Expected {
        source: name,
        destination,
        every: source.configured.expect_every,
    }
}

/// Logs each source with the URL to paste at its sender.
pub fn announce(source: &Source) {
    let description = source.plugin.description();
    let paste = format!("{}{}", source.url, description.url_suffix);
    tracing::info!(
        source = &*source.name,
        plugin = source.plugin.name(),
        version = description.version,
        destination = &*source.destination,
        "paste this URL at the sender: {paste}"
    );
}

/// Returns the sources, each with the number of its plugin in the store.
pub async fn known(
    sources: Vec<Source>,
    store: &Store,
) -> Result<Vec<(Source, PluginId)>, StoreError> {
    let mut known = Vec::with_capacity(sources.len());
    for source in sources {
        let name = source.plugin.name().to_owned();
        let sha256 = source.plugin.sha256().to_owned();
        let record = PluginRecord {
            name,
            version: source.plugin.description().version.clone(),
            sha256,
        };
        let plugin = store.plugin(record).await?;
        known.push((source, plugin));
    }
    Ok(known)
}

/// Returns the destinations that were renamed or removed while alerts of senders wait for them.
/// They stay in the store; the operator must know.
///
/// Internal alerts do not count. They fire anew at the present `operator_destination`. An alert
/// about them could stay open for ever, although nothing is lost.
pub fn strays(
    config: &Config,
    snapshot: &Snapshot,
    waiting: &[String],
) -> anyhow::Result<Vec<String>> {
    let known: HashSet<&str> = config
        .destinations
        .iter()
        .map(|destination| destination.name.as_str())
        .collect();
    let mut gone = Vec::new();
    for destination in waiting {
        if !known.contains(destination.as_str()) {
            let alerts = snapshot.count_waiting_for(destination)?;
            if alerts == 0 {
                continue;
            }
            tracing::error!(
                destination,
                alerts,
                "alerts wait for a destination that is not configured any more; \
                they are kept, and go out once a destination has this name again"
            );
            gone.push(destination.clone());
        }
    }
    Ok(gone)
}
