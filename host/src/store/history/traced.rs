//! Requests that only memory has, in the words of the history.

use serde::{Deserialize, Serialize};

use super::Line;
use crate::clock::rfc3339;
use crate::recent::Entry;

/// A request that only memory has: it was rejected or ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traced {
    /// RFC 3339.
    pub received_at: String,
    /// `rejected` or `ignored`.
    pub state: String,
    /// The source; empty where the path is no source's.
    pub source: String,
    /// The request's id, as answered to the sender.
    pub request: String,
    /// The word for the ending, as in metrics.
    pub outcome: String,
    /// The reason.
    pub reason: String,
    /// The advice to the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The sender's address.
    pub client: String,
    /// The method.
    pub method: String,
    /// The URL, without credentials.
    pub url: String,
    /// The headers, without credentials.
    pub headers: Vec<(String, String)>,
}

impl Traced {
    /// Returns an entry of memory as the history tells it.
    pub fn of(entry: &Entry) -> Self {
        Self {
            received_at: rfc3339(entry.at_ms),
            state: entry.kind.state().to_owned(),
            source: entry.source.to_string(),
            request: entry.request.clone(),
            outcome: entry.outcome.to_owned(),
            reason: entry.reason.clone(),
            help: entry.help.clone(),
            client: entry.client.clone(),
            method: entry.method.clone(),
            url: entry.url.clone(),
            headers: entry.headers.clone(),
        }
    }

    /// Returns it as a line of a list.
    pub fn line(&self) -> Line {
        Line {
            place: 0,
            received_at: self.received_at.clone(),
            source: self.source.clone(),
            state: self.state.clone(),
            request: self.request.clone(),
            event_id: None,
            priority: None,
            title: self.reason.clone(),
            repeated: 0,
            last_at: None,
            note: self.help.clone(),
            receipts: Vec::new(),
        }
    }
}
