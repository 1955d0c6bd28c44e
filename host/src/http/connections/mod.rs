//! Connection slots: a bounded number, in which old connections make room for new ones (eviction).
//!
//! A connection without a request under way is idle, whether it waits between two, has not made
//! one, or is slow to say its head. When almost all slots are taken, each new connection evicts the
//! one that is idle for the longest, so thousands of idle connections keep no client out. An
//! evicted connection has a grace period, because HTTP/2 says good-bye; when really all slots are
//! taken, it is cut off. Until one leaves, new ones wait in the operating system's queue.
//!
//! A connection that has just come in, or was just answered, is the longest idle where all others
//! are busy. It is left alone for [`IDLE_WHILE_SLOTS`](eviction::IDLE_WHILE_SLOTS) to make its
//! request as long as there are slots, and for [`MIN_IDLE`](eviction::MIN_IDLE) in any case: new
//! ones wait for that.
//!
//! Where all slots are taken by clients that ask again and again, the oldest of them is evicted, so
//! these keep no client out either. One between two requests goes before a busy one. A connection
//! is never cut off during a request that began before the eviction, so no answer is lost; the
//! duration of a request is limited elsewhere. While the last evicted connection has not left, the
//! next is evicted no sooner than after `MIN_IDLE`.

mod eviction;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::Instant;

use eviction::{Acquired, Ended, Slots};

/// All slots.
#[derive(Debug)]
pub struct Connections {
    state: Mutex<State>,
    /// Told when a connection has left, or was answered after its eviction.
    changed: Notify,
}

/// The slot of one connection, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    connections: Arc<Connections>,
    number: u64,
    wake: Arc<Notify>,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay {
    slot: Arc<Slot>,
    holds: bool,
}

#[derive(Debug)]
struct State {
    slots: Slots,
    /// The signals that wake the task of each connection.
    wake: HashMap<u64, Arc<Notify>>,
}

impl Connections {
    /// So many slots, all free.
    pub fn new(most: usize) -> Arc<Self> {
        let state = State {
            slots: Slots::new(most),
            wake: HashMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Waits for a slot, which is not evicted until a connection has [arrived](Slot::arrived). Only
    /// one task may wait.
    pub async fn acquire(self: &Arc<Self>) -> Arc<Slot> {
        loop {
            // From before the look on, so that no change is missed; and of those before it, none is
            // seen again.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let acquired = self.state().acquire();
            match acquired {
                Ok((number, wake)) => {
                    return Arc::new(Slot {
                        connections: Arc::clone(self),
                        number,
                        wake,
                    });
                }
                Err(Some(at)) => drop(tokio::time::timeout_at(at, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Evicts a connection, as where something else than slots has run out.
    pub fn make_room(&self) {
        let mut state = self.state();
        let State { slots, wake } = &mut *state;
        slots.make_room(Instant::now(), &mut |number| wake_up(wake, number));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Takes a slot, or returns when to ask again.
    fn acquire(&mut self) -> Result<(u64, Arc<Notify>), Option<Instant>> {
        let Self { slots, wake } = self;
        match slots.acquire(Instant::now(), &mut |number| wake_up(wake, number)) {
            Acquired::Slot(number) => Ok((number, Arc::clone(wake.entry(number).or_default()))),
            Acquired::Full(until) => Err(until),
        }
    }
}

fn wake_up(wake: &HashMap<u64, Arc<Notify>>, number: u64) {
    if let Some(notify) = wake.get(&number) {
        notify.notify_one();
    }
}

impl Slot {
    /// Notes that a connection has come in. It is idle from now on.
    pub fn arrived(&self) {
        self.connections
            .state()
            .slots
            .arrive(self.number, Instant::now());
    }

    /// Counts a request. It holds the connection, unless the eviction is so old that the client
    /// must know of it.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let holds = self
            .connections
            .state()
            .slots
            .begin(self.number, Instant::now());
        UnderWay {
            slot: Arc::clone(self),
            holds,
        }
    }

    /// Returns when the connection is to leave, for another.
    pub async fn evicted(&self) {
        self.woken(Slots::is_evicted).await;
    }

    /// Returns when the grace period of its eviction is over, with nothing under way.
    pub async fn cut_off(&self) {
        self.woken(Slots::is_cut_off).await;
    }

    async fn woken(&self, meant: impl Fn(&Slots, u64) -> bool) {
        while !meant(&self.connections.state().slots, self.number) {
            self.wake.notified().await;
        }
    }

    /// Returns when the connection was idle for so long, from now on.
    pub async fn idle_for(&self, time: Duration) {
        let mut end = Instant::now() + time;
        loop {
            tokio::time::sleep_until(end).await;
            let now = Instant::now();
            let idle_since = self.connections.state().slots.idle_since(self.number, now);
            let earliest = idle_since.map_or(now, |at| at + time);
            if earliest <= now {
                return;
            }
            end = earliest;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.slots.release(self.number);
        state.wake.remove(&self.number);
        drop(state);
        self.connections.changed.notify_waiters();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Slot {
            connections,
            number,
            wake,
        } = &*self.slot;
        if self.holds && connections.state().slots.end(*number, Instant::now()) == Ended::Leaves {
            wake.notify_one();
            connections.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::eviction::{IDLE_WHILE_SLOTS, MIN_IDLE};
    use super::*;

    /// The slot of a connection that gets one at once.
    async fn enters(connections: &Arc<Connections>) -> Option<Arc<Slot>> {
        tokio::select! { biased; slot = connections.acquire() => Some(slot), () = std::future::ready(()) => None }
    }

    async fn is_evicted(slot: &Slot) -> bool {
        tokio::select! { biased; () = slot.evicted() => true, () = std::future::ready(()) => false }
    }

    async fn is_cut_off(slot: &Slot) -> bool {
        tokio::select! { biased; () = slot.cut_off() => true, () = std::future::ready(()) => false }
    }

    /// A connection that comes in at once.
    async fn arrives(connections: &Arc<Connections>) -> Arc<Slot> {
        let slot = enters(connections).await.unwrap();
        slot.arrived();
        slot
    }

    /// The numbers of the connections that this is true of.
    async fn those(slots: &[Arc<Slot>], are: impl AsyncFn(&Slot) -> bool) -> Vec<usize> {
        let mut numbers = Vec::new();
        for (number, slot) in slots.iter().enumerate() {
            numbers.extend(are(slot).await.then_some(number));
        }
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_is_evicted_to_leave_and_not_the_busy() {
        let connections = Connections::new(16);
        let mut slots = Vec::new();
        for _ in 0..14 {
            slots.push(arrives(&connections).await);
        }
        let busy = slots[0].begin();
        // It was idle for the longest, and now for the shortest time.
        drop(slots[1].begin());
        tokio::time::advance(IDLE_WHILE_SLOTS).await;
        let _two = [arrives(&connections).await, arrives(&connections).await];
        assert!(enters(&connections).await.is_none(), "all slots are taken");
        // The third one that came was to be let in at once, so one has no moment to leave.
        assert_eq!(
            (
                those(&slots, is_evicted).await,
                those(&slots, is_cut_off).await
            ),
            (vec![2, 3, 4], vec![2])
        );
        drop((busy, slots.remove(2)));
        assert!(enters(&connections).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn new_connection_is_idle_since_it_arrived() {
        let connections = Connections::new(16);
        let mut pooled = Vec::new();
        for _ in 0..13 {
            pooled.push(arrives(&connections).await);
        }
        let waiting = enters(&connections).await.unwrap();
        tokio::time::advance(IDLE_WHILE_SLOTS).await;
        pooled[1..].iter().for_each(|slot| drop(slot.begin()));
        waiting.arrived();
        let _next = arrives(&connections).await;
        assert!(is_evicted(&pooled[0]).await, "it is idle for the longest");
        tokio::time::advance(IDLE_WHILE_SLOTS / 2).await;
        pooled[1..].iter().for_each(|slot| drop(slot.begin()));
        // All the others are idle for a shorter time, and still it has a while as long as there are
        // slots.
        let _last = arrives(&connections).await;
        assert!(!is_evicted(&waiting).await);
        tokio::time::advance(IDLE_WHILE_SLOTS / 2).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_evicted(&waiting).await);
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_are_evicted_in_turn_where_others_are_busy() {
        let connections = Connections::new(4);
        let busy =
            [arrives(&connections).await, arrives(&connections).await].map(|slot| slot.begin());
        let mut new = vec![
            (arrives(&connections).await, Instant::now()),
            (arrives(&connections).await, Instant::now()),
        ];
        for _ in 0..100 {
            let mut entering = pin!(connections.acquire());
            let (oldest, arrived) = new.remove(0);
            tokio::select! {
                _ = entering.as_mut() => unreachable!("all slots are taken"),
                () = oldest.cut_off() => assert!(arrived.elapsed() >= MIN_IDLE, "{:?}", arrived.elapsed()),
            }
            assert!(!is_evicted(&new[0].0).await || new[0].1.elapsed() >= MIN_IDLE);
            drop(oldest);
            let slot = entering.await;
            slot.arrived();
            new.push((slot, Instant::now()));
        }
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn slot_of_the_waiting_listener_makes_no_room() {
        let connections = Connections::new(16);
        let pooled = arrives(&connections).await;
        drop(pooled.begin());
        let waiting = enters(&connections).await.unwrap();
        tokio::time::advance(MIN_IDLE).await;
        connections.make_room();
        assert!(is_evicted(&pooled).await);
        connections.make_room();
        assert!(!is_evicted(&waiting).await);
    }

    #[tokio::test(start_paused = true)]
    async fn new_connection_waits_where_all_are_busy() {
        let connections = Connections::new(2);
        let first = arrives(&connections).await;
        tokio::time::advance(IDLE_WHILE_SLOTS).await;
        let slots = [first, arrives(&connections).await];
        let mut busy = slots.each_ref().map(|slot| Some(slot.begin()));
        // The first was asked to leave when the second came, while it was still idle; and is not
        // cut off now.
        assert!(is_evicted(&slots[0]).await && !is_evicted(&slots[1]).await);
        assert!(enters(&connections).await.is_none());
        assert!(!is_cut_off(&slots[0]).await);
        let waiting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.acquire().await }
        });
        busy[1] = None;
        slots[1].evicted().await;
        drop(slots);
        drop(busy);
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_between_two_requests_makes_room_where_all_ask() {
        let connections = Connections::new(4);
        let mut slots = Vec::new();
        for _ in 0..4 {
            slots.push(arrives(&connections).await);
        }
        let _busy = slots[0].begin();
        assert!(enters(&connections).await.is_none());
        assert_eq!(
            those(&slots, is_evicted).await,
            [0; 0],
            "each has a moment to ask"
        );
        tokio::time::advance(MIN_IDLE).await;
        slots[1..].iter().for_each(|slot| drop(slot.begin()));
        for _ in 0..2 {
            assert!(enters(&connections).await.is_none());
            assert_eq!(
                (
                    those(&slots, is_evicted).await,
                    those(&slots, is_cut_off).await
                ),
                (vec![1], vec![])
            );
        }
        drop(slots.remove(1));
        let slot = enters(&connections).await.unwrap();
        slot.arrived();
        assert!(enters(&connections).await.is_none());
        assert_eq!(
            (those(&slots, is_evicted).await, is_evicted(&slot).await),
            (vec![1], false)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn busy_connections_leave_one_at_a_time_after_their_answer() {
        let connections = Connections::new(3);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(arrives(&connections).await);
        }
        let mut busy: Vec<_> = slots.iter().map(Slot::begin).collect();
        for asked in [1, 2] {
            tokio::time::advance(MIN_IDLE).await;
            for _ in 0..2 {
                assert!(enters(&connections).await.is_none());
                assert_eq!(those(&slots, is_evicted).await.len(), asked);
            }
        }
        assert_eq!(those(&slots, is_evicted).await, [0, 1]);
        drop(busy.remove(1));
        assert!(enters(&connections).await.is_none());
        assert_eq!(
            those(&slots, is_cut_off).await,
            [0; 0],
            "its answer is on its way"
        );
        tokio::time::advance(MIN_IDLE).await;
        assert!(enters(&connections).await.is_none());
        assert_eq!(those(&slots, is_cut_off).await, [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn evicted_connection_that_asks_on_is_cut_off_when_answered() {
        let connections = Connections::new(1);
        let slot = arrives(&connections).await;
        let before = slot.begin();
        tokio::time::advance(MIN_IDLE).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_evicted(&slot).await);
        // It may not have heard yet.
        let soon = slot.begin();
        drop(before);
        tokio::time::advance(IDLE_WHILE_SLOTS).await;
        let _late = slot.begin();
        assert!(enters(&connections).await.is_none());
        assert!(!is_cut_off(&slot).await);
        drop(soon);
        tokio::time::advance(MIN_IDLE).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_cut_off(&slot).await);
    }

    #[tokio::test]
    async fn slot_is_free_when_its_last_request_has_ended() {
        let connections = Connections::new(1);
        let slot = arrives(&connections).await;
        let request = slot.begin();
        drop(slot);
        assert!(enters(&connections).await.is_none());
        drop(request);
        assert!(enters(&connections).await.is_some());
        assert_eq!(connections.state().slots.counts(), (0, 0, 0));
    }
}
