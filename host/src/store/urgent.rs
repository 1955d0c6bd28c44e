//! The urgency of open keys: a resolve goes out before whatever the alert that it closes went before.
//!
//! Where that alert waits still, the queue has its priority. Where it was delivered, the writer
//! remembers it, for the newest keys. A resolve of any other key has the priority that its plugin
//! gave it: nothing but the order between keys depends on this.

use std::collections::HashMap;

/// The number of keys that are remembered at least.
const KEYS: usize = 1 << 15;

/// The most urgent priority of each key since it was resolved last, as a rank.
#[derive(Debug, Clone, Default)]
pub struct Urgent {
    newer: HashMap<i64, i64>,
    older: HashMap<i64, i64>,
}

impl Urgent {
    /// Takes down that an alert of a key opens or updates it.
    pub fn opens(&mut self, ordering_key: i64, rank: i64) {
        let before = self.take(ordering_key).unwrap_or(rank);
        if self.newer.len() >= KEYS {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(ordering_key, rank.min(before));
    }

    /// Returns the rank of a resolve: that of the key, if it is more urgent than the resolve's own.
    pub fn closes(&mut self, ordering_key: i64, rank: i64) -> i64 {
        let before = self.take(ordering_key).unwrap_or(rank);
        rank.min(before)
    }

    fn take(&mut self, ordering_key: i64) -> Option<i64> {
        let newer = self.newer.remove(&ordering_key);
        let older = self.older.remove(&ordering_key);
        newer.or(older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolve_has_the_rank_of_its_key_once() {
        let mut urgent = Urgent::default();
        urgent.opens(1, 2);
        urgent.opens(1, 0);
        urgent.opens(1, 3);
        assert_eq!(urgent.closes(1, 3), 0);
        assert_eq!(urgent.closes(1, 3), 3);
        assert_eq!(urgent.closes(2, 1), 1);
        urgent.opens(3, 3);
        assert_eq!(urgent.closes(3, 1), 1);
    }

    #[test]
    fn newest_keys_are_remembered_and_memory_is_bounded() {
        let mut urgent = Urgent::default();
        let all = 5 * KEYS as i64;
        (0..all).for_each(|key| urgent.opens(key, 0));
        assert!(urgent.newer.len() + urgent.older.len() <= 2 * KEYS);
        assert_eq!(urgent.closes(all - KEYS as i64, 3), 0);
        assert_eq!(urgent.closes(0, 3), 3);
    }
}
