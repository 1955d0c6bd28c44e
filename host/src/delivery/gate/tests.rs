use std::time::Duration;

use proptest::prelude::*;

use super::closed::{FAILING_FIRST, FAILING_LAST, HELD_FIRST, HELD_LAST};
use super::*;
use crate::itoc360::Receipt;
use crate::itoc360::outcome::LONGEST_RETRY_AFTER;

fn accepted() -> Outcome {
    Outcome::Accepted(Receipt::default())
}

fn later() -> Outcome {
    Outcome::Later { why: "500".into(), retry_after: None }
}

fn later_after(seconds: u64) -> Outcome {
    Outcome::Later { why: "429".into(), retry_after: Some(Duration::from_secs(seconds)) }
}

fn blocked() -> Outcome {
    Outcome::Blocked { why: "402".into() }
}

fn refused() -> Outcome {
    Outcome::Refused { why: "400".into() }
}

/// A gate with a clock and a seed of its own.
struct Bench {
    gate: Gate,
    now: Instant,
    rng: fastrand::Rng,
}

impl Bench {
    fn new(concurrency: usize) -> Self {
        let now = Instant::now();
        Self { gate: Gate::new(concurrency), now, rng: fastrand::Rng::with_seed(7) }
    }

    /// A gate whose destination took all that it was ever sent.
    fn grown(concurrency: usize) -> Self {
        let mut bench = Self::new(concurrency);
        for alert in 0..concurrency * concurrency {
            bench.record(alert as i64, &accepted());
        }
        bench
    }

    fn record(&mut self, alert: i64, outcome: &Outcome) -> &mut Self {
        self.gate.record(self.now, alert, outcome, &mut self.rng);
        self
    }

    fn fail(&mut self) -> &mut Self {
        for alert in 0..5 {
            self.record(alert, &later());
        }
        self
    }

    fn permits(&mut self, in_flight: usize) -> usize {
        self.gate.permits(self.now, in_flight)
    }

    fn condition(&self) -> DestinationState {
        self.gate.state(self.now).state
    }

    /// Waits for the next probe, and says how long that took.
    fn wait(&mut self) -> Duration {
        assert_eq!(self.permits(0), 0, "nothing goes before its time");
        let wake = self.gate.next_wake(self.now).expect("a closed gate wakes");
        let wait = wake - self.now;
        self.now = wake - Duration::from_nanos(1);
        assert_eq!(self.permits(0), 0, "nothing goes before its time");
        self.now = wake;
        assert_eq!((self.permits(0), self.permits(1)), (1, 0), "one probe at a time");
        assert_eq!(self.gate.next_wake(self.now), None, "nothing but the probe's outcome is waited for");
        wait
    }
}

#[test]
fn few_alerts_that_fail_for_long_are_told_of_and_close_the_gate_for_nobody() {
    let mut bench = Bench::grown(4);
    bench.record(1, &later()).record(2, &later());
    bench.now += FAILING_AFTER - Duration::from_secs(1);
    bench.record(1, &later());
    assert_eq!(bench.condition(), DestinationState::Healthy);
    bench.now += Duration::from_secs(1);
    assert_eq!(
        bench.gate.state(bench.now),
        State { state: DestinationState::Failing, why: Some("500".into()), proven: false }
    );
    assert!(bench.gate.permits(bench.now, 0) > 0, "others may pass");
    bench.record(3, &accepted());
    assert_eq!(bench.condition(), DestinationState::Healthy);
    bench.now += FAILING_AFTER;
    bench.record(1, &later());
    assert_eq!(bench.condition(), DestinationState::Healthy, "it counts from the last that was accepted");
}

#[test]
fn a_new_gate_lets_one_through_and_grows_by_one_with_each_round_that_is_accepted() {
    let mut bench = Bench::new(5);
    let limits: Vec<_> = (0..14).map(|_| bench.record(1, &accepted()).permits(0)).collect();
    assert_eq!(limits, [2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5]);
}

#[test]
fn an_open_gate_lets_through_as_many_as_configured() {
    let mut bench = Bench::grown(8);
    assert_eq!([0, 7, 8, 9].map(|in_flight| bench.permits(in_flight)), [8, 1, 0, 0]);
    assert_eq!(bench.gate.next_wake(bench.now), None);
    assert_eq!(bench.gate.state(bench.now), State { state: DestinationState::Healthy, why: None, proven: true });
    assert_eq!(Bench::new(0).permits(0), 1);
}

#[test]
fn later_halves_the_limit_and_a_round_of_accepted_raises_it_by_one() {
    let mut bench = Bench::grown(8);
    let mut limits = Vec::new();
    let answers = [later(), later(), later(), later(), refused(), accepted(), accepted(), accepted(), later_after(9)];
    for outcome in answers.into_iter().chain([accepted(), later(), accepted()]) {
        limits.push(bench.record(1, &outcome).permits(0));
    }
    assert_eq!(limits, [4, 2, 1, 1, 1, 2, 2, 3, 1, 2, 1, 2]);
    for _ in 0..40 {
        bench.record(1, &accepted());
    }
    assert_eq!(bench.permits(0), 8);
}

#[test]
fn a_blocked_alert_holds_the_destination_and_probes_grow_rarer() {
    let mut bench = Bench::new(8);
    bench.record(1, &blocked());
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(bench.wait().as_secs());
        bench.record(1, &blocked());
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    let expected = State { state: DestinationState::Held, why: Some("402".into()), proven: false };
    assert_eq!(bench.gate.state(bench.now), expected);
}

#[test]
fn a_held_destination_opens_with_a_limit_of_one_whatever_else_the_probe_brings() {
    for outcome in [accepted(), refused(), later()] {
        let mut bench = Bench::new(8);
        bench.record(1, &blocked()).wait();
        bench.record(1, &outcome);
        assert_eq!((bench.condition(), bench.permits(0)), (DestinationState::Healthy, 1), "{outcome:?}");
        bench.record(2, &accepted()).record(3, &accepted()).record(4, &accepted());
        assert_eq!(bench.permits(0), 3, "{outcome:?}");
    }
}

#[test]
fn five_alerts_put_off_in_a_row_make_a_destination_failing() {
    let mut bench = Bench::new(8);
    for alert in 0..4 {
        assert_eq!(bench.record(alert, &later()).condition(), DestinationState::Healthy);
    }
    assert_eq!(bench.record(4, &later()).condition(), DestinationState::Failing);
    let expected = State { state: DestinationState::Failing, why: Some("500".into()), proven: false };
    assert_eq!(bench.gate.state(bench.now), expected);
}

#[test]
fn an_accepted_alert_between_keeps_the_gate_open() {
    let mut bench = Bench::new(8);
    for alert in 0..100 {
        bench.record(alert, &later());
        if alert % 4 == 3 {
            bench.record(alert, &accepted());
        }
        assert_eq!(bench.condition(), DestinationState::Healthy);
    }
}

#[test]
fn a_poisonous_alert_never_closes_the_gate_for_the_others() {
    let mut bench = Bench::new(8);
    for _ in 0..1000 {
        bench.record(666, &later());
        assert!(bench.condition() == DestinationState::Healthy && bench.permits(0) >= 1);
    }
}

#[test]
fn alerts_that_fail_while_others_are_accepted_close_the_gate_twice_and_then_no_more() {
    for outcome in [later(), blocked()] {
        let mut bench = Bench::new(8);
        let mut closed = 0;
        for _ in 0..10 {
            for poisonous in 0..20 {
                if bench.gate.is_closed() {
                    bench.now += HELD_LAST;
                    assert_eq!(bench.permits(0), 1);
                }
                bench.record(poisonous, &outcome);
            }
            closed += usize::from(bench.gate.is_closed());
            if bench.gate.is_closed() {
                bench.now += HELD_LAST;
                assert_eq!(bench.permits(0), 1, "what the poisonous met is no answer to a probe");
            }
            bench.record(1_000, &accepted());
            assert!(!bench.gate.is_closed());
        }
        assert_eq!(closed, OWN_TROUBLE_AFTER as usize, "{outcome:?}");
        // The destination itself is judged by all others, as before.
        let others: Vec<_> =
            (100..105).map(|alert| bench.gate.record(bench.now, alert, &outcome, &mut bench.rng)).collect();
        assert_eq!((bench.gate.is_closed(), others), (true, vec![false; 5]), "{outcome:?}");
    }
}

#[test]
fn an_alert_that_is_accepted_or_refused_has_no_trouble_of_its_own_any_more() {
    for outcome in [accepted(), refused()] {
        let mut bench = Bench::new(8);
        let mut record = |alert, outcome: &Outcome| bench.gate.record(bench.now, alert, outcome, &mut bench.rng);
        for _ in 0..OWN_TROUBLE_AFTER {
            assert!(!record(1, &later()));
            record(2, &accepted());
        }
        assert!(record(1, &later()) && record(1, &blocked()));
        assert!(!record(1, &outcome) && !record(1, &later()), "{outcome:?}");
    }
}

#[test]
fn only_what_was_poisonous_waits_is_told_as_failing_all_the_same() {
    let mut bench = Bench::new(8);
    for _ in 0..OWN_TROUBLE_AFTER {
        bench.record(1, &blocked());
        bench.now += HELD_LAST;
        assert_eq!(bench.permits(0), 1);
        bench.record(2, &accepted());
    }
    bench.record(1, &blocked());
    assert_eq!(bench.gate.state(bench.now), State { state: DestinationState::Healthy, why: None, proven: false });
    bench.now += FAILING_AFTER;
    let failing = State { state: DestinationState::Failing, why: Some("402".into()), proven: false };
    assert_eq!((bench.gate.state(bench.now), bench.gate.is_closed()), (failing, false), "others may pass");
}

#[test]
fn a_destination_is_proven_by_what_it_takes_or_judges_and_by_nothing_else() {
    let mut bench = Bench::new(8);
    let proven = |bench: &Bench| bench.gate.state(bench.now).proven;
    assert!(!proven(&bench), "it was not heard of");
    assert!(!proven(bench.record(1, &later())));
    assert!(!proven(bench.record(2, &later()).record(2, &refused())), "the first waits still");
    assert!(proven(bench.record(1, &refused())));
    assert!(!proven(bench.record(3, &blocked())));
    bench.wait();
    assert!(!proven(bench.record(3, &later())));
    assert!(proven(bench.record(3, &accepted())));
}

#[test]
fn an_alert_that_is_refused_in_the_end_leaves_the_destination_healthy() {
    let mut bench = Bench::new(8);
    bench.record(1, &later());
    bench.now += FAILING_AFTER;
    assert_eq!(bench.condition(), DestinationState::Failing);
    assert_eq!(bench.record(1, &refused()).condition(), DestinationState::Healthy);
}

#[test]
fn a_failing_destination_is_probed_at_growing_intervals_with_jitter() {
    let mut bench = Bench::new(8);
    bench.fail();
    let mut interval = FAILING_FIRST;
    let mut waits = Vec::new();
    for _ in 0..20 {
        let wait = bench.wait();
        assert!(wait >= interval / 2 && wait <= interval, "{wait:?} is not within {interval:?}");
        waits.push(wait);
        bench.record(9, &later());
        interval = (interval * 2).min(FAILING_LAST);
    }
    assert_ne!(waits[18], waits[19], "there is jitter");
}

#[test]
fn a_failing_destination_is_not_probed_before_it_asked_to_be() {
    let mut bench = Bench::new(8);
    for alert in 0..5 {
        bench.record(alert, &later_after(90));
    }
    assert_eq!(bench.wait().as_secs(), 90);
    bench.record(9, &later_after(1_000_000));
    assert_eq!(bench.wait(), LONGEST_RETRY_AFTER);
}

#[test]
fn a_failing_destination_opens_when_a_probe_is_answered() {
    for outcome in [accepted(), refused()] {
        let mut bench = Bench::new(8);
        bench.fail().wait();
        bench.record(9, &outcome);
        assert_eq!((bench.condition(), bench.permits(0)), (DestinationState::Healthy, 1), "{outcome:?}");
        for alert in 0..4 {
            bench.record(alert, &later());
        }
        assert_eq!(bench.condition(), DestinationState::Healthy, "what was before counts no more");
    }
}

#[test]
fn a_failing_destination_that_begins_to_block_is_held() {
    let mut bench = Bench::new(8);
    bench.fail().wait();
    bench.record(9, &blocked());
    assert_eq!((bench.condition(), bench.wait()), (DestinationState::Held, HELD_FIRST));
}

#[test]
fn what_was_under_way_when_the_gate_closed_is_not_taken_for_a_probe() {
    let mut bench = Bench::new(8);
    bench.record(1, &blocked());
    assert_eq!(bench.gate.permits(bench.now + HELD_LAST, 3), 0, "a probe goes when nothing else is under way");
    bench.record(2, &blocked()).record(3, &later()).record(4, &accepted());
    assert_eq!((bench.condition(), bench.wait()), (DestinationState::Held, HELD_FIRST));

    let mut bench = Bench::new(8);
    bench.fail().record(6, &later_after(50)).record(7, &refused());
    assert_eq!(bench.condition(), DestinationState::Failing);
    assert!(bench.wait() <= FAILING_FIRST);

    let mut bench = Bench::new(8);
    bench.fail().record(6, &accepted());
    assert_eq!((bench.condition(), bench.permits(0)), (DestinationState::Healthy, 1));

    let mut bench = Bench::new(8);
    bench.fail().record(6, &blocked());
    assert_eq!(bench.condition(), DestinationState::Held);
}

/// A whole outage: the destination is met by one after it, by two after that, and never by a step of more than one.
#[test]
fn after_an_outage_a_backlog_goes_out_in_a_ramp_whatever_waits() {
    for outage in [later(), blocked()] {
        let mut bench = Bench::grown(32);
        for alert in 0..32 {
            bench.record(alert, &outage);
        }
        bench.wait();
        bench.record(32, &accepted());
        let (mut rounds, mut sent) = (Vec::new(), 0);
        while bench.permits(0) < 32 {
            let round = bench.permits(0);
            for alert in 0..round {
                bench.record(alert as i64, &accepted());
            }
            rounds.push(round);
            sent += round;
        }
        assert_eq!((rounds, sent), ((1..32).collect(), 31 * 32 / 2), "{outage:?}");
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
        3 => proptest::option::of(0..10_000u64).prop_map(|seconds| seconds.map_or_else(later, later_after)),
        1 => Just(blocked()),
        1 => Just(refused()),
    ];
    prop_oneof![
        (0..20_000u64).prop_map(Step::Pass),
        (1..20usize).prop_map(Step::Send),
        (0..20usize, outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_gate_keeps_its_limits_and_wakes(
        concurrency in 1..12usize,
        seed: u64,
        steps in proptest::collection::vec(step(), 1..300),
    ) {
        let mut bench = Bench::new(concurrency);
        bench.rng = fastrand::Rng::with_seed(seed);
        // (alert, whether it was sent while the gate was closed)
        let mut under_way: Vec<(i64, bool)> = Vec::new();
        let mut next_alert = 0;
        for step in steps {
            match step {
                Step::Pass(millis) => bench.now += Duration::from_millis(millis),
                Step::Send(wanted) => {
                    let closed = bench.condition() != DestinationState::Healthy;
                    let permits = bench.permits(under_way.len());
                    prop_assert!(!closed || permits <= usize::from(under_way.is_empty()));
                    for _ in 0..wanted.min(permits) {
                        under_way.push((next_alert, closed));
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
            let wake = bench.gate.next_wake(bench.now);
            prop_assert!(wake.is_none_or(|wake| wake > bench.now && wake <= bench.now + LONGEST_RETRY_AFTER));
            // Once nothing is under way, something may go: now, or at the time that the gate names.
            let at = wake.unwrap_or(bench.now);
            prop_assert!(bench.gate.clone().permits(at, 0) >= 1);
        }
    }
}
