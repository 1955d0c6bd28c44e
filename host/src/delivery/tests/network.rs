//! The real delivery, over a network that is simulated: partitions of both kinds, loss, delay,
//! messages held back and let go, ITOC360 crashing, the gateway crashing, and each answer that
//! calls for another try.
//!
//! Time is simulated too: a quarter of an hour passes in a second. The store is the real one, whose
//! writer is a thread that knows of no simulation. Where the two meet, the disk takes as long as it
//! takes, and meanwhile simulated time goes on: to delivery, a commit lasts for some tens of
//! milliseconds, now more and now less. So a seed repeats the network, the misfortunes and all that
//! is drawn by lot, and the order of two events that are closer together than a commit may differ
//! between two runs of it. That weakens a repetition; it takes nothing from the test, which asserts
//! only what must hold in every order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use parking_lot::Mutex;
use plugin_sdk::contract::{self, Priority};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use super::wire::{self, Speaks, Stream};
use crate::alert::Alert;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::health::Health;
use crate::metrics::{Metrics, StateLabel};
use crate::store::tests::ground::Ground;
use crate::store::{self, NewAlert, NewRequest, PluginRecord, Reading, Store, StoreError};
use itoc360_double::{Double, Reply, Setup};

const GATEWAY: &str = "gateway";
const ITOC360: &str = "itoc360";
const PORT: u16 = 80;
/// The number of events that come in.
const EVENTS: usize = 150;
/// The number of keys that some of them share.
const KEYS: usize = 4;
/// The number of things that go wrong, one after another.
const MISFORTUNES: usize = 14;
/// The time the simulation may take to deliver all once everything is well: a failing destination's
/// last probe and an alert's longest wait, a few times over.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// The time it may take in real time, if that is longer: on a busy machine the disk may be left far
/// behind.
const REAL_PATIENCE: Duration = Duration::from_secs(60);
/// The real time that a database has in a step of the simulation: a commit takes some ten of them.
const DATABASE: Duration = Duration::from_micros(200);
/// The time when the simulation begins: Unix milliseconds.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// The state that outlives a crash of either side.
struct World {
    ground: Ground,
    itoc360: Double,
    metrics: Metrics,
    /// The number of events that the store has acknowledged.
    confirmed: AtomicUsize,
    /// The offset of the clock of the gateway's machine: milliseconds.
    clock_set: AtomicI64,
    random: Mutex<fastrand::Rng>,
    /// The protocol of all connections.
    speaks: Speaks,
}

impl World {
    fn random(&self, range: std::ops::Range<u64>) -> u64 {
        self.random.lock().u64(range)
    }

    fn delivered(&self) -> usize {
        self.metrics
            .alerts
            .get_or_create(&StateLabel { state: "delivered" })
            .get() as usize
    }
}

/// Two of three share a key with others.
fn alert(number: usize) -> Alert {
    let key = if number.is_multiple_of(3) {
        format!("own {number}")
    } else {
        format!("shared {}", number % KEYS)
    };
    let event = contract::Alert::new(format!("{number}"), Priority::High, "t");
    let event = contract::Alert {
        key: Some(key),
        ..event
    };
    Alert {
        source: "s".into(),
        request: "r".into(),
        received_at: crate::clock::rfc3339(EPOCH_MS),
        event,
    }
}

async fn itoc360(world: Arc<World>) -> turmoil::Result {
    let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let mut conversations = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        conversations.spawn(world.itoc360.converse(stream));
    }
}

/// Delivers what the store holds, and takes in what has not come in before.
async fn gateway(world: Arc<World>) -> turmoil::Result {
    let simulated = turmoil::sim_elapsed().unwrap().as_millis() as i64;
    let clock = Clock::at(EPOCH_MS + simulated + world.clock_set.load(Ordering::Relaxed));
    let (store, _closing) = loop {
        let options = store::Options {
            sync: false,
            clock: Some(clock),
            ..store::Options::default()
        };
        match Store::open(world.ground.location(), &options, world.metrics.clone()) {
            // The writer of the life before is finishing its last commit, in real time.
            Err(StoreError::Locked(_)) => std::thread::yield_now(),
            opened => break opened?,
        }
    };
    store.leads().held().await;
    let client = wire::itoc360(Duration::from_secs(10), world.speaks, async || {
        Ok(Box::new(turmoil::net::TcpStream::connect((ITOC360, PORT)).await?) as Box<dyn Stream>)
    });
    let health = Health::default();
    let metrics = Metrics::new();
    let delivery = Delivery::new("itoc360".into(), client, 8, store.clone(), health, metrics)?;
    let delivering = tokio::spawn(delivery.run(CancellationToken::new()));
    take_in(&world, &store).await?;
    Ok(delivering.await?)
}

/// As senders do: what was not confirmed comes again, and some of what was, too.
async fn take_in(world: &World, store: &Store) -> Result<(), StoreError> {
    let record = PluginRecord {
        name: "p".into(),
        version: "1".into(),
        sha256: "0".into(),
    };
    let plugin = store.plugin(record).await?;
    while world.confirmed.load(Ordering::Relaxed) < EVENTS {
        tokio::time::sleep(Duration::from_millis(world.random(0..5000))).await;
        let confirmed = world.confirmed.load(Ordering::Relaxed);
        let number = if world.random(0..10) == 0 {
            confirmed / 2
        } else {
            confirmed
        };
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id: uuid::Uuid::now_v7().to_string(),
            source: "s".into(),
            received_at: EPOCH_MS,
            method: "POST".into(),
            url: String::new(),
            headers: "[]".into(),
            body: Bytes::new(),
            plugin,
        };
        let new = NewAlert::new(&alert(number), ["itoc360"]).unwrap();
        // Some are read back from the store.
        let new = if number.is_multiple_of(3) {
            new
        } else {
            new.at_hand(alert(number))
        };
        store.append(request, Reading::alerts(vec![new])).await?;
        if number == confirmed {
            world.confirmed.store(number + 1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Something goes wrong for a while, and then is well again.
fn misfortune(sim: &mut Sim<'_>, world: &Arc<World>) {
    let kind = world.random(0..10);
    println!("at {:?}: misfortune {kind}", sim.elapsed());
    match kind {
        0 => sim.partition(GATEWAY, ITOC360),
        1 => sim.partition_oneway(GATEWAY, ITOC360),
        2 => sim.partition_oneway(ITOC360, GATEWAY),
        3 => sim.hold(GATEWAY, ITOC360),
        4 => sim.set_link_latency(GATEWAY, ITOC360, Duration::from_secs(world.random(1..9))),
        5 => sim.set_link_fail_rate(GATEWAY, ITOC360, 0.1),
        6 => sim.crash(ITOC360),
        7 => {
            sim.crash(GATEWAY);
            match world.random(0..2) {
                0 => world.ground.fence(&world.ground.reads()),
                _ => world.ground.take_over(&world.ground.reads()),
            }
            world.clock_set.store(
                world.random(0..3) as i64 * 86_400_000 - 86_400_000,
                Ordering::Relaxed,
            );
        }
        8 => answers(world, 20),
        _ => answers(world, 60),
    }
    let seconds = world.random(1..40);
    pass(sim, world, Duration::from_secs(seconds));
    world.itoc360.script(|_, _| Reply::Ok);
    sim.set_link_fail_rate(GATEWAY, ITOC360, 0.0);
    sim.set_link_latency(GATEWAY, ITOC360, Duration::from_millis(50));
    match kind {
        0..=2 | 5 => sim.repair(GATEWAY, ITOC360),
        3 => sim.release(GATEWAY, ITOC360),
        6 => sim.bounce(ITOC360),
        7 => sim.bounce(GATEWAY),
        _ => {}
    }
}

/// So many of a hundred requests are answered as by an ITOC360 that is not well.
fn answers(world: &World, percent: u8) {
    let mut random = world.random.lock().fork();
    world.itoc360.script(move |_, _| match random.u8(..100) {
        lot if lot >= percent => Reply::Ok,
        lot => match lot % 5 {
            0 => Reply::error(503, "busy"),
            1 => Reply::error(402, "Subscription inactive"),
            2 => Reply::Lost,
            3 => Reply::Close,
            _ => Reply::Hang,
        },
    });
}

fn pass(sim: &mut Sim<'_>, world: &World, time: Duration) {
    let end = sim.elapsed() + time;
    while sim.elapsed() < end {
        sim.step().unwrap();
        // The writer may need this processor, and a database some time.
        match world.ground.database {
            None => std::thread::yield_now(),
            Some(_) => std::thread::park_timeout(DATABASE),
        }
    }
}

fn simulate(ground: Ground, seed: u64) {
    let speaks = match seed.is_multiple_of(2) {
        true => Speaks::Http1,
        false => Speaks::Http2,
    };
    println!("SEED={seed}, {speaks:?}");
    // Where delivery takes its own seed from.
    fastrand::seed(seed);
    let world = Arc::new(World {
        ground,
        itoc360: Double::unbound(Setup::default()),
        metrics: Metrics::new(),
        confirmed: AtomicUsize::new(0),
        clock_set: AtomicI64::new(0),
        random: Mutex::new(fastrand::Rng::with_seed(seed)),
        speaks,
    });
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(20))
        .simulation_duration(Duration::from_secs(24 * 60 * 60))
        .build();
    let one = Arc::clone(&world);
    let other = Arc::clone(&world);
    sim.host(ITOC360, move || itoc360(Arc::clone(&one)));
    sim.host(GATEWAY, move || gateway(Arc::clone(&other)));
    // From then on there is a store that another gateway could take over.
    while world.confirmed.load(Ordering::Relaxed) == 0 {
        pass(&mut sim, &world, Duration::from_secs(1));
    }
    for _ in 0..MISFORTUNES {
        let seconds = world.random(0..20);
        pass(&mut sim, &world, Duration::from_secs(seconds));
        world.ground.release();
        misfortune(&mut sim, &world);
    }
    let well = sim.elapsed();
    let really = Instant::now();
    while world.delivered() < EVENTS {
        let in_time = sim.elapsed() < well + PATIENCE || really.elapsed() < REAL_PATIENCE;
        assert!(in_time, "{} of {EVENTS} delivered", world.delivered());
        pass(&mut sim, &world, Duration::from_secs(1));
        world.ground.release();
    }
    println!(
        "all delivered {:?} after the last misfortune; {:?}",
        sim.elapsed() - well,
        world.itoc360.tally()
    );
    each_arrived_in_order_and_opened_once(&world);
}

fn each_arrived_in_order_and_opened_once(world: &World) {
    // The first time that ITOC360 took each. A late copy of one that came again may come after
    // that, held back by the network; ITOC360 knows its fingerprint.
    let mut taken = BTreeSet::new();
    let mut newest = BTreeMap::new();
    for one in world
        .itoc360
        .received()
        .iter()
        .filter(|one| one.answered == 200)
    {
        let number: usize = one.json()["commonAnnotations"]["event_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if taken.insert(number) {
            let before = newest.insert(alert(number).fingerprint(), number);
            assert!(
                before.is_none_or(|before| before < number),
                "{number} came after {before:?}"
            );
        }
    }
    assert_eq!(taken, (0..EVENTS).collect());
    assert_eq!(world.itoc360.opened(), newest.len());
    for fingerprint in newest.keys() {
        assert_eq!(world.itoc360.times_opened(fingerprint), 1);
    }
}

#[test]
fn each_alert_arrives_in_order_and_opens_once_on_any_network() {
    for seed in seeds(6) {
        simulate(Ground::folder(), seed);
    }
}

#[test]
fn alerts_in_postgresql_arrive_in_order_on_any_network() {
    for seed in seeds(2) {
        if let Some(ground) = Ground::database() {
            simulate(ground, seed);
        }
    }
}

/// Returns the seeds of simulations, so many unless the environment says otherwise.
fn seeds(simulations: u64) -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|number| number.parse().unwrap())
    };
    let first = number("SEED").unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
    // As many by either protocol: a seed's lowest bit is its choice.
    first..first + number("PROPTEST_CASES").unwrap_or(simulations)
}
