//! The outcome of one delivery attempt. None of the four is an error: each decides the next step of
//! delivery.

use std::time::Duration;

/// The outcome of one attempt at delivering one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has the alert. It is delivered.
    Accepted(Receipt),
    /// The destination was not reached, failed, or asked for patience. The alert is sent again.
    Retry {
        /// The reason, in one line.
        why: String,
        /// The wait that the destination asked for.
        retry_after: Option<Duration>,
    },
    /// Any alert would fare the same until the operator fixes something. The destination is held
    /// and the alert waits.
    Blocked {
        /// The reason and the fix, in one line.
        why: String,
    },
    /// The destination will never take this one alert. It becomes a dead letter.
    Rejected {
        /// The destination's answer, in one line.
        why: String,
    },
}

impl Outcome {
    /// Returns the word for this outcome in metrics, in the store and in lists.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Retry { .. } => "retry",
            Self::Blocked { .. } => "blocked",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Returns the reason why the alert was not accepted.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Accepted(_) => None,
            Self::Retry { why, .. } | Self::Blocked { why } | Self::Rejected { why } => Some(why),
        }
    }

    /// Returns the receipt of an accepted alert.
    pub fn receipt(&self) -> Option<&Receipt> {
        if let Self::Accepted(receipt) = self {
            Some(receipt)
        } else {
            None
        }
    }
}

/// The proof that a destination took an alert. Every field is empty where the answer did not name
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The destination's id of the event.
    pub id: String,
    /// The destination's word for the alert that the event belongs to.
    pub fingerprint: String,
    /// The destination's word for what the event did; ITOC360 says `ALERT` or `RESOLVE`.
    pub kind: String,
}
