//! The cost of one request, however it is made.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::collections::BTreeSet;

use plugin_sdk::contract::{Alert, Answer};
use plugin_sdk::testing;
use serde_json::{Value, json};
use webhook::Webhook;

/// The limits of the host on a request, and of an answer.
const BODY_BYTES: usize = 256 * 1024;
const OUTPUT_BYTES: usize = 1024 * 1024;

fn alerts(settings: &Value, body: &str) -> Vec<Alert> {
    let request = testing::post("https://a.example/in/x")
        .settings(&settings.to_string())
        .json(body)
        .build();
    let Answer::Alerts(alerts) = testing::read::<Webhook>(&request) else {
        panic!("no alerts")
    };
    let bytes = serde_json::to_vec(&Answer::Alerts(alerts.clone()))
        .unwrap()
        .len();
    assert!(bytes <= OUTPUT_BYTES, "an answer of {bytes} bytes");
    alerts.list
}

#[test]
fn over_a_thousand_members_lose_none() {
    let members: Vec<_> = (0..1_003).map(|number| json!({ "n": number })).collect();
    let alerts = alerts(
        &json!({ "title": "/n", "each": "/all" }),
        &json!({ "all": members }).to_string(),
    );
    assert_eq!(alerts.len(), 1_000);
    assert_eq!(alerts[998].title, "998");
    assert_eq!(
        alerts[999].title,
        "x: 4 more events in one request".replace('x', "test")
    );
    assert_eq!(
        alerts[999].details.as_ref().unwrap().get(),
        r#"[{"n":999},{"n":1000},{"n":1001},{"n":1002}]"#
    );
    assert_eq!(
        alerts
            .iter()
            .map(|alert| &alert.event_id)
            .collect::<BTreeSet<_>>()
            .len(),
        1_000
    );
}

#[test]
fn an_answer_fits_however_often_a_mapping_repeats_the_body() {
    let labels: serde_json::Map<_, _> = (0..32)
        .map(|n| (format!("label-{n}"), json!("$body")))
        .collect();
    let all = json!({
        "title": "{$body}{$body}", "message": "{$body}{$body}", "key": "{$body}", "event_id": "{$body}",
        "link": "$body", "each": "/all", "labels": labels,
    });
    for (member, count) in [
        ("\"\\\"\\\"\\\"\"", 100),
        ("7", 60_000),
        ("{\"a\":\"äöü\"}", 10_000),
        ("[]", 1),
    ] {
        let body = format!("{{\"all\":[{}],\"x\":\"", vec![member; count].join(","));
        let filler = "\\u0000\\\"ä".repeat((BODY_BYTES - 3).saturating_sub(body.len()) / 10);
        alerts(&all, &format!("{body}{filler}\"}}"));
    }
}

#[test]
fn an_answer_fits_with_a_thousand_long_titles_keys_and_ids() {
    let labels: serde_json::Map<_, _> = (0..32)
        .map(|n| (format!("label-{n}"), json!("$body/text")))
        .collect();
    let settings = json!({
        "title": "$body/title", "message": "$body/text", "link": "$body/text", "key": "{$body/key}{/n}",
        "event_id": "{$body/key}{/n}", "status": "$body/status", "time": "$body/time", "each": "/all",
        "labels": labels,
    });
    for (title, key) in [
        ("漢", "x"),
        ("\u{1d11e}", "\""),
        ("\"", "\\"),
        ("x\\", "ü"),
        ("ä", "\u{1}"),
        ("x", "\n"),
    ] {
        for (members, count) in [
            (json!({ "n": 1_000 }), 1_000),
            (json!({ "n": "\u{1}" }), 2_000),
        ] {
            let filler = "x".repeat(BODY_BYTES - 24_000 - count * members.to_string().len());
            let keys = [200, 196, 98, 32].map(|count| key.repeat(count));
            for key in keys {
                let body = json!({
                    "title": title.repeat(200), "key": key, "text": "\n\"x".repeat(900), "status": "resolved",
                    "time": "2026-01-31T09:00:00.123456789+01:00", "all": vec![&members; count], "filler": filler,
                });
                alerts(&settings, &body.to_string());
            }
        }
    }
}

#[test]
fn a_title_is_cut_where_there_is_no_room_for_more() {
    let labels = json!({ "a": "$body/title", "b": "$body/title" });
    let settings =
        json!({ "title": "$body/title", "labels": labels, "each": "/all", "event_id": "$body/id" });
    let body = json!({ "title": "漢".repeat(80), "id": "x".repeat(200), "all": vec![1; 1_000] });
    let alerts = alerts(&settings, &body.to_string());
    assert_eq!(alerts[0].title, "漢".repeat(80));
    assert_eq!(alerts[999].title, format!("{}…", "漢".repeat(19)));
}

#[test]
fn events_with_one_mapped_id_stay_apart() {
    let settings = json!({ "title": "/n", "each": "/all", "event_id": "$body/id" });
    let alerts = alerts(&settings, r#"{"id":"7","all":[{"n":1},{"n":2}]}"#);
    assert_eq!(alerts[0].event_id, "7");
    assert!(alerts[1].event_id.starts_with("sha256:"));
    assert_eq!(alerts[1].key(), "7");
}

#[test]
fn overlong_key_and_event_id_are_replaced_by_hashes() {
    let settings = json!({ "title": "x", "key": "/k", "event_id": "/k" });
    let with = |length: usize, rest: u32| {
        alerts(
            &settings,
            &json!({ "k": "x".repeat(length), "rest": rest }).to_string(),
        )
    };
    assert_eq!(
        (with(200, 1)[0].event_id.len(), with(200, 1)[0].key().len()),
        (200, 200)
    );
    assert_eq!(
        (with(201, 1)[0].event_id.len(), with(201, 1)[0].key().len()),
        (71, 71)
    );
    assert_eq!(with(201, 1)[0].key(), with(201, 2)[0].key());
    assert_ne!(with(201, 1)[0].event_id, with(201, 2)[0].event_id);
}

#[test]
fn a_thousand_usual_members_keep_their_messages_and_labels() {
    let member = json!({ "name": "Disk of web-17 is full", "text": "x".repeat(60), "host": "web-17.example.com" });
    let labels = json!({ "host": "/host", "name": "/name", "env": "production" });
    let settings =
        json!({ "title": "/name", "message": "/text", "each": "/all", "labels": labels });
    for alert in alerts(
        &settings,
        &json!({ "all": vec![member; 1_000] }).to_string(),
    ) {
        assert_eq!((alert.labels.len(), alert.message.unwrap().len()), (3, 60));
    }
}

#[test]
fn details_are_the_event_to_the_letter() {
    let body = r#" {"z":1.10, "a":12345678901234567890123,"z":[ 1 ]} "#;
    let whole = alerts(&json!({ "title": "x" }), body);
    assert_eq!(whole[0].details.as_ref().unwrap().get(), body.trim());
    let member = alerts(&json!({ "title": "x", "each": "/z" }), body);
    assert_eq!(member[0].details.as_ref().unwrap().get(), "1");
}

#[test]
fn every_member_of_a_long_list_has_its_status() {
    let resolved = json!({ "id": 1, "state": "resolved", "text": "x".repeat(90) });
    let words = ["/id", "/state", "/text"]
        .map(|place| format!("{{{place}}}"))
        .concat()
        .repeat(40);
    let settings = json!({ "title": "/text", "message": words, "each": "/all", "key": "/id", "status": "/state" });
    for alert in alerts(
        &settings,
        &json!({ "all": vec![resolved; 1_000] }).to_string(),
    ) {
        assert!(
            alert.status.as_str() == "resolve" && alert.title.starts_with("xxx"),
            "{alert:?}"
        );
    }
}
