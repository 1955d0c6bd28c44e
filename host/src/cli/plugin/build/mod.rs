//! `plugin build`: makes the wasm of a plugin's folder.

mod cache;
mod command;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use alert_gateway_plugins::compile::{self, Crate};
use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::signature::sha256;

use super::folder::{self, MANIFEST, Recipe};
use super::{Failure, Outcome};
use cache::Cache;

/// A folder with a plugin.toml is built by its `build`, a command, which leaves the file that
/// `wasm` names. Otherwise Cargo compiles the crate for wasm32-unknown-unknown, in the way of the bundled plugins: small,
/// and with a small stack, which makes instances cheap. The manifest needs nothing for that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin build
  alert-gateway plugin build my-sender")]
pub struct Build {
    /// The folder of the plugin's plugin.toml or Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    target: TargetDir,
}

/// The option for cargo's target folder.
#[derive(Debug, Clone, Args)]
pub struct TargetDir {
    /// The folder for cargo's intermediate files; by default one of yours for all plugins, so that
    /// their common dependencies are compiled once
    #[arg(long = "target-dir", value_name = "DIR")]
    pub target_dir: Option<PathBuf>,
}

/// A plugin that was compiled.
#[derive(Debug)]
pub struct Built {
    /// The name of its package, or of its file.
    pub name: String,
    /// Its wasm file: of a crate, `<name>.wasm` beside its `Cargo.toml`.
    pub path: PathBuf,
    /// The content of that file.
    pub wasm: Vec<u8>,
}

pub fn build(what: &Build) -> Outcome {
    let built = wasm_of(&what.dir, what.target.target_dir.as_deref())?;
    let mut out = std::io::stdout().lock();
    let hash = sha256(&built.wasm).hex();
    writeln!(out, "wasm    {}", built.path.display())?;
    writeln!(out, "size    {} bytes", built.wasm.len())?;
    writeln!(out, "sha256  {hash}")?;
    let path = std::path::absolute(&built.path)?;
    let path = toml::Value::from(path.to_string_lossy().into_owned());
    writeln!(
        out,
        "\nIn a source of the configuration:\n\n    plugin = {{ path = {path}, sha256 = \"{hash}\" }}"
    )?;
    Ok(())
}

/// Makes the wasm of the plugin in `dir`, by its `plugin.toml` or as a crate.
///
/// # Errors
/// Each says what to do next.
pub fn wasm_of(dir: &Path, target_dir: Option<&Path>) -> Result<Built, Failure> {
    match folder::recipe(dir)? {
        Recipe::Crate => wasm_of_crate(dir, target_dir),
        Recipe::Command { build, wasm } => command::wasm_of(dir, build.as_deref(), &wasm),
        Recipe::Script(script) => Err(Failure::Usage(format!(
            "a script needs no build: {} is the setting `script` of a source with plugin = \"javascript\", as `alert-gateway \
             plugin inspect {}` shows",
            script.display(),
            dir.display()
        ))),
    }
}

/// Compiles the crate in `dir` and puts its wasm beside its `Cargo.toml`. Cargo's words go to
/// standard error. A wasm file that was there before stays as it is where this fails.
fn wasm_of_crate(dir: &Path, target_dir: Option<&Path>) -> Result<Built, Failure> {
    let name = package_name(dir)?;
    let cache = Cache::open(dir, target_dir)?;
    let folder = &std::path::absolute(dir)?;
    let target_dir = cache.path();
    let cargo = OsStr::new("cargo");
    let made = compile::compile(&Crate {
        folder,
        target_dir,
        cargo,
        locked: false,
    })?;
    let wasm = std::fs::read(&made).with_context(|| format!("cannot read {}", made.display()))?;
    drop(cache);
    let path = dir.join(format!("{name}.wasm"));
    replace(&path, &wasm).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Built { name, path, wasm })
}

fn package_name(dir: &Path) -> Result<String, Failure> {
    let path = dir.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let help = "name the folder of a plugin, a crate or one with a";
        let more = "`alert-gateway plugin new NAME` makes one";
        Failure::Usage(format!(
            "cannot read {}: {error}; {help} {MANIFEST}; {more}",
            path.display()
        ))
    })?;
    let manifest: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", path.display()))?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str());
    Ok(name.map(str::to_owned).ok_or_else(|| {
        anyhow!(
            "{} has no [package] with a `name`; name the folder of the plugin itself",
            path.display()
        )
    })?)
}

/// A file is there as a whole or not at all: a gateway may start at any moment.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // For everybody to read, as the user's mask allows: a gateway is another user.
    let mut file = tempfile::Builder::new()
        .prefix(".wasm-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
