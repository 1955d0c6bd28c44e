//! The plugin under inspection: a folder, a wasm file, a script, or the name of a bundled one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use alert_gateway_plugins::{Bundled, script};

use anyhow::anyhow;
use clap::Args;
use plugin_sdk::contract::Request;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::Failure;
use super::build::{self, TargetDir};
use super::folder::{self, Recipe};
use crate::cli::caches;
use crate::config::{Limits, MEMORY, did_you_mean, listed};
use crate::sources::{LARGEST_ASKED_MEMORY, extended_limits};
use alert_gateway_sandbox::{LoadError, Plugin, Sandbox, SandboxOptions};

/// Concurrent calls: `list` calls `describe` of several plugins, every other command calls one.
const INSTANCES: u32 = 4;

/// The argument that names a plugin.
#[derive(Debug, Args)]
pub struct Which {
    /// The plugin: its folder, with a plugin.toml or a Cargo.toml, which is built first; a wasm
    /// file; a script for the plugin `javascript`; or the name of a bundled one
    #[arg(value_name = "DIR|FILE.wasm|FILE.js|NAME", default_value = ".")]
    plugin: PathBuf,
    #[command(flatten)]
    target: TargetDir,
    /// Other limits than a source has without any, as in `time=50ms,memory=32MiB`: of body, time,
    /// memory and output
    #[arg(long, value_name = "LIMITS")]
    pub limits: Option<Limits>,
}

/// A plugin that can be loaded.
pub struct Subject {
    /// Its name, for loading and in errors.
    pub name: String,
    /// Its WebAssembly.
    pub wasm: Cow<'static, [u8]>,
    /// The texts that the WebAssembly is configured with, by name.
    pub configuration: Vec<(&'static str, Cow<'static, str>)>,
    /// Its origin.
    pub origin: Origin,
    /// The script under inspection and its file, where the plugin is the bundled one that runs
    /// scripts.
    pub script: Option<(PathBuf, String)>,
    /// The folder of its cases; a bundled plugin has none.
    pub cases: Option<PathBuf>,
}

/// The origin of a plugin.
pub enum Origin {
    /// A wasm file.
    File(PathBuf),
    /// A script with the files of a plugin beside it.
    Folder,
    /// The gateway carries it.
    Bundled(&'static Bundled),
    /// A script, for the plugin that the gateway carries for them.
    Script,
}

impl Subject {
    /// The plugin that is meant. A bundled one steps back behind a plugin's folder of the same name.
    pub fn find(which: &Which) -> Result<Self, Failure> {
        let what = which.plugin.as_path();
        let is_script = what.extension().is_some_and(|end| end == "js");
        if what.is_file() && is_script {
            return Self::of_script(what);
        }
        if what.is_file() {
            let wasm = std::fs::read(what).map_err(|error| {
                Failure::Usage(format!("cannot read {}: {error}", what.display()))
            })?;
            let name = what
                .file_stem()
                .unwrap_or(what.as_os_str())
                .to_string_lossy()
                .into_owned();
            return Ok(Self {
                name,
                wasm: wasm.into(),
                configuration: Vec::new(),
                origin: Origin::File(what.to_owned()),
                script: None,
                cases: Some(what.with_file_name("cases")),
            });
        }
        if what.join(script::SCRIPT).is_file() {
            return Self::of_folder(what);
        }
        let bundled = what.to_str().and_then(alert_gateway_plugins::find);
        match bundled.filter(|_| !folder::is_plugin(what)) {
            Some(bundled) => Ok(Self::bundled(bundled)),
            None if what.is_dir() => {
                if let Recipe::Script(script) = folder::recipe(what)? {
                    return Ok(Self {
                        cases: Some(what.join("cases")),
                        ..Self::of_script(&script)?
                    });
                }
                let built = build::wasm_of(what, which.target.target_dir.as_deref())?;
                Ok(Self {
                    name: built.name,
                    wasm: built.wasm.into(),
                    configuration: Vec::new(),
                    origin: Origin::File(built.path),
                    script: None,
                    cases: Some(what.join("cases")),
                })
            }
            None => Err(unknown(what)),
        }
    }

    /// The script in this file.
    pub fn of_script(path: &Path) -> Result<Self, Failure> {
        let script = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
        Ok(Self {
            origin: Origin::Script,
            script: Some((path.to_owned(), script)),
            cases: Some(path.with_file_name("cases")),
            ..Self::bundled(engine(path)?)
        })
    }

    /// The script in this folder, as the plugin that it is where the gateway carries it.
    fn of_folder(folder: &Path) -> Result<Self, Failure> {
        let whole = std::path::absolute(folder)
            .map_err(|error| Failure::Usage(format!("{}: {error}", folder.display())))?;
        let name = whole
            .file_name()
            .unwrap_or(folder.as_os_str())
            .to_string_lossy()
            .into_owned();
        let files = script::read(folder, &name)
            .map_err(|error| Failure::Usage(format!("cannot read the plugin: {error}")))?;
        Ok(Self {
            name,
            configuration: files
                .into_iter()
                .map(|(name, text)| (name, text.into()))
                .collect(),
            origin: Origin::Folder,
            cases: Some(folder.join("cases")),
            ..Self::bundled(engine(folder)?)
        })
    }

    /// Puts the script into a request's settings, where there is one.
    pub fn complete(&self, request: &mut Request) {
        let Some((_, script)) = &self.script else {
            return;
        };
        let settings = serde_json::from_str(request.settings.get());
        let mut settings: Map<String, Value> = settings.unwrap_or_default();
        settings.insert("script".to_owned(), Value::from(script.as_str()));
        // A tree of JSON is always text.
        request.settings = to_raw_value(&settings).unwrap_or_default();
    }

    /// One that the gateway carries.
    pub fn bundled(bundled: &'static Bundled) -> Self {
        Self {
            name: bundled.name.to_owned(),
            wasm: bundled.wasm.into(),
            configuration: bundled
                .configuration
                .iter()
                .map(|(name, text)| (*name, Cow::from(*text)))
                .collect(),
            origin: Origin::Bundled(bundled),
            script: None,
            cases: None,
        }
    }

    /// Loads it into a sandbox.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<Plugin, LoadError> {
        let configuration: Vec<_> = self
            .configuration
            .iter()
            .map(|(name, text)| (*name, &**text))
            .collect();
        sandbox
            .load_configured(&self.name, &self.wasm, &configuration)
            .await
    }

    /// Returns the bytes of its WebAssembly, or of a script that shares its engine with others.
    pub fn size(&self) -> usize {
        match &self.configuration[..] {
            [] => self.wasm.len(),
            configuration => configuration.iter().map(|(_, text)| text.len()).sum(),
        }
    }

    /// Loads it into a sandbox of its own, and returns the limits of its calls: those given, or else
    /// those of a source that has none of its own.
    pub async fn ready(&self, given: Option<Limits>) -> Result<(Plugin, Limits), Failure> {
        let given = given.unwrap_or_default();
        let refusal = match self.load(&sandbox_of(given.memory)?).await {
            Ok(plugin) => {
                let limits = extended_limits(given, plugin.description(), MEMORY);
                if limits.memory <= given.memory {
                    return Ok((plugin, limits));
                }
                None
            }
            Err(refusal @ LoadError::Memory { .. }) => Some(refusal),
            Err(error) => return Err(error.into()),
        };
        // It may ask for more memory, and only itself can say so.
        let sandbox = sandbox_of(given.memory.max(LARGEST_ASKED_MEMORY))?;
        let loaded = self.load(&sandbox).await;
        let ready = loaded.ok().and_then(|plugin| {
            let limits = extended_limits(given, plugin.description(), MEMORY);
            let fits = usize::try_from(plugin.initial_memory()).is_ok_and(|it| it <= limits.memory);
            fits.then_some((plugin, limits))
        });
        match (ready, refusal) {
            (Some(ready), _) => Ok(ready),
            (None, Some(refusal)) => Err(refusal.into()),
            (None, None) => Err(anyhow!("the plugin {} does not load twice", self.name).into()),
        }
    }
}

/// A sandbox in which a source without limits of its own would run.
pub fn sandbox() -> Result<Sandbox, Failure> {
    sandbox_of(Limits::default().memory)
}

fn sandbox_of(memory: usize) -> Result<Sandbox, Failure> {
    Ok(Sandbox::new(SandboxOptions {
        cache_dir: caches::compiled(),
        instances: INSTANCES,
        max_memory: memory,
    })?)
}

/// The bundled plugin that runs scripts.
fn engine(asked: &Path) -> Result<&'static Bundled, Failure> {
    alert_gateway_plugins::find(script::ENGINE).ok_or_else(|| unknown(asked))
}

fn unknown(what: &Path) -> Failure {
    let name = what.to_string_lossy();
    let names = || {
        alert_gateway_plugins::all()
            .iter()
            .map(|plugin| plugin.name)
    };
    let near = did_you_mean(&name, names())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Failure::Usage(format!(
        "{} is neither a plugin's folder, nor a wasm file, nor a script, nor a bundled plugin, of which there are {}{near}",
        what.display(),
        listed(names(), "and")
    ))
}
