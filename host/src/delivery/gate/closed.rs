//! A closed gate: why it is closed, and when the next probe may go.

use std::time::Duration;

use tokio::time::Instant;

use super::DestinationState;
use crate::itoc360::outcome::LONGEST_RETRY_AFTER;

/// The first wait of a held destination: long enough to spare ITOC360, short enough that an operator who has just
/// mended the token sees it work.
pub const HELD_FIRST: Duration = Duration::from_secs(5);

/// The longest wait of a held destination.
pub const HELD_LAST: Duration = Duration::from_secs(60);

/// The first wait of a failing destination, before jitter.
pub const FAILING_FIRST: Duration = Duration::from_secs(1);

/// The longest wait of a failing destination that asks for no longer one.
pub const FAILING_LAST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Closed {
    /// Never healthy.
    pub condition: DestinationState,
    pub why: String,
    pub next_probe: Instant,
    /// Whether the probe may have been sent. It is only sent when nothing else is under way, so while this is true, the
    /// only outcome that can come is the probe's.
    pub probing: bool,
    interval: Duration,
}

impl Closed {
    pub fn held(now: Instant, why: &str) -> Self {
        let condition = DestinationState::Held;
        let (why, interval) = (why.to_owned(), HELD_FIRST);
        Self { condition, why, next_probe: now + interval, probing: false, interval }
    }

    pub fn failing(now: Instant, why: &str, retry_after: Option<Duration>, rng: &mut fastrand::Rng) -> Self {
        let condition = DestinationState::Failing;
        let (why, interval) = (why.to_owned(), FAILING_FIRST);
        let next_probe = now + wait(interval, retry_after, rng);
        Self { condition, why, next_probe, probing: false, interval }
    }

    /// Whether a probe may go now. Where it may, the next outcome is taken as the probe's.
    pub fn may_probe(&mut self, now: Instant, in_flight: usize) -> bool {
        let may = in_flight == 0 && now >= self.next_probe;
        self.probing |= may;
        may
    }

    /// The probe of a held destination was blocked too.
    pub fn held_longer(&mut self, now: Instant, why: &str) {
        self.interval = (self.interval * 2).min(HELD_LAST);
        self.put_off(now + self.interval, why);
    }

    /// The probe of a failing destination failed too.
    pub fn failing_longer(&mut self, now: Instant, why: &str, retry_after: Option<Duration>, rng: &mut fastrand::Rng) {
        self.interval = (self.interval * 2).min(FAILING_LAST);
        self.put_off(now + wait(self.interval, retry_after, rng), why);
    }

    fn put_off(&mut self, next_probe: Instant, why: &str) {
        self.next_probe = next_probe;
        self.probing = false;
        why.clone_into(&mut self.why);
    }
}

/// Half of the interval to all of it, so that gateways that failed together do not probe together, and never shorter
/// than what the destination asked for.
fn wait(interval: Duration, retry_after: Option<Duration>, rng: &mut fastrand::Rng) -> Duration {
    interval.mul_f64(0.5 + rng.f64() / 2.0).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}
