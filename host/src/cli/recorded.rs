//! A received request as a case of its plugin, without the credentials that it came with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use plugin_sdk::body::decode;
use plugin_sdk::case;
use plugin_sdk::contract::{Answer, Body, Request};
use plugin_sdk::signature::Scheme;

use super::Failure;
use super::redaction::{self, Redaction, STAND_IN};
use crate::sources::{Source, call_limits};
use alert_gateway_sandbox::Measured;

/// A request as it was received or kept.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The source that took it.
    pub source: &'a str,
    /// The method.
    pub method: &'a str,
    /// The URL, as the sender knows it.
    pub url: &'a str,
    /// The headers, as the contract has them: `[[name, value], …]`.
    pub headers: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Recorded<'_> {
    /// Returns the request as a case has it: redacted, at the time of every case, and signed with
    /// the stand-in. `kept` names headers that would be left out.
    pub fn request(
        &self,
        source: &Source,
        kept: &[String],
        redaction: &mut Redaction,
    ) -> anyhow::Result<Request> {
        let headers: Vec<(String, String)> =
            serde_json::from_str(self.headers).context("the headers are not JSON")?;
        let mut request = Request {
            source: self.source.to_owned(),
            received_at: case::RECEIVED_AT.to_owned(),
            method: self.method.to_owned(),
            url: self.url.to_owned(),
            headers,
            body: Body::from_bytes(self.body.to_vec()),
            content: None,
            proved: None,
            settings: redaction::settings(source.settings(), &source.plugin.description().secrets)?,
        };
        let scheme =
            Scheme::of(&request).map(|scheme| redaction::scheme(scheme, request.settings.get()));
        let settings = source.settings().value();
        redaction.learn_request(self.url, &request.headers, self.body, settings);
        request.url = redaction.url(self.url);
        request.headers = redaction.headers(request.headers, settings, kept);
        request.body = Body::from_bytes(redaction.body(self.body));
        if let Some(scheme) = scheme {
            scheme.sign(&mut request, STAND_IN);
        }
        decode::fill(&mut request, source.limits().body);
        Ok(request)
    }
}

/// The files of a case.
#[derive(Debug)]
pub struct CaseFiles {
    dir: PathBuf,
    name: String,
}

impl CaseFiles {
    /// The files of a case in this folder.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.name))
    }

    /// The first of its files that is there already.
    pub fn taken(&self) -> Option<PathBuf> {
        ["http", "json", "settings.json"]
            .iter()
            .map(|ending| self.path(ending))
            .find(|path| path.exists())
    }

    /// Writes the request, its settings where they are not those of all cases, and the answer of the
    /// plugin; and says what became of it.
    ///
    /// # Errors
    /// The file that is there already or cannot be written.
    pub async fn write(&self, source: &Source, request: &Request) -> Result<String, Failure> {
        if let Some(path) = self.taken() {
            return Err(taken(&path));
        }
        let input = serde_json::to_vec(request)?;
        let Measured { answer, output, .. } = source
            .plugin
            .measure(&source.name, &input, &call_limits(source.limits()))
            .await;
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make the folder {}", self.dir.display()))?;
        let message = self.path("http");
        create(&message, &case::write_request(request))?;
        let mut said = format!("wrote {}\n", message.display());
        let settings = case::pretty(request.settings.get())?;
        let shared = std::fs::read_to_string(self.dir.join("settings.json")).ok();
        if shared
            .and_then(|shared| case::pretty(&shared).ok())
            .as_ref()
            != Some(&settings)
        {
            let file = self.path("settings.json");
            create(&file, settings.as_bytes())?;
            said += &format!("wrote {}\n", file.display());
        }
        match answer {
            Ok(answer) => {
                let file = self.path("json");
                let text = case::pretty(&String::from_utf8_lossy(&output))?;
                create(&file, text.as_bytes())?;
                said += &format!("wrote {}\n", file.display());
                if let Answer::Rejected(rejection) = answer {
                    said += &format!(
                        "the answer is a rejection ({}): the sender proves itself in a way that this program cannot sign \
                         anew. Make the proof in {} by hand, for the secret {STAND_IN:?}, and bless the answer with \
                         `alert-gateway plugin test --case {} --bless`\n",
                        rejection.reason,
                        message.display(),
                        self.name
                    );
                }
            }
            Err(error) => {
                said += &format!(
                    "the plugin fails on it: {error}\nFix the plugin until `alert-gateway plugin test --case {}` shows the \
                     answer that you want, and write that down with --bless\n",
                    self.name
                );
            }
        }
        Ok(said)
    }
}

/// Writes a file that is not there yet.
fn create(path: &Path, content: &[u8]) -> Result<(), Failure> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => Ok(file
            .write_all(content)
            .with_context(|| format!("cannot write {}", path.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(anyhow!(error)
            .context(format!("cannot write {}", path.display()))
            .into()),
    }
}

fn taken(path: &Path) -> Failure {
    let help = "give the case another name with --case, or remove it";
    Failure::Usage(format!("{} is there already; {help}", path.display()))
}
