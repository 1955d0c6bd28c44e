//! `[destinations.<name>]`: a service that alerts are sent to.

use std::time::Duration;

use hyper::Uri;

use super::problem::{did_you_mean, listed};
use super::raw::{Table, Value};
use super::secret::Secret;
use super::url::in_the_clear;

/// ITOC360's own address for events.
pub const ITOC360_URL: &str = "https://api.itoc360.app/functions/v1/events";
/// Enough for thousands of alerts a second at the usual answer time, and few enough to be a polite client.
pub const CONCURRENCY: usize = 32;
/// Longer than ITOC360 ever takes when it is well.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What a `[destinations.<name>]` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name, as sources refer to it.
    pub name: String,
    /// What kind of service it is.
    pub kind: DestinationKind,
    /// Where alerts are posted: absolute, `http` or `https`. Default [`ITOC360_URL`].
    pub url: Uri,
    /// The token of the source that was created there.
    pub token: Secret,
    /// What that source expects to be sent.
    pub format: Format,
    /// How many deliveries may run at once when all is well, 1 to 256. Default [`CONCURRENCY`].
    pub concurrency: usize,
    /// How long one delivery may take, from connecting to the end of the answer. Default [`TIMEOUT`].
    pub timeout: Duration,
}

/// The services that alerts can be delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    /// ITOC360, `kind = "itoc360"`.
    Itoc360,
}

/// The type of the source that was created in ITOC360; it decides what a token takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `"alertmanager"`: Alertmanager's webhook, version 4, for a source of type Prometheus, Grafana, Mimir, Cortex, Loki
    /// or SigNoz. Carries labels and details.
    #[default]
    Alertmanager,
    /// `"zapier"`: ITOC360's vendor-neutral JSON, for a source of type Zapier. Carries title and message.
    Zapier,
}

impl Format {
    /// The word that stands for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Zapier => "zapier",
        }
    }
}

/// Reads one destination.
pub(super) fn read(name: &str, mut table: Table<'_>) -> Option<Destination> {
    let kind =
        table.required("kind", "kind = \"itoc360\"", |value| word(&value, &[("itoc360", DestinationKind::Itoc360)]));
    let url = table.optional("url", Uri::from_static(ITOC360_URL), |value| value.destination_url());
    let token = table.required("token", "token = { env = \"ITOC360_TOKEN\" }", |value| value.token());
    let format = table.optional("format", Format::default(), |value| {
        word(&value, &[Format::Alertmanager, Format::Zapier].map(|format| (format.as_str(), format)))
    });
    let concurrency = table.optional("concurrency", CONCURRENCY, |value| value.count(&(1..=256)));
    let timeout = table
        .optional("timeout", TIMEOUT, |value| value.duration(&(Duration::from_millis(100)..=Duration::from_secs(300))));
    table.finish();
    Some(Destination {
        name: name.to_owned(),
        kind: kind?,
        url: url?,
        token: token?,
        format: format?,
        concurrency: concurrency?,
        timeout: timeout?,
    })
}

impl Value<'_> {
    /// Returns the URL that alerts are sent to.
    fn destination_url(&self) -> Option<Uri> {
        let text = self.text(ITOC360_URL)?;
        let url = self.url(text, "write it like \"https://api.itoc360.app/functions/v1/events\"")?;
        if in_the_clear(&url) {
            let help = "the token can be read on the way; write https";
            self.warning(format!("{} is plain http", self.label), help);
        }
        Some(url)
    }
}

/// Returns the meaning of one of a few words.
fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.text(words[0].0)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word);
        let help = match did_you_mean(text, known.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write {}", listed(known, "or")),
        };
        value.wrong_text(text, help);
    }
    found
}
