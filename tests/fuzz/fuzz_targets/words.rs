//! The SDK's readers of requests: forms, URLs, signatures, times, JSON, CloudEvents.
#![no_main]

use alert_gateway_fuzz::cases;
use plugin_sdk::contract::{Priority, Request};
use plugin_sdk::form::{self, Form};
use plugin_sdk::json::{self, Object};
use plugin_sdk::signature::{Algorithm, Encoding, Scheme, Signed, View, over_url};
use plugin_sdk::{body, cloud_events, testing, text, time, url};
use serde_json::value::RawValue;

const SECRET: &str = "whsec_YW4gZXhhbXBsZSBrZXkgb2YgMjQgYnl0ZQ==";

libfuzzer_sys::fuzz_target!(init: drop(cases::corpus("words").expect("a corpus")), |input: (&str, &str, &str, &[u8])| {
    let (query, name, value, bytes) = input;
    let mut request = testing::post(&format!("https://alerts.example.com/in/x{query}")).header(name, value).body(bytes).build();
    forms(&request, bytes);
    proofs(&mut request);
    let body = String::from_utf8_lossy(bytes);
    let _ = url::masked(value);
    let _ = text::line(value, query.len());
    let _ = json::printable(value);
    bodies(&request);
    for read in [time::rfc3339(value), time::rfc2822(value), time::any(value)].into_iter().flatten() {
        assert!(time::seconds(&read).is_some(), "{read}");
    }
    if let Some(details) = json::details(name, &body) {
        assert!(serde_json::from_str::<&RawValue>(details.get()).is_ok(), "{details}");
    }
    let object = Object::read(&body);
    for member in object.names() {
        assert!(object.get(member).is_some(), "{member}");
    }
    for event in cloud_events::read(&request, &body) {
        let _ = (event.data(), event.details());
    }
});

/// Whatever a body is, it is read as something that can be carried, or there is an alert that says
/// why not.
fn bodies(request: &Request) {
    match body::read(request) {
        Ok(reading) => {
            if let Some(json) = reading.json() {
                assert!(serde_json::from_str::<&RawValue>(&json).is_ok(), "{json}");
            }
        }
        Err(why) => {
            let alert = body::unreadable::alert(request, &why, Priority::Low);
            assert!(
                alert.priority <= Priority::High
                    && alert.details.is_some()
                    && !alert.title.is_empty()
            );
        }
    }
}

/// What is written of a form's text reads as the same again.
fn forms(request: &Request, body: &[u8]) {
    let read = Form::parse(body);
    let fields: Option<Vec<(&str, &str)>> = read
        .fields()
        .iter()
        .map(|(name, value)| {
            Some((
                std::str::from_utf8(name).ok()?,
                std::str::from_utf8(value).ok()?,
            ))
        })
        .collect();
    if let Some(fields) = fields {
        assert_eq!(
            Form::parse(form::write(&fields).as_bytes()).fields(),
            read.fields()
        );
    }
    let view = View::from(request);
    let form = over_url::form(&view);
    let _ = over_url::SignedText::of(&view, form.as_ref());
}

/// A proof that is not the secret's is none, and one that is holds.
fn proofs(request: &mut Request) {
    let schemes = [
        Scheme::Bearer,
        Scheme::Basic {
            user: "user".to_owned(),
        },
        Scheme::github(),
        Scheme::Signed(Signed {
            algorithm: Algorithm::Sha1,
            encoding: Encoding::Base64,
            ..Signed::new("x-signature")
        }),
        Scheme::grafana(),
        Scheme::TwilioSharedKey,
        Scheme::Slack,
        Scheme::Stripe,
        Scheme::StandardWebhooks,
        Scheme::Twilio,
    ];
    for scheme in schemes {
        assert!(
            !scheme.verify(request, SECRET).is_good(),
            "{scheme:?} took what nobody signed"
        );
        // More fields are refused, whoever signed them.
        if matches!(scheme, Scheme::Twilio | Scheme::TwilioSharedKey)
            && Form::parse(&request.body.bytes()).fields().len() > over_url::MAX_FIELDS
        {
            continue;
        }
        let mut signed = request.clone();
        scheme.sign(&mut signed, SECRET);
        assert!(
            scheme.verify(&signed, SECRET).is_good(),
            "{scheme:?} does not take its own signature"
        );
        assert!(
            !scheme.verify(&signed, "another").is_good(),
            "{scheme:?} took the signature of another secret"
        );
    }
}
