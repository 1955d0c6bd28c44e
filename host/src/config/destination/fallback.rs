//! `fallback` and `fallback_after`, and what only shows when all destinations stand side by side.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{FALLBACK_AFTER, Fallback, Written};
use crate::config::name;
use crate::config::problem::{Span, listed};
use crate::config::raw::Table;
use crate::config::reading::Reading;

/// A second is for trying it out; what may wait for longer than a day is no page.
const AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// A fallback, none where a problem was recorded; and its name with the place where that is written.
pub(super) type Read = (Option<Option<Fallback>>, Option<(String, Span)>);

/// Reads both keys.
pub(super) fn read(table: &mut Table<'_>, known: &[&str]) -> Read {
    let written = table.optional("fallback", None, |value| {
        let name = name::of_destination(&value, known)?;
        Some(Some((name, value.span.clone())))
    });
    let has_name = !matches!(written, Some(None));
    let after = table.optional("fallback_after", FALLBACK_AFTER, |value| {
        if !has_name {
            let found = format!("{} stands without fallback", value.label);
            value.problem(
                found,
                "name the destination that gets what is not taken, or leave it out",
            );
            return None;
        }
        value.duration(&AFTER)
    });
    let fallback = written
        .clone()
        .zip(after)
        .map(|(written, after)| written.map(|(destination, _)| Fallback { destination, after }));
    (fallback, written.flatten())
}

/// Reports fallbacks that lead nowhere: to themselves, in a circle, or to where the alert went.
pub(in crate::config) fn check(all: &[Written<'_>], reading: &Reading<'_>) {
    let mut in_circles: Vec<&str> = Vec::new();
    for one in all {
        let Some((fallback, span)) = &one.fallback else {
            continue;
        };
        if fallback == one.name {
            let found = format!("[destinations.{}] is its own fallback", one.name);
            reading.problem(span.clone(), found, "name another destination");
            continue;
        }
        let chain = chain(all, one.name);
        if chain.last().is_some_and(|last| last.0 == one.name) {
            // Each circle once, where it begins in the file.
            if !in_circles.contains(&one.name) {
                in_circles.extend(chain.iter().map(|(name, _)| *name));
                report_circle(one.name, span, &chain, reading);
            }
            continue;
        }
        let other = all.iter().find(|other| other.name == fallback);
        let kinds = (
            &one.destination,
            other.and_then(|other| other.destination.as_ref()),
        );
        if let (Some(this), Some(other)) = kinds
            && this.kind.url() == other.kind.url()
        {
            let found = format!(
                "[destinations.{}] and its fallback {fallback} have the same URL",
                one.name
            );
            let help = "one outage stops both; choose a fallback that does not depend on it";
            reading.warning(span.clone(), found, help);
        }
    }
}

fn report_circle(name: &str, span: &Span, chain: &[(&str, Span)], reading: &Reading<'_>) {
    let step = |(name, place): &(&str, Span)| {
        format!("{name} ({})", reading.shown(place.start, span.start))
    };
    let steps: Vec<_> = chain.iter().map(step).collect();
    let found = format!(
        "the fallbacks go in a circle: {name} to {}",
        listed(steps.iter().map(String::as_str), "and then to").replace(", ", ", to ")
    );
    reading.problem(span.clone(), found, "let one of them have no fallback");
}

/// Returns the fallbacks that follow a destination, each with the place where it is named, up to
/// the first one that comes again.
fn chain<'w>(all: &'w [Written<'_>], from: &'w str) -> Vec<(&'w str, Span)> {
    let mut chain: Vec<(&str, Span)> = Vec::new();
    let mut name = from;
    while let Some((next, span)) = all
        .iter()
        .find(|one| one.name == name)
        .and_then(|one| one.fallback.as_ref())
    {
        let comes_again = next == from || chain.iter().any(|(seen, _)| seen == next);
        chain.push((next, span.clone()));
        if comes_again {
            break;
        }
        name = next;
    }
    chain
}

/// Returns the number of deliveries that an alert may have because it goes to this destination: one
/// there, and for each fallback that follows one to it and one that it was taken after all.
pub(in crate::config) fn places(all: &[Written<'_>], name: &str) -> usize {
    1 + 2 * chain(all, name).len()
}
