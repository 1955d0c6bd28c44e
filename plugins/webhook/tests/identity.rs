//! An id covers everything that the alert was made from. Requests with a difference in any part
//! read by the mapping never share one; the same request does.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::collections::BTreeMap;

use plugin_sdk::contract::{Answer, Request};
use plugin_sdk::testing;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use webhook::Webhook;

/// The places that a mapping may read.
const PLACES: [&str; 8] = [
    "/name",
    "/state",
    "$body/host",
    "$headers/x-site",
    "$query/monitor",
    "$method",
    "{/name} of {$body/host}",
    "{$headers/x-site | upper}-{$query/monitor}",
];

/// The facts of a request.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    name: String,
    state: String,
    host: String,
    site: String,
    monitor: String,
    method: &'static str,
}

impl Facts {
    fn request(&self, settings: &Value) -> Request {
        let body =
            json!({ "host": self.host, "events": [{ "name": self.name, "state": self.state }] });
        let url = format!("https://a.example/in/x?token=t&monitor={}", self.monitor);
        let post = testing::post(&url)
            .method(self.method)
            .header("x-site", &self.site);
        post.settings(&settings.to_string())
            .json(&body.to_string())
            .build()
    }

    /// The value at each place that is read.
    fn read(&self, settings: &str) -> BTreeMap<&'static str, &str> {
        let facts = [
            ("host", &*self.host, "$body/host"),
            ("site", &self.site, "$headers/x-site"),
            ("monitor", &self.monitor, "$query/monitor"),
            ("method", self.method, "$method"),
        ];
        let read = facts
            .into_iter()
            .filter(|(.., place)| settings.contains(place))
            .map(|(name, fact, _)| (name, fact));
        read.chain([("name", &*self.name), ("state", &self.state)])
            .collect()
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let word = || {
        select(&["a", "b", "ab", "a b", "firing", "resolved", "-", "ä"][..]).prop_map(str::to_owned)
    };
    let safe = || select(&["1", "2", "12", "a", "-"][..]).prop_map(str::to_owned);
    (
        word(),
        word(),
        word(),
        safe(),
        safe(),
        select(&["POST", "PUT"][..]),
    )
        .prop_map(|(name, state, host, site, monitor, method)| Facts {
            name,
            state,
            host,
            site,
            monitor,
            method,
        })
}

fn settings() -> impl Strategy<Value = Value> {
    let place = || select(&PLACES[..]).prop_map(Value::from);
    let optional = || proptest::option::of(select(&PLACES[..]).prop_map(Value::from));
    (
        place(),
        optional(),
        optional(),
        optional(),
        optional(),
        any::<bool>(),
    )
        .prop_map(|(title, key, message, label, ignored, repeats)| {
            let mut settings = json!({ "title": title, "each": "/events", "status": "/state" });
            for (name, place) in [("key", key), ("message", message)] {
                if let Some(place) = place {
                    settings[name] = place;
                }
            }
            if let Some(label) = label {
                settings["labels"] = json!({ "one": label });
            }
            if let Some(place) = ignored {
                settings["ignore"] = json!([{ "when": place, "is": "nothing like it" }]);
            }
            if repeats {
                settings["repeats"] = "drop".into();
            }
            settings
        })
}

fn ids(request: &Request) -> Vec<String> {
    match testing::read::<Webhook>(request) {
        Answer::Alerts(alerts) => alerts.iter().map(|alert| alert.event_id.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_differs_in_anything_that_is_read_never_shares_an_id() {
    let config = Config {
        cases: 4_000,
        failure_persistence: None,
        ..Config::default()
    };
    let run =
        TestRunner::new(config).run(&(settings(), facts(), facts()), |(settings, one, other)| {
            let text = settings.to_string();
            let [first, again] = [&one, &one].map(|facts| ids(&facts.request(&settings)));
            prop_assert_eq!(&first, &again);
            let second = ids(&other.request(&settings));
            if one.read(&text) == other.read(&text) {
                prop_assert_eq!(first, second);
            } else {
                prop_assert!(first.iter().all(|id| !second.contains(id)), "{settings}");
            }
            Ok(())
        });
    run.unwrap_or_else(|error| panic!("{error}"));
}

/// Whatever bytes a sender that declares no charset puts into a name, two names are two events with
/// a key each.
#[test]
fn names_of_bytes_in_no_known_charset_stay_apart() {
    let settings = json!({ "title": "{/name}", "key": "/name" }).to_string();
    let read = |media_type: &str, body: Vec<u8>| {
        let request = testing::post("https://a.example/in/x")
            .settings(&settings)
            .header("content-type", media_type)
            .body(body)
            .build();
        match testing::read::<Webhook>(&request) {
            Answer::Alerts(alerts) => (alerts[0].event_id.clone(), alerts[0].key.clone()),
            other => panic!("{other:?}"),
        }
    };
    type Write = fn(u8) -> Vec<u8>;
    let forms: [(&str, Write); 3] = [
        ("application/json", |byte| {
            [b"{\"name\":\"K", &[byte][..], b"ln\"}"].concat()
        }),
        ("application/x-www-form-urlencoded", |byte| {
            format!("name=K%{byte:02X}ln").into_bytes()
        }),
        ("multipart/form-data; boundary=b", |byte| {
            let head = b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nK";
            [head, &[byte][..], b"ln\r\n--b--\r\n"].concat()
        }),
    ];
    for (media_type, write) in forms {
        let first = read(media_type, write(0xf6));
        let again = read(media_type, write(0xf6));
        let other = read(media_type, write(0xe4));
        assert_eq!(first, again, "{media_type}");
        assert_eq!(first.1.as_deref(), Some("Köln"), "{media_type}");
        assert!(first.0 != other.0 && first.1 != other.1, "{media_type}");
    }
}

fn single(settings: &Value, body: &str, received_at: &str) -> (String, Option<String>) {
    let post = testing::post("https://a.example/in/x")
        .settings(&settings.to_string())
        .received_at(received_at);
    let Answer::Alerts(alerts) = testing::read::<Webhook>(&post.json(body).build()) else {
        panic!("no alerts")
    };
    (
        alerts[0].event_id.clone(),
        alerts.proof.as_ref().map(|proof| proof.id.clone()),
    )
}

#[test]
fn second_attempt_is_a_repeat_and_a_day_later_news() {
    let settings = json!({ "title": "/a" });
    let at = |time: &str| single(&settings, r#"{"a":"backup failed"}"#, time);
    let first = at("2026-01-01T23:59:50.000Z");
    let attempt = at("2026-01-02T00:04:00.000Z");
    assert!(
        first.0 == attempt.0 || first.1 == attempt.1,
        "whatever hour it is"
    );
    assert_eq!(first.1, attempt.1);
    let next_day = at("2026-01-02T23:59:50.000Z");
    assert_ne!(first.0, next_day.0);
    let other = single(
        &settings,
        r#"{"a":"restore failed"}"#,
        "2026-01-01T23:59:50.000Z",
    );
    assert!(first.0 != other.0 && first.1 != other.1);
}

#[test]
fn events_with_a_key_or_an_id_carry_no_mark() {
    for settings in [
        json!({ "title": "/a", "key": "/a" }),
        json!({ "title": "/a", "event_id": "/a" }),
        json!({ "title": "/a", "repeats": "send" }),
    ] {
        assert_eq!(
            single(&settings, r#"{"a":"x"}"#, "2026-01-01T00:00:00.000Z").1,
            None,
            "{settings}"
        );
    }
}

#[test]
fn repeats_are_what_the_setting_says() {
    let twice = |settings: Value| {
        let [one, other] = ["2026-01-01T08:00:00.000Z", "2026-01-03T09:00:00.000Z"]
            .map(|time| single(&settings, r#"{"a":"x"}"#, time).0);
        one == other
    };
    assert!(twice(json!({ "title": "/a", "repeats": "drop" })));
    assert!(twice(
        json!({ "title": "/a", "key": "/a", "repeats": "drop" })
    ));
    assert!(!twice(json!({ "title": "/a", "repeats": "send" })));
    assert!(!twice(json!({ "title": "/a", "key": "/a" })));
    assert!(
        twice(json!({ "title": "at {$received_at}", "repeats": "drop" })),
        "the time of receipt is no fact"
    );
}

#[test]
fn replay_with_another_unsigned_header_is_a_repeat() {
    let settings = |key: bool| {
        let mut settings = json!({ "title": "{/a} {$headers/x-event}", "sender": "github", "secret": "s3cret-s3cret-s3c" });
        if key {
            settings["key"] = "/a".into();
        }
        settings
    };
    for key in [false, true] {
        let settings = settings(key);
        let read = |delivery: &str, event: &str, time: &str| {
            let request = testing::post("https://a.example/in/x")
                .settings(&settings.to_string())
                .header("x-github-delivery", delivery)
                .header("x-event", event)
                .received_at(time)
                .json(r#"{"a":"x"}"#)
                .signed(&plugin_sdk::contract::Scheme::github(), "s3cret-s3cret-s3c")
                .build();
            let Answer::Alerts(alerts) = testing::read::<Webhook>(&request) else {
                panic!("no alerts")
            };
            (alerts[0].event_id.clone(), alerts.proof.clone().unwrap())
        };
        let first = read("1", "push", "2026-01-01T08:00:00.000Z");
        let replay = read("2", "push", "2026-01-09T08:00:00.000Z");
        assert_eq!(first, replay, "key {key}");
        let changed = read("3", "pull", "2026-01-09T08:00:00.000Z");
        assert_ne!(first.0, changed.0, "the mapping reads the header");
        assert_eq!(
            (&first.1, &first.1.expires_at),
            (&changed.1, &None),
            "and the proof is the same"
        );
    }
}
