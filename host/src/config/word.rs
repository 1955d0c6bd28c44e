//! Keys whose value is one of a few words.

use super::problem::{did_you_mean, listed};
use super::raw::Value;

/// Reads one of a few words.
pub(super) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.text(words[0].0)?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word);
        let help = match did_you_mean(text, known.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write {}", listed(known, "or")),
        };
        value.wrong_text(text, help);
    }
    found
}
