//! Places for connections: a bounded number, in which those that are idle make room for new ones.
//!
//! A connection without a request under way is idle, whether it waits between two, has not made one, or is slow to say its
//! head. When almost all places are taken, each new connection sends away the one that is idle for the longest, so thousands
//! of idle connections keep nobody out. One that is sent away is given a moment, because HTTP/2 says good-bye; when really
//! all places are taken, it is cut off. A connection with a request under way is never sent away: how long that may take is
//! limited elsewhere. Where all are busy, new ones wait in the operating system's queue.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// One place in so many is kept free where there are idle connections: while some take their moment to leave, others can
/// come in.
const SPARE: usize = 8;

/// All places.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    taken: Mutex<Taken>,
    /// Told when a connection has left, or could be sent away.
    changed: Notify,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
    leave: Arc<Notify>,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Place>);

#[derive(Debug, Default)]
struct Taken {
    /// The number of the next connection, and of the next time that one becomes idle.
    next: u64,
    places: HashMap<u64, State>,
    /// Idle connections that were not sent away, those idle for the longest first, by the time's number.
    idle: BTreeMap<u64, u64>,
    /// Those that were sent away and are still there, longest first.
    leaving: VecDeque<u64>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    idle_since: Instant,
    /// Its number in `idle`, where it stands there.
    turn: Option<u64>,
    leaving: bool,
    cut_off: bool,
    leave: Arc<Notify>,
}

impl Connections {
    /// So many places, all free.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), changed: Notify::new() })
    }

    /// Waits for a place. Only one may wait.
    pub async fn enter(self: &Arc<Self>) -> Arc<Place> {
        loop {
            // From before the look on, so that no change is missed; and of those before it, none is seen again.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut taken = self.taken();
                if taken.places.len() - taken.leaving.len() >= self.most - self.most.div_ceil(SPARE) {
                    taken.send_one_away();
                }
                if taken.places.len() < self.most {
                    let (number, leave) = taken.add();
                    return Arc::new(Place { connections: Arc::clone(self), number, leave });
                }
                taken.cut_one_off();
            }
            changed.await;
        }
    }

    /// Sends one away that is idle, as where something else than places has run out.
    pub fn make_room(&self) {
        self.taken().send_one_away();
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts a request.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut taken = self.connections.taken();
        let taken = &mut *taken;
        if let Some(state) = taken.places.get_mut(&self.number) {
            state.under_way += 1;
            if let Some(turn) = state.turn.take() {
                taken.idle.remove(&turn);
            }
        }
        UnderWay(Arc::clone(self))
    }

    /// Returns when the connection is to leave, for another.
    pub async fn asked_to_leave(&self) {
        self.told(|state| state.leaving).await;
    }

    /// Returns when its moment to leave is over, with nothing under way.
    pub async fn cut_off(&self) {
        self.told(|state| state.cut_off && state.under_way == 0).await;
    }

    async fn told(&self, meant: impl Fn(&State) -> bool) {
        while !self.connections.taken().places.get(&self.number).is_none_or(&meant) {
            self.leave.notified().await;
        }
    }

    /// Returns when the connection was idle for so long, from now on.
    pub async fn idle_for(&self, time: Duration) {
        let mut end = Instant::now() + time;
        loop {
            tokio::time::sleep_until(end).await;
            let now = Instant::now();
            let busy_until = self
                .connections
                .taken()
                .places
                .get(&self.number)
                .map(|state| if state.under_way > 0 { now } else { state.idle_since });
            let earliest = busy_until.map_or(now, |at| at + time);
            if earliest <= now {
                return;
            }
            end = earliest;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.connections.taken();
        if let Some(state) = taken.places.remove(&self.number) {
            if state.leaving {
                taken.leaving.retain(|number| *number != self.number);
            }
            if let Some(turn) = state.turn {
                taken.idle.remove(&turn);
            }
        }
        drop(taken);
        self.connections.changed.notify_waiters();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let place = &self.0;
        let mut taken = place.connections.taken();
        let taken = &mut *taken;
        if let Some(state) = taken.places.get_mut(&place.number) {
            state.under_way -= 1;
            if state.under_way == 0 {
                state.idle_since = Instant::now();
                if state.leaving {
                    state.leave.notify_one();
                } else {
                    taken.next += 1;
                    state.turn = Some(taken.next);
                    taken.idle.insert(taken.next, place.number);
                }
            }
        }
        place.connections.changed.notify_waiters();
    }
}

impl Taken {
    /// A connection that is idle from now on.
    fn add(&mut self) -> (u64, Arc<Notify>) {
        self.next += 1;
        let (number, leave) = (self.next, Arc::new(Notify::new()));
        self.idle.insert(number, number);
        let state = State {
            under_way: 0,
            idle_since: Instant::now(),
            turn: Some(number),
            leaving: false,
            cut_off: false,
            leave: Arc::clone(&leave),
        };
        self.places.insert(number, state);
        (number, leave)
    }

    fn send_one_away(&mut self) {
        let Some((_, number)) = self.idle.pop_first() else { return };
        if let Some(state) = self.places.get_mut(&number) {
            (state.turn, state.leaving) = (None, true);
            self.leaving.push_back(number);
            state.leave.notify_one();
        }
    }

    /// Ends the moment of one that was sent away.
    fn cut_one_off(&mut self) {
        let states = &mut self.places;
        for number in &self.leaving {
            if let Some(state) = states.get_mut(number).filter(|state| state.under_way == 0 && !state.cut_off) {
                state.cut_off = true;
                state.leave.notify_one();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a connection gets a place at once.
    async fn enters(connections: &Arc<Connections>) -> Option<Arc<Place>> {
        tokio::select! { biased; place = connections.enter() => Some(place), () = std::future::ready(()) => None }
    }

    async fn is_asked(place: &Place) -> bool {
        tokio::select! { biased; () = place.asked_to_leave() => true, () = std::future::ready(()) => false }
    }

    async fn is_cut_off(place: &Place) -> bool {
        tokio::select! { biased; () = place.cut_off() => true, () = std::future::ready(()) => false }
    }

    #[tokio::test]
    async fn the_longest_idle_is_asked_to_leave_and_the_busy_never() {
        let connections = Connections::new(16);
        let mut places = Vec::new();
        for _ in 0..14 {
            places.push(enters(&connections).await.unwrap());
        }
        let busy = places[0].begin();
        // It was idle for the longest, and now for the shortest time.
        drop(places[1].begin());
        let _two = [enters(&connections).await.unwrap(), enters(&connections).await.unwrap()];
        assert!(enters(&connections).await.is_none(), "all places are taken");
        let (mut asked, mut cut_off) = (Vec::new(), Vec::new());
        for (number, place) in places.iter().enumerate() {
            asked.extend(is_asked(place).await.then_some(number));
            cut_off.extend(is_cut_off(place).await.then_some(number));
        }
        // The third one that came was to be let in at once, so one has no moment to leave.
        assert_eq!((asked, cut_off), (vec![2, 3, 4], vec![2]));
        drop((busy, places.remove(2)));
        assert!(enters(&connections).await.is_some());
    }

    #[tokio::test]
    async fn where_all_are_busy_a_new_one_waits_until_one_is_not() {
        let connections = Connections::new(2);
        let places = [enters(&connections).await.unwrap(), enters(&connections).await.unwrap()];
        let mut busy = places.each_ref().map(|place| Some(place.begin()));
        // The first was asked to leave when the second came, while it was still idle; and is not cut off now.
        assert!(is_asked(&places[0]).await && !is_asked(&places[1]).await);
        assert!(enters(&connections).await.is_none());
        assert!(!is_cut_off(&places[0]).await);
        let waiting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.enter().await }
        });
        busy[1] = None;
        places[1].asked_to_leave().await;
        drop(places);
        drop(busy);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_place_is_free_again_only_when_the_last_request_has_let_go_of_it() {
        let connections = Connections::new(1);
        let place = enters(&connections).await.unwrap();
        let request = place.begin();
        drop(place);
        assert!(enters(&connections).await.is_none());
        drop(request);
        assert!(enters(&connections).await.is_some());
        let taken = connections.taken();
        assert_eq!((taken.places.len(), taken.idle.len(), taken.leaving.len()), (0, 0, 0));
    }
}
