//! Policy: what an operator's rules make of an alert that a plugin read.
//!
//! Everything here is pure: an alert and the configuration go in, a [`Decision`] comes out, without
//! a clock, a disk or a network. So a policy is tested as a table, shown by `try`, and gives the
//! same decision when a request is replayed.
//!
//! # Order
//!
//! 1. The source's own `labels` are added, in place of labels of the same names that the sender may
//!    have chosen.
//! 2. The rules run in the order of the file. A rule sees the alert as the rules before it left it.
//!    Each rule that matches applies; one with `stop = true` is the last one.
//! 3. The first rule that drops the alert ends it.
//! 4. What the source and the matching rules redact is masked, so that rules can match what nobody
//!    will see.
//! 5. The group of the alert is chosen by the labels that it has then.
//!
//! # What a rule cannot do
//!
//! A rule never changes an event id, so that a change of the rules reopens nothing. A resolve of an
//! open alert is dropped only by a rule with the status in its condition, so that a new rule leaves
//! nothing open for ever. The store knows the open ones.

mod condition;
mod details;
mod lint;
mod mutes;
mod redact;
mod stored;
mod texts;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_sdk::contract::{Alert, Status};

use crate::alert::change::Change;
use crate::alert::group::{self, Grouping};
use crate::config::{self, KeyTemplate, Rule, shown_duration};

pub use condition::matches;
pub use lint::{Finding, lint, lint_mutes, unknown_source};
pub use mutes::{CurrentMutes, Mutes};
pub use redact::Redactor;
pub use stored::{Stored, StoredRedactor};
use texts::hide_texts;

/// The policy of one source.
#[derive(Debug, Clone)]
pub struct Policy {
    labels: BTreeMap<String, String>,
    rules: Vec<Rule>,
    redactor: Redactor,
    resolve_after: Option<Duration>,
    group: Option<config::Group>,
    stored: Option<StoredRedactor>,
}

/// What a policy decided about one alert.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The alert after all rules.
    pub alert: Alert,
    /// The rules that matched, by their place in the configuration, from 1.
    pub applied: Vec<usize>,
    /// The changes of these rules, in order.
    pub changes: Vec<Change>,
    /// The rule that dropped the alert, from 1.
    pub dropped_by: Option<usize>,
    /// The rule that drops the resolve unless its key is open, from 1.
    pub dropped_unless_open: Option<usize>,
    /// The destinations that a rule chose in place of the source's.
    pub destinations: Option<Vec<String>>,
    /// How many places were masked.
    pub redacted: usize,
    /// The texts that were masked, where the stored request is masked as well.
    pub masked: Vec<String>,
    /// The group that the alert belongs to. A resolve belongs to the group of what it resolves.
    pub group: Option<Grouping>,
    /// The time without an event of its key until the gateway resolves the alert.
    pub resolve_after: Option<Duration>,
}

impl Policy {
    /// Returns what the operator wrote for a source.
    pub fn of(source: &config::Source) -> Self {
        let labels = source.labels.clone();
        let rules = source.rules.clone();
        Self {
            labels,
            rules,
            redactor: Redactor::new(source.redact.clone()),
            resolve_after: source.resolve_after,
            group: source.group.clone(),
            stored: source.redact_stored.then(|| {
                let of_rules = source.rules.iter().flat_map(|rule| rule.redact.clone());
                StoredRedactor::new(source.redact.iter().cloned().chain(of_rules).collect())
            }),
        }
    }

    /// Returns what masks requests before they are stored; none where they are stored as they came.
    pub fn stored(&self) -> Option<&StoredRedactor> {
        self.stored.as_ref()
    }

    /// Returns whether the policy leaves every alert as it is.
    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.rules.is_empty() && self.redactor.is_empty()
    }

    /// Decides about an alert of the source of this name.
    pub fn decide(&self, source: &str, alert: Alert) -> Decision {
        let mut decision = Decision {
            alert,
            applied: Vec::new(),
            changes: Vec::new(),
            dropped_by: None,
            dropped_unless_open: None,
            destinations: None,
            redacted: 0,
            masked: Vec::new(),
            group: None,
            resolve_after: self.resolve_after,
        };
        if !self.is_empty() {
            self.apply(source, &mut decision);
        }
        if decision.alert.status == Status::Trigger && decision.dropped_by.is_none() {
            let grouping = |config| grouping(config, &decision.alert);
            decision.group = self.group.as_ref().map(grouping);
        }
        decision
    }

    fn apply(&self, source: &str, decision: &mut Decision) {
        decision.alert.labels.extend(self.labels.clone());
        let mut redactions = Vec::new();
        for rule in &self.rules {
            if !matches(&rule.when, source, &decision.alert) {
                continue;
            }
            if rule.drop && !drops(rule, &decision.alert) {
                decision.dropped_unless_open.get_or_insert(rule.number);
                continue;
            }
            decision.applied.push(rule.number);
            if rule.drop {
                decision.dropped_by = Some(rule.number);
                decision.dropped_unless_open = None;
                break;
            }
            apply(rule, source, decision);
            redactions.extend_from_slice(&rule.redact);
            if rule.stop {
                break;
            }
        }
        let redactor = self.redactor.with(redactions);
        if self.stored.is_some() {
            decision.masked = redactor.masked_texts(&decision.alert);
        }
        if !redactor.is_empty() && !decision.changes.is_empty() {
            redact_changes(&redactor, decision);
        }
        decision.changes.iter_mut().for_each(Change::cut);
        decision.redacted = redactor.redact(&mut decision.alert);
        decision.redacted += StoredRedactor::hide(&mut decision.alert, &decision.masked);
    }
}

/// Returns the group of an alert, by the labels that are left after rules and redaction.
fn grouping(config: &config::Group, alert: &Alert) -> Grouping {
    let update_every_ms = milliseconds(config.update_every);
    Grouping {
        shared: group::shared(&config.by, alert),
        terms: group::Terms {
            update_every_ms,
            resolve_after_ms: milliseconds(config.resolve_after),
            in_storm: config.above.is_some(),
        },
        guard: config.above.map(|above| group::Guard {
            count: u64::from(above.count.get()),
            within_ms: milliseconds(above.within),
            calm_after_ms: update_every_ms,
        }),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns whether a rule that matches and drops does so in any case: a resolve of what is open
/// only where its condition says so.
fn drops(rule: &Rule, alert: &Alert) -> bool {
    alert.status == Status::Trigger
        || rule
            .when
            .terms
            .iter()
            .any(|term| term.field == config::Field::Status)
}

/// Masks the changes as an alert with their values would be masked. The alert itself is not masked
/// yet.
fn redact_changes(redactor: &Redactor, decision: &mut Decision) {
    let Decision {
        alert,
        changes,
        masked,
        ..
    } = decision;
    let below = redactor.below_pointers(alert);
    // A former value of one label may stand in that of another.
    let mut before = alert.labels.clone();
    for change in changes.iter().rev() {
        if let Some((label, from)) = change
            .field
            .strip_prefix("labels.")
            .zip(change.from.clone())
        {
            before.insert(label.to_owned(), from);
        }
    }
    for change in changes {
        let (field, is_key) = match change.field.strip_prefix("labels.") {
            Some(label) => (label.to_owned(), false),
            None if change.field == "key" => (String::new(), true),
            None => continue,
        };
        for text in change.from.iter_mut().chain([&mut change.to]) {
            for labels in [&before, &alert.labels] {
                let mut shown = Alert::new("", alert.priority, "");
                shown.labels.clone_from(labels);
                let value = std::mem::take(text);
                if is_key {
                    shown.key = Some(value);
                } else {
                    shown.labels.insert(field.clone(), value);
                }
                redactor.redact(&mut shown);
                hide_texts(&mut shown, &below);
                StoredRedactor::hide(&mut shown, masked);
                let value = match is_key {
                    true => shown.key,
                    false => shown.labels.remove(&field),
                };
                *text = value.unwrap_or_default();
            }
        }
    }
}

/// Applies the effects of a rule, but for redaction, and notes what they changed.
fn apply(rule: &Rule, source: &str, decision: &mut Decision) {
    let alert = &mut decision.alert;
    let changes = &mut decision.changes;
    let mut changed = |field: String, from: Option<String>, to: &str| {
        if from.as_deref() != Some(to) {
            changes.push(Change {
                rule: rule.number,
                field,
                from,
                to: to.to_owned(),
            });
        }
    };
    if let Some(priority) = rule.priority {
        let from = alert.priority.as_str().to_owned();
        changed("priority".to_owned(), Some(from), priority.as_str());
        alert.priority = priority;
    }
    // Before the labels of this rule: a key is made of what came in.
    if let Some(key) = rule
        .key
        .as_ref()
        .and_then(|template| key(template, source, alert))
    {
        changed("key".to_owned(), Some(alert.key().to_owned()), &key);
        alert.key = Some(key);
    }
    for (name, value) in &rule.labels {
        let from = alert.labels.insert(name.clone(), value.clone());
        changed(format!("labels.{name}"), from, value);
    }
    if let Some(time) = rule.resolve_after {
        let from = decision.resolve_after.map(shown_duration);
        changed("resolve_after".to_owned(), from, &shown_duration(time));
        decision.resolve_after = rule.resolve_after;
    }
    if let Some(destinations) = &rule.destinations {
        let from = decision.destinations.as_ref().map(|all| all.join(", "));
        changed("destination".to_owned(), from, &destinations.join(", "));
        decision.destinations = Some(destinations.clone());
    }
}

/// Writes the key of a template. `None` where a part is missing or the key would be too long: the
/// alert keeps its own.
fn key(template: &KeyTemplate, source: &str, alert: &Alert) -> Option<String> {
    let value = |name: &str| match name {
        "source" => Some(source),
        "key" => Some(alert.key()),
        label => alert.labels.get(label).map(String::as_str),
    };
    template
        .render(value)
        .filter(|key| key.len() <= plugin_sdk::contract::MAX_KEY_BYTES)
}
