//! The test kit names the mistake and the remedy to an author.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use plugin_sdk::contract::{Alert, Answer, Description, Priority, Request};
use plugin_sdk::{Plugin, testing};

struct Echo;

impl Plugin for Echo {
    type Settings = ();

    fn describe() -> Description {
        Description::new(
            "echo",
            "1.0.0",
            "Says what it hears.",
            serde_json::json!({}),
        )
    }

    fn read(request: &Request, (): ()) -> Answer {
        Answer::alert(Alert::new("1", Priority::Low, request.body.text()))
    }
}

struct Careless;

impl Plugin for Careless {
    type Settings = ();

    fn describe() -> Description {
        let settings = serde_json::json!({ "properties": { "token": {} } });
        Description {
            secrets: vec!["tokn".into()],
            ..Description::new("careless", "1.0.0", "", settings)
        }
    }

    fn read(_: &Request, (): ()) -> Answer {
        Answer::ignored("always")
    }
}

const ANSWER: &str =
    r#"{"alerts": [{"title": "hi", "event_id": "1", "status": "trigger", "priority": "low"}]}"#;

fn folder_with(answer: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("hello.http"),
        "POST https://a.example/ HTTP/1.1\n\nhi",
    )
    .unwrap();
    fs::write(folder.path().join("settings.json"), "null").unwrap();
    if let Some(answer) = answer {
        fs::write(folder.path().join("hello.json"), answer).unwrap();
    }
    folder
}

fn complaint<P: Plugin>(folder: &Path) -> String {
    *catch_unwind(|| testing::run_cases::<P>(folder))
        .unwrap_err()
        .downcast()
        .unwrap()
}

#[test]
fn case_passes_whatever_the_order_of_keys() {
    testing::run_cases::<Echo>(folder_with(Some(ANSWER)).path());
}

#[test]
fn another_answer_is_shown_as_a_difference() {
    let said = complaint::<Echo>(folder_with(Some(&ANSWER.replace("hi", "ho"))).path());
    assert!(
        said.contains("case hello") && said.contains("-      \"title\": \"ho\""),
        "{said}"
    );
    assert!(said.contains("+      \"title\": \"hi\""), "{said}");
}

#[test]
fn a_missing_answer_is_printed_to_be_put_there() {
    let said = complaint::<Echo>(folder_with(None).path());
    assert!(
        said.contains("hello.json is missing") && said.contains("\"title\": \"hi\""),
        "{said}"
    );
}

#[test]
fn an_empty_folder_is_no_test() {
    let folder = tempfile::tempdir().unwrap();
    assert!(complaint::<Echo>(folder.path()).contains("holds no case"));
}

#[test]
fn a_secret_that_is_no_setting_is_noticed() {
    let said =
        complaint::<Careless>(folder_with(Some(r#"{"ignored": {"reason": "always"}}"#)).path());
    assert!(said.contains("\"tokn\" is no property"), "{said}");
}
