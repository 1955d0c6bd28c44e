//! Extism's host functions, as far as a plugin of the gateway may use them: module
//! `extism:host/env`, all names that extism-pdk 1.4.1 and the C PDK can import. An `u8` travels as
//! `i32`, an address and a length as `i64`.
//!
//! Everything that arrives here is hostile: an address may be any number. What is out of range
//! reads as 0 and is not written (so says Extism's kernel), and whatever would cost the host memory
//! is bounded by [`super::memory`] and [`super::log`]. Names and messages that a plugin hands over
//! are freed here, as its PDK expects.

use super::call::Call;
use super::error::CallError;
use super::log::CallLog;
use super::phase::Asked;
use tracing::Level;
use wasmtime::{Caller, Linker};

/// The module that the functions are imported from.
pub(super) const MODULE: &str = "extism:host/env";

/// All of the functions.
pub(super) const FUNCTIONS: [&str; 26] = [
    "input_length",
    "input_offset",
    "input_load_u8",
    "input_load_u64",
    "length",
    "length_unsafe",
    "alloc",
    "free",
    "load_u8",
    "load_u64",
    "store_u8",
    "store_u64",
    "output_set",
    "error_set",
    "config_get",
    "var_get",
    "var_set",
    "http_request",
    "http_status_code",
    "http_headers",
    "log_trace",
    "log_debug",
    "log_info",
    "log_warn",
    "log_error",
    "get_log_level",
];

/// Offers the functions to plugins.
pub(super) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    input(linker)?;
    memory(linker)?;
    answer(linker)?;
    variables(linker)?;
    http(linker)?;
    log(linker)
}

fn input(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "input_length", |mut call: Caller<'_, Call>| {
            call.data_mut().asks(Asked::Input);
            call.data().memory.input_length()
        })?
        .func_wrap(MODULE, "input_offset", |mut call: Caller<'_, Call>| {
            call.data_mut().asks(Asked::Input);
            call.data().memory.input_offset()
        })?
        .func_wrap(
            MODULE,
            "input_load_u8",
            |mut call: Caller<'_, Call>, offset: u64| {
                call.data_mut().asks(Asked::Input);
                i32::from(u8::from_le_bytes(call.data().memory.load_input(offset)))
            },
        )?
        .func_wrap(
            MODULE,
            "input_load_u64",
            |mut call: Caller<'_, Call>, offset: u64| {
                call.data_mut().asks(Asked::Input);
                u64::from_le_bytes(call.data().memory.load_input(offset))
            },
        )?;
    Ok(())
}

fn memory(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "length", |call: Caller<'_, Call>, handle: u64| {
            call.data().memory.length(handle)
        })?
        .func_wrap(
            MODULE,
            "length_unsafe",
            |call: Caller<'_, Call>, handle: u64| call.data().memory.length(handle),
        )?
        .func_wrap(
            MODULE,
            "alloc",
            |mut call: Caller<'_, Call>, length: u64| Ok(call.data_mut().memory.alloc(length)?),
        )?
        .func_wrap(MODULE, "free", |mut call: Caller<'_, Call>, handle: u64| {
            call.data_mut().memory.free(handle)
        })?
        .func_wrap(MODULE, "load_u8", |call: Caller<'_, Call>, address: u64| {
            i32::from(u8::from_le_bytes(call.data().memory.load(address)))
        })?
        .func_wrap(
            MODULE,
            "load_u64",
            |call: Caller<'_, Call>, address: u64| {
                u64::from_le_bytes(call.data().memory.load(address))
            },
        )?
        .func_wrap(
            MODULE,
            "store_u8",
            |mut call: Caller<'_, Call>, address: u64, value: i32| {
                let [value, ..] = value.to_le_bytes();
                call.data_mut().memory.store(address, [value]);
            },
        )?
        .func_wrap(
            MODULE,
            "store_u64",
            |mut call: Caller<'_, Call>, address: u64, value: u64| {
                call.data_mut().memory.store(address, value.to_le_bytes());
            },
        )?;
    Ok(())
}

fn answer(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(
            MODULE,
            "output_set",
            |mut call: Caller<'_, Call>, address: u64, length: u64| {
                Ok(call.data_mut().set_output(address, length)?)
            },
        )?
        .func_wrap(
            MODULE,
            "error_set",
            |mut call: Caller<'_, Call>, handle: u64| call.data_mut().set_error(handle),
        )?;
    Ok(())
}

/// Variables last for one call. The configuration is the plugin's own, as the script of an engine is;
/// a source's settings are part of the request.
fn variables(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(
            MODULE,
            "config_get",
            |mut call: Caller<'_, Call>, name: u64| Ok(call.data_mut().configured(name)?),
        )?
        .func_wrap(
            MODULE,
            "var_get",
            |mut call: Caller<'_, Call>, name: u64| Ok(call.data_mut().variable(name)?),
        )?
        .func_wrap(
            MODULE,
            "var_set",
            |mut call: Caller<'_, Call>, name: u64, value: u64| {
                Ok(call.data_mut().set_variable(name, value)?)
            },
        )?;
    Ok(())
}

/// A plugin has no network. Its PDK may still link these, so they are there, and asking for a
/// request ends the call.
fn http(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker
        .func_wrap(
            MODULE,
            "http_request",
            |_: Caller<'_, Call>, _request: u64, _body: u64| -> wasmtime::Result<u64> {
                Err(CallError::Denied("an HTTP request").into())
            },
        )?
        .func_wrap(MODULE, "http_status_code", || 0_i32)?
        .func_wrap(MODULE, "http_headers", || 0_u64)?;
    Ok(())
}

fn log(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    for (name, level) in [
        ("log_trace", Level::TRACE),
        ("log_debug", Level::DEBUG),
        ("log_info", Level::INFO),
        ("log_warn", Level::WARN),
        ("log_error", Level::ERROR),
    ] {
        linker.func_wrap(
            MODULE,
            name,
            move |mut call: Caller<'_, Call>, message: u64| {
                call.data_mut().asks(Asked::Log);
                let Call { memory, log, .. } = call.data_mut();
                if let Some(text) = memory.block(message) {
                    log.write(level, text);
                }
                memory.free(message);
            },
        )?;
    }
    linker.func_wrap(MODULE, "get_log_level", |mut call: Caller<'_, Call>| {
        call.data_mut().asks(Asked::Log);
        CallLog::level()
    })?;
    Ok(())
}
