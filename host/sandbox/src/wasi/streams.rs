//! The standard streams. A command reads its request from standard input and writes its answer to
//! standard output. All else that is printed goes to the log, line by line.

use super::guest::{Guest, element, with};
use super::{BADF, Errno, FAULT, INVAL, MODULE, NOSYS, SUCCESS};
use crate::call::Call;
use crate::error::CallError;
use crate::log::{CallLog, MAX_BYTES, MAX_ERROR, said};
use crate::phase::Asked;
use tracing::Level;
use wasmtime::{Caller, Linker};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
const ERROR: i32 = 2;

/// Pieces of one read or write; Linux takes as many.
const MAX_PIECES: u32 = 1024;

/// Lines of standard error in the error of a failed call. A panic of Go with its stack has about as
/// many.
const LAST_LINES: usize = 16;

/// Bytes that a stream takes at once, as a polling program is told: those of a pipe.
const PIPE: u64 = 65_536;

/// Preview1's rights to read, to write, to set flags and to poll.
const MAY_READ: u64 = 1 << 1;
const MAY_WRITE: u64 = 1 << 6;
const MAY_SET_FLAGS_AND_POLL: u64 = 1 << 3 | 1 << 27;

/// The streams of one call.
#[derive(Default)]
pub(super) struct Streams {
    /// Bytes of the input that were read.
    read: usize,
    /// The answer of a command.
    pub(super) printed: Vec<u8>,
    /// The begun lines of standard output and standard error.
    lines: [Vec<u8>; 2],
    /// The end of standard error.
    last: Vec<u8>,
}

impl Streams {
    /// Logs the whole lines of this text, and keeps the rest for the next text. No more is looked at
    /// than a call may log.
    fn log(&mut self, log: &mut CallLog, file: i32, text: &[u8]) {
        let (line, level) = match file {
            ERROR => (&mut self.lines[1], Level::WARN),
            _ => (&mut self.lines[0], Level::INFO),
        };
        for piece in text[..text.len().min(MAX_BYTES)].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.len() >= MAX_BYTES {
                write_line(log, level, line);
            }
        }
    }

    pub(super) fn flush(&mut self, log: &mut CallLog) {
        let [output, error] = &mut self.lines;
        write_line(log, Level::INFO, output);
        write_line(log, Level::WARN, error);
    }

    /// Keeps the end of what was written to standard error.
    fn remember(&mut self, text: &[u8]) {
        self.last
            .extend_from_slice(&text[text.len().saturating_sub(MAX_ERROR)..]);
        if self.last.len() > 2 * MAX_ERROR {
            self.last.drain(..self.last.len() - MAX_ERROR);
        }
    }

    pub(super) fn last_words(&self) -> Option<String> {
        let last = &self.last[self.last.len().saturating_sub(MAX_ERROR)..];
        let lines: Vec<&[u8]> = last
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .collect();
        let lines = &lines[lines.len().saturating_sub(LAST_LINES)..];
        (!lines.is_empty()).then(|| said(&lines.join(&b" | "[..])))
    }
}

/// Logs a line and empties it. Empty lines are not logged.
fn write_line(log: &mut CallLog, level: Level, line: &mut Vec<u8>) {
    if !line.trim_ascii().is_empty() {
        log.write(level, line);
    }
    line.clear();
}

/// Returns whether this file is a standard stream: the others do not exist.
pub(super) fn is_standard(file: i32) -> bool {
    (INPUT..=ERROR).contains(&file)
}

/// Returns the number of bytes that can be read from this file, or written to it, at once.
pub(super) fn ready(call: &Call, file: i32, to_write: bool) -> Option<u64> {
    match (file, to_write) {
        (INPUT, false) => Some(unread(call).len() as u64),
        (OUTPUT | ERROR, true) => Some(PIPE),
        _ => None,
    }
}

fn unread(call: &Call) -> &[u8] {
    let input = call.memory.input();
    input.get(call.wasi.streams.read..).unwrap_or_default()
}

pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    // A closed stream stays as it is: a program closes it as it ends.
    let of_standard = |errno: Errno| {
        move |file: i32| {
            if is_standard(file) { errno.0 } else { BADF.0 }
        }
    };
    linker
        .func_wrap(MODULE, "fd_close", of_standard(SUCCESS))?
        .func_wrap(MODULE, "fd_fdstat_set_flags", move |file: i32, _: i32| {
            of_standard(SUCCESS)(file)
        })?
        .func_wrap(MODULE, "fd_renumber", |from: i32, to: i32| {
            if is_standard(from) && is_standard(to) {
                NOSYS.0
            } else {
                BADF.0
            }
        })?
        .func_wrap(MODULE, "fd_fdstat_get", status)?
        .func_wrap(MODULE, "fd_filestat_get", facts)?
        .func_wrap(MODULE, "fd_read", read)?
        .func_wrap(MODULE, "fd_write", write)?;
    Ok(())
}

/// Writes preview1's `fdstat`. The type is unknown, and so no terminal: libraries write whole
/// buffers.
fn status(mut caller: Caller<'_, Call>, file: i32, at: u32) -> i32 {
    with(&mut caller, |mut guest, _| {
        let rights = match file {
            INPUT => MAY_READ,
            OUTPUT | ERROR => MAY_WRITE,
            _ => return Err(BADF),
        };
        let mut status = [0; 24];
        status[8..16].copy_from_slice(&(rights | MAY_SET_FLAGS_AND_POLL).to_le_bytes());
        guest.store(at, &status)
    })
}

/// Writes preview1's `filestat`: all is unknown but the one link.
fn facts(mut caller: Caller<'_, Call>, file: i32, at: u32) -> i32 {
    with(&mut caller, |mut guest, _| {
        if !is_standard(file) {
            return Err(BADF);
        }
        let mut facts = [0; 64];
        facts[24..32].copy_from_slice(&1_u64.to_le_bytes());
        guest.store(at, &facts)
    })
}

/// The address and the length of a piece of a read or write.
fn piece(guest: &Guest<'_>, list: u32, index: u32) -> Result<(u32, u32), Errno> {
    let at = element(list, index, 8)?;
    let length = at.checked_add(4).ok_or(FAULT)?;
    Ok((
        u32::from_le_bytes(guest.load(at)?),
        u32::from_le_bytes(guest.load(length)?),
    ))
}

fn read(mut caller: Caller<'_, Call>, file: i32, list: u32, count: u32, read: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        match file {
            INPUT if count > MAX_PIECES => return Err(INVAL),
            INPUT => {}
            _ => return Err(BADF),
        }
        call.asks(Asked::Input);
        let before = call.wasi.streams.read;
        for index in 0..count {
            let (at, length) = piece(&guest, list, index)?;
            let place = guest.bytes_mut(at, length)?;
            let unread = unread(call);
            let length = place.len().min(unread.len());
            place[..length].copy_from_slice(&unread[..length]);
            call.wasi.streams.read += length;
        }
        let length = u32::try_from(call.wasi.streams.read - before).map_err(|_| FAULT)?;
        guest.store(read, &length.to_le_bytes())
    })
}

/// Too long an answer ends the call; any other mistake is an errno.
fn write(
    mut caller: Caller<'_, Call>,
    file: i32,
    list: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<i32> {
    let mut too_long: Option<CallError> = None;
    let errno = with(&mut caller, |mut guest, call| {
        match file {
            OUTPUT | ERROR if count > MAX_PIECES => return Err(INVAL),
            OUTPUT | ERROR => {}
            _ => return Err(BADF),
        }
        let mut length = 0_u32;
        for index in 0..count {
            let (at, size) = piece(&guest, list, index)?;
            guest.bytes(at, size)?;
            length = length.checked_add(size).ok_or(INVAL)?;
        }
        guest.store(written, &length.to_le_bytes())?;
        for index in 0..count {
            let (at, size) = piece(&guest, list, index)?;
            let text = guest.bytes(at, size)?;
            if file == OUTPUT && call.wasi.argument.is_some() {
                if let Err(error) = call.print(text) {
                    too_long = Some(error);
                    return Err(INVAL);
                }
                continue;
            }
            call.asks(Asked::Log);
            let Call { log, wasi, .. } = call;
            wasi.streams.log(log, file, text);
            if file == ERROR {
                wasi.streams.remember(text);
            }
        }
        Ok(())
    });
    too_long.map_or(Ok(errno), |error| Err(error.into()))
}
