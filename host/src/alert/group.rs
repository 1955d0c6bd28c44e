//! Groups: one alert at the destination for many events with equal labels.
//!
//! A [`Group`] is a state machine without a clock and without a disk. Events and the passing of
//! time go in, alerts for the destination come out. The store runs it in the transaction of the
//! event and keeps it as JSON, so that a group and its members never disagree, whenever the process
//! dies.
//!
//! | event or time | effect |
//! |---|---|
//! | the first event | the group opens |
//! | another event | it joins; `update_every` after the last alert of the group, an update is sent |
//! | an event more urgent than the group | it joins, and an update is sent at once |
//! | a resolve of the last open key | the group resolves |
//! | no event for `resolve_after` | the group resolves |
//! | the storm of its source is over | the group resolves; events are alerts of their own again |
//!
//! A group opens once, is updated under the same key, and resolves once. [`Storm`] says whether a
//! source with `above` is grouped at the moment.

mod rate;
mod storm;
mod tally;

#[cfg(test)]
mod tests;

use std::time::Duration;

use plugin_sdk::contract::{self, Priority};
use serde::{Deserialize, Serialize};

use tally::Phase;

pub use storm::{Guard, Storm};
pub use tally::{Member, Mention, Shared, Tally, key, shared};

/// The times of a group, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The shortest time between two updates, but for a higher priority.
    pub update_every_ms: i64,
    /// The time without an event until the group resolves.
    pub resolve_after_ms: i64,
    /// True if the group exists only while a storm lasts.
    pub in_storm: bool,
}

/// The group that an event belongs to, as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    /// The label values that it shares with the group.
    pub shared: Shared,
    /// The times of the group.
    pub terms: Terms,
    /// The rate of the source up to which events are alerts of their own.
    pub guard: Option<Guard>,
}

/// An open group of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    shared: Shared,
    terms: Terms,
    tally: Tally,
    opened_ms: i64,
    /// The time of the newest event.
    last_ms: i64,
    told: Option<Told>,
    /// The number of its keys that the sender has not resolved.
    open_keys: u64,
}

/// The newest alert of a group at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    at_ms: i64,
    priority: Priority,
    count: u64,
}

/// An alert about a group, for its destination.
#[derive(Debug)]
pub struct Notice {
    /// The alert; the store adds its event id.
    pub event: contract::Alert,
    /// True if the group has ended with it.
    pub ends: bool,
}

impl Group {
    /// Opens a group with its first event, at `now_ms`.
    pub fn open(shared: Shared, terms: Terms, member: &Member, now_ms: i64) -> Self {
        Self {
            shared,
            terms,
            tally: Tally::new(member),
            opened_ms: now_ms,
            last_ms: now_ms,
            told: None,
            open_keys: 1,
        }
    }

    /// Adds an event, under the terms that hold now. `is_new_key` says that no open key of the
    /// group is the event's.
    pub fn join(&mut self, member: &Member, is_new_key: bool, terms: Terms, now_ms: i64) {
        self.terms = terms;
        self.last_ms = now_ms;
        self.tally.add(member);
        self.open_keys += u64::from(is_new_key);
    }

    /// Takes down that the sender has resolved one of its keys.
    pub fn resolve_key(&mut self) {
        self.open_keys = self.open_keys.saturating_sub(1);
    }

    /// Returns what the destination is to be sent at `now_ms`, if anything. `storm` says whether
    /// the source is in a storm.
    pub fn look(&mut self, storm: bool, now_ms: i64) -> Option<Notice> {
        let end = if self.open_keys == 0 {
            Some(Phase::Resolved)
        } else if now_ms >= self.quiet_at() {
            Some(Phase::Quiet(milliseconds(self.terms.resolve_after_ms)))
        } else if self.terms.in_storm && !storm {
            Some(Phase::Calm(milliseconds(self.terms.update_every_ms)))
        } else {
            None
        };
        let due = match self.told {
            None => true,
            // The most urgent priority is the least one.
            Some(told) => {
                self.tally.priority < told.priority
                    || (self.has_news() && now_ms >= self.update_at(told))
            }
        };
        // One that ends before it was sent anywhere opens first: its events must be seen.
        let phase = match end {
            Some(phase) if self.told.is_some() => phase,
            _ if due => Phase::Open,
            _ => return None,
        };
        self.told = Some(Told {
            at_ms: now_ms,
            priority: self.tally.priority,
            count: self.tally.count,
        });
        Some(Notice {
            event: self.alert(phase, now_ms),
            ends: phase != Phase::Open,
        })
    }

    /// Returns the alert that resolves the group at its destination, because an operator `said` so.
    pub fn resolve(&mut self, said: &str, now_ms: i64) -> contract::Alert {
        self.open_keys = 0;
        self.alert(Phase::Operator(said), now_ms)
    }

    fn alert(&self, phase: Phase<'_>, now_ms: i64) -> contract::Alert {
        let minutes = now_ms.saturating_sub(self.opened_ms) as f64 / 60_000.0;
        self.tally.alert(&self.shared, phase, minutes)
    }

    /// Returns the time at which the group is to be looked at next.
    pub fn look_at(&self) -> i64 {
        match self.told {
            None => i64::MIN,
            Some(_) if self.open_keys == 0 => i64::MIN,
            Some(told) if self.has_news() => self.quiet_at().min(self.update_at(told)),
            Some(_) => self.quiet_at(),
        }
    }

    /// The times of the group.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The label values that its events share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The events of the group so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Returns the time of its next update, where its destination does not know all its events, and
    /// the time at which it resolves if no other comes.
    pub fn outlook(&self) -> (Option<i64>, i64) {
        let told = self.told.filter(|_| self.has_news());
        (told.map(|told| self.update_at(told)), self.quiet_at())
    }

    /// Moves times that lie ahead of `now_ms` back to it: they were taken by another clock.
    pub fn bring_back(&mut self, now_ms: i64) {
        self.last_ms = self.last_ms.min(now_ms);
        self.opened_ms = self.opened_ms.min(now_ms);
        if let Some(told) = &mut self.told {
            told.at_ms = told.at_ms.min(now_ms);
        }
    }

    fn has_news(&self) -> bool {
        self.told.is_none_or(|told| told.count < self.tally.count)
    }

    fn quiet_at(&self) -> i64 {
        self.last_ms.saturating_add(self.terms.resolve_after_ms)
    }

    fn update_at(&self, told: Told) -> i64 {
        told.at_ms.saturating_add(self.terms.update_every_ms)
    }
}

/// Returns a time as an operator writes it: `2d`, or `1h 30m`.
pub fn shown_time(time: Duration) -> String {
    let days = time.as_secs() / (24 * 60 * 60);
    if days > 0 && time == Duration::from_secs(days * 24 * 60 * 60) {
        return format!("{days}d");
    }
    jiff::SignedDuration::try_from(time)
        .map_or_else(|_| format!("{time:?}"), |signed| format!("{signed:#}"))
}

fn milliseconds(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}
