//! `kind`, and the keys that only this kind of destination has.

use std::time::Duration;

use hyper::{Method, Uri};
use toml::de::DeValue;

use super::super::problem::did_you_mean;
use super::super::word::word;
use super::{DestinationKind, Format, ITOC360_URL, Webhook};
use crate::config::raw::{Table, Value};
use crate::config::secret::Secret;
use crate::config::url::in_the_clear;

/// The default addresses of PagerDuty and Opsgenie; both have another one in Europe.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
const OPSGENIE_URL: &str = "https://api.opsgenie.com/v2/alerts";
/// The time an alert stays open in an Alertmanager without a resolve, and its bounds.
const EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const EXPIRES_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 60 * 60);

type Read = fn(&mut Table<'_>) -> Option<DestinationKind>;

/// Every kind, by its word.
const KINDS: [(&str, Read); 8] = [
    ("itoc360", itoc360),
    ("webhook", webhook),
    ("slack", slack),
    ("teams", teams),
    ("pagerduty", pagerduty),
    ("opsgenie", opsgenie),
    ("alertmanager", alertmanager),
    ("smtp", smtp),
];

/// Reads the kind and its keys.
pub(super) fn read(table: &mut Table<'_>) -> Option<DestinationKind> {
    let mut near = None;
    let kind = table.required("kind", "kind = \"itoc360\"", |value| {
        let found = word(&value, &KINDS);
        near = value.value.as_str().and_then(meant);
        found
    });
    // What is wrong with the keys is reported too: they are those of the kind that is meant, as far
    // as can be told, or of the first one.
    let known = kind.is_some();
    let read = kind.or(near).unwrap_or(itoc360);
    read(table).filter(|_| known)
}

/// Returns the kind that a misspelt word means.
fn meant(text: &str) -> Option<Read> {
    let near = did_you_mean(text, KINDS.iter().map(|(word, _)| *word))?;
    let mut kinds = KINDS.iter();
    kinds.find(|(word, _)| *word == near).map(|(_, read)| *read)
}

fn itoc360(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.optional("url", Uri::from_static(ITOC360_URL), |value| {
        value.destination_url()
    });
    let token = table.required("token", "token = { env = \"ITOC360_TOKEN\" }", |value| {
        value.token()
    });
    let format = table.optional("format", Format::default(), |value| {
        word(
            &value,
            &[Format::Alertmanager, Format::Zapier, Format::Original]
                .map(|format| (format.as_str(), format)),
        )
    });
    Some(DestinationKind::Itoc360 {
        url: url?,
        token: token?,
        format: format?,
    })
}

fn webhook(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.required(
        "url",
        "url = \"https://hooks.example.com/alerts\"",
        |value| secret_url(&value),
    );
    let methods = [Method::POST, Method::PUT, Method::PATCH];
    let methods: Vec<_> = methods
        .iter()
        .map(|method| (method.as_str(), method))
        .collect();
    let method = table
        .optional("method", &Method::POST, |value| word(&value, &methods))
        .cloned();
    let headers = table.optional("headers", Vec::new(), |value| headers(&value));
    let body = table.optional("body", None, |value| {
        value
            .text("{ \"text\": {{ title }} }")
            .map(str::to_owned)
            .map(Some)
    });
    let success = table.optional("success", Vec::new(), |value| statuses(&value));
    let secret = table.optional("secret", None, |value| value.token().map(Some));
    Some(DestinationKind::Webhook(Webhook {
        url: url?,
        method: method?,
        headers: headers?,
        body: body?,
        success: success?,
        secret: secret?,
    }))
}

fn slack(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.required("url", "url = { env = \"SLACK_URL\" }", |value| {
        secret_url(&value)
    });
    Some(DestinationKind::Slack { url: url? })
}

fn teams(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.required("url", "url = { env = \"TEAMS_URL\" }", |value| {
        secret_url(&value)
    });
    Some(DestinationKind::Teams { url: url? })
}

fn pagerduty(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.optional("url", Uri::from_static(PAGERDUTY_URL), |value| {
        value.destination_url()
    });
    let routing_key = table.required(
        "routing_key",
        "routing_key = { env = \"PAGERDUTY_ROUTING_KEY\" }",
        |value| value.token(),
    );
    Some(DestinationKind::PagerDuty {
        url: url?,
        routing_key: routing_key?,
    })
}

fn opsgenie(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.optional("url", Uri::from_static(OPSGENIE_URL), |value| {
        value.destination_url()
    });
    let api_key = table.required(
        "api_key",
        "api_key = { env = \"OPSGENIE_API_KEY\" }",
        |value| value.token(),
    );
    Some(DestinationKind::Opsgenie {
        url: url?,
        api_key: api_key?,
    })
}

fn alertmanager(table: &mut Table<'_>) -> Option<DestinationKind> {
    let url = table.required("url", "url = \"http://localhost:9093\"", |value| {
        value.destination_url()
    });
    let token = table.optional("token", None, |value| value.token().map(Some));
    let expires = table.optional("expires", EXPIRES, |value| value.duration(&EXPIRES_RANGE));
    Some(DestinationKind::Alertmanager {
        url: url?,
        token: token?,
        expires: expires?,
    })
}

fn smtp(table: &mut Table<'_>) -> Option<DestinationKind> {
    super::smtp::read(table).map(DestinationKind::Smtp)
}

/// Reads a URL that is a credential, or may be one: it is never shown, and may have a query.
pub(in crate::config) fn secret_url(value: &Value<'_>) -> Option<Secret> {
    let secret = value.token()?;
    // What stands for a secret that is not to be known is no URL.
    if value.reading.stand_in.is_some() {
        return Some(secret);
    }
    let url = secret.expose().parse::<Uri>().ok();
    let usable = url
        .filter(|url| matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some());
    if usable.as_ref().is_some_and(in_the_clear) {
        let help = "it may be a credential, and can be read on the way with all that is sent there; write https";
        value.warning(format!("{} is plain http", value.label), help);
    }
    if usable.is_none() || secret.expose().contains(['#', '@']) {
        let found = format!("{} is no URL that can be posted to", value.label);
        value.problem(
            found,
            "write the whole of it, beginning with https://, without # and @",
        );
        return None;
    }
    Some(secret)
}

/// Reads a table of headers, each of which may be a credential.
fn headers(value: &Value<'_>) -> Option<Vec<(String, Secret)>> {
    let DeValue::Table(entries) = value.value else {
        value.wrong_type("write { \"X-Api-Key\" = { env = \"API_KEY\" } }");
        return None;
    };
    let mut headers = Vec::with_capacity(entries.len());
    for (name, entry) in entries.iter() {
        let one = Value::new(
            format!("{} of {}", name.get_ref(), value.label),
            entry,
            value.reading,
        );
        // A value may hold blanks, as a token may not.
        let secret = match one.value {
            DeValue::Table(table) => one.reference(table).map(Secret::new),
            _ => one.text("text/plain").map(Secret::new),
        };
        headers.push(secret.map(|secret| (name.get_ref().to_string(), secret)));
    }
    headers.into_iter().collect()
}

/// Reads a list of HTTP statuses.
fn statuses(value: &Value<'_>) -> Option<Vec<u16>> {
    let list = value.value.as_array().filter(|list| !list.is_empty());
    let statuses = list.and_then(|list| {
        let status = |one: &DeValue<'_>| {
            one.as_integer()
                .and_then(|number| number.as_str().parse::<u16>().ok())
        };
        list.iter()
            .map(|one| status(one.get_ref()).filter(|status| (200..600).contains(status)))
            .collect()
    });
    if statuses.is_none() {
        value.wrong_type("write a list of statuses such as [200, 202], each from 200 to 599");
    }
    statuses
}

impl Value<'_> {
    /// Returns the URL that alerts are sent to.
    fn destination_url(&self) -> Option<Uri> {
        let text = self.text(ITOC360_URL)?;
        let url = self.url(
            text,
            "write it like \"https://api.itoc360.app/functions/v1/events\"",
        )?;
        if in_the_clear(&url) {
            let help = "the token can be read on the way; write https";
            self.warning(format!("{} is plain http", self.label), help);
        }
        Some(url)
    }
}
