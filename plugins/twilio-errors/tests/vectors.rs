//! Every signature that Twilio's own documentation and libraries publish, and captured bodies.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::contract::{Answer, Body, RejectionKind};
use plugin_sdk::testing;
use serde::Deserialize;
use serde_json::{Value, json};
use twilio_errors::TwilioErrors;

#[derive(Deserialize)]
struct Vector {
    id: String,
    auth_token: String,
    url: String,
    params: Option<serde_json::Map<String, Value>>,
    body: Option<String>,
    signature: String,
    accept: bool,
}

fn form_of(params: &serde_json::Map<String, Value>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in params {
        let values = value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        form.extend_pairs(values.iter().map(|value| (name, value.as_str().unwrap())));
    }
    form.finish()
}

fn answer(
    url: &str,
    media_type: &str,
    body: impl Into<Vec<u8>>,
    signature: &str,
    token: &str,
) -> Answer {
    let request = testing::post(url)
        .header("content-type", media_type)
        .header("X-Twilio-Signature", signature)
        .body(body)
        .settings(&json!({ "auth_token": token }).to_string())
        .build();
    testing::read::<TwilioErrors>(&request)
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

#[test]
fn every_published_signature_is_judged_as_published() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("data/signature-vectors.json")).unwrap();
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        let (media_type, body) = match (&vector.params, &vector.body) {
            (Some(params), _) => (FORM, form_of(params)),
            (None, Some(body)) => ("application/json", body.clone()),
            (None, None) => panic!("{} has neither parameters nor body", vector.id),
        };
        match answer(
            &vector.url,
            media_type,
            body,
            &vector.signature,
            &vector.auth_token,
        ) {
            Answer::Alerts(alerts) => assert!(
                vector.accept && alerts.len() == 1,
                "{} was accepted",
                vector.id
            ),
            Answer::Rejected(rejection) => {
                assert!(
                    !vector.accept,
                    "{} was rejected: {}",
                    vector.id, rejection.reason
                );
                assert_eq!(rejection.kind, RejectionKind::Forbidden, "{}", vector.id);
            }
            other => panic!("{}: {other:?}", vector.id),
        }
    }
}

const CAPTURED: [(&str, &str); 3] = [
    (
        include_str!("data/docs_11200.form"),
        "EfWcvsgAOV8k0v1MrI6lv99Poa8=",
    ),
    (
        include_str!("data/google_30007.form"),
        "L/Qwkw0et8d4jQDXPi6WWmKUG2k=",
    ),
    (
        include_str!("data/discordsms_11200.form"),
        "0tZ3M0wS03jo/U1G7f2NDvsVZT0=",
    ),
];

const URL: &str = "https://gw.example.com/hooks/twilio-errors";

#[test]
fn captured_bodies_are_accepted_in_any_order_of_fields() {
    for (body, signature) in CAPTURED {
        let mut fields: Vec<_> = body.split('&').collect();
        fields.reverse();
        for body in [body.to_owned(), fields.join("&")] {
            assert!(matches!(
                answer(URL, FORM, body, signature, "12345"),
                Answer::Alerts(_)
            ));
        }
    }
}

#[test]
fn captured_bodies_are_rejected_when_anything_changes() {
    for (body, signature) in CAPTURED {
        let forged = [
            (URL, body.replacen("ERROR", "ERRORS", 1), "12345"),
            (URL, body.replace("&ParentAccountSid=", "&Parent="), "12345"),
            (
                URL,
                body.replace("&PayloadType=application%2Fjson", ""),
                "12345",
            ),
            (URL, format!("{body}&Extra="), "12345"),
            (URL, body.to_owned(), "12346"),
            (
                "https://gw.example.com/hooks/twilio-errors/",
                body.to_owned(),
                "12345",
            ),
            (
                "https://gw.example.com/hooks/twilio-errors?token=s3cret",
                body.to_owned(),
                "12345",
            ),
            (
                "http://gw.example.com/hooks/twilio-errors",
                body.to_owned(),
                "12345",
            ),
        ];
        for (url, body, token) in forged {
            let Answer::Rejected(rejection) = answer(url, FORM, body, signature, token) else {
                panic!("{url}")
            };
            assert_eq!(rejection.kind, RejectionKind::Forbidden);
            assert!(
                rejection.reason.contains(url.split('?').next().unwrap()),
                "{}",
                rejection.reason
            );
            let said = format!("{} {}", rejection.reason, rejection.help);
            assert!(!said.contains("s3cret") && !said.contains("1234"), "{said}");
        }
    }
}

#[test]
fn a_blank_field_that_was_dropped_on_the_way_is_noticed() {
    let (body, signature) = CAPTURED[0];
    let dropped = body.replace("ParentAccountSid=&", "");
    assert_ne!(dropped, body);
    assert!(matches!(
        answer(URL, FORM, dropped, signature, "12345"),
        Answer::Rejected(_)
    ));
}

#[test]
fn the_details_are_the_payload_to_the_letter() {
    for (body, signature) in CAPTURED {
        let Answer::Alerts(alerts) = answer(URL, FORM, body, signature, "12345") else {
            panic!("{body}")
        };
        let (_, payload) = form_urlencoded::parse(body.as_bytes())
            .find(|(name, _)| name == "Payload")
            .unwrap();
        assert_eq!(alerts[0].details.as_ref().unwrap().get(), payload);
    }
}

#[test]
fn bodies_that_are_not_utf8_are_signed_as_bytes() {
    // HMAC-SHA1 over the URL, `Level`, `ERROR`, `Payload` and the bytes ff 41.
    let signature = "ugZKrDczct1zNPB/GGaumLO2iQA=";
    for body in [
        &b"Level=ERROR&Payload=%ffA"[..],
        b"Level=ERROR&Payload=\xffA",
    ] {
        assert_eq!(
            matches!(Body::from_bytes(body.to_vec()), Body::Base64(_)),
            body.contains(&0xff)
        );
        let Answer::Alerts(alerts) = answer(URL, FORM, body, signature, "12345") else {
            panic!("{body:?}")
        };
        assert_eq!(
            alerts[0].details.as_ref().unwrap().get(),
            "{\"payload_text\":\"ÿA\"}"
        );
    }
}
