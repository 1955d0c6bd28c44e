//! Twilio's Debugger webhook: one alert for every error or warning.
//!
//! Twilio posts a form of seven fields, signed with the account's auth token. The path of an event: [`signed_url`] and
//! [`signature`] prove who sent it ([`rejection`] tells why not), [`payload`] reads what happened through [`object`],
//! [`codes`] knows what an error code is called, and [`alert`] puts it together, with [`details`] holding all of it.

mod alert;
mod codes;
mod details;
mod object;
mod payload;
mod rejection;
mod settings;
mod signature;
mod signed_url;

use plugin_sdk::contract::{Answer, Description, Request};
use plugin_sdk::form::Form;
use plugin_sdk::{Plugin, export};

pub use settings::{AuthToken, Settings, Tokens};

/// The plugin.
pub struct TwilioErrors;

export!(TwilioErrors);

impl Plugin for TwilioErrors {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            secrets: vec!["auth_token".to_owned()],
            authenticates: true,
            // Twilio's connection overrides: three retries, and on every kind of failure, not only of a connection.
            url_suffix: "#rc=3&rp=all".to_owned(),
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "twilio-errors",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
                settings::schema(),
            )
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if request.method != "POST" {
            return Answer::Rejected(rejection::not_a_post(&request.method));
        }
        let body = request.body.bytes();
        let form = signature::is_form(request).then(|| Form::parse(&body));
        match signature::verify(request, form.as_ref(), &settings.auth_token) {
            Ok(()) => Answer::alert(alert::from_event(&body, &form.unwrap_or_default())),
            Err(rejection) => Answer::Rejected(rejection),
        }
    }
}
