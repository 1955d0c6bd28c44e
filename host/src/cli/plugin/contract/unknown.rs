//! Fields that the contract does not have: most are misspelt, and the host ignores them.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::Value;

use crate::config::did_you_mean;
use alert_gateway_sandbox::Plugin;

/// More of one answer are not told.
const MOST: usize = 10;

static SCHEMA: LazyLock<Value> = LazyLock::new(super::schema);

/// Lists the fields of a value that its type in the contract does not have, each with its place.
pub fn fields(name: &str, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(&SCHEMA["$defs"][name], value, "", &mut found);
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!(
            "and {more} more fields that the contract does not have"
        ));
    }
    found
}

/// Lists the fields of a plugin's description that the contract does not have. A plugin that fails
/// to describe itself once more has none.
pub async fn of_description(plugin: &Plugin) -> Vec<String> {
    let described = plugin.describe().await.unwrap_or_default();
    let value = serde_json::from_slice(&described).unwrap_or_default();
    let told = fields("Description", &value).into_iter();
    told.map(|field| format!("describe: {field}")).collect()
}

fn look(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let schema = resolved(schema);
    for alternatives in ["anyOf", "oneOf"] {
        for one in schema[alternatives].as_array().into_iter().flatten() {
            let one = resolved(one);
            if holds(one, value) {
                return look(one, value, path, found);
            }
        }
    }
    match value {
        Value::Object(members) => {
            let Some(known) = schema["properties"].as_object() else {
                return;
            };
            for (name, member) in members {
                let place = join(path, name);
                match known.get(name) {
                    Some(schema) => look(schema, member, &place, found),
                    None => {
                        let near = did_you_mean(name, known.keys().map(String::as_str));
                        let near = near
                            .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                        found.push(format!(
                            "the contract has no field `{place}`, so it is ignored{near}"
                        ));
                    }
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                look(&schema["items"], item, &format!("{path}[{number}]"), found);
            }
        }
        _ => {}
    }
}

/// Returns whether this alternative is the one that a value is of: an object with a required member
/// of it, or a type that is not null.
fn holds(alternative: &Value, value: &Value) -> bool {
    let required = alternative["required"].as_array();
    let (Value::Object(members), Some(properties)) = (value, alternative["properties"].as_object())
    else {
        return false;
    };
    required.is_none_or(|required| {
        required
            .iter()
            .filter_map(Value::as_str)
            .all(|name| members.contains_key(name))
    }) || members.keys().any(|name| properties.contains_key(name))
}

fn resolved(schema: &Value) -> &Value {
    let reference = schema["$ref"].as_str();
    let named = reference.and_then(|reference| SCHEMA.pointer(reference.trim_start_matches('#')));
    named.unwrap_or(schema)
}

fn join<'p>(path: &str, name: &'p str) -> Cow<'p, str> {
    if path.is_empty() {
        name.into()
    } else {
        format!("{path}.{name}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn misspelt_field_is_named_with_the_one_meant() {
        let answer = json!({ "alerts": [
            { "event_id": "1", "priority": "high", "title": "x", "labels": { "lables": "free" },
              "details": { "anything": 1 }, "unreadable": null },
            { "event_id": "2", "priority": "high", "title": "x", "lables": {},
              "unreadable": { "reason": "x", "plaice": "1" },
              "notes": [{ "kind": "other", "fiel": "x" }] },
        ], "proof": { "id": "1", "expires": "never" } });
        assert_eq!(
            fields("Answer", &answer),
            [
                "the contract has no field `alerts[1].lables`, so it is ignored; did you mean \"labels\"?",
                "the contract has no field `alerts[1].notes[0].fiel`, so it is ignored; did you mean \"field\"?",
                "the contract has no field `alerts[1].unreadable.plaice`, so it is ignored",
                "the contract has no field `proof.expires`, so it is ignored; did you mean \"expires_at\"?",
            ]
        );
    }

    #[test]
    fn description_is_looked_through_to_its_proof() {
        let description = json!({
            "contract": 1, "name": "bell", "secret": ["key"], "settings": { "typ": "object" },
            "proof": [{ "any": [
                { "scheme": { "signed": { "header": "x", "prefixx": "" } }, "secret": "key" },
                { "scheme": "bearer", "secret": "key" },
            ] }],
        });
        assert_eq!(
            fields("Description", &description),
            [
                "the contract has no field `proof[0].any[0].scheme.signed.prefixx`, so it is ignored; did you mean \"prefix\"?",
                "the contract has no field `secret`, so it is ignored; did you mean \"secrets\"?",
            ]
        );
    }

    #[test]
    fn flood_of_unknown_fields_is_cut() {
        let many: serde_json::Map<_, _> = (0..50).map(|n| (format!("x{n}"), json!(1))).collect();
        let found = fields("Answer", &json!({ "ignored": many }));
        assert_eq!(found.len(), MOST + 1);
        assert!(found[MOST].starts_with("and 40 more"), "{found:?}");
    }
}
