//! Rules that can never match, and mutes that never hold anything, found by reading them.

mod mutes;

use std::collections::BTreeSet;

pub use mutes::{lint_mutes, unknown_source};

use crate::config::{
    Condition, Field, Pattern, Position, Redaction, Rule, Source, Term, did_you_mean,
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

/// Finds rules of a source that can never match: they name a label that nothing sets, another
/// source, or an alert that an earlier rule has stopped or dropped. A `not`, a redaction or a group
/// of a label that nothing sets is found as well. `declared` are the labels that the plugin says it
/// sets, `None` where it does not say.
pub fn lint(source: &Source, declared: Option<&[String]>) -> Vec<Finding> {
    let rules = &source.rules;
    let own = source.labels.keys().map(String::as_str);
    let group = source.group.as_ref();
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
        if let Some(term) = rule
            .when
            .terms
            .iter()
            .find(|term| term.field == Field::Source)
            && !term.any.iter().any(|pattern| pattern.matches(source))
        {
            let found = format!(
                "this rule can never match: it stands in {source} and asks for another source"
            );
            find(found, "leave the source out".to_owned());
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
