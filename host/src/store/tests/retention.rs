//! What retention removes, keeps and tells.

use std::time::Duration;

use crate::metrics::CauseLabel;

use super::*;

async fn swept(bench: &Bench, age: Duration, size: u64) {
    let (stop, stopped) = watch::channel(false);
    let sweeping = tokio::spawn(keep_within(bench.store.clone(), age, size, bench.metrics.clone(), stopped));
    let metrics = bench.metrics.clone();
    // The first sweep is made at once; the log's size is the last thing that it tells.
    while metrics.retention_last_sweep.get() == 0.0 || metrics.store_log_size.get() == 0 {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    sweeping.await.unwrap();
}

fn removed(bench: &Bench, cause: &'static str) -> u64 {
    bench.metrics.retention_removed.get_or_create(&CauseLabel { cause }).get()
}

#[tokio::test(start_paused = true)]
async fn a_sweep_counts_what_it_removes_by_age_and_by_size_and_what_is_in_use() {
    let mut bench = Bench::new().await;
    let now = wall_ms();
    for (at, event) in [(1, "old"), (2, "older"), (now, "young"), (now, "newest")] {
        bench.append("a", at, &[(event, event)]).await;
        let due = bench.due(i64::MAX)[0].0;
        bench.store.settle(settlement(due, at, Some(200), accepted())).await.unwrap();
    }
    swept(&bench, Duration::from_secs(3600), u64::MAX).await;
    assert_eq!((removed(&bench, "age"), removed(&bench, "size"), bench.total("delivered")), (2, 0, 2));
    let (bytes, swept_at) = (bench.metrics.store_size.get(), bench.metrics.retention_last_sweep.get());
    assert!(bytes > 8192 && swept_at >= now as f64 / 1000.0, "{bytes} {swept_at}");
    let bench = bench.reopen().await;
    swept(&bench, Duration::from_secs(3600), 1).await;
    assert_eq!((removed(&bench, "age"), removed(&bench, "size"), bench.total("delivered")), (0, 1, 1));
    let text = bench.metrics.encode();
    for name in [
        "gateway_retention_removed_requests_total{cause=\"size\"} 1",
        "gateway_retention_last_sweep_timestamp_seconds 1",
        "gateway_store_size_bytes ",
        "gateway_store_log_size_bytes ",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_delivered_stays_whatever_the_size_and_the_age() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("pending", "1")]).await;
    bench.append("a", 2, &[("refused", "2")]).await;
    bench.settle("refused", refused()).await;
    for _ in 0..2 {
        let raw = bench.request("a", 3);
        bench.store.append(raw, Reading::Failed("trap".into())).await.unwrap();
    }
    swept(&bench, Duration::ZERO, 1).await;
    assert_eq!((removed(&bench, "age"), removed(&bench, "size")), (0, 0));
    assert_eq!((bench.total("pending"), bench.total("set_aside"), bench.metrics.requests_failed.get()), (1, 1, 2));
    assert!(bench.metrics.store_size.get() > 1, "which is more than it may be");
    assert!(check(&file(bench.dir.path()), Depth::IntegrityCheck).unwrap().whole);
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_keeps_half_of_the_size_whatever_is_not_delivered() {
    let mut bench = Bench::new().await;
    let append = async |bench: &mut Bench, bytes: usize, reading: Reading| {
        let request = NewRequest { body: vec![0; bytes].into(), ..bench.request("a", LATE) };
        bench.store.append(request, reading).await.unwrap()
    };
    for event in ["1", "2", "3", "4", "5", "6"] {
        append(&mut bench, 10_000, reading("a", &[(event, event)])).await;
        bench.settle(event, accepted()).await;
    }
    append(&mut bench, 1_000_000, Reading::Failed("trap".into())).await;
    for _ in 0..2 {
        swept(&bench, Duration::from_secs(u32::MAX.into()), 70_000).await;
        assert_eq!((removed(&bench, "size"), bench.total("delivered"), bench.metrics.requests_failed.get()), (3, 3, 1));
        bench.metrics.retention_last_sweep.set(0.0);
    }
    for event in ["1", "6"] {
        let appended = append(&mut bench, 10_000, reading("a", &[(event, "new")])).await;
        assert_eq!(appended.duplicates, usize::from(event == "6"), "the newest are known still");
    }
}
