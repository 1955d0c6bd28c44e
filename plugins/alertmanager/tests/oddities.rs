//! An authenticated notification always becomes alerts, and nothing that is sent makes the plugin
//! panic.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::path::Path;

use alertmanager::Alertmanager;
use plugin_sdk::case;
use plugin_sdk::contract::{Alert, Answer, Rejection, RejectionKind, Request, Status};
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, RequestBuilder, hostile};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef";
const SETTINGS: &str = r#"{"bearer_token":"0123456789abcdef"}"#;

/// The limit on an answer that the plugin asks for.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The limit on a body that the plugin asks for.
const MAX_BODY: usize = 2 * 1024 * 1024;

fn request(body: &[u8]) -> RequestBuilder {
    testing::post("https://gw.example.com/in/prometheus")
        .body(body)
        .settings(SETTINGS)
}

fn genuine(body: &[u8]) -> Request {
    request(body)
        .header("authorization", &format!("Bearer {TOKEN}"))
        .build()
}

fn alerts(body: &[u8]) -> Vec<Alert> {
    match testing::read::<Alertmanager>(&genuine(body)) {
        Answer::Alerts(alerts) => alerts.list,
        other => panic!("{}: {other:?}", body.escape_ascii()),
    }
}

fn of(members: &Value) -> Vec<Alert> {
    let body = json!({ "receiver": "gateway", "status": "firing", "alerts": members, "version": "4",
        "groupKey": "{}:{}", "externalURL": "http://am.example.com", "truncatedAlerts": 0 });
    alerts(body.to_string().as_bytes())
}

fn one(member: Value) -> Alert {
    let [alert] = <[Alert; 1]>::try_from(of(&json!([member]))).unwrap();
    alert
}

fn title(labels: Value, annotations: Value) -> String {
    one(json!({ "labels": labels, "annotations": annotations })).title
}

#[test]
fn the_title_is_the_best_that_was_written() {
    let named = || json!({ "alertname": "Down", "job": "node", "instance": "web-1" });
    assert_eq!(
        title(named(), json!({ "summary": "web-1 is down", "title": "x" })),
        "web-1 is down"
    );
    assert_eq!(
        title(named(), json!({ "title": "A title", "description": "x" })),
        "A title"
    );
    assert_eq!(
        title(named(), json!({ "summary": " ", "description": "x" })),
        "Down (instance web-1)"
    );
    assert_eq!(title(json!({ "alertname": "Down" }), json!({})), "Down");
    assert_eq!(
        title(json!({ "job": "node" }), json!({ "message": "It\nbroke" })),
        "It broke"
    );
    assert_eq!(
        title(json!({}), json!({})),
        r#"An alert without a name: {"annotations":{},"labels":{}}"#
    );
    let long = title(named(), json!({ "summary": "x".repeat(5_000) }));
    assert_eq!(long.chars().count(), 200);
}

#[test]
fn the_link_is_the_first_that_can_be_followed() {
    let link = |source: &str, runbook: &str| {
        one(json!({ "labels": {}, "generatorURL": source, "annotations": { "runbook_url": runbook } })).link
    };
    let too_long = format!("http://p.example.com/graph?{}", "x".repeat(2_048));
    assert_eq!(
        link("http://p.example.com/g", "https://w").as_deref(),
        Some("http://p.example.com/g")
    );
    for source in [
        "",
        "/graph?g0.expr=up",
        "javascript:alert(1)",
        "http://p.example.com/a b",
        &too_long,
    ] {
        assert_eq!(
            link(source, "https://wiki.example.com/r").as_deref(),
            Some("https://wiki.example.com/r")
        );
        assert_eq!(
            link(source, "").as_deref(),
            Some("http://am.example.com"),
            "Alertmanager itself"
        );
    }
}

#[test]
fn a_url_in_the_message_is_whole() {
    let url = format!("http://p.example.com/graph?g0.expr={}", "a".repeat(1_500));
    let message = one(json!({ "labels": { "alertname": "A" }, "generatorURL": url }))
        .message
        .unwrap();
    assert_eq!(message, format!("Source: {url}"));
}

#[test]
fn of_too_many_labels_the_telling_ones_stay() {
    let mut labels: serde_json::Map<String, Value> =
        (0..100).map(|n| (format!("a{n:03}"), n.into())).collect();
    for name in ["alertname", "severity", "instance", "job"] {
        labels.insert(name.to_owned(), "x".into());
    }
    let passed = one(json!({ "labels": labels })).labels;
    assert_eq!(passed.len(), 64);
    assert!(
        ["alertname", "severity", "instance", "job", "a000"]
            .iter()
            .all(|name| passed.contains_key(*name))
    );
    assert_eq!(
        one(json!({ "labels": { "a": "b  \u{202e}c" } })).labels["a"],
        "b  \u{202e}c",
        "to the letter"
    );
}

#[test]
fn the_details_hold_the_member_to_the_letter() {
    let member =
        r#"{"z":1.10, "fingerprint":"f", "big":12345678901234567890123,"z":[ 1 ],"u":"\u00e4"}"#;
    let body =
        format!("{{\"alerts\":[ {member} ],\"groupKey\":\"{{}}:{{}}\",\"truncatedAlerts\": 0}}");
    let details = alerts(body.as_bytes()).remove(0).details.unwrap();
    let group = r#"{"groupKey":"{}:{}","truncatedAlerts":0}"#;
    assert_eq!(
        details.get(),
        format!("{{\"alert\":{member},\"group\":{group}}}")
    );
}

#[test]
fn a_group_that_was_cut_pages_once_a_day_and_number() {
    let missing = |day: &str, count: u32| {
        let body = json!({ "alerts": [], "groupKey": "{}:{a=\"b\"}", "truncatedAlerts": count })
            .to_string();
        let mut request = genuine(body.as_bytes());
        request.received_at = format!("{day}T12:00:00.000Z");
        let Answer::Alerts(mut alerts) = testing::read::<Alertmanager>(&request) else {
            panic!("{count}")
        };
        alerts.pop().unwrap()
    };
    let first = missing("2026-03-14", 5);
    assert_eq!(
        first.title,
        "5 alerts are missing from Alertmanager's group {}:{a=\"b\"}"
    );
    assert!(
        first.message.as_deref().unwrap().contains("max_alerts: 0"),
        "{first:?}"
    );
    assert_eq!(first.event_id, missing("2026-03-14", 5).event_id);
    for other in [missing("2026-03-14", 6), missing("2026-03-15", 5)] {
        assert!(
            other.event_id != first.event_id && other.key == first.key,
            "{other:?}"
        );
    }
}

#[test]
fn alerts_beyond_the_limit_are_told_as_missing() {
    let members = |count: usize| {
        (0..count)
            .map(|n| json!({ "fingerprint": n.to_string() }))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&json!(members(1_000))).len(), 1_000);
    let mut many = members(1_100);
    many[7]["labels"] = json!({ "severity": "critical" });
    let alerts = of(&json!(many));
    let last = alerts.last().unwrap();
    assert_eq!((alerts.len(), last.priority.as_str()), (1_000, "critical"));
    assert_eq!(
        last.title,
        "101 alerts are missing from Alertmanager's group {}:{}"
    );
}

#[test]
fn the_limits_that_are_asked_for_are_those_that_are_kept() {
    let limits = testing::describe::<Alertmanager>().limits;
    assert_eq!(
        (limits.body, limits.output),
        (Some(MAX_BODY as u64), Some(MAX_ANSWER as u64))
    );
}

#[test]
fn two_alerts_with_one_fingerprint_are_two() {
    let member = |value: &str| json!({ "fingerprint": "f", "startsAt": "2026-01-01T00:00:00Z", "annotations": { "v": value } });
    for repeats in ["send", "drop"] {
        let body = json!({ "alerts": [member("1"), member("2")] }).to_string();
        let settings = json!({ "bearer_token": TOKEN, "repeats": repeats }).to_string();
        let request = request(body.as_bytes()).header("authorization", &format!("Bearer {TOKEN}"));
        let Answer::Alerts(alerts) =
            testing::read::<Alertmanager>(&request.settings(&settings).build())
        else {
            panic!()
        };
        assert_ne!(alerts[0].event_id, alerts[1].event_id, "{repeats}");
        assert_eq!(alerts[0].key, alerts[1].key);
    }
}

#[test]
fn strange_body_is_a_repeat_for_minutes_and_then_news() {
    let read = |body: &str, time: &str| {
        let mut request = genuine(body.as_bytes());
        request.received_at = time.to_owned();
        let Answer::Alerts(alerts) = testing::read::<Alertmanager>(&request) else {
            panic!("no alerts")
        };
        (alerts[0].event_id.clone(), alerts.proof.clone().unwrap().id)
    };
    for body in [
        r#"{"ruleId":129,"state":"alerting"}"#,
        r#"{"alerts":[{"status":"firi"#,
    ] {
        let first = read(body, "2026-01-01T23:59:00.000Z");
        assert_eq!(
            first.1,
            read(body, "2026-01-02T00:09:00.000Z").1,
            "whatever hour it is"
        );
        assert_ne!(first.0, read(body, "2026-01-02T23:59:00.000Z").0);
    }
}

#[test]
fn what_cannot_be_read_is_told_and_where() {
    let alert = alerts(br#"{"alerts":[{"status":"firing"}"#).remove(0);
    assert!(
        alert.title.contains("could not be read") && alert.title.contains("column"),
        "{}",
        alert.title
    );
    assert_eq!(alert.priority.as_str(), "high");
    assert!(alert.unreadable.is_some());
}

#[test]
fn words_that_nobody_knows_and_missing_times_are_noted() {
    let notes = |member: Value| {
        one(member)
            .notes
            .into_iter()
            .map(|note| note.kind.as_str())
            .collect::<Vec<_>>()
    };
    let with = |status: &str, severity: &str| json!({ "status": status, "labels": { "severity": severity }, "startsAt": "2026-01-01T00:00:00Z" });
    assert_eq!(notes(with("firing", "critical")), [""; 0]);
    assert_eq!(
        notes(with("wobbling", "purple")),
        ["unknown_priority", "unknown_status"]
    );
    assert_eq!(
        notes(json!({ "status": "firing", "labels": {} })),
        ["no_time"]
    );
}

#[test]
fn a_storm_of_any_make_fits_into_an_answer() {
    let member = |number: usize, filler: &str| {
        json!({ "status": "firing", "labels": { "alertname": filler, "instance": number.to_string(), "severity": "x" },
            "annotations": { "summary": filler, "description": filler, "runbook_url": format!("http://{filler}") },
            "startsAt": "2026-03-14T02:17:45.123456789Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": format!("http://{filler}"), "fingerprint": format!("{number:016x}") })
    };
    for filler in [
        "x".repeat(2),
        "x".repeat(100),
        "ü".repeat(300),
        "\"".repeat(2_000),
        "\n\\".repeat(5_000),
    ] {
        let bytes = member(9_999, &filler).to_string().len() + 1;
        let members: Vec<_> = (0..((MAX_BODY - 6_000) / bytes).min(1_000))
            .map(|number| member(number, &filler))
            .collect();
        let body =
            json!({ "receiver": "r".repeat(1_000), "alerts": members, "groupKey": "k".repeat(1_000) }).to_string();
        assert!(body.len() <= MAX_BODY, "{}", body.len());
        let answer = testing::read::<Alertmanager>(&genuine(body.as_bytes()));
        let bytes = serde_json::to_string(&answer).unwrap().len();
        assert!(
            bytes <= MAX_ANSWER,
            "{} members of {:.9?} make an answer of {bytes}",
            members.len(),
            filler
        );
        let Answer::Alerts(alerts) = answer else {
            panic!("{filler:.9}")
        };
        assert_eq!(alerts.len(), members.len());
        for (number, alert) in alerts.iter().enumerate() {
            assert_eq!(alert.key.as_deref(), Some(&*format!("{number:016x}")));
            let whole = alert.details.is_some();
            assert!(
                whole || alert.message.as_ref().unwrap().contains("see the request"),
                "{alert:?}"
            );
        }
    }
}

#[test]
fn a_body_of_another_kind_that_fills_the_limit_is_carried_whole() {
    for filler in ["x", "\u{0}", "ü", "[", "\"", "\\"] {
        let text = filler.repeat(256 * 1024 / filler.len());
        let answer = testing::read::<Alertmanager>(&genuine(text.as_bytes()));
        let json = serde_json::to_string(&answer).unwrap();
        assert!(
            json.len() <= MAX_ANSWER,
            "{filler:?} makes an answer of {} bytes",
            json.len()
        );
        let Answer::Alerts(alerts) = answer else {
            panic!("{filler:?}")
        };
        let details: Value =
            serde_json::from_str(alerts[0].details.as_ref().unwrap().get()).unwrap();
        assert_eq!(
            details["body_text"].as_str().unwrap().chars().count(),
            text.chars().count()
        );
    }
}

fn rejection(settings: &str, authorization: Option<&str>) -> Rejection {
    let request = request(b"{}").settings(settings);
    let request = authorization.map_or(request.clone(), |value| {
        request.header("authorization", value)
    });
    match testing::read::<Alertmanager>(&request.build()) {
        Answer::Rejected(rejection) => rejection,
        other => panic!("{authorization:?}: {other:?}"),
    }
}

#[test]
fn a_sender_without_proof_is_told_which_and_the_operator_where() {
    const LOGIN: &str = r#"{"basic":{"user":"am","password":"s3cret-one"}}"#;
    const BOTH: &str =
        r#"{"bearer_token":"0123456789abcdef","basic":{"user":"am","password":"s3cret-one"}}"#;
    use RejectionKind::{Forbidden, Unauthenticated};
    for (settings, authorization, kind, reason) in [
        (
            SETTINGS,
            None,
            Unauthenticated,
            "there is no Authorization header: this source takes a token",
        ),
        (LOGIN, None, Unauthenticated, "this source takes a login"),
        (
            BOTH,
            None,
            Unauthenticated,
            "this source takes a token or a login",
        ),
        (
            SETTINGS,
            Some("Basic eDp5"),
            Unauthenticated,
            "is of another kind: this source takes a token",
        ),
        (
            LOGIN,
            Some("Bearer x"),
            Unauthenticated,
            "is of another kind: this source takes a login",
        ),
        (
            SETTINGS,
            Some("Bearer x"),
            Forbidden,
            "is not the one of this source",
        ),
        (
            BOTH,
            Some("Basic eDp5"),
            Forbidden,
            "is not the one of this source",
        ),
    ] {
        let rejection = rejection(settings, authorization);
        assert_eq!(rejection.kind, kind, "{authorization:?}");
        assert!(rejection.reason.contains(reason), "{}", rejection.reason);
        assert!(
            rejection.help.contains("`http_config`") && rejection.help.contains("Grafana"),
            "{}",
            rejection.help
        );
        let said = format!("{rejection:?}");
        assert!(
            !said.contains(TOKEN) && !said.contains("s3cret") && !said.contains("eDp5"),
            "{said}"
        );
    }
}

#[test]
fn whatever_the_sender_sends_is_sound_alerts_or_nothing_at_all() {
    let cases = case::load(Path::new("cases")).unwrap();
    let hostile = hostile::requests(cases.into_iter().map(|case| case.request).collect());
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&hostile, |mut request| {
        request.settings = genuine(b"").settings;
        Scheme::Bearer.sign(&mut request, TOKEN);
        match testing::read::<Alertmanager>(&request) {
            Answer::Alerts(alerts) => alerts
                .iter()
                .for_each(|alert| sound(alert, &request.body.bytes())),
            Answer::Ignored { .. } => {}
            other => panic!("{other:?}"),
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn sound(alert: &Alert, body: &[u8]) {
    assert!(
        (1..=256).contains(&alert.event_id.len())
            && (1..=256).contains(&alert.key().len())
            && alert.details.is_some()
    );
    assert!(
        !alert.title.is_empty() && !alert.title.contains(char::is_control),
        "{:?}",
        alert.title
    );
    assert!(alert.title.chars().count() <= 200 && alert.labels.len() <= 64);
    // An escape may spell it.
    let resolved = body
        .windows(8)
        .any(|part| part.eq_ignore_ascii_case(b"resolved"));
    assert!(alert.status == Status::Trigger || resolved || body.contains(&b'\\'));
}
