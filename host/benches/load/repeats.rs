//! What a repeat costs, and whether the size of the store is a bound:
//! `cargo bench --bench load -- repeats`.
//!
//! New events come at full speed while the store may take less than they amount to; the files are
//! measured ten times a second meanwhile. Then the same events come again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::child::Child;
use super::requests::{self, Script};
use super::{ANY_PORT, MEMORY, SERVE, USUAL, double, drained, wrk};

/// The most bytes the store may take.
const SIZE_MIB: u64 = 64;

/// Measures both.
pub async fn measure(folder: &Path, seconds: u64) {
    let script = requests::write(folder, requests::SOURCES[0], seconds);
    let double = double(ANY_PORT).await;
    let config = requests::configuration(&folder.join("repeats"), &double.url(), MEMORY);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(
        &config,
        format!("{text}[retention]\nsize = '{SIZE_MIB}MiB'\n"),
    )
    .expect("room on the disk");
    let data = config.with_file_name("data");
    Child::start(&[SERVE, &config.to_string_lossy(), "sync"]).stop();
    let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);

    let started = Instant::now();
    let url = format!("http://{}", gateway.address);
    let (report, largest) = watched(&url, &script, seconds, &data).await;
    drained(&double, report.accepted, started).await;
    println!(
        "new, size {SIZE_MIB} MiB   {:.0} accepted/s, p99 {:.2} ms, at most {} MiB of file and {} MiB of log, {} MB",
        report.per_second(),
        report.p99_ms,
        largest[0] >> 20,
        largest[1] >> 20,
        gateway.rss_kib() / 1024
    );

    let before = gateway.written();
    let cpu = gateway.cpu();
    let report = wrk::run(&url, &script, USUAL, seconds).await;
    let requests = report.requests.max(1);
    println!(
        "repeats           {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, {} bytes written and {:.0} µs of processor each, {} MB",
        report.per_second(),
        report.p50_ms,
        report.p99_ms,
        (gateway.written() - before) / requests,
        (gateway.cpu() - cpu).as_secs_f64() * 1e6 / requests as f64,
        gateway.rss_kib() / 1024
    );
    gateway.stop();
}

/// Runs the load, and returns the largest size that the store's file and its log had meanwhile.
async fn watched(url: &str, script: &Script, seconds: u64, data: &Path) -> (wrk::Report, [u64; 2]) {
    let files: [PathBuf; 2] = ["gateway.db", "gateway.db-wal"].map(|name| data.join(name));
    let mut largest = [0; 2];
    let load = wrk::run(url, script, USUAL, seconds);
    tokio::pin!(load);
    loop {
        tokio::select! {
            report = &mut load => return (report, largest),
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                for (file, largest) in files.iter().zip(&mut largest) {
                    *largest = (*largest).max(file.metadata().map_or(0, |file| file.len()));
                }
            }
        }
    }
}
