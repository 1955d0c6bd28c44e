//! An authenticated event always becomes an alert, and nothing that is sent makes the plugin panic.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::fmt::Write as _;

use plugin_sdk::contract::{Alert, Answer, NoteKind, Priority, Request};
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, hostile};
use twilio_errors::TwilioErrors;

const URL: &str = "https://gw.example.com/in/twilio";

fn request(body: &[u8]) -> Request {
    testing::post(URL)
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(body)
        .settings(r#"{"auth_token":"12345"}"#)
        .signed(&Scheme::Twilio, "12345")
        .build()
}

fn alert_of(body: &[u8]) -> Alert {
    match testing::read::<TwilioErrors>(&request(body)) {
        Answer::Alerts(mut alerts) => alerts.pop().unwrap(),
        other => panic!("{}: {other:?}", body.escape_ascii()),
    }
}

fn alert_with(fields: &[(&str, &str)]) -> Alert {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    alert_of(body.as_bytes())
}

fn title(level: &str, payload: &str) -> String {
    alert_with(&[("Sid", "NO1"), ("Level", level), ("Payload", payload)]).title
}

#[test]
fn the_priority_follows_the_level_however_it_is_written() {
    for (level, priority) in [
        ("ERROR", Priority::High),
        (" error\n", Priority::High),
        ("Warning", Priority::Medium),
        ("NOTICE", Priority::Low),
        ("CRITICAL", Priority::Critical),
        ("Fehler", Priority::High),
        ("", Priority::High),
    ] {
        assert_eq!(
            alert_with(&[("Level", level)]).priority,
            priority,
            "{level:?}"
        );
    }
    assert_eq!(alert_with(&[]).priority, Priority::High);
}

#[test]
fn a_title_is_the_code_and_the_best_words_there_are() {
    for (payload, expected) in [
        (
            r#"{"error_code":"11200","more_info":{"Msg":"Bad Gateway","msg":"x"}}"#,
            "Twilio 11200: Bad Gateway",
        ),
        (
            r#"{"error_code":11200,"more_info":{"Msg":" ","msg":"Bad\nGateway"}}"#,
            "Twilio 11200: Bad Gateway",
        ),
        (
            r#"{"error_code":"11200"}"#,
            "Twilio 11200: HTTP retrieval failure",
        ),
        (
            r#"{"more_info":{"ErrorCode":"32009,Your TwiML tried"}}"#,
            "Twilio 32009: Your TwiML tried",
        ),
        (
            r#"{"more_info":{"ErrorCode":"32009"}}"#,
            "Twilio 32009: The user you tried to dial is not registered with \
          the corresponding SIP Domain",
        ),
        (
            r#"{"error_code":"99999999"}"#,
            "Twilio 99999999: error without a description",
        ),
        (
            r#"{"error_code":"E-7","more_info":"It broke"}"#,
            "Twilio E-7: It broke",
        ),
        (
            r#"{"error_code":"7","more_info":"{\"Msg\":\"Twice packed\"}"}"#,
            "Twilio 7: Twice packed",
        ),
        (
            r#"{"error_code":null,"more_info":{"msg":"It broke"}}"#,
            "Twilio error: It broke",
        ),
        (
            r#"{"error_code":{},"more_info":[]}"#,
            "Twilio error without a code or a description",
        ),
        (r#""It broke""#, "Twilio error: It broke"),
        ("upstream says no", "Twilio error: upstream says no"),
        ("", "Twilio error without a code or a description"),
    ] {
        assert_eq!(title("ERROR", payload), expected, "{payload}");
    }
    assert_eq!(
        title("", ""),
        "Twilio event without a code or a description"
    );
}

#[test]
fn event_without_a_sid_has_the_hash_of_its_signed_text() {
    for sid in ["", "  ", "../../etc/passwd", "NO1", &"N".repeat(65)] {
        let id = alert_with(&[("Sid", sid), ("Level", "ERROR")]).event_id;
        assert!(id.starts_with("sha256:") && id.len() == 71, "{sid:?}: {id}");
    }
    assert_eq!(
        alert_of(b"Level=ERROR").event_id,
        alert_of(b"Level=ERROR").event_id
    );
    assert_ne!(
        alert_of(b"Level=ERROR").event_id,
        alert_of(b"Level=ERROR&x=").event_id
    );
    let sid = format!("NO{}", "0a".repeat(16));
    assert_eq!(alert_with(&[("Sid", &format!(" {sid} "))]).event_id, sid);
}

#[test]
fn a_link_needs_a_sid_of_the_documented_form() {
    let sid = format!("NO{}", "0a".repeat(16));
    let link = alert_with(&[("Sid", &sid)]).link.unwrap();
    assert_eq!(
        link,
        format!("https://www.twilio.com/console/debugger/{sid}")
    );
    for sid in [
        "NO1",
        "",
        &format!("NO{}", "0g".repeat(16)),
        &format!("SM{}", "0a".repeat(16)),
    ] {
        assert_eq!(alert_with(&[("Sid", sid)]).link, None, "{sid}");
    }
}

#[test]
fn a_time_is_passed_on_where_it_looks_like_one() {
    for (time, read, note) in [
        ("2020-01-01T23:28:54Z", Some("2020-01-01T23:28:54Z"), None),
        (
            "2020-01-01T23:28:54.123Z",
            Some("2020-01-01T23:28:54.123Z"),
            None,
        ),
        (
            "Wed, 01 Jan 2020 23:28:54 GMT",
            Some("2020-01-01T23:28:54Z"),
            None,
        ),
        ("yesterday", None, Some(NoteKind::UnreadableTime)),
        ("", None, Some(NoteKind::NoTime)),
    ] {
        let alert = alert_with(&[("Timestamp", time)]);
        assert_eq!(alert.occurred_at.as_deref(), read, "{time:?}");
        assert_eq!(alert.notes.first().map(|note| note.kind), note, "{time:?}");
    }
}

#[test]
fn a_payload_of_nearly_256_kib_is_carried_whole() {
    for filler in ["x", "\u{0}", "ü", "[", "\\\""] {
        let text = filler.repeat(256 * 1024 / 3 / filler.len());
        let alert = alert_with(&[("Sid", "NO1"), ("Level", "ERROR"), ("Payload", &text)]);
        let json = serde_json::to_string(&alert).unwrap();
        assert!(
            json.len() < 1024 * 1024,
            "{filler:?} makes an answer of {} bytes",
            json.len()
        );
        assert!(alert.title.chars().count() <= 200);
        assert!(alert.details.unwrap().get().len() >= text.len());
    }
}

#[test]
fn a_form_of_very_many_fields_is_not_twilios() {
    let body = (0..1_001).fold(String::new(), |mut body, field| {
        let _ = write!(body, "f{field}=&");
        body
    });
    let Answer::Rejected(rejection) = testing::read::<TwilioErrors>(&request(body.as_bytes()))
    else {
        panic!("taken")
    };
    assert!(
        rejection.reason.contains("more than 1000 fields"),
        "{}",
        rejection.reason
    );
}

#[test]
fn ten_thousand_hostile_requests_are_answered() {
    hostile::survives::<TwilioErrors>("cases", 10_000, |request| {
        Scheme::Twilio.sign(request, "12345")
    });
}
