//! Destinations: an alert on the wire of each kind of service, the sending, and the meaning of each
//! answer.
//!
//! Each kind is one file or folder behind [`Kind`]. Most kinds speak HTTP: they say what the
//! request for an alert is and what an answer means, and [`http`] does the rest, the same for all:
//! connections, time limits, reading a bounded answer, masking of secrets. Nothing in here waits,
//! repeats or remembers: that is delivery's part, and [`backoff`] its arithmetic. Mail alone
//! remembers the recipients of a message, while the server puts others off. A repeat is
//! harmless by construction, because every kind sends the alert's fingerprint as what its service
//! deduplicates by.

mod alertmanager;
pub mod backoff;
#[cfg(test)]
mod fixture;
pub(crate) mod http;
pub mod itoc360;
mod kind;
mod opsgenie;
mod pagerduty;
mod ping;
mod slack;
mod smtp;
mod teams;
mod webhook;
mod words;

use std::sync::Arc;
use std::time::Duration;

use crate::alert::Alert;
use crate::config::{self, Config, DestinationKind, Problem};

use alertmanager::Alertmanager;
use http::{HttpKind, OverHttp, Pool};
use itoc360::Itoc360;
use kind::Kind;
pub use kind::{EXCERPT_MAX_CHARS, LONGEST_RETRY_AFTER, NotUsable, Original, Probe, Sent, Shown};
use opsgenie::Opsgenie;
use pagerduty::PagerDuty;
pub use ping::Ping;
use slack::Slack;
use smtp::Smtp;
use teams::Teams;
use webhook::Webhook;

/// A configured destination. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Destination {
    kind: Arc<dyn Kind>,
    fallback: Option<config::Fallback>,
    concurrency: usize,
}

impl Destination {
    /// Returns the destination of a configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The problem at its place, where it can never be sent to.
    pub fn configured(config: &Config, one: &config::Destination) -> Result<Self, Problem> {
        Self::new(one).map_err(|error| {
            let found = format!("[destinations.{}] can never be sent to: {error}", one.name);
            config.problem_of(one, found, "")
        })
    }

    /// Returns the destination of this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The configuration names something that can never be sent to.
    pub fn new(config: &config::Destination) -> Result<Self, NotUsable> {
        Ok(Self {
            fallback: config.fallback.clone(),
            ..Self::of_kind(config)?
        })
    }

    /// Returns what is likely a mistake in a configuration, though alerts can be sent with it.
    pub fn warnings(config: &Config) -> Vec<Problem> {
        let doubts = config.destinations.iter().flat_map(|one| {
            let webhook = match &one.kind {
                DestinationKind::Webhook(webhook) => Webhook::new(webhook).ok(),
                _ => None,
            };
            let doubts = webhook.map(|webhook| webhook.doubts()).unwrap_or_default();
            doubts.into_iter().map(move |(found, help)| {
                config.problem_of(one, format!("[destinations.{}]: {found}", one.name), help)
            })
        });
        doubts.collect()
    }

    fn of_kind(config: &config::Destination) -> Result<Self, NotUsable> {
        match &config.kind {
            DestinationKind::Itoc360 { url, token, format } => {
                Self::http(Itoc360::new(url.clone(), token.expose(), *format)?, config)
            }
            DestinationKind::Webhook(webhook) => Self::http(Webhook::new(webhook)?, config),
            DestinationKind::Slack { url } => Self::http(Slack::new(url.expose())?, config),
            DestinationKind::Teams { url } => Self::http(Teams::new(url.expose())?, config),
            DestinationKind::PagerDuty { url, routing_key } => {
                Self::http(PagerDuty::new(url.clone(), routing_key.expose()), config)
            }
            DestinationKind::Opsgenie { url, api_key } => {
                Self::http(Opsgenie::new(url.clone(), api_key.expose())?, config)
            }
            DestinationKind::Alertmanager {
                url,
                token,
                expires,
            } => {
                let token = token.as_ref().map(config::Secret::expose);
                Self::http(Alertmanager::new(url, token, *expires)?, config)
            }
            DestinationKind::Smtp(smtp) => Ok(Self {
                kind: Arc::new(Smtp::new(smtp, &config.network, config.timeout)?),
                fallback: None,
                concurrency: config.concurrency,
            }),
        }
    }

    fn http(kind: impl HttpKind, config: &config::Destination) -> Result<Self, NotUsable> {
        let pool = http::pool(&kind.endpoint().url, config.concurrency, &config.network)?;
        let destination = Self::over(kind, pool, config.timeout)?;
        Ok(Self {
            concurrency: config.concurrency,
            ..destination
        })
    }

    /// Returns a destination that speaks HTTP over the connections of `pool`. `timeout` bounds a
    /// whole attempt, the connection and the answer included.
    pub(crate) fn over(
        kind: impl HttpKind,
        pool: Box<dyn Pool>,
        timeout: Duration,
    ) -> Result<Self, NotUsable> {
        Ok(Self {
            kind: Arc::new(OverHttp::new(kind, pool, timeout)?),
            fallback: None,
            concurrency: config::CONCURRENCY,
        })
    }

    /// Returns the destination that gets what this one does not take.
    pub fn fallback(&self) -> Option<&config::Fallback> {
        self.fallback.as_ref()
    }

    /// Returns the number of attempts that may run at once when all is well.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Returns the message for an alert as people may see it, without secrets.
    pub fn preview(&self, alert: &Alert) -> String {
        self.kind.preview(alert)
    }

    /// Sends an alert, once.
    pub async fn send(&self, alert: &Alert) -> Sent {
        self.kind.send(alert).await
    }

    /// Returns whether requests of senders are sent as they came, in place of alerts.
    pub fn takes_original(&self) -> bool {
        self.kind.takes_original()
    }

    /// Sends a sender's request as it came, once, where [`Self::takes_original`].
    pub async fn send_original(&self, original: &Original) -> Sent {
        self.kind.send_original(original).await
    }

    /// Reaches the service by a request that opens and changes nothing, once.
    pub async fn probe(&self) -> Probe {
        self.kind.probe().await
    }
}
