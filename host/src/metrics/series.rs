//! The series that are there from the start, at zero, and their end.
//!
//! A rate needs a value before the first event, and an alert on an absent series never fires. So
//! the series of a source begin when it is configured, and end with it.

use std::sync::Arc;

use super::{
    CauseLabel, DeliveryLabels, DestinationLabel, DestinationStateLabels, FailureLabels,
    FallbackLabels, HandshakeLabels, ListenerLabel, Metrics, OutcomeLabel, PingLabel,
    PriorityLabels, ReloadLabels, RequestLabels, SourceLabel,
};

const ATTEMPTS: [&str; 4] = ["accepted", "retry", "blocked", "rejected"];
const PRIORITIES: [&str; 4] = ["critical", "high", "medium", "low"];
const STATES: [&str; 3] = ["healthy", "failing", "held"];
/// The reasons why a TLS handshake fails.
const HANDSHAKES: [&str; 6] = [
    "not_tls",
    "client_certificate",
    "refused_by_client",
    "incompatible",
    "too_slow",
    "broken",
];

impl Metrics {
    /// Begins the series that no configuration names.
    pub(super) fn begin(&self) {
        for cause in ["age", "size"] {
            drop(self.retention_removed.get_or_create(&CauseLabel { cause }));
        }
        for outcome in ["taken_up", "refused"] {
            drop(self.reloads.get_or_create(&OutcomeLabel { outcome }));
        }
        for outcome in ["sent", "failed", "withheld"] {
            drop(self.pings.get_or_create(&PingLabel { outcome }));
        }
        let unknown = RequestLabels {
            source: "".into(),
            outcome: "unknown_source",
        };
        drop(self.requests.get_or_create(&unknown));
    }

    /// Begins the series of a source: its requests by `outcomes`, failures of its plugin by
    /// `failures`.
    pub fn add_source(
        &self,
        name: &Arc<str>,
        outcomes: &[&'static str],
        failures: &[&'static str],
    ) {
        let label = SourceLabel {
            source: Arc::clone(name),
        };
        drop(self.request_duration.get_or_create(&label));
        drop(self.plugin_duration.get_or_create(&label));
        for labels in requests(name, outcomes) {
            drop(self.requests.get_or_create(&labels));
        }
        for labels in plugin_failures(name, failures) {
            drop(self.plugin_failures.get_or_create(&labels));
        }
        for labels in alerts_accepted(name) {
            drop(self.alerts_accepted.get_or_create(&labels));
        }
    }

    /// Ends the series of a source that is not configured any more, those of
    /// [`add_source`](Self::add_source). Its counters begin anew where it is configured again.
    pub fn remove_source(
        &self,
        name: &Arc<str>,
        outcomes: &[&'static str],
        failures: &[&'static str],
    ) {
        let label = SourceLabel {
            source: Arc::clone(name),
        };
        self.request_duration.remove(&label);
        self.plugin_duration.remove(&label);
        for labels in requests(name, outcomes) {
            self.requests.remove(&labels);
        }
        for labels in plugin_failures(name, failures) {
            self.plugin_failures.remove(&labels);
        }
        for labels in alerts_accepted(name) {
            self.alerts_accepted.remove(&labels);
        }
    }

    /// Begins the series of a destination, with its `fallback`.
    pub fn add_destination(&self, name: &Arc<str>, fallback: Option<&str>) {
        let destination = || Arc::clone(name);
        let label = DestinationLabel {
            destination: destination(),
        };
        drop(self.delivery_duration.get_or_create(&label));
        drop(self.destination_failing_since.get_or_create(&label));
        drop(self.destination_pending.get_or_create(&label));
        drop(self.destination_oldest_pending.get_or_create(&label));
        for labels in deliveries(name) {
            drop(self.deliveries.get_or_create(&labels));
        }
        if let Some(fallback) = fallback {
            let labels = FallbackLabels {
                destination: destination(),
                fallback: fallback.into(),
            };
            drop(self.fallbacks.get_or_create(&labels));
        }
    }

    /// Ends the series of a destination that is not configured any more. Its counters begin anew
    /// where it is configured again.
    pub fn remove_destination(&self, name: &Arc<str>) {
        let destination = || Arc::clone(name);
        let label = DestinationLabel {
            destination: destination(),
        };
        self.delivery_duration.remove(&label);
        self.destination_failing_since.remove(&label);
        self.destination_pending.remove(&label);
        self.destination_oldest_pending.remove(&label);
        for labels in deliveries(name) {
            self.deliveries.remove(&labels);
        }
        for state in STATES {
            self.destination_state.remove(&DestinationStateLabels {
                destination: destination(),
                state,
            });
        }
    }

    /// Returns the listeners that speak TLS, each with the end of its certificate: Unix seconds.
    pub fn certificates(&self) -> Vec<(&'static str, f64)> {
        let ends = ["listen", "admin"].map(|listener| {
            let label = ListenerLabel { listener };
            let end = self.tls_certificate_expiry.get(&label)?.get();
            Some((listener, end))
        });
        ends.into_iter().flatten().collect()
    }

    /// Begins the series of a TLS listener.
    pub fn add_tls_listener(&self, listener: &'static str) {
        drop(
            self.tls_certificate_expiry
                .get_or_create(&ListenerLabel { listener }),
        );
        for outcome in ["replaced", "refused"] {
            drop(
                self.tls_reloads
                    .get_or_create(&ReloadLabels { listener, outcome }),
            );
        }
        for reason in HANDSHAKES {
            drop(
                self.tls_handshakes_failed
                    .get_or_create(&HandshakeLabels { listener, reason }),
            );
        }
    }
}

/// Returns the labels of a source's requests, one for each outcome.
fn requests(source: &Arc<str>, outcomes: &[&'static str]) -> impl Iterator<Item = RequestLabels> {
    outcomes.iter().map(|outcome| RequestLabels {
        source: Arc::clone(source),
        outcome,
    })
}

/// Returns the labels of the failures of a source's plugin, one for each kind.
fn plugin_failures(
    source: &Arc<str>,
    kinds: &[&'static str],
) -> impl Iterator<Item = FailureLabels> {
    kinds.iter().map(|kind| FailureLabels {
        source: Arc::clone(source),
        kind,
    })
}

/// Returns the labels of a source's alerts, one for each priority.
fn alerts_accepted(source: &Arc<str>) -> impl Iterator<Item = PriorityLabels> {
    PRIORITIES.iter().map(|priority| PriorityLabels {
        source: Arc::clone(source),
        priority,
    })
}

/// Returns the labels of the attempts at a destination, one for each outcome.
fn deliveries(destination: &Arc<str>) -> impl Iterator<Item = DeliveryLabels> {
    ATTEMPTS.iter().map(|outcome| DeliveryLabels {
        destination: Arc::clone(destination),
        outcome,
    })
}
