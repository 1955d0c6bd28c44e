//! The commands for plugin authors: cases, inspection and bench of a plugin.

mod bench;
mod cases;
mod crates;
mod failures;
mod folders;
mod inspect;
mod mistakes;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Output, Place, plugin, root};

/// A folder with `hand.wasm`, and cases in the folder beside it.
fn hand_made(wasm: impl AsRef<[u8]>, cases: &[(&str, &str)]) -> Place {
    let place = Place::of("");
    place.write("hand.wasm", wasm);
    fs::create_dir(place.path("cases")).unwrap();
    for (name, content) in cases {
        place.write(&format!("cases/{name}"), content);
    }
    place
}

/// Returns a request with a parrot's answer as its body.
fn request(answer: &Value) -> String {
    format!(
        "POST https://alerts.example.com/in/hand HTTP/1.1\ncontent-type: application/json\n\n{answer}"
    )
}

fn ignored(reason: &str) -> Value {
    json!({ "ignored": { "reason": reason } })
}

async fn run(place: &Place, arguments: &[&str]) -> Output {
    place
        .run_without_secrets(&[&["plugin"], arguments].concat())
        .await
}

#[track_caller]
fn assert_said(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn every_plugin_command_explains_itself() {
    let place = Place::of("");
    for command in [&[][..], &["test"], &["inspect"], &["bench"], &["list"]] {
        let output = run(&place, &[command, &["--help"]].concat()).await;
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{command:?}");
        assert!(
            output.stdout.contains("Usage: alert-gateway plugin") && output.stdout.len() > 200,
            "{output:?}"
        );
    }
}
