//! Recorded requests, sent again by whoever recorded them: they open and close nothing, however
//! they are cut, whatever the headers say that are not signed, and whether or not the gateway was
//! killed meanwhile.

use plugin_sdk::signature::hmac_sha256;
use serde_json::Value;

use crate::harness::{Itoc360, Post, Setup, twilio, until};

const SECRET: &str = "canary-of-a-recording-5d1c";

/// The requests that are cut from a recorded one.
const CUTS: usize = 300;

/// Cuts the signed text at other places. The names are in order, so that the signature still fits.
fn recut(text: &str, random: &mut fastrand::Rng) -> String {
    loop {
        let count = 2 * random.usize(1..8) - 1;
        let mut cuts: Vec<usize> = (0..count).map(|_| random.usize(..=text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let fields = parts.chunks_exact(2);
        if fields.clone().is_sorted_by(|one, next| one[0] < next[0]) {
            let pairs = fields.map(|field| (field[0], field[1]));
            return form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
        }
    }
}

#[tokio::test]
async fn recut_recording_opens_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    let recorded = twilio::error(&twilio::sid(1)).to("twilio");
    gateway.accept(&recorded).await;
    itoc360.opens_only(1).await;
    // The form is written in the order of its names, in which Twilio signs.
    let fields = form_urlencoded::parse(&recorded.body);
    let text: String = fields.flat_map(|(name, value)| [name, value]).collect();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for number in 0..CUTS {
        if number == CUTS / 2 {
            gateway.kill().await;
            gateway = place.start().await;
        }
        let cut = recut(&text, &mut random);
        let post = Post {
            body: cut.clone().into_bytes(),
            ..recorded.clone()
        };
        let answer = gateway.post(&post).await;
        let accepted = answer.json()["accepted"].clone();
        assert_eq!((answer.status, accepted), (200, Value::from(0)), "{cut}");
    }
    itoc360.opens_only(1).await;
}

/// The source's name is in the signed text, with nothing between it and the fields.
#[tokio::test]
async fn recording_of_a_longer_name_opens_nothing_at_a_shorter() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).twilio("twilio-prod");
    let (place, mut gateway) = setup.start().await;
    let recorded = twilio::error(&twilio::sid(1)).to("twilio-prod");
    gateway.accept(&recorded).await;
    itoc360.opens_only(1).await;
    let text = String::from_utf8(recorded.body.clone()).unwrap();
    let cut = Post {
        path: "/in/twilio".to_owned(),
        body: format!("-prod{text}").into_bytes(),
        ..recorded
    };
    for _ in 0..2 {
        let answer = gateway.post(&cut).await;
        let accepted = answer.json()["accepted"].clone();
        assert_eq!((answer.status, accepted), (200, Value::from(0)));
        gateway.kill().await;
        gateway = place.start().await;
    }
    // The same event may be told to both.
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    itoc360.opens_only(2).await;
}

#[tokio::test]
async fn recut_recording_of_a_replayed_failure_opens_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\nlimits.output = \"1KiB\"";
    let setup = Setup::new(&itoc360).source("small", lines);
    let (place, gateway) = setup.start().await;
    let more: serde_json::Map<_, _> = (0..100)
        .map(|number| {
            (
                format!("Field{number}"),
                Value::from("more than it may answer"),
            )
        })
        .collect();
    let payload = serde_json::json!({ "error_code": "11200", "more_info": more }).to_string();
    let recorded = twilio::error(&twilio::sid(1))
        .with("Payload", &payload)
        .to("small");
    let answer = gateway.post(&recorded).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let failed = answer.json()["request"].as_str().unwrap().to_owned();
    gateway.stop().await;
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", config.replace("\"1KiB\"", "\"1MiB\""));
    let gateway = place.start().await;
    let replayed = place.run(&["events", "replay", &failed]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    until("it is read", async || {
        let event = place.event(&failed).await;
        (event["state"] == "read").then_some(())
    })
    .await;
    let fields = form_urlencoded::parse(&recorded.body);
    let text: String = fields.flat_map(|(name, value)| [name, value]).collect();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..10 {
        let cut = recut(&text, &mut random);
        let post = recorded.clone().body(cut.as_str());
        let answer = gateway.post(&post).await;
        let accepted = answer.json()["accepted"].clone();
        assert_eq!((answer.status, accepted), (200, Value::from(0)), "{cut}");
    }
}

/// The end of a workflow's run, as GitHub sends and signs it.
fn run(number: u64, conclusion: &str, delivery: &str) -> Post {
    let body = format!(
        r#"{{"action":"completed","repository":{{"full_name":"acme/shop"}},"workflow_run":{{"id":{number},"run_number":{number},"conclusion":"{conclusion}"}}}}"#
    );
    let signature = hmac_sha256(SECRET.as_bytes(), &[body.as_bytes()]).hex();
    let post = Post {
        path: "/in/github".to_owned(),
        headers: Vec::new(),
        body: body.into_bytes(),
    };
    post.header("Content-Type", "application/json")
        .header("X-GitHub-Event", "workflow_run")
        .header("X-GitHub-Delivery", delivery)
        .header("X-Hub-Signature-256", &format!("sha256={signature}"))
}

#[tokio::test]
async fn recorded_success_closes_no_later_failure() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!(
        "plugin = \"webhook\"\n[sources.github.settings]\nsender = \"github\"\nsecret = \"{SECRET}\"\n\
         title = \"{{/repository/full_name}}\"\nkey = \"{{/repository/full_name}}\"\n\
         status = {{ from = \"/workflow_run/conclusion\", values = {{ success = \"resolve\", failure = \"trigger\" }} }}"
    );
    let setup = Setup::new(&itoc360).source("github", &lines);
    let (place, mut gateway) = setup.start().await;
    gateway.accept(&run(1, "failure", "d-1")).await;
    gateway.accept(&run(2, "success", "d-2")).await;
    gateway.accept(&run(3, "failure", "d-3")).await;
    let before = itoc360.requests(3).await.len();
    for delivery in ["d-2", "d-4", "an invented one"] {
        for event in ["workflow_run", "ping", "check_suite"] {
            let mut replay = run(2, "success", delivery);
            replay.headers.retain(|(name, _)| name != "X-GitHub-Event");
            let answer = gateway.post(&replay.header("X-GitHub-Event", event)).await;
            assert_eq!(answer.status, 200, "{delivery} {event}");
            assert_ne!(answer.json()["accepted"], 1, "{delivery} {event}");
        }
        gateway.kill().await;
        gateway = place.start().await;
    }
    // Whatever is accepted later is delivered later.
    gateway.accept(&run(4, "failure", "d-5")).await;
    let requests = itoc360.requests(before + 1).await;
    let statuses: Vec<String> = requests
        .iter()
        .map(|request| {
            request.json()["status"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(statuses, ["firing", "resolved", "firing", "firing"]);
}
