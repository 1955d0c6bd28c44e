//! Twilio's alarms: an alarm fires when errors or warnings of one code were too many within a
//! period.
//!
//! Twilio documents the fields, and contradicts itself on how they travel: so [`fields`] takes a
//! form, JSON, and the query string. [`alert`] makes the alert. Whether alarms are signed is
//! documented nowhere; where the operator gives an auth token, the signature is demanded, and
//! otherwise the source needs a token of its own.

mod alert;
mod fields;

use plugin_sdk::contract::{Answer, Checked, Description, Rejection, Request};
use plugin_sdk::{Plugin, attempt, export};
use serde_json::value::RawValue;
use twilio_webhooks::settings::{MaxAge, settings_schema};
use twilio_webhooks::{rejection, signature};

use fields::Fields;

/// The plugin.
pub struct TwilioAlarms;

export!(TwilioAlarms);

/// The `settings` table of a source, as far as the plugin itself reads it; the proof of the sender
/// reads the rest.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The keys of the signature, where one is demanded.
    auth_token: Option<Box<RawValue>>,
    shared_keys: Option<Box<RawValue>>,
    basic: Option<Box<RawValue>>,
    bearer_token: Option<Box<RawValue>>,
    /// The greatest age of a firing's time.
    max_age: Option<MaxAge>,
    /// The effect of another firing on the alert of the one before.
    #[serde(default)]
    again: Again,
}

/// The effect of a firing on the last alert of its alarm, where that is still open.
#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// Adds to the open alert, without another page.
    Update,
    /// Closes the open alert and opens another: an alert left open last week must not swallow
    /// today's page.
    #[default]
    Reopen,
}

impl Plugin for TwilioAlarms {
    type Settings = Settings;

    fn describe() -> Description {
        let more = " With it, requests without Twilio's signature are refused. Without it, the source needs a `token`: no \
            document says whether Twilio signs alarms.";
        let settings = settings_schema(include_str!("settings.schema.json"), more);
        Description {
            secrets: signature::secrets(),
            // It does with an auth token; `check` tells of each source.
            authenticates: false,
            proof: signature::demands(),
            labels: alert::labels(),
            // As for the Debugger's webhook: three retries, and on every kind of failure.
            url_suffix: "#rc=3&rp=all".to_owned(),
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "twilio-alarms",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
                settings,
            )
        }
    }

    fn check(settings: &Settings) -> Checked {
        let Settings {
            auth_token,
            shared_keys,
            basic,
            bearer_token,
            ..
        } = settings;
        let proofs = [auth_token, shared_keys, basic, bearer_token];
        Checked {
            authenticates: Some(proofs.iter().any(|proof| proof.is_some())),
            ..Checked::default()
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if request.method != "POST" {
            return Answer::Rejected(rejection::not_a_post(&request.method));
        }
        read(request, &settings).unwrap_or_else(Answer::Rejected)
    }
}

fn read(request: &Request, settings: &Settings) -> Result<Answer, Rejection> {
    let proved = signature::prove(request)?;
    let fields = Fields::read(request);
    if let Some(max_age) = &settings.max_age {
        max_age.admit(request, fields.get("DateFired"))?;
    }
    let alerts = alert::from_firing(request, &fields, settings.again, proved.as_ref());
    let attempt = || match alert::own_id(&fields) {
        Some(_) => None,
        None => attempt::mark(request, b""),
    };
    let proof = proved.and_then(|proved| proved.proof).or_else(attempt);
    Ok(Answer::alerts(alerts).proved_by(proof))
}
