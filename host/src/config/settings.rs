//! A source's settings: JSON for the plugin, and for each value the place where the operator wrote
//! it.
//!
//! The gateway knows nothing of what settings mean; the plugin's schema does, and `sources::schema`
//! checks them against it. A table with the one key `env`, `file` or `credential`, anywhere within,
//! is replaced by the text that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::problem::Position;
use super::raw::{Table, Value};
use super::reference::{is_reference, shell_variable};

/// The text in the place of a value that could not be read.
const UNREAD: &str = "unread-0123456789abcdef";

/// Settings are a few names and secrets. Deeper than this they are a mistake, or meant to exhaust
/// the stack.
const DEEPEST: usize = 32;

/// The settings of one source, with every reference resolved. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Settings {
    text: Box<RawValue>,
    value: Json,
    /// By JSON Pointer; that of the whole is empty.
    places: BTreeMap<String, Place>,
    /// The pointers of values that could not be read: a problem has been recorded for each.
    unread: BTreeSet<String>,
}

/// The place where one value was written.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The key, or, in a list, the value.
    pub key: Position,
    /// The value.
    pub value: Position,
    /// True if it came from outside the file, and so is not to be shown.
    pub referenced: bool,
}

impl Settings {
    /// Returns the JSON text that the plugin is given.
    pub fn json(&self) -> &RawValue {
        &self.text
    }

    /// Returns the same as a tree, for checking.
    pub fn value(&self) -> &Json {
        &self.value
    }

    /// Returns where the value of a JSON Pointer was written, or the nearest thing around it.
    pub fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            match (self.places.get(pointer), pointer.rfind('/')) {
                (Some(place), _) => return *place,
                (None, Some(end)) => pointer = &pointer[..end],
                // What is no pointer points at all of them.
                (None, None) if !pointer.is_empty() => pointer = "",
                (None, None) => return Place::START,
            }
        }
    }

    /// Returns true if anything at or below a JSON Pointer came from outside the file.
    pub fn is_referenced(&self, pointer: &str) -> bool {
        self.places
            .iter()
            .any(|(at, place)| place.referenced && is_below(at, pointer))
    }

    /// Returns true if every value could be read.
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty()
    }

    /// Returns true if a value at, above or below a JSON Pointer could not be read, so that nothing
    /// more is to be said of it.
    pub fn is_unread(&self, pointer: &str) -> bool {
        self.unread
            .iter()
            .any(|at| is_below(at, pointer) || is_below(pointer, at))
    }
}

impl Place {
    const START: Self = Self {
        key: Position { line: 1, column: 1 },
        value: Position { line: 1, column: 1 },
        referenced: false,
    };
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.places.keys().filter(|pointer| !pointer.is_empty()))
            .finish()
    }
}

/// Returns true if a JSON Pointer is that of a value or of anything within it.
fn is_below(pointer: &str, value: &str) -> bool {
    pointer
        .strip_prefix(value)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the settings of one source. In the place of a value that cannot be read stands a text like
/// it, so that its neighbours can be judged in the same pass.
pub(super) fn read(table: &Table<'_>) -> Settings {
    let mut conversion = Conversion {
        places: BTreeMap::new(),
        unread: BTreeSet::new(),
    };
    let start = table.reading.position(table.span.start);
    conversion.places.insert(
        String::new(),
        Place {
            key: start,
            value: start,
            referenced: false,
        },
    );
    let value = Json::Object(conversion.entries(table, "", 0));
    // A tree of JSON is always text.
    let text = to_raw_value(&value).unwrap_or_default();
    Settings {
        text,
        value,
        places: conversion.places,
        unread: conversion.unread,
    }
}

/// TOML on its way to JSON.
struct Conversion {
    places: BTreeMap<String, Place>,
    unread: BTreeSet<String>,
}

impl Conversion {
    fn entries(&mut self, table: &Table<'_>, at: &str, depth: usize) -> Map<String, Json> {
        let reading = table.reading;
        let mut map = Map::new();
        for (key, value) in table.entries() {
            let at = format!(
                "{at}/{}",
                key.get_ref().replace('~', "~0").replace('/', "~1")
            );
            let place = Place {
                key: reading.position(key.span().start),
                value: reading.position(value.span.start),
                referenced: false,
            };
            self.places.insert(at.clone(), place);
            map.insert(
                key.get_ref().to_string(),
                self.convert(&value, &table.name, &at, depth + 1),
            );
        }
        map
    }

    /// Returns the JSON of a value; where there is none, [`UNREAD`], and then a problem has been
    /// recorded.
    fn convert(&mut self, value: &Value<'_>, table: &str, at: &str, depth: usize) -> Json {
        if depth > DEEPEST {
            return self.fail(value, at, "is nested too deep", "32 levels are the most");
        }
        match value.value {
            DeValue::String(text) => {
                if let Some(name) = shell_variable(text) {
                    let found = format!(
                        "{} is the text {text:?}, and nothing replaces it",
                        value.label
                    );
                    value.warning(found, format!("write {{ env = {name:?} }}"));
                }
                Json::String(text.to_string())
            }
            DeValue::Boolean(boolean) => Json::Bool(*boolean),
            DeValue::Datetime(datetime) => Json::String(datetime.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => number.into(),
                    Err(_) => self.fail(value, at, "is too large a number", "64 bits are the most"),
                }
            }
            DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64)
            {
                Some(number) => Json::Number(number),
                None => self.fail(
                    value,
                    at,
                    "is not a finite number",
                    "plugins are given JSON, which has no other",
                ),
            },
            DeValue::Array(list) => {
                let items = list.iter().enumerate().map(|(index, item)| {
                    let at = format!("{at}/{index}");
                    let position = value.reading.position(item.span().start);
                    self.places.insert(
                        at.clone(),
                        Place {
                            key: position,
                            value: position,
                            referenced: false,
                        },
                    );
                    self.convert(&value.item(item), table, &at, depth + 1)
                });
                Json::Array(items.collect())
            }
            DeValue::Table(entries) if is_reference(entries) => self.resolve(value, entries, at),
            DeValue::Table(entries) => {
                let table = Table::new(table, value.span.clone(), Some(entries), value.reading);
                Json::Object(self.entries(&table, at, depth))
            }
        }
    }

    fn resolve<'t>(&mut self, value: &Value<'t>, entries: &'t DeTable<'t>, at: &str) -> Json {
        if let Some(place) = self.places.get_mut(at) {
            place.referenced = true;
        }
        match value.reference(entries) {
            Some(text) => Json::String(text),
            None => {
                self.unread.insert(at.to_owned());
                UNREAD.into()
            }
        }
    }

    fn fail(&mut self, value: &Value<'_>, at: &str, found: &str, help: &str) -> Json {
        self.unread.insert(at.to_owned());
        value.problem(format!("{} {found}", value.label), help);
        UNREAD.into()
    }
}
