//! How much the whole gateway carries: `cargo bench --bench load`.
//!
//! `wrk` (the load generator, from the system's packages) posts distinct, correctly signed Twilio requests over 64
//! connections for some seconds, while a stand-in ITOC360 in this process takes the alerts. The same body goes to a bare
//! hyper server in the same run, so that figures can be compared as ratios: all of it shares the machine's processors.
//!
//! Printed for each server: accepted per second, delivered per second (until the last alert has arrived), the answer's p50
//! and p99, processor time for each request, and the memory that the gateway holds. The gateway runs twice: as it is, and
//! without waiting for the disk. Last, a backlog is made while ITOC360 is down, and a gateway that was killed and started
//! again delivers it. `cargo bench --bench load -- 20` runs for 20 seconds each instead of 10.

mod bare;
mod child;
mod requests;
mod wrk;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use alert_gateway::itoc360::stand_in::{Setup, StandIn};

use child::Child;
use requests::Script;
use wrk::Report;

/// What a child process is told to be.
const SERVE: &str = "serve-gateway";
const BARE: &str = "serve-bare";
/// The token of the stand-in.
const TOKEN: &str = "stand-in-token";
/// Whichever port is free.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long the last alerts may take to arrive.
const DRAIN: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(SERVE) => return child::serve_gateway(Path::new(&arguments[1]), arguments[2] == "sync"),
        Some(BARE) => return bare::serve(),
        _ => {}
    }
    let seconds = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(10);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(measure(seconds));
}

async fn measure(seconds: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = requests::write(folder.path(), seconds);
    println!("{} requests of {} bytes, 64 connections, {seconds} s each", script.count, script.body_bytes);

    let bare = Child::start(&[BARE]);
    let report = wrk::run(&format!("http://{}", bare.address), &script, seconds).await;
    println!("bare hyper        {}", line(&report, &bare, None));
    let baseline = report.per_second();
    bare.stop();

    for sync in ["sync", "no-sync"] {
        let stand_in = stand_in(ANY_PORT).await;
        let config = requests::configuration(&folder.path().join(sync), &stand_in.url());
        // Once to compile the plugins, which is kept; a gateway in service has that behind it.
        Child::start(&[SERVE, &config.to_string_lossy(), sync]).stop();
        let gateway = Child::start(&[SERVE, &config.to_string_lossy(), sync]);
        println!("ready after {} ms, {} MB", gateway.ready.as_millis(), gateway.rss_kib() / 1024);
        let started = Instant::now();
        let report = wrk::run(&format!("http://{}", gateway.address), &script, seconds).await;
        let delivered = drained(&stand_in, report.accepted, started).await;
        println!("gateway, {sync:<8} {}", line(&report, &gateway, Some(delivered)));
        println!("                  {:.2} of the bare server", report.per_second() / baseline);
        gateway.stop();
    }
    backlog(folder.path(), &script, seconds).await;
}

/// What was accepted while ITOC360 was down, delivered by a gateway that was killed and started again.
async fn backlog(folder: &Path, script: &Script, seconds: u64) {
    let gone = stand_in(ANY_PORT).await;
    let (address, config) = (gone.address(), requests::configuration(&folder.join("backlog"), &gone.url()));
    gone.stop().await;
    let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
    let report = wrk::run(&format!("http://{}", gateway.address), script, seconds).await;
    gateway.stop();

    let stand_in = stand_in(address).await;
    let started = Instant::now();
    let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
    let (ready, before) = (gateway.ready.as_millis(), gateway.rss_kib() / 1024);
    let delivered = drained(&stand_in, report.accepted, started).await;
    let (count, after) = (report.accepted, gateway.rss_kib() / 1024);
    println!(
        "backlog of {count}: ready after {ready} ms, {delivered:.0} delivered/s, {before} MB before and {after} MB after"
    );
    gateway.stop();
}

async fn stand_in(listen: SocketAddr) -> StandIn {
    let setup = Setup { listen, token: TOKEN.to_owned(), remember: 0, ..Setup::default() };
    StandIn::start(setup).await.expect("a stand-in")
}

/// Waits until so many alerts have arrived. Gives how many that were in a second.
async fn drained(stand_in: &StandIn, accepted: u64, started: Instant) -> f64 {
    let arrived = stand_in.wait_until(DRAIN, |tally| tally.opened as u64 >= accepted).await;
    assert!(arrived, "accepted {accepted}, delivered {}", stand_in.opened());
    stand_in.opened() as f64 / started.elapsed().as_secs_f64()
}

fn line(report: &Report, child: &Child, delivered: Option<f64>) -> String {
    let cpu_us = child.cpu().as_secs_f64() * 1e6 / report.requests.max(1) as f64;
    let delivered = delivered.map_or_else(String::new, |delivered| format!("{delivered:>8.0} delivered/s"));
    format!(
        "{:>8.0} accepted/s {delivered}  p50 {:.2} ms  p99 {:.2} ms  {cpu_us:.0} µs of processor a request  {} MB",
        report.per_second(),
        report.p50_ms,
        report.p99_ms,
        child.rss_kib() / 1024,
    )
}
