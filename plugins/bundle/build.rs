//! Compiles every plugin beside this crate to wasm, and writes the table that embeds them.
//!
//! A plugin is another target than the gateway, so it takes a cargo of its own, with a target folder of its own: cargo
//! holds a lock on the outer one. What is set for the gateway's own build (flags, wrappers, profiles) must not leak in.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "plugin";

/// The linker leaves room in every address, unless it is told that nothing will be linked again.
const COMPACT: &str = "-Clink-arg=--compress-relocations";

/// Variables of the outer build that would change the inner one: the wasm should be the same whatever builds the
/// gateway.
const NOT_INHERITED: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "CLIPPY_ARGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let bundle = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let plugins = bundle.parent().ok_or("plugins/bundle stands in no folder")?;
    let root = plugins.parent().ok_or("plugins/ stands in no workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    watch(root);
    let names = plugin_names(plugins)?;
    install_target()?;
    for name in &names {
        build(root, &out.join("target"), name)?;
    }
    fs::write(out.join("plugins.rs"), table(plugins, &out, &names))?;
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo sets no {name}"))
}

/// What the plugins are made of. `plugins` is watched whole, so that a new folder is noticed.
fn watch(root: &Path) {
    for part in
        ["plugins", "plugin-sdk/src", "plugin-sdk/Cargo.toml", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"]
    {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
    NOT_INHERITED.iter().for_each(|name| println!("cargo::rerun-if-env-changed={name}"));
}

/// A plugin is a folder whose crate makes a cdylib; folder, package and plugin have the same name.
fn plugin_names(plugins: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("plugins/{} is not UTF-8", name.display()))?;
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\"cdylib\"") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// rustup installs what rust-toolchain.toml lists, but not where its auto-install is switched off.
fn install_target() -> Result<(), Box<dyn Error>> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let found = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_dir() {
        return Ok(());
    }
    let installed = Command::new("rustup").args(["target", "add", TARGET]).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("the plugins are compiled to wasm, and the target for it is missing. Run: rustup target add {TARGET}")
        .into())
}

fn build(root: &Path, target: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    // `rustc --crate-type`, because a crate that is an rlib as well, for its tests, is compiled without link-time
    // optimisation.
    let arguments =
        ["rustc", "--locked", "--target", TARGET, "--profile", PROFILE, "--crate-type", "cdylib", "-p", name];
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(root).args(arguments).arg("--target-dir").arg(target);
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    // Panics name files of dependencies. Without the first flag they would name folders of the machine that built it,
    // and the wasm, whose hash operators compare, would differ from machine to machine. The second saves 15 % of size.
    let flags = [format!("--remap-path-prefix={}=cargo", variable("CARGO_HOME")?), COMPACT.to_owned()];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if cargo.status()?.success() {
        return Ok(());
    }
    let command = arguments.join(" ");
    Err(format!("the plugin {name} did not compile (cargo's words are above). To see it alone: cargo {command}").into())
}

/// `&[Bundled { … }]` as Rust.
fn table(plugins: &Path, out: &Path, names: &[String]) -> String {
    let rows = names.iter().map(|name| {
        let wasm = out.join(format!("target/{TARGET}/{PROFILE}/{}.wasm", name.replace('-', "_")));
        let cases = plugins.join(name).join("cases");
        let (request, settings) = (cases.join("sample.http"), cases.join("settings.json"));
        let sample = if request.is_file() && settings.is_file() {
            format!("Some(Sample {{ request: include_bytes!({request:?}), settings: include_str!({settings:?}) }})")
        } else {
            "None".to_owned()
        };
        format!("    Bundled {{ name: {name:?}, wasm: include_bytes!({wasm:?}), sample: {sample} }},\n")
    });
    format!("&[\n{}]\n", rows.collect::<String>())
}
