//! The storm guard: whether a source sends so much that its events are grouped.

use serde::{Deserialize, Serialize};

use super::rate::Rate;

/// The number of looks at a storm within the time of its threshold. A storm may last so much longer
/// than its rate says.
const LOOKS: i64 = 10;
/// The shortest time between two looks at a storm.
const LOOK_MS: i64 = 1000;

/// The threshold of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// So many events
    pub count: u64,
    /// within so many milliseconds are no storm.
    pub within_ms: i64,
    /// The time for which the rate must be below the threshold until the storm is over.
    pub calm_after_ms: i64,
}

/// The rate of a source, and its storm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    guard: Guard,
    rate: Rate,
    /// True if a storm lasts.
    is_on: bool,
    /// The time since when the rate has been below the threshold.
    calm_since: Option<i64>,
    looked_at: i64,
}

impl Storm {
    /// A source of which nothing has come yet.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            rate: Rate::default(),
            is_on: false,
            calm_since: None,
            looked_at: i64::MIN,
        }
    }

    /// Returns whether a storm lasts.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Counts an event at `now_ms`, under the threshold that holds now. Returns whether a storm
    /// begins with it.
    pub fn event(&mut self, guard: Guard, now_ms: i64) -> bool {
        self.guard = guard;
        self.rate.add(guard.within_ms, now_ms);
        let is_over = self.rate.count(guard.within_ms, now_ms) > guard.count;
        let begins = is_over && !self.is_on;
        if is_over {
            self.is_on = true;
            self.calm_since = None;
        }
        if begins {
            self.looked_at = now_ms;
        }
        begins
    }

    /// Looks at the rate at `now_ms`. Returns whether the storm ends now.
    pub fn look(&mut self, now_ms: i64) -> bool {
        self.looked_at = now_ms;
        if !self.is_on {
            return false;
        }
        if self.rate.count(self.guard.within_ms, now_ms) > self.guard.count {
            self.calm_since = None;
            return false;
        }
        let since = *self.calm_since.get_or_insert(now_ms);
        let ends = now_ms.saturating_sub(since) >= self.guard.calm_after_ms;
        if ends {
            (self.is_on, self.calm_since) = (false, None);
        }
        ends
    }

    /// Returns the time of the next look, while a storm lasts.
    pub fn look_at(&self) -> Option<i64> {
        let between = self.guard.within_ms.min(self.guard.calm_after_ms) / LOOKS;
        self.is_on
            .then(|| self.looked_at.saturating_add(between.max(LOOK_MS)))
    }

    /// Moves times that lie ahead of `now_ms` back to it: they were taken by another clock.
    pub fn bring_back(&mut self, now_ms: i64) {
        self.looked_at = self.looked_at.min(now_ms);
        self.calm_since = self.calm_since.map(|since| since.min(now_ms));
    }
}
