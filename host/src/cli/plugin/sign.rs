//! `plugin sign`: makes the proof of a case's sender, so that no author computes an HMAC by hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::case::{self, Case};
use plugin_sdk::contract::{Answer, Demand};
use plugin_sdk::signature::Verifier;

use super::subject::{self, Subject};
use super::{Failure, Outcome, block_on, cases};
use alert_gateway_sandbox::Plugin;

/// Signs cases as their sender would: by the proof that the plugin declares, with the secret in the
/// case's settings, at the time of every case. A proof that stands in the request is replaced. A case
/// whose answer is a rejection is left as it is, unless --case names it.
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
            let case = case::load_one(path)?;
            let shown = path.display();
            let told = if what.only.is_none() && is_rejected(&case) {
                format!(
                    "left {shown}: its answer is a rejection; --case {} signs it",
                    case.name
                )
            } else if let Some(places) = sign_one(path, case, &subject, &plugin).await? {
                format!("signed {shown} with {}", places.join(", "))
            } else {
                format!("left {shown}: it is signed")
            };
            writeln!(std::io::stdout().lock(), "{told}")?;
        }
        Ok(())
    })
}

/// Returns whether the case is written down as one of a stranger's, or of a sender who goes wrong.
fn is_rejected(case: &Case) -> bool {
    let answer = case.answer.as_deref().map(serde_json::from_str);
    matches!(answer, Some(Ok(Answer::Rejected(_))))
}

/// Signs the request in this file, and returns the places of the secrets in the settings. `None`
/// where it is signed so already.
async fn sign_one(
    path: &Path,
    case: Case,
    subject: &Subject,
    plugin: &Plugin,
) -> Result<Option<Vec<String>>, Failure> {
    let shown = path.display();
    let mut request = case.request;
    let before = case::write_request(&request);
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
    let signed = case::write_request(&request);
    if signed == before {
        return Ok(None);
    }
    std::fs::write(path, signed).with_context(|| format!("cannot write {shown}"))?;
    Ok(Some(places))
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
