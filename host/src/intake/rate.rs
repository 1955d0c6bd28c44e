//! The rate limit of a source: `limits.rate`.
//!
//! The generic cell rate algorithm, by the `governor` crate: a burst of the configured count, and
//! then one request for each part of the time. The limit comes after the token: strangers without
//! it cannot use up the sender's rate. It comes before the body and the plugin: a request beyond it
//! costs next to nothing. If a plugin proves the sender by a signature over the body, forged
//! requests count too. Then only `token` or `clients` keeps strangers from using up the rate.

use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::Rate;

/// The rate of one source.
#[derive(Debug)]
pub struct Pace<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl Pace {
    /// Creates the limit, by the monotonic clock.
    pub fn new(rate: Rate) -> Self {
        Self::by(rate, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Pace<C> {
    fn by(rate: Rate, clock: C) -> Self {
        let Rate { count, per } = rate;
        // Only no time at all would be no quota, and the shortest is a microsecond.
        let quota = Quota::with_period(per / count.get())
            .unwrap_or(Quota::per_second(count))
            .allow_burst(count);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The whole seconds until it may come; it does not count then.
    pub fn step(&self) -> Result<(), u64> {
        self.limiter
            .check()
            .map_err(|early| whole_seconds(early.wait_time_from(self.clock.now())))
    }
}

/// Rounded up: who comes back a fraction of a second too early would be refused again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn pace(count: u32, seconds: u64) -> (Pace<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let count = NonZeroU32::new(count).unwrap();
        (
            Pace::by(
                Rate {
                    count,
                    per: Duration::from_secs(seconds),
                },
                clock.clone(),
            ),
            clock,
        )
    }

    #[test]
    fn rate_allows_a_burst_then_one_for_each_interval() {
        let (pace, clock) = pace(4, 60);
        assert!((0..4).all(|_| pace.step().is_ok()));
        assert_eq!(pace.step(), Err(15));
        clock.advance(Duration::from_millis(14_001));
        assert_eq!(pace.step(), Err(1));
        clock.advance(Duration::from_millis(999));
        assert_eq!((pace.step(), pace.step()), (Ok(()), Err(15)));
        clock.advance(Duration::from_secs(3600));
        assert_eq!((0..10).filter(|_| pace.step().is_ok()).count(), 4);
    }

    #[test]
    fn who_waits_as_long_as_told_is_taken() {
        for (count, seconds) in [(1, 1), (7, 1), (3, 60), (1, 3600), (1_000_000, 1)] {
            let (pace, clock) = pace(count, seconds);
            while pace.step().is_ok() {}
            let wait = pace.step().unwrap_err();
            assert!(wait >= 1);
            clock.advance(Duration::from_secs(wait));
            assert_eq!(
                pace.step(),
                Ok(()),
                "{count} in {seconds} s, told to wait {wait} s"
            );
        }
    }
}
