//! The promises of the store, one test a promise.

mod checks;
pub mod ground;
mod groups;
mod hostile;
mod identities;
mod model;
mod moving;
mod opening;
mod own;
mod pages;
mod retention;
mod spool;
mod torn;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use ground::Ground;
use hyper::body::Bytes;
use plugin_sdk::contract::{self, Priority, Status};
use tempfile::TempDir;

use super::closing::Closing;
use super::handle::QUEUE;
use super::retention::{Bounds, Stage, Sweep, Swept};
use super::writer::Message;
use super::*;
use crate::alert::{Alert, Outcome, Receipt};
use crate::clock::{Clock, LONGEST_WAIT, wall_ms};
use crate::metrics::Metrics;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// An operator's action at `at_ms`.
fn asked(at_ms: i64) -> Entry {
    Entry {
        at_ms,
        who: "kim".to_owned(),
        origin: "command line".to_owned(),
        action: "replay".to_owned(),
        about: "1".to_owned(),
        why: None,
    }
}

/// A store of its own, with a clock that begins at 0 and moves only when it is told to.
struct Bench {
    ground: Ground,
    store: Store,
    closing: Closing,
    metrics: Metrics,
    plugin: PluginId,
    requests: u32,
}

const DESTINATION: &str = "itoc360";
const LATE: i64 = 1_000_000;

impl Bench {
    async fn new() -> Self {
        Self::on(Ground::folder()).await
    }

    async fn on(ground: Ground) -> Self {
        Self::open_on(ground, Clock::at(0)).await
    }

    async fn open(dir: TempDir, clock: Clock) -> Self {
        let ground = Ground {
            dir,
            database: None,
        };
        Self::open_on(ground, clock).await
    }

    async fn open_on(ground: Ground, clock: Clock) -> Self {
        let metrics = Metrics::new();
        let options = Options {
            sync: false,
            clock: Some(clock),
            ..Options::default()
        };
        let (store, closing) = Store::open(ground.location(), &options, metrics.clone()).unwrap();
        store.leads().held().await;
        let record = PluginRecord {
            name: "p".into(),
            version: "1".into(),
            sha256: "00".into(),
        };
        let plugin = store.plugin(record).await.unwrap();
        Self {
            ground,
            store,
            closing,
            metrics,
            plugin,
            requests: 0,
        }
    }

    async fn reopen(self) -> Self {
        let clock = self.store.clock();
        self.reopen_under(clock).await
    }

    /// Reopens it where the machine's clock was set meanwhile.
    async fn reopen_under(self, clock: Clock) -> Self {
        let requests = self.requests;
        drop(self.store);
        self.closing.close().await;
        Self {
            requests,
            ..Self::open_on(self.ground, clock).await
        }
    }

    /// Opens what a kill leaves behind: the files as they are while the store is open, or what a
    /// database has of a gateway that writes nothing more.
    async fn crash(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if self.ground.database.is_some() {
            self.ground.fence(&self.ground.reads());
        } else {
            for name in [FILE.to_owned(), format!("{FILE}-wal")] {
                let from = self.ground.dir.path().join(&name);
                std::fs::copy(from, dir.path().join(&name)).unwrap();
            }
        }
        let database = self.ground.database.clone();
        let clock = self.store.clock();
        let requests = self.requests;
        drop(self.store);
        self.closing.close().await;
        Self {
            requests,
            ..Self::open_on(Ground { dir, database }, clock).await
        }
    }

    fn dir(&self) -> &Path {
        self.ground.dir.path()
    }

    /// Has every row of a file looked at.
    fn whole(&self) {
        if self.ground.database.is_none() {
            let report = check(&file(self.dir()), Depth::IntegrityCheck).unwrap();
            assert!(report.whole, "{:?}", report.findings);
        }
    }

    /// Waits until the clock shows this, if it does not yet.
    async fn wait_until(&self, ms: i64) {
        let wait = ms - self.store.clock().now_ms();
        tokio::time::advance(Duration::from_millis(
            u64::try_from(wait).unwrap_or_default(),
        ))
        .await;
    }

    fn request(&mut self, source: &str, at: i64) -> NewRequest {
        self.requests += 1;
        NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id: format!("request-{}", self.requests),
            source: source.into(),
            received_at: at,
            method: "POST".into(),
            url: "https://x.example/in/a?token=secret".into(),
            headers: "[]".into(),
            body: Bytes::from_static(b"body"),
            plugin: self.plugin,
        }
    }

    /// Appends events, each given as its id and its key.
    async fn append(&mut self, source: &str, at: i64, events: &[(&str, &str)]) -> Appended {
        self.wait_until(at).await;
        let request = self.request(source, at);
        self.store
            .append(request, reading(source, events))
            .await
            .unwrap()
    }

    fn due(&self, now: i64) -> Vec<(i64, String)> {
        let due = self
            .store
            .due_reader()
            .unwrap()
            .due(DESTINATION, now, &HashSet::new(), 100)
            .unwrap();
        due.into_iter()
            .map(|due| (due.id, due.alert.event.event_id.clone()))
            .collect()
    }

    fn due_events(&self, now: i64) -> Vec<String> {
        self.due(now).into_iter().map(|(_, event)| event).collect()
    }

    /// Settles the due alert of an event.
    async fn settle(&self, event: &str, result: (Outcome, i64)) {
        self.wait_until(50).await;
        let due = self.due(LATE);
        let (alert, _) = due
            .iter()
            .find(|(_, id)| id == event)
            .expect("the event is due");
        let settlement = settlement(*alert, 50, Some(200), result);
        self.store.settle(settlement).await.unwrap();
    }

    fn total(&self, state: &'static str) -> i64 {
        self.metrics
            .alerts
            .get_or_create(&crate::metrics::StateLabel { state })
            .get()
    }

    fn find(&self, id: &str) -> RequestRecord {
        self.store.history().unwrap().find(id).unwrap().remove(0)
    }
}

/// A random generator whose seed is printed, so that a failure can be seen again:
/// `SEED=… cargo test …`.
fn random() -> fastrand::Rng {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn reading(source: &str, events: &[(&str, &str)]) -> Reading {
    let alerts = events.iter().map(|(event, key)| {
        let event = contract::Alert {
            key: Some((*key).into()),
            ..contract::Alert::new(*event, Priority::High, "t")
        };
        let alert = Alert {
            source: source.into(),
            request: "r".into(),
            received_at: "x".into(),
            event,
        };
        NewAlert::new(&alert, [DESTINATION]).unwrap()
    });
    Reading::alerts(alerts.collect())
}

/// The settlement of an attempt, from its outcome and the due time of the next one.
fn settlement(
    delivery: i64,
    at: i64,
    status: Option<u16>,
    (outcome, due_at): (Outcome, i64),
) -> Settlement {
    Settlement {
        delivery,
        at,
        duration_us: 1,
        status,
        outcome,
        answer: None,
        due_at,
        not_before: 0,
        fallback: None,
    }
}

fn accepted() -> (Outcome, i64) {
    (
        Outcome::Accepted(Receipt {
            id: "uuid".into(),
            fingerprint: "f".into(),
            kind: String::new(),
        }),
        0,
    )
}

fn later(due_at: i64) -> (Outcome, i64) {
    (
        Outcome::Retry {
            why: "503".into(),
            retry_after: None,
        },
        due_at,
    )
}

fn rejected() -> (Outcome, i64) {
    (Outcome::Rejected { why: "400".into() }, 0)
}

#[tokio::test(start_paused = true)]
async fn what_append_confirmed_is_there_after_reopening() {
    let mut bench = Bench::new().await;
    assert_eq!(
        bench.append("a", 1, &[("e1", "k1"), ("e2", "k2")]).await,
        Appended {
            accepted: 2,
            duplicates: 0
        }
    );
    let bench = bench.reopen().await;
    assert_eq!(bench.due_events(LATE), ["e1", "e2"]);
    assert_eq!(bench.total("pending"), 2);
    let kept = bench.find("request-1");
    assert_eq!(
        (kept.method.as_str(), &kept.body[..], kept.state.as_str()),
        ("POST", &b"body"[..], "read")
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_store_is_one_file() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("e", "e")]).await;
    drop(bench.store);
    bench.closing.close().await;
    let log = bench.ground.dir.path().join("gateway.db-wal");
    assert!(
        !log.exists() || std::fs::metadata(log).unwrap().len() == 0,
        "the log is folded in"
    );
}

#[tokio::test]
async fn a_writer_that_hangs_is_not_waited_for_without_end() {
    for queue in [1, 2] {
        let (messages, _queue) = mpsc::channel(queue);
        messages.try_send(Message::Close).unwrap();
        let ((ending, ended), (hanging, until)) =
            (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let thread = std::thread::spawn(move || {
            let _ending = ending;
            let _ = until.recv();
        });
        assert!(
            !Closing {
                messages,
                thread,
                ended
            }
            .close_within(Duration::from_millis(1))
            .await
        );
        drop(hanging);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_is_told_so_and_not_kept() {
    let mut bench = Bench::new().await;
    // Another program has the file, so the writer waits with what it has taken, and the rest in its
    // queue.
    let other = rusqlite::Connection::open(file(bench.dir())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..2 * QUEUE {
        let store = bench.store.clone();
        let request = bench.request("a", 1);
        appending.spawn(async move {
            store
                .append(request, reading("a", &[(&number.to_string(), "k")]))
                .await
        });
    }
    let refused = appending.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    other.execute_batch("COMMIT").unwrap();
    let kept = appending
        .join_all()
        .await
        .iter()
        .filter(|appended| appended.is_ok())
        .count();
    assert!((QUEUE..2 * QUEUE).contains(&kept), "{kept}");
    assert_eq!(bench.total("pending"), kept as i64);
    bench.append("a", 2, &[("more", "k")]).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_id_opens_once_per_source() {
    let mut bench = Bench::new().await;
    assert_eq!(
        bench.append("a", 1, &[("e", "e"), ("e", "e")]).await,
        Appended {
            accepted: 1,
            duplicates: 1
        }
    );
    assert_eq!(
        bench.append("a", 2, &[("e", "other")]).await,
        Appended {
            accepted: 0,
            duplicates: 1
        }
    );
    assert_eq!(
        bench.append("b", 3, &[("e", "e")]).await,
        Appended {
            accepted: 1,
            duplicates: 0
        }
    );
    bench.settle("e", accepted()).await;
    let mut bench = bench.reopen().await;
    assert_eq!(
        bench.append("a", 4, &[("e", "e")]).await,
        Appended {
            accepted: 0,
            duplicates: 1
        }
    );
    assert_eq!(bench.find("request-1").duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn alerts_with_one_key_are_due_one_at_a_time_and_in_order() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "k"), ("2", "k")]).await;
    bench.append("a", 2, &[("3", "k"), ("x", "other")]).await;
    assert_eq!(bench.due_events(LATE), ["1", "x"]);
    bench.settle("1", later(500)).await;
    assert_eq!(
        bench.due_events(499),
        ["x"],
        "what is behind an alert that waits, waits too"
    );
    bench.settle("1", accepted()).await;
    assert_eq!(bench.due_events(LATE), ["x", "2"]);
    bench.settle("2", rejected()).await;
    assert_eq!(
        bench.due_events(LATE),
        ["x", "3"],
        "a dead letter holds nothing up"
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_key_of_two_sources_is_two_keys() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "k")]).await;
    bench.append("b", 2, &[("2", "k")]).await;
    assert_eq!(bench.due_events(LATE), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_failed_is_due_again_when_its_time_has_come() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1")]).await;
    bench.settle("1", later(500)).await;
    assert!(bench.due(499).is_empty());
    assert_eq!(
        bench
            .store
            .due_reader()
            .unwrap()
            .next_due_at(DESTINATION, 499)
            .unwrap(),
        Some(500)
    );
    bench
        .settle("1", (Outcome::Blocked { why: "401".into() }, 50))
        .await;
    assert_eq!(bench.due_events(50), ["1"], "what is blocked stays due");
    bench.settle("1", accepted()).await;
    let outcomes: Vec<_> = bench.find("1").alerts[0]
        .attempts
        .iter()
        .map(|one| one.outcome.clone())
        .collect();
    assert_eq!(outcomes, ["retry", "blocked", "accepted"]);
    assert_eq!((bench.total("pending"), bench.total("delivered")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn due_times_do_not_depend_on_the_time_of_receipt() {
    let mut bench = Bench::new().await;
    bench.wait_until(100).await;
    for (set, event) in [(-LATE, "set back"), (LATE, "set forward")] {
        let request = bench.request("a", set);
        bench
            .store
            .append(request, reading("a", &[(event, event)]))
            .await
            .unwrap();
    }
    assert_eq!((bench.due(99).len(), bench.due(100).len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_due_in_a_far_future_is_due_when_the_store_is_opened() {
    let mut bench = Bench::new().await;
    let longest = LONGEST_WAIT.as_millis() as i64;
    bench
        .append(
            "a",
            1,
            &[
                ("far", "1"),
                ("behind it", "1"),
                ("near", "2"),
                ("now", "3"),
            ],
        )
        .await;
    bench.settle("far", later(50 + longest)).await;
    bench.settle("near", later(50)).await;
    // The machine's clock is 49 ms behind what it was, and then 51.
    let bench = bench.reopen_under(Clock::at(50)).await;
    assert_eq!(bench.due_events(50 + longest - 1), ["now", "near"]);
    let bench = bench.reopen_under(Clock::at(49)).await;
    assert_eq!(
        bench.due_events(49),
        ["now", "far"],
        "what waits no longer than it may is left alone"
    );
    assert_eq!(bench.due_events(50), ["now", "far", "near"]);
}

#[tokio::test(start_paused = true)]
async fn alerts_from_a_fast_clock_are_due_when_the_store_is_opened() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("new", "1"), ("tried", "2")]).await;
    bench.settle("tried", later(50)).await;
    let bench = bench.reopen_under(Clock::at(-10)).await;
    assert_eq!(
        bench.due_events(-10),
        ["new"],
        "it was never tried, so it waits for nothing but that time"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_claimed_is_not_due() {
    let mut bench = Bench::new().await;
    bench
        .append("a", 1, &[("1", "1"), ("2", "2"), ("3", "3")])
        .await;
    let first = bench.due(LATE)[0].0;
    let due = bench
        .store
        .due_reader()
        .unwrap()
        .due(DESTINATION, LATE, &HashSet::from([first]), 1)
        .unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].alert.event.event_id, "2");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_plugin_failed_is_kept_and_can_be_read_again() {
    let mut bench = Bench::new().await;
    let request = bench.request("a", 1);
    bench
        .store
        .append(request, Reading::Failed("trap".into()))
        .await
        .unwrap();
    assert_eq!(bench.metrics.requests_failed.get(), 1);
    let kept = bench.find("request-1");
    assert_eq!(
        (kept.state.as_str(), kept.reason.as_deref()),
        ("failed", Some("trap"))
    );

    ask_for(
        bench.dir(),
        &JobKind::Replay,
        &[
            JobTarget::request(kept.seq),
            JobTarget::Request {
                seq: kept.seq,
                part: Part::Failed,
            },
        ],
        &asked(5),
    )
    .unwrap();
    let jobs = bench.store.due_reader().unwrap().jobs().unwrap();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let reread = Reread {
            job: job.id,
            seq: kept.seq,
            source: "a".into(),
            at_ms: 1,
            plugin: bench.plugin,
            reading: reading("a", &[("1", "1")]),
        };
        bench.store.finish_replay(reread).await.unwrap();
    }
    assert_eq!(bench.due_events(LATE), ["1"], "asked for twice, done once");
    assert_eq!(bench.find("request-1").state, "read");
    assert_eq!(bench.metrics.requests_failed.get(), 0);
    assert!(bench.store.due_reader().unwrap().jobs().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dead_letter_is_never_replayed_beside_a_younger_of_its_key() {
    let mut bench = Bench::new().await;
    bench
        .append("a", 1, &[("1", "k"), ("2", "k"), ("3", "k"), ("x", "x")])
        .await;
    bench.settle("1", rejected()).await;
    bench.settle("x", rejected()).await;
    assert_eq!(bench.total("dead"), 2);
    ask_for(
        bench.dir(),
        &JobKind::Replay,
        &[JobTarget::AllDead],
        &asked(40),
    )
    .unwrap();
    let job = bench.store.due_reader().unwrap().jobs().unwrap().remove(0);
    assert_eq!(
        bench.store.requeue(job).await.unwrap(),
        0,
        "they were refused at 50, after this was asked for"
    );
    ask_for(
        bench.dir(),
        &JobKind::Replay,
        &[JobTarget::AllDead],
        &asked(60),
    )
    .unwrap();
    let job = bench.store.due_reader().unwrap().jobs().unwrap().remove(0);
    assert_eq!(bench.store.requeue(job).await.unwrap(), 2);
    assert_eq!(
        bench.due_events(LATE),
        ["x", "2"],
        "2 is on its way, so 1 waits for it"
    );
    bench.settle("2", accepted()).await;
    bench.settle("1", accepted()).await;
    assert_eq!(bench.due_events(LATE), ["x", "3"]);
    assert!(bench.store.due_reader().unwrap().jobs().unwrap().is_empty());
}

/// Runs the slices of a stage until it has nothing more to look at, or enough. Returns how much was
/// removed.
async fn sweep(bench: &Bench, stage: Stage, bounds: Bounds) -> u64 {
    let mut from = 0;
    let mut removed = 0;
    loop {
        let Swept {
            removed: more,
            next,
            is_enough,
            ..
        } = bench
            .store
            .sweep(Sweep {
                stage,
                from,
                bounds,
            })
            .await
            .unwrap();
        removed += more.by_age + more.by_size;
        match next {
            Some(next) if !is_enough => from = next,
            _ => return removed,
        }
    }
}

fn bounds(before_ms: i64, size: u64) -> Bounds {
    Bounds {
        before_ms,
        now_ms: LATE,
        size,
        identities: u64::MAX,
    }
}

/// Removes what is older than this.
async fn retain(bench: &Bench, before_ms: i64) -> u64 {
    sweep(bench, Stage::Age, bounds(before_ms, u64::MAX)).await
}

#[tokio::test(start_paused = true)]
async fn retention_removes_what_is_old_and_delivered_and_nothing_else() {
    let mut bench = Bench::new().await;
    for (at, event) in [
        (1, "delivered"),
        (2, "pending"),
        (3, "rejected"),
        (4, "young"),
    ] {
        bench.append("a", at, &[(event, event)]).await;
    }
    let raw = bench.request("a", 3);
    bench
        .store
        .append(raw, Reading::Failed("trap".into()))
        .await
        .unwrap();
    bench.settle("delivered", accepted()).await;
    bench.settle("young", accepted()).await;
    bench.settle("rejected", rejected()).await;
    assert_eq!(retain(&bench, 4).await, 1);
    let history = bench.store.history().unwrap();
    assert!(history.find("delivered").unwrap().is_empty());
    let left = history
        .list(&Filter {
            limit: 10,
            ..Filter::default()
        })
        .unwrap();
    assert_eq!(left.len(), 4);
    assert_eq!(
        (
            bench.total("delivered"),
            bench.total("pending"),
            bench.total("dead")
        ),
        (1, 1, 1)
    );
    assert!(
        check(&file(bench.dir()), Depth::IntegrityCheck)
            .unwrap()
            .whole
    );
    assert_eq!(
        bench
            .append("a", 60, &[("delivered", "delivered")])
            .await
            .accepted,
        1,
        "it is known no more"
    );
}

#[tokio::test(start_paused = true)]
async fn retention_goes_on_behind_a_request_of_the_future() {
    let mut bench = Bench::new().await;
    for (at, event) in [
        (100, "of the future"),
        (1, "old"),
        (5, "young"),
        (1, "newest"),
    ] {
        bench.append("a", at, &[(event, event)]).await;
        bench.settle(event, accepted()).await;
    }
    assert_eq!(
        sweep(
            &bench,
            Stage::Age,
            Bounds {
                now_ms: 50,
                ..bounds(3, u64::MAX)
            }
        )
        .await,
        1
    );
    assert!(
        bench
            .store
            .history()
            .unwrap()
            .find("old")
            .unwrap()
            .is_empty()
    );
}

/// As the gateway does it, once.
async fn keep_within_days(bench: &Bench, days: u64) {
    let stop = CancellationToken::new();
    let metrics = Metrics::new();
    let retention = Retention {
        age: Duration::from_secs(days * 24 * 60 * 60),
        size: u64::MAX,
        identities: u64::MAX,
        operator_destination: None,
    };
    let keeping = tokio::spawn(keep_within(
        bench.store.clone(),
        retention,
        metrics.clone(),
        stop.clone(),
    ));
    while metrics.retention_last_sweep.get() == 0.0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retention_believes_the_clock_that_is_behind() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let mut bench = Bench::new().await;
    let today = wall_ms();
    let request = bench.request("a", today - 10 * DAY);
    bench
        .store
        .append(request, reading("a", &[("old", "old")]))
        .await
        .unwrap();
    bench.settle("old", accepted()).await;
    let request = bench.request("a", today);
    bench
        .store
        .append(request, reading("a", &[("new", "new")]))
        .await
        .unwrap();
    let left = |bench: &Bench| bench.store.history().unwrap().find("old").unwrap().len();

    // Behind when the gateway started, and put right since; ahead when it started, and put right
    // since.
    for (ahead, days) in [(-5, 7), (5, 12)] {
        bench = bench.reopen_under(Clock::at(today + ahead * DAY)).await;
        keep_within_days(&bench, days).await;
        assert_eq!(left(&bench), 1, "{ahead}");
    }
    bench = bench.reopen_under(Clock::at(today)).await;
    keep_within_days(&bench, 12).await;
    assert_eq!(left(&bench), 1);
    keep_within_days(&bench, 7).await;
    assert_eq!(left(&bench), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_gateway_is_kept_out_and_readers_are_not() {
    let bench = Bench::new().await;
    let second = Store::open(bench.dir(), &Options::default(), Metrics::new());
    assert!(matches!(second, Err(StoreError::Locked(_))));
    assert!(History::open(bench.dir()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_goes_away_leaves_a_whole_append_or_none() {
    let mut bench = Bench::new().await;
    let request = bench.request("a", 1);
    {
        let append = bench.store.append(request, reading("a", &[("1", "1")]));
        tokio::pin!(append);
        let _ = futures_poll_once(append.as_mut()).await;
    }
    let bench = bench.reopen().await;
    assert_eq!(bench.due_events(LATE), ["1"]);
}

/// Polls a future once and gives up on it.
async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context).is_ready())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn lists_are_newest_first_and_narrowed_by_source_state_and_time() {
    let mut bench = Bench::new().await;
    bench.append("a", 10, &[("1", "1")]).await;
    bench.append("b", 20, &[("2", "2")]).await;
    bench.append("a", 30, &[("3", "3")]).await;
    bench.append("a", 40, &[("3", "3"), ("3", "3")]).await;
    bench.settle("1", accepted()).await;
    let raw = bench.request("a", 50);
    bench
        .store
        .append(raw, Reading::Failed("trap".into()))
        .await
        .unwrap();
    let history = bench.store.history().unwrap();
    let list = |filter: Filter| -> Vec<String> {
        let lines = history
            .list(&Filter {
                limit: 10,
                ..filter
            })
            .unwrap();
        lines
            .into_iter()
            .map(|line| line.event_id.unwrap_or(line.title))
            .collect()
    };
    let state = |state| Filter {
        state: Some(state),
        ..Filter::default()
    };
    assert_eq!(list(Filter::default()), ["trap", "3", "2", "1"]);
    assert_eq!(
        list(Filter {
            source: Some("b".into()),
            ..Filter::default()
        }),
        ["2"]
    );
    assert_eq!(
        list(Filter {
            since_ms: 30,
            ..state(ListedState::Pending)
        }),
        ["3"]
    );
    assert_eq!(list(state(ListedState::Delivered)), ["1"]);
    assert_eq!(list(state(ListedState::Failed)), ["trap"]);
    assert!(list(state(ListedState::Dead)).is_empty());
}
