//! The plugin's cases, natively, and what strangers make of them.

use plugin_sdk::contract::{Alert, Answer};
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, hostile};
use twilio_alarms::TwilioAlarms;

#[test]
fn every_case_is_answered_as_written() {
    testing::run_cases::<TwilioAlarms>("cases");
}

#[test]
fn ten_thousand_hostile_requests_are_answered() {
    hostile::survives::<TwilioAlarms>("cases", 10_000, |request| Scheme::Twilio.sign(request, "12345"));
}

fn alerts(query: &str, body: &str) -> Vec<Alert> {
    let request = testing::post(&format!("https://alerts.example.com/in/x?{query}")).settings("{}").json(body).build();
    let Answer::Alerts(alerts) = testing::read::<TwilioAlarms>(&request) else { panic!("no alerts") };
    alerts.list
}

#[test]
fn ids_stay_within_what_the_host_takes() {
    for (length, id) in [(100, 201), (101, 71)] {
        let long = "x".repeat(length);
        let alerts = alerts(&format!("IdempotencyToken={long}&DateFired={long}&AppMonitorTriggerSid=AK1"), "{}");
        assert_eq!(alerts.iter().map(|alert| alert.event_id.len()).collect::<Vec<_>>(), [id + " before".len(), id]);
    }
}

#[test]
fn two_alarms_that_differ_in_the_query_alone_are_two() {
    let id = |query: &str, body: &str| alerts(query, body).remove(0).event_id;
    assert_ne!(id("ErrorCode=11200", "{}"), id("ErrorCode=11205", "{}"));
    assert_ne!(id("ErrorCode=11200", "{}"), id("ErrorCode=11200", "[]"));
    assert_eq!(id("ErrorCode=11200&token=a", "{}"), id("ErrorCode=11200&token=b", "{}"), "the credential is no field");
}
