//! The exports of a wasm plugin, and the only place that knows the Extism PDK.

#![allow(unsafe_code, reason = "the PDK's error_set is a foreign function")]

use extism_pdk::{Memory, extism, input_bytes};

use crate::log::Level;
use crate::{Plugin, wire};

/// Runs an export: `answer` makes the output of the input, or says why there is none.
pub fn run(answer: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>) -> i32 {
    report_panics();
    finish(answer(&input_bytes()))
}

/// Returns the text of this name that the host configures the plugin with, such as the script of an
/// engine.
pub fn configured(name: &str) -> Option<String> {
    let memory = extism_pdk::config::get_memory(name).ok()??;
    let text = memory.to_vec();
    memory.free();
    String::from_utf8(text).ok()
}

/// Writes a line to the gateway's log.
pub fn log(level: Level, text: &str) {
    if let Ok(memory) = Memory::from_bytes(text) {
        // SAFETY: the offset is that of a block which the host allocated just now, and frees.
        unsafe {
            match level {
                Level::Debug => extism::log_debug(memory.offset()),
                Level::Info => extism::log_info(memory.offset()),
                Level::Warn => extism::log_warn(memory.offset()),
                Level::Error => extism::log_error(memory.offset()),
            }
        }
    }
}

/// Runs the export `describe`.
pub fn describe<P: Plugin>() -> i32 {
    run(|_| wire::describe::<P>())
}

/// Runs the export `check`.
pub fn check<P: Plugin>() -> i32 {
    run(wire::check::<P>)
}

/// Runs the export `read`.
pub fn read<P: Plugin>() -> i32 {
    run(wire::read::<P>)
}

fn finish(result: Result<Vec<u8>, String>) -> i32 {
    let written =
        result.and_then(|json| extism_pdk::output(json).map_err(|error| error.to_string()));
    match written {
        Ok(()) => 0,
        Err(error) => {
            set_error(&error);
            1
        }
    }
}

/// Installs a hook that leaves `panicked at src/lib.rs:12:5: …` as the error. A panic aborts, and a
/// trap carries no words; from the error the host knows the cause of the trap.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| set_error(&panic.to_string())));
}

fn set_error(message: &str) {
    if let Ok(memory) = Memory::from_bytes(message) {
        // SAFETY: the offset is that of a block which the host allocated just now.
        unsafe { extism::error_set(memory.offset()) };
    }
}
