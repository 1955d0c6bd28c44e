//! The plugin's cases, natively, and what strangers make of them.

use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, hostile};
use twilio_event_streams::TwilioEventStreams;

#[test]
fn every_case_is_answered_as_written() {
    testing::run_cases::<TwilioEventStreams>("cases");
}

#[test]
fn ten_thousand_hostile_requests_are_answered() {
    hostile::survives::<TwilioEventStreams>("cases", 10_000, |request| {
        Scheme::Twilio.sign(request, "12345")
    });
}
