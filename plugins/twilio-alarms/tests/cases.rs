//! The plugin's cases, natively, and what strangers make of them.

use plugin_sdk::contract::{Alert, Answer};
use plugin_sdk::signature::{Scheme, sha256};
use plugin_sdk::testing::{self, hostile};
use twilio_alarms::TwilioAlarms;

#[test]
fn every_case_is_answered_as_written() {
    testing::run_cases::<TwilioAlarms>("cases");
}

#[test]
fn ten_thousand_hostile_requests_are_answered() {
    hostile::survives::<TwilioAlarms>("cases", 10_000, |request| {
        Scheme::Twilio.sign(request, "12345")
    });
}

fn alerts(query: &str, body: &str) -> Vec<Alert> {
    let request = testing::post(&format!("https://alerts.example.com/in/x?{query}"))
        .settings("{}")
        .json(body)
        .build();
    let Answer::Alerts(alerts) = testing::read::<TwilioAlarms>(&request) else {
        panic!("no alerts")
    };
    alerts.list
}

#[test]
fn ids_stay_within_what_the_host_takes() {
    for (length, id) in [(100, 201), (101, 71)] {
        let long = "x".repeat(length);
        let alerts = alerts(
            &format!("IdempotencyToken={long}&DateFired={long}&AppMonitorTriggerSid=AK1"),
            "{}",
        );
        assert_eq!(
            alerts
                .iter()
                .map(|alert| alert.event_id.len())
                .collect::<Vec<_>>(),
            [id + " before".len(), id]
        );
    }
}

#[test]
fn two_alarms_that_differ_in_the_query_alone_are_two() {
    let id = |query: &str, body: &str| alerts(query, body).remove(0).event_id;
    assert_ne!(id("ErrorCode=11200", "{}"), id("ErrorCode=11205", "{}"));
    assert_ne!(id("ErrorCode=11200", "{}"), id("ErrorCode=11200", "[]"));
    assert_eq!(
        id("ErrorCode=11200&token=a", "{}"),
        id("ErrorCode=11200&token=b", "{}"),
        "the credential is no field"
    );
}

const OWN: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn account_cannot_close_the_alarm_of_another() {
    let alerts = |claimed: &str, token: &str| {
        let settings =
            format!(r#"{{"auth_token":{{"{OWN}":"token-of-a","{OTHER}":"token-of-b"}}}}"#);
        let body = format!(
            r#"{{"AccountSid":"{claimed}","AppMonitorTriggerSid":"AK1","DateFired":"soon"}}"#
        );
        let url = format!(
            "https://alerts.example.com/in/x?bodySHA256={}",
            sha256(body.as_bytes()).hex()
        );
        let request = testing::post(&url)
            .settings(&settings)
            .json(&body)
            .signed(&Scheme::Twilio, token)
            .build();
        match testing::read::<TwilioAlarms>(&request) {
            Answer::Alerts(alerts) => alerts.list,
            other => panic!("{other:?}"),
        }
    };
    let genuine = alerts(OTHER, "token-of-b");
    let forged = alerts(OTHER, "token-of-a");
    let posing = alerts(OWN, "token-of-a");
    for alert in forged.iter().chain(&posing) {
        assert!(
            genuine
                .iter()
                .all(|genuine| genuine.key() != alert.key() && genuine.event_id != alert.event_id)
        );
        assert_eq!(
            alert.labels.get("account_sid").map_or(OWN, String::as_str),
            OWN
        );
    }
    assert_eq!(forged[1].labels["claimed_account_sid"], OTHER);
}

#[test]
fn signed_firing_is_known_by_what_was_signed() {
    let read = |token: &str, log: &str| {
        let request = testing::post("https://alerts.example.com/in/x")
            .settings(r#"{"auth_token":"12345"}"#)
            .form(&[
                ("IdempotencyToken", token),
                ("Log", log),
                ("DateFired", "Thu, 24 Aug 2023 05:00:00 +0000"),
            ])
            .signed(&Scheme::Twilio, "12345");
        match testing::read::<TwilioAlarms>(&request.build()) {
            Answer::Alerts(alerts) => alerts,
            other => panic!("{other:?}"),
        }
    };
    let alerts = read("t", "error");
    assert_eq!(
        alerts.proof.as_ref().map(|proof| &proof.id),
        alerts.last().map(|alert| &alert.event_id)
    );
    assert_eq!(read("t", "error")[0].event_id, alerts[0].event_id);
    assert_ne!(read("u", "error")[0].event_id, alerts[0].event_id);
}
