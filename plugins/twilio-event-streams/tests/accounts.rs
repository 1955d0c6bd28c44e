//! Accounts within one source: an event belongs to the account whose own token proved it, whatever
//! it claims.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::contract::{Alert, Answer};
use plugin_sdk::signature::{Scheme, sha256};
use plugin_sdk::testing;
use serde_json::json;
use twilio_event_streams::TwilioEventStreams;

/// The alert of an event that claims an account, signed with the token of another.
fn alert(claimed: Option<&str>, token: &str) -> Alert {
    let (own, other) = accounts();
    let body = json!([{ "specversion": "1.0", "id": "EZ1", "time": "2026-01-01T00:00:00Z",
        "data": { "level": "ERROR", "error_code": "11200", "account_sid": claimed } }]);
    let body = body.to_string();
    let url = format!(
        "https://alerts.example.com/in/x?bodySHA256={}",
        sha256(body.as_bytes()).hex()
    );
    let settings = json!({ "auth_token": { own: "token-of-a", other: "token-of-b" } }).to_string();
    let request = testing::post(&url)
        .settings(&settings)
        .json(&body)
        .signed(&Scheme::Twilio, token)
        .build();
    match testing::read::<TwilioEventStreams>(&request) {
        Answer::Alerts(mut alerts) => alerts.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn accounts() -> (String, String) {
    (
        format!("AC{}", "a".repeat(32)),
        format!("AC{}", "b".repeat(32)),
    )
}

#[test]
fn event_of_the_account_that_signed_keeps_its_id() {
    let (own, _) = accounts();
    let alert = alert(Some(&own), "token-of-a");
    assert_eq!(
        (&*alert.event_id, &*alert.labels["account_sid"]),
        ("EZ1", &*own)
    );
    assert!(!alert.labels.contains_key("claimed_account_sid"));
}

#[test]
fn event_that_claims_another_account_is_the_signers() {
    let (own, other) = accounts();
    let forged = alert(Some(&other), "token-of-a");
    assert_eq!(forged.event_id, format!("{own} EZ1"));
    assert_eq!(
        (
            &*forged.labels["account_sid"],
            &*forged.labels["claimed_account_sid"]
        ),
        (&*own, &*other)
    );
    assert_ne!(
        forged.event_id,
        alert(Some(&other), "token-of-b").event_id,
        "it takes no event's place"
    );
    assert_eq!(alert(None, "token-of-a").labels["account_sid"], own);
}
