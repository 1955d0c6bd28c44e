//! Conditions of the destinations: held, failing for long, with dead letters, or gone while alerts
//! wait for them. They fire at the operator's destination, about every other one.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_sdk::contract;
use tokio::time::Instant;

use super::condition::{Act, Condition};
use super::open::Open;
use crate::alert::internal::{self, Topic};
use crate::config::shown_duration;
use crate::health::{Board, DestinationState};

/// The time a destination may fail before that fires. A failing one mostly recovers by itself; one
/// that is held never does.
const FAILING_FOR: Duration = Duration::from_secs(5 * 60);

/// The topics that the state of a destination decides.
pub const HEALTH: [Topic; 2] = [Topic::DestinationHeld, Topic::DestinationFailing];

/// Every destination but the operator's; none where there is no such.
#[derive(Debug)]
pub struct Destinations {
    operators: Option<String>,
    watched: BTreeMap<String, Watched>,
    /// Destinations that are not configured any more, and how many alerts wait for them, as the
    /// last alert of this run said.
    gone: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Watched {
    held: Condition,
    failing: Condition,
    why: String,
    /// The number of dead letters, as the last alert of this run said.
    dead: i64,
}

/// An alert that was raised.
#[derive(Debug)]
pub struct Done {
    name: String,
    topic: Topic,
    act: Act,
}

impl Destinations {
    /// Returns these destinations, all of them well.
    pub fn new(operators: Option<&str>, names: &[String], gone: &[String], now: Instant) -> Self {
        let gone = gone.iter().filter(|_| operators.is_some());
        let mut destinations = Self {
            operators: operators.map(str::to_owned),
            watched: BTreeMap::new(),
            gone: gone.map(|name| (name.clone(), 0)).collect(),
        };
        destinations.take(names, now);
        destinations
    }

    /// Watches these destinations from now on. One that stays keeps its conditions, a new one is
    /// well, and whether anything waits for one that is gone is watched.
    pub fn take(&mut self, names: &[String], now: Instant) {
        let mut before = std::mem::take(&mut self.watched);
        let Some(operators) = &self.operators else {
            return;
        };
        for name in names {
            self.gone.remove(name);
            let same = before.remove(name);
            if name != operators {
                let watched = same.unwrap_or_else(|| Watched::well(now));
                self.watched.insert(name.clone(), watched);
            }
        }
        self.gone.extend(before.into_keys().map(|name| (name, 0)));
    }

    /// Takes over that a condition of an earlier run is open. It is over once an alert was taken,
    /// or where nothing `waits`, because nothing more may come to show it.
    pub fn inherit(&mut self, topic: Topic, name: &str, waits: bool, now: Instant) {
        if let Some(watched) = self.watched.get_mut(name) {
            let condition = watched.condition(topic);
            condition.was_told();
            condition.find(waits, now);
        }
    }

    /// Returns the destination at which conditions of this one fire.
    pub fn fires_at(&self, name: &str) -> Option<&str> {
        self.operators
            .as_deref()
            .filter(|_| self.watched.contains_key(name))
    }

    /// Returns the destination at which it fires that alerts wait for this one, which is gone.
    pub fn fires_gone_at(&self, name: &str) -> Option<&str> {
        self.operators
            .as_deref()
            .filter(|_| self.gone.contains_key(name))
    }

    /// Returns the names of those that are watched, and of those that are gone.
    pub fn names(&self) -> [Vec<String>; 2] {
        [
            self.watched.keys().cloned().collect(),
            self.gone.keys().cloned().collect(),
        ]
    }

    /// Learns their state.
    pub fn find(&mut self, board: &Board, now: Instant) {
        for (name, watched) in &mut self.watched {
            let Some(health) = board.destinations.get(name) else {
                continue;
            };
            if let Some(why) = &health.why {
                why.clone_into(&mut watched.why);
            }
            match health.state {
                // What is wrong is over when an alert was taken, not when the last one failed in
                // another way, and not because none was sent yet.
                DestinationState::Healthy if !health.proven => {}
                DestinationState::Healthy => {
                    watched.held.find(false, now);
                    watched.failing.find(false, now);
                }
                // Held is over when alerts go out again, not when they fail in another way.
                DestinationState::Failing => watched.failing.find(true, now),
                DestinationState::Held => {
                    watched.held.find(true, now);
                    // What was told of is over when alerts go out again; what was not is told of as
                    // held.
                    if !watched.failing.is_told() {
                        watched.failing.find(false, now);
                    }
                }
            }
        }
    }

    /// Returns when an alert is due, if nothing changes.
    pub fn next(&self) -> Option<Instant> {
        let conditions = self
            .watched
            .values()
            .flat_map(|one| [&one.held, &one.failing]);
        conditions
            .filter_map(|condition| condition.next().map(|(at, _)| at))
            .min()
    }

    /// Returns an alert that is due now, with its destination; its [`Done`] is handed back to
    /// [`Destinations::done`] once it is raised.
    pub fn due(&mut self, now: Instant) -> Option<(contract::Alert, String, Done)> {
        let operators = self.operators.as_ref()?;
        self.watched.iter_mut().find_map(|(name, watched)| {
            HEALTH.into_iter().find_map(|topic| {
                let act = watched.condition(topic).due(now)?;
                let event = match (act, topic) {
                    (Act::End, _) => topic.resolves(name),
                    (Act::Open, Topic::DestinationHeld) => {
                        internal::destination_held(name, &watched.why)
                    }
                    (Act::Open, _) => {
                        let lasting = shown_duration(FAILING_FOR);
                        internal::destination_failing(name, &watched.why, &lasting)
                    }
                };
                let name = name.clone();
                Some((event, operators.clone(), Done { name, topic, act }))
            })
        })
    }

    /// Notes that the alert was raised.
    pub fn done(&mut self, done: &Done, now: Instant) {
        if let Some(watched) = self.watched.get_mut(&done.name) {
            watched.condition(done.topic).done(done.act, now);
        }
    }

    /// Returns the alert that a count calls for, with its destination: of dead letters, each time
    /// that there are more, or of what waits for a destination that is gone.
    pub fn due_by_count(
        &mut self,
        topic: Topic,
        name: &str,
        alerts: i64,
        open: &Open,
    ) -> Option<(contract::Alert, String)> {
        let said = *self.said(topic, name)?;
        let is_open = || open.place(&topic.key(name)).is_some();
        let event = match topic {
            _ if alerts == 0 && is_open() => topic.resolves(name),
            Topic::DeadLetters if alerts > said => internal::dead_letters(name, alerts),
            Topic::DestinationGone if alerts > 0 && said == 0 => {
                internal::destination_gone(name, alerts)
            }
            _ => return None,
        };
        Some((event, self.operators.clone()?))
    }

    /// Returns the count that the last alert of this run said.
    pub fn said(&mut self, topic: Topic, name: &str) -> Option<&mut i64> {
        match topic {
            Topic::DeadLetters => self.watched.get_mut(name).map(|one| &mut one.dead),
            _ => self.gone.get_mut(name),
        }
    }
}

impl Watched {
    fn well(now: Instant) -> Self {
        Self {
            held: Condition::new(Duration::ZERO, Duration::ZERO, now),
            failing: Condition::new(FAILING_FOR, Duration::ZERO, now),
            why: String::new(),
            dead: 0,
        }
    }

    fn condition(&mut self, topic: Topic) -> &mut Condition {
        if topic == Topic::DestinationHeld {
            &mut self.held
        } else {
            &mut self.failing
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract::Status;

    use super::*;
    use crate::health::DestinationHealth;

    fn board(state: DestinationState) -> Board {
        shows(state, state == DestinationState::Healthy)
    }

    fn shows(state: DestinationState, proven: bool) -> Board {
        let why =
            (state != DestinationState::Healthy).then(|| "401 (the token is wrong)".to_owned());
        let health = DestinationHealth {
            next_probe: None,
            state,
            since: String::new(),
            failing_since: None,
            why,
            proven,
        };
        Board {
            destinations: BTreeMap::from([("d".to_owned(), health)]),
            ..Board::default()
        }
    }

    /// These destinations, whose conditions fire at `ops`.
    fn watching(names: &[&str], now: Instant) -> Destinations {
        Destinations::new(Some("ops"), &named(names), &[], now)
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The alerts fired or resolved at a time, as key and status.
    fn told(destinations: &mut Destinations, now: Instant) -> Vec<(String, Status)> {
        std::iter::from_fn(|| {
            let (event, _, done) = destinations.due(now)?;
            destinations.done(&done, now);
            Some((event.key().to_owned(), event.status))
        })
        .collect()
    }

    fn says(key: &str, status: Status) -> Vec<(String, Status)> {
        vec![(key.to_owned(), status)]
    }

    #[test]
    fn held_destination_fires_at_once_and_resolves() {
        let start = Instant::now();
        let mut destinations = watching(&["d", "ops"], start);
        assert_eq!(told(&mut destinations, start), []);
        destinations.find(&board(DestinationState::Held), start);
        assert!(
            destinations
                .due(start)
                .unwrap()
                .0
                .message
                .unwrap()
                .contains("the token is wrong")
        );
        assert_eq!(
            told(&mut destinations, start),
            says("destination-held/d", Status::Trigger)
        );
        destinations.find(&board(DestinationState::Failing), start);
        assert_eq!(
            told(&mut destinations, start),
            [],
            "it fails in another way, and is not well"
        );
        destinations.find(&board(DestinationState::Healthy), start);
        assert_eq!(
            told(&mut destinations, start),
            says("destination-held/d", Status::Resolve)
        );
    }

    #[test]
    fn failing_destination_fires_after_five_minutes() {
        let start = Instant::now();
        let mut destinations = watching(&["d", "ops"], start);
        destinations.find(&board(DestinationState::Failing), start);
        assert_eq!(
            (told(&mut destinations, start), destinations.next()),
            (vec![], Some(start + FAILING_FOR))
        );
        let later = start + FAILING_FOR;
        assert_eq!(
            told(&mut destinations, later),
            says("destination-failing/d", Status::Trigger)
        );
        destinations.find(&board(DestinationState::Held), later);
        assert_eq!(
            told(&mut destinations, later),
            says("destination-held/d", Status::Trigger)
        );
        destinations.find(&board(DestinationState::Healthy), later);
        let both = ["destination-held/d", "destination-failing/d"]
            .map(|key| (key.to_owned(), Status::Resolve));
        assert_eq!(told(&mut destinations, later), both);
    }

    #[test]
    fn removed_destination_is_gone_until_it_is_back() {
        let start = Instant::now();
        let mut destinations = watching(&["d", "other", "ops"], start);
        destinations.find(&board(DestinationState::Held), start);
        told(&mut destinations, start);
        destinations.take(&named(&["other", "new", "ops"]), start);
        assert_eq!(
            destinations.names(),
            [named(&["new", "other"]), named(&["d"])]
        );
        assert_eq!(
            (destinations.fires_at("d"), destinations.fires_gone_at("d")),
            (None, Some("ops"))
        );
        destinations.take(&named(&["d", "ops"]), start);
        assert_eq!(
            destinations.names(),
            [named(&["d"]), named(&["new", "other"])]
        );
        assert_eq!(told(&mut destinations, start), [], "it is well at first");
    }

    #[test]
    fn dead_letters_fire_where_there_are_more_and_resolve_without() {
        let mut destinations = watching(&["d", "ops"], Instant::now());
        let mut open = Open::default();
        let over = "Destination d has no dead letter any more";
        for (alerts, title) in [
            (0, None),
            (1, Some("Destination d has 1 dead letter")),
            (1, None),
            (3, Some("Destination d has 3 dead letters")),
            (2, None),
            (0, Some(over)),
            (0, None),
        ] {
            let event = destinations.due_by_count(Topic::DeadLetters, "d", alerts, &open);
            assert_eq!(event.as_ref().map(|(event, _)| &*event.title), title);
            if let Some((event, destination)) = event {
                open.note(event.key().to_owned(), event.status, &destination);
                *destinations.said(Topic::DeadLetters, "d").unwrap() = alerts;
            }
        }
    }

    #[test]
    fn nothing_is_watched_without_an_operators_destination() {
        let start = Instant::now();
        let mut destinations = Destinations::new(None, &named(&["d"]), &named(&["old"]), start);
        destinations.take(&named(&["e"]), start);
        assert_eq!(destinations.names(), [[""; 0]; 2]);
        assert_eq!(
            (
                destinations.fires_at("e"),
                destinations.fires_gone_at("old")
            ),
            (None, None)
        );
    }

    #[test]
    fn inherited_condition_resolves_only_after_an_accepted_alert() {
        let start = Instant::now();
        let mut destinations = watching(&["d", "ops"], start);
        for topic in [Topic::DestinationHeld, Topic::DestinationFailing] {
            destinations.inherit(topic, "d", true, start);
        }
        for (state, proven) in [
            (DestinationState::Healthy, false),
            (DestinationState::Failing, false),
            (DestinationState::Healthy, false),
            (DestinationState::Held, false),
        ] {
            destinations.find(&shows(state, proven), start);
            assert_eq!(
                (
                    told(&mut destinations, start + 100 * FAILING_FOR),
                    destinations.next()
                ),
                (vec![], None)
            );
        }
        destinations.find(&shows(DestinationState::Healthy, true), start);
        let both = ["destination-held/d", "destination-failing/d"]
            .map(|key| (key.to_owned(), Status::Resolve));
        assert_eq!(told(&mut destinations, start), both);
        // Where nothing waits, nothing more may come to show it.
        destinations.inherit(Topic::DestinationHeld, "d", false, start);
        assert_eq!(
            told(&mut destinations, start),
            says("destination-held/d", Status::Resolve)
        );
    }
}
