//! Internal alerts are kept like all others, and fire once.

use super::*;
use crate::alert::internal::{self, Topic};
use crate::config::OWN_SOURCE;

const HOUR: i64 = 60 * 60 * 1000;

fn notice(event: contract::Alert, at_ms: i64) -> Notice {
    Notice {
        destination: DESTINATION.into(),
        event,
        at_ms,
    }
}

fn held(at_ms: i64) -> Notice {
    notice(internal::destination_held("d", "401"), at_ms)
}

fn well(at_ms: i64) -> Notice {
    notice(Topic::DestinationHeld.resolves("d"), at_ms)
}

impl Bench {
    /// Appends a request of `a` that its plugin failed on.
    pub(super) async fn fail(&mut self, at: i64) -> String {
        let request = self.request("a", at);
        let id = request.id.clone();
        let notice = notice(
            internal::plugin_failed("a", "p", "trap", "Fix it.", &id),
            at,
        );
        let reading = Reading::Failed(Failure {
            reason: "trap".into(),
            notice: Some(Box::new(notice)),
            unproven: None,
        });
        assert_eq!(
            self.store.append(request, reading).await.unwrap(),
            Appended {
                accepted: 0,
                duplicates: 0
            }
        );
        id
    }

    /// Has a failed request read again, as `reading`.
    async fn read_again(&self, id: &str, reading: Reading) {
        let seq = self.find(id).seq;
        ask_for(
            self.dir(),
            &JobKind::Replay,
            &[JobTarget::request(seq)],
            &asked(5),
        )
        .unwrap();
        let job = self.store.due_reader().unwrap().jobs().unwrap()[0].id;
        let reread = Reread {
            job,
            seq,
            source: "a".into(),
            at_ms: 9,
            plugin: self.plugin,
            reading,
        };
        self.store.finish_replay(reread).await.unwrap();
    }

    /// Delivers everything until nothing is due. Returns keys, each with whether it opens.
    async fn deliver(&self) -> Vec<(String, bool)> {
        self.deliver_to(DESTINATION).await
    }

    async fn deliver_to(&self, destination: &str) -> Vec<(String, bool)> {
        let mut delivered = Vec::new();
        loop {
            let due = self
                .store
                .due_reader()
                .unwrap()
                .due(destination, i64::MAX, &HashSet::new(), 1)
                .unwrap();
            let Some(due) = due.into_iter().next() else {
                return delivered;
            };
            let event = due.alert.event.clone();
            delivered.push((event.key().to_owned(), event.status == Status::Trigger));
            self.store
                .settle(settlement(due.id, 1, None, accepted()))
                .await
                .unwrap();
        }
    }
}

fn opens(key: &str) -> (String, bool) {
    (key.to_owned(), true)
}

fn ends(key: &str) -> (String, bool) {
    (key.to_owned(), false)
}

#[tokio::test(start_paused = true)]
async fn fallback_of_a_rejected_internal_alert_is_told_of_its_end() {
    let bench = Bench::new().await;
    let held_event = held(0).event;
    let key = held_event.key();
    for at in [0, 2] {
        bench.store.tell(held(at)).await.unwrap();
        let mut reader = bench.store.due_reader().unwrap();
        let due = reader.due(DESTINATION, 9, &HashSet::new(), 1).unwrap();
        let mut settled = settlement(due[0].id, 1, Some(400), rejected());
        settled.fallback = Some("fallback".to_owned());
        bench.store.settle(settled).await.unwrap();
        bench.store.tell(well(at + 1)).await.unwrap();
        assert_eq!(bench.deliver_to("fallback").await, [opens(key), ends(key)]);
        assert_eq!(bench.deliver().await, [ends(key)]);
    }
    // What the destination takes is its own matter.
    bench.store.tell(held(4)).await.unwrap();
    bench.store.tell(well(5)).await.unwrap();
    assert_eq!(bench.deliver().await, [opens(key), ends(key)]);
    assert!(bench.deliver_to("fallback").await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_an_alert_of_a_request_that_nobody_sent() {
    let bench = Bench::new().await;
    assert!(bench.store.tell(held(7)).await.unwrap());
    let bench = bench.reopen().await;
    let due = bench
        .store
        .due_reader()
        .unwrap()
        .due(DESTINATION, LATE, &HashSet::new(), 9)
        .unwrap()
        .remove(0);
    assert_eq!(
        (&*due.alert.source, due.alert.event.key()),
        (OWN_SOURCE, "destination-held/d")
    );
    let kept = bench.find(&due.alert.event.event_id);
    assert_eq!(
        (kept.source.as_str(), kept.plugin.as_str(), &kept.id),
        (OWN_SOURCE, OWN_SOURCE, &due.alert.request)
    );
    let line = bench
        .store
        .history()
        .unwrap()
        .list(&Filter {
            limit: 9,
            ..Filter::default()
        })
        .unwrap()
        .remove(0);
    assert_eq!(
        (line.source.as_str(), line.state.as_str()),
        (OWN_SOURCE, "pending")
    );
    assert_eq!(bench.total("pending"), 1);
}

#[tokio::test(start_paused = true)]
async fn open_internal_alert_fires_hourly_and_resolves_once() {
    let bench = Bench::new().await;
    assert!(
        !bench.store.tell(well(1)).await.unwrap(),
        "there is nothing to end"
    );
    for (at, news) in [
        (0, true),
        (1, false),
        (HOUR - 1, false),
        (HOUR, true),
        (HOUR - 5, false),
    ] {
        assert_eq!(bench.store.tell(held(at)).await.unwrap(), news, "{at}");
    }
    let bench = bench.reopen().await;
    assert!(
        !bench.store.tell(held(HOUR + 1)).await.unwrap(),
        "a restart is no news"
    );
    let told = bench.store.snapshot().unwrap().told().unwrap();
    assert_eq!(
        told,
        [Told {
            key: "destination-held/d".into(),
            destination: DESTINATION.into()
        }]
    );
    assert!(
        bench
            .store
            .tell(Notice {
                destination: "elsewhere".into(),
                ..well(HOUR + 2)
            })
            .await
            .unwrap()
    );
    assert!(!bench.store.tell(well(HOUR + 3)).await.unwrap());
    assert!(
        bench.store.tell(held(HOUR + 4)).await.unwrap(),
        "it is wrong again"
    );
    let key = "destination-held/d";
    assert_eq!(
        bench.deliver().await,
        [opens(key), opens(key), ends(key), opens(key)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_told_elsewhere_is_ended_where_it_was_told_before() {
    let mut bench = Bench::new().await;
    let elsewhere = |notice: Notice| Notice {
        destination: "elsewhere".into(),
        ..notice
    };
    bench.store.tell(elsewhere(held(0))).await.unwrap();
    assert!(
        bench.store.tell(held(1)).await.unwrap(),
        "here it is news, within the hour too"
    );
    bench.store.tell(well(2)).await.unwrap();
    // A plugin's, which is kept with its request.
    bench.fail(3).await;
    let mut failed = bench.request("a", HOUR);
    failed.id = "late".into();
    let notice = elsewhere(notice(
        internal::plugin_failed("a", "p", "trap", "Fix it.", "late"),
        HOUR,
    ));
    let reading = Reading::Failed(Failure {
        reason: "trap".into(),
        notice: Some(Box::new(notice)),
        unproven: None,
    });
    bench.store.append(failed, reading).await.unwrap();
    let held = "destination-held/d";
    let failed = "plugin-failed/a";
    assert_eq!(
        bench.deliver().await,
        [opens(held), ends(held), opens(failed), ends(failed)]
    );
    assert_eq!(
        bench.deliver_to("elsewhere").await,
        [opens(held), ends(held), opens(failed)]
    );
    let told = bench.store.snapshot().unwrap().told().unwrap();
    assert_eq!(
        told,
        [Told {
            key: failed.into(),
            destination: "elsewhere".into()
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn internal_alerts_do_not_count_as_alerts_of_senders() {
    let mut bench = Bench::new().await;
    bench.store.tell(held(0)).await.unwrap();
    let waiting = |bench: &Bench| {
        bench
            .store
            .snapshot()
            .unwrap()
            .count_waiting_for(DESTINATION)
            .unwrap()
    };
    assert_eq!(waiting(&bench), 0);
    bench.append("a", 1, &[("1", "1")]).await;
    assert_eq!(waiting(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_has_no_end() {
    let bench = Bench::new().await;
    bench.store.tell(held(0)).await.unwrap();
    let told = |destination: &str| Told {
        key: "destination-held/d".into(),
        destination: destination.into(),
    };
    bench.store.forget(told("elsewhere")).await.unwrap();
    assert_eq!(
        bench.store.snapshot().unwrap().told().unwrap(),
        [told(DESTINATION)],
        "it was told here"
    );
    bench.store.forget(told(DESTINATION)).await.unwrap();
    assert!(!bench.store.tell(well(1)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn failing_plugin_fires_hourly_with_the_request_itself() {
    let mut bench = Bench::new().await;
    for at in 0..50 {
        bench.fail(at).await;
    }
    let late = bench.fail(HOUR).await;
    let due = bench
        .store
        .due_reader()
        .unwrap()
        .due(DESTINATION, i64::MAX, &HashSet::new(), 9)
        .unwrap();
    assert_eq!(
        due.len(),
        1,
        "the second waits for the first, as both have one key"
    );
    assert_eq!(
        (due[0].alert.request.as_str(), due[0].alert.source.as_str()),
        ("request-1", OWN_SOURCE)
    );
    assert_eq!(
        (bench.total("pending"), bench.metrics.requests_failed.get()),
        (2, 51)
    );
    let first = bench.find("request-1");
    assert_eq!(
        (first.state.as_str(), first.duplicates, first.alerts.len()),
        ("failed", 0, 1)
    );
    assert_eq!(first.alerts[0].source, OWN_SOURCE);
    assert!(bench.find("request-2").alerts.is_empty());
    let last = bench.find(&late).alerts.remove(0).event;
    let message = last.message.unwrap();
    assert!(
        message.contains(&format!("events replay {late}")),
        "{message}"
    );
    assert!(message.ends_with("that wait now: 51."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_the_failed_request_and_what_was_told_of_it() {
    let mut bench = Bench::new().await;
    bench.fail(10).await;
    bench.fail(20).await;
    let history = bench.store.history().unwrap();
    let list = |filter: Filter| -> Vec<(String, String)> {
        let lines = history.list(&filter).unwrap();
        lines
            .into_iter()
            .map(|line| (line.source, line.state))
            .collect()
    };
    let pair = |source: &str, state: &str| (source.to_owned(), state.to_owned());
    let all = Filter {
        limit: 10,
        ..Filter::default()
    };
    let own = pair(OWN_SOURCE, "pending");
    let failed = pair("a", "failed");
    assert_eq!(
        list(all.clone()),
        [failed.clone(), own.clone(), failed.clone()]
    );
    assert_eq!(
        list(Filter {
            source: Some("a".into()),
            ..all.clone()
        }),
        list(all.clone())
    );
    assert_eq!(
        list(Filter {
            source: Some(OWN_SOURCE.into()),
            ..all.clone()
        }),
        std::slice::from_ref(&own)
    );
    assert_eq!(
        list(Filter {
            state: Some(ListedState::Failed),
            ..all.clone()
        }),
        [failed.clone(), failed.clone()]
    );
    assert_eq!(
        list(Filter {
            state: Some(ListedState::Pending),
            ..all.clone()
        }),
        [own]
    );
    assert_eq!(list(Filter { limit: 2, ..all }).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn last_failed_request_read_resolves_after_earlier_alerts() {
    let mut bench = Bench::new().await;
    let early = bench.fail(0).await;
    let late = bench.fail(HOUR).await;
    bench
        .read_again(&late, Reading::Failed("trap".into()))
        .await;
    bench
        .read_again(&late, Reading::Ignored("nobody".into()))
        .await;
    bench.read_again(&early, reading("a", &[("1", "1")])).await;
    assert_eq!(bench.metrics.requests_failed.get(), 0);
    let key = "plugin-failed/a";
    let mut delivered = bench.deliver().await;
    delivered.retain(|(delivered, _)| delivered == key);
    assert_eq!(delivered, [opens(key), opens(key), ends(key)]);
    // And what fails after that is told at once.
    bench.fail(HOUR + 1).await;
    assert_eq!(bench.deliver().await, [opens(key)]);
}

#[tokio::test(start_paused = true)]
async fn full_answer_of_alerts_stands_beside_internal_alerts() {
    let mut bench = Bench::new().await;
    let failed = bench.fail(0).await;
    let words: Vec<_> = (0..contract::MAX_ALERTS)
        .map(|number| number.to_string())
        .collect();
    let events: Vec<_> = words
        .iter()
        .map(|word| (word.as_str(), word.as_str()))
        .collect();
    bench.read_again(&failed, reading("a", &events)).await;
    let alerts = bench.find(&failed).alerts;
    assert_eq!(alerts.len(), contract::MAX_ALERTS + 1);
    assert_eq!(alerts.last().unwrap().source, OWN_SOURCE);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_goes_when_its_request_goes() {
    let mut bench = Bench::new().await;
    let failed = bench.fail(0).await;
    bench.append("a", 1, &[("1", "1")]).await;
    bench.deliver().await;
    assert_eq!(
        retain(&bench, i64::MAX).await,
        0,
        "a failed request stays, with what was told of it"
    );
    assert_eq!(bench.find(&failed).alerts.len(), 1);
    bench
        .read_again(&failed, Reading::Ignored("nobody".into()))
        .await;
    assert_eq!(retain(&bench, i64::MAX).await, 2);
    assert!(
        bench
            .store
            .history()
            .unwrap()
            .find(&failed)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        (bench.total("delivered"), bench.total("pending")),
        (0, 1),
        "the end of it is still to be delivered"
    );
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_stored_beside_the_number_of_failures() {
    let mut bench = Bench::new().await;
    bench.fail(0).await;
    let seen = |source: &str, last_seen, silence| Seen {
        source: source.into(),
        last_seen,
        silence: Duration::from_millis(silence),
    };
    bench
        .store
        .remember(vec![seen("a", Some(5), 10), seen("b", None, 20)])
        .await
        .unwrap();
    bench
        .store
        .remember(vec![seen("b", Some(6), 0)])
        .await
        .unwrap();
    let bench = bench.reopen().await;
    let snapshot = bench.store.snapshot().unwrap();
    assert_eq!(
        snapshot.seen().unwrap(),
        [seen("a", Some(5), 10), seen("b", Some(6), 0)]
    );
    let request = bench.find("request-1").id;
    bench
        .read_again(&request, Reading::Ignored("nobody".into()))
        .await;
    assert_eq!(
        bench.deliver().await,
        [opens("plugin-failed/a"), ends("plugin-failed/a")],
        "none waits any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_announced_and_counted_by_destination() {
    let mut bench = Bench::new().await;
    let mut dead = bench.store.dead();
    bench.append("a", 1, &[("1", "1"), ("2", "2")]).await;
    assert_eq!(*dead.borrow_and_update(), 0);
    bench.settle("1", rejected()).await;
    assert_eq!(
        (dead.has_changed().unwrap(), *dead.borrow_and_update()),
        (true, 1)
    );
    bench.settle("2", later(5)).await;
    assert!(!dead.has_changed().unwrap(), "the others are no news");
    assert_eq!(
        bench.store.snapshot().unwrap().dead().unwrap(),
        [(DESTINATION.to_owned(), 1)]
    );
}
