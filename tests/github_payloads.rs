//! GitHub's own examples of its webhooks, all of them, through the example for GitHub: each of some
//! 300 payloads is decided by its type, whether it comes as JSON or in a form.

use std::fs;
use std::path::PathBuf;

use alert_gateway_sandbox::{CallLimits, Plugin, Sandbox, SandboxOptions};
use plugin_sdk::contract::{Answer, Priority, Request, Scheme, Status};
use plugin_sdk::testing;
use serde_json::{Value, json};

use crate::harness::{Installed, Program, needs, root};

const SECRET: &str = "canary-of-github-6b2e";

const MIB: usize = 1024 * 1024;

const LIMITS: CallLimits = CallLimits {
    time: std::time::Duration::from_secs(20),
    memory: 16 * MIB,
    output: MIB,
};

/// Returns the payloads of GitHub's documentation: a list of event types with examples of each.
fn payloads(npm: &Installed) -> Vec<(String, Value)> {
    let folder = npm.install(&root().join("tests/octokit"), "github-payloads");
    let index: PathBuf =
        folder.join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let types: Vec<Value> = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
    let mut payloads = Vec::new();
    for one in types {
        for payload in one["examples"].as_array().unwrap() {
            payloads.push((one["name"].as_str().unwrap().to_owned(), payload.clone()));
        }
    }
    payloads
}

fn settings() -> Value {
    let example = fs::read_to_string(root().join("examples/webhook-github.toml")).unwrap();
    let example: toml::Table = example.parse().unwrap();
    let mut settings = serde_json::to_value(&example["sources"]["github"]["settings"]).unwrap();
    settings["secret"] = SECRET.into();
    settings
}

/// A delivery of this payload, signed; as a form where GitHub is left at its default.
fn delivery(kind: &str, payload: &Value, form: bool, settings: &Value) -> Request {
    let post = testing::post("https://alerts.example.com/in/github")
        .header("x-github-event", kind)
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .settings(&settings.to_string());
    let text = payload.to_string();
    let post = if form {
        post.form(&[("payload", &text)])
    } else {
        post.json(&text)
    };
    post.signed(&Scheme::github(), SECRET).build()
}

async fn read(plugin: &Plugin, request: &Request) -> Answer {
    let input = serde_json::to_vec(request).unwrap();
    plugin
        .read("github", &input, &LIMITS)
        .await
        .unwrap_or_else(|error| panic!("{error} on {request:?}"))
}

/// Returns whether a payload is the end of a run that the operator's own code had, by GitHub's
/// documentation.
fn ends_a_run(kind: &str, payload: &Value) -> bool {
    let run = &payload["workflow_run"];
    let own = run["head_repository"]["full_name"] == payload["repository"]["full_name"];
    let told = ["success", "failure", "timed_out", "startup_failure"]
        .iter()
        .any(|one| run["conclusion"] == **one);
    kind == "workflow_run" && payload["action"] == "completed" && own && told
}

#[tokio::test]
async fn every_payload_is_decided_by_its_type() {
    let Some(npm) = needs(Program::Npm) else {
        return;
    };
    let payloads = tokio::task::spawn_blocking(move || payloads(&npm))
        .await
        .unwrap();
    assert!(payloads.len() >= 329, "{}", payloads.len());
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: 4,
        max_memory: LIMITS.memory,
    })
    .unwrap();
    let bundled = alert_gateway_plugins::all()
        .iter()
        .find(|bundled| bundled.name == "webhook")
        .unwrap();
    let plugin = sandbox.load(bundled.name, bundled.wasm).await.unwrap();
    let settings = settings();
    let mut resolved = 0;
    for (kind, payload) in &payloads {
        for form in [false, true] {
            let answer = read(&plugin, &delivery(kind, payload, form, &settings)).await;
            match answer {
                Answer::Alerts(alerts) if ends_a_run(kind, payload) => {
                    assert_eq!(
                        (alerts.len(), alerts[0].status),
                        (1, Status::Resolve),
                        "{kind}: {payload}"
                    );
                    resolved += 1;
                }
                Answer::Ignored { .. } if !ends_a_run(kind, payload) => {}
                answer => panic!("{kind}, form {form}: {answer:?}\n{payload}"),
            }
        }
    }
    assert_eq!(
        resolved, 4,
        "two runs in the payloads succeed, each as JSON and as a form"
    );

    let (_, succeeded) = payloads
        .iter()
        .find(|(kind, payload)| ends_a_run(kind, payload))
        .unwrap();
    let mut failed = succeeded.clone();
    failed["workflow_run"]["conclusion"] = json!("failure");
    let mut keys = Vec::new();
    for (payload, form) in [(succeeded, true), (&failed, true), (&failed, false)] {
        let Answer::Alerts(alerts) =
            read(&plugin, &delivery("workflow_run", payload, form, &settings)).await
        else {
            panic!("no alerts")
        };
        keys.push((alerts[0].key().to_owned(), alerts[0].status));
        assert!(
            alerts[0].status == Status::Resolve || alerts[0].priority == Priority::High,
            "{alerts:?}"
        );
    }
    assert_eq!(keys[1], keys[2]);
    assert_eq!((&keys[0].0, keys[1].1), (&keys[1].0, Status::Trigger));
    // A header that nobody has signed changes nothing.
    let mut request = delivery("workflow_run", &failed, false, &settings);
    request.set_header("x-github-event", "ping");
    assert!(matches!(read(&plugin, &request).await, Answer::Alerts(_)));
}
