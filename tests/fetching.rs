//! Declared fetches: the gateway gets the key of a sender, and a confirmation, from the addresses
//! that a plugin declares, and no others.

use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Post, Setup, Sink, plugin, twilio};

/// Signed by the key below; the address of the certificate is not.
const MESSAGE: &str = include_str!("../plugin-sdk/src/signature/sns/notification.json");
const KEY: &str = include_str!("../plugin-sdk/src/signature/sns/key.pem");

/// Returns a plugin whose sender proves itself by a key at this server, and asks it for a
/// confirmation.
fn plugin_of(sink: &Sink) -> Vec<u8> {
    let mut description = plugin::description();
    description["secrets"] = json!(["certificate"]);
    description["settings"] = json!({ "type": "object", "properties": {
        "certificate": { "type": "string" }, "fetch": { "type": "boolean" } } });
    description["proof"] = json!([{ "any": [{ "scheme": "aws-sns", "secret": "certificate" }] }]);
    description["fetch"] = json!([
        { "purpose": "key", "url": sink.url("/keys/*.pem"), "at": "/SigningCertURL", "setting": "fetch",
          "secret": "certificate" },
        { "purpose": "confirmation", "url": sink.url("/confirm?*"), "at": "/Confirm", "setting": "fetch",
          "when": { "/Type": "Notification" } },
    ]);
    let alert = plugin::alert("1");
    plugin::answering(
        &description.to_string(),
        &json!({ "alerts": [alert] }).to_string(),
    )
}

fn message(change: impl FnOnce(&mut Value)) -> Post {
    let mut message: Value = serde_json::from_str(MESSAGE).unwrap();
    change(&mut message);
    twilio::unsigned("/in/signed", message.to_string())
}

async fn start(sink: &Sink) -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let setup =
        Setup::new(&itoc360).plugin("signed", &plugin_of(sink), "settings = { fetch = true }");
    let (place, gateway) = setup.start().await;
    (itoc360, place, gateway)
}

fn paths(sink: &Sink) -> Vec<String> {
    let received = sink.received();
    received.iter().map(|sent| sent.uri.to_string()).collect()
}

#[tokio::test]
async fn key_is_fetched_once_from_where_the_plugin_says() {
    let sink = Sink::start().await;
    sink.answers_with(200, KEY);
    let (itoc360, place, gateway) = start(&sink).await;
    let at = |path: &str| {
        let url = sink.url(path);
        message(|message| message["SigningCertURL"] = url.into())
    };
    for foreign in [
        "/other/a.pem",
        "/keys/a/b.pem",
        "/keys/a.pem?x",
        "/keys/.pem",
    ] {
        gateway.post(&at(foreign)).await.is_problem(403);
    }
    assert_eq!(paths(&sink), [""; 0]);
    gateway.accept(&at("/keys/a.pem")).await;
    itoc360.opens_only(1).await;
    for _ in 0..2 {
        assert_eq!(
            gateway.post(&at("/keys/a.pem")).await.json()["duplicates"],
            1
        );
    }
    let url = sink.url("/keys/a.pem");
    let forged = message(|message| {
        message["SigningCertURL"] = url.into();
        message["Subject"] = "OK: shop".into();
    });
    gateway.post(&forged).await.is_problem(403);
    assert_eq!(paths(&sink), ["/keys/a.pem"]);
    // A key that is not to be had is no refusal: the sender is to come again.
    sink.answers_with(404, "");
    let answer = gateway.post(&at("/keys/b.pem")).await;
    answer.is_problem(503);
    assert!(!answer.header("retry-after").is_empty());
    sink.answers_with(200, "<html>");
    gateway.post(&at("/keys/c.pem")).await.is_problem(503);
    let answer = gateway.post(&at("/keys/a.pem")).await;
    assert_eq!(answer.json()["duplicates"], 1);
    drop(gateway);
    place.is_whole().await;
}

#[tokio::test]
async fn proved_sender_is_confirmed_where_it_asks() {
    let sink = Sink::start().await;
    sink.answers_with(200, KEY);
    let (itoc360, _place, gateway) = start(&sink).await;
    let asking = |path: &str| {
        let key = sink.url("/keys/a.pem");
        let url = sink.url(path);
        message(|message| {
            message["SigningCertURL"] = key.into();
            message["Confirm"] = url.into();
        })
    };
    let answer = gateway.post(&asking("/confirm?token=7")).await;
    assert_eq!(
        answer.json()["ignored"],
        "its sender is confirmed, as it asked"
    );
    assert_eq!(paths(&sink), ["/keys/a.pem", "/confirm?token=7"]);
    // Where it cannot be, the alert of the plugin stands.
    sink.answers_with(500, "");
    gateway.accept(&asking("/confirm?token=8")).await;
    itoc360.opens_only(1).await;
    // An address of another kind is not asked, and neither is any of a forged request.
    gateway.post(&asking("/other?token=9")).await;
    let forged = message(|message| message["Confirm"] = sink.url("/confirm?token=10").into());
    gateway.post(&forged).await.is_problem(403);
    assert_eq!(paths(&sink).len(), 3);
}
