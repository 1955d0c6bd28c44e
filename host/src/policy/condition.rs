//! Judging whether a condition holds for an alert.

use plugin_sdk::contract::Alert;

use crate::config::{Condition, Field, Term};

/// Returns whether the condition holds for an alert of the source of this name.
pub fn matches(condition: &Condition, source: &str, alert: &Alert) -> bool {
    condition
        .terms
        .iter()
        .all(|term| holds(term, source, alert))
        && condition
            .not
            .as_ref()
            .is_none_or(|not| !matches(not, source, alert))
}

fn holds(term: &Term, source: &str, alert: &Alert) -> bool {
    let value = match &term.field {
        Field::Source => Some(source),
        Field::Priority => Some(alert.priority.as_str()),
        Field::Status => Some(alert.status.as_str()),
        Field::Title => Some(alert.title.as_str()),
        Field::Label(name) => alert.labels.get(name).map(String::as_str),
    };
    value.is_some_and(|value| term.matches(value))
}
