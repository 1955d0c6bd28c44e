//! Answers: those accepted, those fixed, and the errors of the others.

use crate::answer::answer;
use plugin_sdk::contract::{Alert, Answer};
use serde_json::{Value, json};

fn alert(change: Value) -> Result<Alert, String> {
    let mut alert = json!({"event_id": "e1", "priority": "high", "title": "Title"});
    for (name, value) in change.as_object().unwrap() {
        alert[name] = value.clone();
    }
    match answer(json!({"alerts": [alert]}).to_string().as_bytes()) {
        Ok(Answer::Alerts(mut alerts)) => Ok(alerts.remove(0)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn reply(change: Value) -> Result<(), String> {
    let mut reply =
        json!({"status": 200, "headers": [["content-type", "text/plain"]], "body": {"text": "ok"}});
    for (name, value) in change.as_object().unwrap() {
        reply[name] = value.clone();
    }
    answer(json!({"reply": reply}).to_string().as_bytes())
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn a_wrong_shape_is_told_by_place_and_by_what_was_expected() {
    let wrong = |text: &str| answer(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        wrong(r#"{"alerts":[{"event_id":"a","priority":"high","title":7}]}"#),
        "`alerts[0].title`: invalid type: integer `7`, expected a string at line 1 column 54"
    );
    assert!(
        wrong(r#"{"alerts":[{"event_id":"a","priority":"loud","title":"t"}]}"#)
            .contains("`alerts[0].priority`")
    );
    assert!(
        wrong(r#"{"alerts":[{"event_id":"a","title":"t"}]}"#).contains("missing field `priority`")
    );
    assert!(wrong(r#"{"something":[]}"#).contains("unknown variant `something`"));
    assert!(wrong("[]").contains("line 1 column"), "{}", wrong("[]"));
    assert_eq!(wrong(""), "expected JSON, found nothing");
    assert!(wrong(&"[".repeat(100_000)).len() < 200);
}

#[test]
fn answer_error_is_one_bounded_line() {
    let long = "x".repeat(1 << 20);
    for text in [
        json!({"alerts": [{"event_id": "a", "priority": long, "title": "t"}]}),
        json!({"alerts": [{"event_id": "a", "priority": "high", "title": "t", "labels": {&long: 7}}]}),
        json!({&long: []}),
        json!({"alerts": [{"event_id": "a", "priority": "lo\nud", "title": "t"}]}),
    ] {
        let said = answer(text.to_string().as_bytes()).unwrap_err().to_string();
        assert!(
            said.len() < 10_000 && !said.contains('\n'),
            "{} bytes: {said:.200}",
            said.len()
        );
    }
}

#[test]
fn a_thousand_alerts_are_enough() {
    let alerts = |count| {
        let alert = json!({"event_id": "e1", "priority": "high", "title": "Title"});
        answer(json!({"alerts": vec![alert; count]}).to_string().as_bytes())
    };
    assert!(alerts(1000).is_ok());
    assert_eq!(
        alerts(1001).unwrap_err().to_string(),
        "`alerts`: expected at most 1,000 alerts, found 1001"
    );
    assert!(alerts(0).is_ok());
}

#[test]
fn an_event_id_that_cannot_be_used_is_an_error() {
    assert!(alert(json!({"event_id": "x".repeat(256)})).is_ok());
    assert_eq!(
        alert(json!({"event_id": "x".repeat(257)})).unwrap_err(),
        "`alerts[0].event_id`: expected 1 to 256 bytes, found 257 bytes"
    );
    assert!(alert(json!({"event_id": ""})).is_err());
}

#[test]
fn a_key_that_cannot_be_used_is_an_error() {
    assert!(alert(json!({"key": "x".repeat(1024)})).is_ok());
    assert!(
        alert(json!({"key": "x".repeat(1025)}))
            .unwrap_err()
            .contains("`alerts[0].key`")
    );
    assert!(alert(json!({"key": ""})).is_err());
}

#[test]
fn texts_that_are_too_long_are_cut_between_characters() {
    let title = alert(json!({"title": "é".repeat(1000)})).unwrap().title;
    assert!(
        title.len() <= 1024 && title.ends_with("é…"),
        "{}",
        title.len()
    );
    assert_eq!(
        alert(json!({"title": "x".repeat(1024)}))
            .unwrap()
            .title
            .len(),
        1024
    );
    assert_eq!(
        alert(json!({"message": "x".repeat(100_000)}))
            .unwrap()
            .message
            .unwrap()
            .len(),
        64 * 1024
    );
}

#[test]
fn a_blank_title_becomes_the_event_id() {
    assert_eq!(alert(json!({"title": " \n"})).unwrap().title, "e1");
}

#[test]
fn only_a_link_that_can_be_followed_is_kept() {
    let link = |link: &str| alert(json!({ "link": link })).unwrap().link;
    for kept in ["https://example.com/a?b#c", "http://localhost:8080"] {
        assert_eq!(link(kept).as_deref(), Some(kept));
    }
    let long = format!("https://example.com/{}", "x".repeat(3000));
    for dropped in [
        "",
        "/a",
        "example.com",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        &long,
    ] {
        assert_eq!(link(dropped), None, "{dropped}");
    }
}

#[test]
fn a_time_that_is_too_long_to_be_one_is_dropped() {
    assert_eq!(
        alert(json!({"occurred_at": "x".repeat(65)}))
            .unwrap()
            .occurred_at,
        None
    );
    assert!(
        alert(json!({"occurred_at": "2026-11-23T12:00:00Z"}))
            .unwrap()
            .occurred_at
            .is_some()
    );
}

#[test]
fn labels_are_bounded_in_number_and_in_size() {
    let many: Value = (0..100)
        .map(|number| (format!("name{number:03}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(alert(json!({ "labels": many })).unwrap().labels.len(), 64);
    let odd = json!({"": "x", "y".repeat(129): "x", "long": "x".repeat(2000)});
    let labels = alert(json!({ "labels": odd })).unwrap().labels;
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["long"]);
    assert_eq!(labels["long"].len(), 1024);
}

#[test]
fn details_are_kept_byte_for_byte() {
    let text = r#"{"alerts":[{"event_id":"e1","priority":"low","title":"t","details":{ "b":1.0, "a":"\u00e9[[" }}]}"#;
    let Ok(Answer::Alerts(alerts)) = answer(text.as_bytes()) else {
        panic!()
    };
    assert_eq!(
        alerts[0].details.as_ref().unwrap().get(),
        r#"{ "b":1.0, "a":"\u00e9[[" }"#
    );
}

#[test]
fn details_that_nest_without_end_are_carried_as_text() {
    let details = |depth: usize, inside: &str| {
        let nested = format!("{}{inside}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(
            r#"{{"alerts":[{{"event_id":"e","priority":"low","title":"t","details":{nested}}}]}}"#
        );
        let Ok(Answer::Alerts(alerts)) = answer(text.as_bytes()) else {
            panic!()
        };
        alerts[0].details.as_ref().unwrap().get().to_owned()
    };
    assert!(details(64, "").starts_with('['));
    assert!(details(65, "").starts_with('"'));
    assert!(details(100_000, "").starts_with('"'));
    // Brackets in a text are none.
    assert!(details(2, &format!(r#""\"{}""#, "[".repeat(100))).starts_with('['));
}

#[test]
fn reasons_are_cut() {
    let long = "x".repeat(10_000);
    let text = json!({"rejected": {"kind": "malformed", "reason": long, "help": long}}).to_string();
    let Ok(Answer::Rejected(rejection)) = answer(text.as_bytes()) else {
        panic!()
    };
    assert_eq!((rejection.reason.len(), rejection.help.len()), (2048, 2048));
}

#[test]
fn a_reply_must_be_one_that_http_allows() {
    assert_eq!(reply(json!({})), Ok(()));
    assert_eq!(
        reply(json!({"headers": [["X-Hook-Secret", "a"], ["WebHook-Allowed-Origin", "*"]]})),
        Ok(())
    );
    assert_eq!(
        reply(json!({"headers": [["Content-Type", "Application/JSON; charset=utf-8"]]})),
        Ok(())
    );
    assert_eq!(
        reply(json!({"status": 599, "body": {"base64": "AAE="}})),
        Ok(())
    );
    for (change, place) in [
        (json!({"status": 199}), "reply.status"),
        (json!({"status": 600}), "reply.status"),
        (json!({"headers": [["a b", "c"]]}), "reply.headers[0]"),
        (json!({"headers": [["", "c"]]}), "reply.headers[0]"),
        (
            json!({"headers": [["x-a", "c"], ["x-b", "c\r\nx-d: e"]]}),
            "reply.headers[1]",
        ),
        (
            json!({"headers": [["Transfer-Encoding", "chunked"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["content-length", "5"]]}),
            "reply.headers[0]",
        ),
        (json!({"headers": vec![["x-a", "c"]; 65]}), "reply.headers"),
        (
            json!({"headers": [["set-cookie", "a=b"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["Access-Control-Allow-Origin", "*"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["location", "https://evil.example"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["X-Accel-Redirect", "/etc/passwd"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["X-Sendfile", "/etc/passwd"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["x-content-type-options", ""]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["content-type", "text/html"]]}),
            "reply.headers[0]",
        ),
        (
            json!({"headers": [["content-type", "image/svg+xml; charset=utf-8"]]}),
            "reply.headers[0]",
        ),
        (json!({"body": {"base64": "?"}}), "reply.body.base64"),
    ] {
        let error = reply(change.clone()).unwrap_err();
        assert!(
            error.starts_with(&format!("`{place}`: expected")),
            "{change}: {error}"
        );
    }
}
