//! The part of intake in a test: its request, and the alerts that are made of it.

use plugin_sdk::contract;

use super::awaited::Awaiting;
use super::prepare::Prepared;
use super::shadow::DROPPED;
use super::{Entrance, Intake};
use crate::alert::{Alert, test};
use crate::clock::wall_ms;
use crate::policy::Mutes;
use crate::sources::{NoSample, Sample};
use crate::store::NewAlert;

impl Intake {
    /// Returns a genuine request of a source: `message`, or the sample of its plugin. `None` where
    /// there is no source of this name.
    pub fn sample(&self, source: &str, message: Option<&str>) -> Option<Result<Sample, NoSample>> {
        let entrances = self.entrances();
        let entrance = entrances.get(source)?;
        let received_at = crate::clock::rfc3339(wall_ms());
        Some(entrance.source.sample(message, &received_at))
    }

    /// Returns the names of the sources.
    pub fn source_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.entrances().keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// Begins to wait for the request of a test with this body, which carries `number`.
    pub fn await_test(&self, number: String, source: &str, body: Vec<u8>) -> Awaiting {
        self.awaited.wait(number, source, body)
    }
}

/// The alerts of a test as the store takes them: each goes where a real one would, in no group, and
/// with the alert that resolves it behind it. Both stand in one transaction, so nothing stays open.
///
/// # Errors
/// Why one cannot be written down.
pub fn prepare(
    entrance: &Entrance,
    request: &str,
    received_at: &str,
    alerts: Vec<contract::Alert>,
    mutes: &Mutes,
) -> Result<Prepared, String> {
    let Entrance { source, policy, .. } = entrance;
    let mut prepared: Vec<NewAlert> = Vec::new();
    let mut masked = Vec::new();
    for (number, mut event) in alerts.into_iter().enumerate() {
        test::mark(&mut event, &format!("source {}", source.name));
        let mut decision = policy.decide(&source.name, event);
        test::identify(&mut decision.alert, request, number);
        masked.append(&mut decision.masked);
        let mut destinations = decision
            .destinations
            .unwrap_or_else(|| source.configured.destinations.clone());
        // There a test could not be told from what it tests.
        destinations.retain(|name| !source.configured.originals.contains(name));
        let of = |event| Alert {
            source: source.name.to_string(),
            request: request.to_owned(),
            received_at: received_at.to_owned(),
            event,
        };
        let over = of(test::resolve(&decision.alert));
        let alert = of(decision.alert);
        let new = |alert| NewAlert::new(alert, &destinations).map_err(|error| error.to_string());
        let opens = new(&alert)?;
        if let Some(rule) = decision.dropped_by {
            prepared.push(opens.ignored(format!("{DROPPED}{rule} of its source")));
            continue;
        }
        if destinations.is_empty() {
            let why =
                "its destination is sent requests as they came, so only the sender can test it";
            prepared.push(opens.ignored(why));
            continue;
        }
        prepared.push(match mutes.of(&source.name, &alert.event, wall_ms()) {
            Some(mute) => opens.muted(mute),
            None => opens,
        });
        prepared.push(new(&over)?);
    }
    Ok(Prepared {
        alerts: prepared,
        masked,
    })
}
