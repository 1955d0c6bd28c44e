//! An alarm's fields, however they travel: as a JSON object, as a form, or in the query string.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plugin_sdk::contract::Request;
use plugin_sdk::form::Form;
use plugin_sdk::json::{self, Object};
use plugin_sdk::signature::sha256;
use serde_json::value::{RawValue, to_raw_value};

/// What a request says.
pub struct Fields {
    /// By name; white space around a value is gone, and blank values with it.
    by_name: BTreeMap<String, String>,
    details: Option<Box<RawValue>>,
    hash: String,
}

impl Fields {
    /// Reads the fields of the body, and of the query where the body does not have them.
    pub fn read(request: &Request) -> Self {
        let body = request.body.text();
        let (query, mut by_name) = (request.query(), BTreeMap::new());
        let is_json = body.trim_start().starts_with(['{', '[', '"']);
        if is_json {
            let object = Object::read(&body);
            by_name.extend(object.names().filter_map(|name| Some((name.to_owned(), object.text(name)?))));
        } else {
            extend(&mut by_name, &Form::parse(body.as_bytes()));
        }
        let in_body = !by_name.is_empty();
        extend(&mut by_name, &query);
        // The gateway's own credential is no field of an alarm.
        by_name.remove("token");
        by_name.remove("bodySHA256");
        let details = if is_json || (!in_body && !body.trim().is_empty()) {
            json::details("body_text", &body)
        } else {
            to_raw_value(&by_name).ok()
        };
        let hash = sha256(if body.is_empty() { request.url.as_bytes() } else { body.as_bytes() }).hex();
        Self { by_name, details, hash }
    }

    /// The value of a field, where it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str)
    }

    /// All that was sent, for the alert's details.
    pub fn details(&self) -> Option<Box<RawValue>> {
        self.details.clone()
    }

    /// What stands for a request without an id of its own: the SHA-256 of what carries its fields, in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Adds the fields of a form that are not there yet.
fn extend(by_name: &mut BTreeMap<String, String>, form: &Form<'_>) {
    for (name, value) in form.fields() {
        let value = String::from_utf8_lossy(value);
        let value = value.trim();
        // What is no `name=value` is no field: a body of plain text, say.
        if !name.is_empty() && !value.is_empty() {
            by_name.entry(lossy(name).into_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
