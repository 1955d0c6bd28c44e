//! An alarm's fields, however they travel: as a JSON object, as a form, or in the query string.

use std::iter;

use plugin_sdk::contract::Request;
use plugin_sdk::form::Form;
use plugin_sdk::json::{self, Object};
use plugin_sdk::signature::sha256;
use serde_json::value::RawValue;

/// What a request says.
pub struct Fields {
    /// Each name once; white space around a value is gone, and blank values with it.
    fields: Vec<(String, String)>,
    details: Option<Box<RawValue>>,
    hash: String,
}

impl Fields {
    /// Reads the fields of the body, and of the query where the body does not have them.
    pub fn read(request: &Request) -> Self {
        let body = request.body.text();
        let mut fields = Vec::new();
        let is_json = body.trim_start().starts_with(['{', '[', '"']);
        if is_json {
            let object = Object::read(&body);
            fields.extend(object.names().filter_map(|name| Some((name.to_owned(), object.text(name)?))));
        } else {
            extend(&mut fields, &Form::parse(body.as_bytes()));
        }
        let in_body = !fields.is_empty();
        extend(&mut fields, &request.query());
        let details = if is_json || (!in_body && !body.trim().is_empty()) {
            json::details("body_text", &body)
        } else {
            json::object(fields.iter().map(|(name, value)| (&**name, &**value)))
        };
        // A byte that no text holds ends each part, so that no two requests are spelled alike.
        let parts = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let hash = sha256(&iter::once(body.as_bytes()).chain(parts).collect::<Vec<_>>().join(&0xff)).hex();
        Self { fields, details, hash }
    }

    /// The value of a field, where it has one.
    // A dozen copies of it would be a twentieth of the plugin.
    #[inline(never)]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All that was sent, for the alert's details.
    pub fn details(&self) -> Option<Box<RawValue>> {
        self.details.clone()
    }

    /// What stands for a request without an id of its own: the SHA-256 of the body and of all fields, in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Adds the fields of a form that are not there yet.
fn extend(fields: &mut Vec<(String, String)>, form: &Form<'_>) {
    for (name, value) in form.fields() {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        let value = value.trim();
        // What is no `name=value` is no field: a body of plain text, say. The gateway's own credential is none either,
        // nor what Twilio adds to the URL.
        let is_field = !name.is_empty() && !value.is_empty() && name != "token" && name != "bodySHA256";
        if is_field && !fields.iter().any(|(known, _)| *known == name) {
            fields.push((name.into_owned(), value.to_owned()));
        }
    }
}
