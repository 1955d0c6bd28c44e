//! An alert as the gateway keeps and delivers it: what a plugin said, and where it came from.

pub mod own;

use plugin_sdk::contract;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// An alert on its way to a destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alert {
    /// The name of the source that the request came in at.
    pub source: String,
    /// The id of that request (UUIDv7).
    pub request: String,
    /// When that request came in: RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// What the plugin made of it.
    pub event: contract::Alert,
}

impl Alert {
    /// What the destination groups by: 32 lower-case hex digits, the first half of SHA-256 over the source's name, a zero
    /// byte and the event's key. The same event has the same fingerprint however often it is sent, so a delivery that is
    /// repeated after a crash updates the open alert and opens none.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.source.as_bytes());
        digest.update([0]);
        digest.update(self.event.key().as_bytes());
        digest.finalize().iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
