//! The plugin `twilio-event-streams` reads any request, authentic or not.
#![no_main]

use std::sync::LazyLock;

use alert_gateway_fuzz::cases::Cases;

static CASES: LazyLock<Cases> = LazyLock::new(|| Cases::of("twilio-event-streams"));

libfuzzer_sys::fuzz_target!(
    init: CASES.seed().expect("a corpus"),
    |data: &[u8]| CASES.try_out::<twilio_event_streams::TwilioEventStreams>(data)
);
