//! What earlier runs told, and this one goes on with or ends.

use std::collections::{BTreeMap, VecDeque};

use super::destinations::Destinations;
use super::silence::Silence;
use super::{Plan, Work};
use crate::alert::own::{self, Topic};
use crate::clock::wall_ms;
use crate::store::{Notice, Told};

/// The topics whose beginning and end are found out here; how a plugin fares is found by who reads its requests.
const FOUND_HERE: [Topic; 5] =
    [Topic::Silent, Topic::DestinationHeld, Topic::DestinationFailing, Topic::DestinationGone, Topic::SetAside];

/// What is to be done before anything else, and the destinations of which it was told that they set alerts aside. Who goes
/// on with what was told learns of it. What was told where it would not be told now is ended there, and told anew.
pub fn inherit(
    told: Vec<Told>,
    plan: &Plan,
    silence: &mut Silence,
    mut watched: Option<&mut Destinations>,
) -> (VecDeque<Work>, BTreeMap<String, i64>) {
    let (mut first, mut set_aside) = (VecDeque::new(), BTreeMap::new());
    for told in told {
        let is_gone = |name: &str| plan.gone.iter().any(|(gone, _)| gone == name);
        let is_there = plan.destinations.contains(&told.destination);
        let Some((topic, name)) = FOUND_HERE.iter().find_map(|topic| Some((*topic, topic.name_in(&told.key)?))) else {
            // Its end would wait for a destination that may never come back.
            if !is_there {
                first.push_back(Work::Forget(told));
            }
            continue;
        };
        let present = plan.present(topic, name);
        let moved = present.is_some_and(|present| present != told.destination);
        let goes_on = match (topic, &mut watched) {
            _ if moved => false,
            (Topic::Silent, _) => silence.was_told(name),
            (_, None) => false,
            (Topic::DestinationGone, Some(_)) => is_gone(name),
            (Topic::SetAside, Some(watched)) => watched.contains(name),
            // Where nothing waits, all was taken, and nothing more may come to show it.
            (_, Some(watched)) => plan.waits_for(name) && watched.was_told(topic, name),
        };
        if goes_on && topic == Topic::SetAside {
            set_aside.insert(name.to_owned(), 0);
        }
        if !goes_on {
            // Nobody looks at it any more there. That is told where it was told, if that place is still there.
            first.push_back(if is_there {
                let event = if moved { own::moved(topic.ends(name)) } else { topic.ends(name) };
                Work::Tell(Notice { destination: told.destination, event, at_ms: wall_ms() })
            } else {
                Work::Forget(told)
            });
        }
    }
    if let Some(ops) = &plan.operator_destination {
        first.extend(plan.gone.iter().map(|(name, alerts)| {
            let event = own::destination_gone(name, *alerts);
            Work::Tell(Notice { destination: ops.clone(), event, at_ms: wall_ms() })
        }));
    }
    (first, set_aside)
}

impl Plan {
    fn waits_for(&self, destination: &str) -> bool {
        self.waiting.iter().any(|name| name == destination)
    }

    /// The destination where a topic of those found here is told about `name` now, if it is told anywhere.
    fn present(&self, topic: Topic, name: &str) -> Option<&str> {
        match topic {
            Topic::Silent => self.sources.iter().find(|one| &*one.source == name).map(|one| &*one.destination),
            _ => self.operator_destination.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::silence::Expected;
    use super::*;

    fn told(key: &str, destination: &str) -> Told {
        Told { key: key.to_owned(), destination: destination.to_owned() }
    }

    /// What is done first, in words, where `s` is expected and the destinations are `d` and `ops`.
    fn first(operator_destination: Option<&str>, gone: &[(&str, i64)], told: Vec<Told>) -> Vec<String> {
        let every = Some(Duration::from_secs(60));
        let expected = Expected { source: "s".into(), destination: "d".into(), every };
        let plan = Plan {
            sources: vec![expected.clone()],
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: operator_destination.map(str::to_owned),
            waiting: vec!["d".to_owned()],
            gone: gone.iter().map(|(name, alerts)| ((*name).to_owned(), *alerts)).collect(),
        };
        let mut silence = Silence::new(vec![expected], Vec::new(), Instant::now());
        let mut watched = Destinations::new(["d".to_owned()], Instant::now());
        let watched = operator_destination.map(|_| &mut watched);
        let (first, _) = inherit(told, &plan, &mut silence, watched);
        let words = first.into_iter().map(|work| match work {
            Work::Tell(Notice { destination, event, .. }) => {
                format!("{} {} at {destination}", event.status.as_str(), event.key())
            }
            Work::Forget(told) => format!("forget {} at {}", told.key, told.destination),
        });
        words.collect()
    }

    #[test]
    fn what_is_still_looked_at_goes_on() {
        let all = ["destination-held/d", "destination-failing/d", "set-aside/d", "plugin-failed/x"];
        let mut all: Vec<_> = all.map(|key| told(key, "ops")).into();
        all.push(told("silent/s", "d"));
        assert_eq!(first(Some("ops"), &[], all), [""; 0]);
    }

    #[test]
    fn what_was_told_of_a_destination_that_nothing_waits_for_is_over() {
        let told = ["destination-held/ops", "destination-failing/ops"].map(|key| told(key, "d"));
        let ended = ["resolve destination-held/ops at d", "resolve destination-failing/ops at d"];
        assert_eq!(first(Some("d"), &[], told.into()), ended);
    }

    #[test]
    fn what_would_be_told_elsewhere_now_is_ended_where_it_was_told_or_forgotten() {
        let all = ["destination-held/d", "destination-failing/d", "set-aside/d", "silent/s", "plugin-failed/s"];
        let ended = [
            "resolve destination-held/d at d",
            "resolve destination-failing/d at d",
            "resolve set-aside/d at d",
            "resolve silent/s at ops",
        ];
        let mut there: Vec<_> = all.map(|key| told(key, "d")).into();
        there[3].destination = "ops".to_owned();
        assert_eq!(first(Some("ops"), &[], there), ended, "the plugin's end goes where it was told");
        let forgotten = all.map(|key| format!("forget {key} at ops1"));
        assert_eq!(first(Some("ops"), &[], all.map(|key| told(key, "ops1")).into()), forgotten);
        let gone = vec![told("destination-gone/old", "ops1")];
        let anew = ["forget destination-gone/old at ops1", "trigger destination-gone/old at ops"];
        assert_eq!(first(Some("ops"), &[("old", 3)], gone), anew);
    }

    #[test]
    fn what_moves_is_not_taken_as_told_where_it_goes() {
        let now = Instant::now();
        let expected = Expected { source: "s".into(), destination: "d".into(), every: Some(Duration::from_secs(60)) };
        let plan = Plan {
            sources: vec![expected.clone()],
            destinations: vec!["d".to_owned(), "ops".to_owned()],
            operator_destination: Some("ops".to_owned()),
            waiting: Vec::new(),
            gone: Vec::new(),
        };
        for (place, tells) in [("elsewhere", true), ("d", false)] {
            let mut silence = Silence::new(vec![expected.clone()], Vec::new(), now);
            let mut watched = Destinations::new(["d".to_owned()], now);
            let known = vec![told("silent/s", place), told("set-aside/d", if tells { place } else { "ops" })];
            let (_, set_aside) = inherit(known, &plan, &mut silence, Some(&mut watched));
            assert_eq!(silence.due(now + Duration::from_secs(60)).is_some(), tells, "{place}");
            assert_eq!(set_aside.is_empty(), tells, "{place}");
        }
    }

    #[test]
    fn what_nobody_looks_at_any_more_is_ended_where_it_was_told() {
        let all = vec![told("silent/old", "d"), told("destination-held/d", "ops"), told("set-aside/d", "nowhere")];
        let ended = ["resolve silent/old at d", "resolve destination-held/d at ops", "forget set-aside/d at nowhere"];
        assert_eq!(first(None, &[], all), ended);
        let back = vec![told("destination-gone/d", "ops"), told("destination-held/old", "ops")];
        let ended = ["resolve destination-gone/d at ops", "resolve destination-held/old at ops"];
        assert_eq!(first(Some("ops"), &[], back), ended);
    }

    #[test]
    fn alerts_that_wait_for_nothing_are_told_where_there_is_somebody_to_tell() {
        assert_eq!(first(Some("ops"), &[("old", 3)], Vec::new()), ["trigger destination-gone/old at ops"]);
        let known = vec![told("destination-gone/old", "ops")];
        assert_eq!(
            first(Some("ops"), &[("old", 3)], known),
            ["trigger destination-gone/old at ops"],
            "the store drops it"
        );
        assert_eq!(first(None, &[("old", 3)], Vec::new()), [""; 0]);
    }
}
