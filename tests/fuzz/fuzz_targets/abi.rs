//! Any calls of the host's functions, with any numbers: the host stands, and the next plugin finds
//! nothing of it.
#![no_main]

use std::sync::LazyLock;

use alert_gateway_fuzz::by_hand::{self, Bench};
use alert_gateway_fuzz::cases;
use alert_gateway_sandbox::Plugin;
use plugin_sdk::contract::Answer;

static BENCH: LazyLock<(Bench, Plugin, Plugin)> = LazyLock::new(|| {
    let bench = Bench::new();
    let load = |wasm: &[u8]| bench.load(wasm).unwrap_or_else(|error| panic!("{error}"));
    let hostile = load(&by_hand::interpreter());
    let clean = load(&by_hand::clean());
    (bench, hostile, clean)
});

libfuzzer_sys::fuzz_target!(init: drop(cases::corpus("abi").expect("a corpus")), |data: &[u8]| {
    let (bench, hostile, clean) = &*BENCH;
    if let Err(kind) = bench.read(hostile, data) {
        assert_ne!(kind, "host");
    }
    let answer = bench.read(clean, b"");
    assert!(matches!(answer, Ok(Answer::Alerts(_))), "{answer:?}");
});
