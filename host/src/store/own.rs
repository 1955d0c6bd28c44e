//! Alerts that the gateway makes for a source of its configuration.

use plugin_sdk::contract;

use super::ids::alert_ids;
use super::keys::{self, Key, Timer};
use super::request::NewAlert;
use super::step::Step;
use super::{StoreError, internal, put};
use crate::alert::Alert;

/// Adds an alert that the gateway made for a source, as that of a request without a sender. It is
/// resolved after a time, where that is not `None`.
pub fn own(
    step: &mut Step<'_>,
    source: &str,
    destinations: &[impl AsRef<str>],
    mut event: contract::Alert,
    resolve_after_ms: Option<i64>,
    at_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    // No number is given twice.
    event.event_id = format!("alert-gateway/{}", *step.next_seq);
    own_as(
        step,
        source,
        destinations,
        event,
        resolve_after_ms,
        at_ms,
        now_ms,
    )
}

/// Adds an alert that the gateway made for a source, under its own event id.
pub fn own_as(
    step: &mut Step<'_>,
    source: &str,
    destinations: &[impl AsRef<str>],
    event: contract::Alert,
    resolve_after_ms: Option<i64>,
    at_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let seq = internal::request(step, source, at_ms)?;
    let [first, _] = alert_ids(seq);
    let alert = Alert {
        source: source.to_owned(),
        request: String::new(),
        received_at: String::new(),
        event,
    };
    let mut alert =
        NewAlert::new(&alert, destinations).map_err(|error| StoreError::Disk(error.to_string()))?;
    keys::end_everywhere(step, &mut alert)?;
    if let Some(resolve_after_ms) = resolve_after_ms {
        let key = Key {
            own: true,
            ..Key::default()
        };
        let timer = Timer {
            source: step.source(source)?,
            resolve_after_ms,
            now_ms,
        };
        let mut destinations = alert.destinations.clone();
        keys::add(&mut destinations, keys::noted(step, alert.ordering_key)?);
        keys::replace(
            step,
            alert.ordering_key,
            first,
            key,
            &destinations,
            Some(&timer),
        )?;
    }
    match put::known(step, first, &alert)? {
        None => put::put(step, first, &alert, None, true, now_ms),
        // A plugin has made an event of that id.
        Some(_) => Ok(()),
    }
}
