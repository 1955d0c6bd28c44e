//! Conditions of the destinations: held, and failing for long.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_sdk::contract;
use tokio::time::Instant;

use super::condition::{Act, Condition};
use crate::alert::internal::{self, Topic};
use crate::config::shown_duration;
use crate::health::{Board, DestinationState};

/// The time a destination may fail before that fires. A failing one mostly recovers by itself; one
/// that is held never does.
const FAILING_FOR: Duration = Duration::from_secs(5 * 60);

/// Every destination but the operator's.
#[derive(Debug)]
pub struct Destinations {
    watched: BTreeMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    held: Condition,
    failing: Condition,
    why: String,
}

impl Destinations {
    /// Returns these destinations, all of them well.
    pub fn new(names: impl IntoIterator<Item = String>, now: Instant) -> Self {
        let watched = |name| {
            let held = Condition::new(Duration::ZERO, Duration::ZERO, now);
            let failing = Condition::new(FAILING_FOR, Duration::ZERO, now);
            (
                name,
                Watched {
                    held,
                    failing,
                    why: String::new(),
                },
            )
        };
        Self {
            watched: names.into_iter().map(watched).collect(),
        }
    }

    /// Watches these destinations from now on. One that stays keeps its conditions, and a new one is
    /// well. Returns those that are gone.
    pub fn take(&mut self, names: impl IntoIterator<Item = String>, now: Instant) -> Ended {
        let mut before = std::mem::replace(self, Self::new(names, now)).watched;
        for (name, watched) in &mut self.watched {
            if let Some(same) = before.remove(name) {
                *watched = same;
            }
        }
        let topics = [Topic::DestinationHeld, Topic::DestinationFailing];
        let told = before.iter_mut().flat_map(|(name, watched)| {
            let told = topics.map(|topic| watched.condition(topic).is_told().then_some(topic));
            told.into_iter().flatten().map(move |topic| {
                let mut event = topic.resolves(name);
                event.title = format!("Destination {name} is not configured any more");
                event.message = None;
                event
            })
        });
        let told = told.collect();
        Ended {
            told,
            gone: before.into_keys().collect(),
        }
    }

    /// Takes over a condition of an earlier run. Returns whether it is about one of these
    /// destinations.
    pub fn was_told(&mut self, topic: Topic, name: &str) -> bool {
        let watched = self.watched.get_mut(name);
        watched
            .map(|watched| watched.condition(topic).was_told())
            .is_some()
    }

    /// Returns whether this is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.watched.contains_key(name)
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

    /// Returns an alert that is due now; its [`Done`] is handed back to [`Destinations::done`] once
    /// it is raised.
    pub fn due(&mut self, now: Instant) -> Option<(contract::Alert, Done)> {
        self.watched.iter_mut().find_map(|(name, watched)| {
            [Topic::DestinationHeld, Topic::DestinationFailing]
                .into_iter()
                .find_map(|topic| {
                    let act = watched.condition(topic).due(now)?;
                    let event = match (act, topic) {
                        (Act::End, _) => topic.resolves(name),
                        (Act::Open, Topic::DestinationHeld) => {
                            internal::destination_held(name, &watched.why)
                        }
                        (Act::Open, _) => internal::destination_failing(
                            name,
                            &watched.why,
                            &shown_duration(FAILING_FOR),
                        ),
                    };
                    Some((
                        event,
                        Done {
                            name: name.clone(),
                            topic,
                            act,
                        },
                    ))
                })
        })
    }

    /// Notes that the alert was raised.
    pub fn done(&mut self, done: &Done, now: Instant) {
        if let Some(watched) = self.watched.get_mut(&done.name) {
            watched.condition(done.topic).done(done.act, now);
        }
    }
}

/// Destinations that are not watched any more.
#[derive(Debug)]
pub struct Ended {
    /// The alerts that resolve what had fired about them.
    pub told: Vec<contract::Alert>,
    /// Their names.
    pub gone: Vec<String>,
}

/// An alert that was raised.
#[derive(Debug)]
pub struct Done {
    name: String,
    topic: Topic,
    act: Act,
}

impl Watched {
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

    /// The alerts fired or resolved at a time, as key and status.
    fn told(destinations: &mut Destinations, now: Instant) -> Vec<(String, Status)> {
        std::iter::from_fn(|| {
            let (event, done) = destinations.due(now)?;
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
        let mut destinations = Destinations::new(["d".to_owned()], start);
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
        let mut destinations = Destinations::new(["d".to_owned()], start);
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
    fn removed_destination_resolves_and_others_stay() {
        let start = Instant::now();
        let mut destinations = Destinations::new(["d".to_owned(), "other".to_owned()], start);
        destinations.find(&board(DestinationState::Held), start);
        told(&mut destinations, start);
        let Ended { told: over, gone } =
            destinations.take(["other".to_owned(), "new".to_owned()], start);
        assert_eq!(gone, ["d"]);
        let over: Vec<_> = over
            .iter()
            .map(|event| (event.key(), event.status))
            .collect();
        assert_eq!(over, [("destination-held/d", Status::Resolve)]);
        assert!(destinations.contains("new") && !destinations.contains("d"));
        // What is well says nothing when it goes.
        let Ended { told: over, gone } = destinations.take(["d".to_owned()], start);
        assert_eq!((over.len(), gone.len()), (0, 2));
    }

    #[test]
    fn inherited_condition_resolves_only_after_an_accepted_alert() {
        let start = Instant::now();
        let mut destinations = Destinations::new(["d".to_owned()], start);
        for topic in [Topic::DestinationHeld, Topic::DestinationFailing] {
            assert!(destinations.was_told(topic, "d"));
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
    }
}
