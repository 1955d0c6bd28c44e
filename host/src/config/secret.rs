//! Secrets: text that is compared and sent, and never shown.

use std::fmt;

use subtle::ConstantTimeEq;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::flaw::{secret_flaw, stray_character};
use super::problem::{PLAIN, PLAIN_HELP};
use super::raw::Value;
use super::reference::{self, shell_variable};

/// A token or a key. It cannot be displayed or serialized, and its `Debug` says only that it is
/// one. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Makes a secret of this text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns true if these bytes are the secret, in a time that tells nothing of it but its
    /// length.
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

impl<'t> Value<'t> {
    /// Reads a token as it travels in an HTTP header: a reference or plain text.
    pub(super) fn token(&self) -> Option<Secret> {
        let text = match self.value {
            DeValue::String(text) => self.plain(text)?,
            DeValue::Table(table) => self.reference(table)?,
            _ => {
                self.wrong_type(format!(
                    "{} or the text itself",
                    reference::HELP.replace(" or {", ", {")
                ));
                return None;
            }
        };
        // A stray blank or line break would make every request with this token fail, at night, with
        // no reason given.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = stray_character(&text).map_or(
                "holds a space, a line break or another character that no token has",
                |flaw| flaw.found,
            );
            self.problem(
                format!("{} {why}", self.label),
                "copy it again, without what surrounds it",
            );
            return None;
        }
        if let Some(flaw) = secret_flaw(&text).filter(|_| self.reading.stand_in.is_none()) {
            self.warning(format!("{} {}", self.label, flaw.found), flaw.help);
        }
        Some(Secret::new(text))
    }

    /// Reads a password, which may hold any character but those that control a terminal or a
    /// protocol: a reference or plain text.
    pub(super) fn password(&self) -> Option<Secret> {
        let text = match self.value {
            DeValue::String(text) => self.plain(text)?,
            DeValue::Table(table) => self.reference(table)?,
            _ => {
                self.wrong_type(reference::HELP);
                return None;
            }
        };
        if text.chars().any(char::is_control) {
            self.problem(
                format!(
                    "{} holds a line break or another control character",
                    self.label
                ),
                "copy it again, without what surrounds it",
            );
            return None;
        }
        Some(Secret::new(text))
    }

    /// Reads one token, or a list of them while one is being replaced by another.
    pub(super) fn tokens(&self) -> Option<Vec<Secret>> {
        let DeValue::Array(list) = self.value else {
            return Some(vec![self.token()?]);
        };
        if list.is_empty() {
            self.problem(
                format!("{} is an empty list", self.label),
                "name a token, or leave the key out",
            );
            return None;
        }
        // Every one is read before any is given up, so that every problem is told.
        let tokens: Vec<_> = list.iter().map(|one| self.item(one).token()).collect();
        tokens.into_iter().collect()
    }

    /// Returns a secret that stands in the configuration as it is.
    fn plain(&self, text: &str) -> Option<String> {
        if text.is_empty() {
            self.problem(
                format!("{} is empty", self.label),
                "an empty secret protects nothing",
            );
            return None;
        }
        if let Some(name) = shell_variable(text) {
            let found = format!(
                "{} is the text {text:?}, and nothing replaces it",
                self.label
            );
            self.problem(found, format!("write {{ env = {name:?} }}"));
            return None;
        }
        if self.reading.is_exposed(&self.span) {
            self.warning(format!("{} {PLAIN}", self.label), PLAIN_HELP);
        }
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_only_and_never_shows_itself() {
        let secret = Secret::new("canary-5b1f");
        assert!(secret.matches(b"canary-5b1f"));
        assert!(
            !secret.matches(b"canary-5b1g")
                && !secret.matches(b"canary-5b1")
                && !secret.matches(b"")
        );
        assert_eq!(format!("{secret:?} {secret:#?}"), "[secret] [secret]");
        assert_eq!(secret.expose(), "canary-5b1f");
        assert!(secret == Secret::new("canary-5b1f") && secret != Secret::new("canary-5b1g"));
    }
}
