//! A source's settings: JSON for the plugin, and for each value the place where the operator wrote it.
//!
//! The gateway knows nothing of what settings mean; the plugin's schema does, and `sources::schema` checks them against
//! it. A table with the one key `env` or `file`, anywhere within, is replaced by the text that it stands for.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::problem::Position;
use super::raw::{Table, Value};
use super::reading::Reading;
use super::reference::is_reference;
use super::secret::shell_variable;

/// Settings are a few names and secrets. Deeper than this they are a mistake, or meant to exhaust the stack.
const DEEPEST: usize = 32;

/// The settings of one source, with every reference resolved. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Settings {
    text: Box<RawValue>,
    value: Json,
    /// By JSON Pointer; that of the whole is empty.
    places: BTreeMap<String, Place>,
}

/// The place where one value was written.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The key, or, in a list, the value.
    pub key: Position,
    /// The value.
    pub value: Position,
    /// True if it came from an environment variable or a file, and so is not to be shown.
    pub referenced: bool,
}

impl Settings {
    /// The JSON text that the plugin is given.
    pub fn json(&self) -> &RawValue {
        &self.text
    }

    /// The same as a tree, for checking.
    pub fn value(&self) -> &Json {
        &self.value
    }

    /// Returns the place where the value of a JSON Pointer was written, or the nearest thing around it.
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

    /// Returns whether anything at or below a JSON Pointer came from an environment variable or a file.
    pub fn is_referenced(&self, pointer: &str) -> bool {
        let below = |at: &str| at.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.places.iter().any(|(at, place)| place.referenced && below(at))
    }
}

impl Place {
    const START: Self =
        Self { key: Position { line: 1, column: 1 }, value: Position { line: 1, column: 1 }, referenced: false };
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places.keys().filter(|pointer| !pointer.is_empty())).finish()
    }
}

/// Reads the settings of one source.
pub(super) fn read(table: &Table<'_>, reading: &mut Reading) -> Option<Settings> {
    let mut conversion = Conversion { places: BTreeMap::new(), failed: false };
    let start = reading.position(table.span.start);
    conversion.places.insert(String::new(), Place { key: start, value: start, referenced: false });
    let value = Json::Object(conversion.entries(table, "", 0, reading));
    let text = to_raw_value(&value).ok()?;
    (!conversion.failed).then_some(Settings { text, value, places: conversion.places })
}

/// TOML on its way to JSON.
struct Conversion {
    places: BTreeMap<String, Place>,
    failed: bool,
}

impl Conversion {
    fn entries(&mut self, table: &Table<'_>, at: &str, depth: usize, reading: &mut Reading) -> Map<String, Json> {
        let mut map = Map::new();
        for (key, value) in table.entries() {
            let at = format!("{at}/{}", key.get_ref().replace('~', "~0").replace('/', "~1"));
            let place = Place {
                key: reading.position(key.span().start),
                value: reading.position(value.span.start),
                referenced: false,
            };
            self.places.insert(at.clone(), place);
            map.insert(key.get_ref().to_string(), self.convert(&value, &table.name, &at, depth + 1, reading));
        }
        map
    }

    /// The JSON of a value; null where there is none, and then a problem has been recorded.
    fn convert(&mut self, value: &Value<'_>, table: &str, at: &str, depth: usize, reading: &mut Reading) -> Json {
        if depth > DEEPEST {
            return self.fail(value, "is nested too deep", "32 levels are the most", reading);
        }
        match value.value {
            DeValue::String(text) => {
                if let Some(name) = shell_variable(text) {
                    let found = format!("{} is the text {text:?}, and nothing replaces it", value.label);
                    reading.warning(value.span.clone(), found, format!("write {{ env = {name:?} }}"));
                }
                Json::String(text.to_string())
            }
            DeValue::Boolean(boolean) => Json::Bool(*boolean),
            DeValue::Datetime(datetime) => Json::String(datetime.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.into(),
                Err(_) => self.fail(value, "is too large a number", "64 bits are the most", reading),
            },
            DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => Json::Number(number),
                None => {
                    self.fail(value, "is not a finite number", "plugins are given JSON, which has no other", reading)
                }
            },
            DeValue::Array(list) => {
                let items = list.iter().enumerate().map(|(index, item)| {
                    let at = format!("{at}/{index}");
                    let position = reading.position(item.span().start);
                    self.places.insert(at.clone(), Place { key: position, value: position, referenced: false });
                    self.convert(&Value::new(value.label.clone(), item), table, &at, depth + 1, reading)
                });
                Json::Array(items.collect())
            }
            DeValue::Table(entries) if is_reference(entries) => self.resolve(value, entries, at, reading),
            DeValue::Table(entries) => {
                let table = Table::new(table, value.span.clone(), Some(entries));
                Json::Object(self.entries(&table, at, depth, reading))
            }
        }
    }

    fn resolve(&mut self, value: &Value<'_>, entries: &DeTable<'_>, at: &str, reading: &mut Reading) -> Json {
        if let Some(place) = self.places.get_mut(at) {
            place.referenced = true;
        }
        match value.reference(entries, reading) {
            Some(text) => Json::String(text),
            None => {
                self.failed = true;
                Json::Null
            }
        }
    }

    fn fail(&mut self, value: &Value<'_>, found: &str, help: &str, reading: &mut Reading) -> Json {
        self.failed = true;
        reading.problem(value.span.clone(), format!("{} {found}", value.label), help);
        Json::Null
    }
}
