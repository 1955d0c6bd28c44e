//! The bundled `webhook` in the real program: the example for GitHub, and settings as operators
//! write them.

use std::fs;

use plugin_sdk::contract::Scheme;
use plugin_sdk::testing;
use serde_json::json;

use crate::harness::{Itoc360, Post, Setup, root, until};

const SECRET: &str = "canary-of-github-and-its-runs-6b2e";

/// The settings of the example, with a secret of this test.
fn settings() -> String {
    let example = fs::read_to_string(root().join("examples/webhook-github.toml")).unwrap();
    let mut example: toml::Table = example.parse().unwrap();
    let settings = &mut example["sources"]["github"]["settings"];
    settings["secret"] = SECRET.into();
    settings.to_string()
}

/// The end of a run of the default branch, as GitHub posts it.
fn run(number: u32, conclusion: &str) -> Post {
    let payload = json!({
        "action": "completed",
        "repository": { "full_name": "acme/shop", "default_branch": "main" },
        "workflow_run": { "id": 9000 + number, "name": "CI", "workflow_id": 7, "head_branch": "main", "event": "push",
            "run_number": number, "run_attempt": 1, "conclusion": conclusion, "updated_at": "2026-01-31T08:00:00Z",
            "head_repository": { "full_name": "acme/shop" } },
    });
    let request = testing::post("https://gw.example.com/in/github").json(&payload.to_string());
    let request = request.signed(&Scheme::github(), SECRET).build();
    let framing = ["host", "content-length"];
    let headers = request
        .headers
        .iter()
        .filter(|(name, _)| !framing.contains(&name.as_str()))
        .cloned()
        .collect();
    Post {
        path: "/in/github".to_owned(),
        headers,
        body: request.body.bytes().into_owned(),
    }
}

#[tokio::test]
async fn late_run_of_github_neither_opens_nor_closes() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!("plugin = \"webhook\"\nsettings = {}", settings());
    let (place, gateway) = Setup::new(&itoc360).source("github", &lines).start().await;
    gateway.accept(&run(6, "success")).await;
    let late = gateway.accept(&run(5, "failure")).await;
    let shown = place.event_in_state(&late, "ignored").await;
    assert!(
        shown.to_string().contains("a later event of the same key"),
        "{shown}"
    );
    gateway.accept(&run(8, "failure")).await;
    itoc360.opens_only(1).await;
    gateway.kill().await;

    // The order outlives the process.
    let gateway = place.start().await;
    let late = gateway.accept(&run(7, "success")).await;
    place.event_in_state(&late, "ignored").await;
    itoc360.opens_only(1).await;
    gateway.accept(&run(9, "success")).await;
    until("the alert is closed", async || {
        (itoc360.tally().open == 0).then_some(())
    })
    .await;
    assert_eq!(place.list(&["--state", "ignored"]).await.len(), 2);
    gateway.stop().await;
    place.is_whole().await;
}

#[tokio::test]
async fn limits_that_do_not_fit_each_other_are_told_by_check() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!(
        "plugin = \"webhook\"\ntoken = \"{SECRET}\"\nsettings.title = \"/t\"\nlimits.body = \"8MiB\"\nlimits.memory = \"8MiB\""
    );
    let place = Setup::new(&itoc360).source("hook", &lines).place();
    let output = place.run(&["check"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("memory = "), "{output:?}");
}

#[tokio::test]
async fn button_of_uptime_kuma_shows_as_often_as_it_is_pressed() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"uptime-kuma\"\ntoken = \"canary-of-uptime-kuma\"";
    let (_place, gateway) = Setup::new(&itoc360).source("kuma", lines).start().await;
    let press = Post {
        path: "/in/kuma?token=canary-of-uptime-kuma".to_owned(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: br#"{"heartbeat":null,"monitor":null,"msg":"My Webhook Testing"}"#.to_vec(),
    };
    for _ in 0..2 {
        gateway.accept(&press).await;
    }
    until("both are shown", async || {
        let shown = itoc360.received();
        (shown.len() == 2).then_some(())
    })
    .await;
    itoc360.opens_only(1).await;
}
