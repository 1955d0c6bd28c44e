//! Twilio's Debugger webhook: one alert for every error or warning.
//!
//! Twilio posts a form of seven fields, signed with the account's auth token. The path of an event:
//! [`twilio_webhooks::signature`] proves its sender, [`payload`] reads it, and [`alert`] makes the
//! alert, with the whole Payload in its details.

mod alert;
mod payload;

use plugin_sdk::contract::{
    Alert, Answer, Description, Priority, ProofIdentity, Rejection, Request, Unreadable,
};
use plugin_sdk::form::Form;
use plugin_sdk::signature::{View, over_url};
use plugin_sdk::{Plugin, body, export};
use twilio_webhooks::settings::{MaxAge, settings_schema};
use twilio_webhooks::{identity, rejection, signature};

/// The plugin.
pub struct TwilioErrors;

export!(TwilioErrors);

/// The `settings` table of a source, as far as the plugin itself reads it; the proof of the sender
/// reads the rest.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The greatest age of a signed time.
    max_age: Option<MaxAge>,
}

impl Plugin for TwilioErrors {
    type Settings = Settings;

    fn describe() -> Description {
        let settings = settings_schema(include_str!("settings.schema.json"), "");
        Description {
            secrets: signature::secrets(),
            authenticates: true,
            proof: signature::demands(),
            labels: alert::LABELS.map(str::to_owned).to_vec(),
            // Twilio's connection overrides: three retries, and on every kind of failure, not only
            // of a connection.
            url_suffix: "#rc=3&rp=all".to_owned(),
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "twilio-errors",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
                settings,
            )
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if request.method != "POST" {
            return Answer::Rejected(rejection::not_a_post(&request.method));
        }
        match read(request, settings) {
            Ok(answer) => answer,
            Err(rejection) => Answer::Rejected(rejection),
        }
    }
}

fn read(request: &Request, settings: Settings) -> Result<Answer, Rejection> {
    let proved = signature::prove(request)?;
    let view = View::from(request);
    let form = over_url::form(&view);
    if let Some(max_age) = &settings.max_age {
        max_age.admit(
            request,
            form.as_ref()
                .and_then(|form| form.get("Timestamp"))
                .as_deref(),
        )?;
    }
    let proof = proved.as_ref().and_then(|proved| proved.proof.as_ref());
    let alert = match &form {
        Some(form) if says_anything(form) => alert::from_event(&view.body, form, proof),
        _ => {
            let mut alert = not_an_event(request, &view.body, proof);
            identity::bind(&mut alert, proved.as_ref(), None);
            alert
        }
    };
    Ok(Answer::alert(alert).proved_by(proof.cloned()))
}

/// Returns whether a form has any field of an event.
fn says_anything(form: &Form<'_>) -> bool {
    form.fields().is_empty()
        || ["Sid", "Level", "Payload", "AccountSid", "Timestamp"]
            .iter()
            .any(|name| form.get(name).is_some())
}

/// Makes the alert of a signed request that is no event.
fn not_an_event(request: &Request, bytes: &[u8], proof: Option<&ProofIdentity>) -> Alert {
    let no_event = || Unreadable {
        reason: "not a form with an event".to_owned(),
        at: String::new(),
    };
    let why = body::read(request).err().unwrap_or_else(no_event);
    Alert {
        event_id: identity::of(proof, bytes),
        ..body::unreadable::alert(request, &why, Priority::High)
    }
}
