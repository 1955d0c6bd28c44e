//! Explains the errors of a schema to the operator, in the terms of the configuration.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use plugin_sdk::contract::Mistake;
use plugin_sdk::text;
use serde_json::Value as Json;

use super::words::{accepted, type_of};
use crate::config::{
    Config, Position, Problem, Source, did_you_mean, listed, looks_like_a_reference,
};
use alert_gateway_sandbox::Description;

/// Lines of a setting; a file of settings has no more bytes.
const LONGEST_SCRIPT_LINES: usize = 1024 * 1024;

/// One source with its plugin and its configuration.
pub(super) struct Check<'c> {
    pub(super) source: &'c Source,
    pub(super) description: &'c Description,
    pub(super) config: &'c Config,
}

impl Check<'_> {
    /// Converts schema errors into problems of the configuration.
    pub(super) fn explain(&self, errors: Vec<ValidationError<'_>>) -> Vec<Problem> {
        let mut problems = Vec::new();
        // A required setting that is there under a misspelt name is one problem, not two.
        let mut meant = Vec::new();
        for error in &errors {
            if let Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } = error.kind()
            {
                problems.extend(
                    unexpected
                        .iter()
                        .map(|name| self.unknown(error, name, &mut meant)),
                );
            }
        }
        for error in &errors {
            let at = error.instance_path().as_str();
            match error.kind() {
                Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {}
                Kind::Required {
                    property: Json::String(name),
                } => {
                    if !meant.contains(&pointer_to(at, name)) {
                        problems.push(self.missing(at, name));
                    }
                }
                kind => problems.push(self.unfit(error, kind, at)),
            }
        }
        problems
    }

    /// Converts a mistake found by the plugin. Its text is untrusted, so it becomes one line
    /// without control characters.
    pub(super) fn mistake(&self, mistake: &Mistake) -> Problem {
        const LONGEST: usize = 500;
        let place = self.source.settings.place(&mistake.path);
        let mut position = place.value;
        // A file has lines of its own, which the mistake names in words.
        if let (Some(line), false) = (mistake.line, place.referenced) {
            let within = usize::try_from(line)
                .unwrap_or(usize::MAX)
                .saturating_sub(1);
            position = Position {
                line: position.line
                    + self.lines_before_text(position)
                    + within.min(LONGEST_SCRIPT_LINES),
                column: 1,
                ..position
            };
        }
        let found = format!(
            "{}: {}",
            self.label(&mistake.path),
            text::line(&mistake.found, LONGEST)
        );
        self.config
            .problem(position, found, text::line(&mistake.help, LONGEST))
    }

    /// Returns 1 where the text of a value begins on the line after its quotes, as a text of several
    /// lines does.
    fn lines_before_text(&self, at: Position) -> usize {
        let line = self.config.text.line(at);
        let value: String = line.chars().skip(at.column - 1).collect();
        usize::from(["'''", "\"\"\""].contains(&value.trim_end()))
    }

    /// A setting that the schema does not know.
    fn unknown(&self, error: &ValidationError<'_>, name: &str, meant: &mut Vec<String>) -> Problem {
        let at = error.instance_path().as_str();
        let place = self.source.settings.place(&pointer_to(at, name));
        if self.names_secret(at) {
            let found = format!("{} has a key that the plugin does not know", self.label(at));
            return self.config.problem(place.key, found, self.meaning(at));
        }
        let schema_path = error.schema_path().as_str();
        let parent = schema_path.rfind('/').map_or("", |end| &schema_path[..end]);
        let known = self
            .description
            .settings
            .pointer(parent)
            .and_then(|schema| schema.get("properties"));
        let known: Vec<&str> = known
            .and_then(Json::as_object)
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
            .collect();
        let given = error.instance().as_object();
        let free = known
            .iter()
            .copied()
            .filter(|name| given.is_none_or(|given| !given.contains_key(*name)));
        let help = match did_you_mean(name, free) {
            Some(near) => {
                meant.push(pointer_to(at, near));
                format!("did you mean {near:?}?")
            }
            None if known.is_empty() => "the plugin has no settings here".to_owned(),
            None => format!("the plugin knows {}", listed(known, "and")),
        };
        self.config.problem(
            place.key,
            format!("unknown setting {name:?} in {}", self.label(at)),
            help,
        )
    }

    /// A setting that must be there.
    fn missing(&self, at: &str, name: &str) -> Problem {
        let place = self.source.settings.place(at);
        let pointer = pointer_to(at, name);
        let line = if self.names_secret(&pointer) {
            format!("{name} = {{ env = {:?} }}", self.variable(name))
        } else {
            format!("{name} = …")
        };
        let meaning = self.meaning(&pointer);
        let help = if meaning.is_empty() {
            format!("add {line}")
        } else {
            format!("add {line} ({meaning})")
        };
        self.config
            .problem(place.key, format!("{} has no {name}", self.label(at)), help)
    }

    /// A value that is there and does not fit.
    fn unfit(&self, error: &ValidationError<'_>, kind: &Kind, at: &str) -> Problem {
        let position = self.source.settings.place(at).value;
        let label = self.label(at);
        let types = accepted(kind);
        let hint = if looks_like_a_reference(error.instance()) && !self.names_secret(at) {
            "; only what the plugin calls a secret can be a reference"
        } else {
            ""
        };
        if !types.is_empty() {
            let found = format!("{label} is {}", type_of(error.instance()));
            let help = format!("the plugin takes {}{hint}", listed(types, "or"));
            return self.config.problem(position, found, help);
        }
        let shown = self.shown(error.instance(), at);
        let (position, what) = match kind {
            Kind::PropertyNames { error: name } => {
                let key = name.instance().as_str().map(|name| pointer_to(at, name));
                let position = key.map_or(position, |key| self.source.settings.place(&key).key);
                let why = if self.names_secret(at) {
                    String::new()
                } else {
                    format!(": {name}")
                };
                (
                    position,
                    format!("{label} has a key that does not fit{why}"),
                )
            }
            // The only other message that shows what it complains of, whatever stands in its place.
            Kind::FromUtf8 { .. } => (
                position,
                format!("{label} does not fit: {shown} is not base64 of text"),
            ),
            _ => (
                position,
                format!("{label} does not fit: {}", error.masked_with(shown)),
            ),
        };
        let help = self
            .nearest_option(error, kind, at)
            .unwrap_or_else(|| self.meaning(at).into());
        self.config.problem(position, what, help + hint)
    }

    /// The word that was meant, where there are a few to choose from.
    fn nearest_option(&self, error: &ValidationError<'_>, kind: &Kind, at: &str) -> Option<String> {
        let (Kind::Enum { options }, Json::String(found), false) =
            (kind, &**error.instance(), self.is_secret(at))
        else {
            return None;
        };
        let near = did_you_mean(found, options.as_array()?.iter().filter_map(Json::as_str))?;
        Some(format!("did you mean {near:?}?"))
    }

    /// The value, if it may be shown and is short enough to be.
    fn shown(&self, value: &Json, at: &str) -> String {
        const LONGEST: usize = 80;
        let text = match value {
            Json::Array(_) => return "the list".to_owned(),
            Json::Object(_) => return "the table".to_owned(),
            _ if self.is_secret(at) => return "the secret".to_owned(),
            scalar => scalar.to_string(),
        };
        if text.len() > LONGEST {
            "the text".to_owned()
        } else {
            text
        }
    }

    /// Returns whether the plugin declares a setting secret. Then the names below it are secret
    /// too.
    fn names_secret(&self, pointer: &str) -> bool {
        let top = pointer.split('/').nth(1).map(unescaped);
        top.is_some_and(|top| self.description.secrets.contains(&top))
    }

    /// Returns whether a value is hidden: the plugin declares it secret, or the operator keeps it
    /// outside the file.
    fn is_secret(&self, pointer: &str) -> bool {
        self.names_secret(pointer) || self.source.settings.is_referenced(pointer)
    }

    /// `auth_token in [sources.twilio-prod.settings]`. Names below a secret's are as secret as it
    /// is.
    pub(super) fn label(&self, pointer: &str) -> String {
        let parts = pointer.split('/').skip(1).map(unescaped);
        let shown = if self.names_secret(pointer) {
            1
        } else {
            usize::MAX
        };
        let path: Vec<_> = parts.take(shown).collect();
        let section = format!("[sources.{}.settings]", self.source.name);
        if path.is_empty() {
            section
        } else {
            format!("{} in {section}", path.join("."))
        }
    }

    /// Returns the plugin's description of a top-level setting.
    fn meaning(&self, pointer: &str) -> &str {
        let top = pointer.split('/').nth(1).map(unescaped);
        let property = top.and_then(|top| self.description.settings.get("properties")?.get(&top));
        property
            .and_then(|property| property.get("description")?.as_str())
            .unwrap_or_default()
    }

    /// A name for an environment variable: `TWILIO_PROD_AUTH_TOKEN`.
    pub(super) fn variable(&self, setting: &str) -> String {
        let name = format!("{}_{setting}", self.source.name).to_uppercase();
        name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    }
}

/// The JSON Pointer to an entry of the object at `pointer`.
pub(super) fn pointer_to(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

pub(super) fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
