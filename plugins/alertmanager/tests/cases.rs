//! The plugin's cases, natively.

#[test]
fn every_case_is_answered_as_written() {
    plugin_sdk::testing::run_cases::<alertmanager::Alertmanager>("cases");
}
