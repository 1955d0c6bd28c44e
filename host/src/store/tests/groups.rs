//! Groups, storms and timers: what the destination sees, and what the store keeps.

mod model;

use std::sync::{Arc, mpsc};

use super::super::append::Append;
use super::super::command::{Command, Queued, queued};
use super::super::step::Step;
use super::*;
use crate::alert::group::{self, Grouping, Guard, Terms};

const MINUTE: i64 = 60_000;
const TERMS: Terms = Terms {
    update_every_ms: 10 * MINUTE,
    resolve_after_ms: 30 * MINUTE,
    in_storm: false,
};
const GUARD: Guard = Guard {
    count: 3,
    within_ms: 5 * MINUTE,
    calm_after_ms: 10 * MINUTE,
};

/// The policy of the source of a test.
#[derive(Debug, Clone, Copy, Default)]
struct Policy {
    /// The number of the mute that holds its alerts.
    mute: Option<i64>,
    group: bool,
    guard: Option<Guard>,
    resolve_after: Option<i64>,
    /// True if a rule drops its alerts.
    drops: bool,
}

const GROUPED: Policy = Policy {
    mute: None,
    group: true,
    guard: None,
    resolve_after: None,
    drops: false,
};
const STORMY: Policy = Policy {
    mute: None,
    group: true,
    guard: Some(GUARD),
    resolve_after: None,
    drops: false,
};
const DROPPED: Policy = Policy {
    mute: None,
    group: false,
    guard: None,
    resolve_after: None,
    drops: true,
};
const TIMED: Policy = Policy {
    mute: None,
    group: false,
    guard: None,
    resolve_after: Some(60 * MINUTE),
    drops: false,
};

fn alert(event: contract::Alert, policy: Policy) -> NewAlert {
    let alert = Alert {
        source: "a".into(),
        request: "r".into(),
        received_at: "2026-11-28T10:00:00.000Z".into(),
        event,
    };
    let mut new = NewAlert::new(&alert, [DESTINATION]).unwrap();
    if policy.group && alert.event.status == Status::Trigger {
        let grouping = Grouping {
            shared: group::shared(&["code".to_owned()], &alert.event),
            terms: Terms {
                in_storm: policy.guard.is_some(),
                ..TERMS
            },
            guard: policy.guard,
        };
        new = new.grouped(&alert, grouping, Some("ops"));
    }
    if let Some(mute) = policy.mute {
        new = new.muted(MuteRef::Stored(mute));
    }
    if policy.drops {
        const WHY: &str = "dropped by rule 1 of its source";
        new = match alert.event.status {
            Status::Trigger => new.ignored(WHY),
            Status::Resolve => new.ignored_unless_open(WHY),
        };
    }
    if let Some(ms) = policy.resolve_after {
        new = new.resolved_after(Duration::from_millis(ms.unsigned_abs()));
    }
    new
}

/// An event of a code; its key is the part of its id before the dash.
fn event(id: &str, code: &str, status: Status) -> contract::Alert {
    let mut event = contract::Alert::new(id, Priority::Medium, format!("event {id}"));
    event.key = id.split('-').next().map(str::to_owned);
    event.status = status;
    event.labels.insert("code".to_owned(), code.to_owned());
    event
}

/// Holds up the writer until the other end of its second half is gone.
struct Hold(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Command for Hold {
    type Output = ();

    fn run(&self, _: &mut Step<'_>) -> Result<(), StoreError> {
        let Self(started, hold) = self;
        let _ = started.send(());
        let _ = hold.recv();
        Ok(())
    }
}

impl Bench {
    fn stormy(&self) -> Vec<String> {
        self.store.history().unwrap().stormy().unwrap()
    }

    fn open_titles(&self) -> Vec<String> {
        let open = self.store.history().unwrap().open_alerts().unwrap();
        open.into_iter().map(|alert| alert.title).collect()
    }

    async fn keep(&mut self, policy: Policy, events: &[(&str, &str)]) -> Appended {
        let now = self.store.clock().now_ms();
        let request = self.request("a", now);
        let alerts = events
            .iter()
            .map(|(id, code)| alert(event(id, code, Status::Trigger), policy));
        let reading = Reading::alerts(alerts.collect());
        self.store.append(request, reading).await.unwrap()
    }

    async fn close(&mut self, policy: Policy, id: &str) {
        let now = self.store.clock().now_ms();
        let request = self.request("a", now);
        let reading = Reading::alerts(vec![alert(event(id, "1", Status::Resolve), policy)]);
        self.store.append(request, reading).await.unwrap();
    }

    /// Appends requests of the source in one group commit.
    async fn append_in_one_commit(&mut self, readings: Vec<Reading>) {
        let (started, running) = mpsc::channel();
        let (release, hold) = mpsc::channel();
        let (command, held) = queued(Hold(started, hold));
        self.enqueue(command);
        running.recv().unwrap();
        let now_ms = self.store.clock().now_ms();
        let mut answers = Vec::new();
        for reading in readings {
            let request = self.request("a", now_ms);
            let (command, answer) = queued(Append {
                request,
                reading,
                now_ms,
            });
            self.enqueue(command);
            answers.push(answer);
        }
        drop(release);
        held.await.unwrap().unwrap();
        for answer in answers {
            answer.await.unwrap().unwrap().unwrap();
        }
    }

    fn enqueue(&self, command: Box<dyn Queued>) {
        let sent = self.store.messages.try_send(Message::Do(command));
        assert!(sent.is_ok());
    }

    /// Lets time pass up to this, as the gateway does.
    async fn pass_until(&self, ms: i64) {
        let reader = self.store.snapshot().unwrap();
        let mut passes = 0;
        loop {
            match reader.next_change().unwrap() {
                Some(at) if at <= ms => self.wait_until(at.max(0)).await,
                _ => break,
            }
            while self.store.pass(self.store.clock().now_ms()).await.unwrap() {}
            passes += 1;
            assert!(passes < 10_000, "time comes to an end");
        }
        self.wait_until(ms).await;
    }

    /// Delivers all that is due, and returns what the destination sees: the key, the status, and
    /// the first words of the title.
    async fn take(&self, destination: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let now = self.store.clock().now_ms();
            let mut reader = self.store.due_reader().unwrap();
            let due = reader.due(destination, now, &HashSet::new(), 100).unwrap();
            if due.is_empty() {
                return seen;
            }
            for due in due {
                let event = &due.alert.event;
                let words: Vec<_> = event.title.split(' ').take(2).collect();
                let status = event.status.as_str();
                seen.push(format!("{} {status}: {}", event.key(), words.join(" ")));
                let mut settled = settlement(due.id, now, Some(200), accepted());
                settled.fallback = (destination == DESTINATION).then(|| "fallback".to_owned());
                self.store.settle(settled).await.unwrap();
            }
        }
    }

    /// Has the destination reject what it is to take next.
    async fn reject(&self) {
        self.reject_with(Some("fallback")).await;
    }

    async fn reject_with(&self, fallback: Option<&str>) {
        let now = self.store.clock().now_ms();
        let mut reader = self.store.due_reader().unwrap();
        let due = reader.due(DESTINATION, now, &HashSet::new(), 1).unwrap();
        let mut settled = settlement(due[0].id, now, Some(400), rejected());
        settled.fallback = fallback.map(str::to_owned);
        self.store.settle(settled).await.unwrap();
    }

    fn listed(&self, state: Option<ListedState>, group: Option<&str>) -> Vec<String> {
        let history = self.store.history().unwrap();
        let filter = Filter {
            state,
            group: group.map(str::to_owned),
            since_ms: i64::MIN,
            limit: 100,
            ..Filter::default()
        };
        let lines = history.list(&filter).unwrap();
        lines
            .into_iter()
            .map(|line| format!("{} {}", line.event_id.unwrap_or_default(), line.state))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn group_opens_once_is_updated_and_resolves_once() {
    let mut bench = Bench::new().await;
    let appended = bench
        .keep(GROUPED, &[("e1", "1"), ("e2", "2"), ("e3", "1")])
        .await;
    assert_eq!((appended.accepted, appended.duplicates), (3, 0));
    assert_eq!(
        bench.take(DESTINATION).await,
        [
            "group/code=1 trigger: 2 events",
            "group/code=2 trigger: 1 event"
        ]
    );
    bench.keep(GROUPED, &[("e4", "1"), ("e1", "1")]).await;
    assert!(bench.take(DESTINATION).await.is_empty());
    bench.pass_until(10 * MINUTE).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 trigger: 3 events"],
        "a repeat counts once"
    );
    bench.pass_until(24 * 60 * MINUTE).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        [
            "group/code=1 resolve: 3 events",
            "group/code=2 resolve: 1 event"
        ]
    );
    assert_eq!(
        bench.listed(Some(ListedState::Grouped), None),
        ["e4 grouped", "e3 grouped", "e2 grouped", "e1 grouped"]
    );
    let of_one = ["e4 grouped", "e3 grouped", "e1 grouped"];
    assert_eq!(bench.listed(None, Some("group/code=1")), of_one);
    assert_eq!(bench.listed(None, Some("1")), of_one);
    let shown = &bench.find("e3").alerts[2];
    assert_eq!(shown.state, "grouped");
    let group = shown.group.as_ref().unwrap();
    assert_eq!(
        (group.id, group.state.as_str(), group.members),
        (1, "resolved", 3)
    );
    bench.keep(GROUPED, &[("e5", "1")]).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 trigger: 1 event"],
        "what comes later opens anew"
    );
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn last_resolve_of_a_member_ends_its_group() {
    let mut bench = Bench::new().await;
    bench
        .keep(GROUPED, &[("k1-1", "1"), ("k2-1", "1"), ("k1-2", "1")])
        .await;
    bench.take(DESTINATION).await;
    bench.close(GROUPED, "k1-3").await;
    assert!(bench.take(DESTINATION).await.is_empty());
    bench.close(GROUPED, "k1-4").await;
    bench.close(GROUPED, "k2-2").await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 resolve: 3 events"]
    );
    assert_eq!(
        bench.listed(Some(ListedState::Ignored), None),
        ["k1-4 ignored"]
    );
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn alert_that_was_open_before_the_group_is_resolved_where_it_is() {
    let mut bench = Bench::new().await;
    bench.append("a", 1, &[("k1-1", "k1")]).await;
    bench.keep(GROUPED, &[("k1-2", "1"), ("k2-1", "1")]).await;
    bench.take(DESTINATION).await;
    bench.close(GROUPED, "k1-3").await;
    assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-3"]);
    // The group is gone from the configuration, and its members are closed silently all the same.
    bench.close(Policy::default(), "k2-2").await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 resolve: 2 events"]
    );
    bench.keep(Policy::default(), &[("k2-3", "1")]).await;
    bench.close(Policy::default(), "k2-4").await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["k2 trigger: event k2-3", "k2 resolve: event k2-4"]
    );
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn open_is_what_was_sent_and_not_resolved() {
    let mut bench = Bench::new().await;
    let plain = Policy::default();
    bench.keep(plain, &[("k1-1", "1"), ("k2-1", "1")]).await;
    bench.keep(plain, &[("k1-2", "1")]).await;
    assert_eq!(bench.open_titles(), ["event k1-2", "event k2-1"]);
    // What was delivered is open, and what waits, until the resolve is on its way.
    bench.take(DESTINATION).await;
    bench.close(plain, "k2-2").await;
    assert_eq!(bench.open_titles(), ["event k1-2"]);
    // Of the members of a group it is the group that is open.
    bench.keep(GROUPED, &[("k3-1", "5"), ("k4-1", "5")]).await;
    let open = bench.open_titles();
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open[0].starts_with("2 events"), "{open:?}");
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn storm_groups_what_comes_until_it_is_over() {
    let mut bench = Bench::new().await;
    for number in 1..=3 {
        let id = format!("e{number}");
        let code = number.to_string();
        bench.keep(STORMY, &[(&id, &code)]).await;
    }
    assert_eq!(bench.take(DESTINATION).await.len(), 3);
    for number in 4..=9 {
        bench.keep(STORMY, &[(&format!("e{number}"), "1")]).await;
    }
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 trigger: 1 event"]
    );
    assert_eq!(bench.take("ops").await, ["storm/a trigger: Source a"]);
    bench = bench.reopen().await;
    assert_eq!(bench.stormy(), ["a"]);
    bench.pass_until(16 * MINUTE).await;
    assert!(bench.stormy().is_empty());
    assert_eq!(bench.take("ops").await, ["storm/a resolve: The storm"]);
    assert_eq!(
        bench.take(DESTINATION).await,
        [
            "group/code=1 trigger: 6 events",
            "group/code=1 resolve: 6 events"
        ]
    );
    bench.keep(STORMY, &[("e10", "1")]).await;
    assert_eq!(bench.take(DESTINATION).await, ["e10 trigger: event e10"]);
    bench.pass_until(24 * 60 * MINUTE).await;
    assert!(bench.take(DESTINATION).await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn alert_without_a_new_event_is_resolved_by_the_gateway() {
    let mut bench = Bench::new().await;
    bench.keep(TIMED, &[("k1-1", "1"), ("k2-1", "1")]).await;
    bench.take(DESTINATION).await;
    bench.pass_until(40 * MINUTE).await;
    bench.keep(TIMED, &[("k1-2", "1")]).await;
    bench.take(DESTINATION).await;
    bench.pass_until(60 * MINUTE).await;
    let mut reader = bench.store.due_reader().unwrap();
    let due = reader
        .due(DESTINATION, 60 * MINUTE, &HashSet::new(), 10)
        .unwrap();
    assert_eq!(
        due[0].alert.event.message.as_deref(),
        Some("Resolved by the gateway: no event of this key for 1h.")
    );
    assert_eq!(bench.take(DESTINATION).await, ["k2 resolve: event k2-1"]);
    // A timer that passes while the gateway is down fires once, at the start.
    bench = bench.reopen().await;
    bench.wait_until(200 * MINUTE).await;
    bench.pass_until(200 * MINUTE).await;
    assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-2"]);
    bench.pass_until(24 * 60 * MINUTE).await;
    assert!(bench.take(DESTINATION).await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn resolve_of_the_sender_cancels_the_timer() {
    let mut bench = Bench::new().await;
    bench.keep(TIMED, &[("k1-1", "1")]).await;
    bench.close(TIMED, "k1-2").await;
    bench.pass_until(24 * 60 * MINUTE).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["k1 trigger: event k1-1", "k1 resolve: event k1-2"]
    );
    bench.keep(TIMED, &[("k1-3", "1")]).await;
    bench.keep(Policy::default(), &[("k1-4", "1")]).await;
    bench.take(DESTINATION).await;
    bench.pass_until(48 * 60 * MINUTE).await;
    assert!(
        bench.take(DESTINATION).await.is_empty(),
        "the newest event has no timer"
    );
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn timer_outlives_the_words_and_the_row_of_its_alert() {
    for stages in [
        &[Stage::Events][..],
        &[Stage::Age],
        &[Stage::Events, Stage::Age],
    ] {
        let mut bench = Bench::new().await;
        bench.keep(TIMED, &[("k1-1", "1")]).await;
        bench.take(DESTINATION).await;
        bench.append("b", 1, &[("last", "last")]).await;
        for stage in stages {
            sweep(&bench, *stage, bounds(i64::MAX, 0)).await;
        }
        bench.whole();
        // A repeat of a key begins its time anew, whatever is kept of it.
        bench.wait_until(30 * MINUTE).await;
        bench.keep(GROUPED, &[("k1-2", "1")]).await;
        bench.pass_until(89 * MINUTE).await;
        let until_then = bench.take(DESTINATION).await;
        assert!(!until_then.iter().any(|line| line.starts_with("k1")));
        bench.pass_until(91 * MINUTE).await;
        assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-1"]);
        bench.pass_until(24 * 60 * MINUTE).await;
        assert!(bench.take(DESTINATION).await.is_empty(), "it fires once");
        bench.whole();
    }
}

#[tokio::test(start_paused = true)]
async fn clock_set_back_between_runs_delays_no_timer() {
    let mut bench = Bench::new().await;
    bench.wait_until(10_000 * MINUTE).await;
    bench.keep(TIMED, &[("k1-1", "1")]).await;
    bench.keep(GROUPED, &[("k2-1", "1")]).await;
    bench.take(DESTINATION).await;
    bench = bench.reopen_under(Clock::at(0)).await;
    bench.pass_until(61 * MINUTE).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 resolve: 1 event", "k1 resolve: event k1-1"]
    );
}

#[tokio::test(start_paused = true)]
async fn members_of_an_open_group_outlive_their_age() {
    let mut bench = Bench::new().await;
    bench.keep(GROUPED, &[("e1", "1")]).await;
    bench.take(DESTINATION).await;
    bench.append("b", 1, &[("last", "last")]).await;
    retain(&bench, i64::MAX).await;
    assert_eq!(bench.listed(None, Some("1")), ["e1 grouped"]);
    bench.pass_until(60 * MINUTE).await;
    bench.take(DESTINATION).await;
    bench.append("b", 2, &[("last2", "last2")]).await;
    retain(&bench, i64::MAX).await;
    assert!(bench.listed(None, Some("1")).is_empty());
    let connection = rusqlite::Connection::open(file(bench.dir())).unwrap();
    let left: i64 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM groups) + (SELECT count(*) FROM members) + (SELECT count(*) FROM keys)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn commit_tells_of_its_group_once() {
    let mut bench = Bench::new().await;
    let readings = (0..64).map(|number| {
        let code = (number % 5).to_string();
        let event = event(&format!("k{number}-1"), &code, Status::Trigger);
        Reading::alerts(vec![alert(event, GROUPED)])
    });
    bench.append_in_one_commit(readings.collect()).await;
    let opened = [13, 13, 13, 13, 12].into_iter().enumerate();
    let opened: Vec<_> = opened
        .map(|(code, count)| format!("group/code={code} trigger: {count} events"))
        .collect();
    assert_eq!(bench.take(DESTINATION).await, opened);
    // A flap within one commit is none at the destination.
    let flap = ["k0-2", "k0-3"]
        .into_iter()
        .zip([Status::Resolve, Status::Trigger]);
    let readings =
        flap.map(|(id, status)| Reading::alerts(vec![alert(event(id, "0", status), GROUPED)]));
    bench.append_in_one_commit(readings.collect()).await;
    assert!(bench.take(DESTINATION).await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn state_that_cannot_be_read_stops_nothing() {
    let mut bench = Bench::new().await;
    bench.keep(GROUPED, &[("e1", "1")]).await;
    bench.keep(TIMED, &[("k1-1", "1")]).await;
    bench.take(DESTINATION).await;
    let connection = rusqlite::Connection::open(file(bench.dir())).unwrap();
    connection
        .execute_batch("UPDATE groups SET state = 'x'; UPDATE keys SET destinations = 'x'")
        .unwrap();
    bench.keep(GROUPED, &[("e2", "1")]).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 trigger: 1 event"]
    );
    bench.pass_until(24 * 60 * MINUTE).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 resolve: 1 event"]
    );
}

impl Bench {
    /// Makes a mute of an operator, and returns its number.
    fn mute(&self) -> i64 {
        let mute = NewMute {
            conditions: vec![("source".to_owned(), "a".to_owned())],
            from_ms: 0,
            until_ms: 1000,
            why: "maintenance".to_owned(),
            who: "me".to_owned(),
        };
        let audit = Entry {
            at_ms: 0,
            who: "me".to_owned(),
            origin: "command line".to_owned(),
            action: "mute".to_owned(),
            about: String::new(),
            why: None,
        };
        add_mute(self.ground.location(), &mute, &audit).unwrap()
    }

    async fn unmute(&self, mute: i64, other: Option<i64>) {
        let still = Arc::new(move |_: &str, _: &contract::Alert| other.map(MuteRef::Stored));
        self.store.end_mute(mute, still).await.unwrap();
    }
}

const MUTED: Policy = Policy {
    mute: Some(1),
    group: false,
    guard: None,
    resolve_after: None,
    drops: false,
};

/// An alert that goes to these destinations, as a rule or the configuration has it.
fn sent(id: &str, status: Status, destinations: &[&str]) -> NewAlert {
    let alert = Alert {
        source: "a".into(),
        request: "r".into(),
        received_at: "2026-11-28T10:00:00.000Z".into(),
        event: event(id, "1", status),
    };
    NewAlert::new(&alert, destinations).unwrap()
}

#[tokio::test(start_paused = true)]
async fn resolve_goes_where_its_key_is_open() {
    use Status::{Resolve, Trigger};
    let mut bench = Bench::new().await;
    let first = [
        sent("k1-1", Trigger, &[DESTINATION]),
        sent("k2-1", Trigger, &["other"]),
        sent("k3-1", Trigger, &[DESTINATION]),
        sent("k3-2", Trigger, &["other"]),
        sent("k5-1", Resolve, &["other"]),
    ];
    let readings = first.into_iter().map(|one| Reading::alerts(vec![one]));
    bench.append_in_one_commit(readings.collect()).await;
    let before = ["k1 trigger: event k1-1", "k3 trigger: event k3-1"];
    assert_eq!(bench.take(DESTINATION).await, before);
    let before = [
        "k2 trigger: event k2-1",
        "k3 trigger: event k3-2",
        "k5 resolve: event k5-1",
    ];
    assert_eq!(bench.take("other").await, before);
    let ends = [
        sent("k1-2", Resolve, &["other"]),
        sent("k2-2", Resolve, &[DESTINATION]),
        sent("k3-3", Resolve, &[DESTINATION]),
    ];
    let readings = ends.into_iter().map(|one| Reading::alerts(vec![one]));
    bench.append_in_one_commit(readings.collect()).await;
    let after = ["k1 resolve: event k1-2", "k3 resolve: event k3-3"];
    assert_eq!(bench.take(DESTINATION).await, after);
    let after = ["k2 resolve: event k2-2", "k3 resolve: event k3-3"];
    assert_eq!(bench.take("other").await, after);
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn fallback_of_a_rejected_alert_is_told_of_its_end() {
    let mut bench = Bench::new().await;
    bench.keep(Policy::default(), &[("k1-1", "1")]).await;
    bench.reject().await;
    bench.close(Policy::default(), "k1-2").await;
    let lines = ["k1 trigger: [fallback for", "k1 resolve: event k1-2"];
    assert_eq!(bench.take("fallback").await, lines);
    assert_eq!(bench.take(DESTINATION).await, lines[1..]);
    bench.keep(TIMED, &[("k2-1", "1")]).await;
    bench.reject().await;
    bench.pass_until(61 * MINUTE).await;
    let lines = ["k2 trigger: [fallback for", "k2 resolve: event k2-1"];
    assert_eq!(bench.take("fallback").await, lines);
    assert_eq!(bench.take(DESTINATION).await, lines[1..]);
    // One that is not configured any more would wait for its destination for ever.
    bench.keep(Policy::default(), &[("k3-1", "1")]).await;
    bench.reject().await;
    let lines = ["k3 trigger: [fallback for", "k3 resolve: event k3-2"];
    assert_eq!(bench.take("fallback").await, lines[..1]);
    let end = sent("k3-2", Status::Resolve, &[DESTINATION]);
    let end = end.among(&[DESTINATION.to_owned()]);
    let reading = Reading::alerts(vec![end]);
    bench.append_in_one_commit(vec![reading]).await;
    assert!(bench.take("fallback").await.is_empty());
    assert_eq!(bench.take(DESTINATION).await, lines[1..]);
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn fallback_is_told_of_the_end_whatever_came_between() {
    let mut bench = Bench::new().await;
    // An alert of the same key that the destination takes.
    bench.keep(Policy::default(), &[("k1-1", "1")]).await;
    bench.reject().await;
    bench.keep(Policy::default(), &[("k1-2", "1")]).await;
    bench.take(DESTINATION).await;
    bench.close(Policy::default(), "k1-3").await;
    let lines = ["k1 trigger: [fallback for", "k1 resolve: event k1-3"];
    assert_eq!(bench.take("fallback").await, lines);
    assert_eq!(bench.take(DESTINATION).await, lines[1..]);
    // A resolve that waits behind the alert already, and another alert between them.
    for id in ["k2-1", "k2-2"] {
        bench.keep(Policy::default(), &[(id, "1")]).await;
    }
    bench.close(Policy::default(), "k2-3").await;
    for _ in ["k2-1", "k2-2"] {
        bench.reject().await;
        let lines = ["k2 trigger: [fallback for"];
        assert_eq!(bench.take("fallback").await, lines);
    }
    assert_eq!(
        bench.take(DESTINATION).await,
        ["k2 resolve: event k2-3"],
        "the fallback waits for what the destination makes of it"
    );
    assert_eq!(bench.take("fallback").await, ["k2 resolve: event k2-3"]);
    // The same, and the destination rejects the resolve as well.
    bench.keep(Policy::default(), &[("k3-1", "1")]).await;
    bench.close(Policy::default(), "k3-2").await;
    bench.reject().await;
    bench.reject().await;
    let lines = ["k3 trigger: [fallback for", "k3 resolve: [fallback for"];
    assert_eq!(bench.take("fallback").await, lines);
    assert!(bench.take(DESTINATION).await.is_empty());
    // The same, and the destination is down from then on.
    bench.keep(Policy::default(), &[("k4-1", "1")]).await;
    bench.close(Policy::default(), "k4-2").await;
    bench.reject().await;
    bench.keep(Policy::default(), &[("k4-3", "1")]).await;
    let store = &bench.store;
    store
        .fall_back(DESTINATION, "fallback", Duration::ZERO)
        .await
        .unwrap();
    let lines = ["trigger", "resolve", "trigger"].map(|it| format!("k4 {it}: [fallback for"));
    assert_eq!(bench.take("fallback").await, lines);
    let lines = ["k4 resolve: event k4-2", "k4 trigger: event k4-3"];
    assert_eq!(bench.take(DESTINATION).await, lines);
    assert_eq!(bench.take("fallback").await, ["k4 resolve: [taken by"]);
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn resolve_waits_behind_its_alert_for_a_removed_destination() {
    let mut bench = Bench::new().await;
    let configured = [DESTINATION.to_owned()];
    bench.keep(Policy::default(), &[("k0-1", "1")]).await;
    bench.take(DESTINATION).await;
    for (key, is_taken_before) in [("k1", false), ("k2", true)] {
        let [first, end] = ["1", "2"].map(|number| format!("{key}-{number}"));
        let alert = sent(&first, Status::Trigger, &["other"]);
        let reading = Reading::alerts(vec![alert]);
        bench.append_in_one_commit(vec![reading]).await;
        if is_taken_before {
            bench.take("other").await;
        }
        let resolve = sent(&end, Status::Resolve, &[DESTINATION]).among(&configured);
        let reading = Reading::alerts(vec![resolve]);
        bench.append_in_one_commit(vec![reading]).await;
        let resolved = [format!("{key} resolve: event {end}")];
        if is_taken_before {
            assert_eq!(bench.take(DESTINATION).await, resolved);
        } else {
            assert!(bench.take(DESTINATION).await.is_empty());
            let both = [format!("{key} trigger: event {first}"), resolved[0].clone()];
            assert_eq!(bench.take("other").await, both);
        }
    }
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn fallback_that_is_one_no_more_is_told_of_the_end() {
    let mut bench = Bench::new().await;
    let store = bench.store.clone();
    let late = async |fallback: &str| {
        let fell_back = store.fall_back(DESTINATION, fallback, Duration::ZERO).await;
        assert_eq!(fell_back.unwrap(), 1);
    };
    // Another one is configured before the resolve comes.
    bench.keep(Policy::default(), &[("k1-1", "1")]).await;
    late("fallback").await;
    bench.close(Policy::default(), "k1-2").await;
    late("other").await;
    let lines = ["k1 trigger: event k1-1", "k1 resolve: event k1-2"];
    assert_eq!(bench.take(DESTINATION).await, lines);
    let lines = ["k1 trigger: [fallback for", "k1 resolve: [taken by"];
    assert_eq!(bench.take("fallback").await, lines);
    bench.take("other").await;
    // None is configured any more, and the destination rejects the alert, behind which its resolve
    // waits already.
    bench.keep(Policy::default(), &[("k4-1", "1")]).await;
    late("fallback").await;
    bench.close(Policy::default(), "k4-2").await;
    bench.reject_with(None).await;
    let lines = ["k4 trigger: [fallback for", "k4 resolve: event k4-2"];
    assert_eq!(bench.take("fallback").await, lines);
    assert_eq!(bench.take(DESTINATION).await, lines[1..]);
    // The same, or another one, and the resolve comes afterwards.
    for (key, fallback) in [("k2", None), ("k3", Some("other"))] {
        let [first, end] = ["1", "2"].map(|number| format!("{key}-{number}"));
        bench.keep(Policy::default(), &[(&first, "1")]).await;
        late("fallback").await;
        bench.reject_with(fallback).await;
        bench.close(Policy::default(), &end).await;
        let end = format!("{key} resolve: event {end}");
        let told = [format!("{key} trigger: [fallback for"), end.clone()];
        assert_eq!(bench.take("fallback").await, told);
        assert_eq!(bench.take(DESTINATION).await, [end]);
        let other = bench.take("other").await;
        assert_eq!(other, told[told.len() * usize::from(fallback.is_none())..]);
    }
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn fallback_of_a_rejected_group_is_told_of_its_end() {
    let mut bench = Bench::new().await;
    bench.keep(GROUPED, &[("e1", "1"), ("e2", "1")]).await;
    bench.reject().await;
    bench.keep(GROUPED, &[("e3", "1")]).await;
    bench.pass_until(20 * MINUTE).await;
    let update = ["group/code=1 trigger: 3 events"];
    assert_eq!(bench.take(DESTINATION).await, update);
    bench.pass_until(60 * MINUTE).await;
    let ends = "group/code=1 resolve: 3 events";
    assert_eq!(bench.take(DESTINATION).await, [ends]);
    let lines = ["group/code=1 trigger: [fallback for", ends];
    assert_eq!(bench.take("fallback").await, lines);
    // The next group of these labels opens and ends without it.
    bench.keep(GROUPED, &[("e4", "1")]).await;
    bench.pass_until(120 * MINUTE).await;
    let opens = "group/code=1 trigger: 1 event";
    let ends = "group/code=1 resolve: 1 event";
    assert_eq!(bench.take(DESTINATION).await, [opens, ends]);
    assert!(bench.take("fallback").await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn fallback_of_a_rejected_request_is_told_of_each_end() {
    use Status::{Resolve, Trigger};
    let mut bench = Bench::new().await;
    let originals = [DESTINATION.to_owned()];
    let both = ["k1-1", "k2-1"].map(|id| sent(id, Trigger, &[DESTINATION]));
    let both = both.map(|one| one.carried(&originals, "a digest"));
    let request = Reading::alerts(both.into());
    bench.append_in_one_commit(vec![request]).await;
    bench.reject().await;
    assert_eq!(
        bench.take("fallback").await,
        ["k1 trigger: [fallback for", "k2 trigger: [fallback for"]
    );
    let ends = ["k1-2", "k2-2"].map(|id| sent(id, Resolve, &[DESTINATION]));
    let readings = ends.map(|one| Reading::alerts(vec![one]));
    bench.append_in_one_commit(readings.into()).await;
    let lines = ["k1 resolve: event k1-2", "k2 resolve: event k2-2"];
    assert_eq!(bench.take("fallback").await, lines);
    assert_eq!(
        bench.take(DESTINATION).await,
        lines[..1],
        "the other was never sent there by itself"
    );
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn resolve_finds_its_alert_when_destinations_have_changed() {
    let mut bench = Bench::new().await;
    let opens = Reading::alerts(vec![sent("k1-1", Status::Trigger, &[DESTINATION])]);
    bench.append_in_one_commit(vec![opens]).await;
    bench.take(DESTINATION).await;
    bench = bench.reopen().await;
    let ends = Reading::alerts(vec![sent("k1-2", Status::Resolve, &["other"])]);
    bench.append_in_one_commit(vec![ends]).await;
    assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-2"]);
    assert!(bench.take("other").await.is_empty());
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn dropped_resolve_goes_out_only_where_its_key_is_open() {
    let mut bench = Bench::new().await;
    bench.keep(Policy::default(), &[("k1-1", "1")]).await;
    bench.keep(DROPPED, &[("k2-1", "1")]).await;
    bench.take(DESTINATION).await;
    bench.close(DROPPED, "k2-2").await;
    bench.close(DROPPED, "k1-2").await;
    bench.close(DROPPED, "k1-3").await;
    assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-2"]);
    let ignored = ["k1-3 ignored", "k2-2 ignored", "k2-1 ignored"];
    assert_eq!(bench.listed(Some(ListedState::Ignored), None), ignored);
    let note = bench.find("k2-2").alerts[0].note.clone();
    assert_eq!(note.as_deref(), Some("dropped by rule 1 of its source"));
    bench.mute();
    bench.keep(MUTED, &[("k3-1", "1")]).await;
    bench.keep(GROUPED, &[("k4-1", "1")]).await;
    bench.close(DROPPED, "k3-2").await;
    bench.close(DROPPED, "k4-2").await;
    let told = [
        "group/code=1 trigger: 1 event",
        "group/code=1 resolve: 1 event",
    ];
    assert_eq!(bench.take(DESTINATION).await, told);
    assert_eq!(bench.find("k3-2").alerts[0].state, "muted");
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn mute_holds_sums_up_and_opens_what_is_still_open() {
    let mut bench = Bench::new().await;
    bench.keep(Policy::default(), &[("k0-1", "1")]).await;
    bench.take(DESTINATION).await;
    let mute = bench.mute();
    bench
        .keep(
            MUTED,
            &[("k1-1", "1"), ("k2-1", "1"), ("k1-2", "1"), ("k0-2", "1")],
        )
        .await;
    bench.close(MUTED, "k2-2").await;
    bench.close(MUTED, "k0-3").await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["k0 resolve: event k0-3"],
        "it was open before the mute"
    );
    let muted = [
        "k2-2 muted",
        "k0-2 muted",
        "k1-2 muted",
        "k2-1 muted",
        "k1-1 muted",
    ];
    assert_eq!(bench.listed(Some(ListedState::Muted), None), muted);
    bench.append("b", 1, &[("last", "last")]).await;
    bench.take(DESTINATION).await;
    retain(&bench, i64::MAX).await;
    assert!(
        bench.find("k1-1").alerts[0].mute.as_ref().unwrap().holds,
        "it is kept"
    );
    bench = bench.reopen().await;
    bench.unmute(mute, None).await;
    bench.unmute(mute, None).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["k1 trigger: event k1-2", "mute/1 trigger: 4 muted"]
    );
    let shown = &bench.find("k1-2").alerts[2];
    assert_eq!(shown.state, "delivered");
    assert!(!shown.mute.as_ref().unwrap().holds);
    bench.close(Policy::default(), "k1-3").await;
    assert_eq!(bench.take(DESTINATION).await, ["k1 resolve: event k1-3"]);
    bench.pass_until(25 * 60 * MINUTE).await;
    assert_eq!(bench.take(DESTINATION).await, ["mute/1 resolve: 4 muted"]);
    bench.whole();
}

#[tokio::test(start_paused = true)]
async fn end_of_a_mute_opens_into_groups_and_leaves_other_mutes() {
    let mut bench = Bench::new().await;
    let first = bench.mute();
    let second = bench.mute();
    let policy = Policy {
        mute: Some(first),
        ..GROUPED
    };
    bench
        .keep(policy, &[("k1-0", "1"), ("k1-1", "1"), ("k2-1", "1")])
        .await;
    bench.unmute(first, Some(second)).await;
    assert!(bench.take(DESTINATION).await.is_empty(), "all are held on");
    bench.unmute(second, None).await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["mute/2 trigger: 3 muted", "group/code=1 trigger: 2 events"]
    );
    bench.close(GROUPED, "k1-2").await;
    bench.close(GROUPED, "k2-2").await;
    assert_eq!(
        bench.take(DESTINATION).await,
        ["group/code=1 resolve: 2 events"]
    );
    bench.whole();
}
