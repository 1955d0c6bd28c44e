//! The mistakes of a mapping is found before the first request: by the schema, or by the plugin.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::fs;

use plugin_sdk::testing;
use serde_json::{Value, json};
use webhook::Webhook;

fn schema_takes(settings: &Value) -> bool {
    let schema = testing::describe::<Webhook>().settings;
    jsonschema::options()
        .offline()
        .build(&schema)
        .unwrap()
        .is_valid(settings)
}

/// `path: found (help)` of each mistake.
fn mistakes(settings: &Value) -> Vec<String> {
    assert!(schema_takes(settings), "the schema refuses {settings}");
    let checked = testing::check::<Webhook>(&settings.to_string());
    checked
        .mistakes
        .iter()
        .map(|one| format!("{}: {} ({})", one.path, one.found, one.help))
        .collect()
}

fn with(key: &str, value: Value) -> Value {
    let mut settings = json!({ "title": "/t" });
    settings[key] = value;
    settings
}

#[test]
fn the_settings_of_every_case_are_right() {
    let mut count = 0;
    for entry in fs::read_dir("cases").unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with("settings.json") {
            let settings = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(mistakes(&settings), [""; 0], "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn a_source_that_cannot_work_is_told_with_its_place() {
    for (settings, told) in [
        (
            with("title", json!("Disk of {/host")),
            "/title: the braces and backslashes do not fit together at byte ",
        ),
        (
            with("title", json!("{{ alert.name }}")),
            "/title: the braces and backslashes do not fit together at byte ",
        ),
        (
            with("title", json!("{host} is down")),
            "/title: \"host\" is no place in a request (a place is a JSON Pointer",
        ),
        (
            with("title", json!("$.alert.name")),
            "/title: \"$.alert.name\" is a path of another language",
        ),
        (
            with("message", json!(["/a", "$header/x"])),
            "/message/1: \"$header/x\" names nothing around a body (there are",
        ),
        (
            with("key", json!("/a~b")),
            "/key: \"/a~b\" has a ~ that is neither ~0 nor ~1",
        ),
        (
            with("labels", json!({ "a/b": "{/x} {y}" })),
            "/labels/a~1b: \"y\" is no place in a request",
        ),
        (
            with("labels", json!({ "a": "$headers/authorization" })),
            "/labels/a: \"$headers/authorization\" is what the",
        ),
        (
            with("message", json!("{$query/token}")),
            "/message: \"$query/token\" is what the sender proves itself with",
        ),
        (
            with(
                "title",
                json!({ "from": "/a", "values": { "x": "{y}" }, "default": "{/z" }),
            ),
            "/title/values/x: \"y\" is no place in a request",
        ),
        (
            with("title", json!({ "from": "action", "values": { "x": "X" } })),
            "/title/from: \"action\" is the same for every event, so what follows is never used (a place begins \
             with /, as in /action)",
        ),
        (
            with("event_id", json!("id")),
            "/event_id: \"id\" is the same for every event, so all but the first would be",
        ),
        (
            with("event_id", json!("$source")),
            "/event_id: \"$source\" is the same for every event, so all but the",
        ),
        (
            with("event_id", json!("{$method} of {$source}")),
            "/event_id: \"{$method} of {$source}\" is the same for",
        ),
        (
            with("event_id", json!(["/id", "\\{\\}"])),
            "/event_id/1: \"\\\\{\\\\}\" is the same for every event, so all",
        ),
        (
            with("key", json!("id")),
            "/key: \"id\" is the same for every event, so all of them would be one alert (a place begins with /, as in \
             /monitor/id; where that is meant, \"$source\" makes all events of the source one alert)",
        ),
        (
            with("key", json!({ "from": "/id", "default": "none" })),
            "/key/default: \"none\" is the same for every event",
        ),
        (
            with("time", json!("created_at")),
            "/time: \"created_at\" is the same for every event (name the place of",
        ),
        (
            with("link", json!("url")),
            "/link: \"url\" is no link (a link begins with https://; a place begins with /",
        ),
        (
            with("priority", json!("purple")),
            "/priority: \"purple\" is no priority (the words are critical, high,",
        ),
        (
            with("each", json!("alerts")),
            "/each: \"alerts\" is no place in a request (a place is a JSON Pointer, which \
          begins with /, as in /alerts)",
        ),
        (
            with("each", json!("$headers/x")),
            "/each: \"$headers/x\" is not in the body",
        ),
        (
            with("decode", json!(["/a", "payload"])),
            "/decode/1: \"payload\" is no place in a request",
        ),
        (
            with("ignore", json!([{ "when": "/a" }])),
            "/ignore/0: this condition compares with nothing (add is =",
        ),
        (
            with("ignore", json!([{ "when": "action", "is": "x" }])),
            "/ignore/0/when: \"action\" is the same for every",
        ),
        (
            with(
                "ignore",
                json!([{ "when": "/a", "is": "x", "present": false }]),
            ),
            "/ignore/0: what is not there is equal to nothing",
        ),
    ] {
        let told_all = mistakes(&settings);
        assert!(
            told_all.iter().any(|one| one.starts_with(told)),
            "{settings}\n{told}\n{told_all:#?}"
        );
    }
}

#[test]
fn literal_texts_that_mean_what_they_say_are_no_mistakes() {
    for settings in [
        with("title", json!("A text, to 100 %")),
        with(
            "labels",
            json!({ "env": "production", "price": "$5", "path": "C:\\temp" }),
        ),
        with("priority", json!("P1")),
        with("key", json!("$source")),
        with("key", json!("{$source}/{/id}")),
        with("event_id", json!("{$source}/{/id}")),
        with("event_id", json!("{$received_at}")),
        with("status", json!("trigger")),
        with("link", json!("https://status.example.com/{/id}")),
        with("message", json!(["/a", "No words"])),
        with(
            "title",
            json!({ "from": "/a", "values": { "x": "X" }, "default": "Something" }),
        ),
    ] {
        assert_eq!(mistakes(&settings), [""; 0], "{settings}");
    }
}

#[test]
fn a_status_that_could_never_close_anything_is_told() {
    for status in [
        json!("/status"),
        json!("resolve"),
        json!({ "from": "/s", "values": { "a": "resolve" } }),
    ] {
        let told = mistakes(&with("status", status.clone()));
        assert!(
            told[0].starts_with("/status: nothing can be resolved without a key"),
            "{told:?}"
        );
        for right in [
            json!({ "title": "/t", "status": status, "key": "/id" }),
            json!({ "title": "/t", "status": status, "key": "/id", "event_id": "/id" }),
        ] {
            assert_eq!(mistakes(&right), [""; 0]);
        }
    }
    let told = mistakes(&json!({ "title": "/t", "key": "/k", "status": "purple" }));
    assert!(
        told[0].starts_with("/status: \"purple\" is no status (the words are trigger and resolve"),
        "{told:?}"
    );
}

#[test]
fn a_sender_needs_a_secret_and_a_secret_needs_a_sender() {
    let told = mistakes(&with("sender", json!("github")));
    assert_eq!(
        told,
        ["/sender: there is no secret to prove the sender with (add secret = { env = \"NAME\" })"]
    );
    let told = mistakes(&with("secret", json!("hunter2")));
    assert!(
        told[0].starts_with("/secret: nothing says how the sender shows this secret (add sender"),
        "{told:?}"
    );
    assert!(!told[0].contains("hunter2"));
}

#[test]
fn header_with_the_secret_stays_out_of_alerts_and_reasons() {
    let shown = json!("{$headers/x-gitlab-token}");
    for (name, value, path) in [
        ("title", shown.clone(), "/title"),
        (
            "labels",
            json!({ "a": "$headers/X-GitLab-Token" }),
            "/labels/a",
        ),
        (
            "ignore",
            json!([{ "when": shown, "is": "x" }]),
            "/ignore/0/when",
        ),
    ] {
        let mut settings =
            json!({ "title": "/t", "secret": "x", "sender": { "header": "X-Gitlab-Token" } });
        settings[name] = value;
        let told = mistakes(&settings);
        assert!(
            told[0].starts_with(path) && told[0].contains("is what the sender proves itself with"),
            "{told:?}"
        );
        settings["sender"] = json!("github");
        assert_eq!(
            mistakes(&settings),
            [""; 0],
            "another header is like any other"
        );
    }
}

#[test]
fn the_gateways_token_is_demanded_where_no_sender_is_set() {
    let authenticates =
        |settings: Value| testing::check::<Webhook>(&settings.to_string()).authenticates;
    assert_eq!(authenticates(json!({ "title": "/t" })), Some(false));
    assert_eq!(
        authenticates(json!({ "title": "/t", "sender": "bearer", "secret": "x" })),
        Some(true)
    );
}

#[test]
fn what_has_another_shape_is_refused_by_the_schema() {
    for settings in [
        json!({}),
        with("titel", json!("/t")),
        with("title", json!("")),
        with("title", json!({ "from": "/a", "vlaues": {} })),
        with("title", json!({ "values": { "a": "b" } })),
        with(
            "status",
            json!({ "from": "/a", "values": { "x": "resolved" } }),
        ),
        with(
            "priority",
            json!({ "from": "/a", "values": { "x": "purple" } }),
        ),
        with("priority", json!({ "from": "/a", "default": "purple" })),
        with("sender", json!("gitlab")),
        with("sender", json!({})),
        with("sender", json!({ "basic": "a:b" })),
        with("sender", json!({ "basic": "a", "header": "b" })),
        with("sender", json!({ "header": "a", "prefix": "b" })),
        with("sender", json!({ "hmac": "not a header" })),
        with("sender", json!({ "hmac": "a", "algorithm": "md5" })),
        with("secret", json!("")),
        with("secret", json!([])),
        with("ignore", json!([{ "is": "x" }])),
        with("ignore", json!([{ "when": "/a", "equals": "x" }])),
        with("labels", json!({ "": "/a" })),
    ] {
        assert!(!schema_takes(&settings), "{settings}");
    }
    for sender in ["github", "stripe", "slack", "standard-webhooks", "bearer"].map(Value::from).into_iter().chain([
        json!({ "basic": "monitor" }),
        json!({ "header": "X-Gitlab-Token" }),
        json!({ "hmac": "x-signature", "prefix": "v0=", "algorithm": "sha1", "encoding": "base64" }),
    ]) {
        let settings = json!({ "title": "/t", "sender": sender, "secret": ["a", "b"] });
        assert_eq!(mistakes(&settings), [""; 0], "{settings}");
    }
}
