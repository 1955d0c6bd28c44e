//! A store that somebody else has written into: nothing in it brings the gateway down or holds up
//! the other alerts.

use rusqlite::Connection;

use super::*;

/// The rules of a table, and their stand-ins while there are none.
const RULES: [(&str, &str); 3] = [
    ("STRICT,", "/*strict,*/"),
    ("STRICT", "/*strict*/"),
    ("NOT NULL", "/*not null*/"),
];

/// Runs statements on a closed store as if its tables had no rules, and gives them their rules
/// back.
fn tamper(path: &Path, statements: &str) {
    let redefine = |from_to: &dyn Fn(&(&str, &str)) -> [String; 2]| {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA writable_schema = ON")
            .unwrap();
        for pair in &RULES {
            let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table'";
            connection.execute(sql, from_to(pair)).unwrap();
        }
        connection
            .execute_batch("PRAGMA writable_schema = RESET")
            .unwrap();
    };
    redefine(&|(rule, none)| [(*rule).to_owned(), (*none).to_owned()]);
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .unwrap();
    connection.execute_batch(statements).unwrap();
    drop(connection);
    redefine(&|(rule, none)| [(*none).to_owned(), (*rule).to_owned()]);
}

/// A store with the alerts `0` to `9` of distinct keys, tampered with, and opened again.
async fn tampered(statements: &str) -> Bench {
    let mut bench = Bench::new().await;
    for number in 0..10 {
        bench
            .append("a", number, &[(&number.to_string(), &number.to_string())])
            .await;
    }
    let path = file(bench.dir());
    let requests = bench.requests;
    drop(bench.store);
    bench.closing.close().await;
    tamper(&path, statements);
    let bench = Bench::open(bench.ground.dir, Clock::at(0)).await;
    Bench {
        requests: requests + 1000,
        ..bench
    }
}

/// Due events, and unreadable ones.
fn look(bench: &Bench) -> (Vec<String>, Vec<i64>) {
    let mut reader = bench.store.due_reader().unwrap();
    let due = reader.due(DESTINATION, LATE, &HashSet::new(), 100).unwrap();
    let unreadable = reader
        .take_unreadable()
        .into_iter()
        .map(|one| one.id / 16384 - 1)
        .collect();
    (
        due.into_iter()
            .map(|due| due.alert.event.event_id.clone())
            .collect(),
        unreadable,
    )
}

fn without(gone: &[usize]) -> Vec<String> {
    (0..10)
        .filter(|number| !gone.contains(number))
        .map(|number| number.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_read_is_told_and_the_others_go_on() {
    for statement in [
        "UPDATE events SET json = '{' WHERE alert = 4 * 1024",
        "UPDATE events SET json = '[1, 2]' WHERE alert = 4 * 1024",
        "UPDATE events SET json = NULL WHERE alert = 4 * 1024",
        "UPDATE events SET json = 17 WHERE alert = 4 * 1024",
        "UPDATE events SET json = x'ff00fe' WHERE alert = 4 * 1024",
        "UPDATE events SET json = CAST(x'ff00fe' AS TEXT) WHERE alert = 4 * 1024",
        "DELETE FROM events WHERE alert = 4 * 1024",
        "DELETE FROM requests WHERE seq = 4",
        "UPDATE requests SET id = NULL WHERE seq = 4",
        "UPDATE requests SET received_at = 'yesterday' WHERE seq = 4",
        "UPDATE alerts SET source = x'00ff' WHERE id = 4 * 1024",
        "DELETE FROM alerts WHERE id = 4 * 1024",
    ] {
        let mut bench = tampered(statement).await;
        assert_eq!(look(&bench), (without(&[3]), vec![3]), "{statement}");
        let report = check(&file(bench.dir()), Depth::IntegrityCheck).unwrap();
        assert!(!report.whole, "{statement}");
        assert_eq!(
            bench.append("a", 1, &[("new", "new")]).await.accepted,
            1,
            "{statement}"
        );
        bench.settle("5", accepted()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_alert_is_a_dead_letter_and_its_key_goes_on() {
    let mut bench = tampered("UPDATE events SET json = '{' WHERE alert = 4 * 1024").await;
    bench.append("a", 20, &[("behind", "3")]).await;
    let unreadable = (
        Outcome::Rejected {
            why: "it cannot be read".into(),
        },
        0,
    );
    bench
        .store
        .settle(settlement(4 * 16384, 50, None, unreadable))
        .await
        .unwrap();
    assert!(look(&bench).0.contains(&"behind".to_owned()));
    let lines = bench
        .store
        .history()
        .unwrap()
        .list(&Filter {
            limit: 100,
            ..Filter::default()
        })
        .unwrap();
    let line = lines
        .iter()
        .find(|line| line.event_id.as_deref() == Some("3"))
        .unwrap();
    assert!(
        line.state == "dead" && line.title.contains("cannot be read"),
        "{line:?}"
    );
    let record = &bench.find("3").alerts[0];
    assert_eq!(
        record.attempts[0].said.as_deref(),
        Some("it cannot be read")
    );
}

#[tokio::test(start_paused = true)]
async fn absurd_figures_neither_stop_an_alert_nor_make_a_panic() {
    for statement in [
        "UPDATE queue SET attempts = -7 WHERE id = 4 * 16384",
        "UPDATE queue SET attempts = 9223372036854775807 WHERE id = 4 * 16384",
        "UPDATE queue SET due_at = -9223372036854775808 WHERE id = 4 * 16384",
        "UPDATE queue SET ordering_key = NULL WHERE id = 4 * 16384",
        "UPDATE queue SET priority = -9223372036854775807 WHERE id = 4 * 16384",
        "UPDATE queue SET priority = 9223372036854775807 WHERE id = 4 * 16384",
        "UPDATE queue SET source = 99 WHERE id = 4 * 16384",
        "UPDATE alerts SET priority = 99, event_id = x'00' WHERE id = 4 * 1024",
        "UPDATE identities SET alert = 9223372036854775807",
        "DELETE FROM identities",
        "INSERT INTO repeats VALUES (4 * 1024, 9223372036854775807, 1, x'')",
        "UPDATE requests SET received_at = 9223372036854775807 WHERE seq = 4",
        "UPDATE requests SET received_at = -9223372036854775808 WHERE seq = 4",
        "INSERT INTO attempts (delivery, n, destination, at, duration, outcome) VALUES (4 * 16384, 1, 1, 1, 1, 'retry')",
        "UPDATE totals SET n = -9 WHERE state = 'pending'",
        "UPDATE totals SET n = 'many'",
        "DELETE FROM totals",
        // Rows that stand where new ones are to go.
        "INSERT INTO alerts VALUES (11 * 1024, 1, 'x', 1, 1, NULL)",
        "INSERT INTO events VALUES (11 * 1024, '{}')",
        "INSERT INTO bodies VALUES (11, '', '', '', x'', NULL, NULL)",
        "INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts) VALUES (11 * 16384, 99, 1, 1, 1, 1, 0)",
        "INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts) VALUES (9223372036854775807, 99, 1, 1, 1, NULL, 0)",
        "INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts) VALUES (-5, 99, 1, 1, 1, 1, 0)",
        "INSERT INTO dead VALUES (9223372036854775807, 99), (-9223372036854775808, 1)",
        "INSERT INTO alerts VALUES (9223372036854775807, 1, 'x', 1, 1, NULL)",
        "INSERT INTO alerts VALUES (-5, 1, 'x', 1, 1, NULL)",
        "INSERT INTO destinations VALUES (99, x'00ff'); INSERT INTO queue (id, destination, source, ordering_key, priority, due_at, attempts) VALUES (12 * 16384, 99, 1, 1, 1, 1, 0)",
        "INSERT INTO requests SELECT 9223372036854775807, x'01', source, 1, state, reason, plugin, 0, NULL, x'01', 7
         FROM requests WHERE seq = 1",
        "INSERT INTO requests SELECT -9223372036854775808, x'01', source, 1, state, reason, plugin, 0, 7, NULL, NULL
         FROM requests WHERE seq = 1",
        "INSERT INTO jobs VALUES (1, 'replay', 9223372036854775807, 1, NULL, NULL), (2, 'replay', -9223372036854775808, 1, NULL, 'dead'),
                                 (3, 'replay', NULL, -1, NULL, 'failed'), (4, 'replay', 4, 1, NULL, 'neither')",
    ] {
        let mut bench = tampered(statement).await;
        let (mut due, unreadable) = look(&bench);
        due.sort();
        assert_eq!((due, unreadable), (without(&[]), vec![]), "{statement}");
        assert_eq!(bench.append("a", 1, &[("new", "new")]).await.accepted, 1, "{statement}");
        for event in ["3", "5", "new"] {
            bench.settle(event, later(60)).await;
            bench.settle(event, accepted()).await;
        }
        let mut reader = bench.store.due_reader().unwrap();
        for job in reader.jobs().unwrap() {
            bench.store.requeue(job).await.unwrap();
        }
        assert!(reader.jobs().unwrap().is_empty(), "{statement}");
        bench.store.snapshot().unwrap().waiting_for().unwrap();
        reader.oldest_pending().unwrap();
        reader.next_due_at(DESTINATION, LATE).unwrap();
        // To the end of the table, which absurd numbers must not move away.
        for stage in [Stage::Bodies, Stage::Events, Stage::Age, Stage::Identities] {
            sweep(&bench, stage, Bounds { before_ms: i64::MAX, now_ms: i64::MAX, size: 1, identities: 1 }).await;
        }
        let bench = bench.reopen().await;
        assert_eq!(look(&bench).0.len(), 8, "{statement}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_due_in_a_far_future_is_brought_back() {
    let bench =
        tampered("UPDATE queue SET due_at = 9223372036854775807 WHERE id = 4 * 16384").await;
    let (mut due, unreadable) = look(&bench);
    due.sort();
    assert_eq!((due, unreadable), (without(&[]), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_changed_costs_its_neighbours_nothing() {
    // A table with rules refuses every change of a row that breaks them.
    let mut bench =
        tampered("UPDATE queue SET source = 'x', ordering_key = 'left' WHERE id = 4 * 16384").await;
    let settlement = |delivery| settlement(delivery, 50, Some(200), later(60));
    let bad = bench.store.settle(settlement(4 * 16384));
    let good = bench.store.settle(settlement(5 * 16384));
    let (bad, good) = tokio::join!(bad, good);
    assert!(matches!(bad, Err(StoreError::Row(_))), "{bad:?}");
    good.unwrap();
    assert_eq!(bench.append("a", 1, &[("new", "new")]).await.accepted, 1);
}
