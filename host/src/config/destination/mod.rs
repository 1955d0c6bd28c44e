//! `[destinations.<name>]`: a service that alerts are sent to.

mod fallback;
mod kinds;
mod network;
mod original;
mod smtp;

use std::time::Duration;

use hyper::{Method, Uri};

pub(super) use self::fallback::{check as check_fallbacks, places};
pub(super) use self::kinds::secret_url;
pub use self::network::Network;
pub(super) use self::original::check as check_originals;
pub use self::smtp::{Smtp, SmtpTls};
use super::problem::Span;
use super::raw::Table;
use super::secret::Secret;

/// ITOC360's own address for events.
pub const ITOC360_URL: &str = "https://api.itoc360.app/functions/v1/events";
/// Enough for thousands of alerts a second at the usual answer time, and few enough to be a polite
/// client.
pub const CONCURRENCY: usize = 32;
/// Longer than ITOC360 ever takes when it is well.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for a restart of the destination, and short enough for a page.
pub const FALLBACK_AFTER: Duration = Duration::from_secs(120);

/// A `[destinations.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name, as sources refer to it.
    pub name: String,
    /// The service, and what only this kind of service needs.
    pub kind: DestinationKind,
    /// The number of deliveries that may run at once when all is well, 1 to 256. Default
    /// [`CONCURRENCY`], and 4 for mail.
    pub concurrency: usize,
    /// The time one delivery may take, from connecting to the end of the answer. Default
    /// [`TIMEOUT`].
    pub timeout: Duration,
    /// The way to it.
    pub network: Network,
    /// The destination that gets what this one does not take.
    pub fallback: Option<Fallback>,
}

/// The fallback of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The name of another destination.
    pub destination: String,
    /// The time for which an alert was not taken, until it goes there. Default [`FALLBACK_AFTER`].
    pub after: Duration,
}

/// The services that alerts can be delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationKind {
    /// ITOC360, `kind = "itoc360"`.
    Itoc360 {
        /// The URL that alerts are posted to: absolute, `http` or `https`. Default [`ITOC360_URL`].
        url: Uri,
        /// The token of the source that was created there.
        token: Secret,
        /// The payload that this source expects.
        format: Format,
    },
    /// Any HTTP endpoint, `kind = "webhook"`.
    Webhook(Webhook),
    /// An incoming webhook of Slack, `kind = "slack"`.
    Slack {
        /// Its URL, which is the credential.
        url: Secret,
    },
    /// A workflow of Microsoft Teams, `kind = "teams"`.
    Teams {
        /// Its URL, which is the credential.
        url: Secret,
    },
    /// PagerDuty's Events API v2, `kind = "pagerduty"`.
    PagerDuty {
        /// The URL that events are posted to.
        url: Uri,
        /// The integration key of the service.
        routing_key: Secret,
    },
    /// Opsgenie's alerts API, or that of Jira Service Management, `kind = "opsgenie"`.
    Opsgenie {
        /// The URL that creates alerts.
        url: Uri,
        /// The key of an API integration.
        api_key: Secret,
    },
    /// Alertmanager's API v2, `kind = "alertmanager"`.
    Alertmanager {
        /// The URL of its web interface.
        url: Uri,
        /// A bearer token for a proxy before it.
        token: Option<Secret>,
        /// The time an alert stays open there without a resolve.
        expires: Duration,
    },
    /// A mail server, `kind = "smtp"`.
    Smtp(Smtp),
}

/// An HTTP endpoint of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its URL, which may be a credential.
    pub url: Secret,
    /// `POST`, `PUT` or `PATCH`.
    pub method: Method,
    /// Headers by name, each of which may be a credential.
    pub headers: Vec<(String, Secret)>,
    /// A template of the body; without one, the alert as JSON.
    pub body: Option<String>,
    /// The statuses that accept an alert; any 2xx where it is empty.
    pub success: Vec<u16>,
    /// The key of a Standard Webhooks signature.
    pub secret: Option<Secret>,
}

/// The type of the source in ITOC360; it decides the format that its token accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `"alertmanager"`: Alertmanager's webhook, version 4, for a source of type Prometheus,
    /// Grafana, Mimir, Cortex, Loki or SigNoz. Carries labels and details.
    #[default]
    Alertmanager,
    /// `"zapier"`: ITOC360's vendor-neutral JSON, for a source of type Zapier. Carries title and
    /// message.
    Zapier,
    /// `"original"`: the sender's own body and content type, for a source of the sender's type in
    /// ITOC360.
    Original,
}

impl Format {
    /// Returns the word that stands for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Zapier => "zapier",
            Self::Original => "original",
        }
    }
}

impl DestinationKind {
    /// Returns the word that stands for it in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Itoc360 { .. } => "itoc360",
            Self::Webhook(_) => "webhook",
            Self::Slack { .. } => "slack",
            Self::Teams { .. } => "teams",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Opsgenie { .. } => "opsgenie",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Smtp(_) => "smtp",
        }
    }

    /// Returns the service and its address for people, without a part of a URL that is a
    /// credential.
    pub fn shown(&self) -> String {
        match self {
            Self::Itoc360 { url, format, .. } => format!("{url} ({})", format.as_str()),
            other => format!("{} at {}", other.as_str(), other.host()),
        }
    }

    /// Returns whether senders' requests are sent as they came, in place of alerts.
    pub fn is_original(&self) -> bool {
        matches!(
            self,
            Self::Itoc360 {
                format: Format::Original,
                ..
            }
        )
    }

    /// Returns everything in it that is a credential.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Itoc360 { token, .. } => vec![token],
            Self::Webhook(webhook) => {
                let headers = webhook.headers.iter().map(|(_, value)| value);
                headers
                    .chain(&webhook.secret)
                    .chain([&webhook.url])
                    .collect()
            }
            Self::Slack { url } | Self::Teams { url } => vec![url],
            Self::PagerDuty { routing_key, .. } => vec![routing_key],
            Self::Opsgenie { api_key, .. } => vec![api_key],
            Self::Alertmanager { token, .. } => token.iter().collect(),
            Self::Smtp(smtp) => smtp.login.iter().map(|(_, password)| password).collect(),
        }
    }

    /// Returns the URL that alerts are sent to, which may be a credential.
    fn url(&self) -> Uri {
        match self {
            Self::Itoc360 { url, .. }
            | Self::PagerDuty { url, .. }
            | Self::Opsgenie { url, .. }
            | Self::Alertmanager { url, .. } => url.clone(),
            Self::Webhook(Webhook { url, .. }) | Self::Slack { url } | Self::Teams { url } => {
                url.expose().parse().unwrap_or_default()
            }
            // A host that the configuration took is one.
            Self::Smtp(Smtp { host, port, .. }) => {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                format!("smtp://{host}:{port}").parse().unwrap_or_default()
            }
        }
    }

    fn host(&self) -> String {
        let url = self.url();
        url.authority()
            .map(|authority| authority.as_str().to_owned())
            .unwrap_or_default()
    }
}

/// A destination as it was written.
pub(super) struct Written<'t> {
    pub name: &'t str,
    /// The place where it begins.
    pub span: Span,
    /// None where something in it is wrong.
    pub destination: Option<Destination>,
    /// The name of its fallback, and the place where that is written.
    pub fallback: Option<(String, Span)>,
}

/// Reads one destination. `known` are the names of all that were written, right or wrong.
pub(super) fn read<'t>(name: &'t str, mut table: Table<'_>, known: &[&str]) -> Written<'t> {
    let span = table.span.clone();
    let kind = kinds::read(&mut table);
    let usual = match kind {
        Some(DestinationKind::Smtp(_)) => smtp::CONCURRENCY,
        _ => CONCURRENCY,
    };
    let concurrency = table.optional("concurrency", usual, |value| value.count(&(1..=256)));
    let timeout = table.optional("timeout", TIMEOUT, |value| {
        value.duration(&(Duration::from_millis(100)..=Duration::from_secs(300)))
    });
    let network = network::read(&mut table);
    let (fallback, written) = fallback::read(&mut table, known);
    table.finish();
    let whole = || {
        Some(Destination {
            name: name.to_owned(),
            kind: kind?,
            concurrency: concurrency?,
            timeout: timeout?,
            network: network?,
            fallback: fallback?,
        })
    };
    Written {
        name,
        span,
        destination: whole(),
        fallback: written,
    }
}
