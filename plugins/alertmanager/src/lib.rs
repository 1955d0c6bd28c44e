//! The webhook of Prometheus Alertmanager, version 4: one alert for every alert in a notification.
//!
//! Grafana's contact points, Mimir and Loki send the same structure with fields more or fewer. The path of a
//! notification: [`proof`] tells who sent it, [`notification`] reads it, [`member`] puts one alert of
//! it together ([`identity`] says which event it is, [`words`] what a person reads, [`details`] holds all of it). What
//! the sender left out is an alert of its own ([`left_out`]), what is no notification is carried whole ([`strange`]), and
//! [`room`] keeps the largest one within the limit on an answer.

mod details;
mod identity;
mod left_out;
mod member;
mod notification;
mod proof;
mod room;
mod settings;
mod strange;
mod words;

use plugin_sdk::contract::{Alert, Answer, Description, MAX_ALERTS, Request};
use plugin_sdk::{Plugin, export};

use notification::{Body, Notification};

pub use settings::{Login, OneOrSeveral, Priorities, Repeats, Settings};

/// The plugin.
pub struct Alertmanager;

export!(Alertmanager);

impl Plugin for Alertmanager {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            secrets: vec!["bearer_token".to_owned(), "basic".to_owned()],
            authenticates: true,
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "alertmanager",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
                include_str!("settings.schema.json"),
            )
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        if let Err(rejection) = proof::of(request, &settings) {
            return Answer::Rejected(rejection);
        }
        let text = request.body.text();
        match Body::read(&text) {
            Body::Notification(notification) => read(request, &settings, &notification),
            Body::Strange => Answer::alert(strange::alert(&request.body.bytes(), &text, settings.default_priority)),
            Body::Nothing(reason) => Answer::ignored(reason),
        }
    }
}

fn read(request: &Request, settings: &Settings, notification: &Notification<'_>) -> Answer {
    let members = &notification.members;
    // One place is kept for the alert about what is left out.
    let taken = if members.len() > MAX_ALERTS { MAX_ALERTS - 1 } else { members.len() };
    let mut alerts: Vec<Alert> =
        members[..taken].iter().map(|member| member::alert(member, notification, request, settings)).collect();
    let left_out = left_out::LeftOut { by_sender: notification.truncated(), by_plugin: members.len() - taken };
    if left_out.any() {
        // The contract orders priorities from the most urgent down.
        let highest = alerts.iter().map(|alert| alert.priority).min().unwrap_or(settings.default_priority);
        alerts.truncate(MAX_ALERTS - 1);
        alerts.push(left_out::alert(&left_out, notification, request, highest));
    }
    if alerts.is_empty() {
        return Answer::ignored("the notification holds no alerts");
    }
    room::fit(&mut alerts, request.body.text().len());
    Answer::alerts(alerts)
}
