//! The promises of the spool.

use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::alert::group::Grouping;
use crate::health::Health;
use crate::store::spool::REQUESTS;

/// A spool in a folder of its own.
struct Room {
    dir: TempDir,
    health: Health,
    metrics: Metrics,
    bounds: Amount,
}

impl Room {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            health: Health::default(),
            metrics: Metrics::new(),
            bounds: Amount {
                requests: REQUESTS,
                bytes: 1 << 20,
            },
        }
    }

    fn open(&self) -> Result<Spool, SpoolError> {
        Spool::within(
            self.dir.path(),
            true,
            self.bounds,
            &self.metrics,
            &self.health,
        )
    }

    /// Opens the file as another program does.
    fn look_on(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("spool.db")
    }

    /// Returns the reason why the spool takes no more.
    fn why(&self) -> Option<String> {
        self.health.read().spool.and_then(|spool| spool.why)
    }
}

impl Bench {
    /// Has a spool keep an event of one key, as if the database were away.
    async fn spool(&mut self, spool: &Spool, event: &str) -> Result<Appended, StoreError> {
        let request = self.request("a", 5);
        spool
            .fill(&self.store, request, reading("a", &[(event, "k")]))
            .await
    }

    /// Has the store keep an event of that key.
    async fn append_event(&mut self, event: &str) -> Appended {
        let request = self.request("a", 5);
        let reading = reading("a", &[(event, "k")]);
        self.store.append(request, reading).await.unwrap()
    }

    /// Returns the event ids that the store has, in the order of acceptance.
    fn events(&self) -> Vec<String> {
        let connection = Connection::open(file(self.dir())).unwrap();
        let mut select = connection
            .prepare("SELECT CAST(event_id AS TEXT) FROM alerts ORDER BY id")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Returns the number of requests that the store has.
    fn kept(&self) -> i64 {
        let connection = Connection::open(file(self.dir())).unwrap();
        let select = "SELECT count(*) FROM requests";
        connection.query_row(select, [], |row| row.get(0)).unwrap()
    }
}

async fn is_empty(spool: &Spool) {
    while spool.amount().requests > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn failed(bounds: Option<UnprovenBounds>) -> Reading {
    Reading::Failed(Failure {
        reason: "it failed".to_owned(),
        notice: Some(Box::new(Notice {
            destination: DESTINATION.to_owned(),
            event: contract::Alert::new("n", Priority::High, "it failed"),
            at_ms: 7,
        })),
        unproven: bounds,
    })
}

#[test]
fn request_is_read_back_as_it_was_kept() {
    let mut event = contract::Alert::new("e".repeat(100), Priority::Critical, "t");
    event.labels = [("a".to_owned(), "b".to_owned())].into();
    let alert = Alert {
        source: "s".to_owned(),
        request: "r".to_owned(),
        received_at: String::new(),
        event,
    };
    let grouping: Grouping = serde_json::from_str(
        r#"{"shared":[["a","b"]],"terms":{"update_every_ms":1,"resolve_after_ms":2,"in_storm":true},
            "guard":{"count":3,"within_ms":4,"calm_after_ms":5}}"#,
    )
    .unwrap();
    let new = || NewAlert::new(&alert, ["d", "e"]).unwrap();
    let alerts = vec![
        new().grouped(&alert, grouping, Some("ops")),
        new().muted(MuteRef::Stored(4)),
        new().resolved_after(Duration::from_secs(5)),
        new().carried(&["d".to_owned()], "e"),
        new().ignored("why"),
    ];
    let proofs = Proofs::new("s", ["signature"], Some(9)).again();
    for reading in [
        Reading::Alerts { alerts, proofs },
        failed(Some(UnprovenBounds { count: 1, bytes: 2 })),
    ] {
        let request = NewRequest {
            id: "r".to_owned(),
            source: "s".to_owned(),
            received_at: 5,
            method: "POST".to_owned(),
            url: "u".to_owned(),
            headers: "[]".to_owned(),
            body: Bytes::new(),
            plugin: PluginId(3),
            redacted: Some(1),
            sender: Sender {
                token: Some(2),
                ..Sender::default()
            }
            .stored(),
            began: None,
        };
        let kept = serde_json::to_string(&(&request, &reading)).unwrap();
        let read: (NewRequest, Reading) = serde_json::from_str(&kept).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", (request, reading)));
    }
}

#[tokio::test]
async fn unanswered_request_is_kept_and_taken_once() {
    let mut bench = Bench::new().await;
    let room = Room::new();
    let spool = room.open().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(spool.clone().run(bench.store.clone(), stop.clone()));
    bench.append_event("e0").await;
    // The writer waits for it, and takes the first one in the end.
    let other = Connection::open(file(bench.dir())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for event in ["e1", "e2", "e1"] {
        let request = bench.request("a", 5);
        let appended = spool
            .append(&bench.store, request, reading("a", &[(event, "k")]))
            .await
            .unwrap();
        assert_eq!(appended.accepted, 1, "only the store knows of repeats");
    }
    assert!(spool.amount().requests > 0);
    other.execute_batch("COMMIT").unwrap();
    is_empty(&spool).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(bench.events(), ["e0", "e1", "e2"]);
    assert_eq!(bench.kept(), 3);
    let again = bench.append_event("e2").await;
    assert_eq!((again.accepted, again.duplicates), (0, 1));
}

#[tokio::test]
async fn what_an_earlier_run_left_goes_in_first() {
    const LEFT: usize = 600;
    let mut bench = Bench::new().await;
    let room = Room::new();
    let spool = room.open().unwrap();
    for number in 0..LEFT {
        bench.spool(&spool, &format!("e{number:03}")).await.unwrap();
    }
    let waits = spool.amount();
    drop(spool);
    assert_eq!(spooled(room.dir.path()).unwrap(), Some(waits));

    let spool = room.open().unwrap();
    assert_eq!(spool.amount(), waits);
    assert_eq!(room.health.read().spool.unwrap().requests, LEFT as u64);
    let request = bench.request("a", 5);
    let last = reading("a", &[("last", "k")]);
    spool.append(&bench.store, request, last).await.unwrap();
    assert!(bench.events().is_empty(), "it overtakes none");
    spool
        .close(
            &bench.store,
            std::time::Instant::now() + Duration::from_secs(60),
        )
        .await;
    let mut expected: Vec<_> = (0..LEFT).map(|number| format!("e{number:03}")).collect();
    expected.push("last".to_owned());
    assert_eq!(bench.events(), expected);
    assert_eq!(room.metrics.spooled.get(), 0);
    assert!(!room.path().exists(), "it was empty");
    assert_eq!(spooled(room.dir.path()).unwrap(), None);
}

#[tokio::test]
async fn bounds_of_requests_and_bytes_refuse() {
    let mut bench = Bench::new().await;
    let mut room = Room::new();
    for bounds in [(2, 1 << 20), (REQUESTS, 2_000)] {
        let (requests, bytes) = bounds;
        room.bounds = Amount { requests, bytes };
        let spool = room.open().unwrap();
        let mut kept = 0;
        let refused = loop {
            match bench.spool(&spool, &format!("{bytes}-{kept}")).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(refused, StoreError::Away(_)),
            "as without it: {refused}"
        );
        assert!((1..=2).contains(&kept), "{kept}");
        assert!(room.why().unwrap().contains("full"));
        assert_eq!(spool.amount().requests, kept);
        spool
            .close(
                &bench.store,
                std::time::Instant::now() + Duration::from_secs(60),
            )
            .await;
        assert_eq!(room.why(), None, "there is room again");
    }
}

#[tokio::test]
async fn failed_requests_of_strangers_are_bounded_by_source() {
    let mut bench = Bench::new().await;
    let room = Room::new();
    let spool = room.open().unwrap();
    let bounds = UnprovenBounds {
        count: 2,
        bytes: 1 << 20,
    };
    let mut outcomes = Vec::new();
    for (source, unproven) in [
        ("a", Some(bounds)),
        ("a", Some(bounds)),
        ("a", Some(bounds)),
        ("a", None),
        ("b", Some(bounds)),
    ] {
        let request = bench.request(source, 5);
        let kept = spool.fill(&bench.store, request, failed(unproven)).await;
        outcomes.push(match kept {
            Ok(_) => "kept",
            Err(StoreError::Unproven(_)) => "unproven",
            Err(_) => "refused",
        });
    }
    assert_eq!(outcomes, ["kept", "kept", "unproven", "kept", "kept"]);
    assert_eq!(room.why(), None, "it takes others");
    spool
        .close(
            &bench.store,
            std::time::Instant::now() + Duration::from_secs(60),
        )
        .await;
    assert_eq!(bench.kept(), 4);
    bench.whole();
}

#[tokio::test]
async fn bad_row_is_set_aside_and_holds_up_no_other() {
    let mut bench = Bench::new().await;
    let room = Room::new();
    let spool = room.open().unwrap();
    for event in ["e0", "e1", "e2", "e3"] {
        bench.spool(&spool, event).await.unwrap();
    }
    let sql = room.look_on();
    let change = |to: &str, id: &str| {
        let update = format!("UPDATE requests SET {to} WHERE id = ?");
        assert_eq!(sql.execute(&update, [id]).unwrap(), 1);
    };
    change("kept = 'no JSON'", "request-2");
    // One that the store has not met.
    let plugin = format!("\"plugin\":{}", bench.plugin.0);
    change(
        &format!("kept = replace(kept, '{plugin}', '\"plugin\":999')"),
        "request-3",
    );
    let stop = CancellationToken::new();
    let running = tokio::spawn(spool.clone().run(bench.store.clone(), stop.clone()));
    while spool.amount().requests > 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.events(), ["e0", "e3"]);
    stop.cancel();
    running.await.unwrap();
    change(
        &format!("kept = replace(kept, '\"plugin\":999', '{plugin}')"),
        "request-3",
    );
    drop((spool, sql));

    // The next start tries them again.
    let spool = room.open().unwrap();
    assert_eq!(spool.amount().requests, 2);
    spool
        .close(
            &bench.store,
            std::time::Instant::now() + Duration::from_secs(60),
        )
        .await;
    assert_eq!(bench.events(), ["e0", "e3", "e2"]);
    assert_eq!(spooled(room.dir.path()).unwrap().unwrap().requests, 1);
}

#[test]
fn file_of_no_use_is_refused_and_left_as_it_is() {
    let room = Room::new();
    let path = room.path();
    let said = || room.open().expect_err("it is of no use").to_string();
    std::fs::write(&path, "no database").unwrap();
    assert!(said().contains("not a database"), "{}", said());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "no database");
    std::fs::remove_file(&path).unwrap();

    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(said().contains("another program"), "{}", said());
    other.execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(said().contains("newer gateway"), "{}", said());
    drop(other);
    std::fs::remove_file(&path).unwrap();

    std::fs::write(room.dir.path().join("spool.db-wal"), "log").unwrap();
    assert!(said().contains("empty or missing"), "{}", said());
    std::fs::remove_file(room.dir.path().join("spool.db-wal")).unwrap();

    std::fs::create_dir(&path).unwrap();
    assert!(said().contains("not a file"), "{}", said());
    std::fs::remove_dir(&path).unwrap();

    let _one = room.open().unwrap();
    assert!(said().contains("another gateway"), "{}", said());
}
