//! The words for internal alerts: one to open or to resolve, and one that is open.

use plugin_sdk::contract;
use serde::{Deserialize, Serialize};

/// An internal alert to open or to resolve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    /// The destination; the end of one that is open goes where that went, and one that is open
    /// elsewhere is ended there first.
    pub destination: String,
    /// The alert, with its key; the store adds its event id.
    pub event: contract::Alert,
    /// The time when it was found: Unix milliseconds.
    pub at_ms: i64,
}

/// An internal alert that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its key.
    pub key: String,
    /// The destination that received it.
    pub destination: String,
}
