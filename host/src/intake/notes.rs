//! A plugin's notes on how it made its alerts: counted, and logged now and then.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_sdk::contract::Alert;

use super::{Entrance, Intake};
use crate::metrics::{FailureLabels, Metrics, ReasonLabels};

/// The reasons of one source that have a series of their own. A plugin has a handful; beyond that
/// they are not what the contract calls a reason, and a sender could be behind them.
const REASONS: usize = 16;
/// The reason in the place of all others.
const OTHER: &str = "other";
/// Bytes of a reason.
const REASON_BYTES: usize = 64;

/// The series of one source that its plugin's words have begun.
#[derive(Debug, Default)]
pub struct Reasons {
    /// The reasons for which requests could not be read.
    unreadable: Mutex<BTreeSet<Arc<str>>>,
    /// The kinds of notes.
    notes: Mutex<BTreeSet<&'static str>>,
}

impl Reasons {
    /// Returns the label for a reason.
    fn label(&self, reason: &str) -> Arc<str> {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        let mut known = self.unreadable.lock();
        if let Some(label) = known.get(reason) {
            return Arc::clone(label);
        }
        if known.len() >= REASONS || reason.chars().any(char::is_control) {
            return OTHER.into();
        }
        let label: Arc<str> = reason.into();
        known.insert(Arc::clone(&label));
        label
    }

    /// Ends the series of a source that is not configured any more.
    pub fn end(&self, source: &Arc<str>, metrics: &Metrics) {
        let reasons = std::mem::take(&mut *self.unreadable.lock());
        for reason in reasons.into_iter().chain([OTHER.into()]) {
            let source = Arc::clone(source);
            metrics.unreadable.remove(&ReasonLabels { source, reason });
        }
        for kind in std::mem::take(&mut *self.notes.lock()) {
            let source = Arc::clone(source);
            metrics.notes.remove(&FailureLabels { source, kind });
        }
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
                entrance.standing.reasons.notes.lock().insert(kind);
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
    use crate::metrics::Format;

    #[test]
    fn series_of_a_source_end_with_it() {
        let metrics = Metrics::new();
        let reasons = Reasons::default();
        let count = |source: &str| {
            let source: Arc<str> = source.into();
            for word in ["not JSON", "\n"] {
                let labels = ReasonLabels {
                    source: Arc::clone(&source),
                    reason: reasons.label(word),
                };
                metrics.unreadable.get_or_create(&labels).inc();
            }
            reasons.notes.lock().insert("unknown_status");
            let kind = "unknown_status";
            metrics
                .notes
                .get_or_create(&FailureLabels { source, kind })
                .inc();
        };
        count("gone");
        count("stays");
        reasons.end(&"gone".into(), &metrics);
        let text = metrics.encode(Format::Text);
        assert!(!text.contains("gone") && text.contains("stays"), "{text}");
    }

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
