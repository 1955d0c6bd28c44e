//! The main job: a signed request of Twilio's in, an alert in ITOC360 out.

use std::fmt::Write as _;
use std::fs;

use itoc360_double::Format;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Itoc360, Setup, plugin, root, twilio};

/// Computes the fingerprint independently of the code under test, so that no version changes it
/// unnoticed.
fn fingerprint(source: &str, key: &str) -> String {
    let digest = Sha256::digest([source.as_bytes(), &[0], key.as_bytes()].concat());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const ERROR_MESSAGE: &str = "HTTP retrieval failure\nHTTP 502 from https://shop.example.com/voice\nResource CA0123\n\
    Account AC5ef8732a3c49700934481addd5ce1659\nhttps://www.twilio.com/docs/api/errors/11200";

fn error_labels() -> Value {
    json!({
        "account_sid": twilio::ACCOUNT, "error_code": "11200", "http_status": "502", "level": "error",
        "resource_sid": "CA0123",
    })
}

#[tokio::test]
async fn error_is_a_high_alert_in_alertmanagers_format() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let sid = twilio::sid(1);
    let event = twilio::error(&sid);
    let request = gateway.accept(&event.to("twilio")).await;
    let received = itoc360.requests(1).await.remove(0);
    assert_eq!(received.header("content-type"), "application/json");
    assert!(received.header("user-agent").starts_with("alert-gateway/"));

    let fingerprint = fingerprint("twilio", &sid);
    let link = format!("https://www.twilio.com/console/debugger/{sid}");
    let mut labels = error_labels();
    for (name, value) in [
        ("alertname", "twilio"),
        ("severity", "error"),
        ("source", "twilio"),
    ] {
        labels[name] = value.into();
    }
    let annotations = json!({
        "summary": "Twilio 11200: Got HTTP 502 response",
        "description": ERROR_MESSAGE,
        "link": link,
        "event_id": sid,
        "request": request,
        "received_at": place.event(&request).await["received_at"],
        // To the letter, as Twilio wrote it.
        "details": event.payload(),
    });
    let expected = json!({
        "receiver": "alert-gateway",
        "status": "firing",
        "alerts": [{
            "status": "firing", "labels": labels, "annotations": annotations, "startsAt": "2026-03-14T02:17:45Z",
            "fingerprint": fingerprint, "generatorURL": link,
        }],
        "groupLabels": { "fingerprint": fingerprint },
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "version": "4",
        "groupKey": format!("{{}}:{{fingerprint=\"{fingerprint}\"}}"),
    });
    assert_eq!(received.json(), expected);
}

#[tokio::test]
async fn error_is_a_high_alert_in_zapiers_format() {
    let itoc360 = Itoc360::start(Format::Zapier).await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let sid = twilio::sid(1);
    let event = twilio::error(&sid);
    let request = gateway.accept(&event.to("twilio")).await;
    let expected = json!({
        "id": fingerprint("twilio", &sid),
        "title": "Twilio 11200: Got HTTP 502 response",
        "status": "trigger",
        "severity": "high",
        "message": ERROR_MESSAGE,
        "source": "twilio",
        "event_id": sid,
        "request": request,
        "occurred_at": "2026-03-14T02:17:45Z",
        "received_at": place.event(&request).await["received_at"],
        "link": format!("https://www.twilio.com/console/debugger/{sid}"),
        "labels": error_labels(),
        "details": serde_json::from_str::<Value>(event.payload()).unwrap(),
    });
    assert_eq!(itoc360.requests(1).await[0].json(), expected);
}

#[tokio::test]
async fn level_decides_the_priority_in_both_formats() {
    for (format, severity, words) in [
        (
            Format::Alertmanager,
            "/commonLabels/severity",
            ["error", "warning", "info"],
        ),
        (Format::Zapier, "/severity", ["high", "medium", "low"]),
    ] {
        let itoc360 = Itoc360::start(format).await;
        let (_place, gateway) = Setup::new(&itoc360).start().await;
        let notice = twilio::error(&twilio::sid(3)).with("Level", "NOTICE");
        for event in [
            twilio::error(&twilio::sid(1)),
            twilio::warning(&twilio::sid(2)),
            notice,
        ] {
            gateway.accept(&event.to("twilio")).await;
        }
        let mut alerts = itoc360.open(3).await;
        let event_id = |alert: &Value| {
            alert
                .pointer("/commonAnnotations/event_id")
                .unwrap_or(&alert["event_id"])
                .to_string()
        };
        alerts.sort_by_key(event_id);
        let found: Vec<_> = alerts
            .iter()
            .map(|alert| alert.pointer(severity).unwrap())
            .collect();
        assert_eq!(found, words);
    }
}

#[tokio::test]
async fn captured_bodies_arrive_with_their_whole_payload() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    for (number, file) in ["docs_11200", "google_30007", "discordsms_11200"]
        .iter()
        .enumerate()
    {
        let path = root()
            .join("plugins/twilio-errors/tests/data")
            .join(file)
            .with_extension("form");
        let body = fs::read(path).unwrap();
        gateway
            .accept(&twilio::signed("twilio", twilio::AUTH_TOKEN, body.clone()))
            .await;
        let alert = &itoc360.open(number + 1).await[number];
        let (_, payload) = form_urlencoded::parse(&body)
            .find(|(name, _)| name == "Payload")
            .unwrap();
        assert_eq!(alert["commonAnnotations"]["details"], *payload, "{file}");
    }
}

#[tokio::test]
async fn receipt_chain_shows_that_the_page_went_out() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let sid = twilio::sid(1);
    let request = gateway.accept(&twilio::error(&sid).to("twilio")).await;
    let chain = place.event_in_state(&sid, "delivered").await;
    assert_eq!(
        (&chain["id"], &chain["state"]),
        (&json!(request), &json!("read"))
    );
    assert_eq!(
        (
            &chain["plugin"],
            chain["plugin_sha256"].as_str().unwrap().len()
        ),
        (&json!("twilio-errors"), 64)
    );
    let [attempt] = chain["alerts"][0]["attempts"]
        .as_array()
        .unwrap()
        .as_slice()
    else {
        panic!("{chain}")
    };
    assert_eq!(
        (&attempt["outcome"], &attempt["status"]),
        (&json!("accepted"), &json!(200))
    );
    assert_eq!(attempt["fingerprint"], fingerprint("twilio", &sid));
    let shown = place
        .run_without_secrets(&["events", "show", &sid])
        .await
        .stdout;
    for part in [
        &request,
        attempt["receipt"].as_str().unwrap(),
        chain["plugin_sha256"].as_str().unwrap(),
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

#[tokio::test]
async fn same_sid_twice_is_one_alert() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let post = twilio::error(&twilio::sid(1)).to("twilio");
    gateway.accept(&post).await;
    let again = gateway.post(&post).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        (&again.json()["accepted"], &again.json()["duplicates"]),
        (&json!(0), &json!(1))
    );
    // What comes last arrives last, and nothing came between.
    gateway
        .accept(&twilio::error(&twilio::sid(2)).to("twilio"))
        .await;
    itoc360.opens_only(2).await;
    assert_eq!(itoc360.tally().requests, 2);
}

#[tokio::test]
async fn same_sid_fifty_times_at_once_is_one_alert() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let post = twilio::error(&twilio::sid(1)).to("twilio");
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let sender = gateway.sender();
        let post = post.clone();
        sending.spawn(async move { sender.post(&post).await.unwrap().json() });
    }
    let answers = sending.join_all().await;
    let sum = |field: &str| {
        answers
            .iter()
            .map(|answer| answer[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((sum("accepted"), sum("duplicates")), (1, 49));
    itoc360.opens_only(1).await;
    let alerts = place
        .list(&[])
        .await
        .iter()
        .filter(|line| line["event_id"].is_string())
        .count();
    assert_eq!(alerts, 1);
}

#[tokio::test]
async fn same_id_at_two_sources_is_two_alerts() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).twilio("other").start().await;
    for source in ["twilio", "other"] {
        gateway
            .accept(&twilio::error(&twilio::sid(1)).to(source))
            .await;
    }
    itoc360.opens_only(2).await;
}

#[tokio::test]
async fn sources_on_one_plugin_have_settings_of_their_own() {
    let itoc360 = Itoc360::alertmanager().await;
    let other = "plugin = \"twilio-errors\"\nsettings.auth_token = \"another\"";
    let (_place, gateway) = Setup::new(&itoc360).source("other", other).start().await;
    let event = twilio::error(&twilio::sid(1));
    gateway.accept(&event.to("twilio")).await;
    gateway.accept(&event.signed("other", "another")).await;
    gateway.post(&event.to("other")).await.is_problem(403);
    gateway
        .post(&event.signed("twilio", "another"))
        .await
        .is_problem(403);
    itoc360.opens_only(2).await;
}

#[tokio::test]
async fn resolve_closes_the_alert_and_a_trigger_reopens_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await;
    for (event_id, status) in [
        ("1", "trigger"),
        ("2", "trigger"),
        ("3", "resolve"),
        ("4", "trigger"),
    ] {
        let mut alert = plugin::alert(event_id);
        (alert["key"], alert["status"]) = ("disk".into(), status.into());
        gateway.accept(&plugin::alerts("parrot", &[alert])).await;
    }
    itoc360.requests(4).await;
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.updated, tally.resolved, tally.open),
        (2, 1, 1, 1)
    );
    assert_eq!(itoc360.times_opened(&fingerprint("parrot", "disk")), 2);
}
