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

#[path = "load/fill.rs"]
mod fill;

use std::path::Path;

use alert_gateway::config::{Config, LEASE, Postgres, Replication, Secret, StoreKind};
use alert_gateway::metrics::Metrics;
use alert_gateway::policy::Policy;
use alert_gateway::store::{Location, Options, PluginId, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use test_postgres::{Server, installed};
use tokio::runtime::Runtime;

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
        let plugin = runtime.block_on(fill::plugin(&store));
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
        let plugin = runtime.block_on(fill::plugin(&store));
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
    let numbers = *next..*next + size;
    *next = numbers.end;
    runtime.block_on(fill::append(store, plugin, numbers, &["itoc360"], policy));
}

criterion_group!(benches, groups, policies);
criterion_main!(benches);
