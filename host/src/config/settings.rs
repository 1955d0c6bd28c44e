//! A source's settings: JSON for the plugin, and for each value the place where the operator wrote
//! it.
//!
//! The gateway knows nothing of what settings mean; the plugin's schema does, and `sources::schema`
//! checks them against it. At and below the settings that the plugin calls secrets, a table with
//! the one key `env`, `file` or `credential` is a reference, and is replaced by its text; so is one
//! with the key `file` where the plugin takes a file. Elsewhere it is a table: a label may be called
//! `env`. The plugin is known later than the file, so such a
//! table is read both ways, and [`Settings::settle`] chooses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::Environment;
use super::problem::{Position, Problems};
use super::raw::{Table, Value};
use super::reading::{Findings, Reading};
use super::reference::{is_reference, shell_variable};
use super::text::Text;

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
    /// The tables that look like references, by JSON Pointer, until [`Settings::settle`].
    references: BTreeMap<String, Reference>,
}

/// A table that looks like a reference.
#[derive(Clone)]
struct Reference {
    /// The table as it was written.
    table: Json,
    /// The mistakes in it as a reference.
    as_reference: Findings,
    /// The mistakes in it as a table.
    as_table: Findings,
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

    /// Reads the settings of the source `name` from a text of their own, the content of `file`.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(
        text: &str,
        file: &Path,
        name: &str,
        env: Environment<'_>,
    ) -> Result<Self, Problems> {
        let text = Text::of(text, file);
        let reading = Reading::new(&text, env);
        let document = reading.document();
        let entries = Some(document.get_ref());
        let title = format!("[sources.{name}.settings]");
        let settings = read(&Table::new(title, document.span(), entries, &reading));
        let (problems, _) = reading.end();
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems(problems))
        }
    }

    /// Settles which tables are references: those at and below `secrets`, the plugin's names of
    /// secret settings, and files at those that it names in `files`. Returns the mistakes in them.
    pub fn settle(&mut self, secrets: &[String], files: &[String]) -> Findings {
        let mut findings = Findings::default();
        for (pointer, reference) in std::mem::take(&mut self.references) {
            // A table within another that turned out to be a reference stands for nothing.
            let Some(value) = self.value.pointer_mut(&pointer) else {
                continue;
            };
            let name = first_key(&pointer);
            let is_file =
                reference.table.get("file").is_some() && pointer.matches('/').count() == 1;
            let is_secret = secrets.contains(&name);
            if is_secret || (is_file && files.contains(&name)) {
                let mut found = reference.as_reference;
                if !is_secret {
                    // It is warned of a file that everybody can read, and this one may be.
                    found.warnings.clear();
                }
                findings.extend(found);
                self.unread
                    .retain(|at| *at == pointer || !is_below(at, &pointer));
                continue;
            }
            *value = reference.table;
            findings.extend(reference.as_table);
            self.unread.remove(&pointer);
            if let Some(place) = self.places.get_mut(&pointer) {
                place.referenced = false;
            }
        }
        // A tree of JSON is always text.
        self.text = to_raw_value(&self.value).unwrap_or_default();
        findings
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
        key: Position {
            file: 0,
            line: 1,
            column: 1,
        },
        value: Position {
            file: 0,
            line: 1,
            column: 1,
        },
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

/// Returns the first key of a JSON Pointer.
fn first_key(pointer: &str) -> String {
    let escaped = pointer.split('/').nth(1).unwrap_or_default();
    escaped.replace("~1", "/").replace("~0", "~")
}

/// Returns true if a JSON Pointer is that of a value or of anything within it.
fn is_below(pointer: &str, value: &str) -> bool {
    pointer
        .strip_prefix(value)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the settings of one source. An unreadable value is replaced by a text like it, so that its
/// neighbours can be judged in the same pass.
pub(super) fn read(table: &Table<'_>) -> Settings {
    let mut conversion = Conversion {
        places: BTreeMap::new(),
        unread: BTreeSet::new(),
        references: BTreeMap::new(),
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
        references: conversion.references,
    }
}

/// TOML on its way to JSON.
struct Conversion {
    places: BTreeMap<String, Place>,
    unread: BTreeSet<String>,
    references: BTreeMap<String, Reference>,
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
            DeValue::Table(entries) if is_reference(entries) => {
                self.resolve(value, entries, table, at, depth)
            }
            DeValue::Table(entries) => {
                let table = Table::new(table, value.span.clone(), Some(entries), value.reading);
                Json::Object(self.entries(&table, at, depth))
            }
        }
    }

    /// Returns the text of a reference, and keeps the table too, since it may be no reference after
    /// all.
    fn resolve<'t>(
        &mut self,
        value: &Value<'t>,
        entries: &'t DeTable<'t>,
        table: &str,
        at: &str,
        depth: usize,
    ) -> Json {
        let written = Table::new(table, value.span.clone(), Some(entries), value.reading);
        let (table, as_table) = value
            .reading
            .aside(|| Json::Object(self.entries(&written, at, depth)));
        let (text, as_reference) = value.reading.aside(|| value.reference(entries));
        let reference = Reference {
            table,
            as_reference,
            as_table,
        };
        self.references.insert(at.to_owned(), reference);
        if let Some(place) = self.places.get_mut(at) {
            place.referenced = true;
        }
        match text {
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
