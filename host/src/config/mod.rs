//! The configuration: one TOML file, read in two steps, with every problem told at once.
//!
//! 1. What was written (`raw`): the document with the line and column of every key and value, as far as it can be made
//!    out at all.
//! 2. What it means: one file for each section below (`gateway`, `retention`, `destination`, `source`, `limits`,
//!    `settings`). Each key is named in one place, together with its default, its limits and what to write instead of
//!    something wrong.
//!
//! Nothing stops at the first problem, because an operator who mends one line at a time restarts a gateway ten times.
//! Secrets come as `{ env = "…" }`, `{ file = "…" }` or plain text, become a [`Secret`], and appear in no message: that
//! is why a [`Problem`] names line and column and does not show the line.
//!
//! Paths in the file start at the file's own folder. What the settings of a source may be is the plugin's to say; that
//! check stands in `sources::schema`.

mod destination;
mod gateway;
mod limits;
mod name;
mod problem;
mod quantity;
mod raw;
mod reading;
mod reference;
mod retention;
mod secret;
mod settings;
mod source;
mod url;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

pub use destination::{CONCURRENCY, Destination, DestinationKind, Format, ITOC360_URL, TIMEOUT};
pub use gateway::{ADMIN, Gateway, LISTEN, SHUTDOWN_GRACE};
pub use limits::Limits;
pub(crate) use problem::listed;
pub use problem::{Position, Problem, Problems, did_you_mean};
pub use quantity::parse_duration;
pub use retention::{AGE, Retention, SIZE};
pub use secret::Secret;
pub use settings::{Place, Settings};
pub use source::{PluginRef, Source};
pub use url::PublicUrl;

use raw::{Span, Table};
use reading::{Environment, Reading};

/// A configuration is a few pages; a file beyond this is another file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The tables that a configuration is made of.
const SECTIONS: [&str; 5] = ["gateway", "retention", "limits", "destinations", "sources"];

/// An early document of Twilio's names this limit for the URL of a webhook.
const LONGEST_SOURCE_URL: usize = 100;

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The gateway itself.
    pub gateway: Gateway,
    /// How long what was delivered is kept.
    pub retention: Retention,
    /// Where alerts go, by name. At least one.
    pub destinations: Vec<Destination>,
    /// Where alerts come from, by name. At least one.
    pub sources: Vec<Source>,
    /// What is allowed and yet unwise, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Whether every user of the machine can read the file.
    pub exposed: bool,
}

impl Config {
    /// Reads a file, with the environment of this process.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let unreadable = |found: String, position| {
            let help = "name the configuration with --config FILE".to_owned();
            Problems(vec![Problem { file: path.to_owned(), position, found, help }])
        };
        let (bytes, exposed) = read(path).map_err(|why| unreadable(format!("cannot be read: {why}"), None))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(unreadable("is larger than 1 MiB, so it is not a configuration".to_owned(), None));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let position = Reading::new(&before, path, &|_| None, false).position(before.len());
            unreadable("is not UTF-8 text from here on".to_owned(), Some(position))
        })?;
        Self::understand(text, path, &|name| std::env::var(name).ok(), exposed)
    }

    /// Reads a text that is, or could be, in the file `path`. `env` looks up environment variables.
    pub fn parse(text: &str, path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        Self::understand(text, path, env, false)
    }

    /// A problem at a place in this configuration, for what only others can find out.
    pub fn problem(&self, position: Position, found: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem { file: self.path.clone(), position: Some(position), found: found.into(), help: help.into() }
    }

    fn understand(text: &str, path: &Path, env: Environment<'_>, exposed: bool) -> Result<Self, Problems> {
        let mut reading = Reading::new(text, path, env, exposed);
        let document = reading.document();
        let config = assemble(&document, &mut reading);
        let Reading { mut problems, mut warnings, .. } = reading;
        problems.sort_by_key(|problem| problem.position);
        warnings.sort_by_key(|problem| problem.position);
        match config {
            Some(config) if problems.is_empty() => Ok(Self { path: path.to_owned(), warnings, ..config }),
            _ => Err(Problems(problems)),
        }
    }
}

/// The bytes of a file, one more than allowed at most, and whether every user of the machine can read it.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let exposed = exposed(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok((bytes, exposed))
}

#[cfg(unix)]
fn exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn exposed(_: &std::fs::Metadata) -> bool {
    false
}

/// Every section, read whether or not another is right.
fn assemble(document: &Spanned<DeTable<'_>>, reading: &mut Reading) -> Option<Config> {
    let mut root = Table::new("the file", document.span(), Some(document.get_ref()));
    if root.is_empty() {
        reading.absent(0..0, "nothing is configured", "write [gateway], [destinations.<name>] and [sources.<name>]");
        return None;
    }
    let gateway = section(&mut root, "gateway", reading);
    let retention = section(&mut root, "retention", reading);
    let limits = section(&mut root, "limits", reading);
    let destinations = section(&mut root, "destinations", reading);
    let sources = section(&mut root, "sources", reading);
    root.finish(reading);

    let gateway = gateway::read(gateway, reading);
    let retention = retention::read(retention, reading);
    let limits = limits::read(limits, Limits::default(), reading);
    let destinations = children(&destinations, "destination", "itoc360", reading);
    let sources = children(&sources, "source", "twilio-prod", reading);

    let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
    let inherited = limits.unwrap_or_default();
    let sources: Vec<_> = sources
        .into_iter()
        .map(|(name, table)| (table.span.clone(), source::read(name, table, &names, inherited, reading)))
        .collect();
    let destinations: Vec<_> = destinations
        .into_iter()
        .map(|(name, table)| (table.span.clone(), destination::read(name, table, reading)))
        .collect();
    if let Some(gateway) = &gateway {
        warn_of_long_urls(&sources, gateway, reading);
    }
    warn_of_idle_destinations(&destinations, &sources, reading);
    Some(Config {
        path: PathBuf::new(),
        gateway: gateway?,
        retention: retention?,
        destinations: destinations.into_iter().map(|(_, destination)| destination).collect::<Option<_>>()?,
        sources: sources.into_iter().map(|(_, source)| source).collect::<Option<_>>()?,
        warnings: Vec::new(),
        exposed: reading.exposed,
    })
}

/// A section of the file. One with a misspelt name is a problem already; its keys are read nevertheless, so that what is
/// wrong in them is told too, and what is there is not called missing.
fn section<'t>(root: &mut Table<'t>, key: &'static str, reading: &mut Reading) -> Table<'t> {
    let name = format!("[{key}]");
    match root.misspelt(key, &SECTIONS) {
        Some(value) => {
            let entries = value.table(&name, reading);
            // It counts as asked for, or the correction would not be offered.
            root.value(key);
            Table::new(name, value.span, entries)
        }
        None => root.table(key, name, reading),
    }
}

/// The tables of a section, by name. There must be one.
fn children<'t>(section: &Table<'t>, what: &str, example: &str, reading: &mut Reading) -> Vec<(&'t str, Table<'t>)> {
    let section_name = section.name.trim_matches(['[', ']']);
    if section.is_empty() {
        let found = format!("there is no {what}");
        reading.absent(section.span.clone(), found, format!("add [{section_name}.{example}]"));
    }
    let mut children = Vec::new();
    for (key, value) in section.entries() {
        let name = key.get_ref().as_ref();
        name::is_valid(what, name, key.span(), reading);
        let header = format!("[{section_name}.{name}]");
        if let Some(entries) = value.table(&header, reading) {
            children.push((name, Table::new(header, value.span, Some(entries))));
        }
    }
    children
}

fn warn_of_long_urls(sources: &[(Span, Option<Source>)], gateway: &Gateway, reading: &mut Reading) {
    for (span, source) in sources {
        let length = source.as_ref().map_or(0, |source| source.url(gateway).len());
        if length > LONGEST_SOURCE_URL {
            let found = format!("the URL of this source has {length} characters, and some senders take no more than 100");
            reading.warning(span.clone(), found, "shorten its name or public_url");
        }
    }
}

fn warn_of_idle_destinations(
    destinations: &[(Span, Option<Destination>)],
    sources: &[(Span, Option<Source>)],
    reading: &mut Reading,
) {
    for (span, destination) in destinations {
        let Some(destination) = destination else { continue };
        let used = |(_, source): &(_, Option<Source>)| source.as_ref().is_none_or(|s| s.destination == destination.name);
        if !sources.iter().any(used) {
            let found = format!("no source sends to {}", destination.name);
            reading.warning(span.clone(), found, format!("write destination = {:?} in a source", destination.name));
        }
    }
}
