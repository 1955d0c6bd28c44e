//! The schema and the reader know the same keys and the same words.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{PluginSettings, schema};
use crate::config::{Config, Problems, listed};

/// A key that no table has.
const STRANGER: &str = "zzzzzzzz";

/// The tables of the schema: each where it is, and as it stands in a file with a key too many.
const TABLES: &[(&str, &str)] = &[
    ("", "zzzzzzzz = 1"),
    ("/properties/gateway", "[gateway]\nzzzzzzzz = 1"),
    (
        "/properties/gateway/properties/tls",
        "[gateway]\ntls = { zzzzzzzz = 1 }",
    ),
    (
        "/properties/gateway/properties/admin_tls",
        "[gateway]\nadmin_tls = { zzzzzzzz = 1 }",
    ),
    (
        "/properties/gateway/properties/heartbeat",
        "[gateway]\nheartbeat = { zzzzzzzz = 1 }",
    ),
    (
        "/properties/gateway/properties/traces",
        "[gateway]\ntraces = { zzzzzzzz = 1 }",
    ),
    ("/properties/admin", "[admin]\nzzzzzzzz = 1"),
    (
        "/properties/admin/properties/users/items",
        "[[admin.users]]\nzzzzzzzz = 1",
    ),
    (
        "/properties/store",
        "[store]\nkind = \"postgres\"\nzzzzzzzz = 1",
    ),
    ("/properties/retention", "[retention]\nzzzzzzzz = 1"),
    ("/properties/limits", "[limits]\nzzzzzzzz = 1"),
    (
        "/properties/sources/additionalProperties",
        "[sources.a]\nzzzzzzzz = 1",
    ),
    (
        "/properties/sources/additionalProperties/properties/plugin/anyOf/1",
        "[sources.a]\nplugin = { path = \"a.wasm\", zzzzzzzz = 1 }",
    ),
    (
        "/properties/sources/additionalProperties/properties/plugin/anyOf/2",
        "[sources.a]\nplugin = { url = \"https://a.example/a.wasm\", zzzzzzzz = 1 }",
    ),
    (
        "/properties/sources/additionalProperties/properties/limits",
        "[sources.a.limits]\nzzzzzzzz = 1",
    ),
    (
        "/properties/sources/additionalProperties/properties/group",
        "[sources.a.group]\nzzzzzzzz = 1",
    ),
    (
        "/properties/sources/additionalProperties/properties/rules/items",
        "[[sources.a.rules]]\nzzzzzzzz = 1",
    ),
    ("/properties/mutes/items", "[[mutes]]\nzzzzzzzz = 1"),
];

fn problems(text: &str) -> Vec<String> {
    let parsed = Config::parse(text, Path::new("gateway.toml"), &|_| None);
    let Problems(problems) = parsed.expect_err("a key too many is a problem");
    problems.iter().map(ToString::to_string).collect()
}

/// The keys that the reader names where there is one too many.
fn known(text: &str) -> BTreeSet<String> {
    let said = problems(text);
    let stranger = format!("unknown key \"{STRANGER}\" in ");
    let line = said.iter().find(|line| line.contains(&stranger));
    let line = line.unwrap_or_else(|| panic!("{text}\n{said:?}"));
    let (_, keys) = line
        .split_once("the keys here are ")
        .expect("a list of keys");
    let keys = keys.replace(" and ", ", ");
    keys.split(", ").map(str::to_owned).collect()
}

/// The keys that the schema has in a table.
fn described(schema: &Json, pointer: &str) -> BTreeSet<String> {
    let table = schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer}"));
    let keys = table["properties"].as_object().expect("keys");
    keys.keys().cloned().collect()
}

/// The closed tables of the schema. Those with one key only are references, and are left out.
fn closed(schema: &Json, at: &str, found: &mut BTreeSet<String>) {
    match schema {
        Json::Object(map) => {
            let keys = map.get("properties").and_then(Json::as_object);
            let is_table = map.get("additionalProperties") == Some(&Json::Bool(false));
            if is_table && keys.is_some_and(|keys| keys.len() > 1) {
                found.insert(at.to_owned());
            }
            for (key, value) in map.iter().filter(|(key, _)| *key != "definitions") {
                closed(value, &format!("{at}/{key}"), found);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                closed(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema = schema(&[]);
    let mut tables: Vec<(String, String)> = TABLES
        .iter()
        .map(|(pointer, text)| ((*pointer).to_owned(), (*text).to_owned()))
        .collect();
    let kinds = super::destination::kinds();
    tables.extend(kinds.iter().enumerate().map(|(index, (kind, ..))| {
        (
            format!("/properties/destinations/additionalProperties/oneOf/{index}"),
            format!("[destinations.a]\nkind = \"{kind}\"\nzzzzzzzz = 1"),
        )
    }));
    for (pointer, text) in &tables {
        assert_eq!(described(&schema, pointer), known(text), "{text}");
    }
    let mut all = BTreeSet::new();
    closed(&schema, "", &mut all);
    let compared: BTreeSet<_> = tables.into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(all, compared);
}

#[test]
fn schema_and_reader_know_the_same_words() {
    let schema = schema(&[]);
    let destination = "/properties/destinations/additionalProperties/oneOf";
    let words = |pointer: &str| -> Vec<String> {
        let words = schema.pointer(pointer).and_then(Json::as_array);
        let words = words.unwrap_or_else(|| panic!("{pointer}"));
        words
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let word =
        |key: &str, kind: usize| format!("{destination}/{kind}/properties/{key}/anyOf/0/enum");
    let rule = "/properties/sources/additionalProperties/properties/rules/items/properties/priority/anyOf/0/enum";
    let kinds = super::destination::kinds().map(|(kind, ..)| kind.to_owned());
    for (words, text) in [
        (
            kinds.to_vec(),
            "[destinations.a]\nkind = \"zzz\"".to_owned(),
        ),
        (
            words(&word("format", 0)),
            "[destinations.a]\nkind = \"itoc360\"\nformat = \"zzz\"".to_owned(),
        ),
        (
            words(&word("method", 1)),
            "[destinations.a]\nkind = \"webhook\"\nmethod = \"zzz\"".to_owned(),
        ),
        (
            words("/properties/gateway/properties/reload/anyOf/0/enum"),
            "[gateway]\nreload = \"zzz\"".to_owned(),
        ),
        (
            words(&word("tls", 7)),
            "[destinations.a]\nkind = \"smtp\"\ntls = \"zzz\"".to_owned(),
        ),
        (
            words(&word("egress", 2)),
            "[destinations.a]\nkind = \"slack\"\negress = \"zzz\"".to_owned(),
        ),
    ] {
        let help = format!("write {}", listed(words.iter().map(String::as_str), "or"));
        let said = problems(&text);
        assert!(
            said.iter().any(|line| line.ends_with(&help)),
            "{help}: {said:?}"
        );
    }
    let help = format!("it is one of {}", words(rule).join(", "));
    let said = problems("[[sources.a.rules]]\npriority = \"zzz\"");
    assert!(
        said.iter().any(|line| line.ends_with(&help)),
        "{help}: {said:?}"
    );
}

#[test]
fn secret_of_a_plugin_may_stand_elsewhere_at_any_depth() {
    let settings = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": ["auth_token"],
        "properties": {
            "auth_token": {
                "anyOf": [
                    { "type": "string", "minLength": 1 },
                    { "type": "array", "items": { "type": "string" } },
                    { "$ref": "#/$defs/login" },
                ],
            },
            "default": { "type": "string" },
            "place": { "$ref": "#/$defs/login" },
        },
        "dependentSchemas": { "default": { "required": ["place"] } },
        "$defs": {
            "login": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "password": { "type": "string" } },
            },
        },
    });
    let secrets = ["auth_token".to_owned()];
    let plugin = PluginSettings {
        name: "p",
        settings: &settings,
        secrets: &secrets,
    };
    let schema = schema(&[plugin]);
    let validator = jsonschema::draft7::new(&schema).expect("a schema of draft 7");
    let fits = |settings: Json| {
        let source = json!({ "plugin": "p", "destination": "d", "settings": settings });
        validator.is_valid(&json!({ "sources": { "s": source } }))
    };
    let elsewhere = json!({ "env": "TOKEN" });
    for right in [
        json!({ "auth_token": "text" }),
        json!({ "auth_token": elsewhere }),
        json!({ "auth_token": { "credential": "token" } }),
        json!({ "auth_token": ["text", elsewhere, { "file": "path" }] }),
        json!({ "auth_token": { "password": elsewhere } }),
        json!({ "auth_token": "text", "default": "x", "place": { "password": "text" } }),
    ] {
        assert!(fits(right.clone()), "{right}");
    }
    for wrong in [
        json!({}),
        json!({ "auth_token": "" }),
        json!({ "auth_token": 1 }),
        json!({ "auth_token": { "env": "TOKEN", "file": "path" } }),
        json!({ "auth_token": "text", "other": 1 }),
        json!({ "auth_token": "text", "default": "x" }),
        json!({ "auth_token": "text", "place": { "password": elsewhere } }),
        json!({ "auth_token": "text", "default": { "type": "string" } }),
    ] {
        assert!(!fits(wrong.clone()), "{wrong}");
    }
}
