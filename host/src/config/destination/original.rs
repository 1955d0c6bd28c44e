//! `format = "original"`: the keys and tables beside which it cannot stand, and the destination in
//! its place for alerts without a sender's request.

use super::Written;
use crate::config::policy::Rule;
use crate::config::problem::Span;
use crate::config::reading::Reading;
use crate::config::source::Source;

/// Tells each source the names of its destinations of this format, and the destination of internal
/// alerts about it; and reports everything beside which the format cannot stand.
pub(in crate::config) fn check(
    all: &[Written<'_>],
    sources: &mut [(Span, Option<Source>)],
    operator: Option<&str>,
    reading: &Reading<'_>,
) {
    let is_original = |name: &str| {
        let found = all.iter().find(|one| one.name == name);
        found
            .and_then(|one| one.destination.as_ref())
            .is_some_and(|one| one.kind.is_original())
    };
    let advice = "name one with format = \"alertmanager\", or of another kind";
    for one in all {
        if let Some((fallback, span)) = &one.fallback
            && is_original(fallback)
        {
            let found = format!(
                "the fallback {fallback} has format = \"original\", and a fallback is told why it gets an alert"
            );
            reading.problem(span.clone(), found, advice);
        }
        if operator == Some(one.name) && is_original(one.name) {
            let found = format!(
                "operator_destination is [destinations.{}], which has format = \"original\": internal alerts are no request of a sender",
                one.name
            );
            reading.problem(one.span.clone(), found, advice);
        }
    }
    for (span, source) in sources {
        let Some(source) = source else { continue };
        let mut originals: Vec<String> = source
            .routes()
            .flatten()
            .filter(|name| is_original(name))
            .cloned()
            .collect();
        originals.sort_unstable();
        originals.dedup();
        source.originals = originals;
        let Some(original) = source.originals.first() else {
            continue;
        };
        let mut named = source.destinations.iter().map(String::as_str);
        match named.find(|name| !is_original(name)).or(operator) {
            Some(name) => name.clone_into(&mut source.internal),
            None => {
                let found = format!(
                    "[sources.{}] sends to {original} alone, which has format = \"original\": nothing takes the internal alerts about it",
                    source.name
                );
                let help = "name an operator_destination of another format in [gateway], or a second destination";
                reading.problem(span.clone(), found, help);
            }
        }
        let said = |what: &str| {
            format!(
                "{what} of [sources.{}] does nothing at {original}, which has format = \"original\" and is sent the request as it came",
                source.name
            )
        };
        for what in refused(source) {
            let help = "leave it out, or give the destination another format";
            reading.problem(span.clone(), said(&what), help);
        }
        for what in idle(source) {
            reading.warning(
                span.clone(),
                said(&what),
                "it counts for the other destinations alone",
            );
        }
    }
}

/// Returns the keys of a source that would not be kept to: a redaction, and a group, the members of
/// which go nowhere.
fn refused(source: &Source) -> Vec<String> {
    let keys = [
        ("redact", !source.redact.is_empty()),
        ("group", source.group.is_some()),
    ];
    listed(source, &keys, |rule| !rule.redact.is_empty())
}

/// Returns the keys of a source that change alerts.
fn idle(source: &Source) -> Vec<String> {
    let keys = [
        ("labels", !source.labels.is_empty()),
        ("resolve_after", source.resolve_after.is_some()),
    ];
    listed(source, &keys, |rule| {
        rule.priority.is_some()
            || !rule.labels.is_empty()
            || rule.resolve_after.is_some()
            || rule.key.is_some()
    })
}

fn listed(source: &Source, keys: &[(&str, bool)], is_one: fn(&Rule) -> bool) -> Vec<String> {
    let keys = keys.iter().filter(|(_, is_set)| *is_set);
    let rules = source.rules.iter().filter(|rule| is_one(rule));
    keys.map(|(key, _)| (*key).to_owned())
        .chain(rules.map(|rule| format!("rule {}", rule.number)))
        .collect()
}
