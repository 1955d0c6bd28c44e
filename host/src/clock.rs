//! What time it is: for waits, and for people.
//!
//! The machine's clock is set while the gateway runs: by an operator, by NTP after a start without it, by a leap second
//! that is not smeared. So a wait is never counted by it. [`Clock`] asks it once, at the start, and counts on with the
//! monotonic clock, which nobody sets and which rests while the machine sleeps: it says when an alert is due. Only what a
//! person reads (when a request came in, when an attempt was made) is [`wall_ms`]. Both are Unix milliseconds, which know
//! neither time zones nor daylight saving.
//!
//! What is written down as due outlives the process, and the next one starts from the machine's clock again. Where that
//! was set meanwhile, alerts are due too early, which delivery's ramp bears, or too late; the store brings back what is
//! due later than [`LONGEST_WAIT`] allows.
//!
//! Age is a span between a point in time that a person reads and now. Where both clocks differ, each use takes the one
//! that errs on the safe side: see [`Clock::earliest_ms`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The longest that anything here waits. An alert that is due later was written down under another clock.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A clock that nobody sets.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_ms: i64,
}

impl Clock {
    /// A clock that starts from the machine's, now.
    pub fn start() -> Self {
        Self::at(wall_ms())
    }

    /// A clock that starts from this: Unix milliseconds.
    pub fn at(unix_ms: i64) -> Self {
        Self { started: Instant::now(), started_ms: unix_ms }
    }

    /// Unix milliseconds, as if the machine's clock had not been set since the start. Never less than before.
    pub fn now_ms(self) -> i64 {
        self.started_ms.saturating_add_unsigned(self.started.elapsed().as_millis() as u64)
    }

    /// The earlier of this clock and the machine's: before what a span reaches back from it, nothing is younger than that
    /// span by either. For what is removed because of its age, so that a clock that is set forward removes nothing early.
    pub fn earliest_ms(self) -> i64 {
        self.now_ms().min(wall_ms())
    }

    /// How far the machine's clock has been set since the start: milliseconds, forward is positive.
    pub fn drift_ms(self) -> i64 {
        wall_ms().saturating_sub(self.now_ms())
    }
}

/// The machine's clock, which may be set at any time: Unix milliseconds. 0 before 1970.
pub fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    #[tokio::test(start_paused = true)]
    async fn it_counts_on_from_where_it_started_and_asks_nobody() {
        // Noon before a leap second, before a change to summer time in Europe, and the last millisecond of all.
        for start in ["2016-12-31T12:00:00Z", "2026-03-28T12:00:00Z"] {
            let start = start.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let clock = Clock::at(start);
            tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
            assert_eq!(clock.now_ms(), start + DAY_MS, "a day has 86,400 seconds, whatever the calendar says");
        }
        assert_eq!(Clock::at(i64::MAX).now_ms(), i64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn it_knows_how_far_the_machines_clock_was_set() {
        // As if that had been set after the start: back, forward, and by a leap second.
        for set in [-DAY_MS, DAY_MS, -1000, 0] {
            let clock = Clock::at(wall_ms() - set);
            // Real time passes for the one and not for the other.
            assert!((set..set + 60_000).contains(&clock.drift_ms()), "{set}: {}", clock.drift_ms());
            assert!(clock.earliest_ms() <= clock.now_ms() && clock.earliest_ms() <= wall_ms());
        }
    }
}
