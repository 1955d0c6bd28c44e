//! Adding alerts and their deliveries to a request, or counting what they repeat.

use rusqlite::params;

use super::ids::alert_ids;
use super::put::{CARRIED, all_carried, deliver_to, known, put};
use super::repeats::Repeat;
use super::request::{Appended, NewAlert, Proofs};
use super::step::Step;
use super::tracking::{self, Way};
use super::{ALERTS_PER_REQUEST, StoreError};

/// The origin of alerts: the part that all alerts of one request share.
pub struct Origin<'a> {
    pub seq: i64,
    /// The stored id of the request.
    pub request: &'a [u8],
    /// Unix milliseconds, by the machine's clock.
    pub at_ms: i64,
}

/// Adds what was read from a request. Where one of its proofs was seen before, nothing is added.
pub fn keep_alerts(
    step: &mut Step<'_>,
    origin: &Origin<'_>,
    alerts: &[NewAlert],
    proofs: &Proofs,
) -> Result<Appended, StoreError> {
    if !proofs.may_be_known()
        && let Some(alert) = seen(step, proofs, origin.at_ms)?
    {
        repeat(step, alert, origin);
        return Ok(Appended {
            accepted: 0,
            duplicates: alerts.len(),
        });
    }
    let [first, _] = alert_ids(origin.seq);
    let mut accepted = 0;
    let mut first_new = None;
    for (id, alert) in (first..).zip(alerts.iter().take(ALERTS_PER_REQUEST - 1)) {
        match known(step, id, alert)? {
            Some(earlier) => repeat(step, earlier, origin),
            None => {
                insert(step, id, alert)?;
                accepted += 1;
                first_new.get_or_insert(id);
            }
        }
    }
    if let Some(first_new) = first_new {
        for hash in proofs.hashes() {
            step.identify(*hash, first_new)?;
        }
    }
    Ok(Appended {
        accepted,
        duplicates: alerts.len() - accepted,
    })
}

/// Returns the alert of an earlier request with one of these proofs. It counts still at `at_ms`.
fn seen(step: &Step<'_>, proofs: &Proofs, at_ms: i64) -> Result<Option<i64>, StoreError> {
    for hash in proofs.hashes() {
        let Some(alert) = step.known_as(*hash)? else {
            continue;
        };
        let mut select = step.transaction.prepare_cached(
            "SELECT 1 FROM requests WHERE seq = ?1 AND (proofs_until IS NULL OR proofs_until >= ?2)",
        )?;
        if select.exists([alert / ALERTS_PER_REQUEST as i64, at_ms])? {
            return Ok(Some(alert));
        }
    }
    Ok(None)
}

fn repeat(step: &mut Step<'_>, alert: i64, origin: &Origin<'_>) {
    step.repeats.push((
        alert,
        Repeat {
            times: 1,
            at_ms: origin.at_ms,
            request: origin.request.to_vec(),
        },
    ));
}

/// The reason for which an alert is ignored that comes after one of its key with a greater order.
const TOO_LATE: &str = "a later event of the same key was seen before it";

/// Returns whether an alert of this key with a greater order was seen before; otherwise alert `id`
/// has the greatest now.
fn is_too_late(step: &Step<'_>, id: i64, alert: &NewAlert) -> Result<bool, StoreError> {
    let Some(order) = alert.order else {
        return Ok(false);
    };
    let raised = step
        .transaction
        .prepare_cached(
            "INSERT INTO orders (ordering_key, greatest, alert) VALUES (?1, ?2, ?3)
             ON CONFLICT (ordering_key) DO UPDATE SET greatest = ?2, alert = ?3 WHERE orders.greatest <= ?2",
        )?
        .execute(params![alert.ordering_key, order, id])?;
    Ok(raised == 0)
}

/// Adds an alert whose identity was taken down, and a delivery for each of its destinations. One
/// that comes too late in the order of its key has none, and neither has a member of a group.
fn insert(step: &mut Step<'_>, id: i64, alert: &NewAlert) -> Result<(), StoreError> {
    let now_ms = step.touched.now_ms;
    let too_late = is_too_late(step, id, alert)?;
    if let Some(ignored) = alert.ignored.as_deref().or(too_late.then_some(TOO_LATE)) {
        return put(step, id, alert, Some(ignored), !too_late, now_ms);
    }
    let source = step.source(&alert.source)?;
    let open;
    let destinations = match tracking::place(step, id, source, alert)? {
        Way::Out => &alert.destinations,
        Way::To(destinations) => {
            open = destinations;
            &open
        }
        Way::Group | Way::Muted => return put(step, id, alert, None, false, now_ms),
        Way::Nowhere(why) => return put(step, id, alert, Some(&why), false, now_ms),
    };
    if all_carried(step, id, alert, destinations)? {
        return put(step, id, alert, Some(CARRIED), false, now_ms);
    }
    put(step, id, alert, None, false, now_ms)?;
    deliver_to(step, id, source, alert, destinations, now_ms)
}
