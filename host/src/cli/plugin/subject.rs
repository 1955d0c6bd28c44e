//! The plugin under inspection: a crate's folder, a wasm file, or the name of a bundled one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use alert_gateway_plugins::Bundled;

use clap::Args;

use super::Failure;
use super::build::{self, TargetDir};
use crate::config::{Limits, did_you_mean, listed};
use alert_gateway_sandbox::{Plugin, Sandbox, SandboxOptions};

/// Concurrent calls: `list` calls `describe` of several plugins, every other command calls one.
const INSTANCES: u32 = 4;

/// The argument that names a plugin.
#[derive(Debug, Args)]
pub struct Which {
    /// The plugin: its crate's folder, which is built first, a wasm file, or the name of a bundled
    /// one
    #[arg(value_name = "DIR|FILE.wasm|NAME", default_value = ".")]
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
    /// Its origin.
    pub origin: Origin,
}

/// The origin of a plugin.
pub enum Origin {
    /// A file; that of a crate stands beside its `Cargo.toml`.
    File(PathBuf),
    /// The gateway carries it.
    Bundled(&'static Bundled),
}

impl Subject {
    /// The plugin that is meant. A bundled one steps back behind a crate's folder of the same name.
    pub fn find(which: &Which) -> Result<Self, Failure> {
        let what = which.plugin.as_path();
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
                origin: Origin::File(what.to_owned()),
            });
        }
        let bundled = what.to_str().and_then(alert_gateway_plugins::find);
        match bundled.filter(|_| !what.join("Cargo.toml").exists()) {
            Some(bundled) => Ok(Self::bundled(bundled)),
            None if what.is_dir() => {
                let built = build::wasm_of(what, which.target.target_dir.as_deref())?;
                Ok(Self {
                    name: built.name,
                    wasm: built.wasm.into(),
                    origin: Origin::File(built.path),
                })
            }
            None => Err(unknown(what)),
        }
    }

    /// One that the gateway carries.
    pub fn bundled(bundled: &'static Bundled) -> Self {
        Self {
            name: bundled.name.to_owned(),
            wasm: bundled.wasm.into(),
            origin: Origin::Bundled(bundled),
        }
    }

    /// Returns the folder of its cases.
    pub fn cases(&self) -> Option<PathBuf> {
        match &self.origin {
            Origin::File(file) => Some(file.with_file_name("cases")),
            Origin::Bundled(_) => None,
        }
    }

    /// Makes it ready to be called.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<Plugin, Failure> {
        Ok(sandbox.load(&self.name, &self.wasm).await?)
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
        "{} is neither a plugin's folder, nor a wasm file, nor a bundled plugin, of which there are {}{near}",
        what.display(),
        listed(names(), "and")
    ))
}
