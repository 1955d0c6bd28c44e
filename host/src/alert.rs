//! The alert as the gateway stores and delivers it: the event of a plugin, with the source and the
//! request it came from.

pub mod change;
pub mod fallback;
pub mod group;
pub mod internal;
mod outcome;
pub mod test;

use plugin_sdk::contract;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

pub use outcome::{Outcome, Receipt};

/// An alert on its way to a destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alert {
    /// The name of the source that the request came in at.
    pub source: String,
    /// The request's id (UUIDv7).
    pub request: String,
    /// The time at which the request came in: RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// The alert as the plugin returned it.
    pub event: contract::Alert,
}

impl Alert {
    /// Returns the fingerprint, by which the destination deduplicates: 32 lower-case hex digits,
    /// the first half of SHA-256 over the source's name, a zero byte and the event's key. It is the
    /// same for every attempt, so a delivery repeated after a crash updates the open alert and
    /// opens none.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.source, self.event.key())
    }
}

/// Returns the fingerprint of the alerts of a source with this key.
pub fn fingerprint(source: &str, key: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(source.as_bytes());
    digest.update([0]);
    digest.update(key.as_bytes());
    digest
        .finalize()
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
