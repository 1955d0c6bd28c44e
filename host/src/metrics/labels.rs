//! The labels of metrics. They hold only words of the operator or of this code.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;

/// The source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabel {
    /// Its name in the configuration.
    pub source: Arc<str>,
}

/// The destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationLabel {
    /// Its name in the configuration.
    pub destination: Arc<str>,
}

/// The state of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// `pending`, `delivered` or `dead`.
    pub state: &'static str,
}

/// The source and the end of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The source's name; empty where the request named none that exists.
    pub source: Arc<str>,
    /// `accepted`, `ignored`, `kept`, `replied`, or the reason of the refusal.
    pub outcome: &'static str,
}

/// The reason for which a request could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// The source's name.
    pub source: Arc<str>,
    /// The plugin's word for it, of which each source has a bounded number.
    pub reason: Arc<str>,
}

/// The source and the kind of a plugin's failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailureLabels {
    /// The source's name.
    pub source: Arc<str>,
    /// The kind of failure, such as `trap` or `time`.
    pub kind: &'static str,
}

/// The source and the priority of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PriorityLabels {
    /// The source's name.
    pub source: Arc<str>,
    /// `critical`, `high`, `medium` or `low`.
    pub priority: &'static str,
}

/// The cause of a removal by retention.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabel {
    /// `age` or `size`.
    pub cause: &'static str,
}

/// The destination and the outcome of a delivery attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// The destination's name.
    pub destination: Arc<str>,
    /// `accepted`, `retry`, `blocked` or `rejected`.
    pub outcome: &'static str,
}

/// A destination, and one of its possible states.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationStateLabels {
    /// The destination's name.
    pub destination: Arc<str>,
    /// `healthy`, `failing` or `held`.
    pub state: &'static str,
}

/// A destination and its fallback.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FallbackLabels {
    /// The destination's name.
    pub destination: Arc<str>,
    /// The name of its fallback.
    pub fallback: Arc<str>,
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabel {
    /// `listen` or `admin`, as in the configuration.
    pub listener: &'static str,
}

/// The listener, and the outcome of loading a new certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabels {
    /// `listen` or `admin`.
    pub listener: &'static str,
    /// `replaced`, or `refused` where the old one stays.
    pub outcome: &'static str,
}

/// The outcome of an outgoing heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PingLabel {
    /// `sent`, `failed`, or `withheld` while the gateway is not well.
    pub outcome: &'static str,
}

/// The outcome of a reload of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// `taken_up`, or `refused` where all stays as it was.
    pub outcome: &'static str,
}

/// The listener, and the reason why a TLS handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandshakeLabels {
    /// `listen` or `admin`.
    pub listener: &'static str,
    /// `not_tls`, `client_certificate`, `refused_by_client`, `incompatible`, `too_slow` or
    /// `broken`.
    pub reason: &'static str,
}
