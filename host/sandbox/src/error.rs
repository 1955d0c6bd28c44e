//! The sandbox's errors, each with the state that holds afterwards. Their text is for the reader of
//! the log line.

use super::answer::AnswerError;
use plugin_sdk::contract::CONTRACT_VERSION;
use std::time::Duration;
use thiserror::Error;

/// The sandbox could not be set up. Nothing runs.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The engine refused its settings, or the system refused the address space that the pool
    /// reserves.
    #[error(
        "cannot set up the WebAssembly engine: {0}. It reserves (but does not use) about 4 GiB of address space for \
         each call that may run at once; look at `ulimit -v`"
    )]
    Engine(String),
    /// The clock's thread could not be started.
    #[error("cannot start the clock that limits the plugins' time: {0}")]
    Clock(#[source] std::io::Error),
}

/// A plugin was refused at load. The others are unaffected.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The bytes are no WebAssembly module that this host runs.
    #[error(
        "plugin `{plugin}` is not a WebAssembly module that this host can run: {reason}. Operator: the file may be torn, \
         or not the plugin. Author: build a core module for wasm32-unknown-unknown, as `alert-gateway plugin build` does, \
         and let its memory start within the limit"
    )]
    Module {
        /// The plugin's name.
        plugin: String,
        /// The compiler's message.
        reason: String,
    },
    /// The module starts with more memory than any call may have.
    #[error(
        "plugin `{plugin}` starts with {} of memory, and no call may have more than {}. Operator: take a smaller build of \
         it, or grant `memory` in a source's limits. Author: {SMALLER_MEMORY}", mebibytes(*.asked), mebibytes(*.limit as u64)
    )]
    Memory {
        /// The plugin's name.
        plugin: String,
        /// The size at the start, in bytes.
        asked: u64,
        /// The largest memory of any call, in bytes.
        limit: usize,
    },
    /// The module wants functions that this host does not offer.
    #[error(
        "plugin `{plugin}` imports {}, which this host does not offer. Operator: take a build of the plugin that was made \
         for the alert gateway, or an older one. Author: {}", list(.imports), without(.imports)
    )]
    Imports {
        /// The plugin's name.
        plugin: String,
        /// The imports, as `module.name`.
        imports: Vec<String>,
    },
    /// The module imports a known function under another type, or something that is no function.
    #[error(
        "plugin `{plugin}` does not fit this host: {reason}. Author: rebuild it with a current Extism PDK"
    )]
    Link {
        /// The plugin's name.
        plugin: String,
        /// The import, with the expected and the found type.
        reason: String,
    },
    /// An export that the contract demands is missing or has another type.
    #[error(
        "plugin `{plugin}` {found} `{export}`, and the host needs a function `{export}` of type () -> i32. Author: with \
         Rust, `plugin_sdk::export!` makes it; with another language, mark a function of that name as exported, or build \
         a command, whose `_start` reads a request from standard input and writes the answer to standard output"
    )]
    Export {
        /// The plugin's name.
        plugin: String,
        /// The export.
        export: &'static str,
        /// Its actual type, or its absence.
        found: String,
    },
    /// The plugin failed at `describe`.
    #[error(
        "plugin `{plugin}` failed in `describe`: {error}. Author: `describe` takes nothing, and answers the Description of \
         contract {CONTRACT_VERSION} as JSON"
    )]
    Describe {
        /// The plugin's name.
        plugin: String,
        /// The failure of the call.
        #[source]
        error: CallError,
    },
    /// The plugin was built against another version of the contract.
    #[error(
        "plugin `{plugin}` speaks version {found} of the contract, and this host speaks version {expected}: {}",
        rebuild(*.found, *.expected)
    )]
    Contract {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        found: u32,
        /// The host's version.
        expected: u32,
    },
    /// The host stopped while the plugin was being compiled.
    #[error("plugin `{plugin}` was not compiled: the host is stopping")]
    Stopped {
        /// The plugin's name.
        plugin: String,
    },
}

/// One call failed. The instance is gone, no other call noticed, and the plugin can be called
/// again.
#[derive(Debug, Error)]
pub enum CallError {
    /// The plugin crashed: a panic, an access outside its memory, a stack overflow.
    #[error("the plugin crashed: {trap}{}", told(.message))]
    Trap {
        /// The engine's message, with the innermost function if its name is known.
        trap: String,
        /// The plugin's last message before the crash; with the SDK, the panic's place and message.
        message: Option<String>,
    },
    /// The plugin ran for its whole time without an answer.
    #[error("the plugin ran for its whole time limit of {limit:?} without an answer")]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// The plugin asked for more memory than it may have.
    #[error("the plugin asked for {asked} bytes of memory, and its limit is {limit}")]
    Memory {
        /// The requested size, in bytes.
        asked: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The plugin asked for a larger table of functions than it may have.
    #[error("the plugin asked for a table of {asked} elements, and the limit is {limit}")]
    Table {
        /// The requested size, in elements.
        asked: usize,
        /// The limit, in elements.
        limit: usize,
    },
    /// The answer is too long, or it is no range of the memory that the plugin allocated for it.
    #[error("the plugin's answer cannot be taken: {0}")]
    Output(String),
    /// The plugin used up the memory that the host lends it for input, output and messages.
    #[error("the plugin used up the host's memory: no more than {limit} {unit} a call")]
    HostMemory {
        /// The limit.
        limit: usize,
        /// The limited resource.
        unit: &'static str,
    },
    /// The plugin asked for a capability outside the sandbox.
    #[error(
        "the plugin wanted {0}, which no plugin may have: a plugin is a function of the request and nothing else"
    )]
    Denied(&'static str),
    /// The plugin ended itself by `proc_exit`.
    #[error("the plugin ended itself with exit code {code}{}", told(.message))]
    Exit {
        /// The code it gave.
        code: i32,
        /// The plugin's last message.
        message: Option<String>,
    },
    /// The plugin itself reported an error.
    #[error("the plugin reported an error{}{}", code_of(*.code), told(.message))]
    Failed {
        /// The return code of the export; a message counts as an error even if this is 0.
        code: i32,
        /// The plugin's message.
        message: Option<String>,
    },
    /// The plugin answered, and the answer does not keep the contract.
    #[error("the plugin's answer does not keep the contract: {0}")]
    Answer(#[from] AnswerError),
    /// No place became free: too many calls of this plugin run at once, each for long.
    #[error("no place to run the plugin became free within {waited:?}: its calls take too long")]
    Busy {
        /// The time for which the call waited.
        waited: Duration,
    },
    /// The host could not start the plugin, for a reason of its own.
    #[error("the host could not run the plugin: {0}")]
    Host(String),
}

impl CallError {
    /// The label values for metrics.
    pub const KINDS: [&str; 12] = [
        "trap",
        "time",
        "memory",
        "table",
        "output",
        "host_memory",
        "denied",
        "exit",
        "error",
        "answer",
        "busy",
        "host",
    ];

    /// Returns the label value for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Time { .. } => "time",
            Self::Memory { .. } => "memory",
            Self::Table { .. } => "table",
            Self::Output(_) => "output",
            Self::HostMemory { .. } => "host_memory",
            Self::Denied(_) => "denied",
            Self::Exit { .. } => "exit",
            Self::Failed { .. } => "error",
            Self::Answer(_) => "answer",
            Self::Busy { .. } => "busy",
            Self::Host(_) => "host",
        }
    }

    /// Adds the plugin's last message, if the variant has a field for it.
    pub(super) fn with_message(self, said: Option<String>) -> Self {
        match self {
            Self::Trap { trap, message } => Self::Trap {
                trap,
                message: message.or(said),
            },
            Self::Exit { code, message } => Self::Exit {
                code,
                message: message.or(said),
            },
            other => other,
        }
    }
}

/// Advice on a memory that is large from the start.
pub const SMALLER_MEMORY: &str = "link it with less to start with, as it can grow: `--initial-memory=1048576` of wasm-ld \
    (`-Clink-arg=…` for rustc, `-Wl,…` for clang and zig cc), `--initialMemory 16` of asc; and with a smaller stack: \
    `-Clink-arg=-zstack-size=65536` of rustc, `-Wl,-z,stack-size=65536` of clang, `-Wl,--stack,65536` of zig cc";

/// `20 MiB`, `1.1 MiB`.
fn mebibytes(bytes: u64) -> String {
    let text = format!("{:.1}", bytes as f64 / (1024.0 * 1024.0));
    format!("{} MiB", text.strip_suffix(".0").unwrap_or(&text))
}

/// Advice on imports that the host does not offer.
fn without(imports: &[String]) -> &'static str {
    let of_javascript =
        |import: &String| import.starts_with("__wbindgen") || import.starts_with("wbg.");
    let of_abort = |import: &String| import == "env.abort";
    if imports.iter().any(of_javascript) {
        "a crate asks JavaScript for the time or for random bytes, as chrono, uuid and getrandom do with their features \
         for the web; switch that feature off (`cargo tree -e features -i wasm-bindgen` shows whose it is), or build for \
         wasm32-wasip1, where both are there"
    } else if imports.iter().any(of_abort) {
        "AssemblyScript imports `env.abort` unless it is told of another function: `--use abort=assembly/host/abort`"
    } else {
        "a plugin may import `extism:host/env` and `wasi_snapshot_preview1`, and no host functions of its own"
    }
}

fn told(message: &Option<String>) -> String {
    message
        .as_deref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default()
}

fn code_of(code: i32) -> String {
    if code == 0 {
        String::new()
    } else {
        format!(" (code {code})")
    }
}

fn list(imports: &[String]) -> String {
    imports
        .iter()
        .map(|import| format!("`{import}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn rebuild(found: u32, expected: u32) -> &'static str {
    if found < expected {
        "the plugin is the older side; rebuild it with this host's plugin SDK"
    } else {
        "the host is the older side; update the gateway, or take an older build of the plugin"
    }
}
