//! Inheritance: which open conditions of earlier runs go on, and which resolve at the start.

use std::collections::{BTreeMap, VecDeque};

use super::destinations::Destinations;
use super::heartbeat::Heartbeats;
use super::{Plan, Work};
use crate::alert::internal::{self, Topic};
use crate::store::Told;

/// The topics that the monitor watches.
const FOUND_HERE: [Topic; 5] = [
    Topic::MissedHeartbeat,
    Topic::DestinationHeld,
    Topic::DestinationFailing,
    Topic::DestinationGone,
    Topic::DeadLetters,
];

/// The topics that the store itself opens and resolves, in step with the events that they are
/// about.
const FOUND_BY_EVENTS: [Topic; 2] = [Topic::PluginFailed, Topic::Storm];

/// Returns the work to be done before anything else, and the destinations whose dead letters are
/// reported. Watchers learn of the conditions that go on. A condition that would fire elsewhere now
/// resolves where it fired, and fires anew.
pub fn inherit(
    told: Vec<Told>,
    plan: &Plan,
    heartbeats: &mut Heartbeats,
    mut watched: Option<&mut Destinations>,
) -> (VecDeque<Work>, BTreeMap<String, i64>) {
    let mut first = VecDeque::new();
    let mut dead_letters = BTreeMap::new();
    for told in told {
        let is_gone = |name: &str| plan.gone.iter().any(|(gone, _)| gone == name);
        let is_there = plan.destinations.contains(&told.destination);
        let Some((topic, name)) = FOUND_HERE
            .iter()
            .find_map(|topic| Some((*topic, topic.name_in(&told.key)?)))
        else {
            // Its end would wait for a destination that may never come back.
            if !is_there {
                first.push_back(Work::Forget(told));
            } else if FOUND_BY_EVENTS
                .iter()
                .all(|topic| topic.name_in(&told.key).is_none())
            {
                // A topic of an earlier version: nothing watches it any more.
                let event = internal::obsolete(&told.key);
                first.push_back(Work::Tell(told.destination, Box::new(event)));
            }
            continue;
        };
        let present = plan.present(topic, name);
        let moved = present.is_some_and(|present| present != told.destination);
        let goes_on = match (topic, &mut watched) {
            _ if moved => false,
            (Topic::MissedHeartbeat, _) => heartbeats.was_told(name),
            (_, None) => false,
            (Topic::DestinationGone, Some(_)) => is_gone(name),
            (Topic::DeadLetters, Some(watched)) => watched.contains(name),
            // Where nothing waits, all was taken, and nothing more may come to show it.
            (_, Some(watched)) => plan.waits_for(name) && watched.was_told(topic, name),
        };
        if goes_on && topic == Topic::DeadLetters {
            dead_letters.insert(name.to_owned(), 0);
        }
        if !goes_on {
            // It is not watched any more, so it resolves where it fired, if that destination still
            // exists.
            first.push_back(if is_there {
                let event = if moved {
                    internal::moved(topic.resolves(name))
                } else {
                    topic.resolves(name)
                };
                Work::Tell(told.destination, Box::new(event))
            } else {
                Work::Forget(told)
            });
        }
    }
    if let Some(ops) = &plan.operator_destination {
        first.extend(plan.gone.iter().map(|(name, alerts)| {
            let event = internal::destination_gone(name, *alerts);
            Work::Tell(ops.clone(), Box::new(event))
        }));
    }
    (first, dead_letters)
}

impl Plan {
    fn waits_for(&self, destination: &str) -> bool {
        self.waiting.iter().any(|name| name == destination)
    }

    /// Returns the destination at which a watched topic about `name` fires now, if at any.
    fn present(&self, topic: Topic, name: &str) -> Option<&str> {
        match topic {
            Topic::MissedHeartbeat => self
                .sources
                .iter()
                .find(|one| &*one.source == name)
                .map(|one| &*one.destination),
            _ => self.operator_destination.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::heartbeat::Expected;
    use super::*;

    fn told(key: &str, destination: &str) -> Told {
        Told {
            key: key.to_owned(),
            destination: destination.to_owned(),
        }
    }

    /// Returns the first work, in words, where `s` is expected and the destinations are `d` and
    /// `ops`.
    fn first(
        operator_destination: Option<&str>,
        gone: &[(&str, i64)],
        told: Vec<Told>,
    ) -> Vec<String> {
        let every = Some(Duration::from_secs(60));
        let expected = Expected {
            source: "s".into(),
            destination: "d".into(),
            every,
        };
        let plan = Plan {
            sources: vec![expected.clone()],
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: operator_destination.map(str::to_owned),
            waiting: vec!["d".to_owned()],
            gone: gone
                .iter()
                .map(|(name, alerts)| ((*name).to_owned(), *alerts))
                .collect(),
        };
        let mut heartbeats = Heartbeats::new(vec![expected], Vec::new(), Instant::now());
        let mut watched = Destinations::new(["d".to_owned()], Instant::now());
        let watched = operator_destination.map(|_| &mut watched);
        let (first, _) = inherit(told, &plan, &mut heartbeats, watched);
        let words = first.into_iter().map(|work| match work {
            Work::Tell(destination, event) => {
                format!("{} {} at {destination}", event.status.as_str(), event.key())
            }
            Work::Forget(told) => format!("forget {} at {}", told.key, told.destination),
        });
        words.collect()
    }

    #[test]
    fn inherited_conditions_still_watched_go_on() {
        let all = [
            "destination-held/d",
            "destination-failing/d",
            "dead-letters/d",
            "plugin-failed/x",
        ];
        let mut all: Vec<_> = all.map(|key| told(key, "ops")).into();
        all.push(told("missed-heartbeat/s", "d"));
        assert_eq!(first(Some("ops"), &[], all), [""; 0]);
    }

    #[test]
    fn condition_of_a_destination_without_a_backlog_resolves() {
        let told = ["destination-held/ops", "destination-failing/ops"].map(|key| told(key, "d"));
        let ended = [
            "resolve destination-held/ops at d",
            "resolve destination-failing/ops at d",
        ];
        assert_eq!(first(Some("d"), &[], told.into()), ended);
    }

    #[test]
    fn condition_reported_elsewhere_now_resolves_or_is_forgotten() {
        let all = [
            "destination-held/d",
            "destination-failing/d",
            "dead-letters/d",
            "missed-heartbeat/s",
            "plugin-failed/s",
        ];
        let ended = [
            "resolve destination-held/d at d",
            "resolve destination-failing/d at d",
            "resolve dead-letters/d at d",
            "resolve missed-heartbeat/s at ops",
        ];
        let mut there: Vec<_> = all.map(|key| told(key, "d")).into();
        there[3].destination = "ops".to_owned();
        assert_eq!(
            first(Some("ops"), &[], there),
            ended,
            "the plugin's end goes where it was told"
        );
        let forgotten = all.map(|key| format!("forget {key} at ops1"));
        assert_eq!(
            first(Some("ops"), &[], all.map(|key| told(key, "ops1")).into()),
            forgotten
        );
        let gone = vec![told("destination-gone/old", "ops1")];
        let anew = [
            "forget destination-gone/old at ops1",
            "trigger destination-gone/old at ops",
        ];
        assert_eq!(first(Some("ops"), &[("old", 3)], gone), anew);
    }

    #[test]
    fn moved_condition_is_not_yet_reported_at_its_new_place() {
        let now = Instant::now();
        let expected = Expected {
            source: "s".into(),
            destination: "d".into(),
            every: Some(Duration::from_secs(60)),
        };
        let plan = Plan {
            sources: vec![expected.clone()],
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: Some("ops".to_owned()),
            waiting: Vec::new(),
            gone: Vec::new(),
        };
        for (place, tells) in [("elsewhere", true), ("d", false)] {
            let mut heartbeats = Heartbeats::new(vec![expected.clone()], Vec::new(), now);
            let mut watched = Destinations::new(["d".to_owned()], now);
            let known = vec![
                told("missed-heartbeat/s", place),
                told("dead-letters/d", if tells { place } else { "ops" }),
            ];
            let (_, dead_letters) = inherit(known, &plan, &mut heartbeats, Some(&mut watched));
            assert_eq!(
                heartbeats.due(now + Duration::from_secs(60)).is_some(),
                tells,
                "{place}"
            );
            assert_eq!(dead_letters.is_empty(), tells, "{place}");
        }
    }

    #[test]
    fn condition_of_a_former_topic_resolves_where_it_fired() {
        let known = vec![told("silent/s", "d"), told("set-aside/d", "nowhere")];
        assert_eq!(
            first(None, &[], known),
            ["resolve silent/s at d", "forget set-aside/d at nowhere"]
        );
    }

    #[test]
    fn unwatched_condition_resolves_where_it_fired() {
        let all = vec![
            told("missed-heartbeat/old", "d"),
            told("destination-held/d", "ops"),
            told("dead-letters/d", "nowhere"),
        ];
        let ended = [
            "resolve missed-heartbeat/old at d",
            "resolve destination-held/d at ops",
            "forget dead-letters/d at nowhere",
        ];
        assert_eq!(first(None, &[], all), ended);
        let back = vec![
            told("destination-gone/d", "ops"),
            told("destination-held/old", "ops"),
        ];
        let ended = [
            "resolve destination-gone/d at ops",
            "resolve destination-held/old at ops",
        ];
        assert_eq!(first(Some("ops"), &[], back), ended);
    }

    #[test]
    fn backlog_of_a_removed_destination_fires_at_the_operators() {
        assert_eq!(
            first(Some("ops"), &[("old", 3)], Vec::new()),
            ["trigger destination-gone/old at ops"]
        );
        let known = vec![told("destination-gone/old", "ops")];
        assert_eq!(
            first(Some("ops"), &[("old", 3)], known),
            ["trigger destination-gone/old at ops"],
            "the store drops it"
        );
        assert_eq!(first(None, &[("old", 3)], Vec::new()), [""; 0]);
    }
}
