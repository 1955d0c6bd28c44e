//! The store as a file: what stands in its place at a start, what somebody else wrote into it,
//! whether it is whole, and a copy of it.

use std::fs;
use std::path::{Path, PathBuf};

use itoc360_double::Reply;
use serde_json::Value;

use crate::harness::{
    Itoc360, Load, Output, Program, Setup, each_opened_once, events, needs, opened_once, twilio,
    until,
};

fn post(number: usize) -> crate::harness::Post {
    twilio::error(&twilio::sid(number)).to("twilio")
}

#[tokio::test]
async fn check_says_what_it_examined_and_how_to_fix_findings() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let none = place.run_without_secrets(&["store", "check"]).await;
    assert!(
        none.code == Some(1) && none.stderr.contains("there is no store at data/gateway.db"),
        "{}",
        none.stderr
    );
    let gateway = place.start().await;
    gateway.accept(&post(0)).await;
    itoc360.opens_only(1).await;
    for (arguments, said) in [
        (&["store", "check"][..], "integrity_check"),
        (&["store", "check", "--quick"], "quick_check"),
    ] {
        let checked = place.run_without_secrets(arguments).await;
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        for part in ["1 requests, 1 alerts", "It is whole", said] {
            assert!(
                checked.stdout.contains(part),
                "{part} is not in {}",
                checked.stdout
            );
        }
    }
    assert_eq!(gateway.stop().await.code, Some(0));
    let path = place.path("data/gateway.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE totals SET n = 7")
        .unwrap();
    let checked = place
        .run_without_secrets(&["store", "check", path.to_str().unwrap()])
        .await;
    assert!(
        checked.code == Some(1) && checked.stderr.contains("is not whole: 1 findings"),
        "{}",
        checked.stderr
    );
    let cure = checked
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("sqlite3 "))
        .unwrap();
    let (_, statement) = cure.split_once(' ').unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(statement.trim_matches('"'))
        .unwrap();
    assert_eq!(
        place.run_without_secrets(&["store", "check"]).await.code,
        Some(0)
    );
}

/// What stands in the folder, but for the lock and what SQLite makes to read.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file());
    let mut read: Vec<_> = files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    read.retain(|(path, bytes)| {
        !path.ends_with("lock") && !path.ends_with("gateway.db-shm") && !bytes.is_empty()
    });
    read.sort();
    read
}

/// Asserts that the gateway is not started, and says these things.
#[track_caller]
fn refused(ended: &Output, said: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let error = ended
        .stderr
        .lines()
        .find(|line| line.starts_with("error: cannot open the store in "));
    let error = error.unwrap_or_else(|| panic!("{}", ended.stderr));
    for part in said {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[tokio::test]
async fn file_that_is_no_store_is_refused_with_advice() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.accept(&post(0)).await;
    assert_eq!(gateway.stop().await.code, Some(0));
    let store = place.path("data/gateway.db");
    let whole = fs::read(&store).unwrap();
    let song = place.path("song.db");
    rusqlite::Connection::open(&song)
        .unwrap()
        .execute_batch("CREATE TABLE songs (id INTEGER)")
        .unwrap();
    for (bytes, why) in [
        (whole[..whole.len() / 2].to_vec(), "it was cut short"),
        (whole[..whole.len() - 1].to_vec(), "it was cut short"),
        (
            vec![0xa5; 200_000],
            "does not begin as an SQLite database does",
        ),
        (Vec::new(), "it is empty"),
        (fs::read(&song).unwrap(), "a database of another program"),
    ] {
        fs::write(&store, &bytes).unwrap();
        let before = content(&place.path("data"));
        let advice = [
            "gateway.db is not a store",
            why,
            "Nothing was changed",
            "Restore a backup",
            "store backup --help",
        ];
        refused(&place.run(&["run"]).await, &advice);
        assert!(
            content(&place.path("data")) == before,
            "{why}: the files changed"
        );
        let checked = place.run_without_secrets(&["store", "check"]).await;
        assert!(
            checked.code == Some(1) && checked.stderr.contains(why),
            "{}",
            checked.stderr
        );
    }
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    refused(&place.run(&["run"]).await, &["is not a file"]);
    fs::remove_dir(&store).unwrap();
    // Whoever opens a pipe waits for its other end.
    for name in ["gateway.db", "gateway.db-wal", "gateway.db-shm", "lock"] {
        let path = place.path(&format!("data/{name}"));
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        refused(&place.run(&["run"]).await, &[name, "is not a file"]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused(&place.run(&["run"]).await, &[name, "is not a file"]);
        fs::remove_dir(&path).unwrap();
    }
    place.write("data/gateway.db-wal", &whole);
    refused(
        &place.run(&["run"]).await,
        &["it is missing, while the log"],
    );
    fs::remove_file(place.path("data/gateway.db-wal")).unwrap();

    fs::write(&store, &whole).unwrap();
    // What stands in the place of a spool is told of, and no part of this gateway.
    let made = std::process::Command::new("mkfifo")
        .arg(place.path("data/spool.db"))
        .status();
    assert!(made.unwrap().success());
    let checked = place.run(&["check"]).await;
    assert!(checked.stderr.contains("spool in data_dir"), "{checked:?}");
    let gateway = place.start().await;
    assert_eq!(gateway.post(&post(0)).await.json()["duplicates"], 1);
}

#[tokio::test]
async fn a_read_only_disk_is_named_at_the_start() {
    let Some(unshare) = needs(Program::Unshare) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.accept(&post(0)).await;
    assert_eq!(gateway.stop().await.code, Some(0));
    let before = content(&place.path("data"));
    let read_only = place.launch_read_only(&unshare, &["run"]).output().await;
    refused(
        &read_only,
        &["Read-only file system", "a disk that is not read-only"],
    );

    assert!(content(&place.path("data")) == before);
    let _gateway = place.start().await;
    each_opened_once(&itoc360, &place, 1).await;
}

#[tokio::test]
async fn where_it_may_not_write_it_says_what_to_give_it() {
    use std::os::unix::fs::PermissionsExt;

    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway.accept(&post(0)).await;
    assert_eq!(gateway.stop().await.code, Some(0));
    let before = content(&place.path("data"));
    let mode = |name: &str, mode| {
        fs::set_permissions(place.path(name), PermissionsExt::from_mode(mode)).unwrap()
    };
    mode("data/gateway.db", 0o400);
    let ended = place.launch_unprivileged(&["run"]).output().await;
    refused(
        &ended,
        &[
            "cannot write to data/gateway.db: Permission denied",
            "the gateway must own it",
        ],
    );
    mode("data/gateway.db", 0o600);
    fs::remove_file(place.path("data/lock")).unwrap();
    mode("data", 0o500);
    let ended = place.launch_unprivileged(&["run"]).output().await;
    refused(
        &ended,
        &[
            "cannot write into data: Permission denied",
            "a folder that this user may write to",
        ],
    );
    mode("data", 0o700);
    fs::rename(place.path("data"), place.path("kept")).unwrap();
    place.write("data", "a file");
    refused(
        &place.run(&["run"]).await,
        &["cannot make data", "must be a folder"],
    );
    fs::remove_file(place.path("data")).unwrap();
    fs::rename(place.path("kept"), place.path("data")).unwrap();

    assert!(content(&place.path("data")) == before);
    let _gateway = place.start().await;
    each_opened_once(&itoc360, &place, 1).await;
}

#[tokio::test]
async fn a_backup_is_made_under_load_and_a_gateway_goes_on_from_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let waiting = events(1_200);
    let mut load = Load::on(&gateway, &waiting);
    load.accepted(200).await;
    let made = place
        .run_without_secrets(&["store", "backup", "backup.db"])
        .await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stdout.contains("The copy is whole"), "{}", made.stdout);
    let again = place
        .run_without_secrets(&["store", "backup", "backup.db"])
        .await;
    assert!(
        again.code == Some(1) && again.stderr.contains("never writes over a file"),
        "{}",
        again.stderr
    );
    assert!(load.end().await);
    // What the copy cannot have, however long it took to make.
    waiting.lock().extend(1_200..1_500);
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, 1_500).await;
    place.is_whole().await;
    gateway.kill().await;

    // As `store backup --help` says.
    fs::create_dir(place.path("away")).unwrap();
    for name in ["gateway.db", "gateway.db-wal", "gateway.db-shm"] {
        let _ = fs::rename(place.path("data").join(name), place.path("away").join(name));
    }
    fs::copy(place.path("backup.db"), place.path("data/gateway.db")).unwrap();
    let gateway = place.start().await;
    place.is_whole().await;
    let restored = place.list(&[]).await.len();
    assert!((200..1_500).contains(&restored), "{restored}");
    // What came after the backup comes again, and what was delivered after it opens nothing new.
    assert!(Load::on(&gateway, &events(1_500)).end().await);
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    opened_once(&itoc360, 1_500).await;
}

#[tokio::test]
async fn backup_stopped_or_without_room_leaves_nothing_behind() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    assert!(Load::on(&gateway, &events(600)).end().await);
    let before = fs::read_dir(place.path("")).unwrap().count();
    // So much that a copy takes a while, and does not fit into SQLite's memory.
    let mut number = 600;
    let mut grow = async || {
        for _ in 0..60 {
            let large =
                twilio::error(&twilio::sid(number)).with("Payload", &"x".repeat(200 * 1024));
            gateway.accept(&large.to("twilio")).await;
            number += 1;
        }
    };
    grow().await;
    let full = place
        .launch_without_room(&["store", "backup", "backup.db"])
        .output()
        .await;
    assert_eq!(full.code, Some(1), "{}", full.stderr);
    assert_eq!(
        fs::read_dir(place.path("")).unwrap().count(),
        before,
        "{}",
        full.stderr
    );
    let mut stopped = 0;
    let mut tries = 0;
    while tries < 10 || stopped == 0 {
        tries += 1;
        assert!(tries < 40, "each was done before it was told to stop");
        let backup = place.launch(&["store", "backup", "backup.db"]);
        // Before there is a file, it may not listen for the signal yet.
        until("a backup in the making", async || {
            (fs::read_dir(place.path("")).unwrap().count() > before).then_some(())
        })
        .await;
        backup.terminate();
        let ended = backup.output().await;
        let made = place.path("backup.db").exists();
        assert_eq!(
            ended.code,
            Some(if made { 0 } else { 1 }),
            "{}",
            ended.stderr
        );
        stopped += usize::from(!made);
        let _ = fs::remove_file(place.path("backup.db"));
        assert_eq!(
            fs::read_dir(place.path("")).unwrap().count(),
            before,
            "{}",
            ended.stderr
        );
        if made && stopped == 0 {
            // A quick machine is done with it before it is told to stop.
            grow().await;
        }
    }
    println!("stopped {stopped} times of {tries}");
    gateway.accept(&post(number)).await;
}

#[tokio::test]
async fn foreign_writing_becomes_a_dead_letter_others_are_delivered() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(500, "not now"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    assert!(Load::on(&gateway, &events(20)).end().await);
    gateway.kill().await;
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    store
        .execute_batch(
            "UPDATE events SET json = '{\"event_id\": 5' WHERE alert IN (SELECT min(id) FROM alerts);
             DELETE FROM events WHERE alert IN (SELECT max(id) FROM alerts);
             UPDATE queue SET due_at = 0, attempts = 9223372036854775807",
        )
        .unwrap();
    drop(store);
    let checked = place.run_without_secrets(&["store", "check"]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    for part in [
        "1 pending alerts that cannot be read",
        "1 pending alerts of which nothing is kept but the id",
        "dead letters",
    ] {
        assert!(
            checked.stdout.contains(part),
            "{part} is not in {}",
            checked.stdout
        );
    }
    itoc360.recovers();
    let mut gateway = place.start().await;
    itoc360.opens_only(18).await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |count| count == 2.0)
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    let hint = |line: &Value| {
        line["message"]
            .as_str()?
            .contains("alert-gateway store check")
            .then_some(())
    };
    gateway.log("what to do about it", hint).await;
    let aside = place.list(&["--state", "dead"]).await;
    assert_eq!(aside.len(), 2);
    assert!(
        aside
            .iter()
            .all(|line| line["title"].as_str().unwrap().contains("cannot be read")),
        "{aside:?}"
    );
    gateway.accept(&post(20)).await;
}
