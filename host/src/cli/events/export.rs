//! `events export`: a kept request becomes a case of its plugin, without the credentials that it came with.
//!
//! Nobody's secret is needed for it, and none goes into a file: what the configuration refers to is never looked up, each
//! secret setting becomes a stand-in, and the request is signed anew with that stand-in where the SDK knows the scheme.

mod redaction;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::body::decode;
use plugin_sdk::case;
use plugin_sdk::contract::{Answer, Body, Request};
use plugin_sdk::signature::Scheme;

use super::super::{ConfigFile, Failure, Outcome, block_on, trial};
use crate::config::{Config, OWN_SOURCE};
use crate::gateway;
use crate::sources::{self, Source, call_limits};
use crate::store::RequestRecord;
use alert_gateway_sandbox::Measured;
use redaction::STAND_IN;

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    file: ConfigFile,
    /// A request's id, as it was answered to the sender, or an event's
    #[arg(value_name = "ID|EVENT_ID")]
    id: String,
    /// What to call the case: its files are NAME.http, NAME.json and, where it needs them, NAME.settings.json
    #[arg(long = "case", value_name = "NAME", value_parser = case_name)]
    name: String,
    /// The folder of the plugin's cases
    #[arg(long, value_name = "DIR", default_value = "cases")]
    dir: PathBuf,
}

pub fn export(what: &Export) -> Outcome {
    let mut found = super::find(&super::open(&what.file)?, &what.id)?;
    let record = match found.pop() {
        Some(only) if found.is_empty() => only,
        other => {
            let ids: Vec<_> = found.iter().chain(&other).map(|request| request.id.as_str()).collect();
            return Err(Failure::Usage(format!("{} is in several requests; name one: {}", what.id, ids.join(" "))));
        }
    };
    if record.source == OWN_SOURCE {
        let why = "is an alert of the gateway's own: no plugin read it, so there is no case to make of it";
        return Err(Failure::Usage(format!("{} {why}", what.id)));
    }
    block_on(async {
        let source = source(&what.file.config, &record.source).await?;
        let request = request(&record, &source)?;
        let written = write(what, &source, &request).await?;
        Ok(std::io::stdout().write_all(written.as_bytes())?)
    })
}

/// The source that took the request, with a stand-in for each of its secrets.
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
    Ok(loaded.sources.pop().ok_or_else(|| anyhow!("the configuration has no source"))?)
}

/// The kept request as a case has it: redacted, at the time of every case, and signed with the stand-in.
fn request(record: &RequestRecord, source: &Source) -> anyhow::Result<Request> {
    let headers: Vec<(String, String)> =
        serde_json::from_str(&record.headers).context("the kept headers are not JSON")?;
    let mut request = Request {
        source: record.source.clone(),
        received_at: case::RECEIVED_AT.to_owned(),
        method: record.method.clone(),
        url: redaction::url(&record.url),
        headers,
        body: Body::from_bytes(record.body.clone()),
        content: None,
        proved: None,
        settings: redaction::settings(source.settings(), &source.plugin.description().secrets)?,
    };
    let scheme = Scheme::of(&request).map(|scheme| redaction::scheme(scheme, request.settings.get()));
    let settings = source.settings().value();
    request.headers = request.headers.into_iter().map(|header| redaction::header(header, settings)).collect();
    if let Some(scheme) = scheme {
        scheme.sign(&mut request, STAND_IN);
    }
    decode::fill(&mut request, source.limits().body);
    Ok(request)
}

/// Writes the files of the case, and says what became of it.
async fn write(what: &Export, source: &Source, request: &Request) -> Result<String, Failure> {
    let file = |ending: &str| what.dir.join(format!("{}.{ending}", what.name));
    let (message, answer_file, settings_file) = (file("http"), file("json"), file("settings.json"));
    for path in [&message, &answer_file, &settings_file] {
        if path.exists() {
            return Err(taken(path));
        }
    }
    let input = serde_json::to_vec(request)?;
    let Measured { answer, output, .. } =
        source.plugin.measure(&source.name, &input, &call_limits(source.limits())).await;
    std::fs::create_dir_all(&what.dir).with_context(|| format!("cannot make the folder {}", what.dir.display()))?;
    create(&message, &case::write_request(request))?;
    let mut said = format!("wrote {}\n", message.display());
    let settings = case::pretty(request.settings.get())?;
    let shared = std::fs::read_to_string(what.dir.join("settings.json")).ok();
    if shared.and_then(|shared| case::pretty(&shared).ok()).as_ref() != Some(&settings) {
        create(&settings_file, settings.as_bytes())?;
        said += &format!("wrote {}\n", settings_file.display());
    }
    match answer {
        Ok(answer) => {
            create(&answer_file, case::pretty(&String::from_utf8_lossy(&output))?.as_bytes())?;
            said += &format!("wrote {}\n", answer_file.display());
            if let Answer::Rejected(rejection) = answer {
                said += &format!(
                    "the answer is a rejection ({}): the sender proves itself in a way that this program cannot sign \
                     anew. Make the proof in {} by hand, for the secret {STAND_IN:?}, and bless the answer with \
                     `alert-gateway plugin test --case {} --bless`\n",
                    rejection.reason,
                    message.display(),
                    what.name
                );
            }
        }
        Err(error) => {
            said += &format!(
                "the plugin fails on it: {error}\nMend the plugin until `alert-gateway plugin test --case {}` shows the \
                 answer that you want, and write that down with --bless\n",
                what.name
            );
        }
    }
    Ok(
        said + "credentials are replaced; the body is as it was sent: look for personal data in it before you share the case\n"
    )
}

/// Writes a file that is not there yet.
fn create(path: &Path, content: &[u8]) -> Outcome {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => Ok(file.write_all(content).with_context(|| format!("cannot write {}", path.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(anyhow!(error).context(format!("cannot write {}", path.display())).into()),
    }
}

fn taken(path: &Path) -> Failure {
    let help = "give the case another name with --case, or remove it";
    Failure::Usage(format!("{} is there already; {help}", path.display()))
}

/// A name that makes three files in one folder, and no other.
fn case_name(text: &str) -> Result<String, String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    if (1..=100).contains(&text.len()) && text.chars().all(fits) && text != "settings" {
        return Ok(text.to_owned());
    }
    let reserved = "and not `settings`, which is what the settings of all cases are called";
    Err(format!("a case is called by letters, digits, dashes and underscores, as in http-502, {reserved}"))
}
