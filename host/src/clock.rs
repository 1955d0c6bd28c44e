//! Two clocks: a steady one for waits, and the wall clock for people.
//!
//! The machine's clock may be set while the gateway runs: by an operator, by NTP after a start
//! without it, by a leap second without smearing. So no wait is counted by it. [`Clock`] reads it
//! once, at the start, and counts on with the monotonic clock, which cannot be set and which rests
//! while the machine sleeps. Due times are steady; only times for people (of a request, of an
//! attempt) are [`wall_ms`]. Both are Unix milliseconds, without time zones or daylight saving.
//!
//! A due time in the store outlives the process, and the next process starts from the machine's
//! clock again. If that was set meanwhile, alerts are due too early, which slow start absorbs, or
//! too late. The store corrects a due time beyond [`LONGEST_WAIT`] at the start.
//!
//! Age is the span between a wall time and now. Where the clocks differ, each use takes the safer
//! one: see [`Clock::earliest_ms`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The longest wait of an alert. A later due time was stored under another clock.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The steady clock: it cannot be set.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_ms: i64,
}

impl Clock {
    /// Starts from the machine's clock, now.
    pub fn start() -> Self {
        Self::at(wall_ms())
    }

    /// Starts from `unix_ms`, in Unix milliseconds.
    pub fn at(unix_ms: i64) -> Self {
        Self {
            started: Instant::now(),
            started_ms: unix_ms,
        }
    }

    /// Returns Unix milliseconds, as if the machine's clock had not been set since the start. Never
    /// goes back.
    pub fn now_ms(self) -> i64 {
        self.started_ms
            .saturating_add_unsigned(self.started.elapsed().as_millis() as u64)
    }

    /// Returns the earlier of this clock and the machine's. Retention counts ages back from it, so
    /// a clock set forward removes nothing early.
    pub fn earliest_ms(self) -> i64 {
        self.now_ms().min(wall_ms())
    }

    /// Returns how far the machine's clock was set since the start, in milliseconds; forward is
    /// positive.
    pub fn drift_ms(self) -> i64 {
        wall_ms().saturating_sub(self.now_ms())
    }
}

/// Returns the machine's clock, which may be set at any time, in Unix milliseconds; 0 before 1970.
pub fn wall_ms() -> i64 {
    since_1970().as_millis() as i64
}

/// Returns the machine's clock in Unix nanoseconds, as spans have them; 0 before 1970.
pub fn wall_ns() -> u64 {
    since_1970().as_nanos() as u64
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place for all of the gateway"
)]
fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

/// Unix milliseconds as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(unix_ms: i64) -> String {
    // Out of range only where somebody wrote into a file by hand.
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    #[tokio::test(start_paused = true)]
    async fn it_counts_on_from_where_it_started_and_asks_nobody() {
        // Noon before a leap second, before a change to summer time in Europe, and the last
        // millisecond of all.
        for start in ["2016-12-31T12:00:00Z", "2026-03-28T12:00:00Z"] {
            let start = start.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let clock = Clock::at(start);
            tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
            assert_eq!(
                clock.now_ms(),
                start + DAY_MS,
                "a day has 86,400 seconds, whatever the calendar says"
            );
        }
        assert_eq!(Clock::at(i64::MAX).now_ms(), i64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn it_knows_how_far_the_machines_clock_was_set() {
        // As if that had been set after the start: back, forward, and by a leap second.
        for set in [-DAY_MS, DAY_MS, -1000, 0] {
            let clock = Clock::at(wall_ms() - set);
            // Real time passes for the one and not for the other.
            assert!(
                (set..set + 60_000).contains(&clock.drift_ms()),
                "{set}: {}",
                clock.drift_ms()
            );
            assert!(clock.earliest_ms() <= clock.now_ms() && clock.earliest_ms() <= wall_ms());
        }
    }
}
