//! Checks a source's settings against its plugin's schema, and reports mistakes in the operator's
//! own words: with the line and column in the configuration, "did you mean", and no secret.
//!
//! Both sides are strangers to each other here. The operator has never seen the schema, so its
//! keywords are not quoted at them; the plugin is not trusted, so its schema may fetch nothing,
//! must come to an end, and is named as its author's mistake where it is none.

mod author;
mod bounds;
mod explain;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use plugin_sdk::contract::{Algorithm, Checked, Demand, Scheme, Signed};
use plugin_sdk::signature::is_public_key;
use serde_json::Value as Json;

use crate::config::{Config, Flaw, PLAIN, PLAIN_HELP, Problem, Source, secret_flaw};
use alert_gateway_sandbox::Description;
use explain::{Check, pointer_to, unescaped};

pub use author::{flaw, misfits};

/// More mistakes than this in one source's settings are the plugin's own.
const MAX_MISTAKES: usize = 100;

/// The time a schema may take to compile and to be applied. The largest of the bundled plugins
/// takes some milliseconds.
const TIME: Duration = Duration::from_secs(5);
/// The largest compiled pattern, in bytes. It is the engine's own default; a nested repetition
/// exceeds it.
const LARGEST_PATTERN: usize = 1024 * 1024;

/// Returns everything in a source's settings that does not fit its plugin's schema, in the order of
/// the file.
pub fn check(source: &Source, description: &Description, config: &Config) -> Vec<Problem> {
    let check = Check {
        source,
        description,
        config,
    };
    let mut problems = Vec::new();
    match errors(description, source.settings.value()) {
        Ok(errors) => {
            let errors = errors
                .into_iter()
                .flat_map(plain)
                .filter(|error| is_of_what_was_read(error, source));
            problems.extend(check.explain(errors.collect()));
        }
        Err(flaw) => {
            let found = format!(
                "the plugin {:?} describes its settings with an invalid JSON Schema",
                description.name
            );
            let help = format!("tell its author: {flaw}");
            problems.push(config.problem(source.plugin_position, found, help));
        }
    }
    problems.sort_by_key(|problem| problem.position);
    problems
}

/// Settings of which all fits the schema.
#[derive(Debug)]
pub struct Fitting {
    /// The settings without what does not fit.
    pub settings: Json,
    /// The places of a list that hold another item in place of one that does not fit, so that the
    /// items behind it keep their numbers.
    pub stand_ins: Vec<String>,
}

/// Returns the source's settings without the parts that do not fit the schema, as small as they can
/// be; `None` where the rest does not fit either, so that the plugin cannot be asked about it.
pub fn fitting(source: &Source, description: &Description) -> Option<Fitting> {
    /// Steps of a pointer to what is taken out alone. What is deeper goes with what holds it.
    const DEEPEST: usize = 6;
    let mut fitting = Fitting {
        settings: source.settings.value().clone(),
        stand_ins: Vec::new(),
    };
    for steps in (1..=DEEPEST).rev() {
        let errors = errors(description, &fitting.settings).ok()?;
        if errors.is_empty() {
            return Some(fitting);
        }
        let unfit: BTreeSet<String> = errors
            .into_iter()
            .flat_map(plain)
            .flat_map(|error| unfit_parts(&error))
            .map(|pointer| shortened(&pointer, steps))
            .collect();
        for pointer in &unfit {
            fitting.take_out(pointer, &unfit);
        }
    }
    errors(description, &fitting.settings)
        .is_ok_and(|errors| errors.is_empty())
        .then_some(fitting)
}

/// The pointers to what an error is about.
fn unfit_parts(error: &ValidationError<'_>) -> Vec<String> {
    let at = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter();
            names.map(|name| pointer_to(at, name)).collect()
        }
        _ => vec![at.to_owned()],
    }
}

/// A pointer of at most so many steps.
fn shortened(pointer: &str, steps: usize) -> String {
    let end = pointer.match_indices('/').nth(steps).map(|(at, _)| at);
    pointer[..end.unwrap_or(pointer.len())].to_owned()
}

impl Fitting {
    /// Removes a part; in a list, puts an item that fits in its place, where there is one.
    fn take_out(&mut self, pointer: &str, unfit: &BTreeSet<String>) {
        let Some((parent, step)) = pointer.rsplit_once('/') else {
            return;
        };
        match self.settings.pointer_mut(parent) {
            Some(Json::Object(table)) => {
                table.remove(&unescaped(step));
            }
            Some(Json::Array(list)) => {
                let fits = |index: &usize| !unfit.contains(&format!("{parent}/{index}"));
                let other = (0..list.len()).find(fits).map(|index| list[index].clone());
                let item = step
                    .parse()
                    .ok()
                    .and_then(|index: usize| list.get_mut(index));
                if let (Some(other), Some(item)) = (other, item) {
                    *item = other;
                    self.stand_ins.push(pointer.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Returns whether a place is within an item that is not the operator's own there.
    pub fn is_stand_in(&self, pointer: &str) -> bool {
        let within = |stand_in: &String| {
            let rest = pointer.strip_prefix(stand_in.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.stand_ins.iter().any(within)
    }
}

/// Returns false for an error caused by an unreadable value: its problem is reported already.
fn is_of_what_was_read(error: &ValidationError<'_>, source: &Source) -> bool {
    let at = error.instance_path().as_str();
    let is_of_keys = matches!(
        error.kind(),
        Kind::AdditionalProperties { .. }
            | Kind::UnevaluatedProperties { .. }
            | Kind::Required { .. }
    );
    source.settings.is_whole() || is_of_keys || !source.settings.is_unread(at)
}

/// Returns the plugin's objections to settings that fit its schema, in the operator's own words and
/// at their line. One more is added where nothing proves the source's sender.
pub fn review(
    source: &Source,
    description: &Description,
    checked: &Checked,
    config: &Config,
) -> Vec<Problem> {
    let check = Check {
        source,
        description,
        config,
    };
    let mut problems: Vec<_> = checked
        .mistakes
        .iter()
        .take(MAX_MISTAKES)
        .filter(|mistake| source.settings.is_whole() || !source.settings.is_unread(&mistake.path))
        .map(|mistake| check.mistake(mistake))
        .collect();
    if !checked.authenticates.unwrap_or(description.authenticates) && source.tokens.is_empty() {
        let found = format!(
            "the plugin {:?} cannot tell who sends to it, and no token does",
            description.name
        );
        let help = format!(
            "add token = {{ env = {:?} }} to [sources.{}]",
            check.variable("token"),
            source.name
        );
        problems.push(config.problem(source.position, found, help));
    }
    let proof = checked.proof.as_ref().unwrap_or(&description.proof);
    problems.extend(no_keys(&check, proof));
    problems.sort_by_key(|problem| problem.position);
    problems
}

/// Finds the secrets that should be public keys and cannot be read as such: no request would ever
/// be proved by them.
fn no_keys(check: &Check<'_>, proof: &[Demand]) -> Vec<Problem> {
    let settings = &check.source.settings;
    let mut problems = Vec::new();
    for way in proof.iter().flat_map(|demand| &demand.any) {
        let Scheme::Signed(Signed { algorithm, .. }) = way.scheme else {
            continue;
        };
        let pointer = pointer_to("", &way.secret);
        let secrets = match settings.value().pointer(&pointer) {
            Some(Json::Array(list)) => (0..list.len())
                .map(|index| format!("{pointer}/{index}"))
                .collect(),
            _ => vec![pointer],
        };
        for pointer in secrets
            .iter()
            .filter(|pointer| !settings.is_unread(pointer))
        {
            let secret = settings.value().pointer(pointer).and_then(Json::as_str);
            if secret.is_some_and(|secret| !is_public_key(algorithm, secret)) {
                let kind = match algorithm {
                    Algorithm::Ed25519 => "Ed25519",
                    Algorithm::EcdsaP256 => "ECDSA on P-256",
                    _ => "RSA with 2,048 bits or more",
                };
                let found = format!("{} is no public key of {kind}", check.label(pointer));
                let help = "copy the sender's public key, in PEM, base64 or hex; a line break in PEM may be written \\n";
                problems.push(
                    check
                        .config
                        .problem(settings.place(pointer).value, found, help),
                );
            }
        }
    }
    problems
}

/// Returns the plugin's warnings about settings, in the operator's own words and at their line.
/// They refuse nothing.
pub fn doubts(
    source: &Source,
    description: &Description,
    checked: &Checked,
    config: &Config,
) -> Vec<Problem> {
    let check = Check {
        source,
        description,
        config,
    };
    checked
        .warnings
        .iter()
        .take(MAX_MISTAKES)
        .map(|warning| check.mistake(warning))
        .collect()
}

/// Returns the parts of these settings that do not fit a plugin's schema. Fails where the schema
/// itself is wrong, and names the place.
///
/// The schema is a stranger's program of a kind. [`bounds`] and the engine of its patterns keep it
/// small. A check that takes long all the same is abandoned after [`TIME`], in a thread of its own:
/// the gateway's other work does not wait for it.
fn errors(
    description: &Description,
    settings: &Json,
) -> Result<Vec<ValidationError<'static>>, String> {
    bounds::check(&description.settings)?;
    let schema = description.settings.clone();
    let settings = settings.clone();
    within(TIME, move || {
        let validator = validator(&schema)?;
        Ok(validator
            .iter_errors(&settings)
            .take(MAX_MISTAKES)
            .map(ValidationError::to_owned)
            .collect())
    })
    .unwrap_or_else(|| Err(format!("it takes longer than {} s", TIME.as_secs())))
}

/// Returns what this work comes to; `None` where that takes longer.
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("schema".to_owned())
        .spawn(move || done.send(work()))
        .ok()?;
    result.recv_timeout(time).ok()
}

/// The schema, ready to be checked against. Its patterns run in an engine whose time is linear in
/// the text.
fn validator(schema: &Json) -> Result<Validator, String> {
    let patterns = PatternOptions::regex()
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN);
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .offline();
    options
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| {
            let at = error.instance_path().as_str();
            let place = if at.is_empty() {
                "at the top of the schema".to_owned()
            } else {
                format!("at `{at}` of the schema")
            };
            format!("{place}: {error}")
        })
}

/// Warns of secrets with a flaw, and of secrets in a file that every user of the machine can read.
pub fn warnings(source: &Source, description: &Description, config: &Config) -> Vec<Problem> {
    let check = Check {
        source,
        description,
        config,
    };
    let mut warnings = Vec::new();
    for pointer in description.secrets.iter().map(|name| pointer_to("", name)) {
        let Some(value) = source.settings.value().pointer(&pointer) else {
            continue;
        };
        let at = source.settings.place(&pointer).value;
        if config.text.is_exposed(at) && !source.settings.is_referenced(&pointer) {
            let found = format!("{} {PLAIN}", check.label(&pointer));
            warnings.push(config.problem(at, found, PLAIN_HELP));
        }
        flaws(value, &pointer, &check, &mut warnings);
    }
    warnings
}

/// Finds the flaws of a secret, and of each within a list or a table.
fn flaws(value: &Json, pointer: &str, check: &Check<'_>, warnings: &mut Vec<Problem>) {
    let settings = &check.source.settings;
    match value {
        Json::String(text) if !settings.is_unread(pointer) => {
            if let Some(Flaw { found, help }) = secret_flaw(text) {
                let found = format!("{} {found}", check.label(pointer));
                warnings.push(
                    check
                        .config
                        .problem(settings.place(pointer).value, found, help),
                );
            }
        }
        Json::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flaws(value, &format!("{pointer}/{index}"), check, warnings);
            }
        }
        Json::Object(table) => {
            for (name, value) in table {
                flaws(value, &pointer_to(pointer, name), check, warnings);
            }
        }
        _ => {}
    }
}

/// Returns an error as it is. Where several alternatives failed, it returns the errors of the
/// intended one, the one of the right type; where the type fits none, one error for all.
fn plain(error: ValidationError<'_>) -> Vec<ValidationError<'_>> {
    let here = error.instance_path().as_str().to_owned();
    let wrong_type = |error: &ValidationError| {
        matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == here
    };
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else {
        return vec![error];
    };
    let meant = context
        .iter()
        .enumerate()
        .filter(|(_, errors)| !errors.iter().any(wrong_type));
    let Some((index, _)) = meant.min_by_key(|(_, errors)| errors.len()) else {
        return vec![error];
    };
    match error.into_parts().kind {
        Kind::AnyOf { mut context } | Kind::OneOfNotValid { mut context } => context
            .swap_remove(index)
            .into_iter()
            .flat_map(plain)
            .collect(),
        _ => Vec::new(),
    }
}
