//! Random actions on the store, each compared with a model in plain memory.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Action {
    Append { source: u8, events: Vec<(u8, u8)> },
    Settle { nth: u8, verdict: Kind },
    Wait(i64),
    Requeue,
    Retain,
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Accepted,
    Later(i64),
    Blocked,
    Refused,
}

/// What the store should hold.
#[derive(Debug, Default)]
struct Model {
    known: HashSet<(u8, u8)>,
    alerts: BTreeMap<i64, Entry>,
    /// The number of the newest request that was kept.
    requests: i64,
    now: i64,
}

#[derive(Debug, Clone)]
struct Entry {
    source: u8,
    event: u8,
    key: u8,
    state: &'static str,
    /// Where it is the head of its lane.
    due_at: Option<i64>,
}

impl Model {
    fn append(&mut self, source: u8, events: &[(u8, u8)]) -> Appended {
        self.requests += 1;
        let mut appended = Appended { accepted: 0, duplicates: 0 };
        for (place, &(event, key)) in (0..).zip(events) {
            if !self.known.insert((source, event)) {
                appended.duplicates += 1;
                continue;
            }
            appended.accepted += 1;
            let due_at = (!self.lane_is_busy(source, key)).then_some(self.now);
            let id = self.requests * ALERTS_PER_REQUEST as i64 + place;
            self.alerts.insert(id, Entry { source, event, key, state: "pending", due_at });
        }
        appended
    }

    fn lane_is_busy(&self, source: u8, key: u8) -> bool {
        self.alerts.values().any(|one| one.source == source && one.key == key && one.state == "pending")
    }

    fn due(&self) -> Vec<i64> {
        let mut due: Vec<_> = self.alerts.iter().filter_map(|(id, one)| Some((one.due_at?, *id))).collect();
        due.retain(|(due_at, _)| *due_at <= self.now);
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn settle(&mut self, id: i64, kind: Kind) {
        let now = self.now;
        let alert = self.alerts.get_mut(&id).unwrap();
        (alert.state, alert.due_at) = match kind {
            Kind::Accepted => ("delivered", None),
            Kind::Refused => ("set_aside", None),
            Kind::Later(wait) => ("pending", Some(now + wait)),
            Kind::Blocked => ("pending", Some(now)),
        };
        if alert.state != "pending" {
            let (source, key) = (alert.source, alert.key);
            let mut lane = self.alerts.values_mut();
            if let Some(head) = lane.find(|one| one.source == source && one.key == key && one.state == "pending") {
                head.due_at.get_or_insert(now);
            }
        }
    }

    fn requeue(&mut self) {
        let ids: Vec<_> = self.alerts.iter().filter(|(_, one)| one.state == "set_aside").map(|(id, _)| *id).collect();
        for id in ids {
            let (source, key) = (self.alerts[&id].source, self.alerts[&id].key);
            let due_at = (!self.lane_is_busy(source, key)).then_some(0);
            let alert = self.alerts.get_mut(&id).unwrap();
            (alert.state, alert.due_at) = ("pending", due_at);
        }
    }

    /// All requests without an undelivered alert go, but for the newest, and what they opened is forgotten.
    fn retain(&mut self) {
        let request = |id: i64| id / ALERTS_PER_REQUEST as i64;
        let open = self.alerts.iter().filter(|(_, one)| one.state != "delivered").map(|(id, _)| request(*id));
        let open: HashSet<i64> = open.chain([self.requests]).collect();
        let known = &mut self.known;
        self.alerts.retain(|id, one| {
            let stays = open.contains(&request(*id));
            if !stays {
                known.remove(&(one.source, one.event));
            }
            stays
        });
    }

    fn count(&self, state: &str) -> i64 {
        self.alerts.values().filter(|one| one.state == state).count() as i64
    }
}

async fn compare(actions: Vec<Action>) {
    let mut bench = Bench::new().await;
    let mut model = Model { now: 100, ..Model::default() };
    for action in actions {
        bench.wait_until(model.now).await;
        match action {
            Action::Append { source, events } => {
                let words: Vec<_> = events.iter().map(|(event, key)| (event.to_string(), key.to_string())).collect();
                let words: Vec<_> = words.iter().map(|(event, key)| (event.as_str(), key.as_str())).collect();
                let appended = bench.append(&source.to_string(), model.now, &words).await;
                assert_eq!(appended, model.append(source, &events));
            }
            Action::Settle { nth, verdict } => {
                let due = model.due();
                if due.is_empty() {
                    continue;
                }
                let alert = due[nth as usize % due.len()];
                let words = match verdict {
                    Kind::Accepted => accepted(),
                    Kind::Later(wait) => later(model.now + wait),
                    Kind::Blocked => (Outcome::Blocked { why: "401".into() }, model.now),
                    Kind::Refused => refused(),
                };
                let settled = settlement(alert, model.now, None, words);
                bench.store.settle(settled).await.unwrap();
                model.settle(alert, verdict);
            }
            Action::Wait(time) => model.now += time,
            Action::Requeue => {
                ask_replay(&file(bench.dir.path()), &[ReplayTarget::AllSetAside], model.now).unwrap();
                let replay = bench.store.due_reader().unwrap().replays().unwrap()[0];
                bench.store.requeue(replay).await.unwrap();
                model.requeue();
            }
            Action::Retain => {
                retain(&bench, i64::MAX, u64::MAX).await;
                model.retain();
            }
            Action::Reopen => {
                bench = bench.reopen().await;
            }
        }
        let due: Vec<_> = bench.due(model.now).into_iter().map(|(id, _)| id).collect();
        assert_eq!(due, model.due());
        for state in ["pending", "delivered", "set_aside"] {
            assert_eq!(bench.total(state), model.count(state), "{state}");
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        4 => Just(Kind::Accepted),
        2 => (0..50_i64).prop_map(Kind::Later),
        1 => Just(Kind::Blocked),
        1 => Just(Kind::Refused),
    ];
    let events = prop::collection::vec((0..12_u8, 0..4_u8), 0..4);
    prop_oneof![
        6 => (0..2_u8, events).prop_map(|(source, events)| Action::Append { source, events }),
        8 => (any::<u8>(), kind).prop_map(|(nth, verdict)| Action::Settle { nth, verdict }),
        3 => (1..60_i64).prop_map(Action::Wait),
        1 => Just(Action::Requeue),
        1 => Just(Action::Retain),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_does_what_a_plain_model_does(actions in prop::collection::vec(action(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(compare(actions));
    }
}
