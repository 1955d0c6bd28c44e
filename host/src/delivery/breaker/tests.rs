use std::time::Duration;

use proptest::prelude::*;

use super::open::{FAILING_FIRST, FAILING_LAST, FAILING_SOON, HELD_FIRST, HELD_LAST, SHORT_OUTAGE};
use super::*;
use crate::alert::Receipt;
use crate::destinations::LONGEST_RETRY_AFTER;

fn accepted() -> Outcome {
    Outcome::Accepted(Receipt::default())
}

fn retry() -> Outcome {
    Outcome::Retry {
        why: "500".into(),
        retry_after: None,
    }
}

fn retry_after(seconds: u64) -> Outcome {
    Outcome::Retry {
        why: "429".into(),
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

fn blocked() -> Outcome {
    Outcome::Blocked { why: "402".into() }
}

fn rejected() -> Outcome {
    Outcome::Rejected { why: "400".into() }
}

/// The state of a destination that has failed since then.
fn state(state: DestinationState, why: &str, failing_since: Instant) -> State {
    State {
        state,
        why: Some(why.to_owned()),
        failing_since: Some(failing_since),
        proven: false,
    }
}

/// A breaker with a clock and a seed of its own.
struct Bench {
    breaker: CircuitBreaker,
    now: Instant,
    rng: fastrand::Rng,
}

impl Bench {
    fn new(concurrency: usize) -> Self {
        let now = Instant::now();
        Self {
            breaker: CircuitBreaker::new(concurrency),
            now,
            rng: fastrand::Rng::with_seed(7),
        }
    }

    /// A breaker whose destination took all that it was ever sent.
    fn grown(concurrency: usize) -> Self {
        let mut bench = Self::new(concurrency);
        for alert in 0..concurrency * concurrency {
            bench.record(alert as i64, &accepted());
        }
        bench
    }

    fn record(&mut self, alert: i64, outcome: &Outcome) -> &mut Self {
        self.breaker.record(self.now, alert, outcome, &mut self.rng);
        self
    }

    fn fail(&mut self) -> &mut Self {
        for alert in 0..5 {
            self.record(alert, &retry());
        }
        self
    }

    fn permits(&mut self, in_flight: usize) -> usize {
        self.breaker.permits(self.now, in_flight)
    }

    fn condition(&self) -> DestinationState {
        self.breaker.state(self.now).state
    }

    fn recovers(&mut self) -> bool {
        self.breaker.take_recovery()
    }

    /// Waits for the next probe, and says how long that took.
    fn wait(&mut self) -> Duration {
        assert_eq!(self.permits(0), 0, "nothing goes before its time");
        let wake = self
            .breaker
            .next_wake(self.now)
            .expect("an open breaker wakes");
        let wait = wake - self.now;
        self.now = wake - Duration::from_nanos(1);
        assert_eq!(self.permits(0), 0, "nothing goes before its time");
        self.now = wake;
        assert_eq!(
            (self.permits(0), self.permits(1)),
            (1, 0),
            "one probe at a time"
        );
        assert_eq!(
            self.breaker.next_wake(self.now),
            None,
            "nothing but the probe's outcome is waited for"
        );
        wait
    }
}

#[test]
fn few_failing_alerts_report_a_failure_and_keep_it_closed() {
    let mut bench = Bench::grown(4);
    bench.record(1, &retry()).record(2, &retry());
    bench.now += FAILING_AFTER - Duration::from_secs(1);
    bench.record(1, &retry());
    assert_eq!(bench.condition(), DestinationState::Healthy);
    bench.now += Duration::from_secs(1);
    assert_eq!(
        bench.breaker.state(bench.now),
        state(DestinationState::Failing, "500", bench.now - FAILING_AFTER)
    );
    assert!(bench.breaker.permits(bench.now, 0) > 0, "others may pass");
    bench.record(3, &accepted());
    assert_eq!(bench.condition(), DestinationState::Healthy);
    bench.now += FAILING_AFTER;
    bench.record(1, &retry());
    assert_eq!(
        bench.condition(),
        DestinationState::Healthy,
        "it counts from the last that was accepted"
    );
}

#[test]
fn new_breaker_starts_with_one_and_grows_by_one_each_round() {
    let mut bench = Bench::new(5);
    let limits: Vec<_> = (0..14)
        .map(|_| bench.record(1, &accepted()).permits(0))
        .collect();
    assert_eq!(limits, [2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5]);
}

#[test]
fn closed_breaker_permits_the_configured_concurrency() {
    let mut bench = Bench::grown(8);
    assert_eq!(
        [0, 7, 8, 9].map(|in_flight| bench.permits(in_flight)),
        [8, 1, 0, 0]
    );
    assert_eq!(bench.breaker.next_wake(bench.now), None);
    assert_eq!(
        bench.breaker.state(bench.now),
        State {
            state: DestinationState::Healthy,
            why: None,
            failing_since: None,
            proven: true
        }
    );
    assert_eq!(Bench::new(0).permits(0), 1);
}

#[test]
fn retry_halves_the_limit_and_an_accepted_round_raises_it() {
    let mut bench = Bench::grown(8);
    let mut limits = Vec::new();
    let answers = [
        retry(),
        retry(),
        retry(),
        retry(),
        rejected(),
        accepted(),
        accepted(),
        accepted(),
        retry_after(9),
    ];
    for outcome in answers.into_iter().chain([accepted(), retry(), accepted()]) {
        limits.push(bench.record(1, &outcome).permits(0));
    }
    assert_eq!(limits, [4, 2, 1, 1, 1, 2, 2, 3, 1, 2, 1, 2]);
    for _ in 0..40 {
        bench.record(1, &accepted());
    }
    assert_eq!(bench.permits(0), 8);
}

#[test]
fn blocked_alert_holds_the_destination_with_rarer_probes() {
    let mut bench = Bench::new(8);
    let began = bench.now;
    bench.record(1, &blocked());
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(bench.wait().as_secs());
        bench.record(1, &blocked());
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    assert_eq!(
        bench.breaker.state(bench.now),
        state(DestinationState::Held, "402", began)
    );
}

#[test]
fn held_breaker_closes_with_a_limit_of_one_on_any_other_answer() {
    for outcome in [accepted(), rejected(), retry()] {
        let mut bench = Bench::new(8);
        bench.record(1, &blocked()).wait();
        bench.record(1, &outcome);
        assert_eq!(
            (bench.condition(), bench.permits(0)),
            (DestinationState::Healthy, 1),
            "{outcome:?}"
        );
        bench
            .record(2, &accepted())
            .record(3, &accepted())
            .record(4, &accepted());
        assert_eq!(bench.permits(0), 3, "{outcome:?}");
    }
}

#[test]
fn five_failed_alerts_in_a_row_open_the_breaker() {
    let mut bench = Bench::new(8);
    for alert in 0..4 {
        assert_eq!(
            bench.record(alert, &retry()).condition(),
            DestinationState::Healthy
        );
    }
    assert_eq!(
        bench.record(4, &retry()).condition(),
        DestinationState::Failing
    );
    assert_eq!(
        bench.breaker.state(bench.now),
        state(DestinationState::Failing, "500", bench.now)
    );
}

#[test]
fn accepted_alert_between_keeps_the_breaker_closed() {
    let mut bench = Bench::new(8);
    for alert in 0..100 {
        bench.record(alert, &retry());
        if alert % 4 == 3 {
            bench.record(alert, &accepted());
        }
        assert_eq!(bench.condition(), DestinationState::Healthy);
    }
}

#[test]
fn poison_message_never_opens_the_breaker() {
    let mut bench = Bench::new(8);
    for _ in 0..1000 {
        bench.record(666, &retry());
        assert!(bench.condition() == DestinationState::Healthy && bench.permits(0) >= 1);
    }
}

#[test]
fn poison_messages_open_the_breaker_twice_and_never_again() {
    for outcome in [retry(), blocked()] {
        let mut bench = Bench::new(8);
        let mut opened = 0;
        for _ in 0..10 {
            for poison in 0..20 {
                if bench.breaker.is_open() {
                    bench.now += HELD_LAST;
                    assert_eq!(bench.permits(0), 1);
                }
                bench.record(poison, &outcome);
            }
            opened += usize::from(bench.breaker.is_open());
            if bench.breaker.is_open() {
                bench.now += HELD_LAST;
                assert_eq!(
                    bench.permits(0),
                    1,
                    "what the poison met is no answer to a probe"
                );
            }
            bench.record(1_000, &accepted());
            assert!(!bench.breaker.is_open());
        }
        assert_eq!(opened, POISON_AFTER as usize, "{outcome:?}");
        // The destination itself is judged by all others, as before.
        let others: Vec<_> = (100..105)
            .map(|alert| {
                bench
                    .breaker
                    .record(bench.now, alert, &outcome, &mut bench.rng)
            })
            .collect();
        assert_eq!(
            (bench.breaker.is_open(), others),
            (true, vec![false; 5]),
            "{outcome:?}"
        );
    }
}

#[test]
fn accepted_or_rejected_alert_is_no_poison_message_any_more() {
    for outcome in [accepted(), rejected()] {
        let mut bench = Bench::new(8);
        let mut record = |alert, outcome: &Outcome| {
            bench
                .breaker
                .record(bench.now, alert, outcome, &mut bench.rng)
        };
        for _ in 0..POISON_AFTER {
            assert!(!record(1, &retry()));
            record(2, &accepted());
        }
        assert!(record(1, &retry()) && record(1, &blocked()));
        assert!(!record(1, &outcome) && !record(1, &retry()), "{outcome:?}");
    }
}

#[test]
fn lone_poison_message_is_reported_as_failing() {
    let mut bench = Bench::new(8);
    for _ in 0..POISON_AFTER {
        bench.record(1, &blocked());
        bench.now += HELD_LAST;
        assert_eq!(bench.permits(0), 1);
        bench.record(2, &accepted());
    }
    bench.record(1, &blocked());
    let began = bench.now;
    assert_eq!(
        bench.breaker.state(began),
        state(DestinationState::Healthy, "402", began)
    );
    bench.now += FAILING_AFTER;
    let failing = state(DestinationState::Failing, "402", began);
    assert_eq!(
        (bench.breaker.state(bench.now), bench.breaker.is_open()),
        (failing, false),
        "others may pass"
    );
}

#[test]
fn destination_is_proven_only_by_accepting_or_rejecting() {
    let mut bench = Bench::new(8);
    let proven = |bench: &Bench| bench.breaker.state(bench.now).proven;
    assert!(!proven(&bench), "it was not heard of");
    assert!(!proven(bench.record(1, &retry())));
    assert!(
        !proven(bench.record(2, &retry()).record(2, &rejected())),
        "the first waits still"
    );
    assert!(proven(bench.record(1, &rejected())));
    assert!(!proven(bench.record(3, &blocked())));
    bench.wait();
    assert!(!proven(bench.record(3, &retry())));
    assert!(proven(bench.record(3, &accepted())));
}

#[test]
fn alert_rejected_in_the_end_leaves_the_destination_healthy() {
    let mut bench = Bench::new(8);
    bench.record(1, &retry());
    bench.now += FAILING_AFTER;
    assert_eq!(bench.condition(), DestinationState::Failing);
    assert_eq!(
        bench.record(1, &rejected()).condition(),
        DestinationState::Healthy
    );
}

#[test]
fn failing_destination_is_probed_more_rarely_with_jitter() {
    let mut bench = Bench::new(8);
    bench.fail();
    let begun = bench.now;
    let mut interval = FAILING_FIRST;
    let mut waits = Vec::new();
    while waits.last() < Some(&(FAILING_LAST / 2)) {
        let wait = bench.wait();
        assert!(
            wait >= interval / 2 && wait <= interval,
            "{wait:?} is not within {interval:?}"
        );
        waits.push(wait);
        bench.record(9, &retry());
        let is_short = bench.now - begun < SHORT_OUTAGE;
        interval = (interval * 2).min(if is_short { FAILING_SOON } else { FAILING_LAST });
    }
    assert_ne!(waits[18], waits[19], "there is jitter");
    assert!(
        bench.now - begun > SHORT_OUTAGE,
        "the first ten minutes are probed often"
    );
}

#[test]
fn failing_destination_is_not_probed_before_retry_after() {
    let mut bench = Bench::new(8);
    for alert in 0..5 {
        bench.record(alert, &retry_after(90));
    }
    assert_eq!(bench.wait().as_secs(), 90);
    bench.record(9, &retry_after(1_000_000));
    assert_eq!(bench.wait(), LONGEST_RETRY_AFTER);
}

#[test]
fn failing_breaker_closes_when_a_probe_is_answered() {
    for outcome in [accepted(), rejected()] {
        let mut bench = Bench::new(8);
        bench.fail().wait();
        bench.record(9, &outcome);
        assert_eq!(
            (bench.condition(), bench.permits(0)),
            (DestinationState::Healthy, 1),
            "{outcome:?}"
        );
        for alert in 0..4 {
            bench.record(alert, &retry());
        }
        assert_eq!(
            bench.condition(),
            DestinationState::Healthy,
            "what was before counts no more"
        );
    }
}

#[test]
fn failing_destination_that_begins_to_block_is_held() {
    let mut bench = Bench::new(8);
    bench.fail().wait();
    bench.record(9, &blocked());
    assert_eq!(
        (bench.condition(), bench.wait()),
        (DestinationState::Held, HELD_FIRST)
    );
}

#[test]
fn attempt_from_before_the_breaker_opened_is_no_probe() {
    let mut bench = Bench::new(8);
    bench.record(1, &blocked());
    assert_eq!(
        bench.breaker.permits(bench.now + HELD_LAST, 3),
        0,
        "a probe goes when nothing else is under way"
    );
    bench
        .record(2, &blocked())
        .record(3, &retry())
        .record(4, &accepted());
    assert_eq!(
        (bench.condition(), bench.wait()),
        (DestinationState::Held, HELD_FIRST)
    );

    let mut bench = Bench::new(8);
    bench
        .fail()
        .record(6, &retry_after(50))
        .record(7, &rejected());
    assert_eq!(bench.condition(), DestinationState::Failing);
    assert!(bench.wait() <= FAILING_FIRST);

    let mut bench = Bench::new(8);
    bench.fail().record(6, &accepted());
    assert_eq!(
        (bench.condition(), bench.permits(0)),
        (DestinationState::Healthy, 1)
    );

    let mut bench = Bench::new(8);
    bench.fail().record(6, &blocked());
    assert_eq!(bench.condition(), DestinationState::Held);
}

#[test]
fn first_accepted_attempt_after_an_outage_is_a_recovery() {
    let mut bench = Bench::new(8);
    bench
        .record(1, &accepted())
        .record(2, &retry())
        .record(3, &accepted());
    assert!(!bench.recovers(), "a single failure is no outage");
    bench.record(2, &retry());
    bench.now += OUTAGE;
    bench.record(2, &retry()).record(2, &accepted());
    assert!(bench.recovers() && !bench.recovers());
    for outage in [retry(), blocked()] {
        for alert in 10..15 {
            bench.record(alert, &outage);
        }
        bench.wait();
        bench.record(10, &rejected());
        assert!(!bench.recovers(), "{outage:?}: nothing was accepted");
        bench.record(11, &accepted());
        assert!(
            bench.recovers(),
            "{outage:?}: it is, though the breaker closed before"
        );
        for alert in 20..25 {
            bench.record(alert, &outage);
        }
        bench.wait();
        bench.record(20, &accepted());
        assert!(bench.recovers(), "{outage:?}");
    }
}

#[test]
fn alert_accepted_while_the_breaker_is_held_is_no_recovery() {
    let mut bench = Bench::new(8);
    bench.record(1, &blocked()).record(2, &accepted());
    assert!(!bench.recovers(), "it was sent before");
    bench.wait();
    bench.record(1, &accepted());
    assert!(bench.recovers());
}

/// A whole outage: the destination is met by one after it, by two after that, and never by a step
/// of more than one.
#[test]
fn backlog_goes_out_in_a_slow_start_after_an_outage() {
    for outage in [retry(), blocked()] {
        let mut bench = Bench::grown(32);
        for alert in 0..32 {
            bench.record(alert, &outage);
        }
        bench.wait();
        bench.record(32, &accepted());
        let mut rounds = Vec::new();
        let mut sent = 0;
        while bench.permits(0) < 32 {
            let round = bench.permits(0);
            for alert in 0..round {
                bench.record(alert as i64, &accepted());
            }
            rounds.push(round);
            sent += round;
        }
        assert_eq!(
            (rounds, sent),
            ((1..32).collect(), 31 * 32 / 2),
            "{outage:?}"
        );
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Send(usize),
    End(usize, Outcome),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        2 => Just(accepted()),
        3 => proptest::option::of(0..10_000u64).prop_map(|seconds| seconds.map_or_else(retry, retry_after)),
        1 => Just(blocked()),
        1 => Just(rejected()),
    ];
    prop_oneof![
        (0..20_000u64).prop_map(Step::Pass),
        (1..20usize).prop_map(Step::Send),
        (0..20usize, outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
    ]
}

proptest! {
    #[test]
    fn breaker_keeps_its_limits_and_wakes_whatever_happens(
        concurrency in 1..12usize,
        seed: u64,
        steps in proptest::collection::vec(step(), 1..300),
    ) {
        let mut bench = Bench::new(concurrency);
        bench.rng = fastrand::Rng::with_seed(seed);
        // (alert, whether it was sent while the breaker was open)
        let mut under_way: Vec<(i64, bool)> = Vec::new();
        let mut next_alert = 0;
        for step in steps {
            match step {
                Step::Pass(millis) => bench.now += Duration::from_millis(millis),
                Step::Send(wanted) => {
                    let open = bench.condition() != DestinationState::Healthy;
                    let permits = bench.permits(under_way.len());
                    prop_assert!(!open || permits <= usize::from(under_way.is_empty()));
                    for _ in 0..wanted.min(permits) {
                        under_way.push((next_alert, open));
                        next_alert += 1;
                    }
                }
                Step::End(which, outcome) if !under_way.is_empty() => {
                    let (alert, _) = under_way.swap_remove(which % under_way.len());
                    bench.record(alert, &outcome);
                }
                Step::End(..) => {}
            }
            prop_assert!(under_way.len() <= concurrency);
            prop_assert!(under_way.iter().filter(|(_, probe)| *probe).count() <= 1);
            let wake = bench.breaker.next_wake(bench.now);
            prop_assert!(wake.is_none_or(|wake| wake > bench.now && wake <= bench.now + LONGEST_RETRY_AFTER));
            // Once nothing is under way, something may go: now, or at the time that the breaker
            // names.
            let at = wake.unwrap_or(bench.now);
            prop_assert!(bench.breaker.clone().permits(at, 0) >= 1);
        }
    }
}
