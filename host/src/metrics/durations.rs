//! The time that delivery attempts took, of each destination, in the last hour: enough for quantiles,
//! in a few KB.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::BUCKET;
use super::ring::Ring;

/// The parts of the last hour, the last one under way.
const PARTS: usize = 13;
/// The steps of times: each is 2^(1/4) of the one before it, which is 19 % more.
const STEPS: usize = 84;
/// The end of the first step. The last step ends at 148 s, more than any attempt may take.
const FIRST: Duration = Duration::from_micros(100);
/// The steps in which a time doubles.
const DOUBLES: f64 = 4.0;

/// The time that attempts took. Clones share it.
#[derive(Debug, Clone)]
pub struct Durations {
    started: Instant,
    destinations: Arc<Mutex<HashMap<Arc<str>, Line>>>,
}

/// The attempts at one destination, by the step of their time.
type Line = Ring<[u32; STEPS], PARTS>;

/// Quantiles of the time of the attempts in the last hour, in milliseconds. None is above the time
/// that it stands for by more than 19 %, and none is below it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The attempts.
    pub attempts: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 % of them took no longer.
    pub p95: f64,
    /// 99 % of them took no longer.
    pub p99: f64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            destinations: Arc::default(),
        }
    }
}

impl Durations {
    /// Adds an attempt.
    pub fn took(&self, destination: &Arc<str>, time: Duration) {
        let now = self.part();
        let mut destinations = self.destinations.lock();
        let line = match destinations.get_mut(destination) {
            Some(line) => line,
            None => destinations
                .entry(Arc::clone(destination))
                .or_insert_with(|| Line::new([0; STEPS], now)),
        };
        let count = &mut line.at(now)[step(time)];
        *count = count.saturating_add(1);
    }

    /// Returns the quantiles of a destination; none where no attempt ended in the last hour.
    pub fn of(&self, destination: &str) -> Option<Quantiles> {
        let now = self.part();
        let mut destinations = self.destinations.lock();
        let line = destinations.get_mut(destination)?;
        let parts = line.until(now);
        let of_step = |step: usize| parts.iter().map(|part| u64::from(part[step])).sum();
        let sums: Vec<u64> = (0..STEPS).map(of_step).collect();
        let attempts: u64 = sums.iter().sum();
        let quantile = |percent: u64| {
            let wanted = (attempts * percent).div_ceil(100);
            let mut seen = 0;
            let reaches = |sum: &u64| {
                seen += sum;
                seen >= wanted
            };
            let step = sums.iter().position(reaches).unwrap_or(STEPS - 1);
            (end(step) * 1e4).round() / 10.0
        };
        (attempts > 0).then(|| Quantiles {
            attempts,
            p50: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
        })
    }

    fn part(&self) -> usize {
        (self.started.elapsed().as_secs() / BUCKET.as_secs()) as usize
    }
}

/// Returns the step of a time.
fn step(time: Duration) -> usize {
    let times = time.as_secs_f64() / FIRST.as_secs_f64();
    // A time below the first end has a negative one.
    let step = (times.log2() * DOUBLES).ceil().max(0.0);
    (step as usize).min(STEPS - 1)
}

/// Returns the end of a step, in seconds.
fn end(step: usize) -> f64 {
    FIRST.as_secs_f64() * (step as f64 / DOUBLES).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn quantiles_are_of_the_last_hour_and_close() {
        let durations = Durations::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert_eq!(durations.of("a"), None);
        for ms in 1..=200 {
            durations.took(&a, Duration::from_millis(ms));
        }
        durations.took(&b, Duration::ZERO);
        durations.took(&b, Duration::from_secs(1000));
        let found = durations.of("a").unwrap();
        assert_eq!(found.attempts, 200);
        for (found, exact) in [(found.p50, 100.0), (found.p95, 190.0), (found.p99, 198.0)] {
            assert!(
                found >= exact && found <= exact * 1.2,
                "{found} for {exact}"
            );
        }
        let found = durations.of("b").unwrap();
        assert_eq!((found.p50, found.attempts), (0.1, 2));
        tokio::time::advance(BUCKET * PARTS as u32).await;
        assert_eq!(durations.of("a"), None, "they are an hour old");
    }
}
