//! Identities that wait in memory are known as those in the table are, and no crash loses one.

use rusqlite::Connection;

use super::*;
use crate::store::identities::KEEP;

/// A request with one event, and a proof of its own.
fn proved(source: &str, event: &str) -> Reading {
    let Reading::Alerts { alerts, .. } = reading(source, &[(event, event)]) else {
        unreachable!()
    };
    Reading::Alerts {
        alerts,
        proofs: Proofs::new(source, [event], None),
    }
}

async fn accept(bench: &mut Bench, reading: Reading) -> usize {
    let request = bench.request("a", 1);
    bench.store.append(request, reading).await.unwrap().accepted
}

fn number(bench: &Bench, sql: &str) -> i64 {
    let connection = Connection::open(file(bench.dir())).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn event_and_proof_are_known_again_after_any_crash() {
    let mut bench = Bench::new().await;
    let events: Vec<String> = (0..10 * KEEP)
        .map(|event| format!("event-{event}"))
        .collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(accept(&mut bench, proved("a", event)).await, 1, "{event}");
        if number % 17 == 16 {
            bench = bench.crash().await;
        }
    }
    for event in &events {
        assert_eq!(
            accept(&mut bench, reading("a", &[(event, "k")])).await,
            0,
            "{event}"
        );
        let other = Reading::Alerts {
            alerts: match reading("a", &[("another", "k")]) {
                Reading::Alerts { alerts, .. } => alerts,
                _ => unreachable!(),
            },
            proofs: Proofs::new("a", [event], None),
        };
        assert_eq!(accept(&mut bench, other).await, 0, "the proof of {event}");
        assert_eq!(bench.find(event).alerts[0].event.event_id, *event);
        assert!(
            bench
                .store
                .history()
                .unwrap()
                .first_request_of("a", event)
                .unwrap()
                .is_some()
        );
        assert_eq!(
            bench
                .store
                .history()
                .unwrap()
                .first_request_of("b", event)
                .unwrap(),
            None
        );
    }
    let report = check(&file(bench.dir()), Depth::IntegrityCheck).unwrap();
    assert!(report.whole, "{:?}", report.findings);
}

#[tokio::test(start_paused = true)]
async fn few_identities_wait_and_none_at_the_end() {
    let mut bench = Bench::new().await;
    for event in 0..10 * KEEP {
        accept(&mut bench, proved("a", &event.to_string())).await;
        let written = number(&bench, "SELECT count(*) FROM identities") as usize;
        // What came with the latest commit is written by the next ones.
        assert!(2 * (event + 1) - written <= KEEP + 4, "{event}: {written}");
    }
    // What a crash leaves to be read is bounded as well.
    let lag = "SELECT max(seq) - (SELECT before FROM identified) FROM requests";
    assert!(number(&bench, lag) <= 8 * KEEP as i64);
    bench = bench.reopen().await;
    let all = "SELECT count(*) = 2 * (SELECT count(*) FROM alerts) FROM identities";
    assert_eq!(number(&bench, all), 1);
    let before = "SELECT before = (SELECT max(seq) + 1 FROM requests) FROM identified";
    assert_eq!(number(&bench, before), 1);
}

#[tokio::test(start_paused = true)]
async fn store_without_its_mark_reads_all_identities_again() {
    let mut bench = Bench::new().await;
    for event in 0..20 * KEEP {
        accept(&mut bench, proved("a", &event.to_string())).await;
    }
    let connection = Connection::open(file(bench.dir())).unwrap();
    connection
        .execute_batch("DELETE FROM identified; DELETE FROM identities")
        .unwrap();
    drop(connection);
    bench = bench.crash().await;
    for event in 0..20 * KEEP {
        let event = event.to_string();
        assert_eq!(
            accept(&mut bench, reading("a", &[(&event, "k")])).await,
            0,
            "{event}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn event_that_retention_forgot_is_new_while_it_waits() {
    let mut bench = Bench::new().await;
    for event in ["first", "last"] {
        assert_eq!(accept(&mut bench, reading("a", &[(event, event)])).await, 1);
    }
    bench.settle("first", accepted()).await;
    assert_eq!(retain(&bench, 100).await, 1);
    bench = bench.crash().await;
    assert_eq!(accept(&mut bench, reading("a", &[("first", "k")])).await, 1);
    assert_eq!(accept(&mut bench, reading("a", &[("last", "k")])).await, 0);
}
