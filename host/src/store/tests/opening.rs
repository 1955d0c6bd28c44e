//! The files a gateway may find in the store's place at its start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, StatementStatus, params};

use super::super::{due, writer};
use super::*;

/// The files of a folder and what is in them.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    // The lock is taken before anything is looked at; SQLite's index of the log, and a log that is
    // empty, hold nothing.
    let ours = |path: &PathBuf| {
        path.is_file() && !path.ends_with("lock") && !path.to_string_lossy().ends_with("-shm")
    };
    let read = files
        .filter(ours)
        .map(|path| (path.clone(), fs::read(path).unwrap()));
    read.filter(|(path, bytes)| !(path.to_string_lossy().ends_with("-wal") && bytes.is_empty()))
        .collect()
}

/// Asserts that a store cannot be opened here, for this reason. The attempt changes nothing.
#[track_caller]
fn refused(folder: &Path, reason: &str) {
    let before = content(folder);
    let error = Store::open(folder, &Options::default(), Metrics::new())
        .map(|_| ())
        .unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, StoreError::Unusable { .. }) && said.contains(reason),
        "{said}"
    );
    assert!(said.contains("Restore a backup"), "{said}");
    let after = content(folder);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert!(
        before == after,
        "{:?} became {:?}",
        names(&before),
        names(&after)
    );
}

/// A store that a gateway has used and closed.
async fn used() -> TempDir {
    let mut bench = Bench::new().await;
    for number in 0..40 {
        bench
            .append("a", number, &[(&number.to_string(), "k")])
            .await;
    }
    drop(bench.store);
    bench.closing.close().await;
    bench.ground.dir
}

#[tokio::test(start_paused = true)]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    for (bytes, reason) in [
        (&b""[..], "is empty"),
        (b"SQLite form", "does not begin as an SQLite database"),
        (&[0x5a; 100_000], "does not begin as an SQLite database"),
        (
            b"SQLite format 3\0and then nothing of the kind",
            "SQLite says of it",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(dir.path(), reason);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(dir.path(), "is not a file");
}

#[tokio::test(start_paused = true)]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    for (made, reason) in [
        (
            "CREATE TABLE songs (id INTEGER PRIMARY KEY)",
            "a database of another program",
        ),
        (
            "CREATE TABLE songs (id INTEGER PRIMARY KEY); PRAGMA user_version = 1",
            "it has no",
        ),
        (
            "CREATE TABLE alerts (id INTEGER PRIMARY KEY); PRAGMA user_version = 1",
            "is not as this gateway makes it",
        ),
        (
            "CREATE TABLE songs (id INTEGER PRIMARY KEY); PRAGMA user_version = -3",
            "a database of another program",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        Connection::open(file(dir.path()))
            .unwrap()
            .execute_batch(made)
            .unwrap();
        refused(dir.path(), reason);
    }
    let dir = used().await;
    let trigger = "CREATE TRIGGER t AFTER INSERT ON alerts BEGIN DELETE FROM alerts; END";
    Connection::open(file(dir.path()))
        .unwrap()
        .execute_batch(trigger)
        .unwrap();
    refused(dir.path(), "the trigger \"t\"");
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_adds_to_look_at_it_does_no_harm() {
    let dir = used().await;
    let view =
        "CREATE VIEW mine AS SELECT * FROM alerts; CREATE INDEX other ON alerts (source); ANALYZE";
    Connection::open(file(dir.path()))
        .unwrap()
        .execute_batch(view)
        .unwrap();
    assert_eq!(Bench::open(dir, Clock::at(0)).await.due_events(LATE), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_cut_short_is_refused() {
    let dir = used().await;
    let path = file(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 8192, 4096, 101, 99] {
        fs::write(&path, &whole[..length]).unwrap();
        refused(dir.path(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_without_its_store_is_not_thrown_away() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1")]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let log = files::log(&file(bench.dir()));
    fs::copy(log, files::log(&path)).unwrap();
    refused(dir.path(), "it is missing, while the log");
    fs::write(&path, "").unwrap();
    refused(dir.path(), "is empty");
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_leaves_while_a_store_is_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    for left in [
        "gateway.db.new",
        "gateway.db.new-journal",
        "gateway.db.new-wal",
        "gateway.db.new-shm",
    ] {
        fs::write(dir.path().join(left), "half").unwrap();
    }
    let mut bench = Bench::open(dir, Clock::at(0)).await;
    bench.append("a", 1, &[("1", "1")]).await;
    assert_eq!(bench.due_events(LATE), ["1"]);
    let left = content(bench.dir())
        .into_keys()
        .filter(|path| path.to_string_lossy().contains("new"))
        .count();
    assert_eq!(left, 0);
}

/// A store with so many alerts that wait, half of them behind others.
fn backlog(alerts: i64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let connection = schema::open(&file(dir.path()), false, false).unwrap();
    connection
        .execute_batch(
            "INSERT INTO plugins VALUES (1, 'p', '1', '00'); INSERT INTO sources (id, name) VALUES (1, 'a');
             INSERT INTO destinations VALUES (1, 'itoc360')",
        )
        .unwrap();
    connection
        .execute(
            "WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?)
             INSERT INTO requests SELECT seq, CAST('r' || seq AS BLOB), 1, 1, 'read', NULL, 1, 0, NULL, NULL, NULL FROM n",
            [alerts],
        )
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO alerts SELECT seq * 1024, 1, 'e' || seq, seq / 2, 1, NULL FROM requests;
             INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts) SELECT seq * 16384, 1, 1, seq / 2, 1, CASE WHEN seq % 2 THEN NULL ELSE 1 END, 0 FROM requests;
             INSERT INTO events SELECT seq * 1024, '{\"event_id\":\"e\",\"priority\":\"high\",\"title\":\"t\"}' FROM requests",
        )
        .unwrap();
    connection
        .execute(
            "UPDATE totals SET n = ? WHERE state IN ('pending', 'alerts')",
            [alerts],
        )
        .unwrap();
    dir
}

/// The work of each question that a start asks before it is ready, in steps of SQLite's machine.
fn work(dir: &TempDir) -> Vec<i32> {
    let connection = schema::open_reader(&file(dir.path())).unwrap();
    let steps = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query(parameters).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        statement.get_status(StatementStatus::VmStep)
    };
    vec![
        steps(
            writer::NEXT_SEQ,
            params![
                writer::LAST_SEQ,
                ALERTS_PER_REQUEST as i64,
                DELIVERIES_PER_ALERT as i64
            ],
        ),
        steps(snapshot::WAITING_FOR, &[]),
        steps(due::NEXT_PRIORITY, params![1, i64::MIN]),
        steps(due::NEXT_PRIORITY, params![1, 1]),
        steps(due::NEXT_SOURCE, params![1, 1, i64::MIN]),
        steps(due::NEXT_SOURCE, params![1, 1, 1]),
        steps(due::DUE, params![1, 1, 1, LATE, i64::MIN, i64::MIN, 256]),
        steps(due::DUE, params![1, 1, 1, LATE, 1, 500 * 16384, 256]),
    ]
}

#[test]
fn what_a_start_reads_does_not_grow_with_the_backlog() {
    let short = backlog(2_000);
    let long = backlog(40_000);
    assert_eq!(work(&short), work(&long));
    let (store, _closing) = Store::open(
        long.path(),
        &Options {
            sync: false,
            ..Options::default()
        },
        Metrics::new(),
    )
    .unwrap();
    let mut reader = store.due_reader().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.waiting_for().unwrap(), [DESTINATION]);
    assert_eq!(snapshot.count_waiting_for(DESTINATION).unwrap(), 40_000);
    let due = reader.due(DESTINATION, LATE, &HashSet::new(), 256).unwrap();
    assert_eq!(due.len(), 256, "{:?}", reader.take_unreadable());
}

#[tokio::test(start_paused = true)]
async fn what_would_not_be_found_again_is_not_confirmed() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1")]).await;
    let path = file(bench.dir());
    for file in [path.clone(), files::log(&path)] {
        let away = bench.dir().join("away");
        fs::rename(&file, &away).unwrap();
        for replaced in [false, true] {
            if replaced {
                fs::copy(&away, &file).unwrap();
            }
            let request = bench.request("a", 2);
            let error = bench
                .store
                .append(request, reading("a", &[("2", "2")]))
                .await
                .unwrap_err();
            assert!(
                matches!(&error, StoreError::Moved(moved) if *moved == file),
                "{error}"
            );
        }
        fs::rename(&away, &file).unwrap();
        bench
            .append("a", 3, &[(&file.to_string_lossy(), "k")])
            .await;
    }
    let bench = bench.reopen().await;
    assert_eq!(bench.due_events(LATE).len(), 2);
    assert_eq!(bench.total("pending"), 3);
}
