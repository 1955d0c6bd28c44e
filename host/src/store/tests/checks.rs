//! Checks find faults, and their cures cure; a backup is the store of one moment.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;

/// A closed store with alerts in every state, and its file.
async fn settled() -> (TempDir, PathBuf) {
    let mut bench = Bench::new().await;
    bench
        .append(
            "a",
            1,
            &[
                ("delivered", "1"),
                ("rejected", "2"),
                ("head", "k"),
                ("behind", "k"),
                ("alone", "3"),
            ],
        )
        .await;
    bench.settle("delivered", accepted()).await;
    bench.settle("rejected", rejected()).await;
    let raw = bench.request("a", 2);
    bench
        .store
        .append(raw, Reading::Failed("trap".into()))
        .await
        .unwrap();
    let path = file(bench.dir());
    drop(bench.store);
    bench.closing.close().await;
    (bench.ground.dir, path)
}

fn whats(report: &Report) -> Vec<&str> {
    report
        .findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_store_at_work_is_whole() {
    let mut bench = Bench::new().await;
    bench
        .append("a", 1, &[("1", "k"), ("2", "k"), ("3", "x")])
        .await;
    for depth in [Depth::IntegrityCheck, Depth::QuickCheck] {
        let report = check(&file(bench.dir()), depth).unwrap();
        assert!(report.whole, "{:?}", report.findings);
        assert_eq!(
            (report.requests, report.alerts, report.pending, report.check),
            (1, 3, 3, depth)
        );
        assert!(report.bytes > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn contradiction_is_found_and_its_statement_fixes_it() {
    let orphan = "INSERT INTO attempts (delivery, n, destination, at, duration, outcome) VALUES (777, 1, 1, 1, 1, 'retry')";
    for (harm, what) in [
        (
            "UPDATE totals SET n = n + 1 WHERE state = 'delivered'",
            "totals that are not",
        ),
        (
            "DELETE FROM totals WHERE state = 'failed'",
            "totals that are not",
        ),
        (
            "INSERT INTO sources (name, failed) VALUES ('z', 3)",
            "wrong count of requests",
        ),
        ("UPDATE sources SET unproven = 3", "wrong count of requests"),
        (
            "UPDATE queue SET due_at = NULL WHERE id = 1026 * 16",
            "none of whose key is ever due",
        ),
        (
            "UPDATE queue SET due_at = 5 WHERE id = 1027 * 16",
            "due beside each other",
        ),
        (
            "UPDATE queue SET due_at = 99999999999999 WHERE id = 1026 * 16",
            "not due for a day or more",
        ),
        (
            "INSERT INTO identities VALUES (x'01', 777)",
            "identities of no alert",
        ),
        (
            "INSERT INTO bodies VALUES (777, '', '', '', x'', NULL, NULL)",
            "bodies of no request",
        ),
        (
            "INSERT INTO repeats VALUES (777, 1, 1, x'')",
            "repeats of no alert",
        ),
        (orphan, "attempts at delivering no alert"),
        (
            "INSERT INTO events (alert, json) VALUES (777, '{}')",
            "events of no alert",
        ),
    ] {
        let (_dir, path) = settled().await;
        Connection::open(&path)
            .unwrap()
            .execute_batch(harm)
            .unwrap();
        let report = check(&path, Depth::IntegrityCheck).unwrap();
        let [finding] = &report.findings[..] else {
            panic!("{harm}: {:?}", report.findings)
        };
        assert!(
            finding.what.contains(what) && finding.count == 1 && !report.whole,
            "{harm}: {finding:?}"
        );
        Connection::open(&path)
            .unwrap()
            .execute_batch(finding.cure.unwrap())
            .unwrap();
        let report = check(&path, Depth::IntegrityCheck).unwrap();
        assert!(
            report.whole,
            "{harm}, and then its cure: {:?}",
            report.findings
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_statement_sets_right_is_found_too() {
    for (harm, what) in [
        (
            "DELETE FROM events WHERE alert = 1026",
            "nothing is kept but the id",
        ),
        ("DELETE FROM identities", "not known again"),
        (
            "DELETE FROM bodies WHERE seq = 2",
            "failed requests of which nothing",
        ),
        (
            "UPDATE alerts SET source = 99",
            "a source that there is not",
        ),
        (
            "UPDATE events SET json = '{' WHERE alert = 1026",
            "cannot be read",
        ),
        (
            "UPDATE events SET json = '[]' WHERE alert = 1026",
            "cannot be read",
        ),
        (
            "DELETE FROM requests WHERE seq = 1",
            "outside the range of any request",
        ),
        (
            "PRAGMA foreign_keys = OFF; UPDATE requests SET plugin = 99",
            "refer to nothing",
        ),
    ] {
        let (_dir, path) = settled().await;
        Connection::open(&path)
            .unwrap()
            .execute_batch(harm)
            .unwrap();
        let report = check(&path, Depth::IntegrityCheck).unwrap();
        let found = report
            .findings
            .iter()
            .any(|finding| finding.what.contains(what) && !finding.advice.is_empty());
        assert!(found, "{harm}: {:?}", report.findings);
    }
}

#[tokio::test(start_paused = true)]
async fn states_that_there_are_not_are_found_and_mended_step_by_step() {
    let (_dir, path) = settled().await;
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "UPDATE queue SET due_at = NULL; INSERT INTO dead SELECT id, 1 FROM queue; UPDATE requests SET state = 'x'",
        )
        .unwrap();
    for _ in 0..4 {
        for finding in check(&path, Depth::IntegrityCheck).unwrap().findings {
            connection.execute_batch(finding.cure.unwrap()).unwrap();
        }
    }
    assert_eq!(
        whats(&check(&path, Depth::IntegrityCheck).unwrap()),
        [""; 0]
    );
    let bench = Bench::open(_dir, Clock::at(0)).await;
    assert_eq!((bench.total("pending"), bench.total("dead")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_another_wrote_into_the_file_are_damage() {
    let (_dir, path) = settled().await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 8192 * 8192;
    bytes[middle..middle + 8192].fill(0x55);
    fs::write(&path, bytes).unwrap();
    match check(&path, Depth::IntegrityCheck) {
        Ok(report) => {
            assert_eq!(report.findings[0].what, "faults in the file");
            assert!(report.findings[0].advice.contains("restore a backup"));
        }
        Err(error) => assert!(matches!(error, StoreError::Unusable { .. }), "{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_thorough_check_sees_an_index_without_a_row() {
    let (_dir, path) = settled().await;
    let connection = Connection::open(&path).unwrap();
    // The index is told to hold something else while a row is written, and what it always held
    // afterwards.
    let redefine = |from: &str, to: &str| {
        connection
            .execute_batch(&format!(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'requests_failed';
                 PRAGMA writable_schema = RESET"
            ))
            .unwrap();
    };
    redefine("failed''", "nothing''");
    connection
        .execute_batch(
            "INSERT INTO requests SELECT 3, x'03', source, 1, 'failed', '', plugin, 0, NULL, NULL, NULL FROM requests WHERE seq = 1;
             INSERT INTO bodies VALUES (3, '', '', '', x'', NULL, NULL)",
        )
        .unwrap();
    redefine("nothing''", "failed''");
    drop(connection);
    assert!(check(&path, Depth::QuickCheck).unwrap().whole);
    assert_eq!(
        whats(&check(&path, Depth::IntegrityCheck).unwrap()),
        ["faults in the file"]
    );
}

#[tokio::test(start_paused = true)]
async fn backup_of_a_store_at_work_is_whole_and_can_replace_it() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1"), ("2", "2")]).await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");
    let backup = Backup::prepare(&file(bench.dir()), &target).unwrap();
    bench.append("a", 2, &[("3", "3")]).await;
    let written = backup.write().unwrap();
    assert!(
        written.report.whole && written.report.alerts == 3 && written.bytes > 0,
        "{written:?}"
    );
    assert_eq!(
        fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is beside it"
    );
    bench.append("a", 3, &[("4", "4")]).await;

    let restored = tempfile::tempdir().unwrap();
    fs::copy(&target, file(restored.path())).unwrap();
    let mut restored = Bench {
        requests: 100,
        ..Bench::open(restored, Clock::at(0)).await
    };
    assert_eq!(restored.due_events(LATE), ["1", "2", "3"]);
    restored.append("a", 4, &[("5", "5")]).await;
    assert!(
        files::log(&file(restored.dir())).exists(),
        "it works as the store did, with a log"
    );
}

#[tokio::test(start_paused = true)]
async fn backup_overwrites_no_file_and_leaves_none_if_it_fails() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1")]).await;
    let source = file(bench.dir());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");
    fs::write(&target, "mine").unwrap();
    assert!(matches!(
        Backup::prepare(&source, &target),
        Err(StoreError::Exists(_))
    ));
    fs::remove_file(&target).unwrap();

    let backup = Backup::prepare(&source, &target).unwrap();
    fs::write(&target, "mine").unwrap();
    assert!(
        matches!(backup.write(), Err(StoreError::Exists(_))),
        "it came while the copy was made"
    );
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::remove_file(&target).unwrap();

    drop(Backup::prepare(&source, &target).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(matches!(
        Backup::prepare(&folder.path().join("none.db"), &target),
        Err(StoreError::Missing(_))
    ));
    assert!(Backup::prepare(&source, &folder.path().join("no/where.db")).is_err());
}

#[tokio::test(start_paused = true)]
async fn stopped_backup_ends_before_it_has_a_name() {
    let mut bench = Bench::new().await;
    let events: Vec<_> = (0..500).map(|number| number.to_string()).collect();
    bench
        .append(
            "a",
            1,
            &events
                .iter()
                .map(|event| (event.as_str(), event.as_str()))
                .collect::<Vec<_>>(),
        )
        .await;
    let source = file(bench.dir());
    let folder = tempfile::tempdir().unwrap();
    let backup = Backup::prepare(&source, &folder.path().join("copy.db")).unwrap();
    let stop = backup.stop();
    stop.now();
    assert!(matches!(backup.write(), Err(StoreError::Disk(_))));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    let checked = check::check_until(&source, Depth::IntegrityCheck, &stop);
    assert!(
        matches!(checked, Err(StoreError::Disk(_))),
        "what it does last is a check of the copy"
    );
}
