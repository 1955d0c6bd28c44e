//! Twilio's Debugger webhook: one alert for every error or warning.
//!
//! Twilio posts a form of seven fields, signed with the account's auth token. The path of an event:
//! [`twilio_webhooks::signature`] proves who sent it, [`payload`] reads what happened, and [`alert`] puts it together,
//! with the whole Payload in its details.

mod alert;
mod payload;

use plugin_sdk::contract::{Answer, Description, Request};
use plugin_sdk::{Plugin, export};
use twilio_webhooks::settings::{AuthToken, settings_schema};
use twilio_webhooks::{rejection, signature};

/// The plugin.
pub struct TwilioErrors;

export!(TwilioErrors);

/// The `settings` table of a source.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The key of the signature.
    pub auth_token: AuthToken,
}

impl Plugin for TwilioErrors {
    type Settings = Settings;

    fn describe() -> Description {
        let settings = settings_schema(include_str!("settings.schema.json"), "");
        Description {
            secrets: vec!["auth_token".to_owned()],
            authenticates: true,
            // Twilio's connection overrides: three retries, and on every kind of failure, not only of a connection.
            url_suffix: "#rc=3&rp=all".to_owned(),
            setup: include_str!("setup.md").to_owned(),
            ..Description::new("twilio-errors", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"), settings)
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if request.method != "POST" {
            return Answer::Rejected(rejection::not_a_post(&request.method));
        }
        let body = request.body.bytes();
        let form = signature::form(request, &body);
        match signature::verify(request, form.as_ref(), &settings.auth_token) {
            Ok(()) => Answer::alert(alert::from_event(&body, &form.unwrap_or_default())),
            Err(rejection) => Answer::Rejected(rejection),
        }
    }
}
