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
        let source = || Arc::clone(name);
        let label = SourceLabel { source: source() };
        drop(self.request_duration.get_or_create(&label));
        drop(self.plugin_duration.get_or_create(&label));
        for &outcome in outcomes {
            let labels = RequestLabels {
                source: source(),
                outcome,
            };
            drop(self.requests.get_or_create(&labels));
        }
        for &kind in failures {
            let labels = FailureLabels {
                source: source(),
                kind,
            };
            drop(self.plugin_failures.get_or_create(&labels));
        }
        for priority in PRIORITIES {
            let labels = PriorityLabels {
                source: source(),
                priority,
            };
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
        let source = || Arc::clone(name);
        let label = SourceLabel { source: source() };
        self.request_duration.remove(&label);
        self.plugin_duration.remove(&label);
        for &outcome in outcomes {
            self.requests.remove(&RequestLabels {
                source: source(),
                outcome,
            });
        }
        for &kind in failures {
            self.plugin_failures.remove(&FailureLabels {
                source: source(),
                kind,
            });
        }
        for priority in PRIORITIES {
            self.alerts_accepted.remove(&PriorityLabels {
                source: source(),
                priority,
            });
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
        for outcome in ATTEMPTS {
            let labels = DeliveryLabels {
                destination: destination(),
                outcome,
            };
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
        for outcome in ATTEMPTS {
            self.deliveries.remove(&DeliveryLabels {
                destination: destination(),
                outcome,
            });
        }
        for state in STATES {
            self.destination_state.remove(&DestinationStateLabels {
                destination: destination(),
                state,
            });
        }
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
