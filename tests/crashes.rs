//! Killed at any moment, started again in the same place: what was accepted is delivered, and
//! nothing is opened twice.

mod turns;

use std::collections::BTreeSet;

use alert_gateway::alert::{Alert, Outcome, Receipt};
use alert_gateway::metrics::Metrics;
use alert_gateway::store::{
    self, NewAlert, NewRequest, Options, PluginRecord, Reading, Settlement, Store,
};
use hyper::body::Bytes;
use itoc360_double::Reply;
use plugin_sdk::contract::{self, Priority};
use serde_json::Value;

use crate::harness::{
    Itoc360, Load, Place, Setup, each_opened_once, events, keep_first, random, twilio, until,
};

/// A moment at which the program is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While senders are served.
    Load,
    /// Before it takes requests.
    Start,
    /// While a backlog goes out.
    Backlog,
    /// While dead letters are sent again.
    Replay,
    /// While a backup is made; the backup is killed as well.
    Backup,
    /// While it ends in order.
    Shutdown,
}

/// Half of the kills are under load.
const MOMENTS: [Moment; 10] = [
    Moment::Load,
    Moment::Start,
    Moment::Load,
    Moment::Backlog,
    Moment::Load,
    Moment::Replay,
    Moment::Load,
    Moment::Backup,
    Moment::Load,
    Moment::Shutdown,
];

/// The number of kills: `DRILL_KILLS=250 cargo test …` for the long run.
fn kills() -> usize {
    std::env::var("DRILL_KILLS").map_or(30, |kills| kills.parse().expect("DRILL_KILLS is a number"))
}

/// Lets a random time pass, from none to what some hundred answers take.
async fn a_moment(random: &mut fastrand::Rng) {
    for _ in 0..random.usize(..400) {
        tokio::task::yield_now().await;
    }
}

/// Returns whether ITOC360 refuses an event, while it is told to refuse some: one of eight.
fn refuses(body: &str) -> bool {
    let json: Value = serde_json::from_str(body).unwrap();
    let event_id = json["commonAnnotations"]["event_id"].as_str().unwrap();
    event_id.ends_with(['3', 'b'])
}

#[tokio::test]
async fn killed_at_any_moment_loses_nothing_opens_nothing_twice() {
    let mut random = random();
    let kills = kills();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let refusing = |body: &str| {
        if refuses(body) {
            Reply::error(400, "Invalid payload")
        } else {
            Reply::Ok
        }
    };
    itoc360.answers_to(refusing);
    // More than can be accepted before the last kill.
    let waiting = events(1000 * kills);
    let mut accepted = 0;
    for kill in 0..kills {
        let moment = MOMENTS[kill % MOMENTS.len()];
        if let Moment::Start = moment {
            let mut starting = place.launch(&["run"]);
            // A start without a backlog has two lines: the source's, and that it is ready.
            starting.wait_for_lines(random.usize(..3)).await;
            a_moment(&mut random).await;
            starting.kill().await;
            continue;
        }
        let gateway = place.start().await;
        let mut backlog = false;
        if let Moment::Backlog = moment {
            itoc360.answers(|_| Reply::error(402, "not now"));
        }
        let mut load = Load::on(&gateway, &waiting);
        load.accepted(random.usize(1..60)).await;
        match moment {
            Moment::Load | Moment::Start => {}
            Moment::Backlog => backlog = true,
            Moment::Replay => {
                let asked = place
                    .run_without_secrets(&["events", "replay", "--dead"])
                    .await;
                assert_eq!(asked.code, Some(0), "{}", asked.stderr);
                // It is in the list; the gateway takes it from there within a second.
                let more = random.usize(..300);
                load.until(|answered| answered.accepted > more).await;
            }
            Moment::Backup => {
                let name = format!("backup-{kill}.db");
                let backup = place.launch(&["store", "backup", &name]);
                until("a backup in the making", async || {
                    let names = std::fs::read_dir(place.path(""))
                        .unwrap()
                        .map(|file| file.unwrap().file_name());
                    names
                        .filter_map(|file| file.into_string().ok())
                        .any(|file| file.starts_with(&name))
                        .then_some(())
                })
                .await;
                a_moment(&mut random).await;
                backup.kill().await;
                if place.path(&name).exists() {
                    let checked = place.run_without_secrets(&["store", "check", &name]).await;
                    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
                }
            }
            Moment::Shutdown => gateway.terminate(),
        }
        // From an answer on, to any moment between two answers.
        a_moment(&mut random).await;
        gateway.kill().await;
        accepted += load.answered().accepted;
        assert!(!load.end().await, "all was sent before the last kill");
        if backlog {
            itoc360.answers_to(refusing);
            let before = itoc360.tally().requests;
            let gateway = place.start().await;
            itoc360.requests(before + 1).await;
            a_moment(&mut random).await;
            gateway.kill().await;
        }
        if kill % 10 == 9 {
            place.is_whole().await;
        }
    }
    // And after it, some more.
    let count = (100 * kills).max(accepted + 200);
    keep_first(&waiting, count);
    itoc360.recovers();
    let gateway = place.start().await;
    let load = Load::on(&gateway, &waiting);
    assert!(load.end().await);
    assert_eq!(
        place
            .run_without_secrets(&["events", "replay", "--dead"])
            .await
            .code,
        Some(0)
    );
    let dead = "alert_gateway_alerts{state=\"dead\"}";
    gateway.metric(dead, |count| count == 0.0).await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    each_opened_once(&itoc360, &place, count).await;
    println!(
        "{kills} kills, {accepted} accepted before the last of them, {count} in all, 0 lost, 0 opened twice"
    );
    place.is_whole().await;
}

#[tokio::test]
async fn killed_while_creating_its_store_creates_it_at_next_start() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let mut killed = 0;
    // The system ends it at the write that makes any file larger than this.
    for kib in (4..).step_by(4) {
        let ended = place.launch_until_a_file_has(kib, "").await;
        if ended.code.is_some() || ended.stderr.contains("\"ready\"") {
            break;
        }
        killed += 1;
        let made = place.path("data/gateway.db").exists();
        let checked = place.run_without_secrets(&["store", "check"]).await;
        assert_eq!(
            checked.code == Some(0),
            made,
            "{kib} KiB: {}{}",
            checked.stdout,
            checked.stderr
        );
        assert!(kib < 4096, "it never ends by itself");
    }
    assert!(killed > 10, "it was killed {killed} times only");
    let gateway = place.start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    each_opened_once(&itoc360, &place, 1).await;
}

/// Removes the store, and nothing of what is kept beside it.
fn without_store(place: &Place) {
    for name in ["gateway.db", "gateway.db-wal", "gateway.db-shm"] {
        let _ = std::fs::remove_file(place.path("data").join(name));
    }
}

/// A store as an older gateway made it: one alert that waits, and failed requests of so many
/// sources that to write down what is known of each of them takes many writes.
fn older_release(place: &Place, schema: usize) {
    without_store(place);
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    store
        .execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL")
        .unwrap();
    store
        .execute_batch(include_str!("../host/src/store/schema/1.sql"))
        .unwrap();
    let sid = twilio::sid(0);
    // Retention would remove what is old as soon as it is delivered.
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = now.as_millis();
    store
        .execute_batch(&format!(
            "PRAGMA user_version = 1;
             INSERT INTO plugins VALUES (1, 'twilio-errors', '0.1.0', '00');
             INSERT INTO requests VALUES (1, 'r', 'twilio', {now}, 'read', NULL, 1, 0, 'POST', '', '[]', x'');
             INSERT INTO alerts VALUES (1024, 'twilio', '{sid}', 'itoc360', 7, 'pending', 1, 0);
             INSERT INTO events VALUES (1024, '{{\"event_id\":\"{sid}\",\"priority\":\"high\",\"title\":\"Hello\"}}');
             UPDATE totals SET n = 1 WHERE state = 'pending';
             WITH RECURSIVE n (seq) AS (SELECT 2 UNION ALL SELECT seq + 1 FROM n WHERE seq < 2001)
             INSERT INTO requests
                 SELECT seq, 'r' || seq, printf('%0100d', seq), {now}, 'failed', 'x', 1, 0, 'POST', '', '[]', x'' FROM n;
             UPDATE totals SET n = 2000 WHERE state = 'failed'"
        ))
        .unwrap();
    if schema == 2 {
        store
            .execute_batch(include_str!("../host/src/store/schema/2.sql"))
            .unwrap();
        store.execute_batch("PRAGMA user_version = 2").unwrap();
    }
}

#[tokio::test]
async fn killed_while_an_older_store_is_brought_up_it_loses_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "not now"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.kill().await;
    let mut killed = 0;
    let mut midst = 0;
    let sizes = || {
        (4..32)
            .step_by(4)
            .chain((32..320).step_by(16))
            .chain((320..4096).step_by(64))
    };
    // It dies of the copy that is made first, of the older file, where that is brought from the
    // first schema to the second, and then of the new file that this one is copied into.
    let ways = [(1, ""), (1, "--no-copy"), (2, ""), (2, "--no-copy")];
    let runs = ways.map(|(schema, options)| sizes().map(move |kib| (schema, options, kib)));
    for (schema, options, kib) in runs.into_iter().flatten() {
        older_release(&place, schema);
        let ended = place.launch_until_a_file_has(kib, options).await;
        let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
        let alerts = "SELECT count(*) FROM alerts WHERE event_id = ?";
        let alerts: i64 = store
            .query_row(alerts, [twilio::sid(0)], |row| row.get(0))
            .unwrap();
        assert_eq!(alerts, 1, "{kib} KiB");
        let version: i64 = store
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        drop(store);
        let checked = place
            .run_without_secrets(&["events", "list", "--json", "--source", "twilio"])
            .await;
        if version == store::SCHEMA_VERSION {
            assert!(
                checked.stdout.contains(&twilio::sid(0)),
                "{kib} KiB: {}",
                checked.stderr
            );
        } else {
            assert!(
                checked.stderr.contains("start the gateway once"),
                "{kib} KiB: {}",
                checked.stderr
            );
        }
        killed += usize::from(ended.code.is_none());
        midst += usize::from(
            version < store::SCHEMA_VERSION && place.path("data/gateway.db.new").exists(),
        );
    }
    println!("killed {killed} times, {midst} of them in the midst of the migration");
    assert!(
        midst >= 10,
        "killed {killed} times, {midst} of them in the midst of the migration"
    );
    itoc360.recovers();
    let _gateway = place.start().await;
    each_opened_once(&itoc360, &place, 1).await;
}

/// Fills a store that no gateway has open: requests of long ago, of which every fourth is not
/// delivered.
async fn history(place: &Place, requests: usize) {
    let (store, closing) = Store::open(
        &place.path("data"),
        &Options {
            sync: false,
            ..Options::default()
        },
        Metrics::new(),
    )
    .unwrap();
    let plugin = PluginRecord {
        name: "p".into(),
        version: "1".into(),
        sha256: "00".into(),
    };
    let plugin = store.plugin(plugin).await.unwrap();
    for number in 0..requests {
        let id = format!("r{number}");
        let source = "twilio".to_owned();
        let event = contract::Alert::new(twilio::sid(number), Priority::High, "Hello");
        let alert = Alert {
            source: source.clone(),
            request: id.clone(),
            received_at: alert_gateway::clock::rfc3339(1),
            event,
        };
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id,
            source,
            received_at: 1,
            method: "POST".into(),
            url: String::new(),
            headers: "[]".into(),
            body: Bytes::from_static(b"x"),
            plugin,
        };
        let new = NewAlert::new(&alert, ["itoc360"]).unwrap();
        store
            .append(request, Reading::alerts(vec![new]))
            .await
            .unwrap();
        if number % 4 > 0 {
            let delivery = (number as i64 + 1)
                * (store::ALERTS_PER_REQUEST * store::DELIVERIES_PER_ALERT) as i64;
            let outcome = Outcome::Accepted(Receipt {
                id: "r".into(),
                fingerprint: "f".into(),
                kind: String::new(),
            });
            let settlement = Settlement {
                delivery,
                at: 1,
                duration_us: 1,
                status: Some(200),
                outcome,
                answer: None,
                due_at: 0,
                not_before: 0,
                fallback: None,
            };
            store.settle(settlement).await.unwrap();
        }
    }
    drop(store);
    closing.close().await;
}

/// Kills the gateway four times while it sweeps a new store of so many requests. Returns how many
/// were left each time.
async fn killed_in_retention(
    place: &Place,
    random: &mut fastrand::Rng,
    requests: usize,
) -> Vec<u64> {
    without_store(place);
    history(place, requests).await;
    let mut left = vec![requests as u64];
    for _ in 0..4 {
        let gateway = place.start().await;
        // The sweep may have ended before it is looked at, or have found nothing to remove.
        until("a sweep that removes or has ended", async || {
            let metrics = gateway.metrics().await;
            let removed =
                metrics.get("alert_gateway_retention_removed_requests_total{cause=\"age\"}");
            let swept = metrics.get("alert_gateway_retention_last_sweep_timestamp_seconds");
            removed
                .into_iter()
                .chain(swept)
                .any(|value| *value > 0.0)
                .then_some(())
        })
        .await;
        a_moment(random).await;
        gateway.kill().await;
        let checked = place
            .run_without_secrets(&["store", "check", "--json"])
            .await;
        assert_eq!(checked.code, Some(0), "{}", checked.stdout);
        let report: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!(report["pending"], requests / 4);
        left.push(report["requests"].as_u64().unwrap());
    }
    println!("requests left after each kill: {left:?}");
    assert!(
        left.is_sorted_by(|before, after| before >= after),
        "{left:?}"
    );
    left
}

#[tokio::test]
async fn killed_during_retention_removes_only_delivered_alerts() {
    let mut random = random();
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "not now"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.stop().await;
    let config = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), config + "\n[retention]\nage = \"1h\"\n").unwrap();
    // A sweep may end before the first kill, on a quick machine and on one that stalls. A larger
    // store takes it longer.
    let mut requests = 6_000;
    let mut midst = false;
    while !midst {
        assert!(requests <= 96_000, "it was never killed in the midst of it");
        let left = killed_in_retention(&place, &mut random, requests).await;
        // The newest request always stays.
        let swept = requests as u64 / 4 + 1;
        midst = left
            .iter()
            .any(|left| (swept + 1..requests as u64).contains(left));
        requests *= if midst { 1 } else { 2 };
    }
    itoc360.recovers();
    let gateway = place.start().await;
    gateway
        .metric(
            "alert_gateway_retention_last_sweep_timestamp_seconds",
            |at| at > 0.0,
        )
        .await;
    itoc360.opens_only(requests / 4).await;
    let events: BTreeSet<_> = itoc360
        .received()
        .iter()
        .map(|one| one.json()["commonAnnotations"]["event_id"].to_string())
        .collect();
    assert_eq!(
        events,
        (0..requests)
            .step_by(4)
            .map(|number| format!("\"{}\"", twilio::sid(number)))
            .collect()
    );
}

#[tokio::test]
async fn stopped_under_load_drains_and_exits_in_order() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let count = 600;
    let waiting = events(600);
    for _ in 0..3 {
        let gateway = place.start().await;
        let mut load = Load::on(&gateway, &waiting);
        load.accepted(50).await;
        let ended = gateway.stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("all that was accepted is on disk"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        load.end().await;
    }
    let gateway = place.start().await;
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, count).await;
    // In order means that whatever was delivered was also written down, so nothing was sent again.
    assert_eq!(itoc360.tally().updated, 0);
}

#[tokio::test]
async fn backlog_outlives_the_gateway_and_is_delivered_later() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    itoc360.down().await;
    let gateway = place.start().await;
    let waiting = events(200);
    assert!(Load::on(&gateway, &waiting).end().await);
    assert_eq!(place.list(&["--state", "pending"]).await.len(), 200);
    assert_eq!(gateway.stop().await.code, Some(0));
    let gateway = place.start().await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 200.0
        })
        .await;
    itoc360.up().await;
    each_opened_once(&itoc360, &place, 200).await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 200.0
        })
        .await;
}

#[tokio::test]
async fn event_kept_before_a_crash_is_a_duplicate_after_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start().await;
    let post = twilio::error(&twilio::sid(0)).to("twilio");
    gateway.accept(&post).await;
    gateway.kill().await;
    // It goes on, to deliver what the first one kept.
    let gateway = place.start().await;
    let answer = gateway.post(&post).await.json();
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"]),
        (&0.into(), &1.into())
    );
    each_opened_once(&itoc360, &place, 1).await;
}

#[tokio::test]
async fn a_sender_that_hangs_up_leaves_a_whole_event_or_none() {
    use tokio::io::AsyncWriteExt;

    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let mut random = random();
    for number in 0..50 {
        let post = twilio::error(&twilio::sid(number)).to("twilio");
        let wire = post.wire(&format!("Content-Length: {}\r\n", post.body.len()));
        let cut = if random.bool() {
            wire.len()
        } else {
            random.usize(1..wire.len())
        };
        let mut connection = gateway.connect().await;
        connection.write_all(&wire[..cut]).await.unwrap();
    }
    let waiting = events(50);
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, 50).await;
}

#[tokio::test]
async fn full_disk_is_told_to_the_sender_and_loses_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let mut gateway = place.start_on_a_small_disk().await;
    let post = |number: usize| twilio::error(&twilio::sid(number)).to("twilio");
    let mut accepted = 0;
    // What settles a delivery is smaller than a request and may fit for a while yet.
    let board = loop {
        let answer = gateway.post(&post(accepted)).await;
        if answer.status == 200 {
            accepted += 1;
            assert!(accepted < 20_000, "the disk is never full");
            continue;
        }
        answer.is_problem(503);
        assert_eq!(answer.header("retry-after"), "30");
        let board = gateway.admin(hyper::Method::GET, "/readyz").await;
        if board.status == 503 {
            break board;
        }
    };
    let note = board.json()["note"].to_string();
    assert!(note.contains("nothing can be stored"), "{}", board.body);
    gateway
        .log("why", |line| {
            (line["message"] == "not accepted").then_some(())
        })
        .await;
    assert_eq!(
        gateway.admin(hyper::Method::GET, "/healthz").await.status,
        200
    );
    gateway.kill().await;
    let gateway = place.start().await;
    // The one that was refused was not kept.
    gateway.accept(&post(accepted)).await;
    each_opened_once(&itoc360, &place, accepted + 1).await;
}
