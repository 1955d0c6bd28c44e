//! The cases, natively: no wasm, and a debugger works. `alert-gateway plugin test .` runs them in the sandbox.

#[test]
fn every_case_is_answered_as_written() {
    plugin_sdk::testing::run_cases::<my_plugin::MyPlugin>("cases");
}
