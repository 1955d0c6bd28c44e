//! The alerts of a request as the store takes them: decided by the policy, grouped, muted.

use plugin_sdk::contract;

use super::Entrance;
use super::shadow::DROPPED;
use crate::alert::Alert;
use crate::clock::wall_ms;
use crate::policy::Mutes;
use crate::store::{NewAlert, UnderRules};

/// The alerts of a request, ready for the store.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The alerts.
    pub alerts: Vec<NewAlert>,
    /// The texts that were masked in them, where the stored request is masked as well.
    pub masked: Vec<String>,
}

/// Returns alerts as the store takes them.
///
/// # Errors
/// Why one cannot be written down. That is a failure to read the request: it is stored as failed.
pub(super) fn prepare(
    entrance: &Entrance,
    request: &str,
    received_at: &str,
    alerts: Vec<contract::Alert>,
    mutes: &Mutes,
) -> Result<Prepared, String> {
    let mut masked = Vec::new();
    let now_ms = wall_ms();
    let Entrance {
        source,
        policy,
        operator_destination,
        destinations: configured,
        ..
    } = entrance;
    let prepared = alerts.into_iter().map(|event| {
        let source_name = source.name.to_string();
        let request = request.to_owned();
        let received_at = received_at.to_owned();
        let decision = policy.decide(&source.name, event);
        masked.extend(decision.masked);
        let alert = Alert {
            source: source_name,
            request,
            received_at,
            event: decision.alert,
        };
        let destinations = decision
            .destinations
            .unwrap_or_else(|| source.configured.destinations.clone());
        let mut new = NewAlert::new(&alert, destinations)
            .map_err(|error| error.to_string())?
            .carried(
                &source.configured.originals,
                source.configured.destination(),
            )
            .under_rules(&UnderRules {
                rules: decision.applied,
                changes: decision.changes,
                masked: decision.redacted,
            })
            .map_err(|error| error.to_string())?;
        if let Some(rule) = decision.dropped_by {
            return Ok(new.ignored(format!("{DROPPED}{rule} of its source")));
        }
        if alert.event.status == contract::Status::Resolve {
            new = new.among(configured);
        }
        if let Some(rule) = decision.dropped_unless_open {
            new = new.ignored_unless_open(format!("{DROPPED}{rule} of its source"));
        }
        if let Some(group) = decision.group {
            new = new.grouped(&alert, group, operator_destination.as_deref());
        }
        if let Some(mute) = mutes.of(&source.name, &alert.event, now_ms) {
            new = new.muted(mute);
        }
        if let Some(time) = decision.resolve_after {
            new = new.resolved_after(time);
        }
        Ok(new.at_hand(alert))
    });
    let alerts = prepared.collect::<Result<_, String>>()?;
    Ok(Prepared { alerts, masked })
}
