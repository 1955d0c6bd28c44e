//! The gateway's store and delivery, an ITOC360, and the model of both.

#![expect(
    clippy::disallowed_types,
    reason = "a panic of the model must poison it, so that the test fails"
)]

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use plugin_sdk::contract::{self, Priority, Status};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Action;
use super::plain::{Model, Rows, Standing, resolves};
use crate::alert::Alert;
use crate::clock::{Clock, wall_ms};
use crate::delivery::Delivery;
use crate::delivery::tests::wire::{self, Speaks, Stream};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::tests::ground::Ground;
use crate::store::{
    self, Appended, Bounds, Closing, Connection, Entry, Job, JobKind, JobTarget, NewAlert,
    NewRequest, PluginRecord, Reading, Reread, Stage, Store, Sweep,
};
use itoc360_double::{Double, Setup};

/// The real time the disk may take to catch up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The real time that a crash waits for a request to ITOC360 that may be on its way: enough for a
/// database to be read.
const ARRIVAL: Duration = Duration::from_millis(20);

/// A gateway's store and delivery, an ITOC360, and the model of both.
pub struct Bench {
    model: Arc<Mutex<Model>>,
    ground: Ground,
    itoc360: Arc<Double>,
    life: Option<Life>,
}

/// From a start to a crash or a stop.
struct Life {
    store: Store,
    closing: Closing,
    conversations: Arc<Mutex<JoinSet<()>>>,
    stop: CancellationToken,
    delivering: JoinHandle<()>,
    disk: Connection,
}

impl Bench {
    pub async fn on(ground: Ground) -> Self {
        let model = Arc::<Mutex<Model>>::default();
        let itoc360 = Arc::new(Double::unbound(Setup::default()));
        let asked = Arc::clone(&model);
        itoc360.script(move |_, body| {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            let event = body["commonAnnotations"]["event_id"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            asked.lock().unwrap().arrives(event)
        });
        let mut bench = Self {
            model,
            ground,
            itoc360,
            life: None,
        };
        bench.start(Clock::at(1_000_000_000_000)).await;
        bench
    }

    async fn start(&mut self, clock: Clock) {
        {
            let mut model = self.model();
            (model.clock, model.arrived) = (Some(clock), 0);
        }
        let options = store::Options {
            sync: false,
            clock: Some(clock),
            ..store::Options::default()
        };
        let (store, closing) =
            Store::open(self.ground.location(), &options, Metrics::new()).unwrap();
        store.leads().held().await;
        let conversations = Arc::<Mutex<JoinSet<()>>>::default();
        let itoc360 = Arc::clone(&self.itoc360);
        let speaking = Arc::clone(&conversations);
        let client = wire::itoc360(Duration::from_secs(10), Speaks::Http1, move || {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            speaking.lock().unwrap().spawn(itoc360.converse(theirs));
            std::future::ready(Ok(Box::new(ours) as Box<dyn Stream>))
        });
        let stop = CancellationToken::new();
        let health = Health::default();
        let metrics = Metrics::new();
        let delivery =
            Delivery::new("itoc360".into(), client, 4, store.clone(), health, metrics).unwrap();
        let disk = self.ground.reads();
        let delivering = tokio::spawn(delivery.run(stop.clone()));
        self.life = Some(Life {
            store,
            closing,
            conversations,
            stop,
            delivering,
            disk,
        });
    }

    /// In order, so that all that was sent is written down.
    pub async fn stop(&mut self) -> (Store, Closing) {
        let life = self.life.take().unwrap();
        life.stop.cancel();
        life.delivering.await.unwrap();
        assert_eq!(
            rows(&life.disk),
            self.model().rows(),
            "after a stop in order"
        );
        (life.store, life.closing)
    }

    async fn crash(&mut self, is_taken_over: bool) -> Clock {
        let life = self.life.take().unwrap();
        life.delivering.abort();
        assert!(
            life.delivering
                .await
                .is_err_and(|error| error.is_cancelled()),
            "delivery panicked"
        );
        // What was on its way does not outlive its sender here; the simulated network has that.
        life.conversations.lock().unwrap().abort_all();
        let is_taken_over = is_taken_over && self.ground.database.is_some();
        if is_taken_over {
            self.ground.take_over(&life.disk);
        } else {
            self.ground.fence(&life.disk);
        }
        let fenced = self.ground.database.as_ref().map(|_| rows(&life.disk));
        let clock = life.store.clock();
        drop(life.store);
        life.closing.close().await;
        let rows = rows(&life.disk);
        if let Some(fenced) = fenced {
            assert_eq!(rows, fenced, "it wrote although it was fenced");
        }
        self.model().crashed(&rows);
        if is_taken_over {
            self.model().taken_over();
        }
        clock
    }

    async fn append(&self, reading: Reading) -> Appended {
        let store = &self.life().store;
        let record = PluginRecord {
            name: "p".into(),
            version: "1".into(),
            sha256: "0".into(),
        };
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
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

    /// Asks for a replay as `events replay` does, and returns it as the gateway finds it.
    fn ask(&self, store: &Store, target: JobTarget) -> Job {
        store::ask_for(
            self.ground.location(),
            &JobKind::Replay,
            &[target],
            &Entry {
                at_ms: wall_ms(),
                who: "kim".to_owned(),
                origin: "command line".to_owned(),
                action: "replay".to_owned(),
                about: "all".to_owned(),
                why: None,
            },
        )
        .unwrap();
        store.due_reader().unwrap().jobs().unwrap().remove(0)
    }

    pub async fn act(&mut self, action: Action) {
        match action {
            Action::Append(events) => {
                // In the model first, as it may arrive before the append returns.
                let expected = {
                    let mut model = self.model();
                    let seq = model.requests + 1;
                    let appended = model.append(seq, &events);
                    // What only repeats is counted, and not stored.
                    if appended.accepted > 0 || appended.duplicates == 0 {
                        model.requests = seq;
                    }
                    appended
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
            Action::Crash {
                seconds,
                turns,
                hours,
                is_taken_over,
            } => {
                if seconds != 0 {
                    self.catches_up().await;
                    tokio::time::advance(Duration::from_secs(seconds)).await;
                }
                let deadline = Instant::now() + ARRIVAL;
                while self.model().arrived == 0 && Instant::now() < deadline {
                    turn(1).await;
                }
                turn(turns).await;
                let clock = self.crash(is_taken_over).await;
                if hours != 0 {
                    self.model()
                        .alerts
                        .values_mut()
                        .for_each(|one| one.not_before_ms = 0);
                }
                self.start(Clock::at(clock.now_ms() + hours * 3_600_000))
                    .await;
            }
            Action::Gone => {
                self.ground.release();
                let disk = &self.life().disk;
                while is_guarded(disk) {
                    std::thread::park_timeout(Duration::from_millis(10));
                }
                self.model().released();
            }
            Action::Restart | Action::ReadAgain | Action::Requeue | Action::Retain => {
                let (store, closing) = self.stop().await;
                match action {
                    Action::ReadAgain => self.read_again(&store).await,
                    Action::Requeue => {
                        let job = self.ask(&store, JobTarget::AllDead);
                        assert_eq!(store.requeue(job).await.unwrap(), self.model().requeue());
                    }
                    Action::Retain => {
                        let bounds = Bounds {
                            before_ms: i64::MAX,
                            now_ms: i64::MAX,
                            size: u64::MAX,
                            identities: u64::MAX,
                        };
                        store
                            .sweep(Sweep {
                                stage: Stage::Age,
                                from: 0,
                                bounds,
                            })
                            .await
                            .unwrap();
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

    /// While nothing is delivered: which alert of a key is next depends on whether an older one
    /// comes back before it or after.
    async fn read_again(&self, store: &Store) {
        let Some((seq, events)) = self.model().unread.pop_front() else {
            return;
        };
        let job = self.ask(store, JobTarget::request(seq)).id;
        let record = PluginRecord {
            name: "p".into(),
            version: "2".into(),
            sha256: "1".into(),
        };
        let plugin = store.plugin(record).await.unwrap();
        let reread = Reread {
            job,
            seq,
            source: "s".into(),
            at_ms: 0,
            plugin,
            reading: reading(&events),
        };
        let appended = store.finish_replay(reread).await.unwrap();
        assert_eq!(appended, self.model().append(seq, &events));
    }

    /// Waits until what is on the disk is what the model says, and ITOC360 has opened what it
    /// should have.
    pub async fn catches_up(&self) {
        let life = self.life();
        let deadline = Instant::now() + PATIENCE;
        loop {
            turn(1).await;
            assert!(!life.delivering.is_finished(), "delivery ended");
            let rows = rows(&life.disk);
            let mut model = self.model();
            if rows == model.rows() && self.itoc360.opened() == model.opened {
                model.arrived = 0;
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{rows:#?} is on the disk instead of {model:#?}"
            );
        }
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model
            .lock()
            .expect("the model saw what must never arrive")
    }

    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }
}

fn reading(events: &[(u8, u8)]) -> Reading {
    let alerts = events.iter().map(|&(event, key)| {
        let status = if resolves(event) {
            Status::Resolve
        } else {
            Status::Trigger
        };
        // Alerts of one ordering key differ in it.
        let priority = Priority::ALL[usize::from(event) % Priority::ALL.len()];
        let event = contract::Alert::new(event.to_string(), priority, "t");
        let event = contract::Alert {
            key: Some(key.to_string()),
            status,
            ..event
        };
        let alert = Alert {
            source: "s".into(),
            request: "r".into(),
            received_at: crate::clock::rfc3339(1),
            event,
        };
        let new = NewAlert::new(&alert, ["itoc360"]).unwrap();
        // Some are read back from the store.
        if alert.event.event_id.ends_with(['0', '3', '6']) {
            new
        } else {
            new.at_hand(alert)
        }
    });
    Reading::alerts(alerts.collect())
}

fn is_guarded(disk: &Connection) -> bool {
    let Connection::Postgres(_) = disk else {
        return false;
    };
    disk.query_row("SELECT EXISTS (SELECT 1 FROM guarded)", [], |row| {
        row.get(0)
    })
    .unwrap()
}

fn rows(disk: &Connection) -> Rows {
    let mut alerts = disk
        .prepare_cached(
            "SELECT a.id, a.event_id,
                    CASE WHEN q.id IS NOT NULL THEN 'pending' WHEN d.id IS NOT NULL THEN 'dead' ELSE 'delivered' END,
                    q.attempts, q.due_at IS NOT NULL,
                    (SELECT count(*) FROM attempts WHERE delivery = a.id * 16)
             FROM alerts a LEFT JOIN queue q ON q.id = a.id * 16 LEFT JOIN dead d ON d.id = a.id * 16",
        )
        .unwrap();
    let rows = alerts.query_map([], |row| {
        let state = match row.get_ref(2)?.as_str()? {
            "pending" => "pending",
            "delivered" => "delivered",
            _ => "dead",
        };
        let attempts = row.get(5)?;
        assert!(
            row.get::<_, Option<i64>>(3)?
                .is_none_or(|counted| counted == attempts),
            "each is written down once"
        );
        let standing = Standing {
            state,
            attempts,
            head: row.get(4)?,
        };
        Ok((row.get(0)?, (row.get(1)?, standing)))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// All tasks have their turn so many times, and so have the threads of the disk.
pub async fn turn(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}
