//! The way of a plugin author: from an empty folder to an alert in ITOC360, with the real program.
//!
//! Plugins are compiled in one folder, one after the other: cargo would wait for its lock anyway,
//! and that wait should not use up a test's patience.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alert_gateway_plugins::compile::{self, Crate};
use tokio::sync::{Mutex, MutexGuard};

use crate::harness::{Itoc360, Output, Place, Post, Process, Setup, caches, program, read, root};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_alert-gateway");

/// The folder in which the program compiles, within that cache.
pub fn target_dir() -> PathBuf {
    caches().join("alert-gateway/plugin-target")
}

/// The right to compile. The first holder compiles the common dependencies of all plugins, in a
/// time that depends on the machine.
pub async fn builder() -> MutexGuard<'static, bool> {
    static BUILDING: Mutex<bool> = Mutex::const_new(false);
    let mut warm = BUILDING.lock().await;
    if !*warm {
        let place = Place::of("");
        let run = |mut command: Command| {
            let done = command.stdin(Stdio::null()).output().unwrap();
            assert!(
                done.status.success(),
                "{command:?}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        };
        let compiling = tokio::task::spawn_blocking(move || {
            let plugin = |arguments: &[&str]| {
                let mut command = program(PROGRAM);
                command
                    .current_dir(place.path(""))
                    .arg("plugin")
                    .args(arguments);
                run(command);
            };
            plugin(&["new", "first"]);
            plugin(&[
                "build",
                "first",
                "--target-dir",
                target_dir().to_str().unwrap(),
            ]);
            let mut tests = cargo(&place.path("first"));
            tests.args(["test", "--no-run"]);
            run(tests);
        });
        compiling.await.unwrap();
        *warm = true;
    }
    warm
}

/// Cargo, as an author uses it in the folder of a plugin.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    // Not the toolchain's flags for this test, which would compile all of it anew.
    command
        .current_dir(folder)
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", target_dir());
    command
}

async fn new(place: &Place, arguments: &[&str]) -> Output {
    place
        .run_without_secrets(&[&["plugin", "new"], arguments].concat())
        .await
}

async fn build(place: &Place, dir: &str) -> Output {
    let target_dir = target_dir();
    place
        .run_without_secrets(&[
            "plugin",
            "build",
            dir,
            "--target-dir",
            target_dir.to_str().unwrap(),
        ])
        .await
}

/// A place where a plugin was made.
async fn place_with(name: &str) -> Place {
    let place = Place::of("");
    let made = new(&place, &[name]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    place
}

/// Changes a file of a plugin's.
fn edit(path: &Path, old: &str, new: &str) {
    edit_at_once(path, &[(old, new)]);
}

/// Makes several changes in one, because a watcher might see the file between two of them.
fn edit_at_once(path: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(path).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{} has no {old:?}", path.display());
        text = text.replace(old, new);
    }
    fs::write(path, text).unwrap();
}

fn event(source: &str, token: &str, body: &str) -> Post {
    let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
    Post {
        path: format!("/in/{source}"),
        headers,
        body: body.into(),
    }
}

#[tokio::test]
async fn a_new_plugin_is_built_configured_and_its_alert_arrives() {
    let _builder = builder().await;
    let place = Place::of("");
    let made = new(&place, &["door-bell"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let next = "alert-gateway plugin build .";
    assert!(
        made.stdout
            .lines()
            .last()
            .is_some_and(|line| line.trim().starts_with(next)),
        "{made:?}"
    );

    let built = build(&place, "door-bell").await;
    assert_eq!(built.code, Some(0), "{built:?}");
    let wasm = fs::read(place.path("door-bell/door-bell.wasm")).unwrap();
    assert!(
        built
            .stdout
            .contains(&format!("size    {} bytes", wasm.len())),
        "{built:?}"
    );
    let line = built
        .stdout
        .lines()
        .find(|line| line.contains("plugin = {"))
        .unwrap();
    for folder in [
        place.path("").to_str().unwrap(),
        "/.cargo/registry",
        "/.rustup",
    ] {
        let found = wasm
            .windows(folder.len())
            .any(|bytes| bytes == folder.as_bytes());
        assert!(!found, "the wasm knows the machine that built it: {folder}");
    }

    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!("{line}\ntoken = \"canary-bell\"\nsettings.priority = \"low\"");
    let (_place, gateway) = Setup::empty()
        .destination("itoc360", &itoc360)
        .source("bell", &lines)
        .start()
        .await;
    let body = r#"{"id": "1", "check": "back-door", "title": "Somebody rings", "ok": false}"#;
    gateway.accept(&event("bell", "canary-bell", body)).await;
    let sent = itoc360.requests(1).await.remove(0).json();
    assert_eq!(
        sent["alerts"][0]["annotations"]["summary"],
        "Somebody rings"
    );
    assert_eq!(sent["alerts"][0]["labels"]["check"], "back-door");
    // Of another shape, and not refused.
    gateway
        .accept(&event("bell", "canary-bell", "ding dong"))
        .await;
    itoc360.open(2).await;
}

#[tokio::test]
async fn new_plugin_passes_its_tests_and_rustfmt() {
    let _builder = builder().await;
    let place = place_with("door-bell").await;
    let cargo = async |arguments: &[&str]| {
        let mut command = cargo(&place.path("door-bell"));
        command.args(arguments);
        Process::start(command).output().await
    };
    let tested = cargo(&["test"]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(
        tested
            .stdout
            .contains("every_case_is_answered_as_written ... ok"),
        "{tested:?}"
    );
    let formatted = cargo(&["fmt", "--check"]).await;
    assert_eq!(
        (formatted.code, &*formatted.stdout),
        (Some(0), ""),
        "{formatted:?}"
    );
}

#[tokio::test]
async fn wrong_name_or_taken_folder_is_refused() {
    let place = Place::of("");
    for (name, said) in [
        (
            "Door Bell",
            "\"Door Bell\" is not a name for a plugin; name it \"door-bell\"",
        ),
        (
            "test",
            "\"test\" is the name of a crate that plugins are made of; name it \"test-alerts\"",
        ),
        (
            "match",
            "\"match\" is a word of Rust; name it \"match-alerts\"",
        ),
    ] {
        let made = new(&place, &[name]).await;
        assert_eq!((made.code, &*made.stdout), (Some(2), ""), "{made:?}");
        assert!(made.stderr.contains(said), "{made:?}");
    }
    fs::create_dir(place.path("door-bell")).unwrap();
    place.write("door-bell/precious", "");
    place.write("a-file", "");
    for (arguments, what) in [
        (&["door-bell"][..], "not empty"),
        (&["other", "--dir", "door-bell"], "not empty"),
        (&["other", "--dir", "a-file"], "no folder"),
    ] {
        let made = new(&place, arguments).await;
        assert_eq!(made.code, Some(2), "{made:?}");
        let said = format!(
            "is there already, and {what}; name another folder with --dir, or remove this one"
        );
        assert!(made.stderr.contains(&said), "{made:?}");
    }
    let below_a_file = new(&place, &["other", "--dir", "a-file/other"]).await;
    assert_eq!(below_a_file.code, Some(1), "{below_a_file:?}");
    assert!(
        below_a_file
            .stderr
            .contains("name another folder with --dir"),
        "{below_a_file:?}"
    );
    let mut left: Vec<OsString> = fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["a-file", "door-bell", "gateway.toml"]);
    assert_eq!(fs::read_dir(place.path("door-bell")).unwrap().count(), 1);
}

#[tokio::test]
async fn new_plugin_goes_into_an_empty_readable_folder() {
    let place = Place::of("");
    fs::create_dir(place.path("empty")).unwrap();
    // Whoever stands in it, or came by a link, finds the plugin there.
    std::os::unix::fs::symlink(place.path("empty"), place.path("link")).unwrap();
    let before = fs::metadata(place.path("empty")).unwrap().ino();
    let made = new(&place, &["door-bell", "--dir", "link"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(place.path("empty/sdk/src/lib.rs").is_file());
    assert_eq!(fs::metadata(place.path("empty")).unwrap().ino(), before);
    let made = new(&place, &["other", "--dir", "deep/down"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    fs::create_dir(place.path("ordinary")).unwrap();
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("deep/down"), mode("ordinary"));
}

#[tokio::test]
async fn compile_error_is_shown_and_the_last_wasm_stays() {
    let _builder = builder().await;
    let place = place_with("door-bell").await;
    place.write("door-bell/door-bell.wasm", "the last good one");
    let source = place.path("door-bell/src/lib.rs");
    edit(
        &source,
        "fn medium() -> Priority {",
        "fn medium() -> Priority { let x: Priority = 1;",
    );
    let built = build(&place, "door-bell").await;
    assert_eq!((built.code, &*built.stdout), (Some(1), ""), "{built:?}");
    for said in [
        "mismatched types",
        "src/lib.rs:",
        "door-bell did not compile; cargo's words are above",
    ] {
        assert!(built.stderr.contains(said), "{said:?}: {built:?}");
    }
    assert_eq!(
        fs::read(place.path("door-bell/door-bell.wasm")).unwrap(),
        b"the last good one"
    );
}

#[tokio::test]
async fn what_is_no_plugins_folder_is_told() {
    let place = Place::of("");
    place.write("Cargo.toml", "[workspace]\n");
    for (dir, code, said) in [
        (
            "nowhere",
            2,
            "a crate or one with a plugin.toml; `alert-gateway plugin new NAME` makes one",
        ),
        (
            ".",
            1,
            "has no [package] with a `name`; name the folder of the plugin itself",
        ),
    ] {
        let built = build(&place, dir).await;
        assert_eq!(built.code, Some(code), "{built:?}");
        assert!(built.stderr.contains(said), "{built:?}");
    }
}

#[tokio::test]
async fn plugins_are_compiled_in_one_place_of_the_user() {
    let place = place_with("door-bell").await;
    edit(
        &place.path("door-bell/Cargo.toml"),
        "version = \"0.1.0\"",
        "version = \"one\"",
    );
    let mut command = program(PROGRAM);
    command
        .current_dir(place.path(""))
        .env("XDG_CACHE_HOME", place.path("cache"))
        .args(["plugin", "build", "door-bell"]);
    let built = Process::start(command).output().await;
    assert_eq!(built.code, Some(1), "{built:?}");
    assert!(
        place
            .path("cache/alert-gateway/plugin-target/.workspace")
            .is_file()
    );
    place.write("a-file", "");
    let nowhere = place
        .run_without_secrets(&["plugin", "build", "door-bell", "--target-dir", "a-file"])
        .await;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(
        nowhere
            .stderr
            .contains("name a folder that can be written with --target-dir"),
        "{nowhere:?}"
    );
}

/// Builds with other programs before those of the `PATH`, or alone.
async fn build_with(place: &Place, programs: &[(&str, &str)], alone: bool) -> Output {
    let folder = place.path("programs");
    fs::create_dir(&folder).unwrap();
    for (name, script) in programs {
        let path = place.write(
            &format!("programs/{name}"),
            format!("#!/bin/sh\n{script}\n"),
        );
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let others = std::env::var_os("PATH")
        .filter(|_| !alone)
        .unwrap_or_default();
    let path =
        std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut command = program(PROGRAM);
    command
        .current_dir(place.path(""))
        .env("PATH", path)
        .env_remove("RUSTC");
    command.args(["plugin", "build", "door-bell", "--target-dir", "target"]);
    Process::start(command).output().await
}

#[tokio::test]
async fn missing_target_is_told_the_install_command() {
    let place = place_with("door-bell").await;
    let real = Command::new("sh")
        .args(["-c", "command -v rustc"])
        .output()
        .unwrap()
        .stdout;
    let real = String::from_utf8(real).unwrap();
    let script = format!(
        "case \"$*\" in *target-libdir*) echo /nowhere; echo /nowhere/lib;; *) exec {} \"$@\";; esac",
        real.trim()
    );
    let built = build_with(&place, &[("rustc", &script)], false).await;
    assert_eq!(built.code, Some(1), "{built:?}");
    let said = "this Rust does not have it. Run: rustup target add wasm32-unknown-unknown\n";
    assert!(built.stderr.ends_with(said), "{built:?}");
    assert!(!place.path("door-bell/door-bell.wasm").exists());
}

#[tokio::test]
async fn machine_without_rust_is_told_the_install_command() {
    let place = place_with("door-bell").await;
    let built = build_with(&place, &[], true).await;
    assert_eq!(built.code, Some(1), "{built:?}");
    assert!(
        built
            .stderr
            .contains("on the PATH, and plugins are compiled with Rust"),
        "{built:?}"
    );
    assert!(
        built.stderr.ends_with("https://sh.rustup.rs | sh\n"),
        "{built:?}"
    );
}

#[tokio::test]
async fn plugins_of_one_name_never_get_each_others_work() {
    let _builder = builder().await;
    let place = Place::of("");
    let mut wasm = Vec::new();
    for (dir, title) in [("one", "the first one"), ("two", "the second one")] {
        let made = new(&place, &["door-bell", "--dir", dir]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        edit(
            &place.path(dir).join("src/lib.rs"),
            "an event of unknown shape",
            title,
        );
    }
    // The first again, with files that are older than the work of the second.
    for dir in ["one", "two", "one"] {
        let built = build(&place, dir).await;
        assert_eq!(built.code, Some(0), "{built:?}");
        wasm.push(fs::read(place.path(dir).join("door-bell.wasm")).unwrap());
    }
    assert!(wasm[0] == wasm[2] && wasm[0] != wasm[1]);
}

#[tokio::test]
async fn a_build_waits_for_another_in_the_same_folder_and_says_so() {
    let place = place_with("door-bell").await;
    place.write("door-bell/src/lib.rs", "broken!");
    fs::create_dir(place.path("target")).unwrap();
    let other = File::create(place.path("target/.workspace")).unwrap();
    other.lock().unwrap();
    let mut building = place.launch(&["plugin", "build", "door-bell", "--target-dir", "target"]);
    building.wait_for_lines(1).await;
    assert!(
        building
            .logged()
            .starts_with("waiting for another build in "),
        "{}",
        building.logged()
    );
    fs::write(place.path("door-bell/Cargo.toml"), "[package]\nname = 1\n").unwrap();
    other.unlock().unwrap();
    let built = building.output().await;
    assert_eq!(built.code, Some(1), "{built:?}");
    assert!(
        built.stderr.contains("cargo's words are above"),
        "{built:?}"
    );
}

#[tokio::test]
async fn a_plugin_of_ones_own_is_compiled_as_the_bundled_ones_are() {
    let _builder = builder().await;
    let compiling = tokio::task::spawn_blocking(|| {
        let folder = root().join("plugins/twilio-errors");
        let target_dir = target_dir();
        let plugin = Crate {
            folder: &folder,
            target_dir: &target_dir,
            cargo: "cargo".as_ref(),
            locked: true,
        };
        fs::read(compile::compile(&plugin).unwrap()).unwrap()
    });
    let bundled = alert_gateway_plugins::find("twilio-errors").unwrap().wasm;
    assert!(
        compiling.await.unwrap() == bundled,
        "the same source makes another wasm"
    );
}

/// A program that serves a plugin while it is written.
struct Dev {
    process: Process,
    address: String,
}

impl Dev {
    async fn start(place: &Place, arguments: &[&str]) -> Self {
        let target_dir = target_dir();
        let fixed = [
            "plugin",
            "dev",
            "door-bell",
            "--target-dir",
            target_dir.to_str().unwrap(),
        ];
        let mut process = place.launch(&[&fixed, arguments].concat());
        let line = process.said("build 1 serves ").await;
        let url = line.split("http://").nth(1).unwrap();
        Self {
            process,
            address: url.split('/').next().unwrap().to_owned(),
        }
    }

    /// Posts an event, and returns the answer.
    async fn post(&self, token: &str, body: &str) -> String {
        use tokio::io::AsyncWriteExt;
        let mut connection = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "POST /in/door-bell?token={token} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        read(connection).await
    }

    /// Posts an accepted event of this id, and waits for the printed answer of this build.
    async fn shows(&mut self, id: &str, build: u32) {
        let body = format!(r#"{{"id": "{id}", "check": "door", "title": "Somebody rings"}}"#);
        let answer = self.post("dev", &body).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"accepted\":1"),
            "{answer}"
        );
        self.process
            .said(&format!("POST /in/door-bell: 200 OK (build {build}, "))
            .await;
        self.process.said(&format!("\"event_id\": \"{id}\"")).await;
    }
}

/// Creates a place with a plugin and a generous time limit, for a machine that is busy with other
/// tests.
async fn place_to_develop() -> Place {
    let place = place_with("door-bell").await;
    let config = place.path("door-bell/gateway.toml");
    edit(&config, "127.0.0.1:8080\"\nadmin", "127.0.0.1:0\"\nadmin");
    edit(
        &config,
        "[destinations.itoc360]",
        "[limits]\ntime = \"10s\"\n\n[destinations.itoc360]",
    );
    place
}

#[tokio::test]
async fn dev_serves_each_build_and_keeps_the_last_good_one() {
    let _builder = builder().await;
    let place = place_to_develop().await;
    let source = place.path("door-bell/src/lib.rs");
    let mut dev = Dev::start(&place, &["--config", "door-bell/gateway.toml"]).await;
    dev.process.said("nothing is stored or sent").await;
    dev.shows("first", 1).await;

    edit(
        &source,
        "key: Some(id(&event.check))",
        "key: Some(\"edited\".to_owned())",
    );
    dev.process.said("build 2 serves door-bell").await;
    dev.shows("second", 2).await;
    dev.process.said("\"key\": \"edited\"").await;

    edit(&source, "export!(DoorBell);", "export!(Nobody);");
    dev.process
        .said("build 3 is broken; build 2 goes on serving")
        .await;
    dev.shows("third", 2).await;

    // It compiles, and is no plugin.
    edit_at_once(
        &source,
        &[
            ("export!(Nobody);", ""),
            (", export, json, text}", ", json, text}"),
        ],
    );
    dev.process
        .said("build 4 is broken; build 2 goes on serving")
        .await;
    dev.shows("fourth", 2).await;

    edit_at_once(
        &source,
        &[
            (", json, text}", ", export, json, text}"),
            (
                "/// The operator's `settings`",
                "export!(DoorBell);\n\n/// The operator's `settings`",
            ),
        ],
    );
    dev.process.said("build 5 serves door-bell").await;
    dev.shows("fifth", 5).await;

    dev.process.interrupt();
    let ended = dev.process.output().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in ["cannot find type `Nobody`", "needs a function `describe`"] {
        assert!(ended.stderr.contains(said), "{said:?}: {ended:?}");
    }
    assert!(!place.path("data").exists() && !place.path("door-bell/data").exists());
}

#[tokio::test]
async fn dev_answers_as_the_gateway_and_follows_its_configuration() {
    let _builder = builder().await;
    let place = place_to_develop().await;
    let config = place.path("door-bell/gateway.toml");
    let mut dev = Dev::start(
        &place,
        &[
            "--config",
            "door-bell/gateway.toml",
            "--source",
            "door-bell",
        ],
    )
    .await;
    for (token, body, status, problem) in [
        ("", "{}", "403 Forbidden", "the token is not this source's"),
        (
            "wrong",
            "{}",
            "403 Forbidden",
            "the token is not this source's",
        ),
    ] {
        let answer = dev.post(token, body).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(problem),
            "{answer}"
        );
        dev.process
            .said(&format!("POST /in/door-bell: {status}"))
            .await;
    }
    // A body beyond the limit, under limits that were written down just now.
    edit(&config, "time = \"10s\"", "time = \"10s\"\nbody = \"1KiB\"");
    dev.process.said("build 2 serves door-bell").await;
    assert!(
        dev.post("dev", &"x".repeat(1025))
            .await
            .starts_with("HTTP/1.1 413")
    );

    // A setting that does not fit, and a plugin that takes itself too much.
    edit(&config, "priority = \"high\"", "priority = \"highest\"");
    dev.process
        .said("build 3 is broken; build 2 goes on serving")
        .await;
    edit(&config, "priority = \"highest\"", "priority = \"high\"");
    dev.process.said("build 4 serves door-bell").await;
    edit(
        &place.path("door-bell/src/lib.rs"),
        "fn id(given: &str) -> String {",
        "fn id(given: &str) -> String {\n    panic!(\"oh\");",
    );
    dev.process.said("build 5 serves door-bell").await;
    let answer = dev
        .post(
            "dev",
            r#"{"id": "1", "check": "door", "title": "Somebody rings"}"#,
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    dev.process.said("src/lib.rs:").await;
    dev.process.terminate();
    let ended = dev.process.output().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        !ended.stdout.contains("wrong"),
        "a credential is not printed: {ended:?}"
    );
}

#[tokio::test]
async fn dev_says_which_source_it_cannot_find() {
    let _builder = builder().await;
    let place = place_to_develop().await;
    let target_dir = target_dir();
    let run = async |arguments: &[&str]| {
        let fixed = [
            "plugin",
            "dev",
            "door-bell",
            "--target-dir",
            target_dir.to_str().unwrap(),
        ];
        place
            .run_without_secrets(&[&fixed, arguments].concat())
            .await
    };
    let config = "door-bell/gateway.toml";
    let misspelt = run(&["--config", config, "--source", "dor-bell"]).await;
    assert_eq!(misspelt.code, Some(2), "{misspelt:?}");
    assert!(
        misspelt.stderr.contains("did you mean \"door-bell\"?"),
        "{misspelt:?}"
    );
    let absent = run(&["--config", "nowhere.toml"]).await;
    assert_eq!(absent.code, Some(2), "{absent:?}");
    assert!(
        absent
            .stderr
            .contains("the configuration with --config FILE"),
        "{absent:?}"
    );
    edit(
        &place.path(config),
        "{ path = \"door-bell.wasm\" }",
        "\"twilio-errors\"",
    );
    let another = run(&["--config", config]).await;
    assert_eq!(another.code, Some(2), "{another:?}");
    assert!(
        another.stderr.contains("in one, or name one with --source"),
        "{another:?}"
    );
}
