//! Checks a schema for its author: is it valid, and do the settings of a case fit it? Authors get
//! the words of JSON Schema and JSON Pointers, because these stand in their own files.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::explain::unescaped;
use super::{errors, plain};
use alert_gateway_sandbox::Description;

/// Returns the flaw of a plugin's settings schema and its place, or `None` where the schema can be
/// used.
pub fn flaw(description: &Description) -> Option<String> {
    errors(description, &Json::Null).err()
}

/// Lists the parts of these settings that do not fit the plugin's schema. It is empty for an
/// invalid schema: see [`flaw`].
pub fn misfits(description: &Description, settings: &Json) -> Vec<String> {
    let Ok(errors) = errors(description, settings) else {
        return Vec::new();
    };
    let told = errors.into_iter().flat_map(plain).map(|error| {
        let at = error.instance_path().as_str();
        let top = at.split('/').nth(1).map(unescaped);
        let secret = top.is_some_and(|top| description.secrets.contains(&top));
        let what = match error.kind() {
            // They name keys, which below a secret are as secret as it is.
            Kind::AdditionalProperties { .. }
            | Kind::UnevaluatedProperties { .. }
            | Kind::PropertyNames { .. }
                if secret =>
            {
                "it has a key that does not fit".to_owned()
            }
            _ if secret => error.masked_with("the secret").to_string(),
            _ => error.to_string(),
        };
        if at.is_empty() {
            what
        } else {
            format!("`{at}`: {what}")
        }
    });
    told.collect()
}
