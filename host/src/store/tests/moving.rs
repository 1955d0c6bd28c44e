//! A store that is moved into a database and back.

use std::sync::Arc;

use super::super::shared::{to_database, to_file};
use super::super::{Location, SharedStore};
use super::*;

fn shared(ground: &Ground) -> Arc<SharedStore> {
    match ground.location() {
        Location::Postgres(shared) => shared,
        Location::Folder(_) => panic!("it is in a folder"),
    }
}

/// Closes a store. Returns its place.
async fn closed(bench: Bench) -> Ground {
    drop(bench.store);
    bench.closing.close().await;
    bench.ground
}

#[tokio::test(start_paused = true)]
async fn moved_store_goes_on_where_it_stood_and_comes_back() {
    let Some(Ground { dir, database }) = Ground::database() else {
        return;
    };
    let mut bench = Bench::open(dir, Clock::at(0)).await;
    bench
        .append(
            "a",
            1,
            &[("delivered", "1"), ("first", "2"), ("second", "2")],
        )
        .await;
    bench
        .append("b\u{1}", 2, &[("rejected\0", "3"), ("later", "4")])
        .await;
    bench.settle("delivered", accepted()).await;
    bench.settle("rejected\0", rejected()).await;
    bench.settle("later", later(500)).await;
    let raw = bench.request("a", 3);
    let failed = bench.store.append(raw, Reading::Failed("trap".into()));
    failed.await.unwrap();
    let listed = |bench: &Bench| {
        let filter = Filter {
            limit: 100,
            ..Filter::default()
        };
        bench.store.history().unwrap().list(&filter).unwrap()
    };
    let before = format!("{:?}", listed(&bench));
    let requests = bench.requests;
    let due = bench.due(LATE);

    let ground = closed(bench).await;
    let ground = Ground {
        database: database.clone(),
        ..ground
    };
    let moved = to_database(&shared(&ground)).unwrap();
    assert_eq!((moved.requests, moved.alerts, moved.pending), (3, 5, 3));
    assert!(!file(ground.dir.path()).exists() && moved.file.is_file());
    let again = to_database(&shared(&ground)).unwrap_err();
    assert!(matches!(again, StoreError::Missing(_)), "{again}");
    let mut bench = Bench {
        requests,
        ..Bench::on(ground).await
    };
    assert_eq!(format!("{:?}", listed(&bench)), before);
    assert_eq!(bench.due(LATE), due);
    let repeated = bench
        .append("a", 600, &[("delivered", "1"), ("new", "5")])
        .await;
    assert_eq!((repeated.accepted, repeated.duplicates), (1, 1));
    let running = to_file(&shared(&bench.ground)).unwrap_err();
    assert!(running.to_string().contains("gw-a"), "{running}");
    bench.settle("first", accepted()).await;
    let before = format!("{:?}", listed(&bench));
    let due = bench.due(LATE);
    let requests = bench.requests;

    let ground = closed(bench).await;
    let moved = to_file(&shared(&ground)).unwrap();
    assert_eq!((moved.requests, moved.alerts, moved.pending), (4, 6, 3));
    let location = ground.location();
    let away = Store::open(&location, &Options::default(), Metrics::new()).unwrap_err();
    assert!(away.to_string().contains("store move"), "{away}");
    let mut bench = Bench {
        requests,
        ..Bench::open(ground.dir, Clock::at(600)).await
    };
    assert_eq!(format!("{:?}", listed(&bench)), before);
    assert_eq!(bench.due(LATE), due);
    let repeated = bench.append("a", 601, &[("new", "5")]).await;
    assert_eq!((repeated.accepted, repeated.duplicates), (0, 1));
    bench.whole();

    // A file that is moved once more takes the place of what went away.
    std::fs::remove_file(bench.dir().join("gateway.db.moved")).unwrap();
    let ground = closed(bench).await;
    let ground = Ground { database, ..ground };
    let moved = to_database(&shared(&ground)).unwrap();
    assert_eq!(moved.alerts, 6);
    assert_eq!(Bench::on(ground).await.due(LATE), due);
}
