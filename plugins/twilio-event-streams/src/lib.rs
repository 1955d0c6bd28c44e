//! Twilio Event Streams: one alert for each error or warning that a sink of the error logs is sent.
//!
//! A sink posts an array of CloudEvents, signed over the URL with the body's hash in it. [`event`] makes the alerts.
//! Twilio tries again on 429 and 5xx, and drops an event for good on any other 4xx: so what its account signed is never
//! refused, whatever it looks like.

mod event;

use plugin_sdk::contract::{Answer, Description, MAX_ALERTS, Request};
use plugin_sdk::{Plugin, cloud_events, export};
use twilio_webhooks::settings::{AuthToken, settings_schema};
use twilio_webhooks::{rejection, signature};

use event::Reading;

/// The plugin.
pub struct TwilioEventStreams;

export!(TwilioEventStreams);

/// The `settings` table of a source.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The key of the signature.
    auth_token: AuthToken,
    /// What is below is ignored.
    #[serde(default)]
    least_level: Level,
}

/// The levels of Twilio's error logs, in their order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Something will break.
    #[default]
    Warning,
    /// Something is broken.
    Error,
}

impl Plugin for TwilioEventStreams {
    type Settings = Settings;

    fn describe() -> Description {
        let settings = settings_schema(include_str!("settings.schema.json"), "");
        Description {
            secrets: vec!["auth_token".to_owned()],
            authenticates: true,
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "twilio-event-streams",
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
        if let Err(rejection) = signature::verify(request, None, &settings.auth_token) {
            return Answer::Rejected(rejection);
        }
        let body = request.body.text();
        let (mut alerts, mut ignored) = (Vec::new(), Vec::new());
        // Headers are not signed: with an id in them, a recorded request would be a new event each time.
        let events = cloud_events::structured(&body);
        let (read, rest) = events.split_at(if events.len() > MAX_ALERTS { MAX_ALERTS - 1 } else { events.len() });
        for event in read {
            match event::read(event, settings.least_level) {
                Reading::Alert(alert) => alerts.push(*alert),
                Reading::Ignored(why) => ignored.push(why),
            }
        }
        if !rest.is_empty() {
            alerts.push(event::of_the_rest(&body, rest));
        }
        match (alerts.is_empty(), ignored.len()) {
            (false, _) => Answer::Alerts(alerts),
            (true, 0) => Answer::ignored("there is no event in it"),
            (true, 1) => Answer::ignored(ignored.swap_remove(0)),
            (true, count) => Answer::ignored(format!("{count} events, the first of them {}", ignored[0])),
        }
    }
}
