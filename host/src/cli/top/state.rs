//! The state of a gateway, made of lists of its API.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use crate::clock::wall_ms;
use crate::store::Line;

/// All that is shown.
#[derive(Debug)]
pub struct State {
    /// The gateway.
    pub node: Node,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its destinations.
    pub destinations: Vec<Destination>,
    /// The newest events, newest first.
    pub events: Vec<Line>,
    /// The time of the look, on the wall.
    pub at: Timestamp,
    taken_at: Instant,
    /// Requests a second of each source since the look before.
    rates: HashMap<String, f64>,
}

/// The gateway.
#[derive(Debug, Deserialize)]
pub struct Node {
    /// The name of the machine.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The seconds since its start.
    pub uptime_s: u64,
    /// True while requests are accepted.
    pub ready: bool,
    /// The reason why they are not, or what an operator should look at.
    pub note: Option<String>,
    /// The deliveries that wait.
    pub pending: i64,
    /// The dead letters.
    pub dead: i64,
    /// The failed requests.
    pub failed: i64,
    /// The bytes of the store in use.
    pub store_bytes: u64,
}

/// A source.
#[derive(Debug, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The time when it was heard last.
    pub last_heard: Option<String>,
    /// True if nothing came for longer than it is expected.
    pub missed_heartbeat: bool,
    /// Its failed requests.
    pub failed: i64,
    /// The last hour.
    pub last_hour: Counts,
    /// The last day.
    last_day: Counts,
}

/// Requests by how they ended.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Counts {
    /// Accepted.
    pub accepted: u64,
    /// Ignored.
    pub ignored: u64,
    /// Rejected.
    pub rejected: u64,
    /// Failed.
    pub failed: u64,
}

/// A destination.
#[derive(Debug, Deserialize)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// `healthy`, `failing` or `held`; none before it has started.
    pub state: Option<String>,
    /// The reason of the last failed attempt.
    pub why: Option<String>,
    /// The alerts that wait for it.
    pub pending: i64,
    /// True if more may wait than were counted.
    pub pending_is_at_least: bool,
    /// The time when the oldest of them was received.
    pub oldest_pending: Option<String>,
    /// Its dead letters.
    pub dead: i64,
    /// The alerts that it accepted in the last hour.
    pub delivered_last_hour: u64,
}

/// The lists of the API that a state is made of.
#[derive(Debug, Deserialize)]
pub struct Lists {
    /// The gateway that is asked, then the others.
    pub nodes: Vec<Node>,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its destinations.
    pub destinations: Vec<Destination>,
    /// The newest events, newest first.
    pub events: Vec<Line>,
}

impl State {
    /// Makes a state of what was told now; none where it names no gateway.
    pub fn of(lists: Lists) -> Option<Self> {
        let mut sources = lists.sources;
        // What is wrong comes first, then what sends most.
        sources.sort_by_key(|one| {
            let wrong = one.missed_heartbeat || one.failed > 0;
            (!wrong, std::cmp::Reverse(one.last_hour.all()))
        });
        Some(Self {
            node: lists.nodes.into_iter().next()?,
            sources,
            destinations: lists.destinations,
            events: lists.events,
            at: Timestamp::from_millisecond(wall_ms()).unwrap_or_default(),
            taken_at: Instant::now(),
            rates: HashMap::new(),
        })
    }

    /// Computes rates from the counts of the look before.
    pub fn compare(&mut self, before: &Self) {
        let seconds = (self.taken_at - before.taken_at).as_secs_f64();
        let was: HashMap<_, _> = before
            .sources
            .iter()
            .map(|one| (&one.name, one.last_day.all()))
            .collect();
        self.rates = self
            .sources
            .iter()
            .filter_map(|one| {
                // A day ago's requests leave the count.
                let more = one.last_day.all().saturating_sub(*was.get(&one.name)?);
                Some((one.name.clone(), more as f64 / seconds))
            })
            .collect();
    }

    /// Returns the requests a second of a source, where it was looked at before.
    pub fn rate(&self, source: &str) -> Option<f64> {
        self.rates.get(source).copied()
    }
}

impl Counts {
    /// Returns the number of all requests.
    pub fn all(&self) -> u64 {
        self.accepted + self.ignored + self.rejected + self.failed
    }
}
