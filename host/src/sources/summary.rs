//! A source as operators see it: no secret is shown.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{CaseMaker, RequestMask, Source};
use crate::config::shown_duration;

/// The facts about a source.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub name: Arc<str>,
    /// The URL to paste at the sender.
    pub url: String,
    /// The name of its plugin.
    pub plugin: String,
    /// The version of its plugin.
    pub plugin_version: String,
    /// SHA-256 of the plugin's wasm, in hex.
    pub plugin_sha256: String,
    /// The plugin's line about itself.
    pub summary: String,
    /// The steps at the sender, as text.
    pub setup: String,
    /// The destinations of its alerts, where no rule names another.
    pub destinations: Vec<String>,
    /// The seconds within which a request is expected.
    pub expect_every_s: Option<u64>,
    /// The same, in words.
    #[serde(skip)]
    pub expected: Option<String>,
    /// The labels that every alert gets.
    pub labels: Vec<(String, String)>,
    /// The number of rules.
    pub rules: usize,
    /// The number of places that are redacted.
    pub redacted: usize,
    /// The ways in which its senders prove themselves.
    pub proof: Vec<&'static str>,
    /// The bytes that a body may have.
    pub largest_body: usize,
    /// Hides the credentials of its requests.
    #[serde(skip)]
    pub mask: Arc<RequestMask>,
    /// Makes cases of its requests.
    #[serde(skip)]
    pub cases: Arc<CaseMaker>,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl Summary {
    /// The facts about this source.
    pub fn of(source: &Source) -> Self {
        let description = source.plugin.description();
        let configured = &source.configured;
        let url = format!("{}{}", source.url, description.url_suffix);
        let proofs = [
            (!configured.tokens.is_empty(), "token"),
            (
                source.demands_proof() || description.authenticates,
                "plugin",
            ),
            (!configured.clients.is_empty(), "network"),
        ];
        let labels = configured.labels.iter();
        Self {
            name: Arc::clone(&source.name),
            plugin: description.name.clone(),
            plugin_version: description.version.clone(),
            plugin_sha256: source.plugin.sha256().to_owned(),
            summary: description.summary.clone(),
            setup: description.setup.replace("{url}", &url),
            url,
            destinations: configured.destinations.clone(),
            expect_every_s: configured.expect_every.map(|every| every.as_secs()),
            expected: configured.expect_every.map(shown_duration),
            labels: labels
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            rules: configured.rules.len(),
            redacted: configured.redact.len(),
            proof: proofs
                .into_iter()
                .filter_map(|(is_so, word)| is_so.then_some(word))
                .collect(),
            largest_body: source.limits().body,
            mask: Arc::clone(&source.request_mask),
            cases: Arc::new(CaseMaker::of(source)),
        }
    }
}
