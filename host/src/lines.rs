//! Log lines that somebody else causes, a sender, a destination or the disk: the first at once, and then one a minute, so
//! that a flood does not fill the disk that the log is on. Metrics count what they tell of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing more is said of the same.
const PAUSE: Duration = Duration::from_secs(60);

/// When what was said last. There are as many entries as there are sources and ways to end.
#[derive(Debug, Default)]
pub struct Lines(Mutex<HashMap<(Arc<str>, &'static str), Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    left_out: u64,
}

impl Lines {
    /// Whether a line is to be written now: then with the number of those that were left out before it. `about` is a word of
    /// the configuration, never the sender's.
    pub fn due(&self, about: &str, outcome: &'static str) -> Option<u64> {
        self.due_at(about, outcome, Instant::now())
    }

    fn due_at(&self, about: &str, outcome: &'static str, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = said.get_mut(&(Arc::from(about), outcome)) else {
            said.insert((Arc::from(about), outcome), Said { at: now, left_out: 0 });
            return Some(0);
        };
        if now.duration_since(last.at) < PAUSE {
            last.left_out += 1;
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_at_once_and_then_one_a_minute_says_how_many_were_left_out() {
        let (lines, start) = (Lines::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(lines.due_at("a", "forbidden", start), Some(0));
        assert!((0..59).all(|second| lines.due_at("a", "forbidden", after(second)).is_none()));
        assert_eq!(lines.due_at("a", "forbidden", after(60)), Some(59));
        assert_eq!(lines.due_at("a", "forbidden", after(61)), None);
        assert_eq!(lines.due_at("a", "forbidden", after(3600)), Some(1));
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_other() {
        let (lines, now) = (Lines::default(), Instant::now());
        assert_eq!(lines.due_at("a", "forbidden", now), Some(0));
        assert_eq!(lines.due_at("a", "too_large", now), Some(0));
        assert_eq!(lines.due_at("b", "forbidden", now), Some(0));
        assert_eq!(lines.due_at("b", "forbidden", now), None);
    }
}
