//! Tests of a way by an operator: each hop is told, nothing stays open, and no stranger can make a
//! request a test.

use hyper::Method;
use itoc360_double::Reply;
use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Output, Place, Setup, Sink, twilio, until};

const HEADER: &str = "alert-gateway-test";

/// An address on loopback that is free now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A place whose gateway would be its own public URL.
pub fn own_public_url(setup: Setup, port: u16) -> Place {
    let place = setup.place();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let text = text
        .replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1)
        .replace(twilio::PUBLIC_URL, &url);
    place.write("gateway.toml", text);
    place
}

/// Starts a gateway that is its own public URL.
async fn reached(setup: Setup) -> (Place, Gateway, String) {
    let port = free_port();
    let place = own_public_url(setup, port);
    let gateway = place.start().await;
    (place, gateway, format!("http://127.0.0.1:{port}"))
}

/// Tests a way, and returns its hops.
async fn hops(place: &Place, arguments: &[&str]) -> (Output, Vec<Value>) {
    let all = [&["test", "--json"], arguments].concat();
    let output = place.run_without_secrets(&all).await;
    let hops = output.stdout.lines();
    let hops = hops.map(|line| serde_json::from_str(line).unwrap());
    let hops: Vec<Value> = hops.collect();
    (output, hops)
}

fn names(hops: &[Value]) -> Vec<&str> {
    hops.iter()
        .map(|hop| hop["hop"].as_str().unwrap())
        .collect()
}

/// Asserts that a test ended at this hop, for this reason.
#[track_caller]
fn failed_at(output: &Output, hops: &[Value], hop: &str, found: &str) {
    let last = hops.last().unwrap();
    assert_eq!(
        (&last["hop"], &last["ok"], output.code),
        (&json!(hop), &json!(false), Some(1)),
        "{hops:#?}\n{}",
        output.stderr
    );
    assert!(last["found"].as_str().unwrap().contains(found), "{last:#}");
    assert!(
        !last["fix"].as_str().unwrap_or_default().is_empty(),
        "{last:#}"
    );
}

#[tokio::test]
async fn source_is_tested_to_the_receipt_and_nothing_stays_open() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360)
        .source(
            "many",
            "plugin = \"twilio-errors\"\nsettings.max_age = \"10m\"\n\
             settings.auth_token = { AC00000000000000000000000000000001 = { env = \"TWILIO_AUTH_TOKEN\" } }\n\
             group = { by = [\"error_code\"] }\nexpect_every = \"1h\"",
        )
        .source(
            "events",
            "plugin = \"twilio-event-streams\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }",
        );
    let (place, gateway, _) = reached(setup).await;
    let way = [
        "connection",
        "request",
        "arrival",
        "proof",
        "delivery",
        "resolve",
    ];
    for arguments in [
        &["--source", "twilio"][..],
        &["--source", "twilio"],
        &["--source", "twilio", "--local"],
        &["--source", "many"],
        &["--source", "events"],
    ] {
        let (output, hops) = hops(&place, arguments).await;
        assert_eq!(
            output.code,
            Some(0),
            "{arguments:?} {hops:#?}\n{}",
            output.stderr
        );
        assert_eq!(names(&hops), way, "{arguments:?}");
    }
    let received = itoc360.received();
    assert_eq!(received.len(), 10, "five that open, and five that resolve");
    for one in &received {
        let labels = one.json()["alerts"][0]["labels"].clone();
        assert_eq!(labels["test"], "true", "{labels}");
    }
    assert_eq!(itoc360.tally().open, 0, "{:?}", itoc360.tally());
    // A test proves nothing of the sender, and is taken down.
    let metrics = gateway.metrics().await;
    let mut seen = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("alert_gateway_source_last_seen"));
    assert!(seen.all(|(_, value)| *value == 0.0), "{metrics:?}");
    let audit = gateway.admin(Method::GET, "/api/v1/audit").await.json();
    assert_eq!(audit["audit"][0]["action"], "test");
    assert_eq!(audit["audit"][0]["about"], "source events");
    place.is_whole().await;
}

#[tokio::test]
async fn recorded_request_of_a_test_opens_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway, url) = reached(Setup::new(&itoc360)).await;
    let (output, hops) = hops(&place, &["--source", "twilio"]).await;
    assert_eq!(output.code, Some(0), "{hops:#?}");
    let arrival = hops[2]["found"].as_str().unwrap();
    let (_, id) = arrival.rsplit_once(' ').unwrap();
    let body = gateway
        .admin(Method::GET, &format!("/api/v1/events/{id}/body"))
        .await
        .body
        .into_bytes();
    let signature = twilio::signature(&format!("{url}/in/twilio"), twilio::AUTH_TOKEN, &body);
    let recorded = twilio::unsigned("/in/twilio", body)
        .header("X-Twilio-Signature", &signature)
        .header(HEADER, "0123456789abcdef0123456789abcdef");
    let answer = gateway.post(&recorded).await;
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (200, &json!(0)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn stranger_makes_no_request_a_test() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway, url) = reached(Setup::new(&itoc360)).await;
    for (number, mark) in ["", "true", "0123456789abcdef0123456789abcdef"]
        .iter()
        .enumerate()
    {
        let body = twilio::error(&twilio::sid(number)).body();
        let address = format!("{url}/in/twilio");
        let signature = twilio::signature(&address, twilio::AUTH_TOKEN, body.as_bytes());
        let post = twilio::unsigned("/in/twilio", body)
            .header("X-Twilio-Signature", &signature)
            .header(HEADER, mark);
        let id = gateway.accept(&post).await;
        let event = place.event_in_state(&id, "delivered").await;
        let labels = &event["alerts"][0]["event"]["labels"];
        assert_eq!(labels.get("test"), None, "{event:#}");
    }
    itoc360.open(3).await;
}

#[tokio::test]
async fn hop_that_fails_is_told_with_its_fix() {
    let itoc360 = Itoc360::alertmanager().await;
    let elsewhere = Sink::start().await;
    for (public_url, hop, found) in [
        (
            "https://alerts.invalid".to_owned(),
            "name",
            "alerts.invalid is not found",
        ),
        (
            format!("http://127.0.0.1:{}", free_port()),
            "connection",
            "takes no connection",
        ),
        (
            elsewhere.url("").replace("http:", "https:"),
            "TLS",
            "127.0.0.1",
        ),
        (
            elsewhere.url("/"),
            "arrival",
            "something else than this gateway answered",
        ),
    ] {
        let place = Setup::new(&itoc360).place();
        let text = std::fs::read_to_string(place.config()).unwrap();
        place.write(
            "gateway.toml",
            text.replace(twilio::PUBLIC_URL, &public_url),
        );
        let _gateway = place.start().await;
        let (output, hops) = hops(&place, &["--source", "twilio"]).await;
        failed_at(&output, &hops, hop, found);
        let (output, hops) = self::hops(&place, &["--source", "twilio", "--local"]).await;
        assert_eq!(output.code, Some(0), "past the proxy: {hops:#?}");
    }
}

#[tokio::test]
async fn test_says_where_an_alert_would_not_arrive() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360)
        .source(
            "dropped",
            "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\n\
             rules = [{ when = { error_code = \"11200\" }, drop = true }]",
        )
        .source(
            "sendgrid",
            "plugin = \"webhook\"\nsettings.sender = \"sendgrid\"\nsettings.title = \"/msg\"\n\
             settings.secret = \"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==\"",
        )
        .source(
            "foreign",
            "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\nclients = [\"192.0.2.0/24\"]",
        );
    let (place, _gateway, _) = reached(setup).await;
    for (source, hop, found) in [
        ("dropped", "delivery", "dropped by rule 1"),
        ("sendgrid", "proof", "no signature"),
        ("foreign", "proof", "not among the source's clients"),
    ] {
        let (output, hops) = hops(&place, &["--source", source]).await;
        failed_at(&output, &hops, hop, found);
    }
    let muted = place
        .run(&[
            "mute",
            "add",
            "--when",
            "source=twilio",
            "--for",
            "1h",
            "--why",
            "work",
        ])
        .await;
    assert_eq!(muted.code, Some(0), "{}", muted.stderr);
    until("the mute holds", async || {
        let (_, hops) = hops(&place, &["--source", "twilio"]).await;
        let held = hops.iter().any(|hop| {
            hop["found"]
                .as_str()
                .unwrap()
                .contains("mute 1 holds it back: work")
        });
        held.then_some(())
    })
    .await;
    assert_eq!(itoc360.tally().open, 0, "{:?}", itoc360.tally());
}

#[tokio::test]
async fn rejected_test_is_told_and_leaves_no_dead_letter() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(422, "no such field"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let (output, hops) = hops(&place, &["--source", "twilio", "--local"]).await;
    assert_eq!(output.code, Some(1), "{hops:#?}");
    let told = |hop: &Value| hop["found"].as_str().unwrap().contains("no such field");
    assert!(hops.iter().any(told), "{hops:#?}");
    let states = until("both of its alerts are given up", async || {
        let lines = place.list(&[]).await;
        let states = lines.iter().map(|line| line["state"].clone());
        let states: Vec<_> = states.collect();
        (states == ["dismissed", "dismissed"]).then_some(states)
    })
    .await;
    assert_eq!(states.len(), 2);
    assert_eq!(
        gateway.metrics().await["alert_gateway_alerts{state=\"dead\"}"],
        0.0
    );
    // A real one like it waits for the operator.
    let sid = twilio::sid(7);
    gateway.accept(&twilio::error(&sid).to("twilio")).await;
    place.event_in_state(&sid, "dead").await;
    place.is_whole().await;
}

#[tokio::test]
async fn destination_is_tested_by_the_last_hop_alone() {
    let itoc360 = Itoc360::alertmanager().await;
    let sink = Sink::start().await;
    let setup = Setup::new(&itoc360)
        .destination_of("bad", "kind = \"webhook\"\nurl = \"http://127.0.0.1:1/\"")
        .destination_of(
            "refuses",
            &format!(
                "kind = \"slack\"\nurl = \"{}\"",
                sink.url("/canary-of-the-path")
            ),
        );
    let place = setup.place();
    let (output, _) = hops(&place, &["--destination", "itoc360"]).await;
    assert_eq!(output.code, Some(1), "no gateway runs");
    let _gateway = place.start().await;
    let (output, tested) = hops(&place, &["--destination", "itoc360"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(names(&tested), ["delivery", "resolve"]);
    let received = itoc360.received();
    assert_eq!(received[0].json()["alerts"][0]["labels"]["test"], "true");
    assert_eq!(itoc360.tally().open, 0, "{:?}", itoc360.tally());

    let (output, tested) = hops(&place, &["--destination", "bad"]).await;
    failed_at(&output, &tested, "resolve", "cannot connect");
    assert!(
        tested[0]["found"]
            .as_str()
            .unwrap()
            .contains("cannot connect")
    );
    sink.answers_with(403, "invalid_token of canary-of-the-path");
    let (output, tested) = hops(&place, &["--destination", "refuses"]).await;
    failed_at(&output, &tested, "delivery", "403");
    assert!(!format!("{tested:?}").contains("canary"), "{tested:#?}");

    for unknown in [["--destination", "itoc"], ["--source", "twillio"]] {
        let (output, hops) = hops(&place, &unknown).await;
        assert_eq!((output.code, hops.len()), (Some(2), 0), "{}", output.stderr);
        assert!(output.stderr.contains("did you mean"), "{}", output.stderr);
    }
    for wrong in [&["test"][..], &["test", "--destination", "a", "--local"]] {
        assert_eq!(place.run(wrong).await.code, Some(2), "{wrong:?}");
    }
}
