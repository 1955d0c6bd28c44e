//! Any mapping over any request: nothing panics, and an authenticated request is never refused.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::path::Path;

use plugin_sdk::case;
use plugin_sdk::contract::{Alert, Answer, Request};
use plugin_sdk::testing::{self, hostile};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use webhook::Webhook;

const SOURCES: [&str; 34] = [
    "/a",
    "/b",
    "/a/b",
    "/a/0/b",
    "/",
    "/a~1b",
    "/a~2",
    "a.b",
    "$.a",
    "$body",
    "$body/b",
    "$headers/x-a",
    "$headers",
    "$query/q",
    "$method",
    "$nothing",
    "{/a}: {/b}",
    "{/a",
    "{}",
    "{{ a }}",
    "{b}",
    r"\{\}",
    "a text",
    "trigger",
    "/a[b=x]/b",
    "/a/[b=x]",
    "/a[b=",
    "/b | lower | upper",
    r#"{/b | split "," | item -1 | prefix "p"}"#,
    r#"/a | match "(x|y){2,}" | default "none""#,
    r#"{/a | join "{}"}"#,
    "/b | match \"(((\"",
    "/b | | |",
    "$query/q | split \"\"",
];

const BODIES: [&str; 10] = [
    r#"{"a":[{"b":"x"},{"b":1e999},{"b":"x"},null],"b":"resolve"}"#,
    r#"{"a":{"b":"{\"a\":[1]}"},"a":"twice","b":[]}"#,
    r#"{"a":"\ud800","b":"{\"a\": 1"}"#,
    "[[[[",
    "[]",
    "null",
    "7",
    "a=%7B%22b%22:1%7D&a=2&b",
    "",
    "\u{202e}\u{0}",
];

fn source() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&SOURCES[..]).prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ]
}

fn choice() -> impl Strategy<Value = Value> {
    let table = (
        source(),
        btree_map(select(&["x", "1", "resolve", ""][..]), source(), 0..3),
        source(),
    )
        .prop_map(
            |(from, values, default)| json!({ "from": from, "values": values, "default": default }),
        );
    prop_oneof![3 => source(), 1 => vec(source(), 1..4).prop_map(Value::from), 1 => table]
}

fn settings() -> impl Strategy<Value = Value> {
    const FIELDS: [&str; 9] = [
        "title", "message", "event_id", "key", "status", "priority", "link", "time", "title",
    ];
    let condition = (source(), select(&["is", "is_not"][..]), source())
        .prop_map(|(when, compares, with)| json!({ "when": when, compares: with }))
        .prop_recursive(6, 16, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| json!({ "not": one })),
                (select(&["all", "any"][..]), vec(inner, 1..3))
                    .prop_map(|(name, list)| json!({ name: list })),
            ]
        });
    let fields = btree_map(select(&FIELDS[..]), choice(), 0..8);
    let labels = btree_map("[a-z]{1,3}", choice(), 0..4);
    let lists = (
        vec(source(), 0..3),
        proptest::option::of(source()),
        vec(condition, 0..2),
        source(),
    );
    (fields, labels, lists).prop_map(|(fields, labels, (decode, each, ignore, all))| {
        let mut settings =
            json!({ "title": "/a", "labels": labels, "decode": decode, "ignore": ignore });
        for name in ["root", "left_out", "labels_from"] {
            settings[name] = all.clone();
        }
        if let Some(each) = each {
            settings["each"] = each;
        }
        fields
            .into_iter()
            .for_each(|(name, choice)| settings[name] = choice);
        settings
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => select(&BODIES[..]).prop_map(|body| body.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..200),
    ]
}

fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(strategy, test)
        .unwrap_or_else(|error| panic!("{error}"));
}

fn fit(alerts: &[Alert]) -> Result<(), TestCaseError> {
    prop_assert!((1..=1_000).contains(&alerts.len()));
    for alert in alerts {
        prop_assert!(
            (1..=256).contains(&alert.event_id.len()),
            "{}",
            alert.event_id
        );
        prop_assert!(
            alert
                .key
                .as_ref()
                .is_none_or(|key| (1..=1_024).contains(&key.len()))
        );
        prop_assert!(
            !alert.title.trim().is_empty() && alert.title.chars().count() <= 200,
            "{:?}",
            alert.title
        );
        prop_assert!(!alert.title.contains(char::is_control), "{:?}", alert.title);
    }
    Ok(())
}

#[test]
fn any_mapping_over_any_body_is_an_alert_or_ignored() {
    let content_type = select(
        &[
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain",
            "",
        ][..],
    );
    run(
        5_000,
        &(settings(), body(), content_type),
        |(settings, body, content_type)| {
            let settings = settings.to_string();
            let _ = testing::check::<Webhook>(&settings);
            let request = testing::post("https://a.example/in/x?q=1")
                .header("content-type", content_type)
                .header("x-a", "x")
                .settings(&settings)
                .body(body)
                .build();
            match testing::read::<Webhook>(&request) {
                Answer::Alerts(alerts) => fit(&alerts),
                Answer::Ignored { reason } => {
                    prop_assert!(!reason.is_empty());
                    Ok(())
                }
                other => Err(TestCaseError::fail(format!("{other:?}"))),
            }
        },
    );
}

/// Signs as the request's own settings demand.
fn sign(request: &mut Request) {
    let mut settings: Value = serde_json::from_str(request.settings.get()).unwrap();
    let secret = settings["secret"]
        .as_str()
        .or(settings["secret"][0].as_str())
        .unwrap_or_default()
        .to_owned();
    // What a sender with a challenge owes is known to the plugin alone.
    settings.as_object_mut().unwrap().remove("challenge");
    for demand in testing::check::<Webhook>(&settings.to_string())
        .proof
        .unwrap_or_default()
    {
        demand.any[0].scheme.sign(request, &secret);
    }
}

#[test]
fn a_signed_request_is_never_refused_whatever_became_of_it() {
    let cases = case::load(Path::new("cases")).unwrap();
    let requests = hostile::requests(cases.into_iter().map(|case| case.request).collect());
    run(10_000, &requests, |mut request| {
        let _ = testing::read::<Webhook>(&request);
        sign(&mut request);
        match testing::read::<Webhook>(&request) {
            Answer::Alerts(alerts) => fit(&alerts),
            Answer::Ignored { .. } | Answer::Reply { .. } => Ok(()),
            Answer::Rejected(rejection) => Err(TestCaseError::fail(format!("{rejection:?}"))),
        }
    });
}
