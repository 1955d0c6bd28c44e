//! `{ env = "…" }`, `{ file = "…" }` and `{ credential = "…" }`: values outside the configuration,
//! so that it can be shown to others.
//!
//! No message here shows a value, nor a name that may be a secret pasted into the wrong place.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::exposed;
use super::files::{Digest, LONGEST};
use super::problem::did_you_mean;
use super::raw::{Value, kind};
use super::reading::Reading;

/// The keys of a reference.
const KEYS: [&str; 3] = ["env", "file", "credential"];

/// The variable in which systemd names the folder of a service's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

pub(super) const HELP: &str =
    "write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }";

impl<'t> Value<'t> {
    /// Returns the text of an environment variable, for a value that is no secret. `None` means that
    /// a problem was recorded, or, where references are stand-ins, that it is not set.
    pub(super) fn fetched(&self, name: &str) -> Option<&'t str> {
        let reading = self.reading;
        match (reading.env)(name) {
            Some(text) if !text.is_empty() => Some(reading.fetched(&text)),
            None if reading.stand_in.is_some() => None,
            found => {
                let named = named(name);
                let is = if found.is_none() { "not set" } else { "empty" };
                let found = format!("{} names {named} is {is}", self.label);
                let help = "set it for the gateway's process, or write the text itself";
                self.problem(found, help);
                None
            }
        }
    }

    /// Returns the text that a reference stands for. It is never empty: what is empty is a problem.
    pub(super) fn reference(&self, table: &'t DeTable<'t>) -> Option<String> {
        let reading = self.reading;
        let mut entries = table.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            self.problem(
                format!("{} is a table of {} keys", self.label, table.len()),
                HELP,
            );
            return None;
        };
        let key_name = key.get_ref().as_ref();
        if !is_reference(table) {
            let near = did_you_mean(key_name, KEYS);
            let help =
                near.map_or_else(|| HELP.to_owned(), |near| format!("did you mean {near:?}?"));
            reading.problem(
                key.span(),
                format!("unknown key {key_name:?} in {}", self.label),
                help,
            );
            return None;
        }
        let Some(written) = value.get_ref().as_str() else {
            let found = format!("{key_name} of {} is {}", self.label, kind(value.get_ref()));
            reading.problem(value.span(), found, HELP);
            return None;
        };
        if let Some(stand_in) = reading.stand_in {
            return Some(stand_in.to_owned());
        }
        let resolved = match key_name {
            "env" => variable(written, reading),
            "file" => file(&reading.path(written), reading),
            _ => credential(written, reading),
        };
        match resolved {
            Ok(Resolved { text, is_exposed }) => {
                if is_exposed {
                    let found = format!(
                        "{} names a file that every user of this machine can read",
                        self.label
                    );
                    reading.warning(
                        value.span(),
                        found,
                        "chown it to the user that the gateway runs as, and chmod 0400",
                    );
                }
                Some(text)
            }
            Err((found, help)) => {
                reading.problem(value.span(), format!("{} names {found}", self.label), help);
                None
            }
        }
    }
}

/// Returns true if a table is a reference: it has one key, and that is `env`, `file` or
/// `credential`.
pub(super) fn is_reference(table: &DeTable<'_>) -> bool {
    table.len() == 1 && KEYS.iter().any(|key| table.contains_key(*key))
}

/// Returns whether a setting has the shape of a reference, although it is none.
pub fn looks_like_a_reference(value: &serde_json::Value) -> bool {
    let entries = value.as_object();
    entries.is_some_and(|map| map.len() == 1 && KEYS.iter().any(|key| map.contains_key(*key)))
}

/// The text of a reference, and the safety of its place.
struct Resolved {
    text: String,
    is_exposed: bool,
}

/// The mistake in a reference, and what to do.
type Unresolved = (String, String);

const UNNAMED: &str = "an environment variable that";

/// Returns how a variable is named in a problem: a name that is none may be a secret.
fn named(name: &str) -> String {
    if conventional(name) {
        format!("the environment variable {name}, which")
    } else {
        UNNAMED.to_owned()
    }
}

fn variable(name: &str, reading: &Reading<'_>) -> Result<Resolved, Unresolved> {
    let named = named(name);
    match (reading.env)(name) {
        None => Err((
            format!("{named} is not set"),
            "set it for the gateway's process".to_owned(),
        )),
        Some(text) if text.is_empty() => Err((
            format!("{named} is empty"),
            "set it to the secret: an empty one protects nothing".to_owned(),
        )),
        Some(text) => Ok(Resolved {
            text,
            is_exposed: false,
        }),
    }
}

fn empty() -> String {
    "write the secret into it: an empty one protects nothing".to_owned()
}

fn file(path: &Path, reading: &Reading<'_>) -> Result<Resolved, Unresolved> {
    let relative = || "relative paths start at the configuration file's folder".to_owned();
    match read(path, reading) {
        Ok(read) if read.text.is_empty() => Err(("a file that is empty".to_owned(), empty())),
        Ok(read) => Ok(read),
        Err(why) => Err((format!("a file that {why}"), relative())),
    }
}

fn credential(name: &str, reading: &Reading<'_>) -> Result<Resolved, Unresolved> {
    let path = credential_path(name, reading)?;
    match read(&path, reading) {
        Ok(read) if read.text.is_empty() => Err(("a credential that is empty".to_owned(), empty())),
        // systemd shows it to the service alone, whatever its mode.
        Ok(read) => Ok(Resolved {
            is_exposed: false,
            ..read
        }),
        Err(why) => Err((format!("a credential that {why}"), load_credential(name))),
    }
}

/// Returns the file of a credential: systemd puts it into a folder that only the service can read.
pub(super) fn credential_path(name: &str, reading: &Reading<'_>) -> Result<PathBuf, Unresolved> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.chars().all(is_plain) {
        let help = "write the name that LoadCredential= gives it, such as \"itoc360-token\"";
        return Err((
            "a credential by a name that is none".to_owned(),
            help.to_owned(),
        ));
    }
    match (reading.env)(CREDENTIALS_DIRECTORY).filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(Path::new(&folder).join(name)),
        None => Err((
            format!("the credential {name}, and {CREDENTIALS_DIRECTORY} is not set"),
            format!(
                "{}; outside of the service, set {CREDENTIALS_DIRECTORY} to the folder of the file",
                load_credential(name)
            ),
        )),
    }
}

fn load_credential(name: &str) -> String {
    format!("add LoadCredential={name}:/path/of/the/file to the systemd unit")
}

/// Reads a file, without the line break at its end, which editors and `echo` put there.
fn read(path: &Path, reading: &Reading<'_>) -> Result<Resolved, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let is_exposed = metadata.is_file() && exposed(&metadata);
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err("is larger than 64 KiB".to_owned());
    }
    // Another reading of a pipe would take what is not for it.
    if metadata.is_file() {
        reading.note_file(path, Digest::of(&bytes));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    text.truncate(text.strip_suffix('\n').map_or(text.len(), |rest| {
        rest.strip_suffix('\r').unwrap_or(rest).len()
    }));
    Ok(Resolved { text, is_exposed })
}

/// Returns the name in a text that is nothing but `$NAME` or `${NAME}`: its writer expects a shell
/// to replace it.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
        .unwrap_or(name);
    conventional(name).then_some(name)
}

/// Returns true if environment variables are named so. A token that was pasted in place of a name
/// hardly ever is.
fn conventional(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_text_in_capitals_reads_as_a_shell_variable() {
        assert_eq!(shell_variable("${ITOC360_TOKEN}"), Some("ITOC360_TOKEN"));
        assert_eq!(shell_variable("$ITOC360_TOKEN"), Some("ITOC360_TOKEN"));
        for text in ["$", "${}", "$2y$10$abc", "$secret", "a$B", "${A}b", "100$"] {
            assert_eq!(shell_variable(text), None, "{text}");
        }
    }
}
