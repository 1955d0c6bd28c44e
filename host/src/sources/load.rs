//! Loads the plugins of a configuration, each once, and has each of them check its sources.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use plugin_sdk::contract::Checked;
use plugin_sdk::signature;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{Source, limits, schema};
use crate::config::{self, Config, PluginRef, Problem, Problems};
use alert_gateway_sandbox::{CallError, Plugin, Sandbox};

/// The most bytes of a plugin's file. A whole JavaScript engine has some two million.
const LARGEST_PLUGIN: u64 = 64 * 1024 * 1024;

/// The sources of a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// Each of them.
    pub sources: Vec<Source>,
    /// The warnings: allowed and yet unwise settings.
    pub warnings: Vec<Problem>,
}

/// Loads each plugin once, checks every source's settings against its plugin's schema, and joins
/// them.
///
/// # Errors
/// Every problem of every source, at the operator's line.
pub async fn load(config: &Config, sandbox: &Sandbox) -> Result<Loaded, Problems> {
    let (loaded, problems) = examine(config, sandbox).await;
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(Problems(problems))
    }
}

/// Loads the sources that have no problem, and returns every problem of the others beside them.
pub async fn examine(config: &Config, sandbox: &Sandbox) -> (Loaded, Vec<Problem>) {
    let plugins = load_plugins(config, sandbox).await;
    let mut problems = Vec::new();
    let mut sources = Vec::new();
    let mut warnings = Vec::new();
    let shared = Arc::new(config.clone());
    for source in &config.sources {
        let mut source = source.clone();
        match &plugins[&source.plugin] {
            Err((found, help)) => {
                problems.push(config.problem(source.plugin_position, found, help))
            }
            Ok(plugin) => {
                let description = plugin.description();
                let settled = source
                    .settings
                    .settle(&description.secrets, &description.files);
                warnings.extend(settled.warnings);
                let source = &source;
                let mut found = settled.problems;
                found.extend(fits(source, plugin, &shared).await);
                let limits = limits::of(source, plugin.description(), config);
                found.extend(limits::misfit(source, &limits, config));
                found.extend(limits::too_small(
                    source,
                    &limits,
                    plugin.initial_memory(),
                    config,
                ));
                // A plugin is only asked about settings that fit its schema, as it is only given
                // such.
                let is_fit = found.is_empty() && source.settings.is_whole();
                let checked = if is_fit {
                    plugin
                        .check(
                            source.name.as_str(),
                            source.settings.json().get().as_bytes(),
                        )
                        .await
                } else {
                    check_the_rest(plugin, source).await
                };
                let proof = match &checked {
                    Ok(Checked {
                        proof: Some(proof), ..
                    }) => proof.clone(),
                    _ => plugin.description().proof.clone(),
                };
                match checked {
                    Ok(checked) => {
                        found.extend(schema::review(
                            source,
                            plugin.description(),
                            &checked,
                            config,
                        ));
                        warnings.extend(schema::doubts(
                            source,
                            plugin.description(),
                            &checked,
                            config,
                        ));
                    }
                    // It was asked about settings that nobody wrote.
                    Err(_) if !is_fit => {}
                    Err(error) => {
                        let help = "the settings fit the plugin's schema, so this is a mistake of the plugin's: tell its author";
                        let what = format!(
                            "the plugin {:?} could not check the settings: {error}",
                            plugin.name()
                        );
                        found.push(config.problem(source.plugin_position, what, help));
                    }
                }
                if found.is_empty() && source.settings.is_whole() {
                    sources.push(Source::new(config, source, plugin, limits, &proof));
                }
                problems.extend(found);
                warnings.extend(schema::warnings(source, plugin.description(), config));
            }
        }
    }
    (Loaded { sources, warnings }, problems)
}

/// Asks the plugin about the settings that fit its schema, even where others do not: one mistake
/// hides no other.
async fn check_the_rest(plugin: &Plugin, source: &config::Source) -> Result<Checked, CallError> {
    let asked = source.clone();
    let its_plugin = plugin.clone();
    let fitting =
        tokio::task::spawn_blocking(move || schema::fitting(&asked, its_plugin.description()))
            .await;
    let checked = match fitting.ok().flatten() {
        Some(settings) => {
            plugin
                .check(source.name.as_str(), settings.to_string().as_bytes())
                .await?
        }
        None => Checked::default(),
    };
    // One that has a check may prove its sender with the other settings, and misses them where it
    // looks at all of them.
    let mistakes = checked
        .mistakes
        .into_iter()
        .filter(|mistake| !mistake.path.is_empty())
        .collect();
    Ok(Checked {
        authenticates: plugin.has_check().then_some(true),
        mistakes,
        ..checked
    })
}

/// Returns everything in a source's settings that does not fit its plugin's schema. It runs on a
/// thread of its own, because a schema may take long and the caller's thread answers senders.
async fn fits(source: &config::Source, plugin: &Plugin, config: &Arc<Config>) -> Vec<Problem> {
    let position = source.position;
    let source = source.clone();
    let plugin = plugin.clone();
    let shared = Arc::clone(config);
    let checked =
        tokio::task::spawn_blocking(move || schema::check(&source, plugin.description(), &shared));
    checked.await.unwrap_or_else(|error| {
        vec![config.problem(position, format!("checking the settings: {error}"), "")]
    })
}

/// All that the configuration names, in parallel, each once however many sources name it.
async fn load_plugins(
    config: &Config,
    sandbox: &Sandbox,
) -> HashMap<PluginRef, Result<Plugin, Unusable>> {
    let mut loading = JoinSet::new();
    let mut plugins = HashMap::new();
    for source in &config.sources {
        if plugins
            .insert(source.plugin.clone(), Err(Unusable::default()))
            .is_none()
        {
            let sandbox = sandbox.clone();
            let plugin = source.plugin.clone();
            loading.spawn(async move { (load_plugin(&sandbox, &plugin).await, plugin) });
        }
    }
    while let Some(loaded) = loading.join_next().await {
        match loaded {
            Ok((result, plugin)) => drop(plugins.insert(plugin, result)),
            Err(error) => tracing::error!(%error, "loading a plugin panicked"),
        }
    }
    plugins
}

/// The fault of a plugin, and the advice.
type Unusable = (String, String);

/// One plugin, bundled or from a file.
async fn load_plugin(sandbox: &Sandbox, plugin: &PluginRef) -> Result<Plugin, Unusable> {
    match plugin {
        PluginRef::Bundled(name) => match alert_gateway_plugins::find(name) {
            Some(bundled) => sandbox
                .load_configured(name, bundled.wasm, bundled.configuration)
                .await
                .map_err(|error| (error.to_string(), String::new())),
            None => Err(unknown_plugin(name)),
        },
        PluginRef::File { path, sha256 } => {
            let wasm = read_wasm(path.clone()).await.map_err(|error| {
                let help = "a relative path starts at the configuration's folder".to_owned();
                (
                    format!("cannot read the plugin {}: {error}", path.display()),
                    help,
                )
            })?;
            if wasm.len() as u64 > LARGEST_PLUGIN {
                let help =
                    "the bundled ones have a quarter of a MiB; build it in release, and strip it"
                        .to_owned();
                return Err((
                    format!("the plugin {} is larger than 64 MiB", path.display()),
                    help,
                ));
            }
            if let Some(expected) = sha256
                && Sha256::digest(&wasm)[..] != expected[..]
            {
                let found = signature::sha256(&wasm).hex();
                let help = format!("if you trust it as it is now, write sha256 = \"{found}\"");
                return Err((
                    format!("{} is not the file that its sha256 names", path.display()),
                    help,
                ));
            }
            let name = path
                .file_stem()
                .unwrap_or(path.as_os_str())
                .to_string_lossy();
            sandbox
                .load(&name, &wasm)
                .await
                .map_err(|error| (format!("{}: {error}", path.display()), String::new()))
        }
    }
}

/// The bytes of a file, one more than a plugin may have at most. Beside the threads that answer
/// senders, because a plugin is also read while they do.
async fn read_wasm(path: PathBuf) -> std::io::Result<Vec<u8>> {
    let read = move || {
        let mut wasm = Vec::new();
        File::open(path)?
            .take(LARGEST_PLUGIN + 1)
            .read_to_end(&mut wasm)?;
        Ok(wasm)
    };
    tokio::task::spawn_blocking(read).await?
}

fn unknown_plugin(name: &str) -> Unusable {
    let names = || {
        alert_gateway_plugins::all()
            .iter()
            .map(|plugin| plugin.name)
    };
    let help = match config::did_you_mean(name, names()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "for a plugin of your own, write { path = \"my.wasm\" }".to_owned(),
    };
    (
        format!(
            "there is no bundled plugin \"{name}\", only {}",
            config::listed(names(), "and")
        ),
        help,
    )
}
