//! A disk that lied: the log is cut, or holds other bytes than were written. What is left is the
//! store as it was at some moment before, whole.

use std::fs;

use super::*;

/// The content of a store: requests, alerts, and the number of delivered ones.
type Holding = (usize, usize, i64);

/// A way to damage the log.
fn spoil(log: &mut Vec<u8>, random: &mut fastrand::Rng) -> (&'static str, usize) {
    let at = random.usize(..log.len());
    let how = match random.u8(..5) {
        0 | 1 => {
            log.truncate(at);
            "cut"
        }
        2 => {
            log[at] ^= 1 << random.u8(..8);
            "a bit flipped"
        }
        3 => {
            let sector = at / 512 * 512;
            let end = (sector + 512 * random.usize(1..40)).min(log.len());
            log[sector..end].fill(0);
            "sectors never written"
        }
        _ => {
            let end = (at + random.usize(1..100_000)).min(log.len());
            log[at..end]
                .iter_mut()
                .for_each(|byte| *byte = random.u8(..));
            "garbage"
        }
    };
    (how, at)
}

fn holding(store: &Store, metrics: &Metrics) -> Holding {
    let history = store.history().unwrap();
    let lines = history
        .list(&Filter {
            limit: 10_000,
            ..Filter::default()
        })
        .unwrap();
    let requests: HashSet<_> = lines.iter().map(|line| &line.request).collect();
    let delivered = metrics
        .alerts
        .get_or_create(&crate::metrics::StateLabel { state: "delivered" })
        .get();
    (
        requests.len(),
        lines.iter().filter(|line| line.event_id.is_some()).count(),
        delivered,
    )
}

/// Opens a store with this log, and gives what it holds once it has been found whole.
async fn opened(dir: &TempDir, main: &[u8], log: &[u8]) -> (Bench, Holding) {
    let fresh = tempfile::tempdir_in(dir.path()).unwrap();
    let path = file(fresh.path());
    fs::write(&path, main).unwrap();
    fs::write(files::log(&path), log).unwrap();
    let bench = Bench::open(fresh, Clock::at(0)).await;
    let report = check(&path, Depth::IntegrityCheck).unwrap();
    assert!(report.whole, "{:?}", report.findings);
    let holding = holding(&bench.store, &bench.metrics);
    (bench, holding)
}

#[tokio::test(start_paused = true)]
async fn damaged_log_opens_as_the_store_of_an_earlier_moment() {
    let mut random = random();
    let mut bench = Bench::new().await;
    let mut moments = vec![holding(&bench.store, &bench.metrics)];
    let mut events = Vec::new();
    for number in 0..50 {
        let ids: Vec<_> = (0..random.usize(1..4))
            .map(|place| format!("{number}-{place}"))
            .collect();
        let pairs: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        bench.append("a", number, &pairs).await;
        moments.push(holding(&bench.store, &bench.metrics));
        if random.bool() {
            bench.settle(&ids[0], accepted()).await;
            moments.push(holding(&bench.store, &bench.metrics));
        }
        events.extend(ids);
    }
    let path = file(bench.dir());
    let main = fs::read(&path).unwrap();
    let whole = fs::read(files::log(&path)).unwrap();
    assert_eq!(
        holding(
            &opened(&bench.ground.dir, &main, &whole).await.0.store,
            &bench.metrics
        ),
        *moments.last().unwrap()
    );

    let mut lost = 0;
    for _ in 0..200 {
        let mut log = whole.clone();
        let (how, at) = spoil(&mut log, &mut random);
        let (mut left, held) = opened(&bench.ground.dir, &main, &log).await;
        let moment = moments.iter().position(|moment| *moment == held);
        assert!(
            moment.is_some(),
            "{how} at {at} of {}: {held:?} is no moment of {moments:?}",
            whole.len()
        );
        lost += usize::from(moment != Some(moments.len() - 1));
        // Sent again, each event is accepted or known: none is there twice.
        let again: Vec<_> = events
            .iter()
            .map(|event| (event.as_str(), event.as_str()))
            .collect();
        left.requests = 1_000_000;
        let appended = left.append("a", 99, &again).await;
        assert_eq!(
            (appended.accepted, appended.duplicates),
            (events.len() - held.1, held.1),
            "{how} at {at}"
        );
        drop(left.store);
        left.closing.close().await;
    }
    assert!(lost > 100, "only {lost} of 200 did any harm");
    let (_, nothing) = opened(&bench.ground.dir, &main, &[]).await;
    assert_eq!(nothing, (0, 0, 0));
}
