//! Random actions on delivery and its store, each compared with a model in plain memory.
//!
//! The model is played from both sides: it does what is done to the store, and it is asked by
//! ITOC360 for each request that arrives. So it sees at once what must never arrive: an alert that
//! is settled, one that is behind another of its key, one before its time. After each step, what is
//! on the disk must become what the model says.
//!
//! Time stands still but where an action moves it, and a crash may find the machine's clock set.
//! The threads of the disk are real, so a step is over when they have caught up, not after a time.

mod bench;
mod plain;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use bench::{Bench, PATIENCE, turn};
use plain::Answer;

use crate::store::tests::ground::Ground;

/// The turns that all tasks get before it is taken for granted that the next request is not on its
/// way.
const TURNS: usize = 200;

#[derive(Debug, Clone)]
enum Action {
    /// A request with these events, each with its key.
    Append(Vec<(u8, u8)>),
    /// A request with these events, which the plugin fails to read at first.
    Fail(Vec<(u8, u8)>),
    /// The oldest request that the plugin failed to read is read again.
    ReadAgain,
    /// The next requests to ITOC360 are answered so, and all after them as usual.
    Answers(Vec<Answer>),
    /// Seconds pass.
    Wait(u64),
    /// Seconds pass, and the process dies so many turns after the next request to ITOC360, if one
    /// comes; the machine's clock is then set by so many hours. Where gateways share a database, the
    /// next one may be another, which does not know whether the request is still on its way.
    Crash {
        seconds: u64,
        turns: usize,
        hours: i64,
        is_taken_over: bool,
    },
    /// A gateway that was taken over from is gone for good.
    Gone,
    /// The gateway stops in order, and starts again.
    Restart,
    /// Dead letters are sent again.
    Requeue,
    /// What may go, goes.
    Retain,
}

async fn compare(ground: Ground, actions: Vec<Action>) {
    let mut bench = Bench::on(ground).await;
    let mut actions = actions.into_iter().peekable();
    while let Some(action) = actions.next() {
        bench.act(action).await;
        // A crash finds the step before it unfinished.
        if !matches!(actions.peek(), Some(Action::Crash { .. })) {
            bench.catches_up().await;
        }
    }
    // Once ITOC360 is well, all that is pending is delivered.
    bench.model().answers.clear();
    bench.act(Action::Gone).await;
    let deadline = Instant::now() + PATIENCE;
    while bench
        .model()
        .alerts
        .values()
        .any(|one| one.now.state == "pending")
    {
        assert!(
            Instant::now() < deadline,
            "never delivered: {:#?}",
            bench.model()
        );
        tokio::time::advance(Duration::from_secs(20)).await;
        turn(TURNS).await;
        bench.catches_up().await;
    }
    bench.stop().await.1.close().await;
}

fn action() -> impl Strategy<Value = Action> {
    let events = || prop::collection::vec((0..24_u8, 0..4_u8), 0..5);
    let answer = prop_oneof![
        4 => Just(Answer::Accepted),
        4 => Just(Answer::Retry),
        2 => (1..100_u8).prop_map(Answer::RetryAfter),
        2 => Just(Answer::Lost),
        1 => Just(Answer::Blocked),
        2 => Just(Answer::Rejected),
    ];
    prop_oneof![
        8 => events().prop_map(Action::Append),
        1 => events().prop_map(Action::Fail),
        1 => Just(Action::ReadAgain),
        6 => prop::collection::vec(answer, 1..12).prop_map(Action::Answers),
        8 => (1..120_u64).prop_map(Action::Wait),
        3 => (prop_oneof![1 => Just(0), 2 => 1..120_u64], 0..TURNS, prop_oneof![2 => Just(0), 1 => -48..48_i64],
              any::<bool>())
            .prop_map(|(seconds, turns, hours, is_taken_over)| Action::Crash { seconds, turns, hours, is_taken_over }),
        1 => Just(Action::Gone),
        1 => Just(Action::Restart),
        2 => Just(Action::Requeue),
        1 => Just(Action::Retain),
    ]
}

/// Runs a test in time that stands still but where it moves it.
fn frozen(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // As long as something blocks a thread, time does not go on by itself.
    let (frozen, until) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || until.recv());
    runtime.block_on(test);
    drop(frozen);
}

/// So few alerts that the breaker stays closed, and each has a backoff of its own.
#[test]
fn recovery_makes_what_waits_due_without_a_wait() {
    frozen(async {
        const ALERTS: u8 = 4;
        let mut bench = Bench::on(Ground::folder()).await;
        bench.model().answers = std::iter::repeat_n(Answer::Retry, 200).collect();
        let events = (0..ALERTS).map(|number| (number * 4, number));
        bench.act(Action::Append(events.collect())).await;
        let pending = |bench: &Bench| {
            let alerts = &bench.model().alerts;
            let pending = alerts.values().filter(|one| one.now.state == "pending");
            pending.map(|one| one.now.attempts).collect::<Vec<_>>()
        };
        while pending(&bench).iter().any(|attempts| *attempts < 9) {
            tokio::time::advance(Duration::from_secs(1)).await;
            turn(TURNS).await;
            bench.catches_up().await;
        }
        bench.model().answers.clear();
        while pending(&bench).len() == usize::from(ALERTS) {
            tokio::time::advance(Duration::from_millis(100)).await;
            turn(TURNS).await;
            bench.catches_up().await;
        }
        let deadline = Instant::now() + PATIENCE;
        while !pending(&bench).is_empty() {
            assert!(Instant::now() < deadline, "they wait out their backoff");
            turn(1).await;
        }
        bench.catches_up().await;
        bench.stop().await.1.close().await;
    });
}

/// After a takeover an alert waits for its next attempt, and an older one of its key is sent again.
#[test]
fn end_of_a_guard_lets_no_older_alert_past_the_one_that_is_due() {
    let Some(ground) = Ground::database() else {
        return;
    };
    frozen(async {
        let mut bench = Bench::on(ground).await;
        for (event, answer) in [(0, Answer::Rejected), (4, Answer::RetryAfter(99))] {
            bench.act(Action::Answers(vec![answer])).await;
            bench.act(Action::Append(vec![(event, 0)])).await;
            while bench.model().arrived == 0 {
                turn(1).await;
            }
            bench.catches_up().await;
        }
        for action in [
            Action::Crash {
                seconds: 0,
                turns: 0,
                hours: 0,
                is_taken_over: true,
            },
            Action::Requeue,
            Action::Gone,
        ] {
            bench.act(action).await;
            bench.catches_up().await;
        }
        bench.stop().await.1.close().await;
    });
}

proptest! {
    // PROPTEST_CASES says how many, for a long run.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(48, |cases| cases.parse().unwrap()),
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn delivery_and_its_store_follow_a_plain_model(actions in prop::collection::vec(action(), 1..40)) {
        frozen(compare(Ground::folder(), actions));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(8, |cases| cases.parse().unwrap()),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn delivery_and_its_store_in_postgresql_follow_a_plain_model(
        actions in prop::collection::vec(action(), 1..40)
    ) {
        if let Some(ground) = Ground::database() {
            frozen(compare(ground, actions));
        }
    }
}
