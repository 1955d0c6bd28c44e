//! The reports of the double.

use std::time::Instant;

use hyper::Version;
use hyper::body::Bytes;
use hyper::header::HeaderMap;

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The body, byte for byte.
    pub body: Bytes,
    /// The headers.
    pub headers: HeaderMap,
    /// The version of HTTP that it came by.
    pub version: Version,
    /// The status it was answered with; 0 where it got no answer.
    pub answered: u16,
    /// The time when it was answered.
    pub at: Instant,
}

impl Received {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// The counts of a double since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections taken.
    pub connections: usize,
    /// Requests, whatever they were answered.
    pub requests: usize,
    /// Times that an alert was opened: each of them would have paged somebody.
    pub opened: usize,
    /// Events that found their alert open.
    pub updated: usize,
    /// Times that an open alert was closed.
    pub resolved: usize,
    /// Alerts that are open.
    pub open: usize,
}
