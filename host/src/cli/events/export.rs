//! `events export`: makes a case of a plugin from a stored request, without the credentials that it
//! came with. Secrets that can be read are looked for in the request.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::super::case_files::CaseFiles;
use super::super::env_file::{EnvFile, Variables};
use super::super::remote::{Client, segment};
use super::super::{Failure, Outcome, Place, block_on, caches, owner, plain, trial};
use crate::config::{Config, OWN_SOURCE, Secret};
use crate::credential::texts;
use crate::gateway;
use crate::sources::{self, Case, CaseMaker, Recorded, STAND_IN, Source, case_name};
use crate::store::History;

/// The arguments of `events export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events export 01890a5d-ac96-774b-bcce-b302099a8057 --case http-502
  alert-gateway events export NO0123456789abcdef0123456789abcdef --case http-502 --dir my-plugin/cases
  alert-gateway events export 01890a5d-ac96-774b-bcce-b302099a8057 --case odd --keep-header X-Region
  alert-gateway events export 01890a5d-ac96-774b-bcce-b302099a8057 --case odd --remote https://gateway.example.com:9090")]
pub struct Export {
    #[command(flatten)]
    place: Place,
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
    let files = CaseFiles::new(&what.dir, &what.name);
    let case = match what.place.remote()? {
        Some(client) => block_on(remote(what, &client))?,
        None => local(what)?,
    };
    let mut written = files.write(&case)?;
    for note in &case.notes {
        written += &format!("{note}\n");
    }
    Ok(std::io::stdout().write_all(plain::lines(&written).as_bytes())?)
}

/// Has the gateway of the admin listener make the case, by its own plugin and secrets.
async fn remote(what: &Export, client: &Client) -> Result<Case, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("case", &what.name);
    query.extend_pairs(what.keep_header.iter().map(|name| ("keep_header", name)));
    let path = format!("/events/{}/case?{}", segment(&what.id), query.finish());
    client.get(&path).await
}

fn local(what: &Export) -> Result<Case, Failure> {
    let path = what.place.file.path()?;
    let store = what.place.file.store()?;
    // The files of the case are written as the user who asks.
    let mut found = owner::as_owner(store.folder(), || {
        Ok(super::find(&History::open(&store)?, &what.id)?)
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
    if let Some(evicted) = record.evicted {
        return Err(anyhow!("there is no case to make of it any more: {evicted}").into());
    }
    block_on(async {
        let source = source(&path, &record.source).await?;
        let known = known_secrets(&path, &source, &what.env_file.read()?);
        let recorded = Recorded {
            method: &record.method,
            url: &record.url,
            headers: &record.headers,
            body: &record.body,
        };
        let maker = CaseMaker::of(&source);
        let case = maker.make(&what.name, recorded, &what.keep_header, &known);
        Ok(case.await?)
    })
}

/// Returns the secrets of the configuration that can be read; those of the others are known by
/// their places only.
fn known_secrets(path: &Path, source: &Source, variables: &Variables) -> Vec<Secret> {
    let Ok(draft) = Config::draft(path, &|name| variables.get(name)) else {
        return Vec::new();
    };
    let config = draft.config;
    let settings = config
        .sources
        .iter()
        .find(|one| *one.name == *source.name)
        .map(|one| &one.settings);
    let mut known = Vec::new();
    for secret in &source.plugin.description().secrets {
        texts(
            settings.and_then(|settings| settings.value().get(secret)),
            &mut known,
        );
    }
    let known = known.into_iter().map(Secret::new);
    config.secrets().into_iter().chain(known).collect()
}

/// Loads the source that took the request, with a stand-in for each of its secrets.
async fn source(config: &Path, name: &str) -> Result<Source, Failure> {
    let mut config = Config::load_without_secrets(config, STAND_IN)?;
    trial::narrow(&mut config, name)?;
    let sandbox = gateway::sandbox(&config, caches::compiled())?;
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
