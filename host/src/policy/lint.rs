//! Rules that can never match, and mutes that never hold anything, found by reading them.

mod mutes;

use std::collections::{BTreeMap, BTreeSet};

pub use mutes::{lint_mutes, unknown_source};

use crate::config::{
    Condition, Field, Group, Pattern, Position, Redaction, Rule, Source, Term, did_you_mean,
};

/// A rule or mute that has no effect, as far as reading tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The place of it.
    pub position: Position,
    /// The reason.
    pub found: String,
    /// The advice.
    pub help: String,
}

/// Finds rules of a source that can never match. They ask for a label that nothing sets, for
/// another value of a label than the operator sets, for what their own `not` excludes, or for an
/// alert after an earlier rule has stopped or dropped it. A `not`, a redaction or a group of a
/// label that nothing sets is found as well, and a `resolve_after` beside a group. `declared` are
/// the labels that the plugin says it sets, `None` where it does not say. A rule for another source
/// is found with the configuration.
pub fn lint(source: &Source, declared: Option<&[String]>) -> Vec<Finding> {
    let rules = &source.rules;
    let own = source.labels.keys().map(String::as_str);
    let mut given = Given::of(source, declared);
    let group = source.group.as_ref();
    let is_timed = source.resolve_after.is_some();
    let redact = &source.redact;
    let position = source.position;
    let source = source.name.as_str();
    let mut findings = Vec::new();
    let mut known: Option<BTreeSet<&str>> =
        declared.map(|declared| declared.iter().map(String::as_str).chain(own).collect());
    for (at, rule) in rules.iter().enumerate() {
        let mut find = |found, help| {
            findings.push(Finding {
                position: rule.position,
                found,
                help,
            })
        };
        if let Some(known) = &known {
            let missing = |term: &&Term| matches!(&term.field, Field::Label(name) if !known.contains(name.as_str()));
            for term in rule.when.terms.iter().filter(missing) {
                let label = term.field.to_string();
                find(
                    format!(
                        "this rule can never match: no alert of {source} has the label {label:?}"
                    ),
                    labels(&label, known),
                );
            }
            let excluded = rule.when.not.iter().flat_map(|not| not.labels());
            for name in excluded.filter(|name| !known.contains(name)) {
                let found = format!(
                    "the not of this rule excludes nothing: no alert of {source} has the label {name:?}"
                );
                find(found, labels(name, known));
            }
            for name in redacted(&rule.redact).filter(|name| !known.contains(name)) {
                let found = format!(
                    "this rule redacts nothing there: no alert of {source} has the label {name:?}"
                );
                find(found, labels(name, known));
            }
            for name in rule.key.iter().flat_map(|key| key.names()) {
                if !known.contains(name) && !["key", "source"].contains(&name) {
                    let found = format!(
                        "this rule never sets a key: no alert of {source} has the label {name:?}"
                    );
                    find(found, labels(name, known));
                }
            }
        }
        if let Some((label, values)) = given.refused(&rule.when) {
            let found = format!(
                "this rule can never match: the label {label:?} of each alert of {source} is {values} there"
            );
            find(found, "ask for that, or remove the rule".to_owned());
        }
        if is_impossible(&rule.when) {
            find(
                "this rule can never match: its not excludes all that the rest of it asks for"
                    .to_owned(),
                "let the not exclude less".to_owned(),
            );
        }
        if is_always(group) && rule.resolve_after.is_some() {
            find(
                format!(
                    "the resolve_after of this rule does nothing: each alert of {source} is in a group"
                ),
                IN_A_GROUP.to_owned(),
            );
        }
        // A rule drops resolves only where its condition names the status.
        let ends = |earlier: &&Rule| {
            let drops = earlier.drop && (asks_for_status(earlier) || !asks_for_status(rule));
            (earlier.stop && !earlier.drop || drops) && covers(&earlier.when, &rule.when)
        };
        if let Some(earlier) = rules[..at].iter().find(ends) {
            let does = if earlier.drop { "drops" } else { "stops at" };
            let found = format!(
                "this rule can never match: the one at line {} {does} every alert that it would",
                earlier.position.line
            );
            find(
                found,
                "put this rule before that one, or remove it".to_owned(),
            );
        }
        if let Some(known) = &mut known {
            known.extend(rule.labels.keys().map(String::as_str));
        }
        given.sets(&rule.labels);
    }
    if is_always(group) && is_timed {
        findings.push(Finding {
            position,
            found: format!("resolve_after does nothing: each alert of {source} is in a group"),
            help: IN_A_GROUP.to_owned(),
        });
    }
    if let Some(known) = &known {
        let missing = redacted(redact).filter(|name| !known.contains(name));
        findings.extend(missing.map(|name| Finding {
            position,
            found: format!("{source} redacts a label that no alert of it has: {name:?}"),
            help: labels(name, known),
        }));
    }
    if let (Some(group), Some(known)) = (group, &known) {
        let missing = group
            .by
            .iter()
            .filter(|name| !known.contains(name.as_str()));
        findings.extend(missing.map(|name| Finding {
            position: group.position,
            found: format!(
                "the group of {source} asks for a label that no alert of it has: {name:?}"
            ),
            help: labels(name, known),
        }));
    }
    findings
}

/// The advice for a time that no alert has.
const IN_A_GROUP: &str = "write the resolve_after of its group";

/// Returns whether each event goes into a group, storm or not.
fn is_always(group: Option<&Group>) -> bool {
    group.is_some_and(|group| group.above.is_none())
}

/// The values of the labels that the operator alone sets, at one place among the rules of a source.
struct Given<'a> {
    values: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The labels that the plugin says it sets.
    declared: Option<&'a [String]>,
}

impl<'a> Given<'a> {
    /// The values before the first rule.
    fn of(source: &'a Source, declared: Option<&'a [String]>) -> Self {
        let own = source.labels.iter();
        let values = own.map(|(name, value)| (name.as_str(), BTreeSet::from([value.as_str()])));
        Self {
            values: values.collect(),
            declared,
        }
    }

    /// Takes down that a rule may have set labels. Of one that the sender may set too, any value is
    /// possible.
    fn sets(&mut self, labels: &'a BTreeMap<String, String>) {
        for (name, value) in labels {
            let is_free = self.declared.is_none_or(|declared| declared.contains(name));
            if !is_free || self.values.contains_key(name.as_str()) {
                self.values.entry(name).or_default().insert(value);
            }
        }
    }

    /// Returns a label, with its values, where a condition asks for none of these.
    fn refused<'w>(&self, when: &'w Condition) -> Option<(&'w str, String)> {
        when.terms.iter().find_map(|term| {
            let Field::Label(name) = &term.field else {
                return None;
            };
            let values = self.values.get(name.as_str())?;
            if values.iter().any(|value| term.matches(value)) {
                return None;
            }
            let values: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
            Some((name.as_str(), values.join(" or ")))
        })
    }
}

/// Returns whether the `not` of a condition is sure to exclude all that the rest of it asks for.
fn is_impossible(when: &Condition) -> bool {
    when.not.as_deref().is_some_and(|not| covers(not, when))
}

/// Returns the names of the labels that are redacted.
fn redacted(redactions: &[Redaction]) -> impl Iterator<Item = &str> {
    redactions.iter().filter_map(|redaction| match redaction {
        Redaction::Label(name) => Some(name.as_str()),
        _ => None,
    })
}

fn asks_for_status(rule: &Rule) -> bool {
    let mut terms = rule.when.terms.iter();
    terms.any(|term| term.field == Field::Status)
}

fn labels(name: &str, known: &BTreeSet<&str>) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "its plugin sets no labels".to_owned(),
        None => format!(
            "the labels are {}",
            known.iter().copied().collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Returns whether every alert that `narrow` matches is sure to be matched by `wide`. `false` where
/// reading cannot tell.
fn covers(wide: &Condition, narrow: &Condition) -> bool {
    let covered = |wide: &Term| {
        let same_field = |narrow: &&Term| narrow.field == wide.field;
        narrow
            .terms
            .iter()
            .filter(same_field)
            .any(|narrow| narrow.any.iter().all(|one| takes(&wide.any, one)))
    };
    wide.terms.iter().all(covered) && (wide.not.is_none() || wide.not == narrow.not)
}

fn takes(wide: &[Pattern], narrow: &Pattern) -> bool {
    wide.iter().any(|wide| match narrow {
        Pattern::Exact(text) => wide.matches(text),
        other => wide == other,
    })
}
