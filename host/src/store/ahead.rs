//! Reading ahead: the commands of a transaction say what they will look for, and all of it is read
//! at once.
//!
//! In a file a look costs a microsecond, and nothing is read ahead. A database is asked once for a
//! whole group of commands, in place of once or twice for each. The commands tell it of their own
//! changes: no answer is older than a change of the same transaction. Anything else is looked for
//! in the database.

use std::collections::{HashMap, HashSet};

use rusqlite::types::Value;

use super::ids::{DELIVERIES_PER_ALERT, Identity};
use super::postgres::{Given, Question};

/// The number of questions.
pub const ANSWERS: usize = 3;

/// The position of a command within its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It settles deliveries, so it goes first: those behind them come due with it.
    Settles,
    /// It appends.
    Appends,
    /// It does anything else. Nothing that was read ahead counts from then on.
    Other,
}

/// What `queue.fell_back` says of a delivery: it has not gone to the fallback of its destination.
pub const NOT_YET: i64 = 0;
/// Nor has this, and the fallback waits for it: it resolves a rejected alert.
pub const AWAITED: i64 = 2;

/// The rows that commands will look for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// By which alerts and requests are known again.
    pub identities: Vec<Identity>,
    /// Ordering keys of deliveries that are about to be queued.
    pub keys: Vec<i64>,
    /// Deliveries that are about to be settled.
    pub deliveries: Vec<i64>,
}

/// A delivery in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// The number of its next attempt.
    pub n: i64,
    pub ordering_key: Value,
    pub destination: Value,
    pub source: Value,
    pub priority: Value,
    /// True if no other of its ordering key waits for its destination.
    pub is_alone: bool,
    /// True if its alert went to a fallback, or may have.
    pub has_stand_in: bool,
    /// True if its fallback waits for it, as [`AWAITED`] says.
    pub is_awaited: bool,
}

/// What was read ahead.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Identities that no alert had.
    new: HashSet<[u8; 16]>,
    /// Ordering keys of which nothing was in the queue.
    idle: HashSet<i64>,
    deliveries: HashMap<i64, Queued>,
    /// The ordering keys of which something was queued since.
    queued: HashSet<i64>,
}

const IDENTITIES: &str = "SELECT hash FROM identities WHERE hash = ANY(?)";
const KEYS: &str = "SELECT DISTINCT ordering_key FROM queue WHERE ordering_key = ANY(?)";
const DELIVERIES: &str = "SELECT id, CASE WHEN attempts BETWEEN 0 AND 1000000000 THEN attempts ELSE 0 END + 1,
    ordering_key, destination, source, priority,
    NOT EXISTS (SELECT 1 FROM queue o
                WHERE o.ordering_key = q.ordering_key AND o.destination = q.destination AND o.id <> q.id),
    EXISTS (SELECT 1 FROM fallbacks f WHERE f.id BETWEEN q.id / 16 * 16 AND q.id / 16 * 16 + 15), fell_back
    FROM queue q WHERE id = ANY(?)";

const _: () = assert!(DELIVERIES_PER_ALERT == 16);

impl Wanted {
    /// Returns the questions whose answers [`Ahead::new`] reads.
    pub fn questions(&self) -> [Question; ANSWERS] {
        let hashes = self.identities.iter();
        let hashes = hashes.map(|identity| Value::Blob(identity.0.to_vec()));
        let numbers = |of: &[i64]| of.iter().copied().map(Value::Integer).collect();
        [
            (IDENTITIES, hashes.collect()),
            (KEYS, numbers(&self.keys)),
            (DELIVERIES, numbers(&self.deliveries)),
        ]
        .map(|(sql, values)| Question {
            sql,
            given: Given::Many(values),
        })
    }
}

impl Ahead {
    /// Reads the answers.
    pub fn new(wanted: Wanted, answers: [Vec<Vec<Value>>; ANSWERS]) -> Self {
        let [known, busy, queued] = answers;
        let mut ahead = Self {
            new: wanted.identities.iter().map(|one| one.0).collect(),
            idle: wanted.keys.into_iter().collect(),
            ..Self::default()
        };
        for hash in known.into_iter().flatten() {
            if let Value::Blob(hash) = hash
                && let Ok(hash) = <[u8; 16]>::try_from(hash)
            {
                ahead.new.remove(&hash);
            }
        }
        for key in busy.into_iter().flatten() {
            if let Value::Integer(key) = key {
                ahead.idle.remove(&key);
            }
        }
        ahead.deliveries = queued.into_iter().filter_map(delivery).collect();
        ahead
    }

    /// Returns whether no alert is known by this.
    pub fn is_new(&self, identity: Identity) -> bool {
        self.new.contains(&identity.0)
    }

    /// Takes down that an alert is known by this now.
    pub fn identified(&mut self, identity: Identity) {
        self.new.remove(&identity.0);
    }

    /// Returns whether nothing of an ordering key is in the queue.
    pub fn is_idle(&self, ordering_key: i64) -> bool {
        self.idle.contains(&ordering_key)
    }

    /// Takes down that something of an ordering key is in the queue now.
    pub fn queued(&mut self, ordering_key: i64) {
        self.idle.remove(&ordering_key);
        self.queued.insert(ordering_key);
    }

    /// Forgets all of it, as more has changed than is told here.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes a delivery that is about to change. Where it is none, the queue is to be asked.
    pub fn take(&mut self, delivery: i64) -> Option<Queued> {
        let mut taken = self.deliveries.remove(&delivery)?;
        if let Value::Integer(key) = taken.ordering_key {
            taken.is_alone &= !self.queued.contains(&key);
        }
        Some(taken)
    }
}

fn delivery(row: Vec<Value>) -> Option<(i64, Queued)> {
    let [
        Value::Integer(id),
        Value::Integer(n),
        ordering_key,
        destination,
        source,
        priority,
        Value::Integer(is_alone),
        Value::Integer(has_stand_in),
        Value::Integer(fell_back),
    ] = <[Value; 9]>::try_from(row).ok()?
    else {
        return None;
    };
    let queued = Queued {
        n,
        ordering_key,
        destination,
        source,
        priority,
        is_alone: is_alone != 0,
        has_stand_in: has_stand_in != 0,
        is_awaited: fell_back == AWAITED,
    };
    Some((id, queued))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, key: i64) -> Vec<Value> {
        [id, 1, key, 7, 8, 9, 1, 0, 0].map(Value::Integer).to_vec()
    }

    #[test]
    fn answer_is_never_older_than_a_change() {
        let identities = [Identity([1; 16]), Identity([2; 16])];
        let wanted = Wanted {
            identities: identities.to_vec(),
            keys: vec![10, 11],
            deliveries: vec![100, 101, 102],
        };
        let known = vec![vec![Value::Blob(vec![2; 16])]];
        let busy = vec![vec![Value::Integer(11)]];
        let queued = vec![row(100, 20), row(101, 21)];
        let mut ahead = Ahead::new(wanted, [known, busy, queued]);

        assert_eq!(identities.map(|one| ahead.is_new(one)), [true, false]);
        ahead.identified(identities[0]);
        assert!(!ahead.is_new(identities[0]));

        assert_eq!(
            [10, 11, 12].map(|key| ahead.is_idle(key)),
            [true, false, false]
        );
        ahead.queued(10);
        assert!(!ahead.is_idle(10));

        ahead.queued(21);
        assert!(ahead.take(100).unwrap().is_alone);
        assert!(ahead.take(100).is_none(), "it has changed since");
        assert!(
            !ahead.take(101).unwrap().is_alone,
            "another one is behind it"
        );
        assert!(ahead.take(102).is_none(), "it was not in the queue");
    }
}
