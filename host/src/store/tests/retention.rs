//! Retention: the rows it removes and keeps, and its alerts.

use std::time::Duration;

use crate::metrics::{CauseLabel, Format};

use super::super::retention::keep_once;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Has retention do its work until it has nothing more to do.
async fn swept(bench: &Bench, age: Duration, size: u64) {
    swept_within(
        bench,
        Retention {
            age,
            size,
            identities: u64::MAX,
            operator_destination: None,
        },
    )
    .await;
}

async fn swept_within(bench: &Bench, retention: Retention) {
    keep_once(bench.store.clone(), retention, bench.metrics.clone()).await;
}

fn removed(bench: &Bench, cause: &'static str) -> u64 {
    bench
        .metrics
        .retention_removed
        .get_or_create(&CauseLabel { cause })
        .get()
}

impl Bench {
    /// Appends a request with a body of so many bytes.
    async fn append_large(&mut self, bytes: usize, reading: Reading) -> Appended {
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            body: vec![0; bytes].into(),
            ..self.request("a", LATE)
        };
        self.store.append(request, reading).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_counts_what_it_removes_by_age_and_by_size() {
    let mut bench = Bench::new().await;
    let now = wall_ms();
    for (at, event) in [(1, "old"), (2, "older"), (now, "young"), (now, "newest")] {
        bench.append("a", at, &[(event, event)]).await;
        let due = bench.due(i64::MAX)[0].0;
        bench
            .store
            .settle(settlement(due, at, Some(200), accepted()))
            .await
            .unwrap();
    }
    swept(&bench, HOUR, u64::MAX).await;
    assert_eq!(
        (
            removed(&bench, "age"),
            removed(&bench, "size"),
            bench.total("delivered")
        ),
        (2, 0, 2)
    );
    assert!(bench.metrics.store_size.get() > 8192);
    let bench = bench.reopen().await;
    swept(&bench, HOUR, 1).await;
    assert_eq!(
        (
            removed(&bench, "age"),
            removed(&bench, "size"),
            bench.total("delivered")
        ),
        (0, 2, 2)
    );
    let text = bench.metrics.encode(Format::OpenMetrics);
    for name in [
        "alert_gateway_retention_removed_requests_total{cause=\"size\"} 2",
        "alert_gateway_retention_last_sweep_timestamp_seconds ",
        "alert_gateway_store_identities 2",
        "alert_gateway_store_size_bytes ",
        "alert_gateway_store_log_size_bytes ",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_delivered_stays_whatever_the_size_and_the_age() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("pending", "1")]).await;
    bench.append("a", 2, &[("rejected", "2")]).await;
    bench.settle("rejected", rejected()).await;
    for _ in 0..2 {
        let raw = bench.request("a", 3);
        bench
            .store
            .append(raw, Reading::Failed("trap".into()))
            .await
            .unwrap();
    }
    swept(&bench, Duration::ZERO, 1).await;
    assert_eq!((removed(&bench, "age"), removed(&bench, "size")), (0, 0));
    assert_eq!(
        (
            bench.total("pending"),
            bench.total("dead"),
            bench.metrics.requests_failed.get()
        ),
        (1, 1, 2)
    );
    assert!(
        bench.metrics.store_size.get() > 1,
        "which is more than it may be"
    );
    assert!(
        check(&file(bench.dir()), Depth::IntegrityCheck)
            .unwrap()
            .whole
    );
}

#[tokio::test(start_paused = true)]
async fn identities_outlive_content_and_say_what_is_left() {
    let mut bench = Bench::new().await;
    for event in ["1", "2", "3"] {
        bench
            .append_large(100_000, reading("a", &[(event, event)]))
            .await;
        bench.settle(event, later(60)).await;
        bench.settle(event, accepted()).await;
    }
    bench
        .append_large(1_000_000, Reading::Failed("trap".into()))
        .await;
    swept(&bench, HOUR * 1_000_000, 70_000).await;
    let shown = bench.find("2");
    assert!(shown.evicted.unwrap().contains("[retention] size") && shown.body.is_empty());
    let alert = &shown.alerts[0];
    assert!(
        alert.note.as_ref().unwrap().contains("[retention] size"),
        "{alert:?}"
    );
    assert_eq!(
        (alert.event.event_id.as_str(), alert.state.as_str()),
        ("2", "delivered")
    );
    assert_eq!(alert.attempts.len(), 1, "the last attempt is the receipt");
    assert_eq!(alert.attempts[0].receipt.as_deref(), Some("uuid"));
    let lines = bench
        .store
        .history()
        .unwrap()
        .list(&Filter {
            limit: 9,
            ..Filter::default()
        })
        .unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.event_id.as_deref() == Some("2") && line.title == "(evicted)"),
        "{lines:?}"
    );
    for event in ["1", "2", "3"] {
        assert_eq!(
            bench
                .append_large(10, reading("a", &[(event, "new")]))
                .await
                .duplicates,
            1,
            "{event}"
        );
    }
    assert!(
        check(&file(bench.dir()), Depth::IntegrityCheck)
            .unwrap()
            .whole
    );
}

#[tokio::test(start_paused = true)]
async fn dead_letter_without_content_keeps_its_reason() {
    let mut bench = Bench::new().await;
    for event in ["1", "2", "3"] {
        bench.append("a", 1, &[(event, event)]).await;
        let outcome = match event {
            "2" => rejected(),
            _ => accepted(),
        };
        bench.settle(event, outcome).await;
    }
    let disk = rusqlite::Connection::open(file(bench.dir())).unwrap();
    let of_the_second = "(SELECT id FROM alerts WHERE event_id = '2')";
    let lost = format!("DELETE FROM events WHERE alert = {of_the_second}");
    assert_eq!(disk.execute(&lost, []).unwrap(), 1);
    let reason = format!("SELECT said FROM attempts WHERE delivery / 16 = {of_the_second}");
    let reason = || -> Option<String> { disk.query_row(&reason, [], |row| row.get(0)).unwrap() };
    let before = reason();
    assert!(before.is_some());
    swept(&bench, HOUR * 1_000_000, 1).await;
    let left = "SELECT count(*) FROM events";
    let left: i64 = disk.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!((left, reason()), (0, before));
}

#[tokio::test(start_paused = true)]
async fn bodies_go_before_events_and_the_oldest_first() {
    let mut bench = Bench::new().await;
    for event in ["1", "2", "3", "4", "5", "6"] {
        bench
            .append_large(100_000, reading("a", &[(event, event)]))
            .await;
        bench.settle(event, accepted()).await;
    }
    swept(&bench, HOUR * 1_000_000, 500_000).await;
    let with_body = |bench: &Bench, event: &str| bench.find(event).evicted.is_none();
    let kept: Vec<_> = ["1", "2", "3", "4", "5", "6"]
        .map(|event| with_body(&bench, event))
        .into();
    assert!(!kept[0] && kept[5] && kept.is_sorted(), "{kept:?}");
    assert!(
        ["1", "2"]
            .iter()
            .all(|event| bench.find(event).alerts[0].note.is_none()),
        "what they say is kept"
    );
    assert!(bench.metrics.store_size.get() <= 500_000);
}

#[tokio::test(start_paused = true)]
async fn one_slice_passes_over_what_is_on_its_way() {
    let mut bench = Bench::new().await;
    for number in 0..600 {
        let event = number.to_string();
        bench.append("a", LATE, &[(&event, &event)]).await;
    }
    // The turn of another source comes early.
    bench.append("b", LATE, &[("last", "last")]).await;
    bench.settle("last", accepted()).await;
    for stage in [Stage::Bodies, Stage::Events] {
        let from = 0;
        let bounds = bounds(0, 0);
        let slice = Sweep {
            stage,
            from,
            bounds,
        };
        let swept = bench.store.sweep(slice).await.unwrap();
        assert_eq!((swept.removed.by_size, swept.next), (1, None), "{stage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn space_that_is_free_goes_back_to_the_disk() {
    let mut bench = Bench::new().await;
    for number in 0..40 {
        bench
            .append_large(100_000, reading("a", &[(&number.to_string(), "k")]))
            .await;
        bench.settle(&number.to_string(), accepted()).await;
    }
    swept(&bench, HOUR * 1_000_000, 1_000_000).await;
    let bench = bench.reopen().await;
    while std::fs::metadata(file(bench.dir())).unwrap().len() > 1_100_000 {
        swept(&bench, HOUR * 1_000_000, 1_000_000).await;
        // The log is folded in when there is enough of it, or at the end.
        if bench.store.spare_bytes() <= 50_000 {
            break;
        }
    }
    let bench = bench.reopen().await;
    let bytes = std::fs::metadata(file(bench.dir())).unwrap().len();
    assert!(bytes <= 1_100_000, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn operator_is_told_before_the_first_identity_is_forgotten() {
    let mut bench = Bench::new().await;
    for number in 0..100 {
        bench
            .append("a", number, &[(&number.to_string(), &number.to_string())])
            .await;
        bench.settle(&number.to_string(), accepted()).await;
    }
    let within = |identities: u64| Retention {
        age: HOUR * 1_000_000,
        size: u64::MAX,
        identities: identities * IDENTITY_BYTES,
        operator_destination: Some("ops".to_owned()),
    };
    let told = |bench: &Bench| {
        let due = bench
            .store
            .due_reader()
            .unwrap()
            .due("ops", i64::MAX, &HashSet::new(), 9)
            .unwrap();
        due.into_iter()
            .map(|due| due.alert.event.key().to_owned())
            .collect::<Vec<_>>()
    };
    swept_within(&bench, within(112)).await;
    assert_eq!((told(&bench), removed(&bench, "size")), (vec![], 0));
    swept_within(&bench, within(105)).await;
    assert_eq!(
        (told(&bench), removed(&bench, "size")),
        (vec!["identities-full".to_owned()], 0)
    );
    swept_within(&bench, within(50)).await;
    // The alert that told of it is one, too.
    assert_eq!((told(&bench).len(), removed(&bench, "size")), (1, 51));
    assert_eq!(
        bench.append("a", 100, &[("0", "0")]).await.accepted,
        1,
        "the oldest is forgotten"
    );
    assert_eq!(bench.append("a", 100, &[("99", "99")]).await.duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn failed_requests_that_nobody_proved_are_bounded() {
    let mut bench = Bench::new().await;
    let unproven = |count, bytes| {
        let unproven = Some(UnprovenBounds { count, bytes });
        Reading::Failed(Failure {
            reason: "trap".into(),
            notice: None,
            unproven,
        })
    };
    for _ in 0..3 {
        bench.append_large(1000, unproven(3, 1_000_000)).await;
    }
    for bounds in [(3, 1_000_000), (99, 4000)] {
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            body: vec![0; 1000].into(),
            ..bench.request("a", LATE)
        };
        let refused = bench
            .store
            .append(request, unproven(bounds.0, bounds.1))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Unproven(source)) if source == "a"),
            "{bounds:?}"
        );
    }
    let request = bench.request("b", LATE);
    bench
        .store
        .append(request, unproven(3, 1_000_000))
        .await
        .unwrap();
    bench
        .append_large(1000, Reading::Failed("trap".into()))
        .await;
    assert_eq!(
        bench.metrics.requests_failed.get(),
        5,
        "those of others, and those that were proved, are not bounded"
    );
    bench.wait_until(2 * LATE).await;
    swept(&bench, Duration::ZERO, u64::MAX).await;
    assert_eq!(
        bench.metrics.requests_failed.get(),
        1,
        "by age those go that nobody proved"
    );
    bench.append_large(1000, unproven(3, 1_000_000)).await;
    assert!(
        check(&file(bench.dir()), Depth::IntegrityCheck)
            .unwrap()
            .whole
    );
}
