//! Slows down a flood of requests that prove nothing.
//!
//! A refusal costs a stranger less than it costs the gateway, whose processors all sources share. So
//! beyond a rate that no sender reaches by mistake, a refusal goes out after a pause. Who waits for
//! an answer on each connection then sends a few requests a second over it. By then the request's
//! body and its share of the memory budget are released; the connection alone is held, and much
//! shorter than one that sends nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use super::rate::Pace;
use crate::config::Rate;

/// The refusals that go out at once.
const AT_ONCE: Rate = Rate {
    count: NonZeroU32::new(1_000).unwrap(),
    per: Duration::from_secs(1),
};

/// The pause before a further one.
const PAUSE: Duration = Duration::from_millis(100);

/// The refusals of one source, or of all paths that lead to none.
#[derive(Debug)]
pub struct Refusals(Pace);

impl Default for Refusals {
    fn default() -> Self {
        Self(Pace::new(AT_ONCE))
    }
}

impl Refusals {
    /// Counts a refusal, and waits where it is one too many.
    pub async fn pace(&self) {
        if self.0.step().is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn flood_of_refusals_is_slowed_and_a_few_are_not() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for _ in 0..AT_ONCE.count.get() {
            refusals.pace().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        // Some have become free meanwhile.
        for _ in 0..5 * AT_ONCE.count.get() {
            refusals.pace().await;
        }
        assert!(start.elapsed() >= PAUSE);
    }
}
