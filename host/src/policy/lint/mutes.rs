//! Mutes that never hold anything, found by reading them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Finding, labels};
use crate::config::{Condition, Field, Mute, Schedule, Source, did_you_mean};

/// A source, with the labels that its plugin says it sets; `None` where it does not say.
pub type Declared<'a> = (&'a Source, Option<&'a [String]>);

/// Finds mutes that never hold anything: they ended before `now`, or ask for a source that there is
/// not, or for a label that no alert of their sources has.
pub fn lint_mutes(mutes: &[Mute], sources: &[Declared<'_>], now: Timestamp) -> Vec<Finding> {
    let found = mutes.iter().filter_map(|mute| {
        let (found, help) = idle(mute, sources, now)?;
        Some(Finding {
            position: mute.position,
            found,
            help,
        })
    });
    found.collect()
}

fn idle(mute: &Mute, sources: &[Declared<'_>], now: Timestamp) -> Option<(String, String)> {
    if let Schedule::Once { until, .. } = &mute.schedule
        && *until <= now
    {
        let found = format!("this mute holds nothing any more: it ended at {until}");
        return Some((found, "remove it, or write another time".to_owned()));
    }
    let names = sources.iter().map(|(source, _)| source.name.as_str());
    if let Some(help) = unknown_source(&mute.when, &names.collect::<Vec<_>>()) {
        let found = "this mute can never hold anything: it asks for a source that there is not";
        return Some((found.to_owned(), help));
    }
    let meant: Vec<_> = sources
        .iter()
        .filter(|(source, _)| asks_for(&mute.when, &source.name))
        .map(|(source, declared)| Some(known(source, (*declared)?)))
        .collect();
    let known: BTreeSet<&str> = meant
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let missing = mute.when.terms.iter().find_map(|term| match &term.field {
        Field::Label(name) if !known.contains(name.as_str()) => Some(name),
        _ => None,
    })?;
    let found = format!(
        "this mute can never hold anything: no alert of its sources has the label {missing:?}"
    );
    Some((found, labels(missing, &known)))
}

/// Returns the advice for a condition that none of these sources fits; none where one does.
pub fn unknown_source(when: &Condition, sources: &[&str]) -> Option<String> {
    if sources.is_empty() || sources.iter().any(|source| asks_for(when, source)) {
        return None;
    }
    let term = when.terms.iter().find(|term| term.field == Field::Source)?;
    let texts = term.any.iter().map(ToString::to_string);
    let near = texts.filter_map(|text| did_you_mean(&text, sources.iter().copied()));
    Some(match near.into_iter().next() {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the sources are {}", sources.join(", ")),
    })
}

fn asks_for(when: &Condition, source: &str) -> bool {
    let mut terms = when.terms.iter().filter(|term| term.field == Field::Source);
    terms.all(|term| term.any.iter().any(|pattern| pattern.matches(source)))
}

/// Returns the labels that an alert of a source can have.
fn known<'a>(source: &'a Source, declared: &'a [String]) -> Vec<&'a str> {
    let by_rules = source.rules.iter().flat_map(|rule| rule.labels.keys());
    let own = source.labels.keys().chain(by_rules).map(String::as_str);
    declared.iter().map(String::as_str).chain(own).collect()
}
