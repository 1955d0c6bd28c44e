//! A source that sends calmly, alone and beside strangers: `cargo bench --bench load -- strangers`.
//!
//! The strangers post over 256 connections, as fast as they are answered, with signatures made
//! without the token. None is accepted; the calm source shares the processors with them.

use std::path::Path;

use super::child::Child;
use super::{ANY_PORT, CALM, MEMORY, SERVE, double, requests, wrk};

/// The connections of the strangers.
const STRANGERS: usize = 256;
/// The pause of each calm connection between two requests.
const PAUSE_MS: u64 = 20;

/// Measures both.
pub async fn measure(folder: &Path, seconds: u64) {
    let [attacked, calm] = requests::SOURCES;
    let forged = requests::write_forged(folder, attacked, seconds);
    let calm = requests::write_paced(folder, calm, seconds, PAUSE_MS);
    let double = double(ANY_PORT).await;
    let mut alone_ms = None;
    for strangers in [0, STRANGERS] {
        let data = folder.join(format!("strangers-{strangers}"));
        let config = requests::configuration(&data, &double.url(), MEMORY);
        Child::start(&[SERVE, &config.to_string_lossy(), "sync"]).stop();
        let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
        let url = format!("http://{}", gateway.address);
        let attack = async {
            match strangers {
                0 => None,
                _ => Some(wrk::run(&url, &forged, strangers, seconds).await),
            }
        };
        let (attack, calm) = tokio::join!(attack, wrk::run(&url, &calm, CALM, seconds));
        println!(
            "calm source beside {strangers:>3} strangers: {:.0} accepted/s, {} refused, p50 {:.2} ms, p99 {:.2} ms, {:.1} of alone",
            calm.per_second(),
            calm.requests - calm.accepted,
            calm.p50_ms,
            calm.p99_ms,
            calm.p99_ms / *alone_ms.get_or_insert(calm.p99_ms),
        );
        if let Some(attack) = attack {
            assert_eq!(attack.accepted, 0, "a forged request was accepted");
            println!(
                "    the strangers: {:.0} refused/s, {:.0} µs of processor each",
                attack.requests as f64 / attack.seconds,
                gateway.cpu().as_secs_f64() * 1e6 / attack.requests.max(1) as f64
            );
        }
        gateway.stop();
    }
}
