//! The plugin's cases, natively, and what strangers make of them.

use alertmanager::Alertmanager;
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, hostile};

#[test]
fn every_case_is_answered_as_written() {
    testing::run_cases::<Alertmanager>("cases");
}

#[test]
fn ten_thousand_hostile_requests_are_answered() {
    let token = "0123456789abcdef0123456789abcdef";
    hostile::survives::<Alertmanager>("cases", 10_000, |request| {
        Scheme::Bearer.sign(request, token)
    });
}
