//! The cases, natively: no wasm, and a debugger works. `alert-gateway plugin test .` runs them in
//! the sandbox.

use my_plugin::MyPlugin;
use plugin_sdk::testing::{self, hostile};

#[test]
fn every_case_is_answered_as_written() {
    testing::run_cases::<MyPlugin>("cases");
}

#[test]
fn hostile_requests_are_answered() {
    // Where the plugin proves its sender, sign the request here, so that it gets past that.
    hostile::survives::<MyPlugin>("cases", 1_000, |_request| {});
}
