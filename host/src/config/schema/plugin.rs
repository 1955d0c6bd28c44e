//! Plugins and their settings. A plugin's schema is of draft 2020-12 and stands alone; here it is of
//! draft 7, within another, and its secrets may stand elsewhere.

use serde_json::{Map, Value as Json, json};

use super::PluginSettings;
use super::value::text;

/// The name of the definition of a plugin's settings.
pub(super) fn definition(name: &str) -> String {
    format!("settings-{name}")
}

/// `plugin`.
pub(super) fn named(plugins: &[PluginSettings<'_>]) -> Json {
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name).collect();
    let fetched = |required: &[&str], properties: Json| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        })
    };
    let of_url = fetched(
        &["url", "sha256"],
        json!({
            "url": text("Where `alert-gateway plugin add` fetches the wasm file from."),
            "sha256": text("The SHA-256 that it must have."),
        }),
    );
    let of_registry = fetched(
        &["oci"],
        json!({
            "oci": text("A registry's artifact that `alert-gateway plugin add` fetches, as in ghcr.io/acme/bell:1.2@sha256:…"),
        }),
    );
    json!({
        "description": "A bundled plugin, a wasm file of your own, or one that `alert-gateway plugin add` fetched.",
        "anyOf": [
            { "enum": names },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["path"],
                "properties": {
                    "path": text("The file."),
                    "sha256": text("The SHA-256 that it must have, as sha256sum prints it."),
                },
            },
            of_url,
            of_registry,
            { "$ref": "#/definitions/variable" },
        ],
    })
}

/// Holds the settings of a source to the schema of its plugin.
pub(super) fn if_used(plugin: &PluginSettings<'_>) -> Json {
    let reference = format!("#/definitions/{}", definition(plugin.name));
    json!({
        "if": { "required": ["plugin"], "properties": { "plugin": { "const": plugin.name } } },
        "then": { "properties": { "settings": { "$ref": reference } } },
    })
}

/// Returns the schema of a plugin's settings as they stand in the configuration.
pub(super) fn settings(plugin: &PluginSettings<'_>) -> Json {
    let mut schema = plugin.settings.clone();
    let secrets = |name: &str| plugin.secrets.iter().any(|secret| secret == name);
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        for (name, property) in properties {
            if secrets(name) {
                *property = secret(property.take());
            }
        }
    }
    if let Some(Json::Object(named)) = schema.get(NAMED).cloned() {
        let within = named.into_iter().map(|(name, one)| (name, within(one)));
        schema[NAMED_WITHIN] = Json::Object(within.collect());
    }
    translated(
        schema,
        &format!("#/definitions/{}", definition(plugin.name)),
    )
}

/// The schemas that a plugin's schema refers to by name.
const NAMED: &str = "$defs";
/// The same, for use within a secret.
const NAMED_WITHIN: &str = "$secrets";

/// Lets a reference stand in the place of a value, and of each within it.
fn secret(schema: Json) -> Json {
    let description = schema.get("description").cloned();
    let mut wrapped = json!({ "anyOf": [{ "$ref": REFERENCE }, within(schema)] });
    if let Some(description) = description {
        wrapped["description"] = description;
    }
    wrapped
}

/// The definition of a reference, which is no part of the plugin's schema.
const REFERENCE: &str = "alert-gateway:reference";

/// Lets references stand in the places of the values within a value of this schema.
fn within(schema: Json) -> Json {
    let Json::Object(map) = schema else {
        return schema;
    };
    let each = |list: Json| match list {
        Json::Array(items) => items.into_iter().map(within).collect(),
        other => other,
    };
    let values = |table: Json| match table {
        Json::Object(table) => table
            .into_iter()
            .map(|(name, value)| (name, secret(value)))
            .collect(),
        other => other,
    };
    let translate = |(keyword, value): (String, Json)| {
        let value = match keyword.as_str() {
            "properties" | "patternProperties" => values(value),
            "items" | "additionalProperties" if value.is_object() => secret(value),
            "anyOf" | "oneOf" | "allOf" => each(value),
            "if" | "then" | "else" => within(value),
            "$ref" => match value.as_str() {
                Some(to) => to.replacen(NAMED, NAMED_WITHIN, 1).into(),
                None => value,
            },
            _ => value,
        };
        (keyword, value)
    };
    Json::Object(map.into_iter().map(translate).collect())
}

/// Returns a schema of draft 2020-12 as one of draft 7 whose own references start at `root`.
fn translated(schema: Json, root: &str) -> Json {
    let map = match schema {
        Json::Array(items) => {
            return items
                .into_iter()
                .map(|item| translated(item, root))
                .collect();
        }
        Json::Object(map) => map,
        plain => return plain,
    };
    let mut draft_7 = Map::new();
    for (keyword, value) in map {
        match (keyword.as_str(), value) {
            ("$schema" | "$id" | "$comment", _) => {}
            ("$ref", Json::String(to)) => {
                let to = match to.strip_prefix('#') {
                    Some(rest) => format!("{root}{rest}"),
                    None => "#/definitions/reference".to_owned(),
                };
                // Beside a reference draft 7 reads nothing else.
                draft_7.insert("allOf".to_owned(), json!([{ "$ref": to }]));
            }
            ("dependentSchemas" | "dependentRequired", value) => {
                let dependencies = draft_7.entry("dependencies").or_insert_with(|| json!({}));
                if let (Some(all), Json::Object(more)) = (dependencies.as_object_mut(), value) {
                    all.extend(
                        more.into_iter()
                            .map(|(name, one)| (name, translated(one, root))),
                    );
                }
            }
            // Names that a plugin's author chose are no keywords.
            ("properties" | "patternProperties" | NAMED | NAMED_WITHIN, Json::Object(named)) => {
                let named = named
                    .into_iter()
                    .map(|(name, one)| (name, translated(one, root)));
                draft_7.insert(keyword, Json::Object(named.collect()));
            }
            ("enum" | "const" | "default" | "examples", value) => {
                draft_7.insert(keyword, value);
            }
            (_, value) => {
                draft_7.insert(keyword, translated(value, root));
            }
        }
    }
    Json::Object(draft_7)
}
