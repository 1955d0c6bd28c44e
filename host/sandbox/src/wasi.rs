//! WASI preview1, as far as it has a meaning for a function of the request.
//!
//! All 46 functions are there, because compilers import them whether a program needs them or not.
//! Nothing behind them is the machine's: a call gives the same answer whenever it is replayed.
//!
//! | asked for | answered |
//! |---|---|
//! | a clock | the time of receipt, plus the time that was slept; to an initializer, a monotonic one of its own: [`clock`] |
//! | a sleep | the clock moves, and nothing waits |
//! | random bytes | a stream that is a function of the request and the plugin, and for an initializer of the plugin alone: [`random`] |
//! | standard input | the request |
//! | standard output | a command's answer; of a library it goes to the log |
//! | standard error | the log; its last lines stand in the error of a call that fails |
//! | arguments | `plugin`, and for a command `describe` or `read` |
//! | the environment | nothing |
//! | files, folders, sockets | EBADF: there are none |
//! | all else | ENOSYS |
//!
//! Every address is hostile: what lies outside the plugin's memory is EFAULT, and changes nothing.
//! What a call may make the host keep is bounded: an answer by the source's limit, the log by
//! [`super::log`], and the last lines of standard error by [`super::log::MAX_ERROR`].

mod arguments;
mod clock;
mod guest;
mod random;
mod streams;

use super::call::Call;
use super::error::CallError;
use super::log::CallLog;
use super::sandbox::Identity;
use clock::VirtualClock;
use random::Random;
use streams::Streams;
use wasmtime::{Caller, FuncType, Linker, Val, ValType};

/// The module that the functions are imported from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// An error number of preview1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Errno(i32);

const SUCCESS: Errno = Errno(0);
/// No such file, folder or socket.
const BADF: Errno = Errno(8);
/// An address outside the plugin's memory.
const FAULT: Errno = Errno(21);
/// A value that has no meaning.
const INVAL: Errno = Errno(28);
/// The host does not offer this.
const NOSYS: Errno = Errno(52);
/// A stream has no position.
const SPIPE: Errno = Errno(70);

/// The functions with a meaning.
const MEANT: [&str; 18] = [
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_filestat_get",
    "fd_read",
    "fd_renumber",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
];

/// The functions on an open file that make no sense on a standard stream: their parameters (`i` of
/// 32 bits, `I` of 64), and the answer for a standard stream. Any other file is none.
const ON_FILES: [(&str, &str, Errno); 14] = [
    ("fd_advise", "iIIi", SPIPE),
    ("fd_allocate", "iII", SPIPE),
    ("fd_datasync", "i", INVAL),
    ("fd_fdstat_set_rights", "iII", NOSYS),
    ("fd_filestat_set_size", "iI", INVAL),
    ("fd_filestat_set_times", "iIIi", NOSYS),
    ("fd_pread", "iiiIi", SPIPE),
    ("fd_prestat_dir_name", "iii", BADF),
    ("fd_prestat_get", "ii", BADF),
    ("fd_pwrite", "iiiIi", SPIPE),
    ("fd_readdir", "iiiIi", BADF),
    ("fd_seek", "iIii", SPIPE),
    ("fd_sync", "i", INVAL),
    ("fd_tell", "ii", SPIPE),
];

/// The functions on folders and sockets, of which there are none, with their parameters.
const ON_NOTHING: [(&str, &str); 14] = [
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// Returns the names of all functions.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    MEANT
        .into_iter()
        .chain(ON_FILES.into_iter().map(|(name, ..)| name))
        .chain(ON_NOTHING.into_iter().map(|(name, _)| name))
}

/// The state of one call. It costs nothing until a function is called.
pub(super) struct Wasi {
    /// The hash of the plugin, and the one of its wasm.
    hash: [u8; 32],
    wasm: [u8; 32],
    argument: Option<&'static str>,
    clock: VirtualClock,
    random: Option<Random>,
    streams: Streams,
}

impl Wasi {
    /// The state at the start of a call of this plugin.
    pub(super) fn new(plugin: &Identity) -> Self {
        Self {
            hash: plugin.hash,
            wasm: plugin.wasm,
            argument: None,
            clock: VirtualClock::default(),
            random: None,
            streams: Streams::default(),
        }
    }

    /// Begins a part of the plugin's run, which has a random stream of its own.
    pub(super) fn begin(&mut self) {
        self.random = None;
    }

    /// Makes the plugin a command with this argument: its standard output is its answer.
    pub(super) fn start(&mut self, argument: &'static str) {
        self.argument = Some(argument);
    }

    /// Adds to the answer of a command.
    pub(super) fn print(&mut self, text: &[u8]) {
        self.streams.printed.extend_from_slice(text);
    }

    /// The answer of a command, as far as it is written.
    pub(super) fn printed(&self) -> &[u8] {
        &self.streams.printed
    }

    /// Logs the lines that were begun and not ended.
    pub(super) fn flush(&mut self, log: &mut CallLog) {
        self.streams.flush(log);
    }

    /// Returns the last lines of standard error, in one; `None` where nothing was written there.
    pub(super) fn last_words(&self) -> Option<String> {
        self.streams.last_words()
    }
}

/// Offers the functions to plugins.
pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    arguments::link(linker)?;
    clock::link(linker)?;
    random::link(linker)?;
    streams::link(linker)?;
    for (name, parameters, on_stream) in ON_FILES {
        answer(linker, name, parameters, on_stream)?;
    }
    for (name, parameters) in ON_NOTHING {
        answer(linker, name, parameters, BADF)?;
    }
    linker
        .func_wrap(
            MODULE,
            "proc_exit",
            |_: Caller<'_, Call>, code: i32| -> wasmtime::Result<()> {
                Err(CallError::Exit {
                    code,
                    message: None,
                }
                .into())
            },
        )?
        .func_wrap(MODULE, "proc_raise", |_: i32| NOSYS.0)?
        .func_wrap(MODULE, "sched_yield", || SUCCESS.0)?;
    Ok(())
}

/// Offers a function that does nothing: it answers `on_stream` where its first parameter is a
/// standard stream, and EBADF otherwise.
fn answer(
    linker: &mut Linker<Call>,
    name: &str,
    parameters: &str,
    on_stream: Errno,
) -> wasmtime::Result<()> {
    let parameters = parameters.chars().map(|parameter| match parameter {
        'I' => ValType::I64,
        _ => ValType::I32,
    });
    let of_type = FuncType::new(linker.engine(), parameters, [ValType::I32]);
    linker.func_new(MODULE, name, of_type, move |_, parameters, results| {
        let file = parameters.first().and_then(Val::i32);
        let errno = if file.is_some_and(streams::is_standard) {
            on_stream
        } else {
            BADF
        };
        if let Some(result) = results.first_mut() {
            *result = Val::I32(errno.0);
        }
        Ok(())
    })?;
    Ok(())
}
