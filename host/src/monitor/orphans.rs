//! Orphans: open alerts that nothing watches any more, and how they end.

use plugin_sdk::contract;

use super::destinations::Destinations;
use super::heartbeat::Heartbeats;
use super::open::Open;
use crate::alert::internal::{self, Topic};
use crate::store::Told;

/// An alert that nothing watches where it stands.
#[derive(Debug)]
pub struct Orphan {
    /// The alert.
    pub told: Told,
    /// The one that resolves it; none where its destination is not configured, and may never come
    /// back.
    pub end: Option<contract::Alert>,
}

/// All that the monitor watches.
#[derive(Debug)]
pub struct Watchers<'a> {
    /// The sources.
    pub heartbeats: &'a Heartbeats,
    /// The destinations whose conditions fire at the operator's.
    pub destinations: &'a Destinations,
    /// The names of all destinations.
    pub configured: &'a [String],
}

impl Watchers<'_> {
    /// Returns an open alert that nothing watches where it stands: after a start or a reload with
    /// another configuration than the one it fired under.
    pub fn orphan(&self, open: &Open) -> Option<Orphan> {
        open.all().find_map(|(key, place)| self.judge(key, place))
    }

    fn judge(&self, key: &str, place: &str) -> Option<Orphan> {
        let end = match Topic::of(key) {
            _ if self.configured.iter().all(|name| name != place) => None,
            None => Some(internal::obsolete(key)),
            Some((topic, name)) => match self.place(topic, name) {
                Ok(None) => return None,
                Ok(Some(at)) if at == place => return None,
                Ok(Some(_)) => Some(internal::moved(topic.resolves(name))),
                Err(title) => Some(contract::Alert {
                    title,
                    message: None,
                    ..topic.resolves(name)
                }),
            },
        };
        let told = Told {
            key: key.to_owned(),
            destination: place.to_owned(),
        };
        Some(Orphan { told, end })
    }

    /// Returns the destination at which a topic about `name` fires; none where another part of the
    /// gateway resolves it, wherever it stands.
    ///
    /// # Errors
    /// Nothing watches it, for this reason.
    fn place(&self, topic: Topic, name: &str) -> Result<Option<&str>, String> {
        let (place, why) = match topic {
            Topic::MissedHeartbeat => (
                self.heartbeats.fires_at(name),
                format!("Nothing is expected of source {name} any more"),
            ),
            Topic::DestinationHeld | Topic::DestinationFailing | Topic::DeadLetters => {
                let is_there = self.configured.iter().any(|one| one == name);
                let what = if is_there { "watched" } else { "configured" };
                let why = format!("Destination {name} is not {what} any more");
                (self.destinations.fires_at(name), why)
            }
            Topic::DestinationGone => {
                let why = topic.resolves(name).title;
                (self.destinations.fires_gone_at(name), why)
            }
            // Intake watches these for as long as there is such a source.
            Topic::Rejected | Topic::QuotaUsedUp if !self.heartbeats.contains(name) => {
                return Err(format!("Source {name} is not configured any more"));
            }
            // Intake, retention, and the store in step with the events that they are about.
            Topic::Rejected
            | Topic::QuotaUsedUp
            | Topic::PluginFailed
            | Topic::Storm
            | Topic::StoreFailing
            | Topic::IdentitiesFull => return Ok(None),
        };
        place.map(Some).ok_or(why)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_sdk::contract::Status;
    use tokio::time::Instant;

    use super::super::heartbeat::Expected;
    use super::*;

    /// Returns how these open alerts end, given as key and destination, where a request of `s` is
    /// expected, none of `quiet` is, the destinations are `d` and `ops`, and `old` is gone.
    fn ends(operators: Option<&str>, told: &[(&str, &str)]) -> Vec<String> {
        let now = Instant::now();
        let expected = |source: &str, every| Expected {
            source: source.into(),
            destination: "d".into(),
            every,
        };
        let every = Some(Duration::from_secs(60));
        let sources = vec![expected("s", every), expected("quiet", None)];
        let configured = ["d", "ops"].map(str::to_owned);
        let gone = ["old".to_owned()];
        let watchers = Watchers {
            heartbeats: &Heartbeats::new(sources, Vec::new(), now),
            destinations: &Destinations::new(operators, &configured, &gone, now),
            configured: &configured,
        };
        let told = told.iter().map(|(key, destination)| Told {
            key: (*key).to_owned(),
            destination: (*destination).to_owned(),
        });
        let mut open = Open::new(told.collect());
        let ends = std::iter::from_fn(|| {
            let Orphan { told, end } = watchers.orphan(&open)?;
            open.forget(&told.key);
            let Some(end) = end else {
                return Some(format!("{} is forgotten", told.key));
            };
            assert_eq!((end.key(), end.status), (&*told.key, Status::Resolve));
            Some(format!(
                "{} at {}: {}",
                told.key, told.destination, end.title
            ))
        });
        ends.collect()
    }

    const MOVED: &str = "This is told at another destination of the alert gateway now";

    #[test]
    fn watched_alert_stays_open() {
        let told = [
            ("destination-held/d", "ops"),
            ("destination-failing/d", "ops"),
            ("destination-gone/old", "ops"),
            ("dead-letters/d", "ops"),
            ("missed-heartbeat/s", "d"),
            ("plugin-failed/x", "d"),
            ("storm/x", "d"),
            ("rejected/quiet", "d"),
            ("quota-used-up/quiet", "d"),
            ("identities-full", "ops"),
        ];
        assert_eq!(ends(Some("ops"), &told), [""; 0]);
    }

    #[test]
    fn alert_that_fires_elsewhere_now_resolves_where_it_stands() {
        let told = [
            ("destination-held/d", "d"),
            ("destination-gone/old", "d"),
            ("dead-letters/d", "d"),
            ("missed-heartbeat/s", "ops"),
        ];
        let mut expected = told.map(|(key, place)| format!("{key} at {place}: {MOVED}"));
        expected.sort();
        assert_eq!(ends(Some("ops"), &told), expected);
    }

    #[test]
    fn alert_at_a_destination_that_is_gone_is_forgotten() {
        let told = [
            "destination-held/d",
            "missed-heartbeat/s",
            "plugin-failed/s",
        ];
        assert_eq!(
            ends(Some("ops"), &told.map(|key| (key, "ops1"))),
            told.map(|key| format!("{key} is forgotten"))
        );
    }

    #[test]
    fn alert_that_nothing_watches_resolves_and_says_why() {
        for (operators, key, why) in [
            (
                Some("ops"),
                "destination-held/ops",
                "Destination ops is not watched any more",
            ),
            (
                Some("ops"),
                "destination-failing/x",
                "Destination x is not configured any more",
            ),
            (
                Some("ops"),
                "destination-gone/d",
                "No alert waits for the missing destination d any more",
            ),
            (
                None,
                "dead-letters/d",
                "Destination d is not watched any more",
            ),
            (
                None,
                "missed-heartbeat/quiet",
                "Nothing is expected of source quiet any more",
            ),
            (None, "rejected/x", "Source x is not configured any more"),
            (
                None,
                "silent/s",
                "This version of the alert gateway reports this under another name",
            ),
        ] {
            assert_eq!(
                ends(operators, &[(key, "d")]),
                [format!("{key} at d: {why}")]
            );
        }
    }
}
