//! Conditions: when trouble is worth an internal alert, and when that alert resolves.
//!
//! A condition that flaps must not page at every flap. So an alert may have to wait until the
//! trouble has lasted, and its end until the trouble is over for good. After one alert there is
//! none of the same for [`AGAIN`], at whose end there is one if the trouble is there. The operator
//! then hears of it at most so much later, and is paged at most six times an hour.
//!
//! It is a pure state machine: the caller brings the time and does the telling.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between an alert and the next of the same kind.
pub const AGAIN: Duration = Duration::from_secs(10 * 60);

/// A condition of one thing that may go wrong, and whether it has fired.
#[derive(Debug, Clone)]
pub struct Condition {
    patience: Duration,
    calm: Duration,
    wrong: bool,
    /// The beginning of its present state.
    since: Instant,
    told: bool,
    told_at: Option<Instant>,
}

/// The alert that is due for a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The one that fires.
    Open,
    /// The one that resolves.
    End,
}

impl Condition {
    /// Returns a condition that is well at `now`. It fires when it has been wrong for `patience`,
    /// and resolves when it has been well for `calm`.
    pub fn new(patience: Duration, calm: Duration, now: Instant) -> Self {
        Self {
            patience,
            calm,
            wrong: false,
            since: now,
            told: false,
            told_at: None,
        }
    }

    /// Takes over a condition that fired in an earlier run. It is wrong until it is found well.
    pub fn was_told(&mut self) {
        (self.wrong, self.told) = (true, true);
    }

    /// Returns whether it has fired and not resolved.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Learns the present state.
    pub fn find(&mut self, wrong: bool, now: Instant) {
        if self.wrong != wrong {
            (self.wrong, self.since) = (wrong, now);
        }
    }

    /// Returns the alert that is due next, and when, if nothing changes.
    pub fn next(&self) -> Option<(Instant, Act)> {
        match (self.wrong, self.told) {
            (true, false) => {
                let at = self.since + self.patience;
                Some((
                    self.told_at.map_or(at, |told_at| at.max(told_at + AGAIN)),
                    Act::Open,
                ))
            }
            (false, true) => Some((self.since + self.calm, Act::End)),
            _ => None,
        }
    }

    /// Returns the alert that is due now.
    pub fn due(&self, now: Instant) -> Option<Act> {
        self.next().filter(|(at, _)| *at <= now).map(|(_, act)| act)
    }

    /// Notes that the alert was raised.
    pub fn done(&mut self, act: Act, now: Instant) {
        self.told = act == Act::Open;
        if self.told {
            self.told_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn told(condition: &mut Condition, now: Instant) -> Option<Act> {
        let act = condition.due(now);
        act.inspect(|act| condition.done(*act, now))
    }

    #[test]
    fn condition_fires_once_after_its_patience_and_resolves_at_once() {
        let start = Instant::now();
        let mut failing = Condition::new(5 * MINUTE, Duration::ZERO, start);
        failing.find(true, start);
        assert_eq!(failing.next(), Some((start + 5 * MINUTE, Act::Open)));
        assert_eq!(told(&mut failing, start + 4 * MINUTE), None);
        failing.find(true, start + 4 * MINUTE);
        assert_eq!(
            told(&mut failing, start + 5 * MINUTE),
            Some(Act::Open),
            "found again is no new beginning"
        );
        assert_eq!(failing.next(), None);
        failing.find(false, start + 6 * MINUTE);
        assert_eq!(told(&mut failing, start + 6 * MINUTE), Some(Act::End));
        assert_eq!(failing.next(), None);
    }

    #[test]
    fn condition_that_ends_within_its_patience_never_fires() {
        let start = Instant::now();
        let mut failing = Condition::new(5 * MINUTE, Duration::ZERO, start);
        for minute in (0..100).step_by(5) {
            failing.find(true, start + minute * MINUTE);
            assert_eq!(told(&mut failing, start + (minute + 4) * MINUTE), None);
            failing.find(false, start + (minute + 4) * MINUTE);
        }
        assert_eq!(failing.next(), None);
    }

    #[test]
    fn flapping_condition_fires_once_in_ten_minutes() {
        let start = Instant::now();
        let mut held = Condition::new(Duration::ZERO, Duration::ZERO, start);
        let mut opened = 0;
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            held.find(second % 7 < 3, now);
            opened += usize::from(told(&mut held, now) == Some(Act::Open));
        }
        assert_eq!(opened, 6);
    }

    #[test]
    fn condition_of_an_earlier_run_resolves_when_found_well() {
        let start = Instant::now();
        let mut held = Condition::new(Duration::ZERO, Duration::ZERO, start);
        held.was_told();
        assert_eq!(held.next(), None, "nobody knows yet");
        held.find(true, start + MINUTE);
        assert_eq!(held.next(), None, "it is told already");
        held.find(false, start + 2 * MINUTE);
        assert_eq!(told(&mut held, start + 2 * MINUTE), Some(Act::End));
    }
}
