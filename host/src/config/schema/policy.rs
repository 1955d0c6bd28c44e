//! Rules, groups, redactions and mutes.

use plugin_sdk::contract::Priority;
use serde_json::{Value as Json, json};

use super::value::{closed, destinations, duration, formed, labels, some, text, word};
use crate::config::NamedPattern;

/// `[[sources.<name>.rules]]`.
pub(super) fn rules() -> Json {
    let when = json!({
        "description": "The alerts that it applies to. Default all.",
        "allOf": [{ "$ref": "#/definitions/condition" }],
    });
    let rule = closed(
        "A rule.",
        &[],
        json!({
            "when": when,
            "drop": {
                "description": "Acknowledges the alert and delivers it nowhere.",
                "type": "boolean",
            },
            "priority": word("The priority that the alert gets.", &Priority::ALL.map(Priority::as_str)),
            "labels": labels("Labels that the alert gets."),
            "destination": destinations("Where the alert goes, in place of the source's."),
            "resolve_after": duration("As in the source, in place of that."),
            "redact": redact(),
            "key": text("The key that the alert gets, like {service}/{error_code}."),
            "stop": { "description": "Skips the rules after this one.", "type": "boolean" },
        }),
    );
    json!({
        "description": "What is changed about the alerts of this source, in order.",
        "type": "array",
        "items": rule,
    })
}

/// `redact`.
pub(super) fn redact() -> Json {
    let names = NamedPattern::ALL.map(NamedPattern::as_str).join("|");
    some_or_none(formed(
        "A JSON Pointer into details, label:NAME, or a named pattern.",
        &format!("^(/.*|label:.+|{names})$"),
    ))
}

fn some_or_none(one: Json) -> Json {
    super::value::either("What is masked before an alert leaves.", one)
}

/// `[sources.<name>.group]`.
pub(super) fn group() -> Json {
    let by = json!({
        "description": "The labels whose values are equal within a group.",
        "anyOf": [
            text("A label."),
            { "type": "array", "items": text("A label."), "maxItems": 16, "uniqueItems": true },
        ],
    });
    closed(
        "One alert at the destination for many events.",
        &["by"],
        json!({
            "by": by,
            "above": formed(
                "The rate beyond which events are grouped, like \"20/5m\". Default: always.",
                "^[0-9 ]+/.+$",
            ),
            "update_every": duration("The least time between two updates of an open group. Default 10m."),
            "resolve_after": duration("The time without an event until the group is resolved. Default 30m."),
        }),
    )
}

/// `when`.
pub(super) fn condition() -> Json {
    let pattern = json!({
        "anyOf": [
            { "type": ["string", "number", "boolean"] },
            { "$ref": "#/definitions/variable" },
        ],
    });
    let patterns = some(
        "A text, a glob such as \"300*\", a range such as \"500..599\", or a list of them.",
        pattern,
    );
    json!({
        "description": "Every term must hold: source, priority, status, title, or a label by its name.",
        "type": "object",
        "properties": {
            "not": { "$ref": "#/definitions/condition" },
            "labels": {
                "description": "Labels whose names are those of other terms.",
                "type": "object",
                "additionalProperties": patterns,
            },
        },
        "additionalProperties": patterns,
    })
}

/// `[[mutes]]`.
pub(super) fn mutes() -> Json {
    let moment = |what: &str| {
        json!({
            "description": what,
            "anyOf": [
                { "type": "string", "examples": ["2026-12-24T18:00:00+01:00"] },
                { "$ref": "#/definitions/variable" },
            ],
        })
    };
    let mute = closed(
        "A mute.",
        &["when", "why"],
        json!({
            "when": { "allOf": [{ "$ref": "#/definitions/condition" }] },
            "from": moment("Its start."),
            "until": moment("Its end."),
            "weekly": text("A part of every week, like \"Sat 22:00 - Sun 06:00 Europe/Berlin\"."),
            "why": text("The reason."),
        }),
    );
    json!({
        "description": "Times in which alerts that match are kept and not delivered.",
        "type": "array",
        "items": mute,
    })
}
