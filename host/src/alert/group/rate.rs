//! A count of the events within the last while.

use serde::{Deserialize, Serialize};

/// The number of parts of the time. An event counts until its part has left the time, which is up
/// to a part too late.
const PARTS: i64 = 30;

/// The events within a sliding time, counted in parts of it: bounded however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The parts that have events: the number of the part since 1970, and the number of events.
    parts: Vec<(i64, u32)>,
}

impl Rate {
    /// Counts an event at `now_ms`.
    pub fn add(&mut self, within_ms: i64, now_ms: i64) {
        let now = part(within_ms, now_ms);
        self.forget(now);
        match self.parts.last_mut() {
            Some((last, count)) if *last == now => *count = count.saturating_add(1),
            _ => self.parts.push((now, 1)),
        }
    }

    /// Returns the number of events within `within_ms` before `now_ms`.
    pub fn count(&self, within_ms: i64, now_ms: i64) -> u64 {
        let now = part(within_ms, now_ms);
        self.parts
            .iter()
            .filter(|(part, _)| counts(*part, now))
            .map(|(_, count)| u64::from(*count))
            .sum()
    }

    /// Forgets parts that have left the time, and those of a clock that was ahead.
    fn forget(&mut self, now: i64) {
        self.parts.retain(|(part, _)| counts(*part, now));
    }
}

fn part(within_ms: i64, now_ms: i64) -> i64 {
    now_ms.div_euclid((within_ms / PARTS).max(1))
}

fn counts(part: i64, now: i64) -> bool {
    part <= now && part > now - PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn events_count_until_they_leave_the_time() {
        let mut rate = Rate::default();
        for second in 0..20 {
            rate.add(5 * MINUTE, second * 1000);
        }
        assert_eq!(rate.count(5 * MINUTE, 20_000), 20);
        assert_eq!(rate.count(5 * MINUTE, 4 * MINUTE), 20);
        assert_eq!(rate.count(5 * MINUTE, 5 * MINUTE + 20_000), 0);
    }

    #[test]
    fn rate_stays_small_and_forgets_a_clock_that_was_ahead() {
        let mut rate = Rate::default();
        for ms in 0..100_000 {
            rate.add(1000, ms);
        }
        assert!(rate.parts.len() as i64 <= PARTS);
        assert_eq!(rate.count(1000, 0), 0);
        rate.add(1000, 0);
        assert_eq!(rate.count(1000, 0), 1);
    }
}
