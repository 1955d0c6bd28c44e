//! The plugin `javascript`: scripts in the settings, through the real binary.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::harness::{Itoc360, Output, Place, Setup, root, twilio};

async fn plugin(place: &Place, arguments: &[&str]) -> Output {
    place
        .run_without_secrets(&[&["plugin"], arguments].concat())
        .await
}

/// A configuration with this setting `script`.
fn config(script: &str) -> String {
    format!(
        "[gateway]\npublic_url = \"https://alerts.example.com\"\n\n[destinations.itoc360]\nkind = \"itoc360\"\n\
         token = \"unused\"\n\n[sources.js]\nplugin = \"javascript\"\ndestination = \"itoc360\"\n\
         token = \"0123456789abcdef0123456789abcdef\"\n\n[sources.js.settings]\nscript = {script}\n"
    )
}

async fn checked(place: &Place) -> String {
    let output = place.run_without_secrets(&["check"]).await;
    format!("{}{}", output.stdout, output.stderr)
}

#[tokio::test]
async fn cases_of_the_bundled_engine_are_answered() {
    let cases = root().join("plugins/javascript/cases");
    let cases = cases.to_str().unwrap();
    let tested = plugin(&Place::of(""), &["test", "javascript", "--cases", cases]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
}

#[tokio::test]
async fn problem_that_comes_back_within_minutes_opens_again() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let itoc360 = Itoc360::alertmanager().await;
    let script = r#"
plugin = "javascript"
token = "0123456789abcdef0123456789abcdef"
settings.script = "const read = (r) => ({ key: r.json().id, status: status(r.json().state), title: 'Shop' })"
"#;
    let (_place, gateway) = Setup::new(&itoc360).source("js", script).start().await;
    let states = ["down", "up", "down", "up"];
    for state in states {
        let body = format!(r#"{{"id": 7, "state": "{state}"}}"#);
        let path = format!("/in/js?token={TOKEN}");
        gateway.accept(&twilio::unsigned(&path, body)).await;
    }
    let told = itoc360.requests(states.len()).await;
    let told: Vec<_> = told
        .iter()
        .map(|one| one.json()["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["firing", "resolved", "firing", "resolved"]);
}

#[tokio::test]
async fn new_script_passes_its_cases_without_a_toolchain() {
    let place = Place::of("");
    let made = plugin(&place, &["new", "door-bell", "--lang", "js"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let tested = plugin(&place, &["test", "door-bell/door-bell.js"]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.contains("1 passed, 0 failed"), "{tested:?}");
}

#[tokio::test]
async fn cases_are_signed_but_for_those_of_strangers() {
    let place = Place::of("");
    let cases = place.path("cases");
    fs::create_dir(&cases).unwrap();
    let original =
        |file: &str| fs::read_to_string(root().join("plugins/github/cases").join(file)).unwrap();
    for file in ["settings.json", "sample.json", "forged.json", "forged.http"] {
        fs::write(cases.join(file), original(file)).unwrap();
    }
    let signature = |text: &str| {
        let header = text.to_ascii_lowercase();
        let line = header
            .lines()
            .find(|line| line.starts_with("x-hub-"))
            .unwrap();
        line.to_owned()
    };
    let sample = original("sample.http");
    let (_, right) = sample.split_once("sha256=").unwrap();
    let unsigned = sample.replace(&right[..64], &"0".repeat(64));
    fs::write(cases.join("sample.http"), unsigned).unwrap();
    let cases = cases.to_str().unwrap();
    let sign = ["sign", "github", "--cases", cases];

    let first = plugin(&place, &sign).await.stdout;
    assert!(first.contains("sample.http with /secret"), "{first}");
    assert!(
        first.contains("forged.http: its answer is a rejection"),
        "{first}"
    );
    let signed = fs::read_to_string(place.path("cases/sample.http")).unwrap();
    assert_eq!(signature(&signed), signature(&sample));
    let forged = fs::read_to_string(place.path("cases/forged.http")).unwrap();
    assert_eq!(forged, original("forged.http"));

    let again = plugin(&place, &sign).await.stdout;
    assert!(again.contains("sample.http: it is signed"), "{again}");
    let named = plugin(&place, &[&sign[..], &["--case", "forged"]].concat())
        .await
        .stdout;
    assert!(named.contains("forged.http with /secret"), "{named}");
}

#[tokio::test]
async fn engine_of_scripts_is_compiled_once_for_a_user() {
    let place = Place::of("");
    plugin(&place, &["new", "door-bell", "--lang", "js"]).await;
    let compiled = place.path("caches/alert-gateway/compiled");
    let mut kept = Vec::new();
    // The last user may write nowhere.
    for caches in ["caches", "caches", "door-bell/door-bell.js"] {
        let environment = [("XDG_CACHE_HOME", place.path(caches))];
        let arguments = ["plugin", "test", "door-bell/door-bell.js"];
        let tested = place.run_with(&arguments, environment).await;
        assert_eq!(tested.code, Some(0), "{tested:?}");
        assert_eq!(tested.stderr, "", "it is no matter where nothing is kept");
        let files = fs::read_dir(&compiled).unwrap().map(|file| {
            let file = file.unwrap();
            let found = file.metadata().unwrap();
            (file.file_name(), found.ino(), found.mode() & 0o777)
        });
        kept.push(files.collect::<Vec<_>>());
    }
    assert_eq!(kept[0].len(), 1);
    assert_eq!(kept[0][0].2, 0o600);
    assert!(kept.iter().all(|files| *files == kept[0]), "{kept:?}");
}

#[tokio::test]
async fn mistake_in_a_script_is_told_at_its_line_of_toml() {
    // The script begins on the line after its quotes, which are in line 14.
    let place = Place::of(&config(
        "'''\nfunction read(request) {\n  return {,};\n}\n'''",
    ));
    let said = checked(&place).await;
    assert!(
        said.contains("gateway.toml:16:") && said.contains("line 2, column"),
        "{said}"
    );
}

#[tokio::test]
async fn script_may_stand_in_a_file() {
    let place = Place::of(&config("{ file = \"read.js\" }"));
    place.write("read.js", "function read() { return 'nothing' }\n");
    let said = checked(&place).await;
    assert!(!said.contains("error:"), "{said}");
    assert!(!said.contains("gateway.toml:14:"), "{said}");
    place.write("read.js", "const x = 1;\n");
    let said = checked(&place).await;
    assert!(
        said.contains("no function read(request, options)"),
        "{said}"
    );
}

#[tokio::test]
async fn failed_script_names_line_and_column() {
    let place = Place::of("");
    fs::create_dir(place.path("cases")).unwrap();
    place.write(
        "bad.js",
        "function read(request) {\n  return request.x.y;\n}\n",
    );
    place.write(
        "cases/one.http",
        "POST https://alerts.example.com/in/js HTTP/1.1\n\n{}",
    );
    let tested = plugin(&place, &["test", "bad.js"]).await;
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.stdout.contains("(line 2, column"), "{tested:?}");
}

#[tokio::test]
async fn script_that_calls_itself_for_ever_throws_at_its_line() {
    let place = Place::of("");
    fs::create_dir(place.path("cases")).unwrap();
    place.write(
        "cases/a.http",
        "POST https://alerts.example.com/in/js HTTP/1.1\n\n{}",
    );
    for (body, line) in [
        ("const f = (n) =>\n  f(n + 1) + 1;\n", "line 2, column"),
        (
            "const f = (n) =>\n  [1].map(() => f(n + 1));\n",
            "line 2, column",
        ),
        (
            "const f = (n) =>\n  'a'.replace(/a/, () => f(n + 1));\n",
            "line 2, column",
        ),
    ] {
        place.write(
            "deep.js",
            format!("{body}function read() {{\n  return f(0);\n}}\n"),
        );
        let tested = plugin(&place, &["test", "deep.js"]).await;
        assert_eq!(tested.code, Some(1), "{tested:?}");
        for part in ["RangeError: Maximum call stack size exceeded", line] {
            assert!(tested.stdout.contains(part), "{tested:?}");
        }
    }
    // A script may catch it, and go on.
    place.write(
        "deep.js",
        "const f = () => f();\nfunction read() {\n  try { f(); } catch (error) { return error.name; }\n}\n",
    );
    let caught = plugin(&place, &["test", "deep.js", "--bless"]).await;
    assert_eq!(caught.code, Some(0), "{caught:?}");
    let answer = fs::read_to_string(place.path("cases/a.json")).unwrap();
    assert!(answer.contains("RangeError"), "{answer}");
}
