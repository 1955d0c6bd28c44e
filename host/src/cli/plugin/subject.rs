//! The plugin under inspection: a folder with a crate or a script, a wasm file, or the name of a
//! bundled one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use alert_gateway_plugins::{Bundled, script};

use clap::Args;
use plugin_sdk::contract::Request;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::Failure;
use super::build::{self, TargetDir};
use crate::config::{Limits, did_you_mean, listed};
use alert_gateway_sandbox::{Plugin, Sandbox, SandboxOptions};

/// Concurrent calls: `list` calls `describe` of several plugins, every other command calls one.
const INSTANCES: u32 = 4;

/// The argument that names a plugin.
#[derive(Debug, Args)]
pub struct Which {
    /// The plugin: its folder, of which a crate is built first, a wasm file, a script for the plugin
    /// `javascript`, or the name of a bundled one
    #[arg(value_name = "DIR|FILE.wasm|FILE.js|NAME", default_value = ".")]
    plugin: PathBuf,
    #[command(flatten)]
    target: TargetDir,
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
    /// The script under inspection, where the plugin is the bundled one that runs scripts.
    pub script: Option<String>,
}

/// The origin of a plugin.
pub enum Origin {
    /// A file; that of a crate stands beside its `Cargo.toml`.
    File(PathBuf),
    /// A script with the files of a plugin beside it.
    Folder(PathBuf),
    /// The gateway carries it.
    Bundled(&'static Bundled),
    /// A script, for the plugin that the gateway carries for them.
    Script(PathBuf),
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
            });
        }
        if what.join(script::SCRIPT).is_file() {
            return Self::of_folder(what);
        }
        let bundled = what.to_str().and_then(alert_gateway_plugins::find);
        match bundled.filter(|_| !what.join("Cargo.toml").exists()) {
            Some(bundled) => Ok(Self::bundled(bundled)),
            None if what.is_dir() => {
                let built = build::wasm_of(what, which.target.target_dir.as_deref())?;
                Ok(Self {
                    name: built.name,
                    wasm: built.wasm.into(),
                    configuration: Vec::new(),
                    origin: Origin::File(built.path),
                    script: None,
                })
            }
            None => Err(unknown(what)),
        }
    }

    /// The script in this file.
    fn of_script(path: &Path) -> Result<Self, Failure> {
        let script = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
        Ok(Self {
            origin: Origin::Script(path.to_owned()),
            script: Some(script),
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
            origin: Origin::Folder(folder.to_owned()),
            ..Self::bundled(engine(folder)?)
        })
    }

    /// Puts the script into a request's settings, where there is one.
    pub fn complete(&self, request: &mut Request) {
        let Some(script) = &self.script else { return };
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
        }
    }

    /// Returns the folder of its cases.
    pub fn cases(&self) -> Option<PathBuf> {
        match &self.origin {
            Origin::File(file) | Origin::Script(file) => Some(file.with_file_name("cases")),
            Origin::Folder(folder) => Some(folder.join("cases")),
            Origin::Bundled(_) => None,
        }
    }

    /// Makes it ready to be called.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<Plugin, Failure> {
        let configuration: Vec<_> = self
            .configuration
            .iter()
            .map(|(name, text)| (*name, &**text))
            .collect();
        Ok(sandbox
            .load_configured(&self.name, &self.wasm, &configuration)
            .await?)
    }

    /// Returns the bytes of its WebAssembly, or of a script that shares its engine with others.
    pub fn size(&self) -> usize {
        match &self.configuration[..] {
            [] => self.wasm.len(),
            configuration => configuration.iter().map(|(_, text)| text.len()).sum(),
        }
    }
}

/// A sandbox in which a source without limits of its own would run.
pub fn sandbox() -> Result<Sandbox, Failure> {
    let max_memory = Limits::default().memory;
    Ok(Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: INSTANCES,
        max_memory,
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
