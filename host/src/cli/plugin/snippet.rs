//! A snippet of configuration to use a plugin: a source with the required settings.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value as Json};
use toml::Value;

use crate::config::Fetched;
use alert_gateway_sandbox::Description;

/// Settings within settings; one that needs more than this is shown with a gap.
const DEEPEST: usize = 8;

/// The plugin's name in the source.
pub enum Named<'a> {
    /// A bundled plugin's name.
    Bundled(&'a str),
    /// A file, with its hash where that is wanted.
    File(&'a Path, Option<&'a str>),
    /// One that was fetched.
    Fetched(&'a Fetched),
}

/// Returns a source that is called like its plugin; its secrets are in environment variables.
pub fn snippet(description: &Description, named: &Named<'_>) -> String {
    let source = if description.flaws().is_empty() {
        description.name.as_str()
    } else {
        "my-source"
    };
    let reference = |setting: &str| format!("{{ env = \"{}\" }}", variable(source, setting));
    write_source(source, description, named, &reference)
}

/// Returns a source of this name. `reference` writes where the secret of a setting is.
pub fn write_source(
    source: &str,
    description: &Description,
    named: &Named<'_>,
    reference: &dyn Fn(&str) -> String,
) -> String {
    let plugin = match named {
        Named::Bundled(name) => text(name),
        Named::Fetched(fetched) => fetched.toml(),
        Named::File(path, sha256) => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let sha256 =
                sha256.map_or_else(String::new, |sha256| format!(", sha256 = \"{sha256}\""));
            format!("{{ path = {}{sha256} }}", text(&file))
        }
    };
    let table = format!("sources.{}", key(source));
    let mut lines = format!("[{table}]\nplugin      = {plugin}\ndestination = \"itoc360\"\n");
    if !description.authenticates {
        let _ = writeln!(lines, "token       = {}", reference("token"));
    }
    let needed = Needed {
        description,
        reference,
    };
    let settings = needed.settings();
    if !settings.is_empty() {
        let _ = writeln!(lines, "\n[{table}.settings]");
        let width = settings
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or_default();
        for (name, value) in settings {
            let _ = writeln!(lines, "{name:<width$} = {value}");
        }
    }
    lines
}

/// The settings that a source must have.
struct Needed<'d> {
    description: &'d Description,
    reference: &'d dyn Fn(&str) -> String,
}

impl<'d> Needed<'d> {
    fn settings(&self) -> Vec<(String, String)> {
        let secret = |name: &str| self.description.secrets.iter().any(|secret| secret == name);
        let value = |(name, schema)| (key(name), self.value(name, schema, secret(name), 0));
        required(self.resolved(&self.description.settings))
            .into_iter()
            .map(value)
            .collect()
    }

    /// A value of this schema, as TOML: what its author proposes, or something of the right type.
    fn value(&self, name: &str, schema: &'d Json, secret: bool, depth: usize) -> String {
        let schema = self.resolved(schema);
        let proposed = ["default", "const"]
            .iter()
            .find_map(|keyword| schema.get(keyword));
        let first = ["examples", "enum"]
            .iter()
            .find_map(|keyword| schema.get(keyword)?.get(0));
        if let (Some(proposed), false) = (
            proposed
                .or(first)
                .and_then(|value| Value::try_from(value).ok()),
            secret,
        ) {
            return proposed.to_string();
        }
        let alternative = ["anyOf", "oneOf"]
            .iter()
            .find_map(|keyword| schema.get(keyword)?.get(0));
        if let (Some(alternative), true) = (alternative, depth < DEEPEST) {
            return self.value(name, alternative, secret, depth + 1);
        }
        let kind = match schema.get("type") {
            Some(Json::Array(several)) => several.first().and_then(Json::as_str),
            one => one.and_then(Json::as_str),
        };
        match kind {
            Some("integer" | "number") => schema
                .get("minimum")
                .map_or_else(|| "1".to_owned(), Json::to_string),
            Some("boolean") => "false".to_owned(),
            Some("array") => match schema.get("items") {
                Some(items) if depth < DEEPEST => {
                    format!("[{}]", self.value(name, items, secret, depth + 1))
                }
                _ => "[]".to_owned(),
            },
            Some("object") if depth < DEEPEST => self.table(schema, secret, depth),
            _ if secret => (self.reference)(name),
            _ => "\"…\"".to_owned(),
        }
    }

    fn table(&self, schema: &'d Json, secret: bool, depth: usize) -> String {
        let value = |(name, schema): (&'d str, &'d Json)| {
            format!(
                "{} = {}",
                key(name),
                self.value(name, schema, secret, depth + 1)
            )
        };
        let entries: Vec<_> = required(schema).into_iter().map(value).collect();
        if entries.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", entries.join(", "))
        }
    }

    /// Follows the schema's reference, or returns the schema itself.
    fn resolved(&self, schema: &'d Json) -> &'d Json {
        let reference = schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|reference| reference.strip_prefix('#'));
        reference
            .and_then(|pointer| self.description.settings.pointer(pointer))
            .unwrap_or(schema)
    }
}

/// The properties that must be there. Where one of several sets must be, it is the first; where it
/// depends, it is what must be there without any other.
fn required(schema: &Json) -> Vec<(&str, &Json)> {
    let properties: Option<&Map<String, Json>> = schema.get("properties").and_then(Json::as_object);
    let alternative = ["anyOf", "oneOf"]
        .iter()
        .find_map(|keyword| schema.get(keyword)?.get(0));
    let lists = [Some(schema), alternative, schema.get("else")]
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("required")?.as_array());
    let names = lists.flatten().filter_map(Json::as_str);
    names
        .filter_map(|name| Some((name, properties?.get(name)?)))
        .collect()
}

/// A variable for a secret, as `check` proposes it: `TWILIO_PROD_AUTH_TOKEN`.
fn variable(source: &str, setting: &str) -> String {
    format!("{source}_{setting}")
        .to_uppercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { name.to_owned() } else { text(name) }
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_source_is_written_with_all_that_it_must_have() {
        let schema = json!({
            "required": ["token", "keys", "level", "port", "rule", "a b"],
            "anyOf": [{ "required": ["free"] }, { "required": ["optional"] }],
            "properties": {
                "token": { "anyOf": [{ "type": "string" }, { "type": "array" }] },
                "keys": { "type": "array", "items": { "type": "string" } },
                "level": { "enum": ["low", "high"] },
                "port": { "type": "integer", "minimum": 1024 },
                "rule": { "$ref": "#/$defs/rule" },
                "a b": { "type": "boolean" },
                "free": { "examples": [["x", 1]] },
                "optional": {}
            },
            "$defs": { "rule": {
                "type": "object", "required": ["when"], "properties": { "when": { "type": "string" } }
            } }
        });
        let description = Description {
            secrets: vec!["token".into(), "keys".into()],
            ..Description::new("bell", "1.0.0", "", schema)
        };
        let expected = r#"[sources.bell]
plugin      = { path = "bell.wasm", sha256 = "00" }
destination = "itoc360"
token       = { env = "BELL_TOKEN" }

[sources.bell.settings]
token = { env = "BELL_TOKEN" }
keys  = [{ env = "BELL_KEYS" }]
level = "low"
port  = 1024
rule  = { when = "…" }
"a b" = false
free  = ["x", 1]
"#;
        let named = Named::File(Path::new("target/bell.wasm"), Some("00"));
        assert_eq!(snippet(&description, &named), expected);
        assert!(toml::from_str::<toml::Table>(expected).is_ok());
    }

    #[test]
    fn a_schema_without_end_has_a_source_all_the_same() {
        let schema =
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#" } } });
        let description = Description {
            authenticates: true,
            ..Description::new("bell", "1.0.0", "", schema)
        };
        let written = snippet(&description, &Named::Bundled("bell"));
        assert!(toml::from_str::<toml::Table>(&written).is_ok(), "{written}");
        assert!(!written.contains("token"), "{written}");
    }
}
