//! Compiles every plugin beside this crate to wasm, and writes the tables that embed them, the
//! scripts and the SDK.
//!
//! A plugin is another target than the gateway, so it takes a cargo of its own, with a target
//! folder of its own: cargo holds a lock on the outer one.

#[path = "src/compile.rs"]
mod compile;
#[path = "src/script.rs"]
mod script;
#[path = "src/standalone.rs"]
mod standalone;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use compile::{CompileError, Crate, TARGET};

/// The parts of the SDK's folder that a plugin author gets, besides its manifest.
const SDK_PARTS: [&str; 2] = ["src", "README.md"];

/// The files of the root that go with them. With rustfmt.toml, an author's `cargo fmt` leaves the
/// SDK unchanged.
const ROOT_PARTS: [&str; 2] = ["LICENSE", "rustfmt.toml"];

fn main() -> Result<(), Box<dyn Error>> {
    let bundle = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let plugins = bundle
        .parent()
        .ok_or("plugins/bundle stands in no folder")?;
    let root = plugins.parent().ok_or("plugins/ stands in no workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    watch(root);
    fs::write(out.join("sdk.rs"), sdk(root, &out)?)?;
    let mut rows = String::new();
    let mut engine = PathBuf::new();
    for name in &plugin_names(plugins)? {
        let folder = plugins.join(name);
        if folder.join(script::SCRIPT).is_file() {
            rows += &row(&folder, name, "ENGINE", &configuration(&folder, name)?);
            continue;
        }
        let wasm = compiled(&folder, &out.join("target"))?;
        if name == script::ENGINE {
            rows += &row(&folder, name, "ENGINE", "&[]");
            engine = wasm;
        } else {
            rows += &row(&folder, name, &format!("include_bytes!({wasm:?})"), "&[]");
        }
    }
    let table = format!(
        "{{\n    const ENGINE: &[u8] = include_bytes!({engine:?});\n    &[\n{rows}    ]\n}}\n"
    );
    fs::write(out.join("plugins.rs"), table)?;
    Ok(())
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo sets no {name}"))
}

/// Has cargo watch the sources of the plugins and the SDK. `plugins` is watched whole, so that a
/// new folder is noticed.
fn watch(root: &Path) {
    for part in [
        "plugins",
        "plugin-sdk",
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
    ]
    .iter()
    .chain(&ROOT_PARTS)
    {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
}

/// A plugin is a folder whose crate makes a cdylib, or one with a script; folder, package and plugin
/// have the same name.
fn plugin_names(plugins: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| format!("plugins/{} is not UTF-8", name.display()))?;
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\"cdylib\"") || entry.path().join(script::SCRIPT).is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Compiles a plugin and returns the path of its wasm. A missing target is installed: rustup
/// installs the targets of rust-toolchain.toml, but not where its auto-install is switched off.
fn compiled(folder: &Path, target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = variable("CARGO")?;
    let plugin = Crate {
        folder,
        target_dir,
        cargo: &cargo,
        locked: true,
    };
    match compile::compile(&plugin) {
        Err(CompileError::NoTarget) if installed() => Ok(compile::compile(&plugin)?),
        outcome => Ok(outcome?),
    }
}

fn installed() -> bool {
    Command::new("rustup")
        .args(["target", "add", TARGET])
        .status()
        .is_ok_and(|status| status.success())
}

/// A `Bundled { … },` as Rust.
fn row(folder: &Path, name: &str, wasm: &str, configuration: &str) -> String {
    let cases = folder.join("cases");
    let request = cases.join("sample.http");
    let settings = cases.join("settings.json");
    let sample = if request.is_file() && settings.is_file() {
        format!(
            "Some(Sample {{ request: include_bytes!({request:?}), settings: include_str!({settings:?}) }})"
        )
    } else {
        "None".to_owned()
    };
    format!(
        "    Bundled {{ name: {name:?}, wasm: {wasm}, configuration: {configuration}, sample: {sample} }},\n"
    )
}

/// The files of a script, as `&[("script", …), …]` in Rust.
fn configuration(folder: &Path, name: &str) -> Result<String, Box<dyn Error>> {
    let mut rust = String::from("&[");
    for (asked, text) in script::read(folder, name)? {
        write!(rust, "({asked:?}, {text:?}), ")?;
    }
    Ok(rust + "]")
}

/// The SDK's files, as `&[File { … }, …]` in Rust.
fn sdk(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let folder = root.join("plugin-sdk");
    let read = |path: PathBuf| -> Result<toml::Table, Box<dyn Error>> {
        Ok(fs::read_to_string(path)?.parse()?)
    };
    let manifest = standalone::manifest(
        &read(root.join("Cargo.toml"))?,
        &read(folder.join("Cargo.toml"))?,
    )
    .map_err(|error| format!("plugin-sdk/Cargo.toml cannot be carried: {error}"))?;
    let written = out.join("sdk.toml");
    fs::write(&written, toml::to_string(&manifest)?)?;
    let mut files = vec![("Cargo.toml".to_owned(), written)];
    files.extend(ROOT_PARTS.map(|part| (part.to_owned(), root.join(part))));
    for part in SDK_PARTS {
        collect(&folder, &folder.join(part), &mut files)?;
    }
    files.sort();
    let mut rust = String::from("&[\n");
    for (name, path) in files {
        writeln!(
            rust,
            "    File {{ path: {name:?}, text: include_str!({path:?}) }},"
        )?;
    }
    Ok(rust + "]\n")
}

/// A file, or all files of a folder, each with its path within `base`.
fn collect(
    base: &Path,
    path: &Path,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(base, &entry?.path(), files)?;
        }
    } else if path.is_file() {
        let within = path
            .strip_prefix(base)?
            .to_str()
            .ok_or("a file of the SDK has a name that is not UTF-8")?;
        files.push((within.to_owned(), path.to_owned()));
    }
    Ok(())
}
