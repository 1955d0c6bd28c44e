//! The quota of failed requests whose sender is not proved.
//!
//! A request that its plugin fails on is kept, so that nothing is lost while a plugin is broken. Where nothing but the
//! plugin could have proved the sender, a stranger who finds a request that it fails on could fill the disk with copies of
//! it. So each source keeps a bounded number of them, and beyond that senders are answered 503.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most failed requests of unproved senders that one source keeps.
pub const REQUESTS: usize = 1000;
/// The most bytes that they may have.
pub const BYTES: usize = 64 * 1024 * 1024;

/// The part of the quota that a source has used.
#[derive(Debug, Default)]
pub struct Quota(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    requests: usize,
    bytes: usize,
}

impl Quota {
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

    /// Returns the place of a request that could not be kept, or has been read by now.
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
    }
}
