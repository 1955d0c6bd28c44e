//! Lists by the page: every line once, whatever the size of the page, and no walk without an end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

/// All lines, read by pages of `limit`.
fn by_pages(bench: &Bench, filter: &Filter, limit: usize) -> Vec<(i64, String, String)> {
    let history = bench.store.history().unwrap();
    let mut filter = Filter {
        limit,
        ..filter.clone()
    };
    let mut lines = Vec::new();
    loop {
        let page = history.page(&filter).unwrap();
        assert!(page.lines.len() <= limit);
        lines.extend(
            page.lines
                .into_iter()
                .map(|line| (line.place, line.state, line.title)),
        );
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return lines,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_any_size_hold_each_line_once_in_order() {
    let mut bench = Bench::new().await;
    for number in 0..20 {
        let one = format!("{number}-1");
        let two = format!("{number}-2");
        bench
            .append("a", number, &[(&one, &one), (&two, &two)])
            .await;
        if number % 7 == 0 {
            bench.fail(number).await;
        }
    }
    bench.settle("3-1", accepted()).await;
    bench.settle("4-1", rejected()).await;
    let states = ListedState::ALL.map(Some).into_iter().chain([None]);
    for state in states {
        let filter = Filter {
            state,
            ..Filter::default()
        };
        let whole = by_pages(&bench, &filter, 1000);
        assert!(whole.is_sorted_by(|one, next| one.0 > next.0), "{state:?}");
        for limit in [1, 2, 3, 7, 1000] {
            assert_eq!(by_pages(&bench, &filter, limit), whole, "{state:?} {limit}");
        }
    }
    let history = bench.store.history().unwrap();
    for source in [None, Some("a"), Some("alert-gateway"), Some("nope")] {
        let filter = Filter {
            source: source.map(str::to_owned),
            until_ms: Some(19),
            ..Filter::default()
        };
        for count in history.counts(&filter).unwrap() {
            let of_state = Filter {
                state: count.state,
                ..filter.clone()
            };
            let lines = by_pages(&bench, &of_state, 1000).len() as i64;
            assert_eq!(
                (count.events, count.is_at_least),
                (lines, false),
                "{source:?} {count:?}"
            );
        }
    }
    let all = by_pages(&bench, &Filter::default(), 5);
    // The first failed request has the internal alert beside it.
    assert_eq!(all.len(), 40 + 3 + 1);
    assert_eq!(
        all.iter().map(|line| line.0).collect::<BTreeSet<_>>().len(),
        44
    );
}

#[tokio::test(start_paused = true)]
async fn walk_beyond_a_window_finds_the_rare_line() {
    let mut bench = Bench::new().await;
    bench.append("rare", 1, &[("needle", "k")]).await;
    for number in 0..1100 {
        bench.append("a", 2, &[(&format!("h{number}"), "h")]).await;
    }
    for filter in [
        Filter {
            source: Some("rare".into()),
            ..Filter::default()
        },
        Filter {
            text: Some("needle".into()),
            ..Filter::default()
        },
        Filter {
            text: Some("NEEDL".into()),
            ..Filter::default()
        },
    ] {
        let found = by_pages(&bench, &filter, 10);
        assert_eq!(found.len(), 1, "{filter:?}");
    }
    // Without patience each page is a window, and the last one has the line.
    let mut hasty = Filter {
        source: Some("rare".into()),
        patience: Some(Duration::ZERO),
        limit: 10,
        ..Filter::default()
    };
    let history = bench.store.history().unwrap();
    let mut pages = 0;
    loop {
        let page = history.page(&hasty).unwrap();
        pages += 1;
        match page.next {
            Some(next) => {
                assert!(page.lines.is_empty());
                hasty.before = Some(next);
            }
            None => {
                assert_eq!(page.lines.len(), 1);
                break;
            }
        }
    }
    assert_eq!(pages, 3);
    // A count that has no time left is one of what was found until then.
    hasty.source = None;
    for count in history.counts(&hasty).unwrap() {
        let newest = matches!(count.state, None | Some(ListedState::Pending));
        assert_eq!(count.events > 0, newest, "{count:?}");
        assert!(count.events <= 501, "{count:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn labels_times_and_texts_narrow_a_list() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let mut bench = Bench::new().await;
    for (number, label) in [(1, "30003"), (2, "30007"), (3, "30003")] {
        let request = bench.request("a", number * 10 * DAY);
        let title = format!("100%_of \"{number}\" é");
        let mut event = contract::Alert::new(number.to_string(), Priority::High, title);
        event.labels.insert("error_code".into(), label.into());
        let alert = Alert {
            source: "a".into(),
            request: "r".into(),
            received_at: "x".into(),
            event,
        };
        let alerts = vec![NewAlert::new(&alert, [DESTINATION]).unwrap()];
        bench
            .store
            .append(request, Reading::alerts(alerts))
            .await
            .unwrap();
    }
    let titles = |filter: Filter| -> Vec<String> {
        by_pages(&bench, &filter, 10)
            .into_iter()
            .map(|line| {
                line.2
                    .chars()
                    .filter(char::is_ascii_digit)
                    .skip(3)
                    .collect()
            })
            .collect()
    };
    let text = |text: &str| Filter {
        text: Some(text.to_owned()),
        ..Filter::default()
    };
    let label = |value: &str| Filter {
        labels: vec![("error_code".to_owned(), value.to_owned())],
        ..Filter::default()
    };
    assert_eq!(titles(label("30003")), ["3", "1"]);
    assert_eq!(titles(label("3000")), [""; 0]);
    assert_eq!(titles(text("error_code=30007")), ["2"]);
    assert_eq!(titles(text("100%_OF")), ["3", "2", "1"]);
    assert_eq!(titles(text("100x_of")), [""; 0]);
    assert_eq!(titles(text("\"2\"")), ["2"]);
    assert_eq!(titles(text("É")), ["3", "2", "1"]);
    // A key of the JSON is not what anybody looks for.
    assert_eq!(titles(text("event_id")), [""; 0]);
    assert_eq!(titles(text("2")), ["2"], "an id comes first");
    let times = |since_ms, until_ms| Filter {
        since_ms,
        until_ms,
        ..Filter::default()
    };
    assert_eq!(titles(times(20 * DAY, None)), ["3", "2"]);
    assert_eq!(titles(times(i64::MIN, Some(20 * DAY))), ["1"]);
    assert_eq!(titles(times(20 * DAY, Some(20 * DAY + 1))), ["2"]);
    assert_eq!(titles(times(31 * DAY, None)), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn job_asked_for_twice_is_listed_and_audited_once() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("1", "1")]).await;
    bench.settle("1", rejected()).await;
    let seq = bench.find("1").seq;
    let target = vec![JobTarget::request(seq)];
    for (kind, expected) in [
        (JobKind::Replay, 1),
        (JobKind::Replay, 0),
        (JobKind::Dismiss { why: "old".into() }, 1),
    ] {
        let asked = bench
            .store
            .ask_for(kind, target.clone(), asked(5))
            .await
            .unwrap();
        assert_eq!(asked, expected);
    }
    let history = bench.store.history().unwrap();
    assert_eq!(history.audit(None, 10).unwrap().len(), 2);
    let (newest, _) = history.audit(None, 1).unwrap()[0].clone();
    assert_eq!(history.audit(Some(newest), 10).unwrap().len(), 1);
    assert_eq!(history.totals().unwrap().dead, 1);
    assert_eq!(history.backlog().unwrap(), (Vec::new(), false));
    assert_eq!(history.dead().unwrap(), [("itoc360".to_owned(), 1)]);
    assert_eq!(
        history.attempted(10).unwrap()[0].attempt.outcome,
        "rejected"
    );
}

#[tokio::test(start_paused = true)]
async fn backlog_counts_what_waits_and_names_the_oldest() {
    let mut bench = Bench::new().await;
    for number in 1..=3 {
        let event = number.to_string();
        bench.append("a", number * 1000, &[(&event, &event)]).await;
    }
    let history = bench.store.history().unwrap();
    assert!(history.is_stuck(1001).unwrap());
    assert!(!history.is_stuck(1000).unwrap());
    let (backlog, is_cut) = history.backlog().unwrap();
    let expected = Backlog {
        destination: DESTINATION.to_owned(),
        pending: 3,
        oldest: "1970-01-01T00:00:01.000Z".to_owned(),
        waits_since: backlog[0].waits_since,
    };
    assert!(expected.waits_since.is_some());
    assert_eq!((backlog, is_cut), (vec![expected], false));
    assert_eq!(history.last_receipts().unwrap(), []);
    bench.settle("1", accepted()).await;
    let history = bench.store.history().unwrap();
    assert!(!history.is_stuck(1001).unwrap());
    assert_eq!(history.last_receipts().unwrap().len(), 1);
}

#[test]
fn no_list_looks_at_more_than_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let (store, closing) = Store::open(
        folder.path(),
        &Options {
            sync: false,
            clock: Some(Clock::at(0)),
            ..Options::default()
        },
        Metrics::new(),
    )
    .unwrap();
    let history = store.history().unwrap();
    for state in ListedState::ALL.map(Some).into_iter().chain([None]) {
        let filter = Filter {
            state,
            labels: vec![("a".to_owned(), "b".to_owned())],
            text: Some("text".to_owned()),
            since_ms: 0,
            until_ms: Some(i64::MAX),
            limit: 10,
            ..Filter::default()
        };
        for step in history.plan(&filter).unwrap() {
            // The window of deliveries is read once, and then walked as it is.
            let scans = step.starts_with("SCAN") && step != "SCAN walked";
            assert!(!scans, "{state:?}: {step}");
        }
    }
    drop((store, closing));
}

#[tokio::test(start_paused = true)]
async fn list_of_a_key_finds_its_events_page_by_page() {
    let mut bench = Bench::new().await;
    for request in 0..6 {
        let events: Vec<_> = (0..1000)
            .map(|number| (format!("{request}-{number}"), (number % 500).to_string()))
            .collect();
        let events: Vec<_> = events.iter().map(|(id, key)| (&**id, &**key)).collect();
        bench.append("a", request + 1, &events).await;
    }
    bench.append("b", 7, &[("other", "7")]).await;
    let history = bench.store.history().unwrap();
    for (patience, limit) in [(None, 100), (None, 5), (Some(Duration::ZERO), 5)] {
        let mut filter = Filter {
            source: Some("a".to_owned()),
            key: Some("7".to_owned()),
            since_ms: i64::MIN,
            limit,
            patience,
            ..Filter::default()
        };
        let mut found = Vec::new();
        loop {
            let page = history.page(&filter).unwrap();
            found.extend(page.lines.into_iter().filter_map(|line| line.event_id));
            filter.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        let expected = (0..6).rev();
        let expected = expected.flat_map(|request| [507, 7].map(|n| format!("{request}-{n}")));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{patience:?} {limit}");
    }
    let counts = history
        .counts(&Filter {
            source: Some("a".to_owned()),
            key: Some("7".to_owned()),
            since_ms: i64::MIN,
            ..Filter::default()
        })
        .unwrap();
    assert_eq!((counts[0].state, counts[0].events), (None, 12));
}

#[tokio::test(start_paused = true)]
async fn list_ends_at_the_place_from_which_it_is_wanted() {
    let mut bench = Bench::new().await;
    let history = bench.store.history().unwrap();
    assert_eq!(history.place_behind(0).unwrap(), None);
    for number in 0..1200 {
        let id = format!("{number}");
        bench.append("a", 1, &[(&id, &id)]).await;
    }
    let (place, at) = history.place_behind(2).unwrap().unwrap();
    assert_eq!(at, crate::clock::rfc3339(1));
    let filter = Filter {
        from: Some(place),
        limit: 100,
        since_ms: i64::MIN,
        ..Filter::default()
    };
    let page = history.page(&filter).unwrap();
    let found: Vec<_> = page.lines.iter().map(|line| line.title.clone()).collect();
    assert_eq!((found.len(), page.next), (3, None), "{found:?}");
    let rare = Filter {
        text: Some("1197".to_owned()),
        ..filter.clone()
    };
    assert_eq!(history.page(&rare).unwrap().lines.len(), 1);
    let older = Filter {
        text: Some("1196".to_owned()),
        ..filter
    };
    assert_eq!(history.page(&older).unwrap().lines.len(), 0);
    assert_eq!(history.place_behind(1200).unwrap(), None);
}
