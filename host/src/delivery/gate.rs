//! The gate in front of one destination: how many alerts may be under way at once, given how the last ones fared.
//!
//! **Open**, it lets through up to a limit that starts at one, is halved by every [`Outcome::Later`], and grows by one,
//! to the configured concurrency at most, when as many as the limit were [`Outcome::Accepted`]. So it grows by one in the
//! time that an answer takes, and the rate with it: the first `n * (n - 1) / 2` alerts are met by fewer than `n` at once.
//!
//! **Held**, because an [`Outcome::Blocked`] says that every alert would fare the same until the operator mends
//! something, it lets a single probe through at growing intervals. Whatever else than another `Blocked` the probe
//! brings opens the gate.
//!
//! **Failing**, because several *different* alerts in a row were told to come back later, it does the same at shorter
//! intervals, and opens when a probe is accepted or refused. But where nothing at all was accepted for [`FAILING_AFTER`],
//! that is told as failing, however few alerts there are: somebody waits for each.
//!
//! An alert that fails again and again while others are accepted is poisonous: a destination may answer an error, or a
//! firewall before it 403, to that one alone. Once it has failed so [`OWN_TROUBLE_AFTER`] times, its failing says nothing of
//! the destination any more. It keeps its own waits, and closes the gate for nobody.
//!
//! A gate that opens again starts with a limit of one as a new one does, so that neither a destination that has just
//! recovered nor one that a restarted gateway comes back to is met by all that waited. Whatever their waits, alerts pass
//! the gate one by one. Each destination has a gate of its own: several that stand for one service are to it what several
//! gateways are.
//!
//! It is a pure state machine: the caller brings the time, the outcomes and the randomness, and does the sending.

mod closed;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use self::closed::Closed;
use crate::health::DestinationState;
use crate::itoc360::Outcome;

/// How many different alerts must be told "later", with none accepted between, until the destination counts as failing.
pub const FAILING_AFTER_ALERTS: usize = 5;

/// How long alerts must be told "later", with none accepted between, until the destination is told as failing.
pub const FAILING_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often an alert must be put off, with another one accepted after each time, until that is its own trouble. Once
/// happens to whatever was under way in an outage.
pub const OWN_TROUBLE_AFTER: u32 = 2;

/// How many alerts are remembered as put off. Beyond that, who is put off counts against the destination.
const REMEMBERED: usize = 10_000;

/// The gate of one destination.
#[derive(Debug, Clone)]
pub struct Gate {
    concurrency: usize,
    /// How many may be under way while the gate is open: 1 to `concurrency`.
    limit: usize,
    /// How many were accepted since the limit is what it is: fewer than `limit`.
    accepted: usize,
    /// The alerts told "later" or blocked since the last one was accepted, but those with a trouble of their own.
    put_off: HashSet<i64>,
    /// When the first of these, or of those, was told so, and what the last one was told.
    put_off_since: Option<(Instant, String)>,
    /// How often others were accepted after an alert was put off, until it is accepted or refused itself.
    overtaken: HashMap<i64, u32>,
    /// Whether the destination has accepted or refused anything yet.
    answers: bool,
    closed: Option<Closed>,
}

/// How a destination is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether alerts go out.
    pub state: DestinationState,
    /// What the last attempt that counted against it said.
    pub why: Option<String>,
    /// Whether the last word of the destination was that it takes alerts, or judges them. Before the first word it is not.
    pub proven: bool,
}

impl Gate {
    /// An open gate. A concurrency of 0 is taken as 1.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            limit: 1,
            accepted: 0,
            put_off: HashSet::new(),
            put_off_since: None,
            overtaken: HashMap::new(),
            answers: false,
            closed: None,
        }
    }

    /// How many more alerts may be sent now, while `in_flight` are under way.
    pub fn permits(&mut self, now: Instant, in_flight: usize) -> usize {
        match &mut self.closed {
            None => self.limit.saturating_sub(in_flight),
            Some(closed) => usize::from(closed.may_probe(now, in_flight)),
        }
    }

    /// When to ask for permits again although nothing has happened. None where only an outcome can change the answer.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.closed.as_ref().map(|closed| closed.next_probe).filter(|&probe| probe > now)
    }

    /// Whether what passes is to find out how the destination is.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Learns how the alert `alert_id` fared. To be called once for each alert that was sent. Says whether it failed for a
    /// trouble of its own.
    pub fn record(&mut self, now: Instant, alert_id: i64, outcome: &Outcome, rng: &mut fastrand::Rng) -> bool {
        match outcome {
            Outcome::Accepted(_) => {
                self.answers = true;
                self.forget(alert_id);
            }
            Outcome::Refused { .. } => {
                self.answers = true;
                self.forget(alert_id);
                if self.put_off.is_empty() {
                    self.put_off_since = None;
                }
            }
            Outcome::Later { why, .. } | Outcome::Blocked { why } => {
                if self.overtaken.get(&alert_id).is_some_and(|times| *times >= OWN_TROUBLE_AFTER) {
                    match &mut self.closed {
                        // As if it had not been sent: the next may go.
                        Some(closed) => closed.probing = false,
                        None => self.put_off_since(now, why),
                    }
                    return true;
                }
                if self.put_off.len() < REMEMBERED {
                    self.put_off.insert(alert_id);
                }
            }
        }
        match &mut self.closed {
            None => self.record_open(now, outcome, rng),
            // Sent before the gate closed. That it failed is no news. That it was taken opens a failing destination,
            // but not a held one: there the operator has to mend something first.
            Some(closed) if !closed.probing => match outcome {
                Outcome::Accepted(_) if closed.condition == DestinationState::Failing => self.open(),
                Outcome::Blocked { why } if closed.condition == DestinationState::Failing => {
                    self.closed = Some(Closed::held(now, why));
                }
                _ => {}
            },
            Some(closed) => match (closed.condition, outcome) {
                (DestinationState::Held, Outcome::Blocked { why }) => closed.held_longer(now, why),
                (_, Outcome::Blocked { why }) => self.closed = Some(Closed::held(now, why)),
                (DestinationState::Failing, Outcome::Later { why, retry_after }) => {
                    closed.failing_longer(now, why, *retry_after, rng);
                }
                (_, Outcome::Accepted(_)) => self.open(),
                // It answered something else than what closed the gate, which is all that a probe is to find out.
                (_, Outcome::Refused { .. } | Outcome::Later { .. }) => {
                    self.put_off.retain(|put_off| *put_off == alert_id);
                    self.reopen();
                    self.record_open(now, outcome, rng);
                }
            },
        }
        false
    }

    /// How the destination is.
    pub fn state(&self, now: Instant) -> State {
        let (state, why) = match (&self.closed, &self.put_off_since) {
            (Some(closed), _) => (closed.condition, Some(closed.why.clone())),
            (None, Some((since, why))) if now.duration_since(*since) >= FAILING_AFTER => {
                (DestinationState::Failing, Some(why.clone()))
            }
            (None, _) => (DestinationState::Healthy, None),
        };
        State { state, why, proven: self.answers && self.closed.is_none() && self.put_off_since.is_none() }
    }

    fn record_open(&mut self, now: Instant, outcome: &Outcome, rng: &mut fastrand::Rng) {
        match outcome {
            Outcome::Accepted(_) => {
                self.overtake();
                self.accepted += 1;
                if self.accepted >= self.limit {
                    self.set_limit((self.limit + 1).min(self.concurrency));
                }
            }
            Outcome::Refused { .. } => {}
            Outcome::Blocked { why } => self.closed = Some(Closed::held(now, why)),
            Outcome::Later { why, retry_after } => {
                self.set_limit((self.limit / 2).max(1));
                self.put_off_since(now, why);
                if self.put_off.len() >= FAILING_AFTER_ALERTS {
                    self.closed = Some(Closed::failing(now, why, *retry_after, rng));
                }
            }
        }
    }

    fn put_off_since(&mut self, now: Instant, why: &str) {
        let since = self.put_off_since.as_ref().map_or(now, |(since, _)| *since);
        self.put_off_since = Some((since, why.to_owned()));
    }

    /// It was accepted or refused: it waits no longer.
    fn forget(&mut self, alert_id: i64) {
        self.put_off.remove(&alert_id);
        self.overtaken.remove(&alert_id);
    }

    /// One was accepted: those that were put off before it fare worse than others do.
    fn overtake(&mut self) {
        for alert_id in self.put_off.drain() {
            if self.overtaken.len() < REMEMBERED || self.overtaken.contains_key(&alert_id) {
                *self.overtaken.entry(alert_id).or_default() += 1;
            }
        }
        self.put_off_since = None;
    }

    fn open(&mut self) {
        self.overtake();
        self.reopen();
    }

    fn reopen(&mut self) {
        self.closed = None;
        self.put_off_since = None;
        self.set_limit(1);
    }

    fn set_limit(&mut self, limit: usize) {
        (self.limit, self.accepted) = (limit, 0);
    }
}
