//! The little of WASI that a module built for `wasm32-wasip1` imports whether it needs it or not.
//! There is nothing behind it: no files, no environment, no clock, no randomness. A program's
//! output goes to the log; every other function returns an error number, and the languages'
//! libraries can handle that.

use super::call::Call;
use super::error::CallError;
use super::log::MAX_BYTES;
use tracing::Level;
use wasmtime::{AsContextMut, Caller, Extern, Linker};

/// The module that the functions are imported from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// All of the functions; every other one is refused when the plugin is loaded.
pub(super) const FUNCTIONS: [&str; 16] = [
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_prestat_get",
    "fd_prestat_dir_name",
    "fd_read",
    "fd_seek",
    "fd_write",
    "proc_exit",
    "random_get",
    "sched_yield",
];

const SUCCESS: i32 = 0;
/// No such file: there are none.
const BADF: i32 = 8;
/// An address outside the plugin's memory.
const FAULT: i32 = 21;
/// The host does not offer this.
const NOSYS: i32 = 52;

/// Pieces of one write that are looked at. Libraries use one or two.
const MAX_PIECES: u32 = 16;

/// Offers the functions to plugins.
pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "args_get", |_: i32, _: i32| SUCCESS)?
        .func_wrap(MODULE, "args_sizes_get", nothing)?
        .func_wrap(MODULE, "environ_get", |_: i32, _: i32| SUCCESS)?
        .func_wrap(MODULE, "environ_sizes_get", nothing)?
        .func_wrap(MODULE, "clock_res_get", |_: i32, _: i32| NOSYS)?
        .func_wrap(MODULE, "clock_time_get", |_: i32, _: i64, _: i32| NOSYS)?
        .func_wrap(MODULE, "fd_close", |_: i32| BADF)?
        .func_wrap(MODULE, "fd_fdstat_get", |_: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_prestat_get", |_: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_read", |_: i32, _: i32, _: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_write", write)?
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
        .func_wrap(MODULE, "random_get", |_: i32, _: i32| NOSYS)?
        .func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    Ok(())
}

/// No arguments, no variables: both sizes are 0.
fn nothing(mut call: Caller<'_, Call>, count: u32, bytes: u32) -> i32 {
    match put(&mut call, count, 0).and_then(|()| put(&mut call, bytes, 0)) {
        Some(()) => SUCCESS,
        None => FAULT,
    }
}

/// Standard output and error go to the log, where the limits of [`super::log`] hold.
fn write(mut call: Caller<'_, Call>, file: i32, pieces: u32, count: u32, written: u32) -> i32 {
    let level = match file {
        1 => Level::INFO,
        2 => Level::WARN,
        _ => return BADF,
    };
    let Some((text, length)) = gather(&mut call, pieces, count.min(MAX_PIECES)) else {
        return FAULT;
    };
    call.data_mut().log.write(level, &text);
    match put(&mut call, written, length) {
        Some(()) => SUCCESS,
        None => FAULT,
    }
}

/// The text of these pieces as far as a log line may hold it, and the length of all of it.
fn gather(call: &mut Caller<'_, Call>, pieces: u32, count: u32) -> Option<(Vec<u8>, u32)> {
    let memory = memory(call)?;
    let memory = memory.data(call);
    let mut text = Vec::new();
    let mut length = 0_u32;
    for piece in 0..count {
        let at = pieces.checked_add(piece.checked_mul(8)?)?;
        let (start, size) = (word(memory, at)?, word(memory, at.checked_add(4)?)?);
        let bytes = memory.get(start as usize..(start as usize).checked_add(size as usize)?)?;
        text.extend_from_slice(&bytes[..bytes.len().min(MAX_BYTES - text.len())]);
        length = length.checked_add(size)?;
    }
    Some((text, length))
}

fn word(memory: &[u8], at: u32) -> Option<u32> {
    let at = at as usize;
    Some(u32::from_le_bytes(
        memory.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn put(call: &mut Caller<'_, Call>, at: u32, value: u32) -> Option<()> {
    memory(call)?
        .write(call.as_context_mut(), at as usize, &value.to_le_bytes())
        .ok()
}

fn memory(call: &mut Caller<'_, Call>) -> Option<wasmtime::Memory> {
    call.get_export("memory").and_then(Extern::into_memory)
}
