//! Compiles a plugin to wasm: target, flags and profile, independent of the gateway's own build and
//! of the author's shell.
//!
//! Two callers share this file: this crate's build script, and `alert-gateway plugin build`. So an
//! author's plugin is compiled exactly as the bundled ones. The manifest needs only a library:
//! crate type and profile are given on the command line.

use std::ffi::OsStr;
use std::io::{BufRead, IsTerminal};
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
    #[error("{} did not compile; cargo's words are above{hint}", folder.display())]
    Failed {
        /// The crate's folder.
        folder: PathBuf,
        /// The way out, where it is known.
        hint: &'static str,
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
        match io::stderr().is_terminal() {
            true => "--message-format=json-diagnostic-rendered-ansi",
            false => "--message-format=json",
        },
    ]);
    if plugin.locked {
        cargo.arg("--locked");
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&sysroot).join("\x1f"));
    let not_run = |error| not_run(&plugin.cargo.to_string_lossy(), error);
    let mut cargo = cargo.stdout(Stdio::piped()).spawn().map_err(not_run)?;
    let mut told = Told::default();
    for line in cargo.stdout.take().into_iter().flat_map(messages) {
        told.take(&line);
    }
    match (cargo.wait().map_err(not_run)?.success(), told.wasm) {
        (true, Some(wasm)) => Ok(wasm),
        (true, None) => Err(CompileError::NoWasm {
            folder: plugin.folder.to_owned(),
        }),
        (false, _) => Err(CompileError::Failed {
            folder: plugin.folder.to_owned(),
            hint: told.hint,
        }),
    }
}

/// The hint where getrandom refuses the target by a `compile_error!`, which names features that do
/// not help here.
const NO_RANDOMNESS: &str = ". The crate getrandom has no random bytes on this target, and its advice is about browsers: find the crate \
     that wants it by `cargo tree -i getrandom --target wasm32-unknown-unknown` and do without, or build for wasm32-wasip1, where there \
     are some, by a plugin.toml";

/// The messages that cargo has written so far.
#[derive(Default)]
struct Told {
    /// The last wasm: the requested crate is compiled last.
    wasm: Option<PathBuf>,
    hint: &'static str,
}

impl Told {
    /// Takes a line, and prints the compiler's words in it on standard error.
    fn take(&mut self, line: &str) {
        #[derive(Deserialize)]
        struct Message {
            #[serde(default)]
            filenames: Vec<PathBuf>,
            target: Option<Target>,
            message: Option<Diagnostic>,
        }
        #[derive(Deserialize)]
        struct Target {
            name: String,
        }
        #[derive(Deserialize)]
        struct Diagnostic {
            level: String,
            rendered: Option<String>,
        }
        let Ok(message) = serde_json::from_str::<Message>(line) else {
            return;
        };
        let mut made = message.filenames.into_iter();
        if let Some(wasm) = made.find(|path| path.extension() == Some(OsStr::new("wasm"))) {
            self.wasm = Some(wasm);
        }
        let Some(diagnostic) = message.message else {
            return;
        };
        eprint!("{}", diagnostic.rendered.unwrap_or_default());
        let is_getrandom = message
            .target
            .is_some_and(|target| target.name == "getrandom");
        if is_getrandom && diagnostic.level == "error" {
            self.hint = NO_RANDOMNESS;
        }
    }
}

fn messages(cargo: impl io::Read) -> impl Iterator<Item = String> {
    io::BufReader::new(cargo).lines().map_while(Result::ok)
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
        let all = told(said);
        assert_eq!((all.wasm, all.hint), (Some("/t/bell.wasm".into()), ""));
        assert_eq!(told("{\"reason\":\"build-finished\"}\n").wasm, None);
    }

    fn told(said: &str) -> Told {
        let mut told = Told::default();
        messages(said.as_bytes()).for_each(|line| told.take(&line));
        told
    }

    #[test]
    fn refusal_of_getrandom_is_explained() {
        let error = |name: &str, level: &str| {
            told(&format!(
                r#"{{"reason":"compiler-message","target":{{"name":"{name}"}},"message":{{"level":"{level}","rendered":""}}}}"#
            ))
        };
        assert!(
            error("getrandom", "error")
                .hint
                .contains("cargo tree -i getrandom")
        );
        assert_eq!(error("getrandom", "warning").hint, "");
        assert_eq!(error("door_bell", "error").hint, "");
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
