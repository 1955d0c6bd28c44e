//! `format = "original"`: a destination that is sent senders' requests as they came, as durably as
//! any other.

use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Place, Post, Setup, Sink, plugin, until};

/// A source whose only destination is a native one, at `sink`; internal alerts go to `ops`.
async fn native(ops: &Itoc360, sink: &Sink, more: &str) -> (Place, Gateway) {
    let table = format!(
        "kind = \"itoc360\"\nformat = \"original\"\ntoken = \"canary-of-the-native-source\"\nurl = \"{}\"\n{more}",
        sink.url("/events")
    );
    Setup::empty()
        .operator(ops)
        .destination_of("native", &table)
        .plugin(
            "parrot",
            &plugin::parrot_of_strangers(),
            "token = \"canary-of-the-sender-0\"",
        )
        .start()
        .await
}

/// A request of two alerts, with credentials.
fn post(first: &str, second: &str) -> Post {
    plugin::alerts("parrot", &[plugin::alert(first), plugin::alert(second)])
        .header("Content-Type", "application/vnd.sender+json; v=\"2\"")
        .header("Authorization", "Bearer canary-of-the-sender-0")
        .header("X-Secret", "canary-of-the-sender-0")
}

#[tokio::test]
async fn request_is_sent_once_as_it_came_and_without_credentials() {
    let ops = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    let (place, gateway) = native(&ops, &sink, "").await;
    let post = post("e1", "e2");
    let id = gateway.post(&post).await.json()["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let sent = sink.requests(1).await;
    assert_eq!(sent[0].body, post.body, "byte for byte");
    assert_eq!(
        sent[0].header("content-type"),
        "application/vnd.sender+json; v=\"2\""
    );
    assert_eq!(
        sent[0].header("authorization"),
        "Bearer canary-of-the-native-source"
    );
    assert!(!format!("{:?}", sent[0].headers).contains("canary-of-the-sender"));
    let states = until("both are settled", async || {
        let event = place.event(&id).await;
        let states: Vec<String> = event["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| alert["state"].as_str().unwrap().to_owned())
            .collect();
        (states[0] == "delivered").then_some(states)
    })
    .await;
    assert_eq!(states, ["delivered", "ignored"]);

    // A repeat is none, and a request with something new in it is one more.
    assert_eq!(gateway.post(&post).await.json()["accepted"], 0);
    let partly = self::post("e2", "e3");
    gateway.post(&partly).await;
    let sent = sink.requests(2).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].body, partly.body);
    place.is_whole().await;
}

#[tokio::test]
async fn request_that_is_not_taken_survives_a_kill() {
    let ops = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    sink.answers_with(503, "later");
    let (place, gateway) = native(&ops, &sink, "").await;
    let post = post("e1", "e2");
    gateway.post(&post).await;
    sink.requests(1).await;
    gateway.kill().await;
    sink.answers_with(200, r#"{"id":"receipt-1"}"#);
    let before = sink.received().len();
    let _gateway = place.start().await;
    let sent = sink.requests(before + 1).await;
    assert_eq!(sent.last().unwrap().body, post.body);
    let event = place.event_in_state("e1", "delivered").await;
    assert_eq!(receipt(&event), "receipt-1");
}

fn receipt(event: &Value) -> &str {
    let attempts = event["alerts"][0]["attempts"].as_array().unwrap();
    attempts.last().unwrap()["receipt"].as_str().unwrap()
}

#[tokio::test]
async fn answers_mean_what_they_mean_for_alerts() {
    let ops = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    sink.answers_with(422, "no such shape");
    let (place, gateway) = native(&ops, &sink, "").await;
    gateway.post(&post("e1", "e2")).await;
    place.event_in_state("e1", "dead").await;
    sink.answers_with(401, "who?");
    gateway.post(&post("e3", "e4")).await;
    gateway.destination("native", "held").await;
    // What the gateway tells of itself goes to the operator's.
    ops.told("destination-held", "firing").await;
    assert!(
        sink.received()
            .iter()
            .all(|one| !one.body.starts_with(b"{\"receiver\""))
    );
}

#[tokio::test]
async fn request_falls_back_as_each_of_its_alerts() {
    let ops = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    sink.answers_with(503, "later");
    let more = "fallback = \"ops\"\nfallback_after = \"1s\"";
    let (place, gateway) = native(&ops, &sink, more).await;
    gateway.post(&post("e1", "e2")).await;
    for said in ops.open(2).await {
        assert_eq!(said["commonLabels"]["fallback_for"], "native", "{said}");
    }
    sink.answers_with(200, "{}");
    until("the fallback is told of both", async || {
        (ops.tally().open == 0).then_some(())
    })
    .await;
    assert_eq!(ops.tally().opened, 2);
    let taken = sink.received().len();
    place.event_in_state("e1", "delivered").await;
    place.event_in_state("e2", "delivered").await;
    assert_eq!(sink.received().len(), taken, "it is taken once");
    place.is_whole().await;
}

#[tokio::test]
async fn muted_request_is_sent_once_when_the_mute_ends() {
    let ops = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    let (place, gateway) = native(&ops, &sink, "").await;
    let mute = [
        "mute",
        "add",
        "--when",
        "source=parrot",
        "--for",
        "1h",
        "--why",
        "a test",
    ];
    assert_eq!(place.run(&mute).await.code, Some(0));
    let post = post("e1", "e2");
    let mut tries = 0;
    until("the mute holds", async || {
        tries += 1;
        let other = self::post(&format!("try-{tries}"), &format!("try-{tries}b"));
        gateway.post(&other).await;
        let muted = place.list(&["--state", "muted"]).await;
        (!muted.is_empty()).then_some(())
    })
    .await;
    gateway.post(&post).await;
    assert_eq!(place.run(&["mute", "end", "1"]).await.code, Some(0));
    // The summary goes where alerts are taken.
    until("the summary", async || {
        let told = ops.received();
        told.iter()
            .any(|one| one.json().to_string().contains("muted events"))
            .then_some(())
    })
    .await;
    until("the request", async || {
        let sent = sink.received();
        sent.iter().any(|one| one.body == post.body).then_some(())
    })
    .await;
    place.event_in_state("e1", "delivered").await;
    let sent = sink.received();
    let sent = sent.iter().filter(|one| one.body == post.body).count();
    assert_eq!(sent, 1);
    place.is_whole().await;
}
