//! Random actions on delivery and its store, each compared with a model in plain memory.
//!
//! The model is played from both sides: it does what is done to the store, and it is asked by ITOC360 for each request
//! that arrives. So it sees at once what must never arrive: an alert that is settled, one that is behind another of its
//! key, one before its time. After each step, what is on the disk must become what the model says.
//!
//! Time stands still but where an action moves it, and a crash may find the machine's clock set. The threads of the disk
//! are real, so a step is over when they have caught up, not after a time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::body::Bytes;
use plugin_sdk::contract::{self, Priority, Status};
use proptest::prelude::*;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::wire::{self, Stream};
use crate::alert::Alert;
use crate::clock::{Clock, wall_ms};
use crate::delivery::Delivery;
use crate::health::Health;
use crate::itoc360::stand_in::{Reply, Setup, StandIn};
use crate::metrics::Metrics;
use crate::store::{
    self, ALERTS_PER_REQUEST, Appended, Bounds, Closing, NewAlert, NewRequest, PluginRecord, Reading, Replay,
    ReplayTarget, Reread, Store,
};

/// How long, in real time, the disk may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often all tasks get their turn before it is taken for granted that the next request is not on its way.
const TURNS: usize = 200;

#[derive(Debug, Clone)]
enum Action {
    /// A request with these events, each with its key.
    Append(Vec<(u8, u8)>),
    /// A request with these events, which the plugin fails to read at first.
    Fail(Vec<(u8, u8)>),
    /// The oldest request that the plugin failed to read is read again.
    ReadAgain,
    /// The next requests to ITOC360 are answered so, and all after them as usual.
    Answers(Vec<Answer>),
    /// Seconds pass.
    Wait(u64),
    /// The process dies after so many turns; the machine's clock is then set by so many hours.
    Crash { turns: usize, hours: i64 },
    /// It stops in order, and starts again.
    Restart,
    /// What is set aside is sent again.
    Requeue,
    /// What may go, goes.
    Retain,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Accepted,
    Later,
    LaterAfter(u8),
    /// It is taken, but nobody learns of it.
    Lost,
    Blocked,
    Refused,
}

/// What should be on the disk, and what ITOC360 should have seen.
#[derive(Debug, Default)]
struct Model {
    alerts: BTreeMap<i64, Entry>,
    known: HashSet<u8>,
    /// The number of the newest request that was kept.
    requests: i64,
    unread: VecDeque<(i64, Vec<(u8, u8)>)>,
    answers: VecDeque<Answer>,
    /// By key: whether its alert is open in ITOC360.
    open: HashMap<u8, bool>,
    opened: usize,
    arrived: usize,
    clock: Option<Clock>,
}

#[derive(Debug, Clone)]
struct Entry {
    event: u8,
    key: u8,
    now: Standing,
    /// Before its latest attempt, of which a crash may have left nothing.
    before: Standing,
    not_before_ms: i64,
    /// Whether ITOC360 has it, whatever the gateway knows.
    taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    state: &'static str,
    attempts: i64,
    /// Whether it is the one of its key that is delivered next.
    head: bool,
}

/// What stands on the disk: by id, the event and how it stands.
type Rows = BTreeMap<i64, (String, Standing)>;

fn resolves(event: u8) -> bool {
    event % 4 == 3
}

impl Model {
    fn append(&mut self, seq: i64, events: &[(u8, u8)]) -> Appended {
        let mut appended = Appended { accepted: 0, duplicates: 0 };
        for (place, &(event, key)) in (0..).zip(events) {
            if !self.known.insert(event) {
                appended.duplicates += 1;
                continue;
            }
            appended.accepted += 1;
            let now = Standing { state: "pending", attempts: 0, head: !self.is_busy(key) };
            let entry = Entry { event, key, now, before: now, not_before_ms: 0, taken: false };
            self.alerts.insert(seq * ALERTS_PER_REQUEST as i64 + place, entry);
        }
        appended
    }

    fn is_busy(&self, key: u8) -> bool {
        self.alerts.values().any(|one| one.key == key && one.now.state == "pending")
    }

    /// What ITOC360 answers to an event.
    fn arrives(&mut self, event: u8) -> Reply {
        self.arrived += 1;
        let now_ms = self.clock.unwrap().now_ms();
        let answer = self.answers.pop_front().unwrap_or(Answer::Accepted);
        let entry = self.alerts.values_mut().find(|one| one.event == event).expect("an alert that is not kept");
        assert!(entry.now.state == "pending" && entry.now.head, "it is not its turn: {entry:?}");
        assert!(entry.not_before_ms <= now_ms, "{} ms too early: {entry:?}", entry.not_before_ms - now_ms);
        entry.before = entry.now;
        entry.now.attempts += 1;
        let key = entry.key;
        if matches!(answer, Answer::Accepted | Answer::Lost) && !std::mem::replace(&mut entry.taken, true) {
            let was_open = self.open.insert(key, !resolves(event)).unwrap_or_default();
            self.opened += usize::from(!was_open && !resolves(event));
        }
        match answer {
            Answer::Accepted => self.settle(event, "delivered", Reply::Ok),
            Answer::Refused => self.settle(event, "set_aside", Reply::error(400, "no")),
            Answer::Blocked => Reply::error(402, "not paid"),
            Answer::Later => Reply::error(503, "busy"),
            Answer::Lost => Reply::Lost,
            Answer::LaterAfter(seconds) => {
                entry.not_before_ms = now_ms + i64::from(seconds) * 1000;
                let headers = vec![("Retry-After".to_owned(), seconds.to_string())];
                Reply::Status { code: 429, headers, body: String::new() }
            }
        }
    }

    fn settle(&mut self, event: u8, state: &'static str, reply: Reply) -> Reply {
        let entry = self.alerts.values_mut().find(|one| one.event == event).unwrap();
        (entry.now.state, entry.now.head) = (state, false);
        let key = entry.key;
        if let Some(next) = self.alerts.values_mut().find(|one| one.key == key && one.now.state == "pending") {
            next.now.head = true;
        }
        reply
    }

    fn requeue(&mut self) -> usize {
        let ids: Vec<_> =
            self.alerts.iter().filter(|(_, one)| one.now.state == "set_aside").map(|(id, _)| *id).collect();
        for id in &ids {
            let head = !self.is_busy(self.alerts[id].key);
            let entry = self.alerts.get_mut(id).unwrap();
            (entry.now.state, entry.now.head, entry.not_before_ms) = ("pending", head, 0);
            // It was refused, but an earlier attempt may have been taken and its answer lost. Whoever asks for it again may
            // find that its alert is closed by now, and opens it again.
            entry.taken = false;
        }
        ids.len()
    }

    /// All requests that are read and have no undelivered alert go, but for the newest, and what they opened is forgotten.
    fn retain(&mut self) {
        let request = |id: i64| id / ALERTS_PER_REQUEST as i64;
        let open = self.alerts.iter().filter(|(_, one)| one.now.state != "delivered").map(|(id, _)| request(*id));
        let open: HashSet<i64> = open.chain([self.requests]).collect();
        let known = &mut self.known;
        self.alerts.retain(|id, one| {
            let stays = open.contains(&request(*id));
            if !stays {
                known.remove(&one.event);
            }
            stays
        });
    }

    fn rows(&self) -> Rows {
        self.alerts.iter().map(|(id, one)| (*id, (one.event.to_string(), one.now))).collect()
    }

    /// After a crash: the latest attempt at an alert may have left nothing, so that it comes again.
    fn crashed(&mut self, rows: &Rows) {
        assert_eq!(rows.keys().collect::<Vec<_>>(), self.alerts.keys().collect::<Vec<_>>());
        for (id, entry) in &mut self.alerts {
            let (_, found) = &rows[id];
            let is = |standing: Standing| (found.state, found.attempts) == (standing.state, standing.attempts);
            assert!(is(entry.now) || is(entry.before), "{found:?} is on the disk instead of {entry:?}");
            if !is(entry.now) {
                entry.not_before_ms = 0;
            }
            entry.now = *found;
        }
        for entry in self.alerts.values().filter(|one| one.now.state == "pending") {
            let heads = self.alerts.values().filter(|one| one.key == entry.key && one.now.head).count();
            assert_eq!(heads, 1, "of the alerts of key {}", entry.key);
        }
    }
}

/// A gateway's store and delivery, an ITOC360, and the model of both.
struct Bench {
    model: Arc<Mutex<Model>>,
    folder: tempfile::TempDir,
    itoc360: Arc<StandIn>,
    life: Option<Life>,
}

/// From a start to a crash or a stop.
struct Life {
    store: Store,
    closing: Closing,
    conversations: Arc<Mutex<JoinSet<()>>>,
    stop: watch::Sender<bool>,
    delivering: JoinHandle<()>,
    disk: Connection,
}

impl Bench {
    async fn new() -> Self {
        let (model, itoc360) = (Arc::<Mutex<Model>>::default(), Arc::new(StandIn::unbound(Setup::default())));
        let asked = Arc::clone(&model);
        itoc360.script(move |_, body| {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            let event = body["commonAnnotations"]["event_id"].as_str().unwrap().parse().unwrap();
            asked.lock().unwrap().arrives(event)
        });
        let mut bench = Self { model, folder: tempfile::tempdir().unwrap(), itoc360, life: None };
        bench.start(Clock::at(1_000_000_000_000)).await;
        bench
    }

    async fn start(&mut self, clock: Clock) {
        self.model().clock = Some(clock);
        let options = store::Options { sync: false, clock };
        let (store, closing) = Store::open(self.folder.path(), &options, Metrics::new()).unwrap();
        let (conversations, itoc360) = (Arc::<Mutex<JoinSet<()>>>::default(), Arc::clone(&self.itoc360));
        let speaking = Arc::clone(&conversations);
        let client = wire::itoc360(Duration::from_secs(10), move || {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            speaking.lock().unwrap().spawn(itoc360.converse(theirs));
            std::future::ready(Ok(Box::new(ours) as Box<dyn Stream>))
        });
        let (stop, stopped) = watch::channel(false);
        let (health, metrics) = (Health::default(), Metrics::new());
        let delivery = Delivery::new("itoc360".into(), client, 4, store.clone(), health, metrics).unwrap();
        let disk = Connection::open(store::file(self.folder.path())).unwrap();
        let delivering = tokio::spawn(delivery.run(stopped));
        self.life = Some(Life { store, closing, conversations, stop, delivering, disk });
    }

    /// In order, so that all that was sent is written down.
    async fn stop(&mut self) -> (Store, Closing) {
        let life = self.life.take().unwrap();
        life.stop.send_replace(true);
        life.delivering.await.unwrap();
        assert_eq!(rows(&life.disk), self.model().rows(), "after a stop in order");
        (life.store, life.closing)
    }

    async fn crash(&mut self) -> Clock {
        let life = self.life.take().unwrap();
        life.delivering.abort();
        assert!(life.delivering.await.is_err_and(|error| error.is_cancelled()), "delivery panicked");
        // What was on its way does not outlive its sender here; the simulated network has that.
        life.conversations.lock().unwrap().abort_all();
        let clock = life.store.clock();
        drop(life.store);
        life.closing.close().await;
        let rows = rows(&life.disk);
        self.model().crashed(&rows);
        clock
    }

    async fn append(&self, reading: Reading) -> Appended {
        let store = &self.life().store;
        let record = PluginRecord { name: "p".into(), version: "1".into(), sha256: "0".into() };
        let request = NewRequest {
            id: uuid::Uuid::now_v7().to_string(),
            source: "s".into(),
            received_at: 1,
            method: "POST".into(),
            url: String::new(),
            headers: "[]".into(),
            body: Bytes::new(),
            plugin: store.plugin(record).await.unwrap(),
        };
        store.append(request, reading).await.unwrap()
    }

    /// Writes a replay down as `events replay` does, and gives it as the gateway finds it.
    fn ask(&self, store: &Store, target: ReplayTarget) -> Replay {
        store::ask_replay(&store::file(self.folder.path()), &[target], wall_ms()).unwrap();
        store.due_reader().unwrap().replays().unwrap()[0]
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Append(events) => {
                // In the model first, as it may arrive before the append returns.
                let expected = {
                    let mut model = self.model();
                    model.requests += 1;
                    let seq = model.requests;
                    model.append(seq, &events)
                };
                assert_eq!(self.append(reading(&events)).await, expected);
            }
            Action::Fail(events) => {
                self.append(Reading::Failed("trap".into())).await;
                let mut model = self.model();
                model.requests += 1;
                let seq = model.requests;
                model.unread.push_back((seq, events));
            }
            Action::Answers(answers) => self.model().answers = answers.into(),
            Action::Wait(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
            Action::Crash { turns, hours } => {
                turn(turns).await;
                let clock = self.crash().await;
                if hours != 0 {
                    self.model().alerts.values_mut().for_each(|one| one.not_before_ms = 0);
                }
                self.start(Clock::at(clock.now_ms() + hours * 3_600_000)).await;
            }
            Action::Restart | Action::ReadAgain | Action::Requeue | Action::Retain => {
                let (store, closing) = self.stop().await;
                match action {
                    Action::ReadAgain => self.read_again(&store).await,
                    Action::Requeue => {
                        let replay = self.ask(&store, ReplayTarget::AllSetAside);
                        assert_eq!(store.requeue(replay).await.unwrap(), self.model().requeue());
                    }
                    Action::Retain => {
                        store.retain(Bounds { from: 0, before_ms: i64::MAX, size: u64::MAX }).await.unwrap();
                        self.model().retain();
                    }
                    _ => {}
                }
                let clock = store.clock();
                drop(store);
                closing.close().await;
                self.start(clock).await;
            }
        }
    }

    /// While nothing is delivered: which alert of a key is next depends on whether an older one comes back before it or after.
    async fn read_again(&self, store: &Store) {
        let Some((seq, events)) = self.model().unread.pop_front() else { return };
        let replay = self.ask(store, ReplayTarget::Request(seq)).id;
        let record = PluginRecord { name: "p".into(), version: "2".into(), sha256: "1".into() };
        let plugin = store.plugin(record).await.unwrap();
        let reread = Reread { replay, seq, source: "s".into(), plugin, reading: reading(&events) };
        let appended = store.finish_replay(reread).await.unwrap();
        assert_eq!(appended, self.model().append(seq, &events));
    }

    /// Waits until what is on the disk is what the model says, and ITOC360 has opened what it should have.
    async fn catches_up(&self) {
        let life = self.life();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            turn(1).await;
            assert!(!life.delivering.is_finished(), "delivery ended");
            let rows = rows(&life.disk);
            let model = self.model();
            if rows == model.rows() && self.itoc360.opened() == model.opened {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{rows:#?} is on the disk instead of {model:#?}");
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("the model saw what must never arrive")
    }

    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }
}

fn reading(events: &[(u8, u8)]) -> Reading {
    let alerts = events.iter().map(|&(event, key)| {
        let status = if resolves(event) { Status::Resolve } else { Status::Trigger };
        let event = contract::Alert::new(event.to_string(), Priority::High, "t");
        let event = contract::Alert { key: Some(key.to_string()), status, ..event };
        let alert = Alert { source: "s".into(), request: "r".into(), received_at: store::rfc3339(1), event };
        NewAlert::new(&alert, "itoc360").unwrap()
    });
    Reading::Alerts(alerts.collect())
}

fn rows(disk: &Connection) -> Rows {
    let mut alerts = disk
        .prepare_cached(
            "SELECT id, event_id, state, attempts, due_at IS NOT NULL,
                    (SELECT count(*) FROM attempts WHERE alert = id) FROM alerts",
        )
        .unwrap();
    let rows = alerts.query_map([], |row| {
        let state = match row.get_ref(2)?.as_str()? {
            "pending" => "pending",
            "delivered" => "delivered",
            _ => "set_aside",
        };
        assert_eq!(row.get::<_, i64>(3)?, row.get::<_, i64>(5)?, "each attempt is written down once");
        let standing = Standing { state, attempts: row.get(3)?, head: row.get(4)? };
        Ok((row.get(0)?, (row.get(1)?, standing)))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// All tasks have their turn so many times, and so have the threads of the disk.
async fn turn(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

async fn compare(actions: Vec<Action>) {
    let mut bench = Bench::new().await;
    for action in actions {
        bench.act(action).await;
        bench.catches_up().await;
    }
    // Once ITOC360 is well, all that is pending is delivered.
    bench.model().answers.clear();
    let deadline = std::time::Instant::now() + PATIENCE;
    while bench.model().alerts.values().any(|one| one.now.state == "pending") {
        assert!(std::time::Instant::now() < deadline, "never delivered: {:#?}", bench.model());
        tokio::time::advance(Duration::from_secs(20)).await;
        turn(TURNS).await;
        bench.catches_up().await;
    }
    bench.stop().await.1.close().await;
}

fn action() -> impl Strategy<Value = Action> {
    let events = || prop::collection::vec((0..24_u8, 0..4_u8), 0..5);
    let answer = prop_oneof![
        4 => Just(Answer::Accepted),
        4 => Just(Answer::Later),
        2 => (1..100_u8).prop_map(Answer::LaterAfter),
        2 => Just(Answer::Lost),
        1 => Just(Answer::Blocked),
        2 => Just(Answer::Refused),
    ];
    prop_oneof![
        8 => events().prop_map(Action::Append),
        1 => events().prop_map(Action::Fail),
        1 => Just(Action::ReadAgain),
        6 => prop::collection::vec(answer, 1..12).prop_map(Action::Answers),
        8 => (1..120_u64).prop_map(Action::Wait),
        3 => (0..TURNS, prop_oneof![2 => Just(0), 1 => -48..48_i64])
            .prop_map(|(turns, hours)| Action::Crash { turns, hours }),
        1 => Just(Action::Restart),
        2 => Just(Action::Requeue),
        1 => Just(Action::Retain),
    ]
}

proptest! {
    // PROPTEST_CASES says how many, for a long run.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(48, |cases| cases.parse().unwrap()),
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn delivery_and_its_store_do_what_a_plain_model_does(actions in prop::collection::vec(action(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        // As long as something blocks a thread, time does not go on by itself.
        let (frozen, until) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || until.recv());
        runtime.block_on(compare(actions));
        drop(frozen);
    }
}
