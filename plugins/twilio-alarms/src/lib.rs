//! Twilio's alarms: an alarm fires when errors or warnings of one code were too many within a period.
//!
//! Twilio documents the fields, and contradicts itself on how they travel: so [`fields`] takes a form, JSON, and the
//! query string. [`alert`] makes the alert. Whether alarms are signed is documented nowhere; where the operator gives an
//! auth token, the signature is demanded, and otherwise the source needs a token of its own.

mod alert;
mod fields;

use plugin_sdk::contract::{Answer, Checked, Description, Request};
use plugin_sdk::{Plugin, export};
use twilio_webhooks::settings::{AuthToken, settings_schema};
use twilio_webhooks::{rejection, signature};

use fields::Fields;

/// The plugin.
pub struct TwilioAlarms;

export!(TwilioAlarms);

/// The `settings` table of a source.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The key of the signature, where one is demanded.
    auth_token: Option<AuthToken>,
    /// What another firing does to the alert of the one before.
    #[serde(default)]
    again: Again,
}

/// What happens when an alarm fires whose last alert is still open.
#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// It adds to the open alert, which pages nobody again.
    Update,
    /// It closes the open alert and opens another: one that somebody left open last week must not swallow today's page.
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
            secrets: vec!["auth_token".to_owned()],
            // It does with an auth token; `check` tells of each source.
            authenticates: false,
            // As for the Debugger's webhook: three retries, and on every kind of failure.
            url_suffix: "#rc=3&rp=all".to_owned(),
            setup: include_str!("setup.md").to_owned(),
            ..Description::new("twilio-alarms", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"), settings)
        }
    }

    fn check(settings: &Settings) -> Checked {
        Checked { authenticates: Some(settings.auth_token.is_some()), ..Checked::default() }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if request.method != "POST" {
            return Answer::Rejected(rejection::not_a_post(&request.method));
        }
        let body = request.body.bytes();
        if let Some(auth_token) = &settings.auth_token
            && let Err(rejection) = signature::verify(request, signature::form(request, &body).as_ref(), auth_token)
        {
            return Answer::Rejected(rejection);
        }
        Answer::Alerts(alert::from_firing(&Fields::read(request), settings.again))
    }
}
