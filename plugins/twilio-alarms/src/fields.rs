//! An alarm's fields, however they travel: as a JSON object, as a form, or in the query string.

use std::iter;

use plugin_sdk::body::{self, Body};
use plugin_sdk::contract::{Request, Unreadable};
use plugin_sdk::form::Form;
use plugin_sdk::json::{self, Object};
use plugin_sdk::signature::sha256;
use plugin_sdk::text;
use serde_json::value::RawValue;

/// The fields of a request.
pub struct Fields {
    /// Each name once; white space around a value is gone, and blank values with it.
    fields: Vec<(String, String)>,
    details: Option<Box<RawValue>>,
    hash: String,
    unreadable: Option<Unreadable>,
}

impl Fields {
    /// Reads the fields of the body, and of the query where the body does not have them.
    pub fn read(request: &Request) -> Self {
        let text = request.text();
        let mut fields = Vec::new();
        let mut unreadable = None;
        // Where the body is JSON, or says nothing as a form.
        let mut whole = None;
        match body::read(request) {
            Ok(reading) => match &reading.body {
                Body::Empty => {}
                Body::Form(form) => extend(&mut fields, form),
                Body::Multipart(parts) => {
                    let parts = parts
                        .iter()
                        .map(|part| (part.name.as_bytes().into(), part.value.clone()));
                    parts.for_each(|field: plugin_sdk::form::Field<'_>| add(&mut fields, &field));
                }
                Body::Text(text) => whole = json::details("body_text", text),
                _ => {
                    let json = reading.json().unwrap_or_default();
                    let object = Object::read(&json);
                    fields.extend(
                        object
                            .names()
                            .filter_map(|name| Some((name.to_owned(), object.text(name)?))),
                    );
                    whole = json::details("body_text", &json);
                }
            },
            Err(why) => {
                whole = json::details("body_text", &text);
                unreadable = Some(why);
            }
        }
        extend(&mut fields, &request.query());
        let details =
            whole.or_else(|| json::object(fields.iter().map(|(name, value)| (&**name, &**value))));
        if fields.is_empty() && unreadable.is_none() {
            let reason = if text.trim().is_empty() {
                "an empty body"
            } else {
                "no field of an alarm"
            };
            unreadable = Some(Unreadable {
                reason: reason.to_owned(),
                at: String::new(),
            });
        }
        // A byte that no text holds ends each part, so that no two requests are spelled alike.
        let parts = fields
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let hash = sha256(
            &iter::once(text.as_bytes())
                .chain(parts)
                .collect::<Vec<_>>()
                .join(&0xff),
        )
        .hex();
        Self {
            fields,
            details,
            hash,
            unreadable,
        }
    }

    /// The value of a field, where it has one.
    // A dozen copies of it would be a twentieth of the plugin.
    #[inline(never)]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All that was sent, for the alert's details.
    pub fn details(&self) -> Option<Box<RawValue>> {
        self.details.clone()
    }

    /// The id of a request without one of its own: the SHA-256 of the body and of all fields, in
    /// hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns whether the request says nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns the reason why the request holds nothing of an alarm.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.unreadable.as_ref()
    }
}

/// Adds the fields of a form that are not there yet.
fn extend(fields: &mut Vec<(String, String)>, form: &Form<'_>) {
    form.fields().iter().for_each(|field| add(fields, field));
}

fn add(fields: &mut Vec<(String, String)>, (name, value): &plugin_sdk::form::Field<'_>) {
    let name = text::of_bytes(name);
    let value = text::of_bytes(value);
    let value = value.trim();
    // What is no `name=value` is no field: a body of plain text, say. The gateway's own credential
    // is none either, nor what Twilio adds to the URL.
    let is_field = !name.is_empty() && !value.is_empty() && name != "token" && name != "bodySHA256";
    if is_field && !fields.iter().any(|(known, _)| *known == name) {
        fields.push((name.into_owned(), value.to_owned()));
    }
}
