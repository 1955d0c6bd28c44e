//! Little beside much: one source and 1,000, a small store and a large one, a short backlog and a
//! long one: `cargo bench --bench load -- scale`.
//!
//! The store is filled without a sender and without waiting for the disk. `SCALE_EVENTS=10000000`
//! fills the large one with as many events, 1.4 KB each, in place of a million; the long backlog is
//! a tenth of that.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use alert_gateway::metrics::Metrics;
use alert_gateway::store::{Options, Store};

use super::child::Child;
use super::{
    ANY_PORT, MEMORY, SERVE, USUAL, double, drained, fill, requests, rounds, viewers, wrk,
};

/// The number of sources of the larger configuration.
const SOURCES: usize = 1_000;
/// The size of the small store.
const FEW: u64 = 10_000;
/// The size of the large one, where the environment says no other.
const MANY: u64 = 1_000_000;
/// The commands of one group commit while a store is filled.
const COMMIT: u64 = 512;
/// The number of times a page is fetched.
const LOOKS: usize = 5;

/// Measures all three.
pub async fn measure(folder: &Path, seconds: u64) {
    let many = std::env::var("SCALE_EVENTS");
    let many = many.map_or(MANY, |many| many.parse().expect("SCALE_EVENTS is a number"));
    for count in [1, SOURCES] {
        sources(&folder.join(format!("sources-{count}")), count, seconds).await;
    }
    let script = requests::write(folder, requests::SOURCES[0], seconds);
    for events in [FEW, many] {
        let folder = folder.join(format!("stored-{events}"));
        stored(&folder, events, &script, seconds).await;
        // The files are large.
        let _ = std::fs::remove_dir_all(&folder);
    }
    for alerts in [FEW, many / 10] {
        backlog(&folder.join(format!("backlog-{alerts}")), alerts).await;
    }
}

/// Loads a gateway whose requests go to so many sources in turns.
async fn sources(folder: &Path, count: usize, seconds: u64) {
    let names: Vec<_> = (0..count).map(|number| format!("s{number:04}")).collect();
    let double = double(ANY_PORT).await;
    let config = requests::configuration_of(&names, folder, &double.url(), MEMORY);
    let script = requests::write_each(folder, "requests", seconds, |number| {
        let name = &names[number as usize % count];
        requests::signed(name, number, requests::AUTH_TOKEN)
    });
    let gateway = rounds::started(&config, "sync");
    let figures = rounds::loaded(&gateway, &double, &script, USUAL, seconds).await;
    println!("{count:>9} sources  {figures}");
}

/// Loads a gateway with so many events in its store; looks at pages of them before; and once more
/// while each new event takes the place of an old one.
async fn stored(folder: &Path, events: u64, script: &requests::Script, seconds: u64) {
    let double = double(ANY_PORT).await;
    let config = requests::configuration(folder, &double.url(), MEMORY);
    let admin = requests::admit(&config).await;
    let data = folder.join("data");
    fill(&data, events, &[]).await;

    let gateway = rounds::started(&config, "sync");
    pages(admin, events).await;
    let figures = rounds::loaded(&gateway, &double, script, USUAL, seconds).await;
    println!("{events:>9} events   {figures}");
    gateway.stop();

    let used = std::fs::metadata(data.join("gateway.db")).expect("the store");
    let size = used.len() >> 20;
    requests::add(&config, &format!("[retention]\nsize = '{size}MiB'\n"));
    let script = requests::write_each(folder, "later", seconds, |number| {
        let number = script.count + number;
        requests::signed(requests::SOURCES[0], number, requests::AUTH_TOKEN)
    });
    let gateway = rounds::started(&config, "sync");
    let url = format!("http://{}", gateway.address);
    let report = wrk::run(&url, &script, USUAL, seconds).await;
    println!(
        "{events:>9} events   beside sweeps: {}",
        rounds::Figures::of(&report, &gateway, 0.0)
    );
    gateway.stop();
}

/// Prints the time until each page has come, the median of some.
async fn pages(admin: SocketAddr, events: u64) {
    let list = viewers::page(admin, "/events").await;
    let event = list
        .split('"')
        .find(|part| part.starts_with("/events/") && part.len() > "/events/".len() + 30)
        .expect("a link to an event");
    let searches = ["/events?q=nothing-has-this", "/events?label=area%3Dnone"];
    for path in ["/", "/events", event].iter().chain(&searches) {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..LOOKS {
            // A page is drawn once a second for all who look at it.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            let started = Instant::now();
            bytes = viewers::page(admin, path).await.len();
            times.push(started.elapsed());
        }
        times.sort();
        println!(
            "{events:>9} events   {path}: {:.1} ms, at most {:.1} ms, {bytes} bytes",
            times[LOOKS / 2].as_secs_f64() * 1e3,
            times[LOOKS - 1].as_secs_f64() * 1e3
        );
    }
}

/// Delivers so many alerts that wait when the gateway starts.
async fn backlog(folder: &Path, alerts: u64) {
    let double = double(ANY_PORT).await;
    let config = requests::configuration(folder, &double.url(), MEMORY);
    let arguments = [SERVE, &config.to_string_lossy(), "sync"];
    // This compiles the plugins.
    Child::start(&arguments).stop();
    fill(&folder.join("data"), alerts, &["itoc360"]).await;
    let started = Instant::now();
    let gateway = Child::start(&arguments);
    let delivered = drained(&double, alerts, started).await;
    println!(
        "{alerts:>9} waiting  ready after {} ms, {delivered:.0} delivered/s, {} MB after",
        gateway.ready.as_millis(),
        gateway.rss_kib() / 1024
    );
    gateway.stop();
}

/// Fills a store with events for these destinations.
async fn fill(data: &Path, events: u64, destinations: &[&str]) {
    let options = Options {
        sync: false,
        ..Options::default()
    };
    std::fs::create_dir_all(data).expect("a folder");
    let (store, closing) = Store::open(data, &options, Metrics::new()).expect("a store");
    let plugin = fill::plugin(&store).await;
    let started = Instant::now();
    let mut next = 0;
    while next < events {
        let end = (next + COMMIT).min(events);
        fill::append(&store, plugin, next..end, destinations, None).await;
        next = end;
    }
    drop(store);
    closing.close().await;
    println!(
        "{events:>9} events   appended at {:.0}/s",
        events as f64 / started.elapsed().as_secs_f64()
    );
}
