//! The circuit breaker of one destination: it decides from the last outcomes whether the
//! destination is tried.
//!
//! **Closed**, traffic flows, as many attempts at once as the
//! [concurrency limiter](ConcurrencyLimiter) permits.
//!
//! **Held** is open because of an [`Outcome::Blocked`]: every alert would fare the same until the
//! operator fixes something. A single probe goes at growing intervals, and while it is under way
//! the breaker is half-open. Any outcome but another `Blocked` closes it.
//!
//! **Failing** is open because several *different* alerts in a row were to be retried. It probes at
//! shorter intervals, and closes when a probe is accepted or rejected. But where nothing at all was
//! accepted for [`FAILING_AFTER`], the destination is reported as failing although the breaker is
//! closed, however few alerts there are: each matters.
//!
//! An alert that fails again and again while others are accepted is a poison message: the
//! destination answers an error to that one alone, or a firewall in front of it 403. Once others
//! were accepted after it for [`POISON_AFTER`] times, its failures say nothing about the
//! destination any more. It keeps its own backoff, and opens the breaker for no other alert.
//!
//! A breaker that closes begins a slow start, like a new one: no recovered destination gets the
//! whole backlog at once, nor does any destination after a restart. Each destination has a breaker
//! of its own, also where several of them are one service.
//!
//! The first accepted attempt after an outage is a *recovery*: what waits for the destination need
//! not wait for its own backoff any longer. An outage is one that opened the breaker, or in which
//! nothing was accepted for [`OUTAGE`].
//!
//! It is a pure state machine: the caller brings the time, the outcomes and the randomness, and
//! does the sending.

mod open;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use self::open::Open;
use super::limiter::ConcurrencyLimiter;
use crate::alert::Outcome;
use crate::health::{BreakerState, DestinationState};

/// The number of different alerts that must fail, with none accepted between, until the breaker
/// opens.
pub const FAILING_AFTER_ALERTS: usize = 5;

/// The time for which alerts must fail, with none accepted between, until the destination is
/// reported as failing.
pub const FAILING_AFTER: Duration = Duration::from_secs(5 * 60);

/// The number of failures of an alert, with another one accepted after each, until it is a poison
/// message. One failure is usual for an alert under way at the beginning of an outage.
pub const POISON_AFTER: u32 = 2;

/// The time for which attempts must fail, with none accepted between, until the next accepted one
/// is a recovery although the breaker never opened.
pub const OUTAGE: Duration = Duration::from_secs(5);

/// The most alerts remembered as failed. Beyond that, a poison message counts against the
/// destination.
const REMEMBERED: usize = 10_000;

/// The circuit breaker of one destination, and its concurrency limiter.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    limiter: ConcurrencyLimiter,
    /// The alerts that failed since the last one was accepted, without the poison messages.
    failed: HashSet<i64>,
    /// The outage since the last alert was accepted: its beginning and the latest reason.
    outage: Option<(Instant, String)>,
    /// For each failed alert, the number of times that another one was accepted after a failure of
    /// it.
    overtaken: HashMap<i64, u32>,
    /// True once the destination has accepted or rejected an alert.
    answers: bool,
    /// None while the breaker is closed.
    open: Option<Open>,
    /// The first failure since an alert was accepted, whatever was rejected between.
    unaccepted_since: Option<Instant>,
    /// True if the breaker has opened since an alert was accepted.
    has_opened: bool,
    /// True after a recovery, until the caller has taken it.
    has_recovered: bool,
}

/// The state of a destination, as its breaker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The state of delivery.
    pub state: DestinationState,
    /// The reason of the last attempt that counted against the destination, since it accepted one.
    pub why: Option<String>,
    /// The first failed attempt since the destination accepted an alert, where one has failed.
    pub failing_since: Option<Instant>,
    /// True if the last attempt was accepted or rejected. False before the first.
    pub proven: bool,
}

impl CircuitBreaker {
    /// Returns a closed breaker. A concurrency of 0 is taken as 1.
    pub fn new(concurrency: usize) -> Self {
        Self {
            limiter: ConcurrencyLimiter::new(concurrency),
            failed: HashSet::new(),
            outage: None,
            overtaken: HashMap::new(),
            answers: false,
            open: None,
            unaccepted_since: None,
            has_opened: false,
            has_recovered: false,
        }
    }

    /// Returns true once after a recovery.
    pub fn take_recovery(&mut self) -> bool {
        std::mem::take(&mut self.has_recovered)
    }

    /// Returns how many more attempts may begin now, while `in_flight` are under way.
    pub fn permits(&mut self, now: Instant, in_flight: usize) -> usize {
        match &mut self.open {
            None => self.limiter.permits(in_flight),
            Some(open) => usize::from(open.may_probe(now, in_flight)),
        }
    }

    /// Returns when to ask for permits again although nothing has happened; none where only an
    /// outcome can change them.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.open
            .as_ref()
            .map(|open| open.next_probe)
            .filter(|&probe| probe > now)
    }

    /// Returns the time of the next probe, while the breaker is open and none is under way.
    pub fn next_probe(&self) -> Option<Instant> {
        let open = self.open.as_ref().filter(|open| !open.half_open);
        open.map(|open| open.next_probe)
    }

    /// Returns the state as operators see it.
    pub fn shown(&self) -> BreakerState {
        match &self.open {
            None => BreakerState::Closed,
            Some(open) if open.half_open => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Returns the longest wait between two attempts at a destination that accepts nothing, for a
    /// probe as well as for an alert.
    pub fn longest_wait(&self, now: Instant) -> Duration {
        let since = self.unaccepted_since.unwrap_or(now);
        open::longest(now.duration_since(since))
    }

    /// Returns whether the breaker is open, so that an attempt is a probe.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Learns the outcome of an attempt; to be called once for each. Returns whether the alert is a
    /// poison message.
    pub fn record(
        &mut self,
        now: Instant,
        alert_id: i64,
        outcome: &Outcome,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let poison = self.judge(now, alert_id, outcome, rng);
        // One that was accepted while the breaker is held was sent before that.
        if matches!(outcome, Outcome::Accepted(_)) && self.open.is_none() {
            self.note_accepted(now);
        }
        self.has_opened |= self.open.is_some();
        poison
    }

    fn judge(
        &mut self,
        now: Instant,
        alert_id: i64,
        outcome: &Outcome,
        rng: &mut fastrand::Rng,
    ) -> bool {
        match outcome {
            Outcome::Accepted(_) => {
                self.answers = true;
                self.forget(alert_id);
            }
            Outcome::Rejected { .. } => {
                self.answers = true;
                self.forget(alert_id);
                if self.failed.is_empty() {
                    self.outage = None;
                }
            }
            Outcome::Retry { why, .. } | Outcome::Blocked { why } => {
                if self
                    .overtaken
                    .get(&alert_id)
                    .is_some_and(|times| *times >= POISON_AFTER)
                {
                    match &mut self.open {
                        // As if it had not been sent: the next may go.
                        Some(open) => open.half_open = false,
                        None => self.note_failure(now, why),
                    }
                    return true;
                }
                if self.failed.len() < REMEMBERED {
                    self.failed.insert(alert_id);
                }
                self.unaccepted_since.get_or_insert(now);
            }
        }
        let longest = self.longest_wait(now);
        match &mut self.open {
            None => self.record_closed(now, outcome, rng),
            // Sent before the breaker opened. That it failed is no news. That it was accepted
            // closes the breaker of a failing destination, but not of a held one: there the
            // operator has to fix something first.
            Some(open) if !open.half_open => match outcome {
                Outcome::Accepted(_) if open.state == DestinationState::Failing => self.recover(),
                Outcome::Blocked { why } if open.state == DestinationState::Failing => {
                    self.open = Some(Open::held(now, why));
                }
                _ => {}
            },
            Some(open) => match (open.state, outcome) {
                (DestinationState::Held, Outcome::Blocked { why }) => open.held_longer(now, why),
                (_, Outcome::Blocked { why }) => self.open = Some(Open::held(now, why)),
                (DestinationState::Failing, Outcome::Retry { why, retry_after }) => {
                    open.failing_longer(now, why, *retry_after, longest, rng);
                }
                (_, Outcome::Accepted(_)) => self.recover(),
                // The answer is another than what opened the breaker, which is all that a probe is
                // to find out.
                (_, Outcome::Rejected { .. } | Outcome::Retry { .. }) => {
                    self.failed.retain(|failed| *failed == alert_id);
                    self.close();
                    self.record_closed(now, outcome, rng);
                }
            },
        }
        false
    }

    /// Returns the state of the destination.
    pub fn state(&self, now: Instant) -> State {
        let (state, why) = match (&self.open, &self.outage) {
            (Some(open), _) => (open.state, Some(open.why.clone())),
            (None, Some((since, why))) if now.duration_since(*since) >= FAILING_AFTER => {
                (DestinationState::Failing, Some(why.clone()))
            }
            (None, outage) => (
                DestinationState::Healthy,
                outage.as_ref().map(|(_, why)| why.clone()),
            ),
        };
        let failing_since = self.outage.as_ref().map(|(since, _)| *since);
        State {
            state,
            why,
            failing_since,
            proven: self.answers && self.open.is_none() && self.outage.is_none(),
        }
    }

    fn record_closed(&mut self, now: Instant, outcome: &Outcome, rng: &mut fastrand::Rng) {
        match outcome {
            Outcome::Accepted(_) => {
                self.overtake();
                self.limiter.accepted();
            }
            Outcome::Rejected { .. } => {}
            Outcome::Blocked { why } => {
                self.note_failure(now, why);
                self.open = Some(Open::held(now, why));
            }
            Outcome::Retry { why, retry_after } => {
                self.limiter.back_off();
                self.note_failure(now, why);
                if self.failed.len() >= FAILING_AFTER_ALERTS {
                    self.open = Some(Open::failing(now, why, *retry_after, rng));
                }
            }
        }
    }

    fn note_failure(&mut self, now: Instant, why: &str) {
        let since = self.outage.as_ref().map_or(now, |(since, _)| *since);
        self.outage = Some((since, why.to_owned()));
    }

    /// Notes an accepted attempt, which is a recovery after an outage.
    fn note_accepted(&mut self, now: Instant) {
        let lasted = self
            .unaccepted_since
            .take()
            .is_some_and(|since| now.duration_since(since) >= OUTAGE);
        self.has_recovered |= std::mem::take(&mut self.has_opened) || lasted;
    }

    /// Forgets an alert that was accepted or rejected: it waits no longer.
    fn forget(&mut self, alert_id: i64) {
        self.failed.remove(&alert_id);
        self.overtaken.remove(&alert_id);
    }

    /// Counts one accepted alert against those that failed before it: they fare worse than others
    /// do.
    fn overtake(&mut self) {
        for alert_id in self.failed.drain() {
            if self.overtaken.len() < REMEMBERED || self.overtaken.contains_key(&alert_id) {
                *self.overtaken.entry(alert_id).or_default() += 1;
            }
        }
        self.outage = None;
    }

    fn recover(&mut self) {
        self.overtake();
        self.close();
    }

    fn close(&mut self) {
        self.open = None;
        self.outage = None;
        self.limiter.restart();
    }
}
