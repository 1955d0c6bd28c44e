//! The figures of one server under the usual load, and those of the gateway beside the floor:
//! `cargo bench --bench load -- floor`.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use super::child::Child;
use super::requests::{self, Script};
use super::wrk::{self, Report};
use super::{ANY_PORT, FLOOR, MEMORY, SERVE, USUAL, double, drained};

/// The number of rounds. The other load of the machine changes, so that each has both.
const ROUNDS: usize = 5;

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    accepted: f64,
    delivered: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Processor time for each request, in microseconds.
    cpu_us: f64,
    /// That of the store's writer alone.
    writer_us: f64,
    /// Bytes written to the disk for each request.
    written: f64,
    rss_mb: f64,
}

impl Figures {
    /// Reads them from a server that has done its work.
    pub fn of(report: &Report, child: &Child, delivered: f64) -> Self {
        let each = 1e6 / report.requests.max(1) as f64;
        Self {
            accepted: report.per_second(),
            delivered,
            p50_ms: report.p50_ms,
            p99_ms: report.p99_ms,
            cpu_us: child.cpu().as_secs_f64() * each,
            writer_us: child.writer_cpu().as_secs_f64() * each,
            written: child.written() as f64 * each / 1e6,
            rss_mb: child.rss_kib() as f64 / 1024.0,
        }
    }

    /// Compares these with the figures of another server of the same run.
    pub fn beside(&self, other: &Self, name: &str) -> String {
        format!(
            "{:.2} of the accepted/s of {name}, {:.2} of its delivered/s, {:.2} times its p50; {:.2} times its \
             processor time, {:.2} times its writer's",
            self.accepted / other.accepted,
            self.delivered / other.delivered,
            self.p50_ms / other.p50_ms,
            self.cpu_us / other.cpu_us,
            self.writer_us / other.writer_us
        )
    }

    /// Compares what was taken with that of a program that does something else.
    pub fn taken_beside(&self, other: &Self, name: &str) -> String {
        format!(
            "{:.1} times the accepted/s of {name}, {:.2} times its processor time a request",
            self.accepted / other.accepted,
            self.cpu_us / other.cpu_us
        )
    }

    /// Takes the median of each figure.
    pub fn median(of: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut all: Vec<f64> = of.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        Self {
            accepted: median(|one| one.accepted),
            delivered: median(|one| one.delivered),
            p50_ms: median(|one| one.p50_ms),
            p99_ms: median(|one| one.p99_ms),
            cpu_us: median(|one| one.cpu_us),
            writer_us: median(|one| one.writer_us),
            written: median(|one| one.written),
            rss_mb: median(|one| one.rss_mb),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.0} accepted/s {:>8.0} delivered/s  p50 {:.2} ms  p99 {:.2} ms  {:.0} µs of processor a request, \
             writer {:.1} µs, {:.0} bytes written  {:.0} MB",
            self.accepted,
            self.delivered,
            self.p50_ms,
            self.p99_ms,
            self.cpu_us,
            self.writer_us,
            self.written,
            self.rss_mb
        )
    }
}

/// Runs the floor and the gateway in turns.
pub async fn measure(folder: &Path, seconds: u64) {
    let script = requests::write(folder, requests::SOURCES[0], seconds);
    let mut floors = Vec::new();
    let mut gateways = Vec::new();
    for round in 0..ROUNDS {
        let folder = folder.join(round.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        floors.push(floor(&folder, &script, seconds).await);
        gateways.push(gateway(&folder, &script, seconds, "sync").await);
        // The files of a round are large.
        let _ = std::fs::remove_dir_all(&folder);
        println!("{round} floor    {}", floors[round]);
        println!("{round} gateway  {}", gateways[round]);
    }
    let floor = Figures::median(&floors);
    let gateway = Figures::median(&gateways);
    println!("floor      {floor}");
    println!("gateway    {gateway}");
    println!("           {}", gateway.beside(&floor, "the floor"));
}

/// Loads the floor.
pub async fn floor(folder: &Path, script: &Script, seconds: u64) -> Figures {
    let double = double(ANY_PORT).await;
    let child = Child::start(&[FLOOR, &folder.to_string_lossy(), &double.url()]);
    loaded(&child, &double, script, USUAL, seconds).await
}

/// Loads the gateway, with its plugins compiled before, as those of one in service are.
pub async fn gateway(folder: &Path, script: &Script, seconds: u64, sync: &str) -> Figures {
    let double = double(ANY_PORT).await;
    let config = requests::configuration(&folder.join(sync), &double.url(), MEMORY);
    let child = started(&config, sync);
    loaded(&child, &double, script, USUAL, seconds).await
}

/// Loads a gateway over so many connections, whose store is in this table of the configuration.
pub async fn gateway_with(
    store: &str,
    folder: &Path,
    script: &Script,
    connections: usize,
    seconds: u64,
) -> Figures {
    let double = double(ANY_PORT).await;
    let config = requests::configuration(folder, &double.url(), MEMORY);
    requests::add(&config, store);
    let child = started(&config, "sync");
    loaded(&child, &double, script, connections, seconds).await
}

/// Starts a gateway whose plugins are compiled.
pub fn started(config: &Path, sync: &str) -> Child {
    let arguments = [SERVE, &config.to_string_lossy(), sync];
    Child::start(&arguments).stop();
    let child = Child::start(&arguments);
    println!(
        "ready after {} ms, {} MB",
        child.ready.as_millis(),
        child.rss_kib() / 1024
    );
    child
}

/// Loads a server, and waits until all that it accepted has been delivered to the double.
pub async fn loaded(
    child: &Child,
    double: &itoc360_double::Double,
    script: &Script,
    connections: usize,
    seconds: u64,
) -> Figures {
    let started = Instant::now();
    let url = format!("http://{}", child.address);
    let report = wrk::run(&url, script, connections, seconds).await;
    let delivered = drained(double, report.accepted, started).await;
    Figures::of(&report, child, delivered)
}
