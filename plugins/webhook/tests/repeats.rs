//! Repeats of an earlier one: the host drops an id that it has seen.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::contract::{Alert, Answer};
use plugin_sdk::testing;
use serde_json::{Value, json};
use webhook::Webhook;

const EIGHT: &str = "2026-01-01T08:00:00.000Z";
const NINE: &str = "2026-01-01T09:00:00.000Z";

fn alerts(settings: &Value, body: &str, received_at: &str) -> Vec<Alert> {
    let post = testing::post("https://a.example/in/x")
        .settings(&settings.to_string())
        .received_at(received_at);
    let Answer::Alerts(alerts) = testing::read::<Webhook>(&post.json(body).build()) else {
        panic!("no alerts")
    };
    alerts.list
}

fn alert(settings: &Value, body: &str, received_at: &str) -> Alert {
    alerts(settings, body, received_at).remove(0)
}

#[test]
fn second_outage_with_a_key_is_no_repeat() {
    let settings = json!({ "title": "/monitor", "key": "/monitor", "status": "/state" });
    let [first, second] =
        [EIGHT, NINE].map(|at| alert(&settings, r#"{"monitor":"shop","state":"down"}"#, at));
    assert_ne!(first.event_id, second.event_id);
    assert_eq!(first.key(), second.key());
    let at_once = alert(&settings, r#"{"monitor":"shop","state":"down"}"#, EIGHT);
    assert_eq!(
        first.event_id, at_once.event_id,
        "the same request is the same event"
    );
}

#[test]
fn event_without_a_key_is_a_repeat_for_minutes() {
    let settings = json!({ "title": "/a", "key": "/none" });
    let [first, second] = [EIGHT, EIGHT].map(|at| alert(&settings, r#"{"a":1}"#, at));
    assert_eq!(first.event_id, second.event_id);
    let [first, second] = [EIGHT, NINE].map(|at| alert(&settings, r#"{"a":1}"#, at));
    assert_ne!(
        first.event_id, second.event_id,
        "an hour later, it may have happened again"
    );
    let by_time = json!({ "title": "/a", "event_id": "{$received_at}" });
    let [first, second] = [EIGHT, NINE].map(|at| alert(&by_time, r#"{"a":1}"#, at));
    assert_ne!(first.event_id, second.event_id);
}

#[test]
fn members_of_one_id_with_keys_come_again_later() {
    let settings = json!({ "title": "/n", "each": "/all", "event_id": "$body/id", "key": "/n" });
    let body = |id: &str| format!(r#"{{"id":"{id}","all":[{{"n":1}},{{"n":2}}]}}"#);
    let [first, second] =
        [("7", EIGHT), ("8", NINE)].map(|(id, at)| alerts(&settings, &body(id), at));
    assert_ne!(first[1].event_id, second[1].event_id);
    assert_eq!((first[1].key(), second[1].key()), ("2", "2"));
}

#[test]
fn what_resolves_is_never_a_repeat_of_what_it_ends() {
    let settings =
        json!({ "title": "/id", "key": ["/key", "/id"], "event_id": "/id", "status": "/state" });
    let id = "7".repeat(200);
    let of = |state: &str| {
        alert(
            &settings,
            &json!({ "id": id, "state": state }).to_string(),
            EIGHT,
        )
    };
    let opens = of("down");
    let closes = of("up");
    assert_eq!(
        (&opens.event_id, &closes.event_id),
        (&id, &format!("resolve {id}"))
    );
    assert_eq!(opens.key(), closes.key());
    let without = json!({ "title": "/id", "key": "/key", "event_id": "/id", "status": "/state" });
    let closes = alert(&without, r#"{"id":"7","state":"up"}"#, EIGHT);
    assert_eq!(
        (&*closes.event_id, closes.key()),
        ("resolve 7", "7"),
        "without a key, the id is the key"
    );
}

#[test]
fn an_id_or_a_key_of_which_a_part_is_missing_is_none() {
    let settings = json!({ "title": "x", "key": ["{/host}/{/disk}", "/host"], "event_id": "run-{/run}-{/try}" });
    let of = |body: &str| alert(&settings, body, EIGHT);
    let full = of(r#"{"host":"web","disk":"sda","run":1,"try":2}"#);
    assert_eq!((full.key(), &*full.event_id), ("web/sda", "run-1-2"));
    let part = of(r#"{"host":"web","run":1}"#);
    assert!(
        part.key() == "web" && part.event_id.starts_with("sha256:"),
        "{part:?}"
    );
    let [one, other] = [r#"{"disk":"sda"}"#, r#"{"disk":"sdb"}"#].map(of);
    assert_ne!(one.key(), other.key());
}
