//! The configuration: one TOML file, read in two steps, with every problem told at once.
//!
//! 1. The document (`raw`), with the line and column of every key and value, as far as it can be
//!    made out at all.
//! 2. Its meaning: one file for each section below (`gateway` with `admin`, `retention`,
//!    `destination`, `source`, `limits`, `settings`). Each key is named in one place, together with
//!    its default, its limits and what to write instead of something wrong. `assemble` puts them
//!    together.
//!
//! Nothing stops at the first problem, because an operator who fixes one line at a time restarts a
//! gateway ten times: see [`Draft`]. Secrets come as `{ env = "…" }`, `{ file = "…" }`,
//! `{ credential = "…" }` or plain text, become a [`Secret`], and appear in no message: therefore a
//! [`Problem`] names line and column and does not show the line.
//!
//! Paths in the file start at the file's own folder. The plugin decides which settings a source may
//! have; `sources::schema` checks them.

mod admin;
mod assemble;
mod change;
mod destination;
mod files;
mod flaw;
mod gateway;
mod heartbeat;
mod limits;
mod name;
mod network;
mod policy;
mod problem;
mod quantity;
mod raw;
mod reading;
mod reference;
mod retention;
mod secret;
mod settings;
mod source;
mod tls;
mod url;
mod users;
mod word;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use admin::{ADMIN, Admin};
pub(crate) use assemble::DELIVERIES_PER_ALERT;
pub use destination::{
    CONCURRENCY, Destination, DestinationKind, FALLBACK_AFTER, Fallback, Format, ITOC360_URL,
    Network, Smtp, SmtpTls, TIMEOUT, Webhook,
};
pub use files::{Digest, Look, look};
pub use flaw::{Flaw, secret_flaw};
pub use gateway::{Gateway, LISTEN, Listen, MEMORY, ReloadMode, SHUTDOWN_GRACE};
pub use heartbeat::{EVERY, Heartbeat, OLDEST};
pub use limits::{Limits, Written};
pub use name::OWN_SOURCE;
pub use network::Networks;
pub use policy::{
    Condition, Field, Group, KeyTemplate, Mute, NamedPattern, Pattern, PatternError, REDACTED,
    Redaction, Rule, Schedule, Term, Threshold, Weekly, mark,
};
pub(crate) use problem::listed;
pub use problem::{Cause, Position, Problem, Problems, causes, did_you_mean};
pub use quantity::{Rate, parse_duration, shown_duration, size_text};
pub use reading::Findings;
pub use reference::looks_like_a_reference;
pub use retention::{AGE, Retention, SIZE};
pub use secret::{PLAIN, PLAIN_HELP, Secret};
pub use settings::{Place, Settings};
pub use source::{PluginRef, Source};
pub use tls::{Credentials, Pem, TlsFiles, UnusableFile, UnusableFiles, Validity};
pub use url::PublicUrl;
pub use users::{User, Users};

use reading::Reading;

/// A configuration is a few pages; a file beyond this is another file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The gateway itself.
    pub gateway: Gateway,
    /// The limits of retention.
    pub retention: Retention,
    /// The destinations of alerts, in the order of the file. At least one.
    pub destinations: Vec<Destination>,
    /// The sources of alerts, in the order of the file. At least one.
    pub sources: Vec<Source>,
    /// The times in which alerts are kept and not delivered.
    pub mutes: Vec<Mute>,
    /// The warnings: allowed and yet unwise settings, in the order of the file.
    pub warnings: Vec<Problem>,
    /// True if every user of the machine can read the file.
    pub exposed: bool,
    /// The text of the file. It may hold secrets, so it is one.
    pub text: Secret,
    /// The files outside of it that were read with it, such as those of secrets, by the digest of
    /// their content.
    pub files: BTreeMap<PathBuf, Digest>,
}

/// A configuration as far as it could be made out, and everything that is wrong with it.
///
/// A mistake in one table hides none in another. An unreadable part is left out, or replaced by an
/// assumption, so that plugins can judge the settings of their sources in the same pass.
#[derive(Debug)]
pub struct Draft {
    /// The configuration; not to be run where there are problems.
    pub config: Config,
    /// All problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads a file, with the environment of this process.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::draft(path, &of_process)?.whole()
    }

    /// Reads the text of this configuration again, with the environment of this process and the
    /// present content of the files that it names. The file itself is not looked at.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn again(&self) -> Result<Self, Problems> {
        let reading = Reading::new(self.text.expose(), &self.path, &of_process, self.exposed);
        Self::understand(reading, &self.path)?.whole()
    }

    /// Returns the configuration without its text, sources and destinations, and so without their
    /// secrets: a replaced token must not stay in memory.
    pub fn without_secrets(self) -> Self {
        Self {
            sources: Vec::new(),
            destinations: Vec::new(),
            text: Secret::new(""),
            ..self
        }
    }

    /// Reads a file as far as it can be made out. `env` looks up environment variables.
    ///
    /// # Errors
    /// The problem of an unreadable or empty file.
    pub fn draft(path: &Path, env: Environment<'_>) -> Result<Draft, Problems> {
        let (text, exposed) = read_text(path)?;
        Self::understand(Reading::new(&text, path, env, exposed), path)
    }

    /// Reads a file, and no secret that stands outside it: each reference stands for `stand_in`.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load_without_secrets(path: &Path, stand_in: &str) -> Result<Self, Problems> {
        let (text, exposed) = read_text(path)?;
        Self::understand(
            Reading::new(&text, path, &|_| None, exposed).with_stand_in(stand_in),
            path,
        )?
        .whole()
    }

    /// Reads a text that could be in the file `path`, and no secret that stands outside it: each
    /// reference stands for `stand_in`.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse_without_secrets(
        text: &str,
        path: &Path,
        stand_in: &str,
    ) -> Result<Self, Problems> {
        let reading = Reading::new(text, path, &|_| None, false).with_stand_in(stand_in);
        Self::understand(reading, path)?.whole()
    }

    /// Returns where the configuration in a file has its data kept, for a command that only looks
    /// at them. Nothing but `[gateway]` has to be right, and its secrets need not be known.
    ///
    /// # Errors
    /// The problems of `[gateway]`.
    pub fn data_dir(path: &Path) -> Result<PathBuf, Problems> {
        let (text, exposed) = read_text(path)?;
        let reading = Reading::new(&text, path, &|_| None, exposed).with_stand_in("unknown");
        let document = reading.document();
        match assemble::gateway(&document, &reading) {
            Some(gateway) => Ok(gateway.data_dir),
            None => Err(Problems(reading.end().0)),
        }
    }

    /// Reads a text that is, or could be, in the file `path`. `env` looks up environment variables.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, path: &Path, env: Environment<'_>) -> Result<Self, Problems> {
        Self::understand(Reading::new(text, path, env, false), path)?.whole()
    }

    /// Makes a problem at a place in this configuration, for a judge that knows more than the
    /// configuration.
    pub fn problem(
        &self,
        position: Position,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            file: self.path.clone(),
            position: Some(position),
            found: found.into(),
            help: help.into(),
        }
    }

    fn understand(reading: Reading<'_>, path: &Path) -> Result<Draft, Problems> {
        let document = reading.document();
        let config = assemble::assemble(&document, &reading);
        let text = Secret::new(reading.text());
        let files = reading.files();
        let (problems, warnings) = reading.end();
        match config {
            Some(config) => Ok(Draft {
                config: Self {
                    path: path.to_owned(),
                    warnings,
                    text,
                    files,
                    ..config
                },
                problems,
            }),
            None => Err(Problems(problems)),
        }
    }
}

impl Draft {
    /// Returns the configuration of a draft without problems.
    ///
    /// # Errors
    /// All problems.
    pub fn whole(self) -> Result<Config, Problems> {
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            Err(Problems(self.problems))
        }
    }
}

/// Looks up a variable in the environment of this process.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the text of a file, and returns true beside it if every user of the machine can read it.
fn read_text(path: &Path) -> Result<(String, bool), Problems> {
    let unreadable = |found: String, position| {
        let help = "name the configuration with --config FILE".to_owned();
        Problems(vec![Problem {
            file: path.to_owned(),
            position,
            found,
            help,
        }])
    };
    let (bytes, exposed) =
        read(path).map_err(|why| unreadable(format!("cannot be read: {why}"), None))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable(
            "is larger than 1 MiB, so it is not a configuration".to_owned(),
            None,
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let position = Reading::new(&before, path, &|_| None, false).position(before.len());
        unreadable("is not UTF-8 text from here on".to_owned(), Some(position))
    })?;
    Ok((text, exposed))
}

/// Reads the bytes of a file, one more than allowed at most, as [`read_text`] does.
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
