//! The files of a case: their meaning, and the errors where they cannot be read.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::fs;
use std::path::Path;

use plugin_sdk::case::{self, RECEIVED_AT, load, no_settings, parse_request, write_request};
use plugin_sdk::contract::{Body, Request};

fn parse(message: &str) -> Result<Request, String> {
    parse_request(message.as_bytes(), no_settings(), None, RECEIVED_AT)
        .map_err(|error| error.to_string())
}

#[test]
fn a_message_is_read_as_the_host_would_hand_it_over() {
    let message = b"POST https://a.example/in/shop/x?b=%20 HTTP/1.1\r\nX-Name: caf\xe9\r\nx-name:  2 \r\n\r\na=1\n\xff";
    let settings = serde_json::from_str(r#"{"a": 1}"#).unwrap();
    let request = parse_request(message, settings, None, "2026-02-03T04:05:06.789Z").unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://a.example/in/shop/x?b=%20")
    );
    assert_eq!(
        (request.source.as_str(), request.received_at.as_str()),
        ("shop", "2026-02-03T04:05:06.789Z")
    );
    assert_eq!(
        request.headers,
        [
            ("x-name".into(), "café".into()),
            ("x-name".into(), "2".into())
        ]
    );
    assert_eq!(*request.body.bytes(), *b"a=1\n\xff");
    assert_eq!(request.settings.get(), r#"{"a": 1}"#);
}

#[test]
fn a_request_that_is_written_is_read_as_itself() {
    for body in [&b""[..], b"a=1\n", b"\xff\n\n", b"POST / HTTP/1.1\n\n"] {
        let message = b"POST https://a.example/in/shop?b=%20 HTTP/1.1\nx-name: caf\xe9\nx-name: 2\nx-empty: \n\n";
        let request =
            parse_request(&[message, body].concat(), no_settings(), None, RECEIVED_AT).unwrap();
        let again =
            parse_request(&write_request(&request), no_settings(), None, RECEIVED_AT).unwrap();
        let (length, headers) = again.headers.split_last().unwrap();
        assert_eq!(
            length,
            &("content-length".to_owned(), body.len().to_string())
        );
        assert_eq!(
            (headers, &again.body, &again.url),
            (&*request.headers, &request.body, &request.url)
        );
    }
}

#[test]
fn a_head_may_end_its_lines_in_lf_and_have_no_headers() {
    assert_eq!(
        parse("PUT http://a.example/ HTTP/1.1\n\nbody\n")
            .unwrap()
            .body,
        Body::Text("body\n".into())
    );
}

#[test]
fn a_content_length_cuts_the_body() {
    let request = parse("POST https://a.example/ HTTP/1.1\nContent-Length: 3\n\na=1\n").unwrap();
    assert_eq!(request.body, Body::Text("a=1".into()));
}

#[test]
fn the_source_is_named_by_the_caller_or_by_the_url() {
    let named = |url: &str| parse(&format!("POST {url} HTTP/1.1\n\n")).unwrap().source;
    assert_eq!(named("https://a.example/prefix/in/shop?/in/other"), "shop");
    assert_eq!(named("https://a.example/in/shop/in/other"), "shop");
    assert_eq!(named("https://a.example/in/"), case::SOURCE);
    assert_eq!(named("https://a.example/hook?x=/in/shop"), case::SOURCE);
    let message = b"POST https://a.example/in/shop HTTP/1.1\n\n";
    assert_eq!(
        parse_request(message, no_settings(), Some("mine"), RECEIVED_AT)
            .unwrap()
            .source,
        "mine"
    );
}

#[test]
fn what_is_wrong_with_a_message_is_said_in_words() {
    for (message, said) in [
        ("", "no blank line"),
        ("POST https://a.example/ HTTP/1.1\nA: b\n", "no blank line"),
        ("hello", "no blank line"),
        (
            "POST https://a.example/ HTTP/1.1\nno colon\n\n",
            "the head is not an HTTP/1.1 request",
        ),
        (
            "POST /in/shop HTTP/1.1\nHost: a.example\n\n",
            "the whole URL",
        ),
        (
            "POST https://a.example/ HTTP/1.1\nContent-Length: many\n\n",
            "`many`, which is no number",
        ),
        (
            "POST https://a.example/ HTTP/1.1\nContent-Length: 5\n\nabc",
            "5 bytes, and 3 are there",
        ),
    ] {
        let error = parse(message).unwrap_err();
        assert!(error.contains(said), "{message:?}: {error}");
    }
}

fn put(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_folder_gives_its_cases_by_name_with_their_settings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["b.http", "a.http", "c.http"] {
        put(folder, name, "POST https://a.example/ HTTP/1.1\n\n");
    }
    put(folder, "settings.json", "[0]");
    put(folder, "b.settings.json", "[1]");
    put(folder, "a.json", "{}");
    let cases = load(folder).unwrap();
    let seen: Vec<_> = cases
        .iter()
        .map(|case| {
            (
                &*case.name,
                case.request.settings.get(),
                case.answer.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("a", "[0]", Some("{}")),
            ("b", "[1]", None),
            ("c", "[0]", None)
        ]
    );
    assert_eq!(cases[1].answer_path, folder.join("b.json"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = folder.join("missing");
    assert!(load(&missing).unwrap_err().to_string().contains("missing"));
    put(folder, "a.http", "POST / HTTP/1.1\n\n");
    put(folder, "settings.json", "{");
    assert!(
        load(folder)
            .unwrap_err()
            .to_string()
            .contains("settings.json: the settings are not JSON")
    );
    put(folder, "settings.json", "{}");
    assert!(
        load(folder)
            .unwrap_err()
            .to_string()
            .contains("a.http: the request line needs")
    );
}

#[test]
fn answers_are_written_down_in_one_spelling() {
    assert_eq!(
        case::pretty(r#"{"b":1,"a":[]}"#).unwrap(),
        "{\n  \"a\": [],\n  \"b\": 1\n}\n"
    );
    assert!(case::pretty("{").is_err());
}
