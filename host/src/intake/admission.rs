//! Admission control: one memory budget, shared by the sources with a dynamic threshold.
//!
//! A request reserves memory before its body is read: for its body, its head and its alerts, until
//! the sync. A source may reserve more only while its reservations are at most as large as the free
//! rest of the budget (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
//! packet switches", IEEE/ACM Transactions on Networking 6(2), 1998, with α = 1). So:
//!
//! - all reservations together never exceed the budget;
//! - a single flooding source holds half of it, and one request more at most; `k` of them leave one
//!   part in `k + 1`;
//! - a source without a reservation is admitted if its request fits into the free rest.
//!
//! No source has a part of its own, idle while it sends nothing, and there is nothing to configure
//! for each.
//!
//! A share belongs to the source and not to the sender, because the sender is proved only after the
//! body was read. So strangers with the URL of a source without a token can use up that source's
//! half, but no other's.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use hyper::body::Bytes;

use crate::http;

/// The reservation of a request besides its body: a head of the largest size, its tasks, and alerts
/// of some size. As many requests fit as there are connections, so that one source's slow bodies
/// keep half of those busy at most.
pub const REQUEST: usize = 32 * 1024;

/// The part of `memory` for requests is one in this many; the rest is for connections.
const PART: usize = 6;

// Both parts have room for as many.
const _: () = assert!(REQUEST * PART == http::CONNECTION_MEMORY);

/// The reason of a refusal. The sender should retry in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The source holds its share.
    Share,
    /// All of them together hold the whole.
    Whole,
}

/// The budget of all sources.
#[derive(Debug)]
pub struct Admission {
    ledger: Mutex<Ledger>,
}

/// One of those who share it.
#[derive(Debug, Clone)]
pub struct Member {
    admission: Arc<Admission>,
    index: usize,
}

/// The reservation of one request; dropping it releases the memory.
#[derive(Debug)]
pub struct Charge {
    member: Member,
    bytes: usize,
}

/// The reservations of each source, and the free rest.
#[derive(Debug)]
struct Ledger {
    free: usize,
    held: Vec<usize>,
}

/// Bytes with their reservation.
struct Charged {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl Admission {
    /// Creates the budget: the part for requests of `memory`.
    pub fn within(memory: usize) -> Arc<Self> {
        Arc::new(Self {
            ledger: Mutex::new(Ledger {
                free: memory / PART,
                held: Vec::new(),
            }),
        })
    }

    /// Adds a source to the budget.
    pub fn join(self: &Arc<Self>) -> Member {
        let mut ledger = self.ledger();
        ledger.held.push(0);
        Member {
            admission: Arc::clone(self),
            index: ledger.held.len() - 1,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }
}

impl Member {
    /// Reserves memory for a request with a body of this many bytes, as far as that is known.
    ///
    /// # Errors
    /// The budget is used up; nothing is reserved then.
    pub fn admit(&self, body: usize) -> Result<Charge, NoRoom> {
        let mut charge = Charge {
            member: self.clone(),
            bytes: 0,
        };
        charge.cover(cost(body))?;
        Ok(charge)
    }
}

/// Returns the reservation for a body of this size. The body counts twice, because its alerts are
/// about as large.
pub fn cost(body: usize) -> usize {
    REQUEST + 2 * body
}

impl Charge {
    /// Grows the reservation to `bytes` in all. It never shrinks.
    ///
    /// # Errors
    /// The budget is used up; the reservation stays as it was.
    pub fn cover(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.member
                .admission
                .ledger()
                .take(self.member.index, more)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Returns the bytes with their reservation: it lasts as long as any holder, such as the
    /// store's queue.
    pub fn on(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Charged {
            bytes,
            _charge: self,
        })
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.member
            .admission
            .ledger()
            .give(self.member.index, self.bytes);
    }
}

impl Ledger {
    fn take(&mut self, index: usize, bytes: usize) -> Result<(), NoRoom> {
        if self.held[index] > self.free {
            return Err(NoRoom::Share);
        }
        self.free = self.free.checked_sub(bytes).ok_or(NoRoom::Whole)?;
        self.held[index] += bytes;
        Ok(())
    }

    fn give(&mut self, index: usize, bytes: usize) {
        self.free += bytes;
        self.held[index] -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A budget of this many bytes.
    fn budget(bytes: usize) -> Arc<Admission> {
        Admission::within(bytes * PART)
    }

    fn free(admission: &Admission) -> usize {
        admission.ledger().free
    }

    #[test]
    fn a_source_that_floods_holds_half_and_one_request_more() {
        let admission = budget(100 * REQUEST);
        let flooding = admission.join();
        let other = admission.join();
        let held: Vec<_> = std::iter::from_fn(|| flooding.admit(0).ok()).collect();
        assert_eq!(held.len(), 51);
        assert_eq!(flooding.admit(0).unwrap_err(), NoRoom::Share);
        let calm = other.admit(REQUEST).expect("the other source is taken in");
        assert_eq!(free(&admission), 46 * REQUEST);
        drop((held, calm));
        assert_eq!(free(&admission), 100 * REQUEST);
    }

    #[test]
    fn full_budget_differs_from_an_exceeded_share() {
        let admission = budget(4 * REQUEST);
        let one = admission.join();
        let other = admission.join();
        let first = one.admit(REQUEST).unwrap();
        assert_eq!(one.admit(0).unwrap_err(), NoRoom::Share);
        assert_eq!(other.admit(REQUEST).unwrap_err(), NoRoom::Whole);
        drop(first);
        assert!(other.admit(REQUEST).is_ok());
    }

    #[test]
    fn reservation_grows_and_a_refused_growth_changes_nothing() {
        let admission = budget(10 * REQUEST);
        let one = admission.join();
        let other = admission.join();
        let mut charge = one.admit(REQUEST).unwrap();
        charge.cover(REQUEST).unwrap();
        assert_eq!(free(&admission), 7 * REQUEST);
        charge.cover(4 * REQUEST).unwrap();
        assert_eq!(free(&admission), 6 * REQUEST);
        let _rest = other.admit(2 * REQUEST).unwrap();
        assert_eq!(charge.cover(5 * REQUEST), Err(NoRoom::Share));
        assert_eq!(free(&admission), REQUEST);
    }

    #[test]
    fn bytes_are_charged_until_the_last_holder_lets_go() {
        let admission = budget(10 * REQUEST);
        let charge = admission.join().admit(1).unwrap();
        let bytes = charge.on(b"x".to_vec());
        let slice = bytes.slice(..1);
        drop(bytes);
        assert_eq!((&slice[..], free(&admission)), (&b"x"[..], 9 * REQUEST - 2));
        drop(slice);
        assert_eq!(free(&admission), 10 * REQUEST);
    }

    proptest! {
        #[test]
        fn the_budget_holds_and_nobody_is_starved(
            total in 1usize..2000,
            steps in prop::collection::vec((0usize..4, 1usize..300, any::<prop::sample::Index>(), 0u8..3), 1..300),
        ) {
            let mut ledger = Ledger { free: total, held: vec![0; 4] };
            let mut taken: Vec<(usize, usize)> = Vec::new();
            for (source, bytes, which, step) in steps {
                if step == 0 && !taken.is_empty() {
                    let (source, bytes) = taken.swap_remove(which.index(taken.len()));
                    ledger.give(source, bytes);
                } else {
                    let free = ledger.free;
                    let held = ledger.held[source];
                    match ledger.take(source, bytes) {
                        Ok(()) => {
                            prop_assert!(held <= free, "it took more than its share");
                            taken.push((source, bytes));
                        }
                        Err(NoRoom::Share) => prop_assert!(held > free, "it had room in its share"),
                        Err(NoRoom::Whole) => prop_assert!(held <= free && bytes > free, "there was room"),
                    }
                    prop_assert!(held > 0 || bytes > free || ledger.held[source] == bytes, "it held nothing, and was refused");
                }
                prop_assert_eq!(ledger.free + ledger.held.iter().sum::<usize>(), total);
                let largest = taken.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
                // Half, and one request of whichever size it had at the time.
                prop_assert!(ledger.held.iter().all(|held| *held <= total / 2 + largest.max(300)));
                for source in 0..4 {
                    let counted: usize = taken.iter().filter(|(own, _)| *own == source).map(|(_, bytes)| bytes).sum();
                    prop_assert_eq!(counted, ledger.held[source]);
                }
            }
        }

        #[test]
        fn so_many_that_flood_leave_an_equal_part_to_the_next(flooding in 1usize..8, request in 1usize..50) {
            let total = 10_000;
            let mut ledger = Ledger { free: total, held: vec![0; flooding + 1] };
            // In turns, until nobody gets anything more.
            while (0..flooding).filter(|source| ledger.take(*source, request).is_ok()).count() > 0 {}
            prop_assert!(ledger.free + flooding * request >= total / (flooding + 1), "{} are free", ledger.free);
            prop_assert!(ledger.take(flooding, request).is_ok());
        }
    }
}
