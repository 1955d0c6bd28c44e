//! The outcome of reading a request, in a form that is compared and shown.

use plugin_sdk::contract::{Alert, Answer, Status};
use serde::Serialize;

use crate::alert::{group, test};
use crate::policy::Policy;
use crate::sources::{ReadError, Source};
use crate::store::{AlertRecord, RequestRecord};

/// The note of an alert that a rule has dropped begins so.
pub const DROPPED: &str = "dropped by rule ";

/// The outcome of reading a request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// These alerts.
    Alerts(Vec<MadeAlert>),
    /// No alert, with the reason.
    Ignored(String),
    /// The sender is not believed, with the reason.
    Rejected(String),
    /// The plugin fails, with the reason.
    Failed(String),
}

/// An alert, and what the policy does with it.
#[derive(Debug, Clone, Serialize)]
pub struct MadeAlert {
    /// The alert after rules and redaction.
    pub alert: Alert,
    /// True if a rule drops it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// True if a rule drops it unless its key is open. The store knew that.
    #[serde(skip)]
    pub dropped_unless_open: bool,
    /// The destinations; none where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Vec<String>>,
    /// The key of its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// True if it joins that group only during a storm.
    #[serde(skip)]
    pub in_storm: bool,
    /// The seconds without an event of its key until the gateway resolves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve_after: Option<u64>,
}

impl Made {
    /// Reads a stored request; none where it cannot be, or the plugin is busy.
    pub async fn of(source: &Source, policy: &Policy, request: &RequestRecord) -> Option<Self> {
        Some(match source.read_stored(request).await {
            Ok(Answer::Alerts(alerts)) => {
                let made = |event| MadeAlert::of(source, policy, event);
                Self::Alerts(alerts.list.into_iter().map(made).collect())
            }
            Ok(Answer::Ignored { reason }) => Self::Ignored(reason),
            Ok(Answer::Rejected(rejection)) => Self::Rejected(rejection.reason),
            Ok(Answer::Reply { status, .. }) => Self::Ignored(format!("a reply, {status}")),
            Err(error) if error.is_busy() => return None,
            Err(ReadError::Redacted(_)) => return None,
            Err(error @ ReadError::Headers) => Self::Rejected(error.to_string()),
            Err(error) => Self::Failed(error.to_string()),
        })
    }

    /// Returns the stored outcome of a request; none where its content is gone or masked, or where it was
    /// a test.
    pub fn stored(request: &RequestRecord) -> Option<Self> {
        // A masked request is not the one that was read.
        if request.evicted.is_some() || request.redacted.is_some() {
            return None;
        }
        let reason = request.reason.clone().unwrap_or_default();
        Some(match request.state.as_str() {
            "ignored" => Self::Ignored(reason),
            "rejected" => Self::Rejected(reason),
            "failed" | "dismissed" => Self::Failed(reason),
            _ => {
                let own = |alert: &&AlertRecord| alert.source == request.source;
                let alerts = request.alerts.iter().filter(own);
                // An operator's test marked what its plugin made.
                let is_test = |alert: &AlertRecord| test::is_marked(&alert.event, &request.id);
                if alerts.clone().any(is_test) {
                    return None;
                }
                Self::Alerts(alerts.map(MadeAlert::stored).collect::<Option<_>>()?)
            }
        })
    }

    /// Returns the alerts.
    pub fn alerts_mut(&mut self) -> &mut [MadeAlert] {
        match self {
            Self::Alerts(alerts) => alerts,
            _ => &mut [],
        }
    }
}

impl MadeAlert {
    fn of(source: &Source, policy: &Policy, event: Alert) -> Self {
        let decision = policy.decide(&source.name, event);
        let dropped = decision.dropped_by.is_some();
        let destinations = decision
            .destinations
            .unwrap_or_else(|| source.configured.destinations.clone());
        let grouping = decision.group.as_ref();
        Self {
            dropped,
            dropped_unless_open: decision.dropped_unless_open.is_some(),
            // A resolve goes where its alert went.
            destinations: (!dropped && decision.alert.status == Status::Trigger)
                .then_some(destinations),
            group: grouping.map(|grouping| group::key(&grouping.shared)),
            in_storm: grouping.is_some_and(|grouping| grouping.guard.is_some()),
            resolve_after: decision.resolve_after.map(|time| time.as_secs()),
            alert: decision.alert,
        }
    }

    /// Returns a stored alert; none where its content is gone.
    fn stored(record: &AlertRecord) -> Option<Self> {
        if record.is_evicted() {
            return None;
        }
        let is_trigger = record.event.status == Status::Trigger;
        let mut destinations: Vec<String> = Vec::new();
        for delivery in &record.deliveries {
            if delivery.fallback_for.is_none() && !destinations.contains(&delivery.destination) {
                destinations.push(delivery.destination.clone());
            }
        }
        let note = record.note.as_deref();
        Some(Self {
            alert: record.event.clone(),
            dropped: note.is_some_and(|note| note.starts_with(DROPPED)),
            dropped_unless_open: false,
            destinations: (is_trigger && !destinations.is_empty()).then_some(destinations),
            group: record
                .group
                .as_ref()
                .filter(|_| is_trigger)
                .map(|group| group.key.clone()),
            in_storm: false,
            resolve_after: None,
        })
    }

    /// Takes over from a stored alert what the store does not tell of it.
    pub fn align(&mut self, stored: &Self) {
        if stored.destinations.is_none() {
            self.destinations = None;
        }
        if self.dropped_unless_open {
            self.dropped = stored.dropped;
        }
        if self.in_storm {
            self.group.clone_from(&stored.group);
        }
        self.resolve_after = None;
    }
}
