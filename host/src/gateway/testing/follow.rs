//! The way of a test's alerts from the store to the receipt, and to the receipt of their end.

use std::collections::BTreeSet;
use std::time::Duration;

use plugin_sdk::contract::Status;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Hops, Tester};
use crate::hops::Hop;
use crate::store::{AlertRecord, AttemptRecord, DeliveryRecord, RequestRecord, StoreError};

/// The time in which a destination must have taken an alert and its end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Added to the number of a delivery that is told of while it waits.
const WAITS: usize = 1 << 16;
/// The longest time between two looks at the store.
const LOOK: Duration = Duration::from_secs(1);

impl Tester {
    /// Tells the receipts of a request's alerts as they come.
    pub(super) async fn follow(&self, request: &str, hops: &Hops) {
        let deadline = Instant::now() + PATIENCE;
        let mut commits = self.store.commits();
        let mut told = BTreeSet::new();
        let mut history = match self.store.history() {
            Ok(history) => history,
            Err(error) => return unreadable(&error, hops).await,
        };
        loop {
            let id = request.to_owned();
            let looked = tokio::task::spawn_blocking(move || (history.find(&id), history)).await;
            let Ok((found, reader)) = looked else { return };
            history = reader;
            let record = match found {
                Ok(mut found) => found.pop(),
                Err(error) => return unreadable(&error, hops).await,
            };
            let alerts = record.as_ref().map_or(&[][..], |record| &record.alerts);
            let mut waiting = false;
            for (place, alert) in alerts.iter().enumerate() {
                if let Some(hop) = undelivered(alert) {
                    if told.insert((place, 0)) {
                        hops.tell(hop).await;
                    }
                    continue;
                }
                for (number, delivery) in (1..).zip(&alert.deliveries) {
                    match settled(alert, delivery) {
                        None => {
                            waiting = true;
                            // The end of an alert waits for the same reason.
                            if alert.event.status == Status::Trigger
                                && let Some(why) = self.obstacle(alert, delivery)
                                && told.insert((place, number + WAITS))
                            {
                                let found = format!(
                                    "{} has not taken it yet, and is waited for: {why}",
                                    delivery.destination
                                );
                                hops.tell(Hop::waiting(hop(alert), found)).await;
                            }
                        }
                        Some(hop) => {
                            if told.insert((place, number)) {
                                hops.tell(hop).await;
                            }
                        }
                    }
                }
            }
            if !waiting {
                return;
            }
            if Instant::now() >= deadline {
                return self.late(record.as_ref(), hops).await;
            }
            next(&mut commits, deadline).await;
        }
    }

    /// Tells where an alert waits that was not taken in time.
    async fn late(&self, record: Option<&RequestRecord>, hops: &Hops) {
        let alerts = record.map_or(&[][..], |record| &record.alerts);
        for alert in alerts {
            for delivery in alert.deliveries.iter().filter(|one| one.state == "pending") {
                let name = &delivery.destination;
                let why = self
                    .obstacle(alert, delivery)
                    .unwrap_or_else(|| "others are sent before it".to_owned());
                let found = format!(
                    "{name} has not taken it within {} s: {why}",
                    PATIENCE.as_secs()
                );
                let fix = format!(
                    "it stays on disk, and is sent and resolved once {name} takes alerts; for the reason: \
                     alert-gateway test --destination {name}"
                );
                if !hops.tell(Hop::failed(hop(alert), found, fix)).await {
                    // The end of an alert waits for the same reason.
                    return;
                }
            }
        }
    }
}

impl Tester {
    /// Returns the reason why a delivery waits: of its last attempt, or of its destination.
    fn obstacle(&self, alert: &AlertRecord, delivery: &DeliveryRecord) -> Option<String> {
        let said = last(alert, delivery).and_then(|attempt| attempt.said.clone());
        said.or_else(|| {
            let board = self.health.read();
            let health = board.destinations.get(&delivery.destination)?;
            health.why.clone()
        })
    }
}

async fn unreadable(error: &StoreError, hops: &Hops) {
    let fix = "see the log, and `alert-gateway store check`";
    hops.tell(Hop::failed("store", error.to_string(), fix))
        .await;
}

/// Waits until the store has changed, and some more, because it changes often.
async fn next(commits: &mut watch::Receiver<u64>, deadline: Instant) {
    let _ = timeout_at(deadline, timeout(LOOK, commits.changed())).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn hop(alert: &AlertRecord) -> &'static str {
    if alert.event.status == Status::Resolve {
        "resolve"
    } else {
        "delivery"
    }
}

/// Returns the hop of an alert that goes nowhere.
fn undelivered(alert: &AlertRecord) -> Option<Hop> {
    if !alert.deliveries.is_empty() {
        return None;
    }
    if alert.event.status == Status::Resolve {
        return Some(Hop::passed("resolve", "of what was not delivered"));
    }
    let by = match &alert.mute {
        Some(mute) => {
            let found = format!("mute {} holds it back: {}", mute.id, mute.why);
            let fix = format!("test later, or: alert-gateway mute end {}", mute.id);
            return Some(Hop::failed("delivery", found, fix));
        }
        None => alert.note.clone().unwrap_or_else(|| alert.state.clone()),
    };
    let fix = "a real alert like the sample would go the same way; test with another one: --request FILE.http";
    Some(Hop::failed("delivery", by, fix))
}

/// Returns the hop of a delivery that waits no longer.
fn settled(alert: &AlertRecord, delivery: &DeliveryRecord) -> Option<Hop> {
    let name = &delivery.destination;
    let attempt = last(alert, delivery);
    let took = |hop: Hop| match attempt {
        Some(attempt) => hop.after(Duration::from_micros(attempt.duration_us.unsigned_abs())),
        None => hop,
    };
    let for_another = match &delivery.fallback_for {
        Some(other) => format!(", as the fallback for {other}"),
        None => String::new(),
    };
    match delivery.state.as_str() {
        "pending" => None,
        "delivered" => {
            let receipt = attempt
                .and_then(|attempt| attempt.receipt.as_deref())
                .filter(|receipt| !receipt.is_empty())
                .map_or_else(String::new, |receipt| {
                    format!(", with the receipt {receipt}")
                });
            let found = format!("{name} has taken it{for_another}{receipt}");
            Some(took(Hop::passed(hop(alert), found)))
        }
        _ => {
            let said = attempt
                .and_then(|attempt| attempt.said.clone())
                .unwrap_or_default();
            let found = format!("{name} rejects it{for_another}: {said}");
            let fix = format!(
                "compare the kind, the url and the format in [destinations.{name}] with the service; an alert that is \
                 no test becomes a dead letter"
            );
            Some(took(Hop::failed(hop(alert), found, fix)))
        }
    }
}

/// Returns the last attempt of a delivery.
fn last<'a>(alert: &'a AlertRecord, delivery: &DeliveryRecord) -> Option<&'a AttemptRecord> {
    let mut attempts = alert.attempts.iter().rev();
    attempts.find(|attempt| {
        attempt.destination == delivery.destination && attempt.outcome != "dismissed"
    })
}
