//! How many requests of each source ended how, and how many alerts each destination accepted, in
//! each five minutes of the last day.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::ring::Ring;

/// The time that one count is about.
pub const BUCKET: Duration = Duration::from_secs(5 * 60);
/// The number of counts: a day of them.
pub const BUCKETS: usize = 288;

/// Counts of requests by how they ended, or of deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests whose alerts were stored, and repeats.
    pub accepted: u32,
    /// Requests of no interest to anybody.
    pub ignored: u32,
    /// Requests that were refused.
    pub rejected: u32,
    /// Requests that their plugin failed on.
    pub failed: u32,
    /// Alerts that a destination accepted.
    pub delivered: u32,
}

/// The counts of the last day. Clones share them.
#[derive(Debug, Clone)]
pub struct Activity {
    started: Instant,
    lines: Arc<Mutex<Lines>>,
}

/// The counts of each, by its name. A source and a destination may have the same one.
#[derive(Debug, Default)]
struct Lines {
    sources: HashMap<Arc<str>, Line>,
    destinations: HashMap<Arc<str>, Line>,
}

/// The counts of one source or destination.
type Line = Ring<Counts, BUCKETS>;

/// The counts of all or of one, oldest first, the last one under way.
#[derive(Debug, Clone)]
pub struct Series(pub Vec<Counts>);

impl Default for Activity {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            lines: Arc::default(),
        }
    }
}

impl Activity {
    /// Adds to the counts of a source. `name` is a word of the configuration, or empty for requests to
    /// no source.
    pub fn count(&self, name: &Arc<str>, add: impl FnOnce(&mut Counts)) {
        let now = self.bucket();
        add(line(&mut self.lines.lock().sources, name, now).at(now));
    }

    /// Counts an alert that a destination accepted.
    pub fn delivered(&self, destination: &Arc<str>) {
        let now = self.bucket();
        let mut lines = self.lines.lock();
        let counts = line(&mut lines.destinations, destination, now).at(now);
        counts.delivered = counts.delivered.saturating_add(1);
    }

    /// Returns the counts of a source.
    pub fn of_source(&self, name: &str) -> Series {
        self.sum(self.lines.lock().sources.get_mut(name))
    }

    /// Returns the counts of a destination.
    pub fn of_destination(&self, name: &str) -> Series {
        self.sum(self.lines.lock().destinations.get_mut(name))
    }

    /// Returns the counts of all.
    pub fn all(&self) -> Series {
        let mut lines = self.lines.lock();
        let Lines {
            sources,
            destinations,
        } = &mut *lines;
        self.sum(sources.values_mut().chain(destinations.values_mut()))
    }

    fn sum<'a>(&self, lines: impl IntoIterator<Item = &'a mut Line>) -> Series {
        let (now, mut series) = self.empty();
        for line in lines {
            add_to(&mut series, line, now);
        }
        Series(series)
    }

    /// Returns since when there are counts, at most a day.
    pub fn counted_for(&self) -> Duration {
        self.started.elapsed().min(BUCKET * BUCKETS as u32)
    }

    fn bucket(&self) -> usize {
        (self.started.elapsed().as_secs() / BUCKET.as_secs()) as usize
    }

    /// Returns the number of the bucket under way, and a zero for each bucket of the last day.
    fn empty(&self) -> (usize, Vec<Counts>) {
        let now = self.bucket();
        (now, vec![Counts::default(); BUCKETS.min(now + 1)])
    }
}

/// Returns the counts of a name, which begin now where there are none.
fn line<'a>(lines: &'a mut HashMap<Arc<str>, Line>, name: &Arc<str>, now: usize) -> &'a mut Line {
    lines
        .entry(Arc::clone(name))
        .or_insert_with(|| Line::new(Counts::default(), now))
}

/// Adds the counts of a line to those of a series that ends with bucket `now`.
fn add_to(series: &mut [Counts], line: &mut Line, now: usize) {
    let counts = line.until(now);
    let first = now + 1 - series.len();
    for (sum, number) in series.iter_mut().zip(first..) {
        sum.add(&counts[number % BUCKETS]);
    }
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.ignored = self.ignored.saturating_add(other.ignored);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.failed = self.failed.saturating_add(other.failed);
        self.delivered = self.delivered.saturating_add(other.delivered);
    }

    /// Returns the number of requests.
    pub fn requests(&self) -> u32 {
        self.accepted + self.ignored + self.rejected + self.failed
    }
}

impl Series {
    /// Returns the sum of the last hour, to five minutes.
    pub fn hour(&self) -> Counts {
        self.last(12)
    }

    /// Returns the sum of the last day.
    pub fn day(&self) -> Counts {
        self.last(BUCKETS)
    }

    fn last(&self, buckets: usize) -> Counts {
        let mut sum = Counts::default();
        self.0
            .iter()
            .rev()
            .take(buckets)
            .for_each(|counts| sum.add(counts));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn source_and_destination_of_one_name_are_counted_apart() {
        let activity = Activity::default();
        let name: Arc<str> = "a".into();
        activity.count(&name, |counts| counts.accepted += 1);
        activity.delivered(&name);
        let of = |series: Series| (series.hour().accepted, series.hour().delivered);
        assert_eq!(of(activity.of_source("a")), (1, 0));
        assert_eq!(of(activity.of_destination("a")), (0, 1));
        assert_eq!(of(activity.all()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn counts_move_out_of_the_hour_and_the_day() {
        let activity = Activity::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        activity.count(&a, |counts| counts.accepted += 1);
        activity.count(&b, |counts| counts.rejected += 2);
        assert_eq!(activity.of_source("a").hour().accepted, 1);
        assert_eq!(activity.all().day().requests(), 3);
        tokio::time::advance(BUCKET * 12).await;
        activity.count(&a, |counts| counts.accepted += 1);
        assert_eq!(activity.of_source("a").hour().accepted, 1);
        assert_eq!(activity.of_source("a").day().accepted, 2);
        assert_eq!(activity.all().0.len(), 13);
        tokio::time::advance(BUCKET * (BUCKETS as u32 - 12)).await;
        assert_eq!(
            activity.all().day().requests(),
            1,
            "the first ones are a day old"
        );
        assert_eq!(activity.all().0.len(), BUCKETS);
        tokio::time::advance(BUCKET * BUCKETS as u32 * 3).await;
        assert_eq!(activity.all().day(), Counts::default());
    }
}
