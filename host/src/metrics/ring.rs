//! The values of the last intervals of one length, in a ring.

/// The values of the last `N` intervals. An interval has a number, and its value the place of this
/// number modulo `N`.
#[derive(Debug)]
pub struct Ring<T, const N: usize> {
    values: Box<[T; N]>,
    empty: T,
    /// The number of the interval that was looked at last.
    last: usize,
}

impl<T: Copy, const N: usize> Ring<T, N> {
    /// Returns a ring in which each interval until `now` has the value `empty`.
    pub fn new(empty: T, now: usize) -> Self {
        Self {
            values: Box::new([empty; N]),
            empty,
            last: now,
        }
    }

    /// Returns the value of interval `now`.
    pub fn at(&mut self, now: usize) -> &mut T {
        self.advance(now);
        &mut self.values[now % N]
    }

    /// Returns the values of the `N` intervals until `now`.
    pub fn until(&mut self, now: usize) -> &[T; N] {
        self.advance(now);
        &self.values
    }

    /// Empties the intervals between the last one and this one, which another thread may have passed.
    fn advance(&mut self, now: usize) {
        let passed = now.saturating_sub(self.last).min(N);
        for number in now + 1 - passed..=now {
            self.values[number % N] = self.empty;
        }
        self.last = self.last.max(now);
    }
}
