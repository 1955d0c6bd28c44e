//! Twilio's shared keys, by vectors from the vendor's own library, and the other parts of a signed
//! request.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use plugin_sdk::contract::{Answer, Rejection, Request};
use plugin_sdk::signature::Scheme;
use plugin_sdk::testing::{self, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use twilio_errors::TwilioErrors;

const SETTINGS_HEADER: &str = "X-Twilio-Webhooks-Signature-Settings";
const KEY: &str = "webhooks_sharedkey_01kexamplekey0000000000000";

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    url: String,
    params: Option<Map<String, Value>>,
    body: Option<String>,
    settings_header: String,
    signature: String,
}

impl Vector {
    fn post(&self, settings: &Value) -> RequestBuilder {
        let post = testing::post(&self.url)
            .settings(&settings.to_string())
            .header("X-Twilio-Signature", &self.signature);
        let Some(params) = &self.params else {
            return post.json(self.body.as_ref().unwrap());
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in params {
            let values = value
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![value.clone()]);
            form.extend_pairs(values.iter().map(|value| (name, value.as_str().unwrap())));
        }
        post.header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("data/shared-key-vectors.json")).unwrap()
}

fn refusal(request: &Request) -> Option<Rejection> {
    match testing::read::<TwilioErrors>(request) {
        Answer::Alerts(alerts) => {
            assert!(alerts.proof.is_some());
            None
        }
        Answer::Rejected(rejection) => Some(rejection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_vector_is_accepted_under_each_form_of_the_setting() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        for keys in [
            json!(vector.secret),
            json!(["old", vector.secret]),
            json!({ KEY: vector.secret }),
            json!({ KEY: ["old", vector.secret], "other": "x" }),
        ] {
            for settings in [
                json!({ "shared_keys": keys }),
                json!({ "shared_keys": keys, "auth_token": "12345" }),
            ] {
                let request = vector
                    .post(&settings)
                    .header(SETTINGS_HEADER, &vector.settings_header)
                    .build();
                assert_eq!(refusal(&request), None, "{} {settings}", vector.name);
            }
        }
    }
}

#[test]
fn header_is_read_leniently_and_its_key_and_algorithm_strictly() {
    let vector = &vectors()[0];
    let with = |keys: Value, header: &str| {
        refusal(
            &vector
                .post(&json!({ "shared_keys": keys }))
                .header(SETTINGS_HEADER, header)
                .build(),
        )
    };
    let keys = || json!({ KEY: vector.secret });
    for header in [
        format!(" key = {KEY} , algorithm = hmac_sha256 "),
        format!("algorithm=HMAC_Sha256,key={KEY},more=1"),
    ] {
        assert_eq!(with(keys(), &header), None, "{header}");
    }
    let refused = |keys: Value, header: &str| with(keys, header).unwrap().help;
    assert!(refused(keys(), &format!("key={KEY},algorithm=HMAC_MD5")).contains("\"HMAC_MD5\""));
    assert!(refused(keys(), "key=another,algorithm=HMAC_SHA256").contains("\"another\""));
    assert!(
        refused(keys(), &format!("key={KEY}")).contains("HMAC_SHA1"),
        "no algorithm is SHA-1"
    );
    assert!(refused(json!("wrong"), &vector.settings_header).contains("was rotated"));
    assert!(
        refused(keys(), "").contains("auth token"),
        "an empty header names no key"
    );
}

#[test]
fn forged_header_gains_nothing() {
    let form = || testing::post("https://gw.example.com/in/twilio").form(&[("Level", "ERROR")]);
    let both = r#"{"auth_token": "12345", "shared_keys": {"k": "shared-secret"}}"#;
    let only_token = r#"{"auth_token": "12345"}"#;
    let by_token = form().settings(both).signed(&Scheme::Twilio, "12345");
    assert_eq!(refusal(&by_token.clone().build()), None);
    // Signed by one secret, and said to be by the other.
    let claimed = by_token
        .header(SETTINGS_HEADER, "key=k,algorithm=HMAC_SHA1")
        .build();
    assert!(refusal(&claimed).is_some());
    let named = form()
        .settings(only_token)
        .signed(&Scheme::Twilio, "12345")
        .header(SETTINGS_HEADER, "key=k")
        .build();
    assert!(
        refusal(&named)
            .unwrap()
            .help
            .contains("this source has none")
    );
}

#[test]
fn source_with_shared_keys_alone_refuses_the_auth_token() {
    let settings = r#"{"shared_keys": "shared-secret"}"#;
    let form = || {
        testing::post("https://gw.example.com/in/twilio")
            .settings(settings)
            .form(&[("Level", "ERROR")])
    };
    assert!(
        refusal(&form().signed(&Scheme::Twilio, "shared-secret").build())
            .unwrap()
            .help
            .contains("only requests")
    );
    assert_eq!(
        refusal(
            &form()
                .signed(&Scheme::TwilioSharedKey, "shared-secret")
                .build()
        ),
        None
    );
    assert!(
        refusal(&form().build())
            .unwrap()
            .reason
            .contains("no X-Twilio-Signature")
    );
}

#[test]
fn login_or_token_can_be_demanded_beside_the_signature() {
    let settings = r#"{"auth_token": "12345", "basic": {"user": "tw", "password": "pw"}, "bearer_token": "t0ken"}"#;
    let form = || {
        testing::post("https://gw.example.com/in/twilio")
            .settings(settings)
            .form(&[("Level", "ERROR")])
    };
    let missing = refusal(&form().signed(&Scheme::Twilio, "12345").build()).unwrap();
    assert!(missing.challenge.unwrap().contains("Basic realm="));
    for (scheme, secret) in [(Scheme::Login, "tw:pw"), (Scheme::Bearer, "t0ken")] {
        assert!(
            refusal(&form().signed(&scheme, secret).build()).is_some(),
            "unsigned"
        );
        assert_eq!(
            refusal(
                &form()
                    .signed(&scheme, secret)
                    .signed(&Scheme::Twilio, "12345")
                    .build()
            ),
            None
        );
    }
}
