//! The words of a test: its way, and each hop on it with its time, or with the reason why it failed
//! and the fix.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The name of the hop for a name of nothing.
pub const UNKNOWN: &str = "unknown";

/// The way that a test takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum Way {
    /// From a sender to the receipt.
    Source {
        /// The source.
        name: String,
        /// True if the request goes to `listen`, past what stands before the gateway.
        #[serde(default)]
        local: bool,
        /// The request in place of the plugin's sample: the text of an HTTP/1.1 message.
        #[serde(default)]
        request: Option<String>,
    },
    /// From the gateway to the receipt.
    Destination {
        /// The destination.
        name: String,
    },
    /// From the public URL to the gateway.
    PublicUrl,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Its name.
    pub hop: String,
    /// True unless it was not passed.
    pub ok: bool,
    /// The finding, or the reason why it was not passed.
    pub found: String,
    /// True if it is not passed yet, and waited for. The same hop is told again when it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The advice, where it was not passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The time of it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// A test that is asked for. Its hops are told one after the other; the end of them is its end.
#[derive(Debug)]
pub struct Asked {
    /// The way.
    pub way: Way,
    /// The person or program that asks, for the audit.
    pub who: String,
    /// The place that it asks from.
    pub origin: String,
    /// Takes the hops.
    pub hops: mpsc::Sender<Hop>,
}

impl Way {
    /// Returns what it begins with, for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Source { name, .. } => format!("source {name}"),
            Self::Destination { name } => format!("destination {name}"),
            Self::PublicUrl => "public_url".to_owned(),
        }
    }
}

impl Hop {
    /// A hop that was passed.
    pub fn passed(hop: &str, found: impl Into<String>) -> Self {
        Self {
            hop: hop.to_owned(),
            ok: true,
            found: found.into(),
            waits: false,
            fix: None,
            took_ms: None,
        }
    }

    /// A hop that is waited for, with the reason.
    pub fn waiting(hop: &str, found: impl Into<String>) -> Self {
        Self {
            waits: true,
            ..Self::passed(hop, found)
        }
    }

    /// A hop that was not passed.
    pub fn failed(hop: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = fix.into();
        Self {
            ok: false,
            fix: Some(fix).filter(|fix| !fix.is_empty()),
            ..Self::passed(hop, found)
        }
    }

    /// The same hop, with the time that it took.
    #[must_use]
    pub fn after(self, took: std::time::Duration) -> Self {
        Self {
            took_ms: Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            ..self
        }
    }
}
