//! `plugin sign`: makes the proof of a case's sender, so that no author computes an HMAC by hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::case;
use plugin_sdk::contract::Demand;
use plugin_sdk::signature::Verifier;

use super::subject::{self, Subject};
use super::{Failure, Outcome, block_on, cases};
use alert_gateway_sandbox::Plugin;

/// Signs cases as their sender would: by the proof that the plugin declares, with the secret in the
/// case's settings, at the time of every case. A proof that stands in the request is replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin sign
  alert-gateway plugin sign my-plugin --case http-502")]
pub struct Sign {
    #[command(flatten)]
    plugin: subject::Which,
    /// The folder of the cases, instead of `cases` in the plugin's folder or beside the file
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Only this case
    #[arg(long = "case", value_name = "NAME")]
    only: Option<String>,
}

pub fn sign(what: &Sign) -> Outcome {
    let subject = Subject::find(&what.plugin)?;
    let Some(folder) = what.cases.as_ref().or(subject.cases.as_ref()) else {
        return Err(Failure::Usage(format!(
            "the gateway carries {} without its cases: name their folder with --cases DIR",
            subject.name
        )));
    };
    let paths = cases::selected(folder, what.only.as_deref())?;
    block_on(async {
        let (plugin, _) = subject.ready(what.plugin.limits).await?;
        for path in &paths {
            let places = sign_one(path, &subject, &plugin).await?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "signed {} with {}", path.display(), places.join(", "))?;
        }
        Ok(())
    })
}

/// Signs the request in this file, and returns the places of the secrets in the settings.
async fn sign_one(path: &Path, subject: &Subject, plugin: &Plugin) -> Result<Vec<String>, Failure> {
    let shown = path.display();
    let mut request = case::load_one(path)?.request;
    subject.complete(&mut request);
    let demands = demands(plugin, &request.source, request.settings.get()).await?;
    if demands.is_empty() {
        return Err(Failure::Usage(format!(
            "with the settings of {shown} the plugin declares no proof (`proof` in its description or its check): the \
             source's token proves the sender, or the plugin by itself"
        )));
    }
    let verifier = Verifier::new(&demands, request.settings.get());
    if verifier.is_empty() {
        return Err(Failure::Usage(format!(
            "the settings of {shown} hold no secret, which proves its sender; write one into {}",
            path.with_file_name("settings.json").display()
        )));
    }
    let places = verifier
        .sign(&mut request)
        .map_err(|why| anyhow!("cannot sign {shown}: {why}"))?;
    std::fs::write(path, case::write_request(&request))
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(places)
}

/// Returns the proof that the plugin declares with these settings.
async fn demands(plugin: &Plugin, source: &str, settings: &str) -> Result<Vec<Demand>, Failure> {
    let checked = plugin
        .check(source, settings.as_bytes())
        .await
        .map_err(|error| anyhow!("the plugin cannot check the settings: {error}"))?;
    Ok(checked
        .proof
        .unwrap_or_else(|| plugin.description().proof.clone()))
}
