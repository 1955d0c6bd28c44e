//! The load bench of the whole gateway: `cargo bench --bench load`.
//!
//! `wrk` (the load generator, from the system's packages) posts distinct, correctly signed Twilio
//! requests over 64 connections for some seconds, while a double ITOC360 in this process takes the
//! alerts. The same body goes in the same run to a bare hyper server, and to the [floor]: the
//! gateway's job as one straight program. So figures can be compared as ratios: all of it shares
//! the machine's processors.
//!
//! Printed for each server: accepted per second, delivered per second (until the last alert has
//! arrived), the answer's p50 and p99, processor time for each request, that of the store's writer
//! alone, and the memory.
//! The gateway runs twice: as it is, and without waiting for the disk. Last, a backlog builds up
//! while ITOC360 is down; the gateway is killed, started again, and delivers it.
//!
//! At the end overload: a second source sends over 8 connections while the first one sends nothing,
//! sends over 64 connections, and floods over 640, with memory for some 800 requests at a time, of
//! which a source gets half. The calm source's p50 and p99 are those of accepted requests only, for
//! it is never refused. `cargo bench --bench load -- overload` runs only this.
//!
//! `cargo bench --bench load -- floor` runs only the floor and the gateway, in turns, and prints the
//! medians of five rounds.
//!
//! `cargo bench --bench load -- repeats` measures what a repeat costs and whether the store keeps
//! to its size.
//!
//! `cargo bench --bench load -- strangers` measures a source beside forged requests to another.
//!
//! `cargo bench --bench load -- viewers` measures a source beside people who look at pages.
//!
//! `cargo bench --bench load -- postgres` measures the gateway with a file beside one with a
//! database.
//!
//! `cargo bench --bench load -- others` measures the gateway beside Node-RED and Alertmanager.
//!
//! `cargo bench --bench load -- scale` measures many sources, stored events and waiting alerts.
//!
//! `cargo bench --bench load -- 20` runs for 20 seconds each instead of 10.

mod bare;
mod child;
mod fill;
mod floor;
mod others;
mod postgres;
mod repeats;
mod requests;
mod rounds;
mod scale;
mod strangers;
mod viewers;
mod wrk;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use itoc360_double::{Double, Setup};

use child::Child;
use requests::Script;

/// The first argument of a child process: its role.
const SERVE: &str = "serve-gateway";
const BARE: &str = "serve-bare";
const FLOOR: &str = "serve-floor";
/// The token of the double.
const TOKEN: &str = "double-token";
/// Loopback, with any free port.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Connections at the usual load, at ten times the load, and of the calm source.
const USUAL: usize = 64;
const FLOOD: usize = 10 * USUAL;
const CALM: usize = 8;
/// The default budget, and one for ten times the usual connections, but not for as many requests of
/// one source.
const MEMORY: &str = "256MiB";
const LITTLE_MEMORY: &str = "150MiB";
/// The longest wait for the last alerts.
const DRAIN: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.first().map(String::as_str) {
        Some(SERVE) => {
            return child::serve_gateway(Path::new(&arguments[1]), arguments[2] == "sync");
        }
        Some(BARE) => return bare::serve(),
        Some(FLOOR) => return floor::serve(Path::new(&arguments[1]), &arguments[2]),
        _ => {}
    }
    let only = |part: &str| arguments.iter().any(|argument| argument == part);
    let seconds = arguments
        .iter()
        .find_map(|text| text.parse().ok())
        .unwrap_or(10);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if only("repeats") {
            return repeats::measure(folder.path(), seconds).await;
        }
        if only("scale") {
            return scale::measure(folder.path(), seconds).await;
        }
        if only("strangers") {
            return strangers::measure(folder.path(), seconds).await;
        }
        if only("viewers") {
            return viewers::measure(folder.path(), seconds).await;
        }
        if only("postgres") {
            return postgres::measure(folder.path(), seconds).await;
        }
        if only("others") {
            return others::measure(folder.path(), seconds).await;
        }
        if only("floor") {
            return rounds::measure(folder.path(), seconds).await;
        }
        if !only("overload") {
            measure(folder.path(), seconds).await;
        }
        overload(folder.path(), seconds).await;
    });
}

async fn measure(folder: &Path, seconds: u64) {
    let script = requests::write(folder, requests::SOURCES[0], seconds);
    println!(
        "{} requests of {} bytes, {USUAL} connections, {seconds} s each",
        script.count,
        requests::body(0).len()
    );

    let bare = Child::start(&[BARE]);
    let report = wrk::run(&format!("http://{}", bare.address), &script, USUAL, seconds).await;
    println!(
        "bare hyper        {}",
        rounds::Figures::of(&report, &bare, 0.0)
    );
    bare.stop();
    let floor = rounds::floor(folder, &script, seconds).await;
    println!("floor             {floor}");

    for sync in ["sync", "no-sync"] {
        let gateway = rounds::gateway(folder, &script, seconds, sync).await;
        println!("gateway, {sync:<8} {gateway}");
        println!("                  {}", gateway.beside(&floor, "the floor"));
    }
    backlog(&folder.join("backlog"), &script, seconds, "").await;
}

/// Measures a backlog of an outage, delivered by a gateway after `kill -9` and a restart. `store`
/// is the table of that name in its configuration. Returns how many were delivered in a second.
async fn backlog(folder: &Path, script: &Script, seconds: u64, store: &str) -> f64 {
    let gone = double(ANY_PORT).await;
    let address = gone.address();
    let config = requests::configuration(folder, &gone.url(), MEMORY);
    requests::add(&config, store);
    gone.stop().await;
    let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
    let report = wrk::run(
        &format!("http://{}", gateway.address),
        script,
        USUAL,
        seconds,
    )
    .await;
    gateway.stop();

    let double = double(address).await;
    let started = Instant::now();
    let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
    let ready = gateway.ready.as_millis();
    let before = gateway.rss_kib() / 1024;
    let delivered = drained(&double, report.accepted, started).await;
    let count = report.accepted;
    let after = gateway.rss_kib() / 1024;
    println!(
        "backlog of {count}: ready after {ready} ms, {delivered:.0} delivered/s, {before} MB before and {after} MB after"
    );
    gateway.stop();
    delivered
}

/// One source calm, while the other sends nothing, as usual, and ten times as much.
async fn overload(folder: &Path, seconds: u64) {
    let [flooding, calm] = requests::SOURCES.map(|source| requests::write(folder, source, seconds));
    for connections in [0, USUAL, FLOOD] {
        let double = double(ANY_PORT).await;
        let config = requests::configuration(
            &folder.join(format!("overload-{connections}")),
            &double.url(),
            LITTLE_MEMORY,
        );
        Child::start(&[SERVE, &config.to_string_lossy(), "sync"]).stop();
        let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
        let idle = gateway.rss_kib();
        let url = format!("http://{}", gateway.address);
        let flood = async {
            match connections {
                0 => None,
                _ => Some(wrk::run(&url, &flooding, connections, seconds).await),
            }
        };
        let (flood, calm) = tokio::join!(flood, wrk::run(&url, &calm, CALM, seconds));
        println!(
            "calm source beside {connections:>3} connections of another: {:.0} accepted/s, {} refused, p50 {:.2} ms, \
             p99 {:.2} ms; {} KiB idle, {} KiB at the most",
            calm.per_second(),
            calm.requests - calm.accepted,
            calm.p50_ms,
            calm.p99_ms,
            idle,
            gateway.peak_kib()
        );
        if let Some(flood) = flood {
            println!(
                "    the other: {:.0} accepted/s, {:.0} refused/s, p50 {:.2} ms, p99 {:.2} ms of both",
                flood.per_second(),
                (flood.requests - flood.accepted) as f64 / flood.seconds,
                flood.p50_ms,
                flood.p99_ms
            );
        }
        gateway.stop();
    }
}

async fn double(listen: SocketAddr) -> Double {
    let setup = Setup {
        listen,
        token: TOKEN.to_owned(),
        remember: 0,
        ..Setup::default()
    };
    Double::start(setup).await.expect("a double")
}

/// Waits until so many alerts have arrived. Gives how many that were in a second.
async fn drained(double: &Double, accepted: u64, started: Instant) -> f64 {
    let arrived = double
        .wait_until(DRAIN, |tally| tally.opened as u64 >= accepted)
        .await;
    assert!(
        arrived,
        "accepted {accepted}, delivered {}",
        double.opened()
    );
    double.opened() as f64 / started.elapsed().as_secs_f64()
}
