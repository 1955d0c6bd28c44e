//! What became of one delivery. None of the four is an error: each tells delivery what to do next.

use std::time::Duration;

use crate::clock::LONGEST_WAIT;

/// The longest wait that a `Retry-After` can ask for: beyond it the header says more about the sender of the header
/// than about when to try again.
pub const LONGEST_RETRY_AFTER: Duration = LONGEST_WAIT;

/// What ITOC360 made of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// ITOC360 has it. The alert is settled.
    Accepted(Receipt),
    /// Nobody knows, or not now: ITOC360 was not reached, failed, or asked for patience. Send it again.
    Later {
        /// What happened, in one line.
        why: String,
        /// How long ITOC360 asked to be left alone: at most [`LONGEST_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// Any alert would fare the same until the operator mends something. Hold the destination; the alert waits.
    Blocked {
        /// What happened and what to mend, in one line.
        why: String,
    },
    /// ITOC360 will never take this one alert. Set it aside with the reason.
    Refused {
        /// What ITOC360 said, in one line.
        why: String,
    },
}

impl Outcome {
    /// The word in labels of metrics and in lists.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Later { .. } => "later",
            Self::Blocked { .. } => "blocked",
            Self::Refused { .. } => "refused",
        }
    }
}

/// The proof that ITOC360 took an alert. Every field is empty where the answer did not name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// ITOC360's id of the event.
    pub id: String,
    /// The fingerprint that ITOC360 grouped the event under.
    pub fingerprint: String,
    /// `ALERT` or `RESOLVE`.
    pub kind: String,
}
