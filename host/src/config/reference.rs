//! `{ env = "…" }` and `{ file = "…" }`: values that stand outside the configuration, so that it can be shown to others.
//!
//! Nothing here shows what it read, nor a name that may be a secret pasted into the wrong place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

use super::problem::did_you_mean;
use super::raw::{Value, kind};
use super::reading::Reading;
use super::secret::conventional;

/// No secret is longer. A file that is, is another file.
const LONGEST: u64 = 64 * 1024;

const HELP: &str = "write { env = \"NAME\" } or { file = \"path\" }";

impl Value<'_> {
    /// The text that a reference stands for. It is never empty: what is empty is a problem.
    pub(super) fn reference(&self, table: &DeTable<'_>, reading: &mut Reading) -> Option<String> {
        let mut entries = table.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            let found = format!("{} is a table of {} keys", self.label, table.len());
            reading.problem(self.span.clone(), found, HELP);
            return None;
        };
        let key_name = key.get_ref().as_ref();
        if !is_reference(table) {
            let near = did_you_mean(key_name, ["env", "file"]);
            let help = near.map_or_else(|| HELP.to_owned(), |near| format!("did you mean {near:?}?"));
            reading.problem(key.span(), format!("unknown key {key_name:?} in {}", self.label), help);
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
        let resolved = if key_name == "env" { variable(written, reading) } else { file(written, reading) };
        match resolved {
            Ok(text) => Some(text),
            Err((found, help)) => {
                reading.problem(value.span(), format!("{} names {found}", self.label), help);
                None
            }
        }
    }
}

/// Returns whether a table is a reference: it has one key, and that is `env` or `file`.
pub(super) fn is_reference(table: &DeTable<'_>) -> bool {
    table.len() == 1 && (table.contains_key("env") || table.contains_key("file"))
}

/// The fault of a reference, and the advice.
type Unresolved = (String, &'static str);

const UNNAMED: &str = "an environment variable that";
const EMPTY: &str = "an empty secret protects nothing";

fn variable(name: &str, reading: &Reading) -> Result<String, Unresolved> {
    let named = if conventional(name) { format!("the environment variable {name}, which") } else { UNNAMED.to_owned() };
    match (reading.env)(name) {
        None => Err((format!("{named} is not set"), "set it for the gateway's process")),
        Some(text) if text.is_empty() => Err((format!("{named} is empty"), EMPTY)),
        Some(text) => Ok(text),
    }
}

fn file(written: &str, reading: &Reading) -> Result<String, Unresolved> {
    match read(&reading.path(written)) {
        Ok(text) if text.is_empty() => Err(("a file that is empty".to_owned(), EMPTY)),
        Ok(text) => Ok(text),
        Err(why) => Err((format!("a file that {why}"), "relative paths start at the configuration file's folder")),
    }
}

/// The text of a file without the line break at its end, which editors and `echo` put there.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err("is larger than 64 KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    text.truncate(text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len()));
    Ok(text)
}
