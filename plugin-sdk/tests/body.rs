//! Bodies from senders, proxies and strangers: each is read by its real type, or an alert gives the
//! reason why not.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::body::{self, Body, Reading, Repair, unreadable};
use plugin_sdk::contract::{Content, Priority, Request, Unreadable};
use plugin_sdk::testing;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

fn request(media_type: &str, body: impl Into<Vec<u8>>) -> Request {
    let post = testing::post("https://a.example/in/hook").body(body);
    if media_type.is_empty() {
        post.build()
    } else {
        post.header("content-type", media_type).build()
    }
}

fn json(media_type: &str, body: impl Into<Vec<u8>>) -> String {
    let request = request(media_type, body);
    let reading = body::read(&request).unwrap();
    reading
        .json()
        .unwrap_or_else(|| panic!("{reading:?}"))
        .into_owned()
}

fn refusal(media_type: &str, body: impl Into<Vec<u8>>) -> Unreadable {
    let request = request(media_type, body);
    match body::read(&request) {
        Err(why) => why,
        Ok(reading) => panic!("{reading:?}"),
    }
}

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn checked_json_is_what_was_sent_and_nothing_made_of_it() {
    for (body, checked) in [
        (" {\"a\": [1]}\n", Some("{\"a\": [1]}")),
        ("\u{feff}[]", Some("[]")),
        ("7", Some("7")),
        ("{\"a\":1,}", None),
        ("{}\n{}", None),
        ("a=1", None),
        ("words", None),
        ("", None),
    ] {
        let request = request("", body);
        let reading = body::read(&request).unwrap();
        assert_eq!(reading.checked().map(RawValue::get), checked, "{body}");
        if checked.is_some() {
            assert_eq!(reading.json().as_deref(), checked, "{body}");
        }
    }
}

#[test]
fn json_is_json_under_every_type_and_to_the_letter() {
    let sent = r#"{"z":1.10, "a":12345678901234567890123,"z":[ 1 ]}"#;
    for media_type in [
        JSON,
        FORM,
        "",
        "text/plain",
        "application/octet-stream",
        "application/vnd.x+json",
        "text/xml",
    ] {
        for body in [
            sent.to_owned(),
            format!(" \n{sent}\r\n"),
            format!("\u{feff}{sent}"),
        ] {
            assert_eq!(json(media_type, body), sent, "{media_type}");
        }
    }
}

#[test]
fn small_mistakes_are_repaired_and_told() {
    for (body, read, repair) in [
        (r#"{"v":NaN}"#, r#"{"v":"NaN"}"#, Repair::NotANumber),
        (
            "{\"t\":\"l1\nl2\"}",
            "{\"t\":\"l1\\nl2\"}",
            Repair::ControlCharacter,
        ),
        ("{\"a\":[1,],}", "{\"a\":[1]}", Repair::TrailingComma),
        ("{\"a\":1}\0\0", "{\"a\":1}", Repair::TrailingNul),
        (
            r#"{"v":,"w":1}"#,
            r#"{"v":null,"w":1}"#,
            Repair::MissingValue,
        ),
        (r#""{\"a\":1}""#, r#"{"a":1}"#, Repair::Packed),
        ("{'v': 'x'}", r#"{"v": "x"}"#, Repair::Quotes),
        ("{v: 1}", r#"{"v": 1}"#, Repair::Quotes),
    ] {
        for media_type in [JSON, ""] {
            let request = request(media_type, body);
            let reading = body::read(&request).unwrap();
            assert_eq!(
                (reading.json().unwrap().as_ref(), &*reading.repairs),
                (read, &[repair][..])
            );
        }
    }
}

#[test]
fn quotes_that_may_mean_two_things_are_refused() {
    for body in [
        "{state: resolved}",
        "{'a': 'it's', 'b': 1}",
        "{'a': 'C:\\dir'}",
        "{'a': 'x",
    ] {
        for media_type in [JSON, ""] {
            assert!(
                refusal(media_type, body).to_string().contains("JSON"),
                "{body}"
            );
        }
    }
}

#[test]
fn parts_that_mail_libraries_encode_are_decoded() {
    let body = "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\
        Content-Type: application/json\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        eyJzdGF0dXMiOiJva\r\nyJ9\r\n--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nZo=C3=AB\r\n--x--\r\n";
    assert_eq!(
        json("multipart/form-data; boundary=x", body),
        r#"{"data":"{\"status\":\"ok\"}","note":"Zoë"}"#
    );
}

#[test]
fn several_values_are_one_array() {
    for body in [
        "{\"a\":1.0}\n{\"a\":2}\n",
        "{\"a\":1.0}{\"a\":2}",
        "{\"a\":1.0} {\"a\":2}\0",
        "{\"a\":1.0}\r\n\r\n{\"a\":2}",
        "\u{1e}{\"a\":1.0}\n\u{1e}{\"a\":2}\n",
    ] {
        assert_eq!(
            json("application/x-ndjson", body),
            r#"[{"a":1.0},{"a":2}]"#,
            "{body:?}"
        );
        assert_eq!(json("", body), r#"[{"a":1.0},{"a":2}]"#, "{body:?}");
    }
}

#[test]
fn forms_are_known_by_type_and_by_their_looks() {
    assert_eq!(
        json(FORM, "b=1&a=%22x%22&b=2&c"),
        r#"{"b":["1","2"],"a":"\"x\"","c":""}"#
    );
    assert_eq!(
        json("", "name=db+1&state=up"),
        r#"{"name":"db 1","state":"up"}"#
    );
    assert_eq!(
        json("application/octet-stream", "a[b]=1"),
        r#"{"a[b]":"1"}"#
    );
    assert_eq!(
        json(FORM, "payload=%7B%22a%22:1%7D"),
        r#"{"payload":"{\"a\":1}"}"#
    );
}

#[test]
fn json_that_was_encoded_twice_is_json() {
    let sent = r#"{"a":"ü=&+","b":[1]}"#;
    let escaped = "%7B%22a%22%3A%22%C3%BC%3D%26%2B%22%2C%22b%22%3A%5B1%5D%7D";
    for (media_type, body) in [
        (JSON, Value::from(sent).to_string()),
        ("text/plain", Value::from(format!(" {sent}\n")).to_string()),
        (FORM, escaped.to_owned()),
        ("", escaped.to_lowercase()),
        (FORM, format!("{escaped}=")),
        (JSON, format!("\u{1e}{sent}\n")),
    ] {
        assert_eq!(json(media_type, body.clone()), sent, "{body}");
    }
    assert_eq!(json(JSON, r#""{words}""#), r#""{words}""#);
    assert_eq!(
        refusal(JSON, r#""{\"a\":1""#).reason,
        "JSON that ends too soon"
    );
    assert_eq!(json(FORM, "%7Ba=1"), r#"{"{a":"1"}"#);
}

#[test]
fn wrong_type_of_a_form_hides_nothing() {
    let fields = r#"{"name":"db 1","state":"up"}"#;
    for media_type in [JSON, "text/plain", "text/html"] {
        assert_eq!(
            json(media_type, "name=db+1&state=up"),
            fields,
            "{media_type}"
        );
    }
    let parts = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\ndb 1\r\n--b\r\nContent-Disposition: form-data; \
        name=\"state\"\r\n\r\nup\r\n--b--\r\n";
    for media_type in ["", "multipart/form-data"] {
        assert_eq!(json(media_type, parts), fields, "{media_type}");
    }
    for media_type in ["multipart/form-data", "multipart/form-data; boundary=b"] {
        assert_eq!(json(media_type, r#" {"a":1}"#), r#"{"a":1}"#);
    }
}

#[test]
fn bytes_that_are_no_text_say_so() {
    for (media_type, body, said) in [
        (
            "application/msgpack",
            &b"\x81\xa1a\x01"[..],
            "not text: application/msgpack",
        ),
        (
            "application/x-protobuf",
            b"\x0a\x02hi",
            "not text: application/x-protobuf",
        ),
        ("image/png", b"\x89PNG", "not text: image/png"),
        ("", b"\x0a\x02a\x00b", "not text: byte 3"),
        ("text/plain", b"a\x00b", "not text: byte 1"),
    ] {
        assert_eq!(refusal(media_type, body).to_string(), said);
    }
    assert_eq!(json("application/x-msgpack", r#"{"a":1}"#), r#"{"a":1}"#);
}

#[test]
fn parts_are_fields() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\ndb1\r\n--b\r\nContent-Disposition: form-data; \
        name=\"log\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n";
    let read = json("multipart/form-data; boundary=b", body);
    let expected = r#"{"name":"db1","log":{"filename":"a.txt","size":1,"content_type":"text/plain","text":"x"}}"#;
    assert_eq!(read, expected);
    assert_eq!(
        refusal("multipart/form-data; boundary=c", body).reason,
        "a form of parts without its boundary"
    );
}

#[test]
fn text_and_xml_are_text() {
    for (media_type, body) in [
        ("text/plain", "disk full on db1"),
        ("", "[CRITICAL] disk full on db1"),
        ("text/plain", "[1] a=b"),
        ("text/plain", "12:30 disk full"),
        ("text/plain", "true story"),
        ("", "{alert} disk full"),
        (
            "application/xml",
            "<?xml version=\"1.0\"?><a b=\"c\">&lt;</a>",
        ),
        ("", "a = b"),
        ("text/plain", "a=b"),
    ] {
        let request = request(media_type, body);
        let Reading {
            body: read, text, ..
        } = body::read(&request).unwrap();
        assert_eq!(
            (read, &*text),
            (Body::Text(body.into()), body),
            "{media_type}"
        );
    }
    assert_eq!(
        body::read(&request(JSON, " \r\n")).unwrap().body,
        Body::Empty
    );
}

#[test]
fn what_is_no_json_says_where() {
    for (media_type, body, said) in [
        (JSON, "{\"a\":1,\n \"b\":tru}", "not JSON: line 2, column 9"),
        (JSON, r#"{"name":"C:\data"}"#, "not JSON: line 1, column 13"),
        (FORM, r#"{"name":"C:\data"}"#, "not JSON: line 1, column 13"),
        ("", r#"{"a":1"#, "JSON that ends too soon: line 1, column 6"),
        (JSON, "disk full", "not JSON: line 1, column 1"),
        (JSON, "{\"a\":1}}", "not JSON: line 1, column 8"),
        (JSON, "{'a':1}}", "not JSON: line 1, column 2"),
    ] {
        assert_eq!(refusal(media_type, body).to_string(), said, "{body}");
    }
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(refusal(JSON, deep).reason, "JSON that nests too deeply");
}

#[test]
fn decoded_body_is_read_in_place_of_the_one_that_was_sent() {
    let utf16: Vec<u8> = "{\"a\":\"ö\"}"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(json(JSON, utf16), "{\"a\":\"ö\"}");
    let mut broken = request(JSON, "{}");
    let why = Unreadable {
        reason: "gzip that is broken".to_owned(),
        at: String::new(),
    };
    broken.content = Some(Content::Unreadable(why.clone()));
    assert_eq!(body::read(&broken), Err(why));
}

#[test]
fn alert_says_what_and_where_in_the_senders_words() {
    let request = request(
        JSON,
        r#"{"id": 7, "title": "Disk full on db1", "path": "C:\data"}"#,
    );
    let why = body::read(&request).unwrap_err();
    let alert = unreadable::alert(&request, &why, Priority::Low);
    assert_eq!(
        alert.title,
        "test: Disk full on db1 (could not be read: not JSON: line 1, column 52)"
    );
    assert_eq!(
        (alert.priority, alert.unreadable),
        (Priority::High, Some(why.clone()))
    );
    assert_eq!(
        unreadable::alert(&request, &why, Priority::Critical).priority,
        Priority::Critical
    );
    let details: Value = serde_json::from_str(alert.details.unwrap().get()).unwrap();
    assert_eq!(details["body_text"], request.body.text().as_ref());
}

#[test]
fn alert_of_bytes_shows_them_as_base64() {
    let request = request("application/pdf", [0xff, 0x00, 0xfe]);
    let why = Unreadable {
        reason: "bytes".to_owned(),
        at: String::new(),
    };
    let alert = unreadable::alert(&request, &why, Priority::High);
    assert_eq!(alert.title, "test: a request could not be read: bytes");
    assert_eq!(
        alert.details.unwrap().get(),
        r#"{"unreadable":"bytes","body_base64":"/wD+"}"#
    );
}

#[test]
fn largest_body_makes_an_alert_that_the_host_takes() {
    for filler in ["x", "\u{1}", "ü", "\""] {
        let request = request(JSON, filler.repeat(1024 * 1024 / filler.len()));
        let alert = unreadable::alert(&request, &body::read(&request).unwrap_err(), Priority::High);
        let bytes = serde_json::to_vec(&alert).unwrap().len();
        assert!(bytes < 1024 * 1024, "{filler:?}: {bytes}");
    }
}

/// A JSON value of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no NaN", |number| number.is_finite())
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn containers() -> impl Strategy<Value = Value> {
    any_json().prop_map(|value| {
        if value.is_object() || value.is_array() {
            value
        } else {
            Value::from(vec![value])
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every body is read, or becomes an alert that can be delivered. A body read as JSON is JSON.
    #[test]
    fn no_body_is_too_strange(media_type in "[ -~]{0,40}", coding in "[ -~]{0,12}", body in any::<Vec<u8>>()) {
        let request = testing::post("https://a.example/in/hook")
            .header("content-type", &media_type).header("content-encoding", &coding).body(body).build();
        match body::read(&request) {
            Ok(reading) => if let Some(json) = reading.json() {
                prop_assert!(serde_json::from_str::<&RawValue>(&json).is_ok(), "{}", json);
            },
            Err(why) => {
                let alert = unreadable::alert(&request, &why, Priority::Low);
                prop_assert!(alert.priority <= Priority::High && !why.reason.is_empty() && alert.details.is_some());
            }
        }
    }

    /// JSON is the same to the letter under every charset and type.
    #[test]
    fn json_survives_its_journey(value in containers(), media_type in prop_oneof![Just(JSON), Just(FORM), Just("")]) {
        let sent = value.to_string();
        prop_assert_eq!(&json(media_type, sent.clone()), &sent);
        let utf16 = |unit: fn(u16) -> [u8; 2]| std::iter::once(0xfeff).chain(sent.encode_utf16()).flat_map(unit).collect::<Vec<u8>>();
        prop_assert_eq!(&json(media_type, utf16(u16::to_le_bytes)), &sent);
        prop_assert_eq!(&json(media_type, utf16(u16::to_be_bytes)), &sent);
    }

    /// A repair never changes a value: with its mistakes put in, JSON reads as without them.
    #[test]
    fn repairs_keep_values_true(value in containers(), trailing in ",?\0{0,3}") {
        let sent = value.to_string();
        let broken = sent.replace("\\n", "\n").replace("\\t", "\t").replace("]", ",]").replace("}", ",}")
            .replace("[,]", "[]").replace("{,}", "{}") + &trailing;
        // Where a string holds a bracket or an escaped backslash, this made another value of it,
        // not a mistake.
        prop_assume!(!sent.contains("\\\\") && !strings_of(&value).any(|text| text.contains([']', '}'])));
        let read: Value = serde_json::from_str(&json(JSON, broken)).unwrap();
        // As the same parser reads it: it rounds some numbers.
        prop_assert_eq!(read, serde_json::from_str::<Value>(&sent).unwrap());
    }

    /// Two requests never share an id if they differ in any shown part.
    #[test]
    fn ids_of_unreadable_requests_tell_them_apart(one in "[a-c]{0,4}", other in "[a-c]{0,4}", url in "[a-c]{0,2}") {
        let id = |body: &str, url: &str| {
            let request = testing::post(&format!("https://a.example/in/hook?{url}")).body(format!("{{{body}")).build();
            let why = Unreadable { reason: "not JSON".to_owned(), at: String::new() };
            unreadable::alert(&request, &why, Priority::High).event_id
        };
        prop_assert_eq!(id(&one, &url) == id(&other, &url), one == other);
        prop_assert_eq!(id(&one, &url) == id(&one, "x"), url == "x");
    }
}

fn strings_of(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(&**text)),
        Value::Array(values) => Box::new(values.iter().flat_map(strings_of)),
        Value::Object(members) => Box::new(
            members
                .iter()
                .flat_map(|(name, value)| std::iter::once(&**name).chain(strings_of(value))),
        ),
        _ => Box::new(std::iter::empty()),
    }
}
