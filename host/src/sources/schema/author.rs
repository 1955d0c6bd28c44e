//! The same schema, for those who wrote it: is it one, and do the settings of a case fit it?
//! Authors are told in the words of JSON Schema, and by JSON Pointers, because that is what they
//! have before them.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::explain::unescaped;
use super::{errors, plain};
use alert_gateway_sandbox::Description;

/// What is wrong with the schema by which a plugin describes its settings, and where in it; `None`
/// where it can be used.
pub fn flaw(description: &Description) -> Option<String> {
    errors(description, &Json::Null).err()
}

/// What of these settings does not fit the plugin's schema. Nothing is said of a schema that is
/// none: see [`flaw`].
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
