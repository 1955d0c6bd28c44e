//! A plugin's notes on how it made its alerts: counted, and logged now and then.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_sdk::contract::Alert;

use super::{Entrance, Intake};
use crate::metrics::{FailureLabels, ReasonLabels};

/// The reasons of one source that have a series of their own. A plugin has a handful; beyond that
/// they are not what the contract calls a reason, and a sender could be behind them.
const REASONS: usize = 16;
/// Bytes of a reason.
const REASON_BYTES: usize = 64;

/// The reasons for which requests of a source could not be read, as far as they have a series.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<BTreeSet<Arc<str>>>);

impl Reasons {
    /// Returns the label for a reason.
    fn label(&self, reason: &str) -> Arc<str> {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        let mut known = self.0.lock();
        if let Some(label) = known.get(reason) {
            return Arc::clone(label);
        }
        if known.len() >= REASONS || reason.chars().any(char::is_control) {
            return "other".into();
        }
        let label: Arc<str> = reason.into();
        known.insert(Arc::clone(&label));
        label
    }
}

impl Intake {
    /// Counts what a plugin notes of these alerts, and logs the first of a kind and source in a
    /// minute.
    pub(super) fn note(&self, entrance: &Entrance, request: &str, alerts: &[Alert]) {
        let source = &entrance.source.name;
        for alert in alerts {
            if let Some(unreadable) = &alert.unreadable {
                let reason = entrance.standing.reasons.label(&unreadable.reason);
                let labels = ReasonLabels {
                    source: Arc::clone(source),
                    reason,
                };
                self.metrics.unreadable.get_or_create(&labels).inc();
                if let Some(left_out) = self.throttle.due(source, "unreadable") {
                    let why = unreadable.to_string();
                    let help = "an alert says so; see the request with `alert-gateway events show`";
                    tracing::warn!(
                        source = &**source,
                        request,
                        why,
                        help,
                        left_out,
                        "a request could not be read"
                    );
                }
            }
            for note in &alert.notes {
                let kind = note.kind.as_str();
                let labels = FailureLabels {
                    source: Arc::clone(source),
                    kind,
                };
                self.metrics.notes.get_or_create(&labels).inc();
                if let Some(left_out) = self.throttle.due(source, kind) {
                    let field = &*note.field;
                    let found = &*note.found;
                    tracing::warn!(
                        source = &**source,
                        request,
                        kind,
                        field,
                        found,
                        left_out,
                        "the plugin notes of an alert"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_a_source_are_bounded() {
        let reasons = Reasons::default();
        assert_eq!(&*reasons.label("not JSON"), "not JSON");
        assert_eq!(&*reasons.label("not\nJSON"), "other");
        assert_eq!(reasons.label(&"x".repeat(1000)).len(), REASON_BYTES);
        let labels: BTreeSet<_> = (0..100)
            .map(|number| reasons.label(&number.to_string()))
            .collect();
        assert_eq!(labels.len(), REASONS - 2 + 1);
        assert_eq!(&*reasons.label("not JSON"), "not JSON");
    }
}
