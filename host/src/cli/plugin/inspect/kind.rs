//! The type of a setting, in words: from the keywords of a JSON Schema to "list of text (1 to 4)".

use std::cell::Cell;

use serde_json::{Map, Value as Json};

use crate::config::listed;

/// Schemas that are looked at for all settings of a plugin. Its author needs some dozens; a schema
/// that refers to itself in many places would need more time than there is.
const MOST_LOOKS: usize = 5_000;
/// References that lead to references.
const MOST_HOPS: usize = 8;
/// Kinds within kinds.
const DEEPEST: usize = 4;

/// The keywords that the table expresses in words, and those without effect.
const SAID: [&str; 36] = [
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "definitions",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "oneOf",
    "pattern",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
];

/// The schemas of one plugin.
pub struct Kinds<'d> {
    root: &'d Json,
    /// Set to false where something had to be left out.
    complete: &'d Cell<bool>,
    looks: Cell<usize>,
}

impl<'d> Kinds<'d> {
    /// Of this schema and its definitions.
    pub fn new(root: &'d Json, complete: &'d Cell<bool>) -> Self {
        Self {
            root,
            complete,
            looks: Cell::new(0),
        }
    }

    /// Notes that the words do not say all.
    pub fn leave_out(&self) {
        self.complete.set(false);
    }

    /// The schema that this one is or refers to.
    pub fn look(&self, schema: &'d Json) -> &'d Json {
        self.looks.set(self.looks.get() + 1);
        let mut schema = schema;
        for _ in 0..MOST_HOPS {
            if self.looks.get() > MOST_LOOKS {
                break;
            }
            if let Json::Object(keywords) = schema {
                let has = |names: [&str; 2]| names.iter().any(|name| keywords.contains_key(*name));
                // Alternatives beside a type narrow it down, in ways that there are no words for.
                let narrowed = has(["anyOf", "oneOf"]) && has(["type", "properties"]);
                if narrowed
                    || !keywords
                        .keys()
                        .all(|keyword| SAID.contains(&keyword.as_str()))
                {
                    self.leave_out();
                }
            }
            let Some(reference) = schema.get("$ref").and_then(Json::as_str) else {
                return schema;
            };
            match reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
            {
                Some(found) => schema = found,
                None => break,
            }
        }
        self.leave_out();
        &Json::Null
    }

    /// Returns the type of this schema's values, in words.
    pub fn of(&self, schema: &'d Json) -> String {
        self.kind(schema, 0)
    }

    fn kind(&self, schema: &'d Json, depth: usize) -> String {
        if depth > DEEPEST {
            self.leave_out();
            return "…".to_owned();
        }
        let Json::Object(keywords) = self.look(schema) else {
            return "anything".to_owned();
        };
        for name in ["anyOf", "oneOf"] {
            if let Some(alternatives) = keywords.get(name).and_then(Json::as_array)
                && !keywords.contains_key("type")
            {
                let mut kinds = Vec::new();
                for kind in alternatives.iter().map(|one| self.kind(one, depth + 1)) {
                    if !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                return listed(kinds.iter().map(String::as_str), "or");
            }
        }
        if let Some(value) = keywords.get("const") {
            return code(value);
        }
        if let Some(values) = keywords.get("enum").and_then(Json::as_array) {
            let values: Vec<_> = values.iter().map(code).collect();
            return listed(values.iter().map(String::as_str), "or");
        }
        let types: Vec<_> = match keywords.get("type") {
            Some(Json::String(one)) => vec![one.as_str()],
            Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
            _ if keywords.contains_key("properties")
                || keywords.contains_key("additionalProperties") =>
            {
                vec!["object"]
            }
            _ if keywords.contains_key("items") => vec!["array"],
            _ => return "anything".to_owned(),
        };
        let kinds: Vec<_> = types
            .into_iter()
            .map(|name| self.of_type(name, keywords, depth))
            .collect();
        listed(kinds.iter().map(String::as_str), "or")
    }

    fn of_type(&self, name: &str, keywords: &'d Map<String, Json>, depth: usize) -> String {
        let (word, notes) = match name {
            "string" => ("text".to_owned(), text_notes(keywords)),
            "integer" => ("whole number".to_owned(), number_notes(keywords)),
            "number" => ("number".to_owned(), number_notes(keywords)),
            "boolean" => ("true or false".to_owned(), Vec::new()),
            "array" => {
                let items = keywords
                    .get("items")
                    .map_or_else(|| "anything".to_owned(), |one| self.inner(one, depth));
                let unique = keywords.get("uniqueItems") == Some(&Json::Bool(true));
                let mut notes: Vec<_> =
                    span(keywords, "minItems", "maxItems").into_iter().collect();
                notes.extend(unique.then(|| "none twice".to_owned()));
                (format!("list of {items}"), notes)
            }
            "object" => {
                let word = match keywords.get("additionalProperties") {
                    Some(others @ Json::Object(_)) => {
                        format!("table from names to {}", self.inner(others, depth))
                    }
                    _ => "table".to_owned(),
                };
                (word, self.table_notes(keywords))
            }
            "null" => ("nothing".to_owned(), Vec::new()),
            _ => ("anything".to_owned(), Vec::new()),
        };
        if notes.is_empty() {
            word
        } else {
            format!("{word} ({})", notes.join(", "))
        }
    }

    /// A kind within another one: in brackets where it has an "or" of its own.
    fn inner(&self, schema: &'d Json, depth: usize) -> String {
        let kind = self.kind(schema, depth + 1);
        if kind.contains(" or ") {
            format!("[{kind}]")
        } else {
            kind
        }
    }

    fn table_notes(&self, keywords: &'d Map<String, Json>) -> Vec<String> {
        let mut notes: Vec<_> = span(keywords, "minProperties", "maxProperties")
            .into_iter()
            .collect();
        if let Some(names) = keywords.get("propertyNames") {
            let names = match self.look(names) {
                Json::Object(names) => text_notes(names),
                _ => Vec::new(),
            };
            notes.extend(names.into_iter().map(|note| format!("names {note}")));
        }
        notes
    }
}

fn text_notes(keywords: &Map<String, Json>) -> Vec<String> {
    let mut notes: Vec<_> = keywords
        .get("format")
        .and_then(Json::as_str)
        .map(str::to_owned)
        .into_iter()
        .collect();
    // That a text is not empty goes without saying.
    let length = match (
        keywords.get("minLength").and_then(Json::as_u64),
        keywords.contains_key("maxLength"),
    ) {
        (Some(0 | 1), false) => None,
        _ => span(keywords, "minLength", "maxLength"),
    };
    notes.extend(length.map(|length| format!("{length} characters")));
    notes.extend(
        keywords
            .get("pattern")
            .and_then(Json::as_str)
            .map(|pattern| format!("as `{pattern}`")),
    );
    notes
}

fn number_notes(keywords: &Map<String, Json>) -> Vec<String> {
    let mut notes: Vec<_> = span(keywords, "minimum", "maximum").into_iter().collect();
    for (keyword, words) in [
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
    ] {
        notes.extend(
            keywords
                .get(keyword)
                .map(|bound| format!("{words} {bound}")),
        );
    }
    notes
}

/// `1 to 4`, `at least 1`, `at most 4`, `4`.
fn span(keywords: &Map<String, Json>, least: &str, most: &str) -> Option<String> {
    match (keywords.get(least), keywords.get(most)) {
        (Some(least), Some(most)) if least == most => Some(format!("{least}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

fn code(value: &Json) -> String {
    format!("`{value}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_has_words() {
        for (schema, words) in [
            (json!({ "type": "string" }), "text"),
            (json!({ "type": "string", "minLength": 1 }), "text"),
            (
                json!({ "type": "string", "minLength": 16, "maxLength": 16 }),
                "text (16 characters)",
            ),
            (
                json!({ "type": "string", "format": "uri", "pattern": "^h" }),
                "text (uri, as `^h`)",
            ),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
                "whole number (1 to 9)",
            ),
            (
                json!({ "type": "number", "exclusiveMinimum": 0 }),
                "number (more than 0)",
            ),
            (json!({ "type": "boolean" }), "true or false"),
            (
                json!({ "enum": ["low", "high"] }),
                "`\"low\"` or `\"high\"`",
            ),
            (json!({ "const": 5 }), "`5`"),
            (
                json!({ "type": ["string", "integer"] }),
                "text or whole number",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" }, "maxItems": 4 }),
                "list of text (at most 4)",
            ),
            (
                json!({ "items": { "enum": [1, 2] }, "uniqueItems": true }),
                "list of [`1` or `2`] (none twice)",
            ),
            (json!({ "properties": {} }), "table"),
            (
                json!({ "additionalProperties": { "type": "string" }, "propertyNames": { "pattern": "^AC" } }),
                "table from names to text (names as `^AC`)",
            ),
            (
                json!({ "anyOf": [{ "type": "string" }, { "type": "string" }, { "type": "null" }] }),
                "text or nothing",
            ),
            (json!({}), "anything"),
            (json!(true), "anything"),
        ] {
            let complete = Cell::new(true);
            assert_eq!(
                Kinds::new(&schema, &complete).of(&schema),
                words,
                "{schema}"
            );
            assert!(complete.get(), "{schema}");
        }
    }
}
