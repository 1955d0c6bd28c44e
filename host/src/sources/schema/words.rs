//! Types, in the words of somebody who writes TOML.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value as Json;

/// The types that an error about types names, in an operator's words.
pub(super) fn accepted(kind: &Kind) -> Vec<&'static str> {
    let of_branch = |errors: &Vec<ValidationError<'static>>| {
        errors
            .iter()
            .flat_map(|e| accepted(e.kind()))
            .collect::<Vec<_>>()
    };
    let types = match kind {
        Kind::Type {
            kind: TypeKind::Single(one),
        } => vec![type_word(*one)],
        Kind::Type {
            kind: TypeKind::Multiple(several),
        } => several.iter().map(type_word).collect(),
        // What is left of alternatives after `plain` is a type that fits none.
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            context.iter().flat_map(of_branch).collect()
        }
        _ => Vec::new(),
    };
    types.into_iter().filter(|word| !word.is_empty()).collect()
}

/// The type in an operator's words. TOML has no null, so nobody is told to write one.
fn type_word(json: JsonType) -> &'static str {
    match json {
        JsonType::Null => "",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "text",
        JsonType::Array => "an array",
        JsonType::Object => "a table",
    }
}

/// The type of a value.
pub(super) fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "a boolean",
        Json::Number(number) if number.is_f64() => "a fraction",
        Json::Number(_) => "an integer",
        Json::String(_) => "text",
        Json::Array(_) => "an array",
        Json::Object(_) => "a table",
    }
}
