//! The configuration: a TOML file and those that it includes (`include`), read in two steps, with
//! every problem told at once.
//!
//! 1. The document (`text`, `syntax`, `join`, `raw`), with the place of every key and value, as far
//!    as it can be made out at all.
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
//! Any text can be `{ env = "…" }`. Paths start at the main file's folder. The plugin decides which settings a source may
//! have; `sources::schema` checks them.

mod admin;
mod assemble;
mod change;
mod destination;
mod files;
mod flaw;
mod gateway;
mod heartbeat;
mod include;
mod join;
mod limits;
mod lines;
mod name;
mod network;
mod oci;
mod plugin;
mod plugin_keys;
mod policy;
mod problem;
mod quantity;
mod raw;
mod reading;
mod reference;
mod retention;
mod schema;
mod secret;
mod settings;
mod sha256;
mod source;
mod store;
mod syntax;
mod text;
mod tls;
mod traces;
mod url;
mod users;
mod word;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use admin::{ADMIN, Admin};
pub(crate) use assemble::DELIVERIES_PER_ALERT;
pub use destination::{
    CONCURRENCY, Destination, DestinationKind, FALLBACK_AFTER, Fallback, Format, ITOC360_URL,
    Network, Smtp, SmtpTls, TIMEOUT, Webhook,
};
pub use files::{Digest, Look, look};
pub use flaw::{Flaw, secret_flaw};
pub use gateway::{
    Gateway, LISTEN, Listen, MEMORY, ReloadMode, SHUTDOWN_GRACE, largest_body, largest_output,
};
pub use heartbeat::{EVERY, Heartbeat, OLDEST};
pub use limits::{Limits, Written};
pub use name::OWN_SOURCE;
pub use network::Networks;
pub use oci::OciImage;
pub use plugin::{Fetched, FetchedFrom, PluginRef};
pub use plugin_keys::{KeyAlgorithm, PluginKey};
pub use policy::{
    Condition, Field, Group, KeyTemplate, Mute, NamedPattern, Pattern, PatternError, REDACTED,
    Redaction, Rule, Schedule, Term, Threshold, Weekly, mark,
};
pub(crate) use problem::listed;
pub use problem::{Cause, PLAIN, PLAIN_HELP, Position, Problem, Problems, causes, did_you_mean};
pub use quantity::{Rate, parse_duration, shown_duration, size_text};
pub use reading::Findings;
pub use reference::looks_like_a_reference;
pub use retention::{AGE, Retention, SIZE};
pub use schema::{PluginSettings, schema};
pub use secret::Secret;
pub use settings::{Place, Settings};
pub use sha256::ContentHash;
pub use source::Source;
pub use store::{LEASE, Postgres, QUARANTINE, Replication, SPOOL_SIZE, StoreKind};
pub use text::Text;
pub use tls::{Credentials, Pem, TlsFiles, UnusableFile, UnusableFiles, Validity};
pub use traces::Traces;
pub use url::{PublicUrl, in_the_clear as is_in_the_clear};
pub use users::{ADMIN_TOKEN, CERTIFICATE, CONFIGURATION, NOBODY, User, Users, is_taken};

use sha2::{Digest as _, Sha256};

use reading::Reading;

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The gateway itself.
    pub gateway: Gateway,
    /// The limits of retention.
    pub retention: Retention,
    /// The place of requests and alerts.
    pub store: StoreKind,
    /// The destinations of alerts, in the order of the file. At least one.
    pub destinations: Vec<Destination>,
    /// The sources of alerts, in the order of the file. At least one.
    pub sources: Vec<Source>,
    /// The times in which alerts are kept and not delivered.
    pub mutes: Vec<Mute>,
    /// The warnings: allowed and yet unwise settings, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The places where the destinations are written, by their names.
    pub places: BTreeMap<String, Position>,
    /// The text of the file, and of those that it includes.
    pub text: Text,
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
        Self::understand(Reading::new(&self.text, &of_process), &self.path)?.whole()
    }

    /// Returns the configuration without its text, sources and destinations, and so without their
    /// secrets: a replaced token must not stay in memory.
    pub fn without_secrets(self) -> Self {
        Self {
            sources: Vec::new(),
            destinations: Vec::new(),
            text: self.text.without_content(),
            ..self
        }
    }

    /// Returns the tokens of senders, of the admin listener and its users, and the credentials of
    /// destinations.
    pub fn secrets(&self) -> Vec<Secret> {
        let admin = self.gateway.admin.iter();
        let admin = admin.flat_map(|admin| {
            let users = admin.users.list.iter();
            admin
                .tokens
                .iter()
                .chain(users.flat_map(|user| &user.tokens))
        });
        let destinations = self.destinations.iter();
        let destinations = destinations.flat_map(|destination| destination.kind.secrets());
        let sources = self.sources.iter().flat_map(|source| &source.tokens);
        sources.chain(destinations).chain(admin).cloned().collect()
    }

    /// Reads a file and those that it includes, as far as they can be made out. `env` looks up
    /// environment variables.
    ///
    /// # Errors
    /// The problem of an unreadable or empty file.
    pub fn draft(path: &Path, env: Environment<'_>) -> Result<Draft, Problems> {
        let text = include::load(path, env)?;
        Self::understand(Reading::new(&text, env), path)
    }

    /// Reads a file, and no secret that stands outside it: each reference stands for `stand_in`.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load_without_secrets(path: &Path, stand_in: &str) -> Result<Self, Problems> {
        let text = include::load(path, &of_process)?;
        Self::understand(
            Reading::new(&text, &of_process).with_stand_in(stand_in),
            path,
        )?
        .whole()
    }

    /// Reads a text that could be in the file `path`, with the files that it includes, and no secret
    /// that stands outside them: each reference stands for `stand_in`.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse_without_secrets(
        text: &str,
        path: &Path,
        stand_in: &str,
    ) -> Result<Self, Problems> {
        let text = include::with_included(Text::of(text, path), &of_process);
        let reading = Reading::new(&text, &of_process).with_stand_in(stand_in);
        Self::understand(reading, path)?.whole()
    }

    /// Returns where the configuration in a file has its data kept, for a command that only looks
    /// at them. Nothing but `[gateway]` has to be right, and of what stands outside the files only
    /// the folder itself need be known.
    ///
    /// # Errors
    /// The problems of `[gateway]`.
    pub fn data_dir(path: &Path) -> Result<PathBuf, Problems> {
        let (gateway, problems) = Self::gateway_alone(path, Some("unknown"))?;
        match gateway {
            Ok(gateway) => Ok(gateway.data_dir),
            Err(gateway) if problems.is_empty() => Ok(gateway.data_dir),
            Err(_) => Err(Problems(problems)),
        }
    }

    /// Returns the store that the configuration in a file names, for a command that opens it by
    /// itself. Nothing but `[store]` has to be right.
    ///
    /// # Errors
    /// The problems of `[store]`.
    pub fn store(path: &Path) -> Result<StoreKind, Problems> {
        let text = include::load(path, &of_process)?;
        let reading = Reading::new(&text, &of_process);
        let document = reading.document();
        let store = assemble::store(&document, &reading);
        let problems = reading.end().0;
        store.ok_or(Problems(problems))
    }

    /// Returns a digest of what gateways that share a store should have in common. No secret goes
    /// into it.
    pub fn digest(&self) -> String {
        let common = format!("{:?}{:?}{:?}", self.destinations, self.sources, self.mutes);
        let digest = Sha256::digest(common.as_bytes());
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Reads `[gateway]` alone, for a command that asks the running gateway. Where there is a
    /// `stand_in`, every secret is that.
    ///
    /// # Errors
    /// The problems of `[gateway]`, or the variables that are not set here.
    pub fn gateway(path: &Path, stand_in: Option<&str>) -> Result<Gateway, Problems> {
        let (gateway, problems) = Self::gateway_alone(path, stand_in)?;
        gateway.map_err(|_| {
            if problems.is_empty() {
                let found = "[gateway] names environment variables that are not set here";
                Problems(vec![Problem {
                    file: path.to_owned(),
                    position: None,
                    found: found.to_owned(),
                    help: "set them for this command as for the gateway's process".to_owned(),
                }])
            } else {
                Problems(problems)
            }
        })
    }

    #[expect(
        clippy::type_complexity,
        reason = "both are what two callers tell apart"
    )]
    fn gateway_alone(
        path: &Path,
        stand_in: Option<&str>,
    ) -> Result<(Result<Gateway, Box<Gateway>>, Vec<Problem>), Problems> {
        let text = include::load(path, &of_process)?;
        let mut reading = Reading::new(&text, &of_process);
        reading.stand_in = stand_in;
        let document = reading.document();
        let gateway = assemble::gateway(&document, &reading);
        Ok((gateway, reading.end().0))
    }

    /// Reads a text that is, or could be, in the file `path`, and no other file of the
    /// configuration. `env` looks up environment variables.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, path: &Path, env: Environment<'_>) -> Result<Self, Problems> {
        let text = Text::of(text, path);
        Self::understand(Reading::new(&text, env), path)?.whole()
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
            file: self.text.file(position).to_owned(),
            position: Some(position),
            found: found.into(),
            help: help.into(),
        }
    }

    /// Makes a problem of a destination, at the place where that is written.
    pub fn problem_of(
        &self,
        destination: &Destination,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let Self { places, path, .. } = self;
        match places.get(&destination.name) {
            Some(position) => self.problem(*position, found, help),
            None => Problem {
                file: path.clone(),
                position: None,
                found: found.into(),
                help: help.into(),
            },
        }
    }

    fn understand(reading: Reading<'_>, path: &Path) -> Result<Draft, Problems> {
        let document = reading.document();
        let config = assemble::assemble(&document, &reading);
        let text = reading.text();
        let files = reading.files();
        let (mut problems, warnings) = reading.end();
        problems.extend(text.unread.iter().cloned());
        problems.sort_by_key(|problem| problem.position);
        match config {
            Some(config) => Ok(Draft {
                config: Self {
                    path: path.to_owned(),
                    warnings,
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

/// Returns true if every user of the machine can read a file.
#[cfg(unix)]
fn exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn exposed(_: &std::fs::Metadata) -> bool {
    false
}
