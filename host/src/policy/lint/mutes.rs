//! Mutes that never hold anything, found by reading them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use plugin_sdk::contract::Status;

use super::{Finding, Given, is_impossible, labels};
use crate::config::{Condition, Field, Mute, OWN_SOURCE, Schedule, Source, did_you_mean};

/// A source, with the labels that its plugin says it sets; `None` where it does not say.
pub type Declared<'a> = (&'a Source, Option<&'a [String]>);

/// Finds mutes that never hold anything. They ended before `now`, exclude all they ask for, or ask
/// for resolves, for the gateway's own alerts, or for a label or value without an alert of their
/// sources. An unknown source is found with the configuration.
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
    let never = |why: &str, help: &str| {
        let found = format!("this mute can never hold anything: {why}");
        Some((found, help.to_owned()))
    };
    let mut terms = mute.when.terms.iter();
    if terms.any(|term| term.field == Field::Status && !term.matches(Status::Trigger.as_str())) {
        return never("a resolve is held by none", "leave the status out");
    }
    if is_impossible(&mute.when) {
        let why = "its not excludes all that the rest of it asks for";
        return never(why, "let the not exclude less");
    }
    let meant = || {
        sources
            .iter()
            .filter(|(source, _)| asks_for(&mute.when, &source.name))
    };
    if meant().next().is_none() {
        let own = "the gateway's own alerts are held by none";
        return asks_for(&mute.when, OWN_SOURCE)
            .then(|| never(own, "name a source of the configuration"))?;
    }
    let given = |(source, declared): &Declared<'_>| {
        let mut given = Given::of(source, *declared);
        let rules = source.rules.iter();
        rules.for_each(|rule| given.sets(&rule.labels));
        given.refused(&mute.when)
    };
    if let Some(Some((label, values))) = meant()
        .map(given)
        .reduce(|one, other| one.filter(|one| other.as_ref() == Some(one)))
    {
        let why = format!("the label {label:?} of each alert of its sources is {values}");
        return never(&why, "ask for that, or remove the mute");
    }
    let meant: Vec<_> = meant()
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
    terms.all(|term| term.matches(source))
}

/// Returns the labels that an alert of a source can have.
fn known<'a>(source: &'a Source, declared: &'a [String]) -> Vec<&'a str> {
    let by_rules = source.rules.iter().flat_map(|rule| rule.labels.keys());
    let own = source.labels.keys().chain(by_rules).map(String::as_str);
    declared.iter().map(String::as_str).chain(own).collect()
}
