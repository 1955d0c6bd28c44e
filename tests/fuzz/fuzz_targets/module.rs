//! Any bytes as a plugin's wasm: refused, or loaded, and never more.
#![no_main]

use std::sync::LazyLock;

use alert_gateway_fuzz::by_hand::Bench;
use alert_gateway_fuzz::cases;

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

libfuzzer_sys::fuzz_target!(init: drop(cases::corpus("module").expect("a corpus")), |data: &[u8]| {
    match BENCH.load(data) {
        Ok(plugin) => drop(BENCH.read(&plugin, b"{}")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
