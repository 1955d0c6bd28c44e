//! The contract as types, for the writers of each language: read from its JSON Schema.

use serde_json::{Map, Value};

/// The limits of numbers that the contract names.
pub const LIMITS: [(&str, usize); 3] = [
    ("MAX_ALERTS", plugin_sdk::contract::MAX_ALERTS),
    (
        "MAX_EVENT_ID_BYTES",
        plugin_sdk::contract::MAX_EVENT_ID_BYTES,
    ),
    ("MAX_KEY_BYTES", plugin_sdk::contract::MAX_KEY_BYTES),
];

/// All types of the contract, in the order of their names.
pub struct Model {
    pub types: Vec<Type>,
}

/// A type with a name.
pub struct Type {
    pub name: String,
    pub doc: String,
    pub shape: Shape,
}

/// The shape of a type.
pub enum Shape {
    /// An object with these fields, the required ones first. Where `one_of` names some, exactly one
    /// of those is there.
    Object {
        fields: Vec<Field>,
        one_of: Vec<String>,
    },
    /// One of these words.
    Words(Vec<Variant>),
    /// A word, or an object with one member, which names its meaning.
    Choice(Vec<Variant>),
}

/// A field of an object.
pub struct Field {
    pub name: String,
    pub doc: String,
    pub kind: Kind,
    /// The field may be absent.
    pub optional: bool,
    /// Absent and present with the zero value are two things.
    pub nullable: bool,
}

/// One of several.
pub struct Variant {
    pub word: String,
    pub doc: String,
    /// The content of an object's member; `None` for a bare word.
    pub kind: Option<Kind>,
}

/// The kind of a value.
pub enum Kind {
    Text,
    Integer {
        signed: bool,
        bits: u8,
    },
    Flag,
    /// Any JSON.
    Json,
    List(Box<Kind>),
    /// An object from names to texts.
    Labels,
    /// A list of two texts.
    Pair,
    Named(String),
}

impl Model {
    /// Reads the types of a schema.
    ///
    /// # Panics
    /// Where the schema has a shape that no writer knows. Every test of a form meets it.
    pub fn of(schema: &Value) -> Self {
        let mut types = Vec::new();
        for (name, schema) in schema["$defs"].as_object().into_iter().flatten() {
            add(&mut types, name, schema);
        }
        Self { types }
    }

    /// Returns the type of this name.
    pub fn find(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|one| one.name == name)
    }

    /// Returns whether a kind is a type that is one of some words.
    pub fn is_word(&self, kind: &Kind) -> bool {
        let Kind::Named(name) = kind else {
            return false;
        };
        matches!(
            self.find(name),
            Some(Type {
                shape: Shape::Words(_),
                ..
            })
        )
    }
}

fn add(types: &mut Vec<Type>, name: &str, schema: &Value) {
    let shape = if let Some(properties) = schema["properties"].as_object() {
        object(types, name, schema, properties)
    } else {
        let variants = list(&schema["oneOf"])
            .iter()
            .flat_map(|one| variants(types, name, one))
            .chain(words(schema))
            .collect::<Vec<_>>();
        assert!(!variants.is_empty(), "{name} has a shape of its own");
        if variants.iter().all(|variant| variant.kind.is_none()) {
            Shape::Words(variants)
        } else {
            Shape::Choice(variants)
        }
    };
    types.push(Type {
        name: name.to_owned(),
        doc: doc(schema),
        shape,
    });
}

fn object(
    types: &mut Vec<Type>,
    name: &str,
    schema: &Value,
    properties: &Map<String, Value>,
) -> Shape {
    let required: Vec<_> = list(&schema["required"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut fields: Vec<_> = properties
        .iter()
        .map(|(field, schema)| {
            let inner = list(&schema["anyOf"])
                .iter()
                .find(|one| one["type"] != "null");
            let nullable = inner.is_some() || list(&schema["type"]).iter().any(|one| one == "null");
            Field {
                name: field.clone(),
                doc: doc(schema),
                kind: kind(types, &pascal(&[name, field]), inner.unwrap_or(schema)),
                optional: !required.contains(&field.as_str()),
                nullable,
            }
        })
        .collect();
    fields.sort_by_key(|field| field.optional);
    let one_of = list(&schema["oneOf"])
        .iter()
        .filter_map(|one| Some(one["required"][0].as_str()?.to_owned()));
    Shape::Object {
        fields,
        one_of: one_of.collect(),
    }
}

/// The words of `enum`, which have no text of their own.
fn words(schema: &Value) -> impl Iterator<Item = Variant> {
    let words = list(&schema["enum"]).iter().filter_map(Value::as_str);
    let doc = doc(schema);
    words.map(move |word| Variant {
        word: word.to_owned(),
        doc: doc.clone(),
        kind: None,
    })
}

fn variants(types: &mut Vec<Type>, name: &str, schema: &Value) -> Vec<Variant> {
    if let Some(word) = schema["const"].as_str() {
        return vec![Variant {
            word: word.to_owned(),
            doc: doc(schema),
            kind: None,
        }];
    }
    let properties = schema["properties"].as_object();
    let members = properties
        .into_iter()
        .flatten()
        .map(|(word, content)| Variant {
            word: word.clone(),
            doc: doc(schema),
            kind: Some(kind(types, &pascal(&[name, word]), content)),
        });
    members.chain(words(schema)).collect()
}

/// Returns the kind of a value. An object without a name gets this one, and becomes a type.
fn kind(types: &mut Vec<Type>, name: &str, schema: &Value) -> Kind {
    if let Some(reference) = schema["$ref"].as_str() {
        let named = reference.rsplit('/').next().unwrap_or(reference);
        return Kind::Named(named.to_owned());
    }
    let of_type = |wanted: &str| {
        schema["type"] == wanted || list(&schema["type"]).iter().any(|one| one == wanted)
    };
    if of_type("string") {
        Kind::Text
    } else if of_type("integer") {
        let format = schema["format"].as_str().unwrap_or("int64");
        Kind::Integer {
            signed: !format.starts_with('u'),
            bits: format
                .trim_start_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .unwrap_or(64),
        }
    } else if of_type("boolean") {
        Kind::Flag
    } else if of_type("array") {
        if schema["prefixItems"].is_array() {
            Kind::Pair
        } else {
            Kind::List(Box::new(kind(types, name, &schema["items"])))
        }
    } else if schema["properties"].is_object() {
        add(types, name, schema);
        Kind::Named(name.to_owned())
    } else if schema["additionalProperties"]["type"] == "string" {
        Kind::Labels
    } else {
        Kind::Json
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn doc(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// `time_ms` as `TimeMs`, and several parts joined.
pub fn pascal(parts: &[&str]) -> String {
    parts
        .iter()
        .flat_map(|part| part.split(['_', '-']))
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

/// `ProofIdentity` and `ecdsa-p256` as `proof_identity` and `ecdsa_p256`.
pub fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(if letter == '-' {
            '_'
        } else {
            letter.to_ascii_lowercase()
        });
    }
    snake
}

/// Breaks a text into lines of at most so many characters; a paragraph begins a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}
