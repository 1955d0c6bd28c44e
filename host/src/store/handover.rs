//! Handing a committed delivery over to its destination from memory.
//!
//! A delivery that is due with its commit would be found, read and parsed again a moment later. So
//! the writer offers it to the one that waits for its destination. An offer binds nobody: all of it
//! is on disk, and where more comes than is taken, or something else came due, the offer says that
//! there is more to be read there.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use plugin_sdk::contract::Priority;
use tokio::sync::Notify;

use crate::alert::Alert;

/// The number of bytes of alerts that are read at once: a plugin may make large ones, and all that
/// is read is in memory.
pub const READ_BYTES: usize = 8 * 1024 * 1024;

/// The number of deliveries that are offered at once, and their bytes: half of what may wait for a
/// destination.
const MOST: usize = 256;
const MOST_BYTES: usize = READ_BYTES / 2;

/// An alert that may be delivered now.
#[derive(Debug)]
pub struct Due {
    /// The delivery's id in the store.
    pub id: i64,
    /// The number of earlier attempts.
    pub attempts: u32,
    /// Its priority: the alert's own, or that of a more urgent one behind it.
    pub priority: Priority,
    /// The number of bytes the alert has, as JSON.
    pub bytes: usize,
    /// The alert.
    pub alert: Arc<Alert>,
}

/// What a transaction has made due.
#[derive(Debug, Default)]
pub struct MadeDue {
    /// By the name of their destination, the deliveries whose alerts are at hand.
    offered: HashMap<String, Vec<Due>>,
    /// True if there is more, or if what waits is more urgent than before.
    pub others: bool,
}

/// All that wait for deliveries.
#[derive(Debug, Clone, Default)]
pub struct Handovers(Arc<Mutex<HashMap<String, Vec<Weak<Shared>>>>>);

/// The deliveries of one destination that are offered to its task.
#[derive(Debug)]
pub struct Handover(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    offer: Mutex<Offer>,
    changed: Notify,
}

/// Deliveries that have just come due.
#[derive(Debug, Default)]
pub struct Offer {
    /// In the order of their commits.
    pub due: Vec<Due>,
    /// True if there may be others, which are to be read.
    pub more: bool,
    bytes: usize,
}

impl MadeDue {
    /// Says that there is something to be read.
    pub fn others() -> Self {
        Self {
            others: true,
            ..Self::default()
        }
    }

    /// Adds a delivery whose alert is at hand.
    pub fn add(&mut self, destination: &str, due: Due) {
        match self.offered.get_mut(destination) {
            Some(before) => before.push(due),
            None => {
                self.offered.insert(destination.to_owned(), vec![due]);
            }
        }
    }
}

impl Handovers {
    /// Has the deliveries of a destination offered from now on.
    pub(super) fn to(&self, destination: &str) -> Handover {
        let shared = Arc::<Shared>::default();
        let mut all = self.0.lock();
        let of_it = all.entry(destination.to_owned()).or_default();
        of_it.push(Arc::downgrade(&shared));
        Handover(shared)
    }

    /// Offers the deliveries that a transaction has made due. To be called once they are on disk.
    pub(super) fn offer(&self, made_due: MadeDue) {
        let MadeDue { offered, others } = made_due;
        if offered.is_empty() && !others {
            return;
        }
        let mut all = self.0.lock();
        all.retain(|_, of_it| {
            of_it.retain(|one| one.strong_count() > 0);
            !of_it.is_empty()
        });
        for (destination, due) in offered {
            let of_it = all.get(&destination).map(Vec::as_slice);
            // Of two that wait for the same, only one may have it: both read.
            match of_it.unwrap_or_default() {
                [one] => change(one, |offer| due.into_iter().for_each(|due| offer.add(due))),
                several => several.iter().for_each(|one| change(one, Offer::leave)),
            }
        }
        if others {
            for one in all.values().flatten() {
                change(one, |offer| offer.more = true);
            }
        }
    }
}

/// Changes an offer, and wakes the task that it is made to.
fn change(one: &Weak<Shared>, change: impl FnOnce(&mut Offer)) {
    if let Some(shared) = one.upgrade() {
        change(&mut shared.offer.lock());
        shared.changed.notify_one();
    }
}

impl Handover {
    /// Takes what is offered.
    pub fn take(&self) -> Offer {
        std::mem::take(&mut *self.0.offer.lock())
    }

    /// Returns once something is offered, or was since the last time.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Offer {
    fn add(&mut self, due: Due) {
        if self.due.len() >= MOST || self.bytes + due.bytes > MOST_BYTES {
            return self.leave();
        }
        self.bytes += due.bytes;
        self.due.push(due);
    }

    /// Leaves something to be read. What was offered before it is read with it, in the right order.
    fn leave(&mut self) {
        *self = Self {
            more: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract;

    use super::*;

    fn due(id: i64, bytes: usize) -> (String, Due) {
        let alert = Alert {
            source: "s".to_owned(),
            request: "r".to_owned(),
            received_at: String::new(),
            event: contract::Alert::new("e", Priority::High, "t"),
        };
        let due = Due {
            id,
            attempts: 0,
            priority: Priority::High,
            bytes,
            alert: Arc::new(alert),
        };
        ("d".to_owned(), due)
    }

    fn offer(handovers: &Handovers, offered: Vec<(String, Due)>) {
        let mut made_due = MadeDue::default();
        for (destination, due) in offered {
            made_due.add(&destination, due);
        }
        handovers.offer(made_due);
    }

    fn taken(handover: &Handover) -> (Vec<i64>, bool) {
        let Offer { due, more, .. } = handover.take();
        (due.iter().map(|due| due.id).collect(), more)
    }

    #[test]
    fn what_came_due_is_offered_once_and_to_its_destination() {
        let handovers = Handovers::default();
        let [handover, other] = ["d", "other"].map(|name| handovers.to(name));
        offer(&handovers, vec![due(1, 1), due(2, 1)]);
        assert_eq!(taken(&handover), (vec![1, 2], false));
        assert_eq!(taken(&handover), (vec![], false));
        assert_eq!(taken(&other), (vec![], false));
    }

    #[test]
    fn more_than_may_wait_in_memory_is_left_to_be_read() {
        let handovers = Handovers::default();
        let handover = handovers.to("d");
        for too_many in [
            (0..=MOST as i64).map(|id| due(id, 1)).collect(),
            vec![due(1, 1), due(2, MOST_BYTES)],
        ] {
            offer(&handovers, too_many);
            assert_eq!(taken(&handover), (vec![], true));
        }
    }

    #[test]
    fn nothing_is_offered_to_two() {
        let handovers = Handovers::default();
        let [one, two] = [(); 2].map(|()| handovers.to("d"));
        offer(&handovers, vec![due(1, 1)]);
        assert_eq!([taken(&one), taken(&two)], [(vec![], true), (vec![], true)]);
        drop(two);
        offer(&handovers, vec![due(2, 1)]);
        assert_eq!(taken(&one), (vec![2], false));
    }

    #[tokio::test]
    async fn what_else_came_due_is_to_be_read_by_all() {
        let handovers = Handovers::default();
        let handover = handovers.to("d");
        handovers.offer(MadeDue::others());
        handover.changed().await;
        assert_eq!(taken(&handover), (vec![], true));
    }
}
