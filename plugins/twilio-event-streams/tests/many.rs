//! More events in one request than the host takes alerts, and events in headers that nobody signed.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::contract::{Alert, Answer, Priority};
use plugin_sdk::signature::{Scheme, sha256};
use plugin_sdk::testing;
use serde_json::{Value, json};
use twilio_event_streams::TwilioEventStreams;

fn event(number: usize) -> Value {
    json!({ "specversion": "1.0", "id": format!("EZ{number}"), "data": { "level": "ERROR", "error_code": "11200" } })
}

fn alerts(body: &str, headers: &[(&str, &str)]) -> Vec<Alert> {
    let url = format!(
        "https://alerts.example.com/in/x?bodySHA256={}",
        sha256(body.as_bytes()).hex()
    );
    let mut post = testing::post(&url)
        .settings(r#"{"auth_token":"12345"}"#)
        .json(body);
    for (name, value) in headers {
        post = post.header(name, value);
    }
    let mut request = post.build();
    Scheme::Twilio.sign(&mut request, "12345");
    let Answer::Alerts(alerts) = testing::read::<TwilioEventStreams>(&request) else {
        panic!("no alerts")
    };
    alerts.list
}

#[test]
fn thousand_events_and_more_are_alerts_and_none_is_lost() {
    let body = |count| Value::from((0..count).map(event).collect::<Vec<_>>()).to_string();
    assert_eq!(alerts(&body(1_000), &[])[999].event_id, "EZ999");
    let alerts = alerts(&body(1_002), &[]);
    assert_eq!((alerts.len(), &*alerts[998].event_id), (1_000, "EZ998"));
    let rest = &alerts[999];
    assert_eq!(
        (&*rest.title, rest.priority),
        ("Twilio: 3 more events in one request", Priority::High)
    );
    let details: Value = serde_json::from_str(rest.details.as_ref().unwrap().get()).unwrap();
    assert_eq!(details, json!([event(999), event(1_000), event(1_001)]));
}

#[test]
fn another_event_with_the_same_id_is_another_event() {
    let mut other = event(7);
    other["data"]["error_code"] = json!("30007");
    let body = json!([event(7), other, event(7)]).to_string();
    let ids = |alerts: &[Alert]| {
        alerts
            .iter()
            .map(|a| a.event_id.clone())
            .collect::<Vec<_>>()
    };
    let sent = ids(&alerts(&body, &[]));
    assert_eq!((&*sent[0], &*sent[2]), ("EZ7", "EZ7"));
    assert!(sent[1].starts_with("sha256:"), "{sent:?}");
    assert_eq!(ids(&alerts(&body, &[])), sent, "sent again, it is a repeat");
}

#[test]
fn data_as_text_is_read_and_data_of_nothing_is_told() {
    let with = |data: Value| {
        let mut event = event(7);
        event["data"] = data;
        alerts(&event.to_string(), &[]).remove(0)
    };
    let as_text = with(json!(event(7)["data"].to_string()));
    assert_eq!(as_text.labels["error_code"], "11200");
    assert!(as_text.unreadable.is_none());
    for data in [json!(null), json!("words"), json!([1]), json!(7), json!({})] {
        let alert = with(data.clone());
        assert_eq!(alert.priority, Priority::High, "{data}");
        assert!(alert.unreadable.is_some(), "{data}");
    }
}

#[test]
fn unsigned_headers_make_no_new_event_of_a_recorded_request() {
    let body = event(7).to_string();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "another"),
        ("ce-type", "com.example.other"),
    ];
    let json = |alerts: Vec<Alert>| serde_json::to_value(alerts).unwrap();
    assert_eq!(json(alerts(&body, &headers)), json(alerts(&body, &[])));
    assert_eq!(alerts(&body, &headers)[0].event_id, "EZ7");
}
