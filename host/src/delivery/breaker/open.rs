//! The open state of a circuit breaker: its reason, and when the next probe may go.

use std::time::Duration;

use tokio::time::Instant;

use super::DestinationState;
use crate::destinations::LONGEST_RETRY_AFTER;

/// The first wait of a held destination: long enough to spare it, short enough that an operator who
/// has just fixed the token sees it work.
pub const HELD_FIRST: Duration = Duration::from_secs(5);

/// The longest wait of a held destination.
pub const HELD_LAST: Duration = Duration::from_secs(60);

/// The first wait of a failing destination, before jitter.
pub const FAILING_FIRST: Duration = Duration::from_secs(1);

/// The longest wait of a failing destination that asks for no longer one, once the outage is no
/// [`SHORT_OUTAGE`] any more.
pub const FAILING_LAST: Duration = Duration::from_secs(30);

/// The longest wait before that: a page that has waited out a short outage is to go out within
/// seconds of its end, and one small request every few seconds is no burden.
pub const FAILING_SOON: Duration = Duration::from_secs(4);

/// The time for which an outage is a short one.
pub const SHORT_OUTAGE: Duration = Duration::from_secs(10 * 60);

/// Returns the longest wait of a destination that has accepted nothing for this long.
pub fn longest(outage: Duration) -> Duration {
    if outage < SHORT_OUTAGE {
        FAILING_SOON
    } else {
        FAILING_LAST
    }
}

/// An open circuit breaker. It is half-open while its probe is under way.
#[derive(Debug, Clone)]
pub struct Open {
    /// Failing or held, never healthy.
    pub state: DestinationState,
    pub why: String,
    pub next_probe: Instant,
    /// True if the breaker is half-open. A probe is only sent when nothing else is under way, so
    /// the only outcome that can come meanwhile is the probe's.
    pub half_open: bool,
    interval: Duration,
}

impl Open {
    pub fn held(now: Instant, why: &str) -> Self {
        let next_probe = now + HELD_FIRST;
        let state = DestinationState::Held;
        Self {
            state,
            why: why.to_owned(),
            next_probe,
            half_open: false,
            interval: HELD_FIRST,
        }
    }

    pub fn failing(
        now: Instant,
        why: &str,
        retry_after: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let next_probe = now + wait(FAILING_FIRST, retry_after, rng);
        let state = DestinationState::Failing;
        Self {
            state,
            why: why.to_owned(),
            next_probe,
            half_open: false,
            interval: FAILING_FIRST,
        }
    }

    /// Returns whether a probe may go now. Where it may, the breaker is half-open until the next
    /// outcome.
    pub fn may_probe(&mut self, now: Instant, in_flight: usize) -> bool {
        let may = in_flight == 0 && now >= self.next_probe;
        self.half_open |= may;
        may
    }

    /// Waits longer, because the probe of a held destination was blocked too.
    pub fn held_longer(&mut self, now: Instant, why: &str) {
        self.interval = (self.interval * 2).min(HELD_LAST);
        self.reopen(now + self.interval, why);
    }

    /// Waits longer, because the probe of a failing destination failed too.
    pub fn failing_longer(
        &mut self,
        now: Instant,
        why: &str,
        retry_after: Option<Duration>,
        longest: Duration,
        rng: &mut fastrand::Rng,
    ) {
        self.interval = (self.interval * 2).min(longest);
        self.reopen(now + wait(self.interval, retry_after, rng), why);
    }

    fn reopen(&mut self, next_probe: Instant, why: &str) {
        self.next_probe = next_probe;
        self.half_open = false;
        why.clone_into(&mut self.why);
    }
}

/// Half of the interval to all of it, so that gateways that failed together do not probe together,
/// and never shorter than what the destination asked for.
fn wait(interval: Duration, retry_after: Option<Duration>, rng: &mut fastrand::Rng) -> Duration {
    interval
        .mul_f64(0.5 + rng.f64() / 2.0)
        .max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}
