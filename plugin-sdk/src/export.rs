//! The exports of a wasm plugin, and the only place that knows the Extism PDK.

#![allow(unsafe_code, reason = "the PDK's error_set is a foreign function")]

use extism_pdk::{Memory, extism, input_bytes};

use crate::{Plugin, wire};

/// Runs the export `describe`.
pub fn describe<P: Plugin>() -> i32 {
    report_panics();
    finish(wire::describe::<P>())
}

/// Runs the export `check`.
pub fn check<P: Plugin>() -> i32 {
    report_panics();
    finish(wire::check::<P>(&input_bytes()))
}

/// Runs the export `read`.
pub fn read<P: Plugin>() -> i32 {
    report_panics();
    finish(wire::read::<P>(&input_bytes()))
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
