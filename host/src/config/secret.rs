//! Secrets: text that is compared and sent, and never shown.

use std::fmt;

use subtle::ConstantTimeEq;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::raw::{Span, Value};
use super::reading::Reading;

/// A token or a key. It cannot be displayed or serialized, and its `Debug` says only that it is one. Its memory is
/// overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether these bytes are the secret, in a time that tells nothing of it but its length.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(bytes).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Value<'_> {
    /// A token as it travels in an HTTP header: `{ env = "…" }`, `{ file = "…" }` or plain text.
    pub(super) fn token(&self, reading: &mut Reading) -> Option<Secret> {
        let text = match self.value {
            DeValue::String(text) => self.plain(text, reading)?,
            DeValue::Table(table) => self.reference(table, reading)?,
            _ => {
                self.wrong_type("write { env = \"NAME\" }, { file = \"path\" } or the text itself", reading);
                return None;
            }
        };
        // A stray blank or line break would make every request with this token fail, at night, with no reason given.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let found = format!("{} holds a space, a line break or another character that no token has", self.label);
            reading.problem(self.span.clone(), found, "copy it again, without what surrounds it");
            return None;
        }
        Some(Secret::new(text))
    }

    /// One token, or a list of them while one is being replaced by another.
    pub(super) fn tokens(&self, reading: &mut Reading) -> Option<Vec<Secret>> {
        let DeValue::Array(list) = self.value else {
            return Some(vec![self.token(reading)?]);
        };
        if list.is_empty() {
            let found = format!("{} is an empty list", self.label);
            reading.problem(self.span.clone(), found, "name a token, or leave the key out");
            return None;
        }
        // Every one is read before any is given up, so that every problem is told.
        let tokens: Vec<_> = list.iter().map(|one| Value::new(self.label.clone(), one).token(reading)).collect();
        tokens.into_iter().collect()
    }

    /// A secret that stands in the configuration as it is.
    fn plain(&self, text: &str, reading: &mut Reading) -> Option<String> {
        if text.is_empty() {
            reading.problem(self.span.clone(), format!("{} is empty", self.label), "an empty secret protects nothing");
            return None;
        }
        if let Some(name) = shell_variable(text) {
            let found = format!("{} is the text {text:?}, and nothing replaces it", self.label);
            reading.problem(self.span.clone(), found, format!("write {{ env = {name:?} }}"));
            return None;
        }
        if reading.exposed {
            warn_exposed(&self.label, self.span.clone(), reading);
        }
        Some(text.to_owned())
    }
}

/// Says that anybody on the machine can read a secret.
fn warn_exposed(label: &str, span: Span, reading: &mut Reading) {
    let found = format!("{label} is plain text in a file that every user of this machine can read");
    reading.warning(span, found, "write { env = \"NAME\" } or { file = \"path\" }, or chmod o-r the file");
}

/// The name in a text that is nothing but `$NAME` or `${NAME}`: written by somebody who expects a shell to replace it.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    conventional(name).then_some(name)
}

/// Returns whether this is how environment variables are named. A token that was pasted in place of a name hardly ever is.
pub(super) fn conventional(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_only_and_never_shows_itself() {
        let secret = Secret::new("canary-5b1f");
        assert!(secret.matches(b"canary-5b1f"));
        assert!(!secret.matches(b"canary-5b1g") && !secret.matches(b"canary-5b1") && !secret.matches(b""));
        assert_eq!(format!("{secret:?} {secret:#?}"), "[secret] [secret]");
        assert_eq!(secret.expose(), "canary-5b1f");
        assert!(secret == Secret::new("canary-5b1f") && secret != Secret::new("canary-5b1g"));
    }

    #[test]
    fn only_a_whole_text_in_capitals_reads_as_a_shell_variable() {
        assert_eq!(shell_variable("${ITOC360_TOKEN}"), Some("ITOC360_TOKEN"));
        assert_eq!(shell_variable("$ITOC360_TOKEN"), Some("ITOC360_TOKEN"));
        for text in ["$", "${}", "$2y$10$abc", "$secret", "a$B", "${A}b", "100$"] {
            assert_eq!(shell_variable(text), None, "{text}");
        }
    }
}
