//! Heartbeats: sources with `expect_every`, and the times of their last requests.
//!
//! A silence is the time since the last authentic request of a source, by the steady clock, without
//! the time in which the gateway did not run. It is stored once in [`WRITE`], at a shutdown, before
//! each alert, and at once if the stored value is more than [`WRITE`] too long, after the first
//! request in a long time. So a crash costs about a minute: an alert fires that much later, or that
//! much earlier after a request. No alert is lost or repeated, because it is stored together with
//! its condition, after the silence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::contract;
use tokio::time::Instant;

use super::open::Open;
use crate::alert::internal::{self, Topic};
use crate::config::shown_duration;
use crate::health::Heard;
use crate::store::Seen;

/// The interval at which silences are stored.
pub const WRITE: Duration = Duration::from_secs(60);

/// The heartbeat configuration of a source.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its name.
    pub source: Arc<str>,
    /// The destination of its alerts.
    pub destination: Arc<str>,
    /// The longest allowed silence.
    pub every: Option<Duration>,
}

/// All sources.
#[derive(Debug)]
pub struct Heartbeats {
    sources: Vec<Listened>,
    /// The stored heartbeats of other sources, which may be configured again.
    others: HashMap<String, Seen>,
}

/// The parts of a configuration that was taken up which the monitor watches.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// Every one.
    pub sources: Vec<Expected>,
    /// The names of all destinations.
    pub destinations: Vec<String>,
    /// The time from which they are watched.
    pub since: Instant,
}

#[derive(Debug)]
struct Listened {
    expected: Expected,
    /// The key of its missed heartbeat.
    key: String,
    last_seen: Option<i64>,
    /// The silence before this run began to watch; zero after the first request.
    before: Duration,
    /// The beginning of the silence within this run.
    since: Instant,
    /// The stored silence.
    written: Duration,
    /// Set by a request after the last write, also without `expect_every`.
    news: bool,
    /// The time until when a mute holds its missed heartbeat, at least.
    held_until: Option<Instant>,
}

impl Heartbeats {
    /// Watches these sources, with their stored heartbeats.
    pub fn new(sources: Vec<Expected>, seen: Vec<Seen>, now: Instant) -> Self {
        let others = seen
            .into_iter()
            .map(|seen| (seen.source.clone(), seen))
            .collect();
        let mut heartbeats = Self {
            sources: Vec::new(),
            others,
        };
        heartbeats.take(sources, now);
        heartbeats
    }

    /// Replaces the sources. A source that stays keeps its heartbeat; a new one begins as at a
    /// start. Returns the heartbeats of the removed ones, to be stored.
    pub fn take(&mut self, sources: Vec<Expected>, since: Instant) -> Vec<Seen> {
        let mut before: HashMap<_, _> = self
            .sources
            .drain(..)
            .map(|one| (Arc::clone(&one.expected.source), one))
            .collect();
        for expected in sources {
            let listened = match before.remove(&expected.source) {
                Some(same) => Listened { expected, ..same },
                None => {
                    let seen = self.others.remove(&*expected.source);
                    let (last_seen, before) = seen.map_or((None, Duration::ZERO), |seen| {
                        (seen.last_seen, seen.silence)
                    });
                    Listened {
                        key: Topic::MissedHeartbeat.key(&expected.source),
                        expected,
                        last_seen,
                        before,
                        since,
                        written: before,
                        news: false,
                        held_until: None,
                    }
                }
            };
            self.sources.push(listened);
        }
        let gone = before.into_values().map(|one| {
            let seen = one.seen(since);
            self.others.insert(seen.source.clone(), seen.clone());
            seen
        });
        gone.collect()
    }

    /// Returns whether this is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// Returns the destination at which a missed heartbeat of a source fires, if one is expected.
    pub fn fires_at(&self, name: &str) -> Option<&str> {
        let expected = &self.named(name)?.expected;
        expected.every.map(|_| &*expected.destination)
    }

    fn named(&self, name: &str) -> Option<&Listened> {
        self.sources
            .iter()
            .find(|one| &*one.expected.source == name)
    }

    /// Learns the latest requests.
    pub fn hear(&mut self, heard: &HashMap<Arc<str>, Heard>) {
        for source in &mut self.sources {
            if let Some(heard) = heard.get(&source.expected.source)
                && heard.at > source.since
            {
                (source.since, source.before) = (heard.at, Duration::ZERO);
                (source.last_seen, source.news) = (Some(heard.at_ms), true);
            }
        }
    }

    /// Returns the wall time of each source's last request.
    pub fn last_seen(&self) -> impl Iterator<Item = (&Arc<str>, i64)> {
        self.sources
            .iter()
            .filter_map(|source| Some((&source.expected.source, source.last_seen?)))
    }

    /// Returns each source with `expect_every`, and whether its heartbeat is missed.
    pub fn states(&self, now: Instant) -> impl Iterator<Item = (&Arc<str>, bool)> {
        let sources = self
            .sources
            .iter()
            .filter(|source| source.expected.every.is_some());
        sources.map(move |source| (&source.expected.source, source.is_missed(now)))
    }

    /// Returns each source without `expect_every`.
    pub fn unexpected(&self) -> impl Iterator<Item = &Arc<str>> {
        let all = self.sources.iter().map(|source| &source.expected);
        all.filter(|one| one.every.is_none()).map(|one| &one.source)
    }

    /// Returns the sources whose next request must be noticed at once, to resolve an alert or to
    /// store it.
    pub fn awaited(&self, open: &Open) -> impl Iterator<Item = &Arc<str>> {
        let sources = self
            .sources
            .iter()
            .filter(|source| source.is_told(open) || source.is_long_unheard_on_disk());
        sources.map(|source| &source.expected.source)
    }

    /// Returns whether a request must be stored at once, for a crash.
    pub fn is_outdated(&self) -> bool {
        self.sources
            .iter()
            .any(|source| source.news && source.is_long_unheard_on_disk())
    }

    /// Returns the time of the next missed heartbeat, without any request until then.
    pub fn next(&self, open: &Open) -> Option<Instant> {
        self.sources
            .iter()
            .filter(|source| !source.is_told(open))
            .filter_map(|source| {
                let missed = source.missed_at()?;
                Some(source.held_until.map_or(missed, |held| held.max(missed)))
            })
            .min()
    }

    /// Returns an alert that is due now, with its destination.
    pub fn due(&self, now: Instant, open: &Open) -> Option<(contract::Alert, Arc<str>)> {
        self.sources.iter().find_map(|source| {
            let name = &source.expected.source;
            let every = source.expected.every?;
            let event = match (source.is_missed(now), source.is_told(open)) {
                (true, false) if source.held_until.is_some_and(|until| now < until) => return None,
                (true, false) => {
                    let last_seen = source.last_seen.map(crate::clock::rfc3339);
                    let every = shown_duration(every);
                    internal::missed_heartbeat(name, &every, last_seen.as_deref())
                }
                (false, true) => Topic::MissedHeartbeat.resolves(name),
                _ => return None,
            };
            Some((event, Arc::clone(&source.expected.destination)))
        })
    }

    /// Holds the missed heartbeat of a source, at least until then.
    pub fn hold(&mut self, name: &str, until: Instant) {
        let mut sources = self.sources.iter_mut();
        if let Some(source) = sources.find(|one| &*one.expected.source == name) {
            source.held_until = Some(until);
        }
    }

    /// Returns the heartbeats to store: of `all` sources, or of those with news.
    pub fn to_write(&self, now: Instant, all: bool) -> Vec<Seen> {
        let sources = self
            .sources
            .iter()
            .filter(|source| all || source.news || source.expected.every.is_some());
        sources.map(|source| source.seen(now)).collect()
    }

    /// Notes that the result of [`Heartbeats::to_write`] at `now` is stored.
    pub fn written(&mut self, now: Instant) {
        for source in &mut self.sources {
            (source.news, source.written) = (false, source.silence(now));
        }
    }
}

impl Listened {
    fn missed_at(&self) -> Option<Instant> {
        Some(self.since + self.expected.every?.saturating_sub(self.before))
    }

    fn is_missed(&self, now: Instant) -> bool {
        self.missed_at().is_some_and(|at| at <= now)
    }

    /// Returns whether the missed heartbeat has fired and not resolved.
    fn is_told(&self, open: &Open) -> bool {
        open.place(&self.key).is_some()
    }

    fn is_long_unheard_on_disk(&self) -> bool {
        self.expected.every.is_some() && self.written > WRITE
    }

    fn silence(&self, now: Instant) -> Duration {
        self.before + now.saturating_duration_since(self.since)
    }

    fn seen(&self, now: Instant) -> Seen {
        let silence = self.silence(now);
        Seen {
            source: self.expected.source.to_string(),
            last_seen: self.last_seen,
            silence,
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::contract::Status;

    use super::*;
    use crate::store::Told;

    const HOUR: Duration = Duration::from_secs(3600);

    fn expected(every: Option<Duration>) -> Vec<Expected> {
        vec![Expected {
            source: "s".into(),
            destination: "d".into(),
            every,
        }]
    }

    fn heard(at: Instant, at_ms: i64) -> HashMap<Arc<str>, Heard> {
        HashMap::from([("s".into(), Heard { at_ms, at })])
    }

    fn told(heartbeats: &Heartbeats, open: &mut Open, now: Instant) -> Option<Status> {
        let (event, destination) = heartbeats.due(now, open)?;
        assert_eq!((event.key(), &*destination), ("missed-heartbeat/s", "d"));
        open.note(event.key().to_owned(), event.status, &destination);
        Some(event.status)
    }

    /// The missed heartbeat of the source is open.
    fn open() -> Open {
        let told = Told {
            key: "missed-heartbeat/s".to_owned(),
            destination: "d".to_owned(),
        };
        Open::new(vec![told])
    }

    #[test]
    fn missed_heartbeat_fires_once_and_ends_with_a_request() {
        let start = Instant::now();
        let mut open = Open::default();
        let mut heartbeats = Heartbeats::new(expected(Some(24 * HOUR)), Vec::new(), start);
        assert_eq!(heartbeats.next(&open), Some(start + 24 * HOUR));
        heartbeats.hear(&heard(start + HOUR, 7));
        assert_eq!(
            (
                heartbeats.next(&open),
                told(&heartbeats, &mut open, start + 24 * HOUR)
            ),
            (Some(start + 25 * HOUR), None)
        );
        assert_eq!(
            told(&heartbeats, &mut open, start + 25 * HOUR),
            Some(Status::Trigger)
        );
        assert_eq!(
            (
                heartbeats.next(&open),
                told(&heartbeats, &mut open, start + 99 * HOUR)
            ),
            (None, None)
        );
        heartbeats.hear(&heard(start + 100 * HOUR, 8));
        assert_eq!(
            told(&heartbeats, &mut open, start + 100 * HOUR),
            Some(Status::Resolve)
        );
        assert_eq!(heartbeats.next(&open), Some(start + 124 * HOUR));
    }

    #[test]
    fn heartbeat_before_a_restart_counts_and_downtime_does_not() {
        let start = Instant::now();
        let mut open = Open::default();
        let mut heartbeats = Heartbeats::new(expected(Some(24 * HOUR)), Vec::new(), start);
        heartbeats.hear(&heard(start + HOUR, 7));
        let written = heartbeats.to_write(start + 21 * HOUR, false);
        assert_eq!(
            written,
            [Seen {
                source: "s".into(),
                last_seen: Some(7),
                silence: 20 * HOUR
            }]
        );
        let later = start + 1000 * HOUR;
        let heartbeats = Heartbeats::new(expected(Some(24 * HOUR)), written, later);
        assert_eq!(heartbeats.next(&open), Some(later + 4 * HOUR));
        assert_eq!(
            told(&heartbeats, &mut open, later + 4 * HOUR),
            Some(Status::Trigger)
        );
    }

    #[test]
    fn inherited_missed_heartbeat_is_not_repeated_and_can_end() {
        let start = Instant::now();
        let seen = vec![Seen {
            source: "s".into(),
            last_seen: None,
            silence: 30 * HOUR,
        }];
        for (every, said, at) in [
            (Some(24 * HOUR), None, Some("d")),
            (Some(48 * HOUR), Some(Status::Resolve), Some("d")),
            (None, None, None),
        ] {
            let heartbeats = Heartbeats::new(expected(every), seen.clone(), start);
            assert_eq!(told(&heartbeats, &mut open(), start), said);
            assert_eq!(heartbeats.fires_at("s"), at);
            assert!(heartbeats.contains("s") && !heartbeats.contains("other"));
        }
    }

    #[test]
    fn reload_keeps_what_is_known_of_sources() {
        let start = Instant::now();
        let mut open = Open::default();
        let mut heartbeats = Heartbeats::new(expected(Some(24 * HOUR)), Vec::new(), start);
        heartbeats.hear(&heard(start + HOUR, 7));
        assert!(
            heartbeats
                .take(expected(Some(2 * HOUR)), start + 2 * HOUR)
                .is_empty()
        );
        assert_eq!(
            heartbeats.next(&open),
            Some(start + 3 * HOUR),
            "it is listened to since it was heard, and for the new time"
        );
        assert_eq!(
            told(&heartbeats, &mut open, start + 4 * HOUR),
            Some(Status::Trigger)
        );

        let gone = heartbeats.take(Vec::new(), start + 5 * HOUR);
        let remembered = Seen {
            source: "s".into(),
            last_seen: Some(7),
            silence: 4 * HOUR,
        };
        assert_eq!(gone, [remembered]);
        // Its alert ends with it.
        open = Open::default();
        assert_eq!(
            (heartbeats.next(&open), heartbeats.states(start).next()),
            (None, None)
        );

        // What came under its name while it was still another's does not count.
        assert!(
            heartbeats
                .take(expected(Some(6 * HOUR)), start + 100 * HOUR)
                .is_empty()
        );
        heartbeats.hear(&heard(start + 99 * HOUR, 8));
        assert_eq!(heartbeats.next(&open), Some(start + 102 * HOUR));
        assert_eq!(
            heartbeats.last_seen().map(|(_, at)| at).collect::<Vec<_>>(),
            [7]
        );
    }

    #[test]
    fn unexpected_source_is_written_down_only_when_heard() {
        let start = Instant::now();
        let open = Open::default();
        let mut heartbeats = Heartbeats::new(expected(None), Vec::new(), start);
        assert_eq!(
            (heartbeats.to_write(start, false), heartbeats.next(&open)),
            (vec![], None)
        );
        heartbeats.hear(&heard(start + HOUR, 7));
        assert_eq!(
            heartbeats.to_write(start + 2 * HOUR, false)[0].last_seen,
            Some(7)
        );
        heartbeats.written(start + 2 * HOUR);
        assert!(heartbeats.to_write(start + 3 * HOUR, false).is_empty());
    }
    #[test]
    fn request_after_a_long_silence_is_written_down_at_once() {
        let start = Instant::now();
        let open = Open::default();
        let mut heartbeats = Heartbeats::new(expected(Some(24 * HOUR)), Vec::new(), start);
        heartbeats.hear(&heard(start + WRITE, 1));
        assert_eq!(
            (heartbeats.awaited(&open).count(), heartbeats.is_outdated()),
            (0, false),
            "a crash costs a minute at most"
        );
        heartbeats.written(start + 2 * HOUR);
        assert_eq!(
            (heartbeats.awaited(&open).count(), heartbeats.is_outdated()),
            (1, false),
            "nothing has come"
        );
        heartbeats.hear(&heard(start + 3 * HOUR, 2));
        assert!(heartbeats.is_outdated());
        assert_eq!(
            heartbeats.to_write(start + 3 * HOUR, false)[0].silence,
            Duration::ZERO
        );
        heartbeats.written(start + 3 * HOUR);
        assert_eq!(
            (heartbeats.awaited(&open).count(), heartbeats.is_outdated()),
            (0, false)
        );
        heartbeats.take(expected(None), start + 4 * HOUR);
        heartbeats.written(start + 5 * HOUR);
        assert_eq!(heartbeats.awaited(&open).count(), 0, "nothing is expected");
    }
}
