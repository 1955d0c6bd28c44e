//! `events export`: makes a case of a plugin from a stored request, without the credentials that it
//! came with.
//!
//! No secret is needed for it, and none goes into a file: each secret setting becomes a stand-in,
//! and the request is signed anew with that stand-in where the SDK knows the scheme. Secrets that
//! can be read are looked for in the request.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use plugin_sdk::contract::Request;

use super::super::env_file::{EnvFile, Variables};
use super::super::recorded::{CaseFiles, Recorded};
use super::super::redaction::{Redaction, STAND_IN};
use super::super::{ConfigFile, Failure, Outcome, block_on, owner, plain, trial};
use crate::config::{Config, OWN_SOURCE};
use crate::credential::texts;
use crate::gateway;
use crate::sources::{self, Source};
use crate::store::History;

/// The arguments of `events export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events export 01890a5d-ac96-774b-bcce-b302099a8057 --case http-502
  alert-gateway events export NO0123456789abcdef0123456789abcdef --case http-502 --dir my-plugin/cases
  alert-gateway events export 01890a5d-ac96-774b-bcce-b302099a8057 --case odd --keep-header X-Region")]
pub struct Export {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    env_file: EnvFile,
    /// A request's id, as it was answered to the sender, or an event's
    #[arg(value_name = "ID|EVENT_ID")]
    id: String,
    /// The name of the case: its files are NAME.http, NAME.json and, where it needs them,
    /// NAME.settings.json
    #[arg(long = "case", value_name = "NAME", value_parser = case_name)]
    name: String,
    /// The folder of the plugin's cases
    #[arg(long, value_name = "DIR", default_value = "cases")]
    dir: PathBuf,
    /// Keep this header, which would be left out; may be given several times
    #[arg(long, value_name = "NAME")]
    keep_header: Vec<String>,
}

pub fn export(what: &Export) -> Outcome {
    let path = what.file.path()?;
    let data_dir = what.file.data_dir()?;
    // The files of the case are written as the user who asks.
    let mut found = owner::as_owner(&data_dir, || {
        Ok(super::find(&History::open(&data_dir)?, &what.id)?)
    })?;
    let record = match found.pop() {
        Some(only) if found.is_empty() => only,
        other => {
            let ids: Vec<_> = found
                .iter()
                .chain(&other)
                .map(|request| request.id.as_str())
                .collect();
            return Err(Failure::Usage(format!(
                "{} is in several requests; name one: {}",
                what.id,
                ids.join(" ")
            )));
        }
    };
    if record.source == OWN_SOURCE {
        let why = "is an alert of the gateway's own: no plugin read it, so there is no case to make of it";
        return Err(Failure::Usage(format!("{} {why}", what.id)));
    }
    block_on(async {
        let source = source(&path, &record.source).await?;
        let mut redaction = Redaction::default();
        for secret in known_secrets(&path, &source, &what.env_file.read()?) {
            redaction.learn(&secret);
        }
        let recorded = Recorded {
            source: &record.source,
            method: &record.method,
            url: &record.url,
            headers: &record.headers,
            body: &record.body,
        };
        let request = recorded.request(&source, &what.keep_header, &mut redaction)?;
        let files = CaseFiles::new(&what.dir, &what.name);
        let written = files.write(&source, &request).await? + &left(&request, &redaction);
        Ok(std::io::stdout().write_all(plain::lines(&written).as_bytes())?)
    })
}

/// Returns the secrets of the configuration that can be read; those of the others are known by
/// their places only.
fn known_secrets(path: &Path, source: &Source, variables: &Variables) -> Vec<String> {
    let Ok(draft) = Config::draft(path, &|name| variables.get(name)) else {
        return Vec::new();
    };
    let config = draft.config;
    let mut known: Vec<_> = config
        .sources
        .iter()
        .flat_map(|source| &source.tokens)
        .collect();
    known.extend(
        config
            .destinations
            .iter()
            .flat_map(|destination| destination.kind.secrets()),
    );
    known.extend(config.gateway.admin.iter().flat_map(|admin| &admin.tokens));
    let mut known: Vec<_> = known
        .into_iter()
        .map(|secret| secret.expose().to_owned())
        .collect();
    let settings = config
        .sources
        .iter()
        .find(|one| *one.name == *source.name)
        .map(|one| &one.settings);
    for secret in &source.plugin.description().secrets {
        texts(
            settings.and_then(|settings| settings.value().get(secret)),
            &mut known,
        );
    }
    known
}

/// Loads the source that took the request, with a stand-in for each of its secrets.
async fn source(config: &Path, name: &str) -> Result<Source, Failure> {
    let mut config = Config::load_without_secrets(config, STAND_IN)?;
    trial::narrow(&mut config, name)?;
    let sandbox = gateway::sandbox(&config, false)?;
    let mut loaded = sources::load(&config, &sandbox).await.map_err(|problems| {
        Failure::Usage(format!(
            "{problems}\nThis command puts {STAND_IN:?} in the place of every secret. Where that is all that is wrong, the \
             plugin's schema wants secrets of another shape, and the case has to be written by hand."
        ))
    })?;
    Ok(loaded
        .sources
        .pop()
        .ok_or_else(|| anyhow!("the configuration has no source"))?)
}

/// Describes the hidden parts, and those left for the operator to look at.
fn left(request: &Request, redaction: &Redaction) -> String {
    let Redaction {
        places, left_out, ..
    } = redaction;
    let mut said = format!(
        "credentials are replaced by {STAND_IN:?}, where they are called so and, in {places} more places, where their value \
         stands\n"
    );
    if !left_out.is_empty() {
        said += &format!(
            "left out: the headers {}; keep one that the plugin reads with --keep-header NAME\n",
            left_out.join(", ")
        );
    }
    let names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let names = if names.is_empty() {
        "no header".to_owned()
    } else {
        format!("the headers {}", names.join(", "))
    };
    said += &format!("left in: the URL, {names}, and the body\n");
    let encoding = request
        .headers
        .iter()
        .find(|(name, _)| name == "content-encoding")
        .map(|(_, value)| value.as_str());
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        said += &format!(
            "the body is compressed ({encoding}) and was NOT searched for credentials: look into it\n"
        );
    }
    said + "look for personal data in what is left before you share the case\n"
}

/// Accepts a name that makes three files in one folder, and no other.
fn case_name(text: &str) -> Result<String, String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    if (1..=100).contains(&text.len()) && text.chars().all(fits) && text != "settings" {
        return Ok(text.to_owned());
    }
    let reserved = "and not `settings`, which is what the settings of all cases are called";
    Err(format!(
        "a case is called by letters, digits, dashes and underscores, as in http-502, {reserved}"
    ))
}
