//! Requests that only memory has, in the words of the history.

use serde::{Deserialize, Serialize};

use super::Line;
use crate::clock::rfc3339;
use crate::recent::{Entry, Trace};

/// A request that only memory has: it was rejected or ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traced {
    /// RFC 3339.
    pub received_at: String,
    /// `rejected` or `ignored`.
    pub state: String,
    /// The request.
    #[serde(flatten)]
    pub trace: Trace,
}

impl Traced {
    /// Returns an entry of memory as the history tells it.
    pub fn of(entry: &Entry) -> Self {
        Self {
            received_at: rfc3339(entry.at_ms),
            state: entry.kind.state().to_owned(),
            trace: entry.trace.clone(),
        }
    }

    /// Returns it as a line of a list.
    pub fn line(&self) -> Line {
        Line {
            place: 0,
            received_at: self.received_at.clone(),
            source: self.trace.source.to_string(),
            state: self.state.clone(),
            request: self.trace.request.clone(),
            event_id: None,
            priority: None,
            status: None,
            title: self.trace.reason.clone(),
            repeated: 0,
            last_at: None,
            note: self.trace.help.clone(),
            receipts: Vec::new(),
        }
    }
}
