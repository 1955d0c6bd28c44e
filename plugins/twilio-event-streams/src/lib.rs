//! Twilio Event Streams: one alert for each error or warning that a sink of the error logs is sent.
//!
//! A sink posts an array of CloudEvents, signed over the URL with the body's hash in it. [`event`]
//! makes the alerts. Twilio tries again on 429 and 5xx, and drops an event for good on any other
//! 4xx: so what its account signed is never refused, whatever it looks like.

mod event;

use std::collections::BTreeMap;

use plugin_sdk::body::{self, Body};
use plugin_sdk::contract::{
    Alert, Answer, Description, MAX_ALERTS, Priority, Proved, Rejection, Request, Unreadable,
};
use plugin_sdk::signature::{View, over_url, sha256};
use plugin_sdk::{Plugin, cloud_events, export, time};
use twilio_webhooks::settings::{MaxAge, settings_schema};
use twilio_webhooks::{identity, rejection, signature};

use event::Reading;

/// The plugin.
pub struct TwilioEventStreams;

export!(TwilioEventStreams);

/// The `settings` table of a source, as far as the plugin itself reads it; the proof of the sender
/// reads the rest.
#[derive(serde::Deserialize)]
pub struct Settings {
    /// The greatest age of a request's newest event.
    max_age: Option<MaxAge>,
    /// The lowest level of an alert; events below it are ignored.
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
            secrets: signature::secrets(),
            authenticates: true,
            proof: signature::demands(),
            labels: event::labels(),
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
        match signature::prove(request).and_then(|proved| read(request, &settings, proved.as_ref()))
        {
            Ok(answer) => answer,
            Err(rejection) => Answer::Rejected(rejection),
        }
    }
}

fn read(
    request: &Request,
    settings: &Settings,
    proved: Option<&Proved>,
) -> Result<Answer, Rejection> {
    let proof = proved.and_then(|proved| proved.proof.as_ref());
    let reading = body::read(request);
    // Twilio signs a form's fields without borders, and a body of any other type by its hash.
    let is_form = over_url::form(&View::from(request)).is_some();
    let json = match &reading {
        Ok(reading) => match &reading.body {
            Body::Json(json) => Ok(&**json),
            Body::Lines(json) => Ok(&**json),
            Body::Empty => return Ok(Answer::ignored("there is no event in it")),
            _ => Err(Unreadable {
                reason: "not JSON".to_owned(),
                at: "line 1, column 1".to_owned(),
            }),
        },
        Err(why) => Err(why.clone()),
    };
    let json = match json {
        Ok(json) if json.starts_with(['{', '[']) && !is_form => json,
        Ok(_) => {
            return unreadable(
                request,
                settings,
                proved,
                &Unreadable {
                    reason: "no event".to_owned(),
                    at: String::new(),
                },
            );
        }
        Err(why) => return unreadable(request, settings, proved, &why),
    };
    // Headers are not signed: with an id in them, a recorded request would be a new event each
    // time.
    let events = cloud_events::structured(json);
    if let Some(max_age) = &settings.max_age {
        let newest = events
            .iter()
            .filter_map(|event| time::any(event.time.as_deref()?))
            .max();
        max_age.admit(request, newest.as_deref())?;
    }
    let mut alerts = Vec::new();
    let mut ignored = Vec::new();
    let mut known = BTreeMap::new();
    let (taken, rest) = events.split_at(if events.len() > MAX_ALERTS {
        MAX_ALERTS - 1
    } else {
        events.len()
    });
    for (index, event) in taken.iter().enumerate() {
        if !event.whole.starts_with('{') {
            let mut alert =
                event::of_no_event(event, index, &identity::of(proof, &request.body.bytes()));
            identity::bind(&mut alert, proved, None);
            alerts.push(alert);
            continue;
        }
        match event::read(event, settings.least_level, proved) {
            Reading::Alert(mut alert) => {
                // Twilio repeats an event to the letter. Another one with its id is another one.
                let first = *known.entry(alert.event_id.clone()).or_insert(event.whole);
                if first != event.whole {
                    let both = format!("{} {}", alert.event_id, event.whole);
                    alert.event_id = format!("sha256:{}", sha256(both.as_bytes()).hex());
                }
                alerts.push(*alert);
            }
            Reading::Ignored(why) => ignored.push(why),
        }
    }
    if !rest.is_empty() {
        alerts.push(event::of_the_rest(json, rest));
    }
    Ok(match (alerts.is_empty(), ignored.len()) {
        (false, _) => Answer::alerts(alerts).proved_by(proof.cloned()),
        (true, 0) => Answer::ignored("there is no event in it"),
        (true, 1) => Answer::ignored(ignored.swap_remove(0)),
        (true, count) => {
            Answer::ignored(format!("{count} events, the first of them {}", ignored[0]))
        }
    })
}

/// Makes the alert of a signed request without an event.
fn unreadable(
    request: &Request,
    settings: &Settings,
    proved: Option<&Proved>,
    why: &Unreadable,
) -> Result<Answer, Rejection> {
    if let Some(max_age) = &settings.max_age {
        max_age.admit(request, None)?;
    }
    let proof = proved.and_then(|proved| proved.proof.as_ref());
    let mut alert = Alert {
        event_id: identity::of(proof, &request.body.bytes()),
        ..body::unreadable::alert(request, why, Priority::High)
    };
    identity::bind(&mut alert, proved, None);
    Ok(Answer::alert(alert).proved_by(proof.cloned()))
}
