//! The kinds of values, each with what may stand in the place of a text.

use serde_json::{Value as Json, json};

/// A table with these keys and no others.
pub(super) fn closed(what: &str, required: &[&str], properties: Json) -> Json {
    json!({
        "description": what,
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

/// `{ env = "…" }`.
pub(super) fn variable() -> Json {
    closed(
        "The text of an environment variable.",
        &["env"],
        json!({ "env": { "type": "string", "minLength": 1 } }),
    )
}

/// A secret that stands elsewhere.
pub(super) fn reference() -> Json {
    let key = |name: &str| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [name],
            "properties": { name: { "type": "string", "minLength": 1 } },
        })
    };
    json!({
        "description": "A secret that stands elsewhere: in an environment variable, a file, or a credential of systemd.",
        "oneOf": [key("env"), key("file"), key("credential")],
    })
}

fn or_variable(what: &str, plain: &Json) -> Json {
    json!({ "description": what, "anyOf": [plain, { "$ref": "#/definitions/variable" }] })
}

/// A text.
pub(super) fn text(what: impl AsRef<str>) -> Json {
    or_variable(what.as_ref(), &json!({ "type": "string" }))
}

/// One of a few words.
pub(super) fn word(what: impl AsRef<str>, words: &[&str]) -> Json {
    or_variable(what.as_ref(), &json!({ "enum": words }))
}

/// A text of this form.
pub(super) fn formed(what: impl AsRef<str>, pattern: &str) -> Json {
    or_variable(
        what.as_ref(),
        &json!({ "type": "string", "pattern": pattern }),
    )
}

/// A duration.
pub(super) fn duration(what: impl AsRef<str>) -> Json {
    let text = json!({ "type": "string", "examples": ["100ms", "10s", "5m", "24h", "30d"] });
    or_variable(what.as_ref(), &text)
}

/// A number of bytes.
pub(super) fn size(what: impl AsRef<str>) -> Json {
    let written = json!({
        "anyOf": [
            { "type": "string", "examples": ["256KiB", "16MiB", "4GiB"] },
            { "type": "integer", "minimum": 0 },
        ],
    });
    or_variable(what.as_ref(), &written)
}

/// A rate of requests.
pub(super) fn rate() -> Json {
    formed(
        "The requests that are taken in a time, like \"100/s\", \"600/min\" or \"1000/h\"; \"off\", the default, is any number.",
        "^(off|[0-9]+ */ *(s|min|h))$",
    )
}

/// A secret: its text, or where it stands.
pub(super) fn secret(what: impl AsRef<str>) -> Json {
    json!({
        "description": what.as_ref(),
        "anyOf": [{ "type": "string", "minLength": 1 }, { "$ref": "#/definitions/reference" }],
    })
}

/// One value, or a list of them.
pub(super) fn either(what: impl AsRef<str>, one: Json) -> Json {
    json!({ "description": what.as_ref(), "anyOf": [one, { "type": "array", "items": one }] })
}

/// One value, or a list of at least one.
pub(super) fn some(what: impl AsRef<str>, one: Json) -> Json {
    json!({
        "description": what.as_ref(),
        "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }],
    })
}

/// Names with texts.
pub(super) fn labels(what: &str) -> Json {
    json!({
        "description": what,
        "type": "object",
        "additionalProperties": text("The value of the label."),
    })
}

/// One destination, or several.
pub(super) fn destinations(what: &str) -> Json {
    some(what, text("The name of a destination."))
}
