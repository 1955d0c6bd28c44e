//! Fields of forms and of parts as one JSON object.

use std::borrow::Cow;

use crate::form::Form;
use crate::json::printable;
use crate::text;

use super::multipart::Part;

/// More fields become no object that anybody could use, and each is compared with those before it.
const MAX_FIELDS: usize = 1_000;

/// An object of texts, with a list where a field is repeated.
pub(super) fn of_form(form: &Form<'_>) -> String {
    let shown = |bytes: &Cow<'_, [u8]>| printable(&text::of_bytes(bytes));
    object(
        form.fields()
            .iter()
            .map(|(name, value)| (shown(name), string(&shown(value)))),
    )
}

/// An object of texts, with a list where a field is repeated. A file is an object of its name,
/// type, size and, where it is text, its text.
pub(super) fn of_parts(parts: &[Part<'_>]) -> String {
    object(
        parts
            .iter()
            .map(|part| (printable(&part.name), value(part))),
    )
}

fn value(part: &Part<'_>) -> String {
    let text = str::from_utf8(&part.value).ok();
    let Some(file) = &part.filename else {
        return string(&printable(&text::of_bytes(&part.value)));
    };
    let mut json = format!(
        "{{\"filename\":{},\"size\":{}",
        string(&printable(file)),
        part.value.len()
    );
    if let Some(media_type) = &part.media_type {
        json += &format!(",\"content_type\":{}", string(&printable(media_type)));
    }
    if let Some(text) = text {
        json += &format!(",\"text\":{}", string(&printable(text)));
    }
    json + "}"
}

/// Values are JSON already.
fn object(fields: impl Iterator<Item = (String, String)>) -> String {
    let mut known: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in fields.take(MAX_FIELDS) {
        match known.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => known.push((name, vec![value])),
        }
    }
    let mut json = "{".to_owned();
    for (name, values) in &known {
        if json.len() > 1 {
            json.push(',');
        }
        json += &string(name);
        json.push(':');
        match &values[..] {
            [value] => json += value,
            values => {
                json.push('[');
                json += &values.join(",");
                json.push(']');
            }
        }
    }
    json + "}"
}

fn string(text: &str) -> String {
    // A text always becomes JSON.
    serde_json::to_string(text).unwrap_or_default()
}
