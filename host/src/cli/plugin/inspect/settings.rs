//! A settings schema as rows of a table, nested settings with their path: for operators without
//! knowledge of JSON Schema.

use std::cell::Cell;
use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::kind::Kinds;
use alert_gateway_sandbox::Description;

/// Settings within settings that are shown.
const DEEPEST: usize = 6;
/// Rows that are shown.
const MOST_ROWS: usize = 500;

/// A plugin's settings.
#[derive(Debug, Default)]
pub struct Settings {
    /// The settings: required ones first, nested ones behind their parent.
    pub rows: Vec<Row>,
    /// The rows show the whole schema.
    pub complete: bool,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The path to it: `token`, `mapping.title`, `rules[].when`, `accounts.<name>.token`.
    pub name: String,
    /// The type, in words.
    pub kind: String,
    /// Required if its parent is given.
    pub required: bool,
    /// Never printed.
    pub secret: bool,
    /// The default, as JSON.
    pub default: Option<String>,
    /// The plugin's description of it, and the settings that are written in the same way: a part of
    /// a schema that is used in several places has rows in the first one only.
    pub description: String,
}

/// The settings that a plugin describes.
pub fn settings(description: &Description) -> Settings {
    let complete = Cell::new(true);
    let mut walk = Walk {
        kinds: Kinds::new(&description.settings, &complete),
        rows: Vec::new(),
        shown: HashMap::new(),
        description,
    };
    walk.within(&description.settings, "", false, 0);
    let rows = walk.rows;
    Settings {
        rows,
        complete: complete.get(),
    }
}

struct Walk<'d> {
    kinds: Kinds<'d>,
    rows: Vec<Row>,
    /// Where the properties of an object have their rows, by the object's address.
    shown: HashMap<*const Json, String>,
    description: &'d Description,
}

impl<'d> Walk<'d> {
    /// The settings within one; at the top, all of them.
    fn within(&mut self, schema: &'d Json, path: &str, secret: bool, depth: usize) {
        let schema = self.kinds.look(schema);
        if depth > DEEPEST {
            return self.kinds.leave_out();
        }
        for name in ["anyOf", "oneOf"] {
            for alternative in schema
                .get(name)
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
            {
                self.within(alternative, path, secret, depth + 1);
            }
        }
        if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
            match self.shown.get(&std::ptr::from_ref(schema)) {
                Some(first) => self.refer(path, &first.clone()),
                None => {
                    self.shown
                        .insert(std::ptr::from_ref(schema), setting(path).to_owned());
                    self.properties(properties, schema.get("required"), path, secret, depth);
                }
            }
        }
        if let Some(items) = schema.get("items") {
            self.within(items, &format!("{path}[]"), secret, depth + 1);
        }
        if let Some(others @ Json::Object(_)) = schema.get("additionalProperties") {
            let path = if path.is_empty() {
                "<name>".to_owned()
            } else {
                format!("{path}.<name>")
            };
            self.within(others, &path, secret, depth + 1);
        }
    }

    /// Says at the setting of this path that it is written like the first one.
    fn refer(&mut self, path: &str, first: &str) {
        if first.is_empty() {
            return self.kinds.leave_out();
        }
        let name = setting(path);
        let Some(row) = self.rows.iter_mut().rev().find(|row| row.name == name) else {
            return;
        };
        let reference = format!("Written like `{first}`.");
        if row.description.ends_with(&reference) || first == name {
            return;
        }
        if !row.description.is_empty() {
            row.description.push(' ');
        }
        row.description += &reference;
    }

    fn properties(
        &mut self,
        properties: &'d Map<String, Json>,
        required: Option<&Json>,
        path: &str,
        secret: bool,
        depth: usize,
    ) {
        let is_required = |name: &str| {
            required
                .and_then(Json::as_array)
                .is_some_and(|names| names.iter().any(|one| one == name))
        };
        let mut properties: Vec<_> = properties
            .iter()
            .map(|(name, schema)| (!is_required(name), name, schema))
            .collect();
        properties.sort_by_key(|(optional, name, _)| (*optional, *name));
        for (optional, name, schema) in properties {
            if self.rows.len() >= MOST_ROWS {
                return self.kinds.leave_out();
            }
            let secret = secret || path.is_empty() && self.description.secrets.contains(name);
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let kind = self.kinds.of(schema);
            // What stands beside a reference is said of this use of it.
            let text = |key: &str| schema.get(key).or_else(|| self.kinds.look(schema).get(key));
            self.rows.push(Row {
                kind,
                required: !optional,
                secret,
                default: text("default").map(Json::to_string),
                description: text("description")
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                name: path.clone(),
            });
            self.within(schema, &path, secret, depth + 1);
        }
    }
}

/// The setting that a path within it belongs to: `rules` for `rules[]`, the members of a list.
fn setting(path: &str) -> &str {
    let mut path = path;
    while let Some(outer) = path.strip_suffix("[]").or(path.strip_suffix(".<name>")) {
        path = outer;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(schema: Json) -> Settings {
        settings(&Description {
            secrets: vec!["token".into()],
            ..Description::new("p", "1.0.0", "", schema)
        })
    }

    #[test]
    fn what_is_required_comes_first_and_what_is_nested_has_its_path() {
        let shown = of(json!({
            "type": "object",
            "required": ["token"],
            "properties": {
                "rules": { "type": "array", "items": { "$ref": "#/$defs/rule" } },
                "accounts": { "additionalProperties": { "properties": { "name": { "type": "string" } } } },
                "token": { "type": "string", "description": "Of the sender.", "default": "x" }
            },
            "$defs": { "rule": { "required": ["when"], "properties": { "when": { "enum": ["a", "b"] } } } }
        }));
        let names: Vec<_> = shown
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.required, row.secret))
            .collect();
        let expected = [
            ("token", true, true),
            ("accounts", false, false),
            ("accounts.<name>.name", false, false),
            ("rules", false, false),
            ("rules[].when", true, false),
        ];
        assert_eq!(names, expected);
        assert_eq!(
            (
                shown.rows[0].description.as_str(),
                shown.rows[0].default.as_deref()
            ),
            ("Of the sender.", Some("\"x\""))
        );
        assert!(shown.complete);
    }

    #[test]
    fn part_used_twice_has_its_rows_once() {
        let shown = of(json!({
            "properties": {
                "keep": { "$ref": "#/$defs/condition", "description": "What counts." },
                "skip": { "type": "array", "items": { "$ref": "#/$defs/condition" } }
            },
            "$defs": { "condition": { "properties": {
                "all": { "type": "array", "items": { "$ref": "#/$defs/condition" } },
                "is": { "type": "string" }
            } } }
        }));
        let rows: Vec<_> = shown
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.description.as_str()))
            .collect();
        let expected = [
            ("keep", "What counts."),
            ("keep.all", "Written like `keep`."),
            ("keep.is", ""),
            ("skip", "Written like `keep`."),
        ];
        assert_eq!(rows, expected);
        assert!(shown.complete);
    }

    #[test]
    fn what_no_row_can_say_is_known_to_be_left_out() {
        for rule in [
            json!({ "not": {} }),
            json!({ "properties": { "a": { "allOf": [{}] } } }),
            json!({ "$ref": "#/$defs/absent" }),
            json!({ "properties": { "a": { "items": { "if": true } } } }),
        ] {
            assert!(!of(rule.clone()).complete, "{rule}");
        }
        assert!(of(json!(true)).rows.is_empty());
    }

    #[test]
    fn a_schema_without_end_is_shown_to_some_depth() {
        let endless = of(json!({ "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } } }));
        assert!(!endless.complete && endless.rows.len() <= MOST_ROWS);
        let alternatives: Vec<_> = (0..100).map(|_| json!({ "$ref": "#" })).collect();
        assert!(
            !of(json!({ "anyOf": alternatives, "properties": { "a": { "anyOf": alternatives } } }))
                .complete
        );
        assert!(!of(json!({ "$ref": "#" })).complete);
    }
}
