//! What the author of a plugin is shown: whether its cases are answered as written, what it is, and what a call takes.

use std::fs;
use std::path::PathBuf;

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

/// A request whose body is what a parrot is to answer.
fn request(answer: &Value) -> String {
    format!("POST https://alerts.example.com/in/hand HTTP/1.1\ncontent-type: application/json\n\n{answer}")
}

fn ignored(reason: &str) -> Value {
    json!({ "ignored": { "reason": reason } })
}

async fn run(place: &Place, arguments: &[&str]) -> Output {
    place.run_without_secrets(&[&["plugin"], arguments].concat()).await
}

#[track_caller]
fn assert_said(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn every_case_of_every_bundled_plugin_passes_under_the_limits_of_a_source() {
    for bundled in alert_gateway_plugins::all() {
        let cases = root().join("plugins").join(bundled.name).join("cases");
        let output = run(&Place::of(""), &["test", bundled.name, "--cases", cases.to_str().unwrap()]).await;
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
        let requests = plugin_sdk::case::list(&cases).unwrap().len();
        assert_said(&output.stdout, &["limits: 100ms, 16 MiB of memory and 1 MiB of output", "ok       sample "]);
        assert!(output.stdout.ends_with(&format!("\n{requests} passed, 0 failed\n")), "{}", output.stdout);
    }
}

#[tokio::test]
async fn a_case_is_one_line_with_what_the_call_used() {
    let answer = ignored("fine");
    let place = hand_made(plugin::parrot(), &[("a.http", &request(&answer)), ("a.json", &answer.to_string())]);
    let output = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let line = output.stdout.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let [verdict, name, _time, unit, memory, memory_unit, bytes, bytes_unit] = words[..] else { panic!("{line}") };
    assert_eq!((verdict, name, memory, memory_unit), ("ok", "a", "64", "KiB"));
    assert!(["µs", "ms"].contains(&unit), "{line}");
    assert_eq!((bytes.parse(), bytes_unit), (Ok(answer.to_string().len()), "B"));
}

#[tokio::test]
async fn another_answer_is_shown_as_a_difference_and_written_down_when_it_is_blessed() {
    let place = hand_made(
        plugin::parrot(),
        &[
            ("changed.http", &request(&ignored("new"))),
            ("changed.json", &ignored("old").to_string()),
            ("fresh.http", &request(&ignored("first"))),
            ("same.http", &request(&ignored("same"))),
            ("same.json", &ignored("same").to_string()),
        ],
    );
    let first = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(first.code, Some(1), "{first:?}");
    assert_said(
        &first.stdout,
        &[
            "changed  changed",
            "-    \"reason\": \"old\"",
            "+    \"reason\": \"new\"",
            "If the new answer is right, write it down with --bless.",
            "failed   fresh",
            "cases/fresh.json is missing. The answer was:",
            "\"reason\": \"first\"",
            "If it is right, write it down with --bless.",
            "ok       same",
            "1 passed, 2 failed\n",
        ],
    );
    assert_said(&first.stderr, &["error: not every case is answered as written"]);

    let blessed = run(&place, &["test", "hand.wasm", "--bless"]).await;
    assert_eq!(blessed.code, Some(0), "{blessed:?}");
    assert_said(&blessed.stdout, &["wrote cases/changed.json", "wrote cases/fresh.json", "3 passed, 0 failed\n"]);
    assert!(!blessed.stdout.contains("wrote cases/same.json"), "{}", blessed.stdout);
    let written = fs::read_to_string(place.path("cases/fresh.json")).unwrap();
    assert_eq!(written, "{\n  \"ignored\": {\n    \"reason\": \"first\"\n  }\n}\n");
    assert_eq!(run(&place, &["test", "hand.wasm"]).await.code, Some(0));
}

#[tokio::test]
async fn one_case_is_run_alone_and_a_misspelt_one_is_not_guessed_silently() {
    let cases = [("ring.http", &*request(&ignored("x"))), ("knock.http", "broken")];
    let place = hand_made(plugin::parrot(), &cases);
    let one = run(&place, &["test", "hand.wasm", "--bless", "--case", "ring"]).await;
    assert_eq!(one.code, Some(0), "{one:?}");
    assert_said(&one.stdout, &["1 passed, 0 failed\n"]);
    for command in [&["test", "hand.wasm", "--case", "rnig"][..], &["bench", "hand.wasm", "--case", "rnig"]] {
        let other = run(&place, command).await;
        assert_eq!((other.code, &*other.stdout), (Some(2), ""), "{other:?}");
        assert_said(&other.stderr, &["there is no case \"rnig\", only knock and ring; did you mean \"ring\"?"]);
    }
}

#[tokio::test]
async fn what_is_missing_for_a_case_is_said_with_what_to_do() {
    let place = Place::of("");
    place.write("hand.wasm", plugin::parrot());
    let without_folder = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(without_folder.code, Some(2), "{without_folder:?}");
    assert_said(&without_folder.stderr, &["there is no folder cases: make it, and put a request"]);
    fs::create_dir(place.path("cases")).unwrap();
    let without_case = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(without_case.code, Some(2), "{without_case:?}");
    assert_said(&without_case.stderr, &["cases holds no case: put a request into a file `<case>.http` there"]);
    let without_cases = run(&place, &["test", "twilio-errors"]).await;
    assert_eq!(without_cases.code, Some(2), "{without_cases:?}");
    assert_said(&without_cases.stderr, &["--cases DIR", "`alert-gateway plugin test plugins/twilio-errors`"]);
    let unknown = run(&place, &["inspect", "twilio-eror"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_said(&unknown.stderr, &["neither a plugin's folder, nor a wasm file", "did you mean \"twilio-errors\"?"]);
}

#[tokio::test]
async fn a_broken_file_fails_its_own_case_and_the_others_are_run() {
    let mut description = plugin::description();
    description["settings"] = json!({
        "type": "object",
        "properties": { "port": { "type": "integer" }, "token": { "type": "string" } },
        "additionalProperties": false
    });
    description["secrets"] = json!(["token"]);
    let good = request(&ignored("x"));
    let place = hand_made(
        plugin::made_of(&description.to_string(), "(call $parrot)", ""),
        &[
            ("broken.http", "POST /in/hand HTTP/1.1\n\n"),
            ("endless.http", "POST https://alerts.example.com/in/hand HTTP/1.1\nA: b\n"),
            ("good.http", &good),
            ("good.json", &ignored("x").to_string()),
            ("large.http", &format!("{good}{}", " ".repeat(300 * 1024))),
            ("no-answer.http", &good),
            ("no-answer.json", "{"),
            ("no-json.http", &good),
            ("no-json.settings.json", "port = 5"),
            ("secret.http", &good),
            ("secret.settings.json", r#"{"token": 4711, "port": 80}"#),
            ("settings.json", "{}"),
            ("unfit.http", &good),
            ("unfit.settings.json", r#"{"port": "eighty", "prot": 1}"#),
        ],
    );
    let output = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_said(
        &output.stdout,
        &[
            "failed   broken\n    cases/broken.http: the request line needs the whole URL",
            "failed   endless\n    cases/endless.http: no blank line ends the headers: put one",
            "ok       good",
            "failed   large\n    the body has ",
            "and a source takes 262144: shorten it, or tell operators to set `body`",
            "changed  no-answer",
            "cases/no-answer.json: not JSON: EOF",
            "failed   no-json\n    cases/no-json.settings.json: the settings are not JSON",
            "write a source's settings as one JSON object",
            "failed   unfit\n    its settings do not fit the plugin's own schema, so `check` would refuse",
            "`/port`: \"eighty\" is not of type \"integer\"",
            "'prot' was unexpected",
            "Mend cases/unfit.settings.json, or the schema.",
            "`/token`: the secret is not of type \"string\"",
            "1 passed, 7 failed\n",
        ],
    );
    assert!(!output.stdout.contains("4711"), "{}", output.stdout);
}

/// What `plugin test` says of a plugin that is to read one request.
async fn verdict_on(wasm: &[u8]) -> String {
    let place = hand_made(wasm, &[("only.http", &request(&ignored("x")))]);
    let output = run(&place, &["test", "hand.wasm", "--bless"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(!place.path("cases/only.json").exists(), "a failure is not written down as an answer");
    assert_said(&output.stdout, &["failed   only ", "0 passed, 1 failed\n"]);
    output.stdout
}

#[tokio::test]
async fn a_crash_shows_the_case_the_panics_place_and_message_and_what_to_do() {
    let said = verdict_on(&plugin::panicking("panicked at src/lib.rs:31:9: no title in the payload")).await;
    assert_said(
        &said,
        &[
            "the plugin crashed: wasm `unreachable` instruction executed",
            "panicked at src/lib.rs:31:9: no title in the payload",
            "Mend the line that it names",
            "`cargo test` runs the same case natively",
        ],
    );
    let silent = verdict_on(&plugin::hostile("(unreachable)")).await;
    assert_said(&silent, &["the plugin crashed", "It left no message.", "`error_set`"]);
    let deep = plugin::made_of(
        &plugin::description().to_string(),
        "(call $deeper (i32.const 1))",
        "(func $deeper (param i32) (result i32)
            (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
    );
    assert_said(&verdict_on(&deep).await, &["call stack exhausted", "It calls itself too often. Bound the depth"]);
}

#[tokio::test]
async fn each_limit_that_a_plugin_runs_into_is_named_with_what_to_do() {
    let time = verdict_on(&plugin::hostile("(loop $forever (br $forever)) (unreachable)")).await;
    assert_said(
        &time,
        &["its whole time limit of 100ms", "Look for a loop that the request keeps going", "plugin bench"],
    );
    let memory = "(loop $forever (drop (memory.grow (i32.const 1))) (br $forever)) (unreachable)";
    let memory = verdict_on(&plugin::hostile(memory)).await;
    assert_said(&memory, &["its limit is 16777216", "16 MiB", "Look for a collection that grows with the request"]);
    let output = "(call $output_set (call $alloc (i64.const 2000000)) (i64.const 2000000)) (i32.const 0)";
    let output = verdict_on(&plugin::hostile(output)).await;
    assert_said(&output, &["it has 2000000 bytes, and the limit is 1048576", "The limit of a source is `output`"]);
    let host = "(loop $forever (drop (call $alloc (i64.const 65536))) (br $forever)) (unreachable)";
    assert_said(&verdict_on(&plugin::hostile(host)).await, &["used up the host's memory", "Free what `alloc` gave"]);
    let failed = verdict_on(&plugin::hostile("(i32.const 3)")).await;
    assert_said(&failed, &["reported an error (code 3)", "returned an error instead of an answer"]);
}

#[tokio::test]
async fn an_answer_that_does_not_keep_the_contract_is_told_by_its_field() {
    let alert = |change: Value| {
        let mut alert = json!({ "event_id": "1", "priority": "high", "title": "t" });
        alert.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "alerts": [alert] })
    };
    for (answer, said) in [
        (alert(json!({ "title": 7 })), "`alerts[0].title`: invalid type: integer `7`, expected a string"),
        (
            alert(json!({ "priority": "loud" })),
            "`alerts[0].priority`: unknown variant `loud`, expected one of `critical`",
        ),
        (json!({ "alerts": [{ "event_id": "1" }] }), "missing field `priority`"),
        (alert(json!({ "event_id": "" })), "`alerts[0].event_id`: expected 1 to 256 bytes, found 0 bytes"),
        (json!({ "alert": [] }), "unknown variant `alert`, expected one of `alerts`, `ignored`, `rejected`, `reply`"),
    ] {
        let place = hand_made(plugin::parrot(), &[("only.http", &request(&answer))]);
        let output = run(&place, &["test", "hand.wasm"]).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert_said(&output.stdout, &["failed   only ", "does not keep the contract", said]);
    }
    let nothing = verdict_on(&plugin::hostile("(i32.const 0)")).await;
    assert_said(&nothing, &["expected JSON, found nothing", "An answer is one of {\"alerts\": […]}"]);
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_file_that_is_no_plugin_says_what_it_lacks_and_how_to_build_it() {
    let other_version = |version: u32| {
        let mut description = plugin::description();
        description["contract"] = version.into();
        plugin::made_of(&description.to_string(), "(call $parrot)", "")
    };
    let (no_name, no_json) = (json!({ "contract": 1 }).to_string(), "hello".to_owned());
    for (wasm, said) in [
        (
            b"#!/bin/sh".to_vec(),
            &["it does not begin as WebAssembly does", "wasm32-unknown-unknown", "`alert-gateway plugin build`"][..],
        ),
        (b"(module)".to_vec(), &["it is WebAssembly's text format"]),
        (b"\0asm\x0d\0\x01\0".to_vec(), &["it is a WebAssembly component"]),
        (
            wat(r#"(module (func (export "describe") (result i32) (i32.const 0)))"#),
            &["does not export `read`", "`plugin_sdk::export!` makes it"],
        ),
        (
            wat(r#"(module (func (export "describe") (param i32)))"#),
            &["as a function of type (i32) -> (), `describe`", "of type () -> i32"],
        ),
        (
            wat(r#"(module (import "env" "now" (func (result i64))))"#),
            &["imports `env.now`, which this host does not offer", "declare no host functions of your own"],
        ),
        (
            wat(r#"(module (import "extism:host/env" "alloc" (func)))"#),
            &["does not fit this host", "alloc", "rebuild it with a current Extism PDK"],
        ),
        (
            wat("(module (memory 300))"),
            &["exceeds the limit of 0x1000000 bytes", "let its memory start within the limit"],
        ),
        (other_version(0), &["speaks version 0 of the contract", "the plugin is the older side; rebuild it"]),
        (other_version(2), &["speaks version 2 of the contract", "the host is the older side; update the gateway"]),
        (
            plugin::made_of(&no_name, "(call $parrot)", ""),
            &["failed in `describe`", "missing field `name`", "Description of contract 1"],
        ),
        (plugin::made_of(&no_json, "(call $parrot)", ""), &["failed in `describe`", "expected value at line 1"]),
    ] {
        let place = hand_made(wasm, &[("only.http", &request(&ignored("x")))]);
        for command in ["inspect", "test", "bench"] {
            let output = run(&place, &[command, "hand.wasm"]).await;
            assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{command}: {output:?}");
            assert_said(&output.stderr, said);
            assert_said(&output.stderr, &["error: plugin `hand`"]);
        }
    }
}

#[tokio::test]
async fn a_description_that_is_wrong_is_told_by_inspect_and_by_test() {
    for (change, said) in [
        (json!({ "name": "Door Bell" }), &["the name \"Door Bell\" must be lower-case letters, digits and dashes"][..]),
        (
            json!({ "secrets": ["tokn"], "settings": { "properties": { "token": {} } } }),
            &["the secret \"tokn\" is no property of the settings' schema (it has token)"],
        ),
        (
            json!({ "settings": { "properties": { "port": { "type": "integr" } } } }),
            &["is no JSON Schema (draft 2020-12)", "at `/properties/port/type` of the schema"],
        ),
        (
            json!({ "settings": { "$ref": "https://elsewhere.example/schema.json" } }),
            &["is no JSON Schema (draft 2020-12)", "elsewhere.example"],
        ),
    ] {
        let mut description = plugin::description();
        description.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let wasm = plugin::made_of(&description.to_string(), "(call $parrot)", "");
        let answer = ignored("x");
        let place = hand_made(wasm, &[("only.http", &request(&answer)), ("only.json", &answer.to_string())]);
        let inspected = run(&place, &["inspect", "hand.wasm"]).await;
        assert_eq!(inspected.code, Some(1), "{inspected:?}");
        assert_said(&inspected.stderr, said);
        let json = run(&place, &["inspect", "hand.wasm", "--json"]).await;
        let known: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(known["problems"].as_array().unwrap().len(), 1, "{known}");
        let tested = run(&place, &["test", "hand.wasm"]).await;
        assert_eq!(tested.code, Some(1), "{tested:?}");
        assert_said(&tested.stdout, said);
        assert_said(&tested.stdout, &["failed   describe", "ok       only", "1 passed, 1 failed\n"]);
    }
}

#[tokio::test]
async fn inspect_shows_what_a_plugin_is_and_how_far_it_reaches() {
    let output = run(&Place::of(""), &["inspect", "twilio-errors"]).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    let bundled = alert_gateway_plugins::find("twilio-errors").unwrap();
    let sha256 = plugin_sdk::signature::sha256(bundled.wasm).hex();
    assert_said(
        &output.stdout,
        &[
            &format!("twilio-errors {}\nReads Twilio's Debugger webhook", env!("CARGO_PKG_VERSION")),
            "contract    1\n",
            "the plugin proves who sends; a source needs no token",
            "URL suffix  #rc=3&rp=all\n",
            " KiB\n",
            &sha256,
            "exports     memory, ",
            "auth_token  (required, secret)\n      text, list of text (1 to 4) or table from names to [text or list of text",
            "  reads the request (input_length, ",
            "  answers (output_set)\n",
            "See a clock, a file, the network",
            "  2. Paste this URL",
            "<public_url>/in/<source>#rc=3&rp=all\n",
            "      plugin      = \"twilio-errors\"\n".trim_start(),
            "auth_token = { env = \"TWILIO_ERRORS_AUTH_TOKEN\" }",
        ],
    );
}

#[tokio::test]
async fn inspect_as_json_is_the_description_with_what_the_file_is() {
    let place = hand_made(plugin::parrot_of_strangers(), &[]);
    let output = run(&place, &["inspect", "hand.wasm", "--json"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let known: Value = serde_json::from_str(&output.stdout).unwrap();
    let wasm = plugin::parrot_of_strangers();
    let expected = json!({
        "contract": 1, "name": "hand-made", "version": "1.0.0", "summary": "For a test.",
        "settings": { "type": "object" }, "secrets": [], "authenticates": false, "url_suffix": "", "setup": "",
        "size": wasm.len(),
        "sha256": plugin_sdk::signature::sha256(&wasm).hex(),
        "imports": [
            "extism:host/env.input_length", "extism:host/env.input_load_u8", "extism:host/env.input_load_u64",
            "extism:host/env.alloc", "extism:host/env.store_u8", "extism:host/env.output_set",
            "extism:host/env.log_error", "extism:host/env.error_set"
        ],
        "exports": ["memory", "describe", "read"],
        "problems": []
    });
    assert_eq!(known, expected);
}

#[tokio::test]
async fn a_file_is_inspected_with_the_lines_that_name_it() {
    let place = hand_made(plugin::parrot_of_strangers(), &[]);
    let output = run(&place, &["inspect", "hand.wasm"]).await;
    let sha256 = plugin_sdk::signature::sha256(&plugin::parrot_of_strangers()).hex();
    assert_said(
        &output.stdout,
        &[
            "a source needs a token",
            "  [sources.hand-made]\n",
            &format!("  plugin      = {{ path = \"hand.wasm\", sha256 = \"{sha256}\" }}\n"),
            "  token       = { env = \"HAND_MADE_TOKEN\" }\n",
        ],
    );
    let page = run(&place, &["inspect", "hand.wasm", "--markdown"]).await.stdout;
    assert_said(&page, &["plugin      = { path = \"hand.wasm\" }\n", "Add `sha256 = \"…\"`", "needs a `token`"]);
    assert!(!page.contains(&sha256), "{page}");
}

/// The configuration in a plugin's page.
fn snippet(page: &str) -> &str {
    page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap()
}

#[tokio::test]
async fn bundled_plugins_docs_are_what_the_plugins_say_of_themselves() {
    for bundled in alert_gateway_plugins::all() {
        let found = run(&Place::of(""), &["inspect", bundled.name, "--markdown"]).await;
        assert_eq!((found.code, &*found.stderr), (Some(0), ""), "{found:?}");
        let path: PathBuf = root().join("plugins").join(bundled.name).join("README.md");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &found.stdout).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == found.stdout,
            "{} is not what the plugin says of itself. `BLESS=1 cargo test --workspace bundled_plugins_docs` writes it \
             anew; it would be:\n{}",
            path.display(),
            found.stdout
        );
    }
}

#[tokio::test]
async fn the_configuration_in_a_bundled_plugins_page_is_right() {
    for bundled in alert_gateway_plugins::all() {
        let page = run(&Place::of(""), &["inspect", bundled.name, "--markdown"]).await.stdout;
        let place = Place::of(&format!(
            "[gateway]\npublic_url = \"https://alerts.example.com\"\n\n[destinations.itoc360]\nkind = \"itoc360\"\n\
             token = \"unused\"\n\n{}",
            // A variable that is set on every machine.
            snippet(&page).lines().fold(String::new(), |text, line| match line.split_once("env = \"") {
                Some((before, _)) => text + before + "env = \"PATH\" }\n",
                None => text + line + "\n",
            })
        ));
        let output = place.run_without_secrets(&["check"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn bench_shows_what_a_call_takes_beside_the_limits() {
    let answer = ignored("fine");
    let place = hand_made(plugin::parrot(), &[("one.http", &request(&answer)), ("other.http", &request(&answer))]);
    let all = run(&place, &["bench", "hand.wasm", "--time", "5ms"]).await;
    assert_eq!((all.code, &*all.stderr), (Some(0), ""), "{all:?}");
    assert_said(
        &all.stdout,
        &["one call at a time, each in a fresh instance", "median", "p99", "\none ", "\nother ", "\nlimit "],
    );
    assert_said(&all.stdout, &["100.00 ms     16 MiB      1 MiB\n", " 64 KiB "]);
    assert_eq!(all.stdout.contains("This is a debug build"), cfg!(debug_assertions), "{}", all.stdout);
    let one = run(&place, &["bench", "hand.wasm", "--case", "other", "--time", "5ms"]).await;
    assert!(!one.stdout.contains("\none ") && one.stdout.contains("\nother "), "{one:?}");
    let sample = run(&place, &["bench", "twilio-errors", "--time", "5ms"]).await;
    assert_eq!(sample.code, Some(0), "{sample:?}");
    assert_said(&sample.stdout, &["twilio-errors ", "\nsample "]);
    let long = run(&place, &["bench", "hand.wasm", "--time", "1h"]).await;
    assert_eq!(long.code, Some(2), "{long:?}");
    assert_said(&long.stderr, &["write a duration from 1ms to 1m"]);
}

#[tokio::test]
async fn bench_measures_what_can_be_measured_and_says_what_cannot() {
    let place =
        hand_made(plugin::parrot(), &[("good.http", &request(&ignored("x"))), ("none.http", &request(&json!(1)))]);
    let output = run(&place, &["bench", "hand.wasm", "--time", "5ms"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_said(
        &output.stdout,
        &["\ngood ", "\nnone  cannot be measured: the plugin's answer does not keep the contract"],
    );
}

#[tokio::test]
async fn the_catalogue_is_listed_for_people_and_for_programs() {
    let place = Place::of("");
    let output = run(&place, &["list"]).await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    let listed = run(&place, &["list", "--json"]).await;
    let rows: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let plugins = alert_gateway_plugins::all();
    assert_eq!((rows.len(), output.stdout.lines().count()), (plugins.len(), plugins.len()));
    for (plugin, (row, line)) in plugins.iter().zip(rows.iter().zip(output.stdout.lines())) {
        assert_eq!((&row["name"], &row["size"]), (&plugin.name.into(), &plugin.wasm.len().into()));
        let token = if row["authenticates"] == true { "proves its sender" } else { "needs a token" };
        assert_said(line, &[plugin.name, row["version"].as_str().unwrap(), row["summary"].as_str().unwrap(), token]);
    }
}

#[tokio::test]
async fn every_plugin_command_explains_itself() {
    let place = Place::of("");
    for command in [&[][..], &["test"], &["inspect"], &["bench"], &["list"]] {
        let output = run(&place, &[command, &["--help"]].concat()).await;
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{command:?}");
        assert!(output.stdout.contains("Usage: alert-gateway plugin") && output.stdout.len() > 200, "{output:?}");
    }
}
