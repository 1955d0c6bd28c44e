//! Reads the types of the contract from the SDK's source, as JSON Schema.

use std::fs;

use plugin_sdk::contract::CONTRACT_VERSION;
use serde_json::{Map, Value, json};
use syn::{
    Attribute, Expr, Field, Fields, GenericArgument, Item, ItemEnum, Lit, Meta, PathArguments, Type,
};

use crate::harness::root;

/// Returns the contract's schema: `$defs` has each type that travels.
pub fn schema() -> Value {
    let mut types = Map::new();
    for entry in fs::read_dir(root().join("plugin-sdk/src/contract")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for item in syn::parse_file(&text).unwrap().items {
            match item {
                Item::Struct(one) if travels(&one.attrs) => {
                    let Fields::Named(fields) = &one.fields else {
                        continue;
                    };
                    let schema = object(fields.named.iter(), &doc(&one.attrs));
                    types.insert(one.ident.to_string(), schema);
                }
                Item::Enum(one) if travels(&one.attrs) => {
                    let schema = choice(&one);
                    types.insert(one.ident.to_string(), schema);
                }
                Item::Enum(one) if one.ident == "Answer" => answer(&one, &mut types),
                _ => {}
            }
        }
    }
    let exchanged = ["Request", "Description", "Answer", "Checked"].map(reference);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The contract between the alert gateway and its plugins",
        "description": format!(
            "Version {CONTRACT_VERSION}. `describe` answers a Description, `read` takes a Request and answers an \
             Answer, and `check`, which is optional, takes a source's settings and answers a Checked."
        ),
        "anyOf": exchanged,
        "$defs": types,
    })
}

/// An answer is written by hand: an object with one of the variants, and `proof` beside `alerts`.
fn answer(one: &ItemEnum, types: &mut Map<String, Value>) {
    let mut properties = Map::new();
    let mut kinds = Vec::new();
    for variant in &one.variants {
        let name = variant.ident.to_string();
        let content = match &variant.fields {
            Fields::Unnamed(_) if name == "Alerts" => {
                json!({ "type": "array", "items": reference("Alert") })
            }
            Fields::Unnamed(fields) => kind(&fields.unnamed[0].ty),
            Fields::Named(fields) => {
                types.insert(
                    name.clone(),
                    object(fields.named.iter(), &doc(&variant.attrs)),
                );
                reference(&name)
            }
            Fields::Unit => panic!("{name} has no content"),
        };
        let kind = spelled(&name, "snake_case");
        kinds.push(json!({ "required": [kind] }));
        properties.insert(kind, described(content, &doc(&variant.attrs)));
    }
    let proof = "The proof that the plugin has checked by itself, beside `alerts`. The host remembers it, and a request \
                 with the same proof again opens nothing.";
    properties.insert(
        "proof".to_owned(),
        described(nullable(reference("ProofIdentity")), proof),
    );
    types.insert(
        "Answer".to_owned(),
        json!({
            "description": doc(&one.attrs),
            "type": "object",
            "properties": properties,
            "oneOf": kinds,
            "additionalProperties": false,
        }),
    );
}

fn object<'f>(fields: impl Iterator<Item = &'f Field>, doc_text: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let name = field.ident.as_ref().unwrap().to_string();
        let schema = described(kind(&field.ty), &doc(&field.attrs));
        if !serde(&field.attrs).iter().any(|word| word == "default") && !is(&field.ty, "Option") {
            required.push(name.clone());
        }
        properties.insert(name, schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    described(schema, doc_text)
}

fn choice(one: &ItemEnum) -> Value {
    let words = serde(&one.attrs);
    let case = words
        .iter()
        .find(|word| word.ends_with("_case") || word.ends_with("-case"))
        .unwrap_or_else(|| panic!("{} does not say how its words are spelled", one.ident));
    let variants: Vec<_> = one
        .variants
        .iter()
        .map(|variant| {
            let word = spelled(&variant.ident.to_string(), case);
            let content = match &variant.fields {
                Fields::Unit => {
                    let word = json!({ "const": word, "type": "string" });
                    return described(word, &doc(&variant.attrs));
                }
                Fields::Unnamed(fields) => kind(&fields.unnamed[0].ty),
                Fields::Named(fields) => object(fields.named.iter(), ""),
            };
            let properties = Map::from_iter([(word.clone(), content)]);
            let schema = json!({ "type": "object", "properties": properties, "required": [word],
                "additionalProperties": false });
            described(schema, &doc(&variant.attrs))
        })
        .collect();
    described(json!({ "oneOf": variants }), &doc(&one.attrs))
}

fn kind(of: &Type) -> Value {
    if let Type::Tuple(tuple) = of {
        let items: Vec<_> = tuple.elems.iter().map(kind).collect();
        let count = items.len();
        return json!({ "type": "array", "prefixItems": items, "minItems": count, "maxItems": count });
    }
    let name = name(of);
    match &*name {
        "String" => json!({ "type": "string" }),
        "bool" => json!({ "type": "boolean" }),
        "u16" | "u32" | "u64" => {
            json!({ "type": "integer", "format": name.replace('u', "uint"), "minimum": 0 })
        }
        "i64" => json!({ "type": "integer", "format": "int64" }),
        "Vec" => json!({ "type": "array", "items": kind(argument(of, 0)) }),
        "BTreeMap" => json!({ "type": "object", "additionalProperties": kind(argument(of, 1)) }),
        "Option" => nullable(kind(argument(of, 0))),
        // A schema, and JSON to the letter.
        "S" => json!({}),
        "Box" if is(argument(of, 0), "RawValue") => json!({}),
        named => reference(named),
    }
}

fn nullable(mut schema: Value) -> Value {
    match schema.get("type") {
        Some(of) => {
            schema["type"] = json!([of, "null"]);
            schema
        }
        None if schema.get("$ref").is_some() => json!({ "anyOf": [schema, { "type": "null" }] }),
        None => schema,
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn described(mut schema: Value, text: &str) -> Value {
    if !text.is_empty() {
        schema["description"] = text.into();
    }
    schema
}

/// Returns the last part of a type's path.
fn name(of: &Type) -> String {
    match of {
        Type::Path(path) => path.path.segments.last().unwrap().ident.to_string(),
        _ => panic!("a type that the contract has no word for"),
    }
}

fn is(of: &Type, wanted: &str) -> bool {
    matches!(of, Type::Path(_)) && name(of) == wanted
}

fn argument(of: &Type, at: usize) -> &Type {
    let Type::Path(path) = of else { panic!() };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last().unwrap().arguments
    else {
        panic!("{} has no arguments", name(of))
    };
    match &arguments.args[at] {
        GenericArgument::Type(argument) => argument,
        _ => panic!("{} has another argument", name(of)),
    }
}

/// Returns whether a type is written and read by serde's derive macros.
fn travels(attributes: &[Attribute]) -> bool {
    let derived = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("derive") => {
            list.tokens.to_string().contains("Deserialize")
        }
        _ => false,
    };
    attributes.iter().any(derived)
}

/// Returns the words of the attributes `serde`: names, and the texts given to them.
fn serde(attributes: &[Attribute]) -> Vec<String> {
    let mut words = Vec::new();
    for attribute in attributes {
        if let Meta::List(list) = &attribute.meta
            && list.path.is_ident("serde")
        {
            let text = list.tokens.to_string();
            let split = text.split([',', '=', '"', ' ']);
            words.extend(split.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    words
}

fn spelled(name: &str, case: &str) -> String {
    let dash = if case == "kebab-case" { '-' } else { '_' };
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push(dash);
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// Returns a doc comment for readers outside rustdoc: links are their text, and a paragraph is one
/// line.
fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(value) = &attribute.meta
            && value.path.is_ident("doc")
            && let Expr::Lit(literal) = &value.value
            && let Lit::Str(line) = &literal.lit
        {
            lines.push(line.value().trim().to_owned());
        }
    }
    let text = without_links(&lines.join("\n"));
    let paragraphs: Vec<_> = text
        .split("\n\n")
        .map(|text| text.replace('\n', " "))
        .collect();
    paragraphs.join("\n\n")
}

fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((inner, behind)) = after.split_once(']') else {
            return plain + "[" + after;
        };
        plain.push_str(inner);
        rest = match behind
            .strip_prefix('(')
            .and_then(|place| place.split_once(')'))
        {
            Some((_, behind)) => behind,
            None => behind,
        };
    }
    plain + rest
}
