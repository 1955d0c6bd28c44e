//! Places for connections: a bounded number, in which old ones make room for new ones.
//!
//! A connection without a request under way is idle, whether it waits between two, has not made one, or is slow to say its
//! head. When almost all places are taken, each new connection sends away the one that is idle for the longest, so thousands
//! of idle connections keep nobody out. One that is sent away is given a moment, because HTTP/2 says good-bye; when really
//! all places are taken, it is cut off. Until one leaves, new ones wait in the operating system's queue.
//!
//! One that has just come in, or was just answered, is the longest idle where all others are busy. It is left alone for
//! [`A_WHILE`] to make its request as long as there are places, and for [`LEAST`] in any case: new ones wait for that.
//!
//! Where all places are taken by such as ask again and again, the oldest of them is sent away, so that these keep nobody out
//! either; one that is between two requests before one that is busy. A connection is never cut off while a request is under
//! way that began before it was told to leave, so that nobody loses an answer: how long that may take is limited elsewhere.
//! While the one that was told has not left, the next is told no sooner than after [`LEAST`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// One place in so many is kept free where there are idle connections: while some take their moment to leave, others can
/// come in.
const SPARE: usize = 8;
/// How long one is idle before it is sent away while there are places: a TLS handshake from far away, and a request.
const A_WHILE: Duration = Duration::from_secs(1);
/// How long it is idle before it is sent away at all: what was sent with the connection is read by then. More would let
/// strangers who fill all places in this time, again and again, keep the others waiting.
const LEAST: Duration = Duration::from_millis(100);

/// All places.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    taken: Mutex<Taken>,
    /// Told when a connection has left, or was answered after it was told to leave.
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
pub struct UnderWay {
    place: Arc<Place>,
    counts: bool,
}

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
    /// When its connection came in, if it has.
    arrived: Option<Instant>,
    under_way: usize,
    idle_since: Instant,
    /// Its number in `idle`, where it stands there.
    turn: Option<u64>,
    /// When it was told to leave, if it was.
    leaving: Option<Instant>,
    cut_off: bool,
    leave: Arc<Notify>,
}

impl Connections {
    /// So many places, all free.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), changed: Notify::new() })
    }

    /// Waits for a place, which is nobody's to take away until a connection has [`Place::arrived`]. Only one may wait.
    pub async fn enter(self: &Arc<Self>) -> Arc<Place> {
        loop {
            // From before the look on, so that no change is missed; and of those before it, none is seen again.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let look_again = {
                let mut taken = self.taken();
                if taken.places.len() - taken.leaving.len() >= self.most - self.most.div_ceil(SPARE) {
                    taken.send_one_away(A_WHILE);
                }
                if taken.places.len() < self.most {
                    let (number, leave) = taken.add();
                    return Arc::new(Place { connections: Arc::clone(self), number, leave });
                }
                if taken.cut_one_off() || (taken.send_one_away(LEAST) && taken.cut_one_off()) {
                    // Unless a request of it came in at the last moment.
                    Some(Instant::now() + LEAST)
                } else {
                    // There are only the busy, and those idle for so short a time.
                    taken.send_oldest_away();
                    taken.next_to_go()
                }
            };
            match look_again {
                Some(at) => drop(tokio::time::timeout_at(at, changed).await),
                None => changed.await,
            }
        }
    }

    /// Sends one away that is idle, as where something else than places has run out.
    pub fn make_room(&self) {
        let mut taken = self.taken();
        if !taken.send_one_away(LEAST) {
            taken.send_oldest_away();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A connection has come in, and is idle from now on.
    pub fn arrived(&self) {
        let mut taken = self.connections.taken();
        let taken = &mut *taken;
        if let Some(state) = taken.places.get_mut(&self.number) {
            taken.next += 1;
            let now = Instant::now();
            (state.arrived, state.idle_since, state.turn) = (Some(now), now, Some(taken.next));
            taken.idle.insert(taken.next, self.number);
        }
    }

    /// Counts a request; but not where the client was told to leave so long ago that it must have heard, or it could stay by
    /// asking on.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut taken = self.connections.taken();
        let taken = &mut *taken;
        let state = taken.places.get_mut(&self.number);
        let state = state.filter(|state| state.leaving.is_none_or(|told| told.elapsed() < A_WHILE));
        let counts = state.is_some();
        if let Some(state) = state {
            (state.under_way, state.cut_off) = (state.under_way + 1, false);
            if let Some(turn) = state.turn.take() {
                taken.idle.remove(&turn);
            }
        }
        UnderWay { place: Arc::clone(self), counts }
    }

    /// Returns when the connection is to leave, for another.
    pub async fn asked_to_leave(&self) {
        self.told(|state| state.leaving.is_some()).await;
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
            if state.leaving.is_some() {
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
        let place = &self.place;
        let mut taken = place.connections.taken();
        let taken = &mut *taken;
        if let Some(state) = taken.places.get_mut(&place.number).filter(|_| self.counts) {
            state.under_way -= 1;
            if state.under_way == 0 {
                state.idle_since = Instant::now();
                if state.leaving.is_some() {
                    state.leave.notify_one();
                    place.connections.changed.notify_waiters();
                } else {
                    // Nobody can be sent away for it before some time has passed, for which who waits looks by itself: a look
                    // at all places with every answer would be too much.
                    taken.next += 1;
                    state.turn = Some(taken.next);
                    taken.idle.insert(taken.next, place.number);
                }
            }
        }
    }
}

impl Taken {
    /// A place that is not used yet.
    fn add(&mut self) -> (u64, Arc<Notify>) {
        self.next += 1;
        let (number, leave) = (self.next, Arc::new(Notify::new()));
        let state = State {
            arrived: None,
            under_way: 0,
            idle_since: Instant::now(),
            turn: None,
            leaving: None,
            cut_off: false,
            leave: Arc::clone(&leave),
        };
        self.places.insert(number, state);
        (number, leave)
    }

    /// Since when the one is idle that is so for the longest.
    fn longest_idle(&self) -> Option<Instant> {
        let (_, number) = self.idle.first_key_value()?;
        self.places.get(number).map(|state| state.idle_since)
    }

    /// Sends away the one that is idle for the longest, if that is at least so long.
    fn send_one_away(&mut self, least: Duration) -> bool {
        if self.longest_idle().is_none_or(|since| since.elapsed() < least) {
            return false;
        }
        let longest = self.idle.first_key_value().map(|(_, number)| *number);
        longest.is_some_and(|number| self.send_away(number))
    }

    /// Sends away the oldest of those that had a moment to ask, first among those that are between two requests; but not
    /// while the one that was sent away last still has its moment to leave.
    fn send_oldest_away(&mut self) -> bool {
        let state = |number| self.places.get(number);
        let last = self.leaving.back().and_then(state).and_then(|state| state.leaving);
        if last.is_some_and(|told| told.elapsed() < LEAST) {
            return false;
        }
        let stay = self.places.iter().filter(|(_, state)| state.leaving.is_none());
        let old = stay.filter(|(_, state)| state.arrived.is_some_and(|at| at.elapsed() >= LEAST));
        let oldest = old.min_by_key(|(number, state)| (state.under_way > 0, **number)).map(|(number, _)| *number);
        oldest.is_some_and(|number| self.send_away(number))
    }

    /// When one can be cut off, or sent away, that cannot now.
    fn next_to_go(&self) -> Option<Instant> {
        let leaving = || self.leaving.iter().filter_map(|number| self.places.get(number));
        let told = leaving().next_back().and_then(|state| state.leaving).filter(|told| told.elapsed() < LEAST);
        let stay = || self.places.values().filter(|state| state.leaving.is_none());
        let oldest = told.or_else(|| stay().filter_map(|state| state.arrived).min());
        let answered = leaving().filter(|state| state.under_way == 0).map(|state| state.idle_since).min();
        [oldest, answered, self.longest_idle()].into_iter().flatten().min().map(|since| since + LEAST)
    }

    fn send_away(&mut self, number: u64) -> bool {
        let Some(state) = self.places.get_mut(&number) else { return false };
        state.leaving = Some(Instant::now());
        if let Some(turn) = state.turn.take() {
            self.idle.remove(&turn);
        }
        state.leave.notify_one();
        self.leaving.push_back(number);
        true
    }

    /// Ends the moment of one that was sent away. Whether one leaves now, this or one before it.
    fn cut_one_off(&mut self) -> bool {
        let mut one_leaves = false;
        let states = &mut self.places;
        for number in &self.leaving {
            // One that was answered just now has a moment to say the answer.
            let idle = |state: &&mut State| state.under_way == 0 && state.idle_since.elapsed() >= LEAST;
            if let Some(state) = states.get_mut(number).filter(idle) {
                one_leaves = true;
                if !state.cut_off {
                    state.cut_off = true;
                    state.leave.notify_one();
                    break;
                }
            }
        }
        one_leaves
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

    /// A connection that comes in at once.
    async fn arrives(connections: &Arc<Connections>) -> Arc<Place> {
        let place = enters(connections).await.unwrap();
        place.arrived();
        place
    }

    /// The numbers of those that this is true of.
    async fn those(places: &[Arc<Place>], are: impl AsyncFn(&Place) -> bool) -> Vec<usize> {
        let mut numbers = Vec::new();
        for (number, place) in places.iter().enumerate() {
            numbers.extend(are(place).await.then_some(number));
        }
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_is_asked_to_leave_and_not_the_busy() {
        let connections = Connections::new(16);
        let mut places = Vec::new();
        for _ in 0..14 {
            places.push(arrives(&connections).await);
        }
        let busy = places[0].begin();
        // It was idle for the longest, and now for the shortest time.
        drop(places[1].begin());
        tokio::time::advance(A_WHILE).await;
        let _two = [arrives(&connections).await, arrives(&connections).await];
        assert!(enters(&connections).await.is_none(), "all places are taken");
        // The third one that came was to be let in at once, so one has no moment to leave.
        assert_eq!((those(&places, is_asked).await, those(&places, is_cut_off).await), (vec![2, 3, 4], vec![2]));
        drop((busy, places.remove(2)));
        assert!(enters(&connections).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_one_is_idle_since_it_arrived_and_not_for_as_long_as_the_listener_waited() {
        let connections = Connections::new(16);
        let mut pooled = Vec::new();
        for _ in 0..13 {
            pooled.push(arrives(&connections).await);
        }
        let waiting = enters(&connections).await.unwrap();
        tokio::time::advance(A_WHILE).await;
        pooled[1..].iter().for_each(|place| drop(place.begin()));
        waiting.arrived();
        let _next = arrives(&connections).await;
        assert!(is_asked(&pooled[0]).await, "it is idle for the longest");
        tokio::time::advance(A_WHILE / 2).await;
        pooled[1..].iter().for_each(|place| drop(place.begin()));
        // All the others are idle for a shorter time, and still it has a while as long as there are places.
        let _last = arrives(&connections).await;
        assert!(!is_asked(&waiting).await);
        tokio::time::advance(A_WHILE / 2).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_asked(&waiting).await);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_others_are_busy_new_ones_go_in_turn_and_each_has_a_moment_to_ask() {
        let connections = Connections::new(4);
        let busy = [arrives(&connections).await, arrives(&connections).await].map(|place| place.begin());
        let mut new =
            vec![(arrives(&connections).await, Instant::now()), (arrives(&connections).await, Instant::now())];
        for _ in 0..100 {
            let mut entering = pin!(connections.enter());
            let (oldest, arrived) = new.remove(0);
            tokio::select! {
                _ = entering.as_mut() => unreachable!("all places are taken"),
                () = oldest.cut_off() => assert!(arrived.elapsed() >= LEAST, "{:?}", arrived.elapsed()),
            }
            assert!(!is_asked(&new[0].0).await || new[0].1.elapsed() >= LEAST);
            drop(oldest);
            let place = entering.await;
            place.arrived();
            new.push((place, Instant::now()));
        }
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn the_place_that_the_listener_waits_with_is_not_what_makes_room() {
        let connections = Connections::new(16);
        let pooled = arrives(&connections).await;
        drop(pooled.begin());
        let waiting = enters(&connections).await.unwrap();
        tokio::time::advance(LEAST).await;
        connections.make_room();
        assert!(is_asked(&pooled).await);
        connections.make_room();
        assert!(!is_asked(&waiting).await);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_busy_a_new_one_waits_until_one_is_not() {
        let connections = Connections::new(2);
        let first = arrives(&connections).await;
        tokio::time::advance(A_WHILE).await;
        let places = [first, arrives(&connections).await];
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

    #[tokio::test(start_paused = true)]
    async fn where_all_ask_without_a_pause_the_oldest_that_is_between_two_requests_makes_room() {
        let connections = Connections::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(arrives(&connections).await);
        }
        let _busy = places[0].begin();
        assert!(enters(&connections).await.is_none());
        assert_eq!(those(&places, is_asked).await, [0; 0], "each has a moment to ask");
        tokio::time::advance(LEAST).await;
        places[1..].iter().for_each(|place| drop(place.begin()));
        for _ in 0..2 {
            assert!(enters(&connections).await.is_none());
            assert_eq!((those(&places, is_asked).await, those(&places, is_cut_off).await), (vec![1], vec![]));
        }
        drop(places.remove(1));
        let place = enters(&connections).await.unwrap();
        place.arrived();
        assert!(enters(&connections).await.is_none());
        assert_eq!((those(&places, is_asked).await, is_asked(&place).await), (vec![1], false));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_busy_one_at_a_time_is_asked_to_leave_and_none_is_cut_off_before_it_was_answered() {
        let connections = Connections::new(3);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(arrives(&connections).await);
        }
        let mut busy: Vec<_> = places.iter().map(Place::begin).collect();
        for asked in [1, 2] {
            tokio::time::advance(LEAST).await;
            for _ in 0..2 {
                assert!(enters(&connections).await.is_none());
                assert_eq!(those(&places, is_asked).await.len(), asked);
            }
        }
        assert_eq!(those(&places, is_asked).await, [0, 1]);
        drop(busy.remove(1));
        assert!(enters(&connections).await.is_none());
        assert_eq!(those(&places, is_cut_off).await, [0; 0], "its answer is on its way");
        tokio::time::advance(LEAST).await;
        assert!(enters(&connections).await.is_none());
        assert_eq!(those(&places, is_cut_off).await, [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_asked_to_leave_and_goes_on_asking_is_cut_off_when_what_it_had_asked_is_answered() {
        let connections = Connections::new(1);
        let place = arrives(&connections).await;
        let before = place.begin();
        tokio::time::advance(LEAST).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_asked(&place).await);
        // It may not have heard yet.
        let soon = place.begin();
        drop(before);
        tokio::time::advance(A_WHILE).await;
        let _late = place.begin();
        assert!(enters(&connections).await.is_none());
        assert!(!is_cut_off(&place).await);
        drop(soon);
        tokio::time::advance(LEAST).await;
        assert!(enters(&connections).await.is_none());
        assert!(is_cut_off(&place).await);
    }

    #[tokio::test]
    async fn a_place_is_free_again_only_when_the_last_request_has_let_go_of_it() {
        let connections = Connections::new(1);
        let place = arrives(&connections).await;
        let request = place.begin();
        drop(place);
        assert!(enters(&connections).await.is_none());
        drop(request);
        assert!(enters(&connections).await.is_some());
        let taken = connections.taken();
        assert_eq!((taken.places.len(), taken.idle.len(), taken.leaving.len()), (0, 0, 0));
    }
}
