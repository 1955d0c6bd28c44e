//! The quota of failed requests whose sender is not proved.
//!
//! A request that its plugin fails on is kept, so that nothing is lost while a plugin is broken. Where nothing but the
//! plugin could have proved the sender, a stranger who finds a request that it fails on could fill the disk with copies of
//! it. So each source keeps a bounded number of them, and beyond that senders are answered 503.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most failed requests of unproved senders that one source keeps.
pub const REQUESTS: usize = 1000;
/// The most bytes that they may have.
pub const BYTES: usize = 64 * 1024 * 1024;

/// How often a quota that is used up is compared with the store: requests are replayed and dismissed elsewhere.
const COMPARE: Duration = Duration::from_secs(5);

/// The part of the quota that a source has used.
#[derive(Debug, Default)]
pub struct Quota(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    requests: usize,
    bytes: usize,
    compared_at: Option<Instant>,
}

impl Quota {
    /// Sets the part that is used, as the store has it.
    pub fn set(&self, requests: usize, bytes: usize) {
        let mut used = self.lock();
        used.requests = requests;
        used.bytes = bytes;
    }

    /// Returns whether it is time to compare it with the store.
    pub fn compares(&self, now: Instant) -> bool {
        let mut used = self.lock();
        let due = used.compared_at.is_none_or(|at| now.duration_since(at) >= COMPARE);
        if due {
            used.compared_at = Some(now);
        }
        due
    }

    /// Takes a request of so many bytes. Returns whether there is room for it.
    pub fn take(&self, bytes: usize) -> bool {
        let mut used = self.lock();
        let fits = used.requests < REQUESTS && used.bytes.saturating_add(bytes) <= BYTES;
        if fits {
            used.requests += 1;
            used.bytes += bytes;
        }
        fits
    }

    /// Returns the place of a request that could not be kept.
    pub fn put_back(&self, bytes: usize) {
        let mut used = self.lock();
        used.requests = used.requests.saturating_sub(1);
        used.bytes = used.bytes.saturating_sub(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_bounds_requests_and_bytes() {
        let quota = Quota::default();
        assert_eq!((0..2 * REQUESTS).filter(|_| quota.take(0)).count(), REQUESTS);
        quota.put_back(0);
        assert!(quota.take(0) && !quota.take(0));
        let quota = Quota::default();
        assert!(quota.take(BYTES) && !quota.take(1));
        quota.put_back(BYTES);
        assert!(quota.take(1));
        quota.set(REQUESTS, 0);
        assert!(!quota.take(0));
    }

    #[tokio::test(start_paused = true)]
    async fn quota_is_compared_with_the_store_now_and_then() {
        let quota = Quota::default();
        assert!(quota.compares(Instant::now()) && !quota.compares(Instant::now()));
        tokio::time::advance(COMPARE).await;
        assert!(quota.compares(Instant::now()));
    }
}
