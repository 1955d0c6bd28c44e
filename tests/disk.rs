//! The disk fails in every way that it can, and recovers: nothing is acknowledged falsely, nothing
//! acknowledged is lost, nobody restarts anything.

use std::fs;
use std::path::Path;

use hyper::Method;
use itoc360_double::Reply;
use serde_json::Value;

use crate::harness::disk::{Call, IO_ERROR, NO_SPACE};
use crate::harness::{
    Gateway, Itoc360, Load, Program, Setup, each_opened_once, events, keep_first, needs, random,
    twilio,
};

fn post(number: usize) -> crate::harness::Post {
    twilio::error(&twilio::sid(number)).to("twilio")
}

async fn note(gateway: &Gateway) -> Value {
    let board = gateway.admin(Method::GET, "/readyz").await;
    let note = board.json()["note"].clone();
    let status = if note.is_null() { 200 } else { 503 };
    assert_eq!(board.status, status, "{}", board.body);
    note
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
        let target = to.join(file.file_name().unwrap());
        // The control socket is no content.
        if !file.is_dir() && !file.is_file() {
            continue;
        }
        if file.is_dir() {
            copy(&file, &target);
        } else {
            fs::copy(&file, target).unwrap();
        }
    }
}

#[tokio::test]
async fn full_disk_acknowledges_nothing_and_recovers_with_room() {
    let Some(unshare) = needs(Program::Unshare) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let mut gateway = place.start_on_a_disk_of(&unshare, 32 * 1024).await;
    let ballast = place.within(&gateway, "data/ballast");
    let waiting = events(10_000);
    let mut load = Load::on_a_bad_disk(&gateway, &waiting);
    for round in 1..=3 {
        let before = load.accepted_beyond(20).await;
        // All the room that is left; the copy ends where the disk does.
        let mut zero = fs::File::open("/dev/zero").unwrap();
        let full = std::io::copy(&mut zero, &mut fs::File::create(&ballast).unwrap());
        assert_eq!(full.unwrap_err().raw_os_error(), Some(NO_SPACE));
        let refused = load.answered().refused;
        let answered = load.until(|answered| answered.refused > refused + 20).await;
        assert!(
            answered.refused > refused,
            "round {round}: it took all, after {before:?} and on a full disk: {answered:?}"
        );
        crate::harness::until("a note for the operator", async || {
            note(&gateway)
                .await
                .as_str()
                .is_some_and(|note| note.contains("the disk is full"))
                .then_some(())
        })
        .await;
        assert_eq!(gateway.admin(Method::GET, "/healthz").await.status, 200);
        fs::remove_file(&ballast).unwrap();
        load.accepted_beyond(20).await;
        crate::harness::until("no note any more", async || {
            note(&gateway).await.is_null().then_some(())
        })
        .await;
    }
    // What is under way is still answered.
    waiting.lock().clear();
    let accepted = load.until(|_| false).await.accepted;
    gateway
        .log("what is wrong", |line| {
            line["error"]
                .as_str()?
                .contains("the disk is full")
                .then_some(())
        })
        .await;

    // Beside it, as its disk is gone when it ends.
    let checked = place
        .run_within(&gateway, &["store", "check", "--json"])
        .await;
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    // What was accepted is kept, and what was refused is not.
    assert_eq!(report["alerts"], accepted, "{report}");
    itoc360.open(accepted).await;
    assert_eq!(itoc360.tally().opened, accepted, "{:?}", itoc360.tally());
}

#[tokio::test]
async fn any_failing_disk_call_acknowledges_nothing_falsely() {
    let Some(fiu_run) = needs(Program::FiuRun) else {
        return;
    };
    let mut random = random();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let (mut gateway, faults) = place.start_with_faults(&fiu_run).await;
    let rounds: [(&[Call], f64, i32); 8] = [
        (&[Call::Write], 0.1, IO_ERROR),
        (&[Call::Write], 1.0, IO_ERROR),
        (&[Call::Sync], 0.5, IO_ERROR),
        (&[Call::Sync], 1.0, IO_ERROR),
        (&[Call::Write], 0.2, NO_SPACE),
        (&[Call::Write, Call::Sync, Call::Truncate], 0.1, IO_ERROR),
        (
            &[
                Call::Write,
                Call::Sync,
                Call::Truncate,
                Call::Read,
                Call::Open,
                Call::Map,
            ],
            0.1,
            IO_ERROR,
        ),
        (
            &[
                Call::Read,
                Call::Write,
                Call::Sync,
                Call::Truncate,
                Call::Open,
                Call::Map,
            ],
            1.0,
            IO_ERROR,
        ),
    ];
    // More than a quick machine accepts between two faults.
    let waiting = events(100_000);
    let mut load = Load::on_a_bad_disk(&gateway, &waiting);
    for (calls, probability, error) in rounds {
        load.accepted_beyond(random.usize(1..40)).await;
        faults.on(calls, probability, error);
        let refused = load.answered().refused;
        let some = random.usize(1..30);
        let answered = load
            .until(|answered| answered.refused >= refused + some)
            .await;
        assert!(
            answered.refused > refused,
            "no fault was felt: {calls:?} {probability} {answered:?}"
        );
        faults.off();
        load.accepted_beyond(20).await;
    }
    crate::harness::until("no note any more", async || {
        note(&gateway).await.is_null().then_some(())
    })
    .await;
    // Killed with all that was written while the disk failed, and started on a good one.
    for said in ["disk I/O error", "the disk is full"] {
        gateway
            .log(said, |line| {
                line["error"].as_str()?.contains(said).then_some(())
            })
            .await;
    }
    gateway.kill().await;
    let accepted = load.answered().accepted;
    assert!(!load.end().await, "all was sent before the last fault");
    let count = accepted + 200;
    keep_first(&waiting, count);
    let gateway = place.start().await;
    place.is_whole().await;
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, count).await;
    place.is_whole().await;
}

#[tokio::test]
async fn start_on_a_failing_disk_says_so_and_changes_nothing() {
    let Some(fiu_run) = needs(Program::FiuRun) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.accept(&post(0)).await;
    gateway.kill().await;
    for (call, error, code) in [
        (Call::Write, IO_ERROR, 1),
        (Call::Write, NO_SPACE, 1),
        (Call::Read, IO_ERROR, 1),
        // A start has nothing to sync.
        (Call::Sync, IO_ERROR, 0),
    ] {
        let mut starting = place
            .launch_with_faults(&fiu_run, &[call], 1.0, error)
            .await;
        starting.wait_for_the_end_or("\"ready\"").await;
        starting.terminate();
        let ended = starting.output().await;
        assert_eq!(ended.code, Some(code), "{call:?}: {}", ended.stderr);
        assert_eq!(
            ended
                .stderr
                .contains("cannot open the store in data: the disk failed"),
            code == 1,
            "{}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("panicked"),
            "{call:?}: {}",
            ended.stderr
        );
        place.is_whole().await;
    }
    let _gateway = place.start().await;
    each_opened_once(&itoc360, &place, 1).await;
}

#[tokio::test]
async fn log_without_its_end_opens_with_all_that_was_before() {
    let mut random = random();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start().await;
    let waiting = events(1_000);
    let mut load = Load::on(&gateway, &waiting);
    load.accepted(40).await;
    gateway.kill().await;
    load.end().await;
    // Everything is in the log still: the file itself is as it was made.
    let log = fs::read(place.path("data/gateway.db-wal")).unwrap();
    let kept = |lines: Vec<Value>| -> Vec<String> {
        lines
            .iter()
            .rev()
            .map(|line| line["request"].as_str().unwrap().to_owned())
            .collect()
    };
    copy(&place.path("data"), &place.path("killed"));
    let all = kept(place.list(&[]).await);
    assert!(all.len() >= 40);

    for round in 0..8 {
        let mut torn = log.clone();
        let at = random.usize(..torn.len());
        match round % 4 {
            0 => torn.truncate(at),
            1 => torn[at] ^= 0x10,
            2 => torn[at..].fill(0),
            _ => torn.clear(),
        }
        fs::remove_dir_all(place.path("data")).unwrap();
        copy(&place.path("killed"), &place.path("data"));
        place.write("data/gateway.db-wal", torn);
        // A new one, which has no memory of what was opened from the log as it was.
        let itoc360 = Itoc360::alertmanager().await;
        let other = Setup::new(&itoc360).place();
        fs::write(place.config(), fs::read(other.config()).unwrap()).unwrap();
        let gateway = place.start().await;
        place.is_whole().await;
        let left = kept(place.list(&[]).await);
        assert_eq!(left, all[..left.len()], "torn at {at} of {}", log.len());
        // Sent again, all of it is there once.
        assert!(Load::on(&gateway, &events(60)).end().await);
        gateway
            .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
                pending == 0.0
            })
            .await;
        let tally = itoc360.tally();
        assert!(
            tally.opened <= 60 && tally.opened == tally.open,
            "{tally:?}"
        );
        gateway.kill().await;
    }
}

#[tokio::test]
async fn undelivered_alerts_exceed_the_size_until_delivered() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "not now"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let config = fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", config + "\n[retention]\nsize = \"16MiB\"\n");
    let large = "x".repeat(200 * 1024);
    let count = 100;
    for number in 0..count {
        gateway
            .accept(
                &twilio::error(&twilio::sid(number))
                    .with("Payload", &large)
                    .to("twilio"),
            )
            .await;
    }
    gateway.stop().await;

    // The first look at what may go is made at once.
    let mut gateway = place.start().await;
    let warned = |line: &Value| {
        line["message"]
            .as_str()?
            .contains("by what is not delivered")
            .then(|| line.clone())
    };
    let warned = gateway.log("what exceeds the size", warned).await;
    assert_eq!(
        (&warned["pending"], &warned["dead"], &warned["failed"]),
        (&count.into(), &0.into(), &0.into())
    );
    assert!(
        warned["message"]
            .as_str()
            .unwrap()
            .contains("events replay --dead"),
        "{warned}"
    );
    gateway
        .metric("alert_gateway_store_size_bytes", |bytes| {
            bytes > 16.0 * 1024.0 * 1024.0
        })
        .await;
    let removed = "alert_gateway_retention_removed_requests_total{cause=\"size\"}";
    gateway.metric(removed, |requests| requests == 0.0).await;
    itoc360.recovers();
    itoc360.opens_only(count).await;
    // On a slow machine the next sweep, a minute later, finds some of them delivered.
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    let before = gateway
        .metrics()
        .await
        .get(removed)
        .copied()
        .unwrap_or_default();
    gateway.stop().await;

    let gateway = place.start().await;
    gateway
        .metric(
            "alert_gateway_retention_last_sweep_timestamp_seconds",
            |at| at > 0.0,
        )
        .await;
    gateway
        .metric("alert_gateway_store_size_bytes", |bytes| {
            bytes <= 16.0 * 1024.0 * 1024.0
        })
        .await;
    gateway
        .metric(removed, |after| {
            (1.0..=count as f64).contains(&(before + after))
        })
        .await;
    // What was delivered lost its content, and is known again.
    assert_eq!(gateway.post(&post(0)).await.json()["duplicates"], 1);
    place.is_whole().await;
}

#[tokio::test]
async fn store_taken_away_takes_nothing_until_it_is_back() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.accept(&post(0)).await;
    itoc360.opens_only(1).await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == 1.0
        })
        .await;
    fs::rename(place.path("data"), place.path("away")).unwrap();
    let answer = gateway.post(&post(1)).await;
    answer.is_problem(503);
    assert!(
        note(&gateway)
            .await
            .as_str()
            .unwrap()
            .contains("moved, removed or replaced")
    );
    fs::rename(place.path("away"), place.path("data")).unwrap();
    gateway.accept(&post(1)).await;
    assert!(note(&gateway).await.is_null());
    gateway.kill().await;
    let _gateway = place.start().await;
    each_opened_once(&itoc360, &place, 2).await;
}
