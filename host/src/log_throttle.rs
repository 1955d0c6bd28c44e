//! The log throttle: one line a minute and kind, with the number suppressed.
//!
//! A sender, a destination or the disk can cause a log line again and again. The throttle keeps
//! such a flood from filling the disk that holds the log. Metrics count every occurrence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The pause between two lines of one kind.
const PAUSE: Duration = Duration::from_secs(60);

/// Remembers the last line of each kind. It has as many entries as there are sources, outcomes and
/// reasons.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<HashMap<(Arc<str>, &'static str), Last>>);

#[derive(Debug)]
struct Last {
    at: Instant,
    suppressed: u64,
}

impl LogThrottle {
    /// Returns the number of lines suppressed since the last one if a line is due now, and counts
    /// this one as suppressed otherwise. `about` is a word of the configuration or a reason of the
    /// gateway's own, never a sender's.
    pub fn due(&self, about: &str, outcome: &'static str) -> Option<u64> {
        self.due_at(about, outcome, Instant::now())
    }

    fn due_at(&self, about: &str, outcome: &'static str, now: Instant) -> Option<u64> {
        let mut entries = self.0.lock();
        let Some(last) = entries.get_mut(&(Arc::from(about), outcome)) else {
            entries.insert(
                (Arc::from(about), outcome),
                Last {
                    at: now,
                    suppressed: 0,
                },
            );
            return Some(0);
        };
        if now.duration_since(last.at) < PAUSE {
            last.suppressed += 1;
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_due_at_once_then_one_a_minute() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.due_at("a", "forbidden", start), Some(0));
        assert!((0..59).all(|second| throttle.due_at("a", "forbidden", after(second)).is_none()));
        assert_eq!(throttle.due_at("a", "forbidden", after(60)), Some(59));
        assert_eq!(throttle.due_at("a", "forbidden", after(61)), None);
        assert_eq!(throttle.due_at("a", "forbidden", after(3600)), Some(1));
    }

    #[test]
    fn flood_of_one_kind_suppresses_no_other() {
        let throttle = LogThrottle::default();
        let now = Instant::now();
        assert_eq!(throttle.due_at("a", "forbidden", now), Some(0));
        assert_eq!(throttle.due_at("a", "too_large", now), Some(0));
        assert_eq!(throttle.due_at("b", "forbidden", now), Some(0));
        assert_eq!(throttle.due_at("b", "forbidden", now), None);
    }
}
