//! The internal alerts that intake fires about a source, and resolves.
//!
//! They go through the store like every internal alert. Here is decided only when: the first
//! refusal fires, none fires again within [`AGAIN`], and an accepted request resolves once nothing
//! was refused for as long.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::time::Instant;

/// How long after one alert the next of the same may fire, and for how long all must be well before
/// it resolves.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// One thing that can be wrong with a source.
#[derive(Debug)]
pub struct Condition(Mutex<State>);

#[derive(Debug)]
struct State {
    open: bool,
    /// The time of the last trouble, and of its last alert.
    wrong_at: Option<Instant>,
    fired_at: Option<Instant>,
}

impl Condition {
    /// A condition that an earlier run may have left open.
    pub fn new(open: bool) -> Self {
        Self(Mutex::new(State {
            open,
            wrong_at: None,
            fired_at: None,
        }))
    }

    /// Notes that it is wrong. Returns whether an alert is to fire.
    pub fn is_wrong(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.wrong_at = Some(now);
        let due = state
            .fired_at
            .is_none_or(|at| now.duration_since(at) >= AGAIN);
        if due {
            state.open = true;
            state.fired_at = Some(now);
        }
        due
    }

    /// Notes that it is well. Returns whether its alert is to resolve.
    pub fn is_well(&self, now: Instant) -> bool {
        let mut state = self.state();
        let over = state.open
            && state
                .wrong_at
                .is_none_or(|at| now.duration_since(at) >= AGAIN);
        state.open &= !over;
        over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn condition_fires_once_in_ten_minutes_and_resolves_when_well() {
        let condition = Condition::new(false);
        assert!(!condition.is_well(Instant::now()), "nothing was wrong");
        assert!(condition.is_wrong(Instant::now()));
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(60)).await;
            assert!(!condition.is_wrong(Instant::now()) && !condition.is_well(Instant::now()));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(condition.is_wrong(Instant::now()), "it is still wrong");
        tokio::time::advance(AGAIN).await;
        assert!(condition.is_well(Instant::now()));
        assert!(!condition.is_well(Instant::now()), "it resolves once");
    }

    #[tokio::test(start_paused = true)]
    async fn alert_of_an_earlier_run_resolves_with_the_first_request() {
        assert!(Condition::new(true).is_well(Instant::now()));
    }
}
