//! The eviction policy: which connection goes first when its slot is needed, and when it may be cut
//! off.
//!
//! It is a pure state machine. The caller brings the time, and wakes the connections that are named
//! to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// One slot in so many is kept free where there are idle connections: while some use their grace
/// period, others can come in.
const SPARE: usize = 8;
/// The time a connection is idle before it is evicted while there are slots: a TLS handshake from
/// far away, and a request.
pub const IDLE_WHILE_SLOTS: Duration = Duration::from_secs(1);
/// The time it is idle before it is evicted at all: what was sent with the connection is read by
/// then. With more, strangers who fill all slots in this time, again and again, would keep the
/// others waiting.
pub const MIN_IDLE: Duration = Duration::from_millis(100);

/// The slots, and the connections in them.
#[derive(Debug)]
pub struct Slots {
    most: usize,
    /// The number of the next connection, and of the next time that one becomes idle.
    next: u64,
    slots: HashMap<u64, Slot>,
    /// Idle connections that were not evicted, those idle for the longest first, by the time's
    /// number.
    idle: BTreeMap<u64, u64>,
    /// Evicted connections that are still there, longest first.
    evicted: VecDeque<u64>,
}

#[derive(Debug)]
struct Slot {
    /// The time when its connection came in, if it has.
    arrived: Option<Instant>,
    /// The requests under way.
    active: usize,
    idle_since: Instant,
    /// Its number in `idle`, where it stands there.
    turn: Option<u64>,
    evicted: Option<Instant>,
    /// True if its grace period is over.
    cut_off: bool,
}

/// The answer to a request for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// The slot of this number.
    Slot(u64),
    /// There is none now. The caller asks again when a connection has left, or at this time.
    Full(Option<Instant>),
}

/// The consequence of the end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing: others are under way, or the connection is idle and may stay.
    Stays,
    /// The connection was evicted, and nothing holds it any more: it and the waiting listener look
    /// again.
    Leaves,
}

/// Wakes the connection of this number.
type Wake<'w> = &'w mut dyn FnMut(u64);

impl Slots {
    /// So many slots, all free.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            slots: HashMap::new(),
            idle: BTreeMap::new(),
            evicted: VecDeque::new(),
        }
    }

    /// Takes a free slot, and evicts a connection where few or none are free.
    pub fn acquire(&mut self, now: Instant, wake: Wake<'_>) -> Acquired {
        if self.slots.len() - self.evicted.len() >= self.most - self.most.div_ceil(SPARE) {
            self.evict_idle(IDLE_WHILE_SLOTS, now, wake);
        }
        if self.slots.len() < self.most {
            return Acquired::Slot(self.add(now));
        }
        if self.cut_one_off(now, wake)
            || (self.evict_idle(MIN_IDLE, now, wake) && self.cut_one_off(now, wake))
        {
            // Unless a request of it came in at the last moment.
            return Acquired::Full(Some(now + MIN_IDLE));
        }
        // There are only busy connections, and those idle for so short a time.
        self.evict_oldest(now, wake);
        Acquired::Full(self.next_change(now))
    }

    /// Evicts a connection, as where something else than slots has run out.
    pub fn make_room(&mut self, now: Instant, wake: Wake<'_>) {
        if !self.evict_idle(MIN_IDLE, now, wake) {
            self.evict_oldest(now, wake);
        }
    }

    /// Notes that a connection has come in. It is idle from now on.
    pub fn arrive(&mut self, number: u64, now: Instant) {
        if let Some(slot) = self.slots.get_mut(&number) {
            self.next += 1;
            slot.arrived = Some(now);
            slot.idle_since = now;
            slot.turn = Some(self.next);
            self.idle.insert(self.next, number);
        }
    }

    /// Counts a request. Returns whether it holds the connection. It does not where the eviction is
    /// so old that the client must know of it: otherwise a client could stay by asking on.
    pub fn begin(&mut self, number: u64, now: Instant) -> bool {
        let slot = self.slots.get_mut(&number);
        let slot = slot.filter(|slot| {
            slot.evicted
                .is_none_or(|at| now.duration_since(at) < IDLE_WHILE_SLOTS)
        });
        let Some(slot) = slot else { return false };
        slot.active += 1;
        slot.cut_off = false;
        if let Some(turn) = slot.turn.take() {
            self.idle.remove(&turn);
        }
        true
    }

    /// Counts the end of a request that [`Slots::begin`] has counted.
    pub fn end(&mut self, number: u64, now: Instant) -> Ended {
        let Some(slot) = self.slots.get_mut(&number) else {
            return Ended::Stays;
        };
        slot.active -= 1;
        if slot.active > 0 {
            return Ended::Stays;
        }
        slot.idle_since = now;
        if slot.evicted.is_some() {
            return Ended::Leaves;
        }
        // Nothing is woken: a connection becomes evictable only after `MIN_IDLE`, and the waiting
        // listener asks again at that time. To look at all slots with every answer would be too
        // much.
        self.next += 1;
        slot.turn = Some(self.next);
        self.idle.insert(self.next, number);
        Ended::Stays
    }

    /// Frees a slot.
    pub fn release(&mut self, number: u64) {
        let Some(slot) = self.slots.remove(&number) else {
            return;
        };
        if slot.evicted.is_some() {
            self.evicted.retain(|evicted| *evicted != number);
        }
        if let Some(turn) = slot.turn {
            self.idle.remove(&turn);
        }
    }

    /// Returns whether this connection is to leave.
    pub fn is_evicted(&self, number: u64) -> bool {
        self.slots
            .get(&number)
            .is_none_or(|slot| slot.evicted.is_some())
    }

    /// Returns whether this connection's grace period is over, with nothing under way.
    pub fn is_cut_off(&self, number: u64) -> bool {
        self.slots
            .get(&number)
            .is_none_or(|slot| slot.cut_off && slot.active == 0)
    }

    /// Returns since when this connection is idle: since now where it is not. None where it is
    /// gone.
    pub fn idle_since(&self, number: u64, now: Instant) -> Option<Instant> {
        self.slots.get(&number).map(|slot| {
            if slot.active > 0 {
                now
            } else {
                slot.idle_since
            }
        })
    }

    fn add(&mut self, now: Instant) -> u64 {
        self.next += 1;
        let slot = Slot {
            arrived: None,
            active: 0,
            idle_since: now,
            turn: None,
            evicted: None,
            cut_off: false,
        };
        self.slots.insert(self.next, slot);
        self.next
    }

    /// Since when the connection is idle that is so for the longest.
    fn longest_idle(&self) -> Option<(u64, Instant)> {
        let (_, number) = self.idle.first_key_value()?;
        self.slots
            .get(number)
            .map(|slot| (*number, slot.idle_since))
    }

    /// Evicts the longest idle connection, if it is idle for at least this time.
    fn evict_idle(&mut self, least: Duration, now: Instant, wake: Wake<'_>) -> bool {
        match self.longest_idle() {
            Some((number, since)) if now.duration_since(since) >= least => {
                self.evict(number, now, wake)
            }
            _ => false,
        }
    }

    /// Evicts the oldest connection, one between two requests before a busy one. It spares
    /// connections younger than [`MIN_IDLE`], and does nothing within the grace period of the last
    /// eviction.
    fn evict_oldest(&mut self, now: Instant, wake: Wake<'_>) -> bool {
        if self
            .last_evicted()
            .is_some_and(|at| now.duration_since(at) < MIN_IDLE)
        {
            return false;
        }
        let stay = self.slots.iter().filter(|(_, slot)| slot.evicted.is_none());
        let old = stay.filter(|(_, slot)| {
            slot.arrived
                .is_some_and(|at| now.duration_since(at) >= MIN_IDLE)
        });
        let oldest = old
            .min_by_key(|(number, slot)| (slot.active > 0, **number))
            .map(|(number, _)| *number);
        oldest.is_some_and(|number| self.evict(number, now, wake))
    }

    fn last_evicted(&self) -> Option<Instant> {
        self.slots.get(self.evicted.back()?)?.evicted
    }

    /// Returns the time at which the next connection can be cut off or evicted.
    fn next_change(&self, now: Instant) -> Option<Instant> {
        let evicted = self
            .evicted
            .iter()
            .filter_map(|number| self.slots.get(number));
        let in_grace = self
            .last_evicted()
            .filter(|at| now.duration_since(*at) < MIN_IDLE);
        let stay = self.slots.values().filter(|slot| slot.evicted.is_none());
        let oldest = in_grace.or_else(|| stay.filter_map(|slot| slot.arrived).min());
        let answered = evicted
            .filter(|slot| slot.active == 0)
            .map(|slot| slot.idle_since)
            .min();
        let longest_idle = self.longest_idle().map(|(_, since)| since);
        [oldest, answered, longest_idle]
            .into_iter()
            .flatten()
            .min()
            .map(|since| since + MIN_IDLE)
    }

    fn evict(&mut self, number: u64, now: Instant, wake: Wake<'_>) -> bool {
        let Some(slot) = self.slots.get_mut(&number) else {
            return false;
        };
        slot.evicted = Some(now);
        if let Some(turn) = slot.turn.take() {
            self.idle.remove(&turn);
        }
        wake(number);
        self.evicted.push_back(number);
        true
    }

    /// Ends the grace period of an evicted connection. Returns whether one leaves now, this or one
    /// before it.
    fn cut_one_off(&mut self, now: Instant, wake: Wake<'_>) -> bool {
        let mut one_leaves = false;
        for number in &self.evicted {
            // One that was answered just now has a moment to say the answer.
            let idle = |slot: &&mut Slot| {
                slot.active == 0 && now.duration_since(slot.idle_since) >= MIN_IDLE
            };
            if let Some(slot) = self.slots.get_mut(number).filter(idle) {
                one_leaves = true;
                if !slot.cut_off {
                    slot.cut_off = true;
                    wake(*number);
                    break;
                }
            }
        }
        one_leaves
    }

    /// Returns the numbers of slots, idle connections and evicted ones.
    #[cfg(test)]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.slots.len(), self.idle.len(), self.evicted.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// An event of the slots, at a time in milliseconds.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A connection comes in and gets the slot of this number.
        Enters(u64),
        /// The next one gets none, and is to ask again at this time.
        Full(Option<u32>),
        Begins(u64),
        Ends(u64),
        Leaves(u64),
        MakeRoom,
        /// These are evicted, and of them these are cut off.
        Evicted(&'static [u64], &'static [u64]),
    }
    use Step::{Begins, Ends, Enters, Evicted, Full, Leaves, MakeRoom};

    /// Plays the steps, each with its time, on so many slots.
    fn play(name: &str, most: usize, steps: &[(u32, Step)]) {
        let start = Instant::now();
        let mut slots = Slots::new(most);
        let mut numbers = Vec::new();
        for (at, step) in steps {
            let now = start + *at * MS;
            let said = format!("{name}, at {at} ms: {step:?}");
            // Numbers count times of idleness as well; a table names connections in the order in
            // which they came.
            let number = |nth: u64| numbers[nth as usize - 1];
            match *step {
                Enters(nth) => match slots.acquire(now, &mut |_| {}) {
                    Acquired::Slot(number) => {
                        numbers.push(number);
                        assert_eq!(numbers.len() as u64, nth, "{said}");
                        slots.arrive(number, now);
                    }
                    full @ Acquired::Full(_) => panic!("{said}: {full:?}"),
                },
                Full(until) => {
                    let until = until.map(|until| start + until * MS);
                    assert_eq!(
                        slots.acquire(now, &mut |_| {}),
                        Acquired::Full(until),
                        "{said}"
                    );
                }
                Begins(nth) => drop(slots.begin(number(nth), now)),
                Ends(nth) => drop(slots.end(number(nth), now)),
                Leaves(nth) => slots.release(number(nth)),
                MakeRoom => slots.make_room(now, &mut |_| {}),
                Evicted(evicted, cut_off) => {
                    let those = |is: &dyn Fn(u64) -> bool| -> Vec<u64> {
                        (1..)
                            .zip(&numbers)
                            .filter(|(_, number)| slots.slots.contains_key(number) && is(**number))
                            .map(|(nth, _)| nth)
                            .collect()
                    };
                    assert_eq!(those(&|number| slots.is_evicted(number)), evicted, "{said}");
                    assert_eq!(those(&|number| slots.is_cut_off(number)), cut_off, "{said}");
                }
            }
        }
    }

    #[test]
    fn policy_is_that_of_the_table() {
        type Row<'a> = (&'a str, usize, &'a [(u32, Step)]);
        let table: [Row<'_>; 6] = [
            (
                "idle before busy",
                2,
                &[
                    (0, Enters(1)),
                    (0, Enters(2)),
                    (0, Begins(1)),
                    (50, Full(Some(100))),
                    (50, Evicted(&[], &[])),
                    (100, Full(Some(200))),
                    (100, Evicted(&[2], &[2])),
                    (110, Leaves(2)),
                    (110, Enters(3)),
                ],
            ),
            (
                "longest idle first",
                3,
                &[
                    (0, Enters(1)),
                    (1, Enters(2)),
                    (2, Enters(3)),
                    (3, Begins(1)),
                    (4, Ends(1)),
                    (200, MakeRoom),
                    (200, Evicted(&[2], &[])),
                ],
            ),
            (
                "oldest where all ask without a pause",
                2,
                &[
                    (0, Enters(1)),
                    (0, Enters(2)),
                    (0, Begins(1)),
                    (0, Begins(2)),
                    (150, Full(Some(250))),
                    (150, Evicted(&[1], &[])),
                    (200, Full(Some(250))),
                    (200, Evicted(&[1], &[])),
                    (250, Full(Some(350))),
                    (250, Evicted(&[1, 2], &[])),
                ],
            ),
            (
                "an answer on its way is not cut off",
                1,
                &[
                    (0, Enters(1)),
                    (0, Begins(1)),
                    (100, Full(Some(200))),
                    (120, Ends(1)),
                    (150, Full(Some(200))),
                    (150, Evicted(&[1], &[])),
                    (220, Full(Some(320))),
                    (220, Evicted(&[1], &[1])),
                ],
            ),
            (
                "a request in the grace period holds the connection",
                1,
                &[
                    (0, Enters(1)),
                    (100, Full(Some(200))),
                    (100, Evicted(&[1], &[1])),
                    (110, Begins(1)),
                    (110, Evicted(&[1], &[])),
                    (200, Full(None)),
                ],
            ),
            (
                "one in eight is kept free",
                8,
                &[
                    (0, Enters(1)),
                    (0, Enters(2)),
                    (0, Enters(3)),
                    (0, Enters(4)),
                    (0, Enters(5)),
                    (0, Enters(6)),
                    (0, Enters(7)),
                    (900, Enters(8)),
                    (900, Evicted(&[], &[])),
                    (900, Leaves(8)),
                    (1000, Enters(9)),
                    (1000, Evicted(&[1], &[])),
                ],
            ),
        ];
        for (name, most, steps) in table {
            play(name, most, steps);
        }
    }
}
