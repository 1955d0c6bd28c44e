//! The groups and storms that a commit changes, in memory until its end.
//!
//! A group is one row, however many events of one commit join it. So its state is read once, changed
//! in memory, and written once, with the alerts that tell of it: a commit is one moment to a group.

use std::collections::{BTreeMap, HashMap};

use plugin_sdk::contract;

use crate::alert::group::{Group, Storm};

/// The most groups that are kept in memory after a command. A group is at most some 30 KB.
const MOST: usize = 256;

/// What the commands of a transaction have changed so far.
#[derive(Debug, Default)]
pub struct Touched {
    /// The machine's time, of the command that is at work: Unix milliseconds.
    pub at_ms: i64,
    /// The store's time.
    pub now_ms: i64,
    /// The groups, by their numbers.
    pub groups: BTreeMap<i64, Group>,
    /// The numbers of those that are open, by their addresses.
    pub open: HashMap<Address, i64>,
    /// The storms, by the numbers of their sources.
    pub storms: BTreeMap<i64, Storm>,
    /// The internal alerts of storms that have begun, each with its destination.
    pub begun: Vec<(String, contract::Alert)>,
}

/// The address of an open group: no two share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The number of its source.
    pub source: i64,
    /// Its key at the destination.
    pub key: String,
    /// JSON: its destinations.
    pub destinations: String,
}

impl Touched {
    /// Begins a command at `at_ms` on the machine's clock and `now_ms` on the store's.
    pub fn begin(&mut self, at_ms: i64, now_ms: i64) {
        self.at_ms = at_ms;
        self.now_ms = now_ms;
    }

    /// Returns whether it is to be written before the next command.
    pub fn is_full(&self) -> bool {
        self.groups.len() >= MOST
    }
}
