//! A received request as a case of its plugin, without the credentials that it came with.
//!
//! No secret is needed for it, and none goes into it: each secret setting becomes a stand-in, and
//! the request is signed anew with that stand-in where the SDK knows the scheme. Secrets that are
//! known are looked for in the request.

mod redaction;

use std::borrow::Cow;
use std::sync::Arc;

use plugin_sdk::body::decode;
use plugin_sdk::case;
use plugin_sdk::contract::{Answer, Body, Content, Request};
use plugin_sdk::signature::Scheme;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Source, call_limits};
use crate::config::{Limits, Secret, Settings};
use alert_gateway_sandbox::{Measured, Plugin};
use redaction::Redaction;

pub use redaction::STAND_IN;

/// A request with the answer of its plugin, as the files of a case.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// The name of its files.
    pub name: String,
    /// The source that took the request.
    pub source: String,
    /// The plugin that reads it.
    pub plugin: String,
    /// The content of `NAME.http`.
    pub request: Body,
    /// The content of `NAME.settings.json`.
    pub settings: Box<RawValue>,
    /// The content of `NAME.json`; none where the plugin fails on the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<RawValue>>,
    /// The reason why the case does not pass as it is, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The parts that are hidden, and those left for a person to look at.
    pub notes: Vec<String>,
}

/// A request as it was received or kept.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL, as the sender knows it.
    pub url: &'a str,
    /// The headers, as the contract has them: `[[name, value], …]`.
    pub headers: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// The reason why there is no case of a request.
#[derive(Debug, thiserror::Error)]
pub enum NotACase {
    /// The stored request is damaged.
    #[error("the request cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// It holds so much that is called a credential that it cannot be searched for all of it.
    #[error(
        "the request holds more than 64 KiB of credentials, by the names of its fields: write its case by hand"
    )]
    TooMuch,
}

/// Makes cases of the requests of one source.
#[derive(Debug)]
pub struct CaseMaker {
    name: Arc<str>,
    plugin: Plugin,
    settings: Settings,
    limits: Limits,
    secrets: Vec<Secret>,
}

impl CaseMaker {
    /// Makes cases of the requests of this source.
    pub fn of(source: &Source) -> Self {
        Self {
            name: Arc::clone(&source.name),
            plugin: source.plugin.clone(),
            settings: source.settings().clone(),
            limits: *source.limits(),
            secrets: source.secrets().into_iter().map(Secret::new).collect(),
        }
    }

    /// Makes a case: redacted, at the time of every case, and signed with the stand-in. `kept`
    /// names headers that would be left out; `known` are secrets beside those of the source.
    ///
    /// # Errors
    /// The stored request is damaged, or holds too many credentials.
    pub async fn make(
        &self,
        name: &str,
        recorded: Recorded<'_>,
        kept: &[String],
        known: &[Secret],
    ) -> Result<Case, NotACase> {
        let mut redaction = Redaction::default();
        for secret in self.secrets.iter().chain(known) {
            redaction.learn(secret.expose());
        }
        let request = self.request(recorded, kept, &mut redaction)?;
        let input = serde_json::to_vec(&request)?;
        let Measured { answer, output, .. } = self
            .plugin
            .measure(&self.name, &input, &call_limits(&self.limits))
            .await;
        let trouble = match &answer {
            Ok(Answer::Rejected(rejection)) => Some(format!(
                "the answer is a rejection ({}): the sender proves itself in a way that this program cannot sign anew. Make \
                 the proof in {name}.http by hand, for the secret {STAND_IN:?}, and bless the answer with `alert-gateway \
                 plugin test --case {name} --bless`",
                rejection.reason
            )),
            Ok(_) => None,
            Err(error) => Some(format!(
                "the plugin fails on it: {error}\nFix the plugin until `alert-gateway plugin test --case {name}` shows the \
                 answer that you want, and write that down with --bless"
            )),
        };
        Ok(Case {
            name: name.to_owned(),
            source: self.name.to_string(),
            plugin: self.plugin.description().name.clone(),
            request: Body::from_bytes(case::write_request(&request)),
            answer: match answer {
                Ok(_) => Some(serde_json::from_slice(&output)?),
                Err(_) => None,
            },
            trouble,
            notes: notes(&request, &redaction),
            settings: request.settings,
        })
    }

    fn request(
        &self,
        recorded: Recorded<'_>,
        kept: &[String],
        redaction: &mut Redaction,
    ) -> Result<Request, NotACase> {
        let settings = self.settings.value();
        let secrets = &self.plugin.description().secrets;
        let mut request = Request {
            source: self.name.to_string(),
            received_at: case::RECEIVED_AT.to_owned(),
            method: recorded.method.to_owned(),
            url: recorded.url.to_owned(),
            headers: serde_json::from_str(recorded.headers)?,
            body: Body::from_bytes(recorded.body.to_vec()),
            content: None,
            proved: None,
            settings: redaction::settings(&self.settings, secrets)?,
        };
        decode::fill(&mut request, self.limits.body);
        let plain = match request.content.take() {
            Some(Content::Text(text)) => Cow::Owned(text.into_bytes()),
            Some(Content::Base64(text)) => Body::Base64(text).bytes().into_owned().into(),
            Some(Content::Unreadable(_)) | None => Cow::Borrowed(recorded.body),
        };
        let scheme =
            Scheme::of(&request).map(|scheme| redaction::scheme(scheme, request.settings.get()));
        redaction.learn_request(recorded.url, &request.headers, &plain, settings);
        if redaction.is_too_much() {
            return Err(NotACase::TooMuch);
        }
        request.url = redaction.url(recorded.url);
        request.headers = redaction.headers(request.headers, settings, kept);
        let hidden = redaction.body(&plain);
        // A body that was compressed, or of another charset, is written decoded where it has to be
        // changed.
        if hidden != *plain {
            if matches!(plain, Cow::Owned(_)) {
                uncode(&mut request.headers);
            }
            request.body = Body::from_bytes(hidden);
        }
        if let Some(scheme) = scheme {
            scheme.sign(&mut request, STAND_IN);
        }
        decode::fill(&mut request, self.limits.body);
        Ok(request)
    }
}

impl Case {
    /// Returns its files: the ending of each name, and the content.
    ///
    /// # Errors
    /// The settings or the answer nest too deep to be written anew.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, NotACase> {
        let mut files = vec![
            ("http", self.request.bytes().into_owned()),
            (
                "settings.json",
                case::pretty(self.settings.get())?.into_bytes(),
            ),
        ];
        if let Some(answer) = &self.answer {
            files.push(("json", case::pretty(answer.get())?.into_bytes()));
        }
        Ok(files)
    }
}

/// Removes from the headers what says how a body is encoded.
fn uncode(headers: &mut Vec<(String, String)>) {
    headers.retain(|(name, _)| name != "content-encoding");
    for (_, value) in headers
        .iter_mut()
        .filter(|(name, _)| name == "content-type")
    {
        let parts = value.split(';');
        let left = parts.filter(|part| !part.trim().to_ascii_lowercase().starts_with("charset="));
        *value = left.collect::<Vec<_>>().join(";");
    }
}

/// Describes the hidden parts, and those left for the operator to look at.
fn notes(request: &Request, redaction: &Redaction) -> Vec<String> {
    let Redaction {
        places, left_out, ..
    } = redaction;
    let mut said = vec![format!(
        "credentials are replaced by {STAND_IN:?}, where they are called so and, in {places} more places, where their value \
         stands"
    )];
    if !left_out.is_empty() {
        said.push(format!(
            "left out: the headers {}; keep one that the plugin reads with --keep-header NAME",
            left_out.join(", ")
        ));
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
    said.push(format!("left in: the URL, {names}, and the body"));
    if let Some(Content::Unreadable(why)) = &request.content {
        said.push(format!(
            "the body cannot be decoded ({why}) and was NOT searched for credentials: look into it"
        ));
    }
    said.push("look for personal data in what is left before you share the case".to_owned());
    said
}

/// Accepts a name that makes three files in one folder, and no other.
///
/// # Errors
/// The names that are accepted.
pub fn case_name(text: &str) -> Result<String, String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    if (1..=100).contains(&text.len()) && text.chars().all(fits) && text != "settings" {
        return Ok(text.to_owned());
    }
    let reserved = "and not `settings`, which is what the settings of all cases are called";
    Err(format!(
        "a case is called by letters, digits, dashes and underscores, as in http-502, {reserved}"
    ))
}
