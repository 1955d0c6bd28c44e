//! The metrics, under the names that `/metrics` shows.
//!
//! Names follow Prometheus' conventions: base units, `_seconds`, and `_total` (which the text
//! encoder appends to counters). Labels hold only words of the operator (names of sources and
//! destinations) or of this code (outcomes, kinds, states), so that no sender can grow the number
//! of series. A series whose labels are known is there from the start, at zero: a rate needs a value
//! before the first event.

mod activity;
mod durations;
mod exposition;
mod labels;
#[cfg(target_os = "linux")]
mod process;
mod ring;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use activity::{Activity, BUCKET, BUCKETS, Counts, Series};
pub use durations::{Durations, Quantiles};
pub use exposition::Format;
pub use labels::{
    CauseLabel, DeliveryLabels, DestinationLabel, DestinationStateLabels, FailureLabels,
    FallbackLabels, HandshakeLabels, ListenerLabel, OutcomeLabel, PingLabel, PriorityLabels,
    ReasonLabels, ReloadLabels, RequestLabels, SourceLabel, StateLabel,
};

/// A gauge of seconds, or of a point in time in seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// Every metric. Clones share the same counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests answered, by source and outcome.
    pub requests: Family<RequestLabels, Counter>,
    /// From the head of a request to its answer.
    pub request_duration: Family<SourceLabel, Histogram, fn() -> Histogram>,
    /// The time of each source's last authentic request: Unix time.
    pub source_last_seen: Family<SourceLabel, Seconds>,
    /// 1 for a source with a missed heartbeat: no request for as long as `expect_every` says.
    pub source_heartbeat_missed: Family<SourceLabel, Gauge>,
    /// The time a plugin took to read a request.
    pub plugin_duration: Family<SourceLabel, Histogram, fn() -> Histogram>,
    /// Plugin calls that failed, by kind.
    pub plugin_failures: Family<FailureLabels, Counter>,
    /// Alerts for requests that could not be read, by source and reason.
    pub unreadable: Family<ReasonLabels, Counter>,
    /// Notes of plugins on how alerts were made, by source and kind.
    pub notes: Family<FailureLabels, Counter>,
    /// Alerts accepted (duplicates not counted), by source and priority.
    pub alerts_accepted: Family<PriorityLabels, Counter>,
    /// Delivery attempts, by destination and outcome.
    pub deliveries: Family<DeliveryLabels, Counter>,
    /// The time from the first byte of an attempt to the end of its answer.
    pub delivery_duration: Family<DestinationLabel, Histogram, fn() -> Histogram>,
    /// 1 for the current state of a destination, 0 for the others.
    pub destination_state: Family<DestinationStateLabels, Gauge>,
    /// The first failed attempt since each destination accepted an alert: Unix time, 0 where none
    /// has failed.
    pub destination_failing_since: Family<DestinationLabel, Seconds>,
    /// Alerts that wait for each destination.
    pub destination_pending: Family<DestinationLabel, Gauge<i64, AtomicI64>>,
    /// The age of the oldest of them; 0 where there is none.
    pub destination_oldest_pending: Family<DestinationLabel, Seconds>,
    /// Alerts that went to the fallback of a destination.
    pub fallbacks: Family<FallbackLabels, Counter>,
    /// Alerts in the store, by state.
    pub alerts: Family<StateLabel, Gauge<i64, AtomicI64>>,
    /// Failed requests: stored for replay because their plugin failed.
    pub requests_failed: Gauge<i64, AtomicI64>,
    /// The age of the oldest undelivered alert; 0 where there is none.
    pub oldest_undelivered: Seconds,
    /// Requests that retention removed, by cause.
    pub retention_removed: Family<CauseLabel, Counter>,
    /// The time of the last complete sweep: Unix time.
    pub retention_last_sweep: Seconds,
    /// Bytes of the store in use, bounded by `[retention] size`.
    pub store_size: Gauge<i64, AtomicI64>,
    /// Alerts by which repeats are known, whether or not what they said is kept.
    pub store_identities: Gauge<i64, AtomicI64>,
    /// Bytes of the write-ahead log beside the store.
    pub store_log_size: Gauge<i64, AtomicI64>,
    /// Requests that wait in the spool of this gateway for the database.
    pub spooled: Gauge<i64, AtomicI64>,
    /// 1 where this gateway delivers, for all that share its store.
    pub leads: Gauge,
    /// Gateways that have shared its store, by state; none where it is alone.
    pub nodes: Family<StateLabel, Gauge<i64, AtomicI64>>,
    /// The time from the begin of a group commit to its sync.
    pub commit_duration: Histogram,
    /// The number of appends and settlements in one group commit.
    pub commit_group: Histogram,
    /// The expiry of the certificate in use, by listener: Unix time.
    pub tls_certificate_expiry: Family<ListenerLabel, Seconds>,
    /// Certificates found in place of the one in use, by listener and outcome.
    pub tls_reloads: Family<ReloadLabels, Counter>,
    /// TLS handshakes that failed, by listener and reason.
    pub tls_handshakes_failed: Family<HandshakeLabels, Counter>,
    /// Configurations read again, by outcome.
    pub reloads: Family<OutcomeLabel, Counter>,
    /// 1 where the last configuration that was read is in use, 0 where it was refused.
    pub last_reload_successful: Gauge,
    /// The time when the configuration in use was taken up: Unix time.
    pub last_reload_success: Seconds,
    /// Outgoing heartbeats, by outcome.
    pub pings: Family<PingLabel, Counter>,
    /// The time of the last heartbeat that was taken: Unix time, 0 where none was.
    pub ping_last_sent: Seconds,
    /// Requests and deliveries of the last day, for the pages.
    pub activity: Activity,
    /// The time that attempts took, for the pages.
    pub durations: Durations,
    registry: Arc<Registry>,
}

/// 50 µs to 10 s: a plugin's call at one end, a slow destination at the other.
fn durations() -> Histogram {
    Histogram::new([
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
        1.0, 2.5, 5.0, 10.0,
    ])
}

impl Metrics {
    /// Creates and registers all metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = durations;
        let mut metrics = Self {
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            source_last_seen: Family::default(),
            source_heartbeat_missed: Family::default(),
            plugin_duration: Family::new_with_constructor(histogram),
            plugin_failures: Family::default(),
            unreadable: Family::default(),
            notes: Family::default(),
            alerts_accepted: Family::default(),
            deliveries: Family::default(),
            delivery_duration: Family::new_with_constructor(histogram),
            destination_failing_since: Family::default(),
            destination_state: Family::default(),
            destination_pending: Family::default(),
            destination_oldest_pending: Family::default(),
            fallbacks: Family::default(),
            alerts: Family::default(),
            requests_failed: Gauge::default(),
            oldest_undelivered: Seconds::default(),
            retention_removed: Family::default(),
            retention_last_sweep: Seconds::default(),
            store_size: Gauge::default(),
            store_identities: Gauge::default(),
            store_log_size: Gauge::default(),
            spooled: Gauge::default(),
            leads: Gauge::default(),
            nodes: Family::default(),
            commit_duration: durations(),
            commit_group: Histogram::new([
                1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
            ]),
            tls_certificate_expiry: Family::default(),
            tls_reloads: Family::default(),
            tls_handshakes_failed: Family::default(),
            reloads: Family::default(),
            last_reload_successful: Gauge::default(),
            last_reload_success: Seconds::default(),
            pings: Family::default(),
            ping_last_sent: Seconds::default(),
            activity: Activity::default(),
            durations: Durations::default(),
            registry: Arc::default(),
        };
        metrics.register(registry.sub_registry_with_prefix("alert_gateway"));
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(process::OfProcess::new()));
        metrics.registry = Arc::new(registry);
        metrics.begin();
        metrics
    }

    fn register(&self, r: &mut Registry) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The running program", build);
        r.register("requests", "Requests answered", self.requests.clone());
        let help = "From the head of a request to its answer";
        r.register_with_unit(
            "request_duration",
            help,
            Unit::Seconds,
            self.request_duration.clone(),
        );
        let help = "When the source was last heard of, in Unix time";
        r.register(
            "source_last_seen_timestamp_seconds",
            help,
            self.source_last_seen.clone(),
        );
        let help = "1 for a source of which nothing has come for as long as expect_every says";
        r.register(
            "source_heartbeat_missed",
            help,
            self.source_heartbeat_missed.clone(),
        );
        let help = "The time a plugin took to read a request";
        r.register_with_unit(
            "plugin_duration",
            help,
            Unit::Seconds,
            self.plugin_duration.clone(),
        );
        r.register(
            "plugin_failures",
            "Plugin calls that failed",
            self.plugin_failures.clone(),
        );
        r.register(
            "unreadable",
            "Alerts for requests that could not be read",
            self.unreadable.clone(),
        );
        r.register(
            "notes",
            "Notes of plugins on how alerts were made",
            self.notes.clone(),
        );
        r.register(
            "alerts_accepted",
            "Alerts accepted, without duplicates",
            self.alerts_accepted.clone(),
        );
        r.register(
            "delivery_attempts",
            "Attempts at delivery",
            self.deliveries.clone(),
        );
        let help = "The time that one attempt at delivery took";
        r.register_with_unit(
            "delivery_duration",
            help,
            Unit::Seconds,
            self.delivery_duration.clone(),
        );
        let help = "Alerts that went to the fallback of a destination, because it did not take them in time or rejected them";
        r.register("fallbacks", help, self.fallbacks.clone());
        let help = "Alerts that wait for a destination";
        r.register(
            "destination_pending",
            help,
            self.destination_pending.clone(),
        );
        let help = "The age of the oldest alert that waits for a destination, 0 where none does";
        let oldest = self.destination_oldest_pending.clone();
        r.register_with_unit("destination_oldest_pending", help, Unit::Seconds, oldest);
        let help = "1 for the state that the destination is in";
        r.register("destination_state", help, self.destination_state.clone());
        let help = "The first failed attempt since the destination accepted an alert, in Unix time; 0 where none has failed";
        let failing_since = self.destination_failing_since.clone();
        r.register(
            "destination_failing_since_timestamp_seconds",
            help,
            failing_since,
        );
        r.register("alerts", "Alerts kept, by state", self.alerts.clone());
        let help = "Failed requests: their plugin failed and they are stored; `events replay` reads them again";
        r.register("requests_failed", help, self.requests_failed.clone());
        let help = "The age of the oldest alert that is not delivered";
        r.register_with_unit(
            "oldest_undelivered",
            help,
            Unit::Seconds,
            self.oldest_undelivered.clone(),
        );
        let help = "Requests that retention removed because of their age, or because of the size of all; all delivered";
        r.register(
            "retention_removed_requests",
            help,
            self.retention_removed.clone(),
        );
        let help = "When retention last looked at all that may go, in Unix time";
        r.register(
            "retention_last_sweep_timestamp_seconds",
            help,
            self.retention_last_sweep.clone(),
        );
        let help = "Alerts by which repeats are known; [retention] identities bounds them at 256 bytes each";
        r.register("store_identities", help, self.store_identities.clone());
        let help = "Requests that wait in the spool of this gateway, on its own disk, until the database takes them";
        r.register("spooled", help, self.spooled.clone());
        let help = "1 where this gateway delivers, for all that share its store";
        r.register("leads", help, self.leads.clone());
        let help = "Gateways that have shared the store, by state";
        r.register("nodes", help, self.nodes.clone());
        let help = "What the store holds; above [retention] size only by what is not delivered, or by identities alone";
        r.register_with_unit("store_size", help, Unit::Bytes, self.store_size.clone());
        let help = "The log of the store's latest changes; it grows where it cannot be folded into the store's file";
        r.register_with_unit(
            "store_log_size",
            help,
            Unit::Bytes,
            self.store_log_size.clone(),
        );
        let help = "The time that one group took to reach the disk";
        r.register_with_unit(
            "store_commit_duration",
            help,
            Unit::Seconds,
            self.commit_duration.clone(),
        );
        let help = "How many appends and settlements shared one commit";
        r.register("store_commit_group_size", help, self.commit_group.clone());
        let help = "When the certificate in use expires, in Unix time";
        r.register(
            "tls_certificate_expiry_timestamp_seconds",
            help,
            self.tls_certificate_expiry.clone(),
        );
        r.register(
            "tls_reloads",
            "Certificates found in place of the one in use",
            self.tls_reloads.clone(),
        );
        r.register(
            "tls_handshakes_failed",
            "TLS handshakes that failed",
            self.tls_handshakes_failed.clone(),
        );
        r.register("reloads", "Configurations read again", self.reloads.clone());
        r.register(
            "heartbeats_sent",
            "Heartbeats of the gateway itself",
            self.pings.clone(),
        );
        let help = "When the last heartbeat of the gateway itself was taken, in Unix time";
        r.register(
            "heartbeat_last_sent_timestamp_seconds",
            help,
            self.ping_last_sent.clone(),
        );
        let help = "1 where the last configuration that was read is in use, 0 where it was refused";
        r.register(
            "config_last_reload_successful",
            help,
            self.last_reload_successful.clone(),
        );
        let help = "When the configuration in use was taken up, in Unix time";
        r.register(
            "config_last_reload_success_timestamp_seconds",
            help,
            self.last_reload_success.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
