//! The contract is not Rust's alone: a plugin in AssemblyScript, built as its README says, reads
//! requests like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use plugin_sdk::case;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{Installed, Itoc360, Place, Post, Program, Setup, needs, root};

const TOKEN: &str = "canary-of-uptime-kuma-1f8d";

fn example() -> PathBuf {
    root().join("examples/assemblyscript-plugin")
}

/// Returns the compiled plugin, or skips the test. It is built in a copy, so that the tests leave
/// nothing in the project.
async fn wasm() -> Option<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let node = needs(Program::Node);
    let npm = needs(Program::Npm);
    let _node = node?;
    let npm = npm?;
    let build = async || {
        tokio::task::spawn_blocking(move || build(&npm))
            .await
            .unwrap()
    };
    Some(BUILT.get_or_init(build).await.clone())
}

fn build(npm: &Installed) -> PathBuf {
    let npm = |folder: &Path, arguments: &[&str]| {
        let done = npm
            .command()
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        assert!(
            done.status.success(),
            "npm {}\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&said)
        );
    };
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("assemblyscript-plugin");
    // The packages of an earlier run serve again, if they are those of the lock file: then no
    // network is needed.
    let lock = |folder: &Path| fs::read(folder.join("package-lock.json")).ok();
    let installed =
        copy.join("node_modules/.package-lock.json").is_file() && lock(&copy) == lock(&example());
    copy_folder(&example(), &copy);
    if !installed {
        npm(
            &copy,
            &[
                "ci",
                "--prefer-offline",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ],
        );
    }
    npm(&copy, &["run", "build"]);
    copy.join("build/uptime-kuma.wasm")
}

/// Copies the files of the project, without those that npm installed.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name();
        if name == "node_modules" || name == "build" {
            continue;
        }
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn every_case_passes_under_the_limits_of_a_source() {
    let Some(wasm) = wasm().await else { return };
    let cases = example().join("cases");
    let arguments = [
        "plugin",
        "test",
        wasm.to_str().unwrap(),
        "--cases",
        cases.to_str().unwrap(),
    ];
    let output = Place::of("").run_without_secrets(&arguments).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    let count = case::list(&cases).unwrap().len();
    assert!(
        count >= 15
            && output
                .stdout
                .ends_with(&format!("\n{count} passed, 0 failed\n")),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn plugin_imports_only_the_public_host_functions() {
    let Some(wasm) = wasm().await else { return };
    let output = Place::of("")
        .run_without_secrets(&["plugin", "inspect", wasm.to_str().unwrap(), "--json"])
        .await;
    let known: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&known["name"], &known["contract"], &known["problems"]),
        (&json!("uptime-kuma"), &json!(1), &json!([]))
    );
    let imports = known["imports"].as_array().unwrap();
    assert!(
        imports
            .iter()
            .all(|import| import.as_str().unwrap().starts_with("extism:host/env.")),
        "{imports:?}"
    );
    assert!(
        known["size"].as_u64().unwrap() < 32 * 1024,
        "{}",
        known["size"]
    );
}

/// A case as Uptime Kuma sends it, with the token of the source.
fn post(name: &str) -> Post {
    let message = fs::read(example().join("cases").join(name).with_extension("http")).unwrap();
    let request =
        case::parse_request(&message, case::no_settings(), None, case::RECEIVED_AT).unwrap();
    let post = Post {
        path: "/in/uptime-kuma".to_owned(),
        headers: Vec::new(),
        body: request.body.bytes().into_owned(),
    };
    post.header("Authorization", &format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
}

#[tokio::test]
async fn monitor_down_opens_an_alert_and_up_resolves_it() {
    let Some(wasm) = wasm().await else { return };
    let wasm = fs::read(wasm).unwrap();
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("uptime-kuma", &wasm, &format!("token = \"{TOKEN}\""))
        .start()
        .await;
    gateway
        .post(&post("sample").without("Authorization"))
        .await
        .is_problem(401);

    gateway.accept(&post("sample")).await;
    let opened = itoc360.open(1).await.remove(0);
    assert_eq!(
        opened["commonAnnotations"]["summary"],
        "Shop is down: connect ECONNREFUSED 203.0.113.7:443"
    );
    assert_eq!(
        (
            &opened["commonLabels"]["severity"],
            &opened["commonLabels"]["monitor"]
        ),
        (&json!("error"), &json!("Shop"))
    );
    // To the letter, as Uptime Kuma wrote it.
    assert_eq!(
        opened["commonAnnotations"]["details"]
            .as_str()
            .unwrap()
            .as_bytes(),
        post("sample").body
    );

    let again = gateway.post(&post("sample")).await.json();
    assert_eq!(
        (&again["accepted"], &again["duplicates"]),
        (&json!(0), &json!(1))
    );

    gateway.accept(&post("up")).await;
    let closed = itoc360.requests(2).await.remove(1).json();
    assert_eq!(
        (&closed["status"], &closed["groupLabels"]),
        (&json!("resolved"), &opened["groupLabels"])
    );
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.updated, tally.resolved, tally.open),
        (1, 0, 1, 0),
        "{tally:?}"
    );
}
