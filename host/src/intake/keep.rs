//! Keeping what was read, or the raw request where the plugin failed.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use plugin_sdk::contract::{self, ProofIdentity};

use super::admission::REQUEST;
use super::prepare::{Prepared, prepare};
use super::{Ending, Entrance, Intake, Received, trial};
use crate::alert::internal;
use crate::metrics::PriorityLabels;
use crate::sources::{ReadError, Source};
use crate::spans::Below;
use crate::store::{
    Appended, Failure, NewRequest, Notice, Proofs, Reading, Spool, StoreError, UnprovenBounds,
};

/// The failed requests that a source keeps where nothing has proved their senders: a stranger who
/// finds a request that its plugin fails on must not fill the disk with copies of it.
pub(super) const UNPROVEN: UnprovenBounds = UnprovenBounds {
    count: 1000,
    bytes: 64 << 20,
};

/// The time the disk may take for a request: more than another program may hold the file.
const DISK_TIME: Duration = Duration::from_secs(30);

impl Intake {
    /// Keeps a request and its alerts.
    pub(super) async fn keep_alerts(
        &self,
        entrance: &Entrance,
        mut received: Received,
        alerts: Vec<contract::Alert>,
        proof: Option<ProofIdentity>,
    ) -> Ending {
        let source = &entrance.source;
        let mut proofs = proofs(&source.name, received.among_all.take(), proof);
        let priorities: Vec<_> = alerts.iter().map(|alert| alert.priority).collect();
        let at = crate::clock::rfc3339(received.at_ms);
        let prepared = if received.is_test {
            // The sample is signed alike each time.
            proofs = proofs.again();
            trial::prepare(entrance, &received.id, &at, alerts, &self.mutes())
        } else {
            prepare(entrance, &received.id, &at, alerts, &self.mutes())
        };
        let masked = match &prepared {
            Ok(prepared) => prepared.masked.clone(),
            Err(_) => Vec::new(),
        };
        let reading = prepared.map_or_else(
            |reason| {
                let advice = "An alert must become JSON; look at its details.";
                let notice = Some(Box::new(notice(
                    source,
                    &received.id,
                    received.at_ms,
                    "answer",
                    advice,
                )));
                Reading::Failed(Failure {
                    reason,
                    notice,
                    unproven: None,
                })
            },
            |Prepared { alerts, .. }| Reading::Alerts { alerts, proofs },
        );
        let failed = matches!(reading, Reading::Failed(_));
        // A plugin may make more of a request than came in.
        if let Err(why) = received
            .charge
            .cover(REQUEST + received.body.len() + reading.bytes())
        {
            return Ending::NoRoom(why);
        }
        let below = received.below.clone();
        // A test is to find out whether the store takes it.
        let spool = self.spool.as_ref().filter(|_| !received.is_test);
        let request = received.into_request(entrance, &masked);
        match self.append(request, reading, spool, &below).await {
            Err(error) => Ending::Store(error),
            Ok(_) if failed => Ending::Kept,
            Ok(appended) => {
                // Where some were duplicates it is not known which; the first so many stand for the
                // new ones.
                for priority in priorities.into_iter().take(appended.accepted) {
                    let labels = PriorityLabels {
                        source: Arc::clone(&source.name),
                        priority: priority.as_str(),
                    };
                    self.metrics.alerts_accepted.get_or_create(&labels).inc();
                }
                Ending::Accepted {
                    accepted: appended.accepted,
                    duplicates: appended.duplicates,
                }
            }
        }
    }

    /// Has the store keep a request, or the spool while the store does not, unless the disk hangs. A
    /// sender that is told so sends it again; if it was kept after all, its events are known then.
    async fn append(
        &self,
        request: NewRequest,
        reading: Reading,
        spool: Option<&Spool>,
        below: &Below,
    ) -> Result<Appended, StoreError> {
        let mut span = below.part("append");
        let keeping = async {
            match spool {
                Some(spool) => spool.append(&self.store, request, reading).await,
                None => self.store.append(request, reading).await,
            }
        };
        let kept = tokio::time::timeout(DISK_TIME, keeping).await;
        let kept = kept.unwrap_or_else(|_| Err(self.store.hangs()));
        match &kept {
            Ok(appended) => span.set("alert_gateway.accepted", appended.accepted as i64),
            Err(error) => span.fail(|| error.to_string()),
        }
        kept
    }

    /// Stores a request that could not be read, so that it can be once the plugin is fixed.
    pub(super) async fn keep_raw(
        &self,
        entrance: &Entrance,
        received: Received,
        error: &ReadError,
    ) -> Ending {
        let source = &entrance.source;
        let id = received.id.clone();
        let unproven = (!received.proved).then_some(UNPROVEN);
        let notice = notice(source, &id, received.at_ms, error.kind(), error.advice());
        let reason = entrance.said(&error.to_string());
        let reading = Reading::Failed(Failure {
            reason: reason.clone(),
            notice: Some(Box::new(notice)),
            unproven,
        });
        let below = received.below.clone();
        let request = received.into_request(entrance, &[]);
        let spool = self.spool.as_ref();
        match self.append(request, reading, spool, &below).await {
            Err(StoreError::Unproven(_)) => Ending::QuotaUsedUp,
            Err(error) => Ending::Store(error),
            Ok(_) => {
                let source = &*source.name;
                let kind = error.kind();
                // Senders can cause it as often as they like. Each request is in the store, and
                // `events list` shows it.
                if let Some(left_out) = self.throttle.due(source, kind) {
                    let help = format!(
                        "fix the plugin, reload (SIGHUP) or restart, then: alert-gateway events replay {id}"
                    );
                    tracing::error!(
                        source,
                        request = id,
                        kind,
                        error = reason,
                        help,
                        left_out,
                        "the plugin failed; the request is stored as failed"
                    );
                } else {
                    tracing::debug!(
                        source,
                        request = id,
                        kind,
                        error = reason,
                        "the plugin failed again; the request is stored as failed"
                    );
                }
                Ending::Kept
            }
        }
    }
}

/// In the place of a source's name, for a proof that is remembered for all sources. In the text that
/// Twilio signs, nothing stands between the URL and the fields: a signature for `twilio-prod` fits a
/// request to `twilio` whose first field begins with `-prod`. No source has an empty name.
const EVERY_SOURCE: &str = "";

/// The proof of a request as the store remembers it, so that a recorded request opens and closes
/// nothing. `among_all` is its identity among the requests to all sources, where it has one.
pub(super) fn proofs(
    source: &str,
    among_all: Option<ProofIdentity>,
    proof: Option<ProofIdentity>,
) -> Proofs {
    let (source, proof) = match among_all {
        Some(among_all) => (EVERY_SOURCE, Some(among_all)),
        None => (source, proof),
    };
    let Some(ProofIdentity { id, expires_at }) = proof else {
        return Proofs::default();
    };
    let until = expires_at
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .map(jiff::Timestamp::as_millisecond);
    Proofs::new(source, [id], until)
}

/// Returns the internal alert about a request that `source` could not read.
fn notice(source: &Source, request: &str, at_ms: i64, kind: &str, advice: &str) -> Notice {
    let event = internal::plugin_failed(&source.name, source.plugin.name(), kind, advice, request);
    Notice {
        destination: source.destination.to_string(),
        event,
        at_ms,
    }
}

impl Received {
    /// Returns the request as it is stored. `masked` are the texts that were masked in its alerts.
    fn into_request(self, entrance: &Entrance, masked: &[String]) -> NewRequest {
        let mut request = NewRequest {
            id: self.id,
            source: entrance.source.name.to_string(),
            received_at: self.at_ms,
            method: self.method.as_str().to_owned(),
            url: self.url,
            headers: self.headers.get().to_owned(),
            body: Bytes::new(),
            plugin: entrance.plugin,
            redacted: None,
            sender: None,
            began: Some(self.began),
        };
        let mut sender = self.sender;
        let Some(redactor) = entrance.policy.stored() else {
            request.body = self.charge.on(self.body);
            request.sender = sender.stored();
            return request;
        };
        let headers: Vec<(String, String)> =
            serde_json::from_str(&request.headers).unwrap_or_default();
        let stored = redactor.redact(&request.url, &headers, &self.body, masked);
        // An address is one of the things that may be masked in the headers.
        sender.client = None;
        request.sender = sender.stored();
        request.url = stored.url;
        request.headers = serde_json::to_string(&stored.headers).unwrap_or_default();
        request.body = self.charge.on(stored.body);
        request.redacted = Some(i64::try_from(stored.places).unwrap_or(i64::MAX));
        request
    }
}
