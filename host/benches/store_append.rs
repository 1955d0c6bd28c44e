//! The cost of an append, by the size of the group commit: `cargo bench --bench store_append`.
//!
//! Each iteration hands the store that many requests at once and waits for all of them, as intake
//! does under load; the figure is for the whole group. With the sync it shows the worth of a shared
//! sync, without it the cost of SQLite itself. `append/postgres` is a database with a synchronous
//! standby on this machine, where PostgreSQL is installed.
//!
//! `append/rules` and `append/group` are the same appends, without the sync, behind a policy with
//! rules, labels and redaction, and into groups beside it; `append/timers` has a timer for each of
//! 100,000 open keys. Each is to be within 1.1 times of `append/no-sync`, but for the writes of the
//! timers themselves.

use std::path::Path;

use alert_gateway::alert::Alert;
use alert_gateway::config::{Config, LEASE, Postgres, Replication, Secret, StoreKind};
use alert_gateway::metrics::Metrics;
use alert_gateway::policy::Policy;
use alert_gateway::store::{
    Location, NewAlert, NewRequest, Options, PluginId, PluginRecord, Reading, Store,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hyper::body::Bytes;
use plugin_sdk::contract::{self, Priority};
use test_postgres::{Server, installed};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The size of the request that Twilio's documentation shows.
const BODY: Bytes = Bytes::from_static(&[b'x'; 768]);

/// The size of the group commit in which policies are compared.
const COMMIT: u64 = 64;

/// The open keys of the benchmark with timers.
const KEYS: u64 = 100_000;

/// A source with rules and redaction.
const RULES: &str = r#"
    [gateway]
    public_url = "https://alerts.example.com"
    [destinations.itoc360]
    kind = "itoc360"
    token = "canary-of-a-bench-1"
    [sources.twilio]
    plugin = "twilio-errors"
    destination = "itoc360"
    labels = { team = "voice" }
    redact = ["phone-numbers", "/from"]
    rules = [
        { when = { error_code = "30000..30999" }, priority = "low" },
        { when = { title = "*timeout*", not = { team = "sms" } }, labels = { area = "http" } },
        { when = { error_code = ["11200", "11205"] }, stop = true },
    ]
"#;

/// A group for each error code.
const GROUP: &str = r#"group = { by = ["error_code"] }"#;

/// A timer for each key.
const TIMERS: &str = r#"resolve_after = "1h""#;

/// Returns the policy of a source with these lines beside [`RULES`].
fn policy(lines: &str) -> Policy {
    let config = Config::parse(
        &format!("{RULES}{lines}\n"),
        Path::new("bench.toml"),
        &|_| None,
    );
    let config = config.expect("a configuration");
    Policy::of(&config.sources[0])
}

fn policies(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    for (name, lines) in [("rules", ""), ("group", GROUP), ("timers", TIMERS)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options {
            sync: false,
            ..Options::default()
        };
        let (store, closing) =
            Store::open(folder.path(), &options, Metrics::new()).expect("a store");
        let record = PluginRecord {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: "00".to_owned(),
        };
        let plugin = runtime.block_on(store.plugin(record)).expect("a plugin");
        let policy = policy(lines);
        let mut next = 0;
        if name == "timers" {
            while next < KEYS {
                append(&runtime, &store, plugin, 512, &mut next, Some(&policy));
            }
        }
        let mut benchmark = criterion.benchmark_group(format!("append/{name}"));
        benchmark.throughput(Throughput::Elements(COMMIT));
        benchmark.bench_function(BenchmarkId::from_parameter(COMMIT), |bencher| {
            bencher.iter(|| append(&runtime, &store, plugin, COMMIT, &mut next, Some(&policy)));
        });
        benchmark.finish();
        runtime.block_on(closing.close());
    }
}

fn groups(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut places = vec![
        ("sync", true, Location::Folder(folder.path().join("sync"))),
        (
            "no-sync",
            false,
            Location::Folder(folder.path().join("no-sync")),
        ),
    ];
    let primary = installed().map(|initdb| Server::start(&initdb));
    let standby = primary.as_ref().map(Server::with_standby);
    if let Some(primary) = &primary {
        let database = database(&primary.database().url(), folder.path());
        places.push(("postgres", true, database));
    }
    for (name, sync, location) in places {
        let mut benchmark = criterion.benchmark_group(format!("append/{name}"));
        let (store, closing) = Store::open(
            &location,
            &Options {
                sync,
                ..Options::default()
            },
            Metrics::new(),
        )
        .expect("a store");
        let record = PluginRecord {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: "00".to_owned(),
        };
        let plugin = runtime.block_on(store.plugin(record)).expect("a plugin");
        let mut next = 0;
        for size in [1, 8, 64, 512] {
            benchmark.throughput(Throughput::Elements(size));
            benchmark.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| append(&runtime, &store, plugin, size, &mut next, None));
            });
        }
        benchmark.finish();
        runtime.block_on(closing.close());
    }
    drop(standby);
}

fn database(url: &str, folder: &Path) -> Location {
    let postgres = Postgres {
        url: Secret::new(url),
        node: "bench".to_owned(),
        lease: LEASE,
        quarantine: std::time::Duration::ZERO,
        replication: Replication::Standby,
        spool: false,
        spool_size: 0,
    };
    let kind = StoreKind::Postgres(postgres);
    Location::new(folder, &kind, String::new()).expect("a URL")
}

fn append(
    runtime: &Runtime,
    store: &Store,
    plugin: PluginId,
    size: u64,
    next: &mut u64,
    policy: Option<&Policy>,
) {
    runtime.block_on(async {
        let mut appends = JoinSet::new();
        for _ in 0..size {
            *next += 1;
            let (store, (request, reading)) = (store.clone(), request(*next, plugin, policy));
            appends.spawn(async move { store.append(request, reading).await });
        }
        while let Some(appended) = appends.join_next().await {
            assert_eq!(appended.expect("no panic").expect("kept").accepted, 1);
        }
    });
}

fn request(number: u64, plugin: PluginId, policy: Option<&Policy>) -> (NewRequest, Reading) {
    // Spread like real event ids, so that the index over them is met as in life.
    let event_id = format!(
        "NO{:032x}",
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    );
    let details = serde_json::value::to_raw_value(&"x".repeat(600)).expect("a string is JSON");
    let mut event = contract::Alert {
        details: Some(details),
        ..contract::Alert::new(event_id, Priority::High, "title")
    };
    let code = (30_000 + number % 5).to_string();
    event.labels.insert("error_code".to_owned(), code);
    let (event, group, resolve_after) = match policy {
        None => (event, None, None),
        Some(policy) => {
            let decision = policy.decide("twilio", event);
            (decision.alert, decision.group, decision.resolve_after)
        }
    };
    let received_at = "2026-01-01T00:00:00.000Z".to_owned();
    let alert = Alert {
        source: "twilio".to_owned(),
        request: number.to_string(),
        received_at,
        event,
    };
    let request = NewRequest {
        redacted: None,
        id: uuid::Uuid::now_v7().to_string(),
        source: "twilio".to_owned(),
        received_at: 0,
        method: "POST".to_owned(),
        url: "https://alerts.example.com/in/twilio".to_owned(),
        headers: "[]".to_owned(),
        body: BODY,
        plugin,
    };
    let mut new = NewAlert::new(&alert, ["itoc360"]).expect("it is JSON");
    if let Some(group) = group {
        new = new.grouped(&alert, group, None);
    }
    if let Some(time) = resolve_after {
        new = new.resolved_after(time);
    }
    (request, Reading::alerts(vec![new]))
}

criterion_group!(benches, groups, policies);
criterion_main!(benches);
