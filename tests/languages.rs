//! The door-bell in every language that `plugin new` knows: each is made, built by its own compiler
//! as its `plugin.toml` says, and answers the same cases.
//!
//! Go, Zig and Rust's target for WASI are not on every machine, and take minutes to come there:
//! `.ci/run languages` installs them.

use std::fs;
use std::path::Path;

use alert_gateway_sandbox::{Beginning, Plugin};
use plugin_sdk::case;
use serde_json::{Value, json};

use crate::author::{builder, target_dir};
use crate::catalogue::{same_answers, sandbox};
use crate::harness::{Installed, Output, Place, Program, needs};

async fn plugin(place: &Place, arguments: &[&str]) -> Output {
    place
        .run_without_secrets(&[&["plugin"], arguments].concat())
        .await
}

/// Makes a door-bell in a language, and runs its cases and some that it was not written for.
async fn is_a_door_bell(lang: &str) -> Plugin {
    let place = Place::of("");
    let made = plugin(&place, &["new", "door-bell", "--lang", lang]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    rings(&place).await
}

/// Returns the plugin, which answers the same whether it starts once or for each request.
async fn rings(place: &Place) -> Plugin {
    let target_dir = target_dir();
    let target_dir = ["--target-dir", target_dir.to_str().unwrap()];
    let tested = plugin(place, &[&["test", "door-bell"], &target_dir[..]].concat()).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(
        tested.stdout.ends_with("2 passed, 0 failed\n") && !tested.stdout.contains("warning"),
        "{tested:?}"
    );
    // All that a stranger may send is answered with an alert that holds it.
    let odd = [
        (
            "closed",
            r#"{"id":"18","check":"db-1","title":"It is well","ok":true}"#,
        ),
        (
            "word",
            r#"{"id":"19","check":"db-1","title":"x","severity":"purple"}"#,
        ),
        (
            "letters",
            "{\"id\":\"20\",\"check\":\"K\\u00fcche \\ud83d\\ude00\",\"title\":\"\\u00e4\\\"\\\\\"}",
        ),
        ("list", "[1,2,{\"a\":null}]"),
        ("nothing", ""),
        ("half", r#"{"id":"21","check":"#),
    ];
    let cases = place.path("door-bell/odd");
    fs::create_dir(&cases).unwrap();
    for (name, body) in odd {
        let request = format!(
            "POST https://alerts.example.com/in/door-bell HTTP/1.1\ncontent-type: application/json\ncontent-length: {}\n\n{body}",
            body.len()
        );
        fs::write(cases.join(name).with_extension("http"), request).unwrap();
    }
    let cases = cases.to_str().unwrap();
    let wasm = wasm(place);
    let blessed = plugin(place, &["test", &wasm, "--cases", cases, "--bless"]).await;
    assert_eq!(blessed.code, Some(0), "{blessed:?}");
    let alert = |name: &str| -> Value {
        let text = fs::read(format!("{cases}/{name}.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["alerts"][0].take()
    };
    assert_eq!(alert("closed")["status"], "resolve");
    let word = alert("word");
    assert_eq!(
        (&word["priority"], &word["notes"][0]["found"]),
        (&json!("critical"), &json!("purple"))
    );
    let letters = alert("letters");
    assert_eq!(
        (&letters["key"], &letters["title"]),
        (&json!("Küche 😀"), &json!("ä\"\\"))
    );
    for (name, body) in odd.into_iter().skip(3) {
        let alert = alert(name);
        assert_eq!(alert["event_id"], sha256(body), "{name}");
        assert_eq!(alert["priority"], "high", "{name}");
    }
    assert_eq!(alert("list")["details"], json!([1, 2, { "a": null }]));
    assert_eq!(alert("half")["details"]["body_text"], odd[5].1);
    let wasm = fs::read(place.path(&wasm)).unwrap();
    let loaded = sandbox().load("door-bell", &wasm).await.unwrap();
    for case in case::load(Path::new(cases)).unwrap() {
        let input = serde_json::to_vec(&case.request).unwrap();
        same_answers(&case.name, &[&loaded.unprepared(), &loaded], &input).await;
    }
    loaded
}

/// Returns the one wasm of the plugin, as seen from the place.
fn wasm(place: &Place) -> String {
    ["door-bell.wasm", "build/door-bell.wasm"]
        .map(|path| format!("door-bell/{path}"))
        .into_iter()
        .find(|path| place.path(path).is_file())
        .unwrap()
}

fn sha256(text: &str) -> String {
    plugin_sdk::signature::sha256(text.as_bytes()).hex()
}

#[tokio::test]
async fn door_bell_in_assemblyscript_answers_the_cases() {
    let (Some(_), Some(_)) = (needs(Program::Node), needs(Program::Npm)) else {
        return;
    };
    is_a_door_bell("assemblyscript").await;
}

#[tokio::test]
async fn door_bell_in_go_answers_the_cases() {
    let Some(_) = needs(Program::Go) else { return };
    let Beginning { snapshot, anew } = is_a_door_bell("go").await.beginning();
    assert!(snapshot > 0 && anew.is_none(), "{anew:?}");
}

#[tokio::test]
async fn door_bell_in_c_answers_the_cases() {
    let Some(_) = needs(Program::Zig) else { return };
    is_a_door_bell("c").await;
}

#[tokio::test]
async fn door_bell_in_zig_answers_the_cases() {
    let Some(_) = needs(Program::Zig) else { return };
    is_a_door_bell("zig").await;
}

/// A hash table of std takes its seed from WASI's random bytes.
#[tokio::test]
async fn door_bell_in_rust_for_wasi_answers_the_cases() {
    let Some(_): Option<Installed> = needs(Program::Wasip1) else {
        return;
    };
    let _builder = builder().await;
    let place = Place::of("");
    let made = plugin(&place, &["new", "door-bell"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let source = place.path("door-bell/src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let hashed = text.replace(
        "labels: [(\"check\".to_owned(), event.check)].into(),",
        "labels: std::collections::HashMap::from([(\"check\".to_owned(), event.check)])\n            .into_iter().collect(),",
    );
    assert_ne!(text, hashed);
    fs::write(&source, hashed).unwrap();
    let target = target_dir();
    let target = target.to_str().unwrap();
    place.write(
        "door-bell/plugin.toml",
        format!(
            "build = \"cargo build --release --target wasm32-wasip1 --target-dir {target} && cp \
             {target}/wasm32-wasip1/release/door_bell.wasm door-bell.wasm\"\nwasm = \"door-bell.wasm\"\n"
        ),
    );
    rings(&place).await;
}
