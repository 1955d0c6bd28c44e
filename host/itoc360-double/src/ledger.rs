//! The memory of the double: the alerts by fingerprint, the latest requests, and the script.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use hyper::body::Bytes;

use super::event::Event;
use super::{Received, Reply, Tally};

type Script = Box<dyn FnMut(usize, &Bytes) -> Reply + Send>;

pub(super) struct Ledger {
    pub(super) script: Option<Script>,
    pub(super) received: VecDeque<Received>,
    pub(super) incidents: HashMap<Box<str>, Incident>,
    remember: usize,
    requests: usize,
}

/// The alert of one fingerprint.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Incident {
    pub(super) open: bool,
    pub(super) times_opened: usize,
}

impl Ledger {
    pub(super) fn new(remember: usize) -> Self {
        Self {
            script: None,
            received: VecDeque::new(),
            incidents: HashMap::new(),
            remember,
            requests: 0,
        }
    }

    /// Returns the script's word on the next request.
    pub(super) fn reply(&mut self, body: &Bytes) -> Reply {
        self.requests += 1;
        self.script
            .as_mut()
            .map_or(Reply::Ok, |script| script(self.requests, body))
    }

    /// Opens, updates or closes the alert of `event`, and counts it.
    pub(super) fn take(&mut self, event: &Event<'_>, tally: &mut Tally) {
        if !self.incidents.contains_key(&*event.fingerprint) {
            self.incidents
                .insert((&*event.fingerprint).into(), Incident::default());
        }
        let Some(incident) = self.incidents.get_mut(&*event.fingerprint) else {
            return;
        };
        match (incident.open, event.opens) {
            (false, true) => {
                incident.times_opened += 1;
                tally.opened += 1;
                tally.open += 1;
            }
            (true, false) => {
                tally.resolved += 1;
                tally.open -= 1;
            }
            (true, true) => tally.updated += 1,
            (false, false) => {}
        }
        incident.open = event.opens;
    }

    /// Remembers a request, in place of the oldest where there is no more room.
    pub(super) fn remember(&mut self, request: impl FnOnce() -> Received) {
        if self.remember == 0 {
            return;
        }
        if self.received.len() == self.remember {
            self.received.pop_front();
        }
        self.received.push_back(request());
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}
