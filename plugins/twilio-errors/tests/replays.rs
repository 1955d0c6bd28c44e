//! A recorded request, cut elsewhere: what Twilio signs has no borders between names and values, so
//! the signature fits, and nothing new may come of it.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::collections::HashSet;

use plugin_sdk::contract::{Answer, ProofIdentity, Request};
use plugin_sdk::form;
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing;
use twilio_errors::TwilioErrors;

const URL: &str = "https://gw.example.com/in/twilio";

/// The fields of an event, in the order in which they are signed.
fn fields() -> Vec<(String, String)> {
    [
        ("AccountSid", "AC5ef8732a3c49700934481addd5ce1659"),
        ("Level", "ERROR"),
        ("ParentAccountSid", ""),
        (
            "Payload",
            r#"{"resource_sid":"CA0123456789abcdef0123456789abcdef","error_code":"11200"}"#,
        ),
        ("PayloadType", "application/json"),
        ("Sid", "NO0123456789abcdef0123456789abcdef"),
        ("Timestamp", "2026-01-01T00:00:00Z"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn request(fields: &[(String, String)], signature: Option<&str>) -> Request {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let mut request = testing::post(URL)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form::write(&fields))
        .settings(r#"{"auth_token":"12345"}"#)
        .build();
    match signature {
        Some(signature) => request.set_header("x-twilio-signature", signature),
        None => Scheme::Twilio.sign(&mut request, "12345"),
    }
    request
}

/// Cuts the text of all fields at other places, with names in order, so that the signature still
/// fits.
fn recut(text: &str, random: &mut fastrand::Rng) -> Vec<(String, String)> {
    loop {
        let mut cuts: Vec<usize> = (0..2 * random.usize(1..8) - 1)
            .map(|_| random.usize(..=text.len()))
            .collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let fields: Vec<(String, String)> = parts
            .chunks_exact(2)
            .map(|field| (field[0].to_owned(), field[1].to_owned()))
            .collect();
        if fields.windows(2).all(|pair| pair[0] < pair[1]) {
            return fields;
        }
    }
}

#[test]
fn thousand_recuts_of_one_request_open_nothing_new() {
    let recorded = request(&fields(), None);
    let signature = recorded.header("x-twilio-signature").unwrap().to_owned();
    let Answer::Alerts(first) = testing::read::<TwilioErrors>(&recorded) else {
        panic!("refused")
    };
    let proof = first.proof.clone().unwrap();
    let text: String = fields()
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut ids = HashSet::new();
    let mut taken = 0;
    for _ in 0..1_000 {
        let cut = recut(&text, &mut random);
        let Answer::Alerts(alerts) =
            testing::read::<TwilioErrors>(&request(&cut, Some(&signature)))
        else {
            panic!("the signature fits every cut: {cut:?}")
        };
        // The host takes a proof that it has seen for a repeat of the request.
        assert_eq!(alerts.proof, Some(proof.clone()), "{cut:?}");
        ids.extend(alerts.into_iter().map(|alert| alert.event_id));
        taken += 1;
    }
    // And a host that remembers only event ids opens one alert beside the first at the most.
    ids.remove(&first[0].event_id);
    assert_eq!(taken, 1_000);
    assert!(
        ids.len() <= 1 && ids.iter().all(|id| *id == proof.id),
        "{ids:?}"
    );
}

#[test]
fn invented_sid_is_no_id() {
    let text: String = fields()
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect();
    let signature = request(&fields(), None)
        .header("x-twilio-signature")
        .unwrap()
        .to_owned();
    let at = text.find("Sid").unwrap() + 3;
    for end in at + 1..at + 30 {
        let cut = [
            (text[..at - 3].to_owned(), String::new()),
            ("Sid".to_owned(), text[at..end].to_owned()),
        ];
        let rest = (text[end..].to_owned(), String::new());
        let cut: Vec<_> = cut.into_iter().chain([rest]).collect();
        if cut.windows(2).any(|pair| pair[0] >= pair[1]) {
            continue;
        }
        let Answer::Alerts(alerts) =
            testing::read::<TwilioErrors>(&request(&cut, Some(&signature)))
        else {
            continue;
        };
        let Some(ProofIdentity { id, .. }) = &alerts.proof else {
            panic!()
        };
        assert_eq!(&alerts[0].event_id, id);
    }
}

#[test]
fn recorded_request_is_refused_once_it_is_too_old() {
    let with = |max_age: &str, received: &str| {
        let mut request = request(&fields(), None);
        request.settings = serde_json::from_str(&format!(
            r#"{{"auth_token":"12345","max_age":"{max_age}"}}"#
        ))
        .unwrap();
        received.clone_into(&mut request.received_at);
        testing::read::<TwilioErrors>(&request)
    };
    assert!(matches!(
        with("10m", "2026-01-01T00:10:00.000Z"),
        Answer::Alerts(_)
    ));
    let Answer::Rejected(rejection) = with("10m", "2026-01-01T00:10:01.000Z") else {
        panic!("taken")
    };
    assert!(
        rejection.help.contains("\"10m\"") && rejection.help.contains("2026-01-01T00:00:00Z"),
        "{rejection:?}"
    );
}

#[test]
fn accounts_and_signatures_are_refused_alike() {
    let own = format!("AC{}", "a".repeat(32));
    let other = format!("AC{}", "b".repeat(32));
    let refused = |account: &str, token: &str| {
        let mut request = request(&[("AccountSid".to_owned(), account.to_owned())], None);
        request.settings =
            serde_json::from_str(&format!(r#"{{"auth_token":{{"{own}":"right"}}}}"#)).unwrap();
        Scheme::Twilio.sign(&mut request, token);
        match testing::read::<TwilioErrors>(&request) {
            Answer::Rejected(rejection) => rejection,
            other => panic!("{other:?}"),
        }
    };
    let wrong = refused(&own, "wrong");
    let unknown = refused(&other, "right");
    assert_eq!((wrong.kind, wrong.reason), (unknown.kind, unknown.reason));
    assert!(unknown.help.contains(&other) && wrong.help.contains("Usual causes"));
}

#[test]
fn request_that_is_no_event_is_of_the_account_that_signed_it() {
    let one = format!("AC{}", "a".repeat(32));
    let two = format!("AC{}", "b".repeat(32));
    let body = format!(r#"{{"AccountSid":"{two}"}}"#);
    let hash = plugin_sdk::signature::sha256(body.as_bytes()).hex();
    let settings = format!(r#"{{"auth_token":{{"{one}":"12345","{two}":"67890"}}}}"#);
    let alert = |token: &str| {
        let request = testing::post(&format!("{URL}?bodySHA256={hash}"))
            .json(&body)
            .settings(&settings)
            .signed(&Scheme::Twilio, token)
            .build();
        match testing::read::<TwilioErrors>(&request) {
            Answer::Alerts(mut alerts) => alerts.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let forged = alert("12345");
    assert_eq!(forged.labels["account_sid"], one);
    assert!(forged.event_id.starts_with(&one), "{}", forged.event_id);
    assert_eq!(alert("67890").labels["account_sid"], two);
}
