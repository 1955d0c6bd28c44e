//! The webhook of Prometheus Alertmanager, version 4: one alert for every alert in a notification.
//!
//! Grafana's contact points, Mimir and Loki send the same structure with fields more or fewer. The
//! path of a notification: [`proof`] authenticates the sender, [`notification`] reads it, and
//! [`member`] puts one alert of it together: [`identity`] names the event, [`words`] writes for a
//! person, [`details`] holds everything. Members cut by the sender make an alert of their own
//! ([`left_out`]), a body of another kind is carried whole ([`strange`]), and [`room`] keeps the
//! largest answer within its limit.

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

use std::collections::BTreeSet;

use plugin_sdk::contract::{
    Alert, Alerts, Answer, Demand, Description, Limits, MAX_ALERTS, Note, NoteKind, Request,
    Scheme, Way,
};
use plugin_sdk::signature::sha256;
use plugin_sdk::{Plugin, attempt, body, export};

use notification::{Body, Notification};

pub use settings::{Login, OneOrSeveral, Priorities, Repeats, Settings};

/// A storm of alerts comes in one request: 600 of ordinary size are 322 KB.
const MIB: u64 = 1024 * 1024;

/// The plugin.
pub struct Alertmanager;

export!(Alertmanager);

impl Plugin for Alertmanager {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            secrets: vec!["bearer_token".to_owned(), "basic".to_owned()],
            authenticates: true,
            limits: Limits {
                body: Some(2 * MIB),
                memory: Some(64 * MIB),
                output: Some(8 * MIB),
                time_ms: None,
            },
            proof: vec![
                Demand::any([
                    Way::new(Scheme::Bearer, "bearer_token"),
                    Way::new(Scheme::Login, "basic"),
                ])
                .help(format!(
                    "The settings are `bearer_token` and `basic`. {}",
                    proof::WHERE
                )),
            ],
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
        let foreign = |alert| {
            Answer::Alerts(Alerts {
                list: vec![alert],
                proof: attempt::mark(request, b""),
            })
        };
        let reading = match body::read(request) {
            Ok(reading) => reading,
            Err(why) => {
                return foreign(strange::unreadable(
                    request,
                    &why,
                    settings.priority_without_word(),
                ));
            }
        };
        match Body::of(&reading) {
            Body::Notification(notification) => {
                let mut answer = read(request, &settings, &notification);
                if let Answer::Alerts(alerts) = &mut answer
                    && let Some(first) = alerts.first_mut()
                {
                    let repairs = reading.repairs.iter();
                    first.notes.extend(
                        repairs.map(|repair| Note::new(NoteKind::Repaired, "", repair.as_str())),
                    );
                }
                answer
            }
            Body::Strange => foreign(strange::alert(
                request,
                &reading.text,
                settings.priority_without_word(),
            )),
            Body::Nothing(reason) => Answer::ignored(reason),
        }
    }
}

fn read(request: &Request, settings: &Settings, notification: &Notification<'_>) -> Answer {
    let members = &notification.members;
    // One place is kept for the alert about what is left out.
    let taken = if members.len() > MAX_ALERTS {
        MAX_ALERTS - 1
    } else {
        members.len()
    };
    let mut alerts: Vec<Alert> = members[..taken]
        .iter()
        .map(|member| member::alert(member, notification, request, settings))
        .collect();
    let left_out = left_out::LeftOut {
        by_sender: notification.truncated(),
        by_plugin: members.len() - taken,
    };
    if left_out.any() {
        // The contract orders priorities from the most urgent down.
        let highest = alerts
            .iter()
            .map(|alert| alert.priority)
            .min()
            .unwrap_or(settings.priority_without_word());
        alerts.truncate(MAX_ALERTS - 1);
        alerts.push(left_out::alert(&left_out, notification, request, highest));
    }
    if alerts.is_empty() {
        return Answer::ignored("the notification holds no alerts");
    }
    // Two alerts of one request that are given the same id are two all the same.
    let mut ids = BTreeSet::new();
    for (number, alert) in alerts.iter_mut().enumerate() {
        if !ids.insert(alert.event_id.clone()) {
            let member = members.get(number).map_or("", |member| member.get());
            alert.event_id = format!(
                "sha256:{}",
                sha256(format!("{} {member}", alert.event_id).as_bytes()).hex()
            );
        }
    }
    room::fit(&mut alerts, request.body.text().len());
    Answer::Alerts(alerts.into())
}
