//! Compiles a plugin to wasm: target, flags and profile, independent of the gateway's own build and
//! of the author's shell.
//!
//! Two callers share this file: this crate's build script, and `alert-gateway plugin build`. So an
//! author's plugin is compiled exactly as the bundled ones. The manifest needs only a library:
//! crate type and profile are given on the command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

use serde::Deserialize;

/// The target of plugins.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The profile of plugins. A call is nearly all loops over JSON: at level `s` they take an eighth
/// more instructions than at 2, and a plugin is a fifth smaller. Level 3 is larger and no faster,
/// but for digests, which gain from unrolled loops. The profile has a name of its own, so that no
/// `[profile.release]` is changed.
const PROFILE: [&str; 8] = [
    "profile.plugin.inherits='release'",
    "profile.plugin.opt-level=2",
    "profile.plugin.package.sha1.opt-level=3",
    "profile.plugin.package.sha2.opt-level=3",
    "profile.plugin.lto='fat'",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic='abort'",
    "profile.plugin.strip=true",
];

/// Flags of the linker. By default it pads every address for a later link (15 % of the size), and
/// it reserves 1 MiB for the stack, which the host would clear after every call.
const LINKER: [&str; 2] = [
    "-Clink-arg=--compress-relocations",
    "-Clink-arg=-zstack-size=65536",
];

/// Prefixes of environment variables that would change the wasm or its path. The wasm should be the
/// same on every machine.
const NOT_INHERITED: [&str; 9] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

/// A plugin's crate, and how to compile it.
#[derive(Debug, Clone, Copy)]
pub struct Crate<'a> {
    /// The folder of its `Cargo.toml`.
    pub folder: &'a Path,
    /// Cargo's target folder. Cargo holds a lock on it.
    pub target_dir: &'a Path,
    /// The cargo to ask: a path, or a name on the `PATH`.
    pub cargo: &'a OsStr,
    /// Forbids changes to `Cargo.lock`.
    pub locked: bool,
}

/// The reason why there is no wasm. Only the target folder was changed.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// There is no Rust on this machine.
    #[error(
        "there is no `{program}` on the PATH, and plugins are compiled with Rust. To install it, as https://rustup.rs \
         says: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    )]
    NoRust {
        /// The missing program.
        program: String,
    },
    /// A program is there and does not run.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// Rust is there, without the target.
    #[error(
        "plugins are compiled to {TARGET}, and this Rust does not have it. Run: rustup target add {TARGET}"
    )]
    NoTarget,
    /// Compilation failed. Cargo has printed the reason on standard error.
    #[error("{} did not compile; cargo's words are above", folder.display())]
    Failed {
        /// The crate's folder.
        folder: PathBuf,
    },
    /// Cargo compiled the crate, but produced no wasm.
    #[error("cargo compiled {} and made no wasm of it; does its Cargo.toml say [lib]?", folder.display())]
    NoWasm {
        /// The crate's folder.
        folder: PathBuf,
    },
}

/// Compiles a plugin and returns the path of its wasm. Cargo's messages go to standard error.
///
/// # Errors
/// See [`CompileError`]; each says what to do next.
pub fn compile(plugin: &Crate<'_>) -> Result<PathBuf, CompileError> {
    let sysroot = sysroot(plugin.folder)?;
    // The crate type as well: one that is an rlib too, for its tests, gets no link-time
    // optimisation.
    let mut cargo = command(plugin.cargo, "rustc", plugin.folder, plugin.target_dir);
    cargo.args([
        "--lib",
        "--crate-type",
        "cdylib",
        "--message-format=json-render-diagnostics",
    ]);
    if plugin.locked {
        cargo.arg("--locked");
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&sysroot).join("\x1f"));
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| not_run(&plugin.cargo.to_string_lossy(), error))?;
    if !output.status.success() {
        return Err(CompileError::Failed {
            folder: plugin.folder.to_owned(),
        });
    }
    last_wasm(&output.stdout).ok_or_else(|| CompileError::NoWasm {
        folder: plugin.folder.to_owned(),
    })
}

/// Returns a command of cargo, such as `rustc` or `clean`, for the artifacts of [`compile`].
pub fn command(cargo: &OsStr, name: &str, folder: &Path, target_dir: &Path) -> Command {
    let mut command = Command::new(cargo);
    for (variable, _) in env::vars_os() {
        if variable.to_str().is_some_and(|variable| {
            NOT_INHERITED
                .iter()
                .any(|start| variable.starts_with(start))
        }) {
            command.env_remove(variable);
        }
    }
    // The folder decides which toolchain and which `.cargo/config.toml` apply.
    command
        .current_dir(folder)
        .arg(name)
        .arg("--target-dir")
        .arg(target_dir);
    command.args(["--target", TARGET, "--profile", "plugin"]);
    command
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .stdin(Stdio::null());
    command
}

/// Returns the compiler's flags. Panics name files of dependencies and of the standard library; the
/// paths are remapped, so that the plugin's hash does not depend on the machine. Operators compare
/// that hash.
fn flags(sysroot: &Path) -> Vec<String> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let folders = [(Some(sysroot.to_owned()), "rust"), (home, "cargo")];
    let remap = folders.into_iter().filter_map(|(folder, name)| {
        folder.map(|folder| format!("--remap-path-prefix={}={name}", folder.display()))
    });
    remap.chain(LINKER.map(str::to_owned)).collect()
}

/// Returns the sysroot of this folder's Rust, if it has the target.
fn sysroot(folder: &Path) -> Result<PathBuf, CompileError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut asked = Command::new(&rustc);
    asked.current_dir(folder).args([
        "--print",
        "sysroot",
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]);
    let output = asked
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_run(&rustc.to_string_lossy(), error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().collect::<Vec<_>>()[..] {
        [sysroot, libraries] if Path::new(libraries).is_dir() => Ok(sysroot.into()),
        _ if output.status.success() => Err(CompileError::NoTarget),
        _ => {
            let source =
                io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            Err(CompileError::Program {
                program: rustc.to_string_lossy().into_owned(),
                source,
            })
        }
    }
}

fn not_run(program: &str, source: io::Error) -> CompileError {
    let program = program.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => CompileError::NoRust { program },
        _ => CompileError::Program { program, source },
    }
}

/// Returns the last wasm in cargo's messages: the requested crate is compiled last.
fn last_wasm(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let made = messages
        .rsplit(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    made.flat_map(|message| message.filenames)
        .find(|path| path.extension() == Some(OsStr::new("wasm")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasm_is_the_last_that_cargo_names() {
        let said = concat!(
            r#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","filenames":["/t/other.wasm"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","filenames":["/t/bell.wasm"],"fresh":true}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n"
        );
        assert_eq!(last_wasm(said.as_bytes()), Some("/t/bell.wasm".into()));
        assert_eq!(
            last_wasm(b"{\"reason\":\"build-finished\",\"success\":true}\n"),
            None
        );
    }

    #[test]
    fn folders_of_this_machine_are_renamed_in_the_wasm() {
        let flags = flags(Path::new("/opt/rust"));
        assert_eq!(flags[0], "--remap-path-prefix=/opt/rust=rust");
        assert!(
            flags[1].starts_with("--remap-path-prefix=") && flags[1].ends_with("=cargo"),
            "{flags:?}"
        );
    }

    #[test]
    fn missing_rust_or_target_is_answered_with_its_command() {
        let missing = not_run("cargo", io::ErrorKind::NotFound.into()).to_string();
        assert!(
            missing.contains("`cargo`") && missing.ends_with("https://sh.rustup.rs | sh"),
            "{missing}"
        );
        let target = CompileError::NoTarget.to_string();
        assert!(
            target.ends_with("Run: rustup target add wasm32-unknown-unknown"),
            "{target}"
        );
    }
}
