//! Masking within an alert's details: JSON that is rewritten member by member, so that the order of
//! members, repeated names and the spelling of numbers stay as the sender wrote them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use plugin_sdk::body::{Body, Reading, read_text};
use plugin_sdk::contract::Alert;
use plugin_sdk::json::{Object, text};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::REDACTED;

/// The places that are masked.
pub(super) struct Masks<'a, F> {
    /// Pointers into the details, by their parts; `*` is any member or element.
    pub(super) pointers: Vec<&'a [String]>,
    /// The mode in which pointers begin at any depth, because the details may stand anywhere in the
    /// JSON: the list to which the masked texts are added.
    pub(super) anywhere: Option<&'a RefCell<Vec<String>>>,
    /// Masks a text and returns how many places it masked.
    pub(super) text: F,
}

/// Rewrites JSON, and returns it with the number of masked places.
pub(super) fn masked<F: Fn(&mut String) -> usize>(
    json: &str,
    masks: &Masks<'_, F>,
) -> (String, usize) {
    let mut out = String::with_capacity(json.len());
    let count = write(json.trim(), &masks.pointers, masks, &mut out);
    (out, count)
}

/// Masks the details of an alert, and returns the number of places.
pub(super) fn mask<F: Fn(&mut String) -> usize>(alert: &mut Alert, masks: &Masks<'_, F>) -> usize {
    let Some(details) = &alert.details else {
        return 0;
    };
    let (json, places) = masked(details.get(), masks);
    if places > 0 {
        alert.details = RawValue::from_string(json).ok();
    }
    places
}

/// Adds the texts and numbers below a pointer.
pub(super) fn leaves(value: &Value, pointer: &[String], found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, one)| (name.clone(), one))
            .collect(),
        Value::Array(list) => (0..).map(|at: usize| at.to_string()).zip(list).collect(),
        Value::String(text) if pointer.is_empty() => return found.push(text.clone()),
        Value::Number(number) if pointer.is_empty() => return found.push(number.to_string()),
        _ => return,
    };
    for (name, value) in below {
        match pointer.split_first() {
            Some((first, rest)) if *first == name || first == "*" => leaves(value, rest, found),
            Some(_) => {}
            None => leaves(value, pointer, found),
        }
    }
}

/// Texts within texts in which JSON is looked for.
const DEEPEST: usize = 3;

/// Adds the texts and numbers below pointers that begin at any depth of a value, or of JSON within a
/// text of it.
pub(super) fn leaves_anywhere(value: &Value, pointers: &[&[String]], found: &mut BTreeSet<String>) {
    if !pointers.is_empty() {
        leaves_within(value, pointers, DEEPEST, found);
    }
}

fn leaves_within(
    value: &Value,
    pointers: &[&[String]],
    deeper: usize,
    found: &mut BTreeSet<String>,
) {
    for pointer in pointers {
        let mut below = Vec::new();
        leaves(value, pointer, &mut below);
        found.extend(below);
    }
    match value {
        Value::Object(members) => members
            .values()
            .for_each(|value| leaves_within(value, pointers, deeper, found)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| leaves_within(value, pointers, deeper, found)),
        Value::String(text) if deeper > 0 && text.contains(['{', '[']) => {
            let reading = read_text(text).ok();
            // A form within a form is none of anybody's, and may be within another, and so on.
            let is_json =
                |reading: &Reading<'_>| matches!(reading.body, Body::Json(_) | Body::Lines(_));
            let value = reading.filter(is_json).as_ref().and_then(value_of);
            if let Some(value) = value {
                leaves_within(&value, pointers, deeper - 1, found);
            }
        }
        _ => {}
    }
}

/// The JSON that a body was read as, whatever its form; `None` where it is no more than text.
pub(super) fn value_of(reading: &Reading<'_>) -> Option<Value> {
    serde_json::from_str(&reading.json()?).ok()
}

fn write(
    json: &str,
    pointers: &[&[String]],
    masks: &Masks<'_, impl Fn(&mut String) -> usize>,
    out: &mut String,
) -> usize {
    if pointers.iter().any(|pointer| pointer.is_empty()) && !["null", "\"\""].contains(&json) {
        if let Some(found) = masks.anywhere {
            let value = serde_json::from_str(json).unwrap_or_default();
            leaves(&value, &[], &mut found.borrow_mut());
        }
        out.push_str(&quoted(REDACTED));
        return 1;
    }
    match json.as_bytes().first() {
        Some(b'{') => members(json, pointers, masks, out),
        Some(b'[') => elements(json, pointers, masks, out),
        _ => scalar(json, &masks.text, out),
    }
}

fn members(
    json: &str,
    pointers: &[&[String]],
    masks: &Masks<'_, impl Fn(&mut String) -> usize>,
    out: &mut String,
) -> usize {
    let mut count = 0;
    out.push('{');
    for (at, (name, value)) in Object::read(json).members().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let below = below(pointers, name, masks);
        let mut name = name.to_owned();
        count += (masks.text)(&mut name);
        out.push_str(&quoted(&name));
        out.push(':');
        count += write(value, &below, masks, out);
    }
    out.push('}');
    count
}

fn elements(
    json: &str,
    pointers: &[&[String]],
    masks: &Masks<'_, impl Fn(&mut String) -> usize>,
    out: &mut String,
) -> usize {
    let mut count = 0;
    out.push('[');
    for (at, value) in serde_json::from_str::<Vec<&RawValue>>(json)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        if at > 0 {
            out.push(',');
        }
        count += write(
            value.get(),
            &below(pointers, &at.to_string(), masks),
            masks,
            out,
        );
    }
    out.push(']');
    count
}

/// Writes a text, a number, a boolean or null. A number can be a telephone or card number; masked,
/// it becomes a text.
fn scalar(json: &str, mask: &impl Fn(&mut String) -> usize, out: &mut String) -> usize {
    let mut value = text(json).unwrap_or_default();
    let count = mask(&mut value);
    if count > 0 {
        out.push_str(&quoted(&value));
    } else {
        out.push_str(json);
    }
    count
}

/// Returns the rest of the pointers that go through a member of this name, and those that may begin
/// there.
fn below<'a, F>(pointers: &[&'a [String]], name: &str, masks: &Masks<'a, F>) -> Vec<&'a [String]> {
    let goes_on = |pointer: &&'a [String]| {
        let (first, rest) = pointer.split_first()?;
        (first == name || first == "*").then_some(rest)
    };
    let begin = masks
        .anywhere
        .iter()
        .flat_map(|_| masks.pointers.iter().copied());
    pointers.iter().filter_map(goes_on).chain(begin).collect()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(json: &str, pointers: &[&[&str]]) -> (String, usize) {
        let pointers: Vec<Vec<String>> = pointers
            .iter()
            .map(|parts| parts.iter().map(ToString::to_string).collect())
            .collect();
        let mask = |text: &mut String| {
            let found = text.contains("secret");
            *text = text.replace("secret", "#");
            usize::from(found)
        };
        masked(
            json,
            &Masks {
                pointers: pointers.iter().map(Vec::as_slice).collect(),
                anywhere: None,
                text: mask,
            },
        )
    }

    #[test]
    fn what_is_not_masked_keeps_its_spelling() {
        let json = r#"{"b":1.50,"a":"x\u00e9","b":[1e3,null,true],"z":{}}"#;
        assert_eq!(rewritten(json, &[&["nowhere"]]), (json.to_owned(), 0));
    }

    #[test]
    fn pointer_masks_members_elements_and_all_of_them() {
        let json = r#"{"a":{"b":1,"c":"x"},"l":[{"b":1},{"b":{"d":2}}],"n":null}"#;
        let (masked, count) =
            rewritten(json, &[&["a", "b"], &["l", "*", "b"], &["n"], &["l", "7"]]);
        let expected = r#"{"a":{"b":"[redacted]","c":"x"},"l":[{"b":"[redacted]"},{"b":"[redacted]"}],"n":null}"#;
        assert_eq!((masked.as_str(), count), (expected, 3));
    }

    #[test]
    fn texts_numbers_and_names_are_masked() {
        let (masked, count) = rewritten(r#"{"my secret":["a secret \"x\"",1]}"#, &[]);
        assert_eq!(
            (masked.as_str(), count),
            (r##"{"my #":["a # \"x\"",1]}"##, 2)
        );
    }
}
