//! Loads the plugins of a configuration, each once, and has each of them check its sources.

use std::sync::Arc;

use plugin_sdk::contract::Checked;

use super::plugins::load_plugins;
use super::{Source, limits, schema};
use crate::config::{self, Config, Problem, Problems};
use alert_gateway_sandbox::{CallError, Plugin, Sandbox};

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
                    let settings = source.settings.json().get().as_bytes();
                    let plugin = plugin.prepared(settings).await;
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
    let Some(fitting) = fitting.ok().flatten() else {
        return Ok(Checked {
            authenticates: plugin.has_check().then_some(true),
            ..Checked::default()
        });
    };
    let settings = fitting.settings.to_string();
    let mut checked = plugin
        .check(source.name.as_str(), settings.as_bytes())
        .await?;
    // One that has a check may prove its sender with the other settings, and misses them where it
    // looks at all of them.
    checked.authenticates = plugin.has_check().then_some(true);
    checked
        .mistakes
        .retain(|mistake| !mistake.path.is_empty() && !fitting.is_stand_in(&mistake.path));
    checked
        .warnings
        .retain(|warning| !fitting.is_stand_in(&warning.path));
    Ok(checked)
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
