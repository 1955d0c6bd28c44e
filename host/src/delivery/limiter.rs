//! The concurrency limiter of one destination: how many attempts may run at once, growing after an
//! outage (slow start).
//!
//! The limit starts at one. It grows by one, to the configured concurrency at most, when as many
//! attempts as the limit were accepted; each attempt that is to be retried halves it (additive
//! increase, multiplicative decrease). So it grows by one in the time that an answer takes, and the
//! rate with it: the first `n * (n - 1) / 2` alerts are met by fewer than `n` at once.

/// The concurrency limiter of one destination.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimiter {
    concurrency: usize,
    /// 1 to `concurrency`.
    limit: usize,
    /// The number of attempts that were accepted since the limit is what it is: fewer than `limit`.
    accepted: usize,
}

impl ConcurrencyLimiter {
    /// Returns a limiter at the beginning of its slow start. A concurrency of 0 is taken as 1.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            limit: 1,
            accepted: 0,
        }
    }

    /// Returns how many more attempts may begin while `in_flight` are under way.
    pub fn permits(&self, in_flight: usize) -> usize {
        self.limit.saturating_sub(in_flight)
    }

    /// Counts an accepted attempt.
    pub fn accepted(&mut self) {
        self.accepted += 1;
        if self.accepted >= self.limit {
            self.set((self.limit + 1).min(self.concurrency));
        }
    }

    /// Halves the limit after an attempt that is to be retried.
    pub fn back_off(&mut self) {
        self.set((self.limit / 2).max(1));
    }

    /// Begins a slow start.
    pub fn restart(&mut self) {
        self.set(1);
    }

    fn set(&mut self, limit: usize) {
        self.limit = limit;
        self.accepted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_rounds_raise_the_limit_by_one_up_to_concurrency() {
        let mut limiter = ConcurrencyLimiter::new(3);
        let limits: Vec<_> = (0..8)
            .map(|_| {
                limiter.accepted();
                limiter.permits(0)
            })
            .collect();
        assert_eq!(limits, [2, 2, 3, 3, 3, 3, 3, 3]);
        assert_eq!(limiter.permits(2), 1);
        assert_eq!(ConcurrencyLimiter::new(0).permits(0), 1);
    }

    #[test]
    fn retry_halves_the_limit_and_a_restart_sets_it_to_one() {
        let mut limiter = ConcurrencyLimiter::new(8);
        (0..64).for_each(|_| limiter.accepted());
        let halved: Vec<_> = (0..4)
            .map(|_| {
                limiter.back_off();
                limiter.permits(0)
            })
            .collect();
        assert_eq!(halved, [4, 2, 1, 1]);
        (0..64).for_each(|_| limiter.accepted());
        limiter.restart();
        assert_eq!(limiter.permits(0), 1);
    }
}
