//! Any bytes as a plugin's answer: what the host takes of it can be sent, in both formats.
#![no_main]

use std::sync::LazyLock;

use alert_gateway::alert::Alert;
use alert_gateway::destinations::itoc360::format::{self, Format};
use alert_gateway_fuzz::by_hand::{self, Bench};
use alert_gateway_fuzz::cases;
use alert_gateway_sandbox::Plugin;
use plugin_sdk::contract::Answer;
use serde_json::value::RawValue;

static BENCH: LazyLock<(Bench, Plugin)> = LazyLock::new(|| {
    let bench = Bench::new();
    let echo = bench
        .load(&by_hand::echo())
        .unwrap_or_else(|error| panic!("{error}"));
    (bench, echo)
});

libfuzzer_sys::fuzz_target!(init: drop(cases::corpus("answer").expect("a corpus")), |data: &[u8]| {
    let (bench, echo) = &*BENCH;
    let Ok(Answer::Alerts(alerts)) = bench.read(echo, data) else { return };
    for event in alerts {
        let source = "here".to_owned();
        let request = "0".to_owned();
        let alert = Alert { source, request, received_at: "2026-01-01T00:00:00.000Z".to_owned(), event };
        for kind in [Format::Alertmanager, Format::Zapier] {
            let Some(sent) = format::body(kind, &alert) else { continue };
            assert!(sent.starts_with(b"{") && serde_json::from_slice::<&RawValue>(&sent).is_ok(), "{}", sent.escape_ascii());
        }
    }
});
