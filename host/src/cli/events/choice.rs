//! The words by which events are chosen: a source, a state, a time.

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::super::{ConfigFile, Failure, Outcome, plain};
use crate::clock;
use crate::config::{Config, OWN_SOURCE, did_you_mean, listed, parse_duration};
use crate::store::ListedState;

/// Tells a source without events from one that is not configured.
pub fn is_known(source: &str, file: &ConfigFile) -> Outcome {
    // Where the configuration is wrong elsewhere, its sources are not known, and nothing is to be
    // said of them.
    let Ok(config) = Config::load_without_secrets(&file.path()?, "unknown") else {
        return Ok(());
    };
    let names = || config.sources.iter().map(|source| source.name.as_str());
    if source == OWN_SOURCE || names().any(|name| name == source) {
        return Ok(());
    }
    let near = did_you_mean(source, names())
        .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    let known = listed(names().chain([OWN_SOURCE]), "and");
    Err(Failure::Usage(format!(
        "no event is of a source {:?}; the sources are {known}{near}",
        plain::line(source)
    )))
}

/// The states, and other words for them that a person may try.
const STATES: [(&str, ListedState, &[&str]); 9] = [
    (
        "pending",
        ListedState::Pending,
        &["waiting", "queued", "open", "due", "held", "retry"],
    ),
    (
        "delivered",
        ListedState::Delivered,
        &["sent", "accepted", "done", "ok", "success"],
    ),
    (
        "dead",
        ListedState::Dead,
        &["dead-letter", "dead-letters", "set-aside", "set_aside"],
    ),
    (
        "rejected",
        ListedState::Rejected,
        &["refused", "denied", "forbidden", "unauthorized"],
    ),
    ("ignored", ListedState::Ignored, &["dropped", "skipped"]),
    ("grouped", ListedState::Grouped, &["member", "joined"]),
    ("muted", ListedState::Muted, &["silenced", "snoozed"]),
    ("dismissed", ListedState::Dismissed, &["given-up", "closed"]),
    (
        "failed",
        ListedState::Failed,
        &["error", "errors", "crashed", "kept", "raw", "unread"],
    ),
];

/// Reads a state, and suggests one for a near word.
pub fn state(text: &str) -> anyhow::Result<ListedState> {
    if let Some((_, state, _)) = STATES.iter().find(|(word, ..)| *word == text) {
        return Ok(*state);
    }
    let words = STATES.iter().map(|(word, ..)| *word);
    let other = STATES
        .iter()
        .find(|(_, _, others)| others.contains(&text.to_lowercase().as_str()));
    match other
        .map(|(word, ..)| *word)
        .or_else(|| did_you_mean(text, words.clone()))
    {
        Some(near) => Err(anyhow!("did you mean {near:?}?")),
        None => Err(anyhow!("write {}", listed(words, "or"))),
    }
}

/// Reads a point in time, as a time or as a duration before now.
pub fn since(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let duration = parse_duration(text).ok_or_else(|| {
        anyhow!("write a duration, as in 24h, or a time, as in 2026-01-31T08:00:00Z")
    })?;
    let now =
        Timestamp::from_millisecond(clock::wall_ms()).context("the machine's clock is not set")?;
    now.checked_sub(duration).context("that is too long ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_for_a_state_is_suggested() {
        assert_eq!(state("pending").unwrap(), ListedState::Pending);
        for (word, said) in [
            ("waiting", "did you mean \"pending\"?"),
            ("pendign", "did you mean \"pending\"?"),
            ("SENT", "did you mean \"delivered\"?"),
            ("set-aside", "did you mean \"dead\"?"),
            (
                "colour",
                "write pending, delivered, dead, rejected, ignored, grouped, muted, dismissed or failed",
            ),
        ] {
            assert_eq!(state(word).unwrap_err().to_string(), said);
        }
    }
}
