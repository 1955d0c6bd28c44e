//! The arguments of the program. A command learns by the second one which question it is asked: a
//! library has an export for each. There are no environment variables.

use super::guest::{Guest, with};
use super::{Errno, FAULT, MODULE};
use crate::call::Call;
use wasmtime::{Caller, Linker};

/// The name by which a program is told that it was started.
const PROGRAM: &str = "plugin";

pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "args_sizes_get", sizes)?
        .func_wrap(MODULE, "args_get", get)?
        .func_wrap(
            MODULE,
            "environ_sizes_get",
            |mut caller: Caller<'_, Call>, count: u32, bytes: u32| {
                with(&mut caller, |mut guest, _| {
                    put_sizes(&mut guest, count, bytes, &[])
                })
            },
        )?
        .func_wrap(MODULE, "environ_get", |_: u32, _: u32| super::SUCCESS.0)?;
    Ok(())
}

fn arguments(call: &Call) -> impl Iterator<Item = &'static str> {
    [PROGRAM].into_iter().chain(call.wasi.argument)
}

fn sizes(mut caller: Caller<'_, Call>, count: u32, bytes: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        let lengths: Vec<usize> = arguments(call).map(str::len).collect();
        put_sizes(&mut guest, count, bytes, &lengths)
    })
}

/// Writes the number of texts, and the bytes of all of them, each with a zero behind it.
fn put_sizes(guest: &mut Guest<'_>, count: u32, bytes: u32, texts: &[usize]) -> Result<(), Errno> {
    let of = |size: usize| u32::try_from(size).map_err(|_| FAULT);
    guest.store(count, &of(texts.len())?.to_le_bytes())?;
    let all: usize = texts.iter().map(|length| length + 1).sum();
    guest.store(bytes, &of(all)?.to_le_bytes())
}

fn get(mut caller: Caller<'_, Call>, mut list: u32, mut text: u32) -> i32 {
    with(&mut caller, |mut guest, call| {
        for argument in arguments(call) {
            guest.store(list, &text.to_le_bytes())?;
            guest.store(text, argument.as_bytes())?;
            let end = u32::try_from(argument.len())
                .ok()
                .and_then(|length| text.checked_add(length))
                .ok_or(FAULT)?;
            guest.store(end, &[0])?;
            list = list.checked_add(4).ok_or(FAULT)?;
            text = end.checked_add(1).ok_or(FAULT)?;
        }
        Ok(())
    })
}
