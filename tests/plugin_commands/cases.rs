//! `plugin test`: whether the cases of a plugin are answered as written.

use super::*;
use alert_gateway_plugins::Bundled;

#[tokio::test]
async fn every_bundled_case_passes_under_a_sources_limits() {
    // One script speaks for all: their cases are read in `catalogue`, where their engine is compiled
    // once.
    let scripts = |bundled: &&Bundled| !bundled.configuration.is_empty();
    let all = alert_gateway_plugins::all();
    let one = all.iter().find(scripts);
    for bundled in all.iter().filter(|one| !scripts(one)).chain(one) {
        let cases = root().join("plugins").join(bundled.name).join("cases");
        let output = run(
            &Place::of(""),
            &["test", bundled.name, "--cases", cases.to_str().unwrap()],
        )
        .await;
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
        let requests = plugin_sdk::case::list(&cases).unwrap().len();
        // What a plugin asks for, a source without limits of its own grants.
        let known = run(&Place::of(""), &["inspect", bundled.name, "--json"]).await;
        let known: Value = serde_json::from_str(&known.stdout).unwrap();
        let asked = &known["limits"];
        let limits = if asked.as_object().is_none_or(|asked| asked.is_empty()) {
            "limits: 100ms, 16 MiB of memory and 1 MiB of output".to_owned()
        } else {
            format!("limits: {}ms, ", asked["time_ms"].as_u64().unwrap_or(100))
        };
        assert_said(&output.stdout, &[&limits, "ok       sample "]);
        assert!(
            output
                .stdout
                .ends_with(&format!("\n{requests} passed, 0 failed\n")),
            "{}",
            output.stdout
        );
    }
}

#[tokio::test]
async fn a_case_is_one_line_with_what_the_call_used() {
    let answer = ignored("fine");
    let place = hand_made(
        plugin::parrot(),
        &[
            ("a.http", &request(&answer)),
            ("a.json", &answer.to_string()),
        ],
    );
    let output = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let line = output.stdout.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let [
        verdict,
        name,
        _time,
        unit,
        memory,
        memory_unit,
        bytes,
        bytes_unit,
    ] = words[..]
    else {
        panic!("{line}")
    };
    assert_eq!(
        (verdict, name, memory, memory_unit),
        ("ok", "a", "64", "KiB")
    );
    assert!(["µs", "ms"].contains(&unit), "{line}");
    assert_eq!(
        (bytes.parse(), bytes_unit),
        (Ok(answer.to_string().len()), "B")
    );
}

#[tokio::test]
async fn another_answer_is_shown_as_a_difference_and_blessed() {
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
            "new      fresh",
            "cases/fresh.json is missing. The answer was:",
            "\"reason\": \"first\"",
            "If it is right, write it down with --bless.",
            "ok       same",
            "1 passed, 1 failed, 1 new\n",
        ],
    );
    assert_said(
        &first.stderr,
        &["error: not every case is answered as written"],
    );

    let blessed = run(&place, &["test", "hand.wasm", "--bless"]).await;
    assert_eq!(blessed.code, Some(0), "{blessed:?}");
    assert_said(
        &blessed.stdout,
        &[
            "wrote cases/changed.json",
            "wrote cases/fresh.json",
            "3 passed, 0 failed\n",
        ],
    );
    assert!(
        !blessed.stdout.contains("wrote cases/same.json"),
        "{}",
        blessed.stdout
    );
    let written = fs::read_to_string(place.path("cases/fresh.json")).unwrap();
    assert_eq!(
        written,
        "{\n  \"ignored\": {\n    \"reason\": \"first\"\n  }\n}\n"
    );
    assert_eq!(run(&place, &["test", "hand.wasm"]).await.code, Some(0));
}

#[tokio::test]
async fn one_case_runs_alone_and_a_misspelt_one_is_refused() {
    let cases = [
        ("ring.http", &*request(&ignored("x"))),
        ("knock.http", "broken"),
    ];
    let place = hand_made(plugin::parrot(), &cases);
    let one = run(&place, &["test", "hand.wasm", "--bless", "--case", "ring"]).await;
    assert_eq!(one.code, Some(0), "{one:?}");
    assert_said(&one.stdout, &["1 passed, 0 failed\n"]);
    for command in [
        &["test", "hand.wasm", "--case", "rnig"][..],
        &["bench", "hand.wasm", "--case", "rnig"],
    ] {
        let other = run(&place, command).await;
        assert_eq!((other.code, &*other.stdout), (Some(2), ""), "{other:?}");
        assert_said(
            &other.stderr,
            &["there is no case \"rnig\", only knock and ring; did you mean \"ring\"?"],
        );
    }
}

#[tokio::test]
async fn what_is_missing_for_a_case_is_said_with_what_to_do() {
    let place = Place::of("");
    place.write("hand.wasm", plugin::parrot());
    let without_folder = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(without_folder.code, Some(2), "{without_folder:?}");
    assert_said(
        &without_folder.stderr,
        &["there is no folder cases: make it, and put a request"],
    );
    fs::create_dir(place.path("cases")).unwrap();
    let without_case = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(without_case.code, Some(2), "{without_case:?}");
    assert_said(
        &without_case.stderr,
        &["cases holds no case: put a request into a file `<case>.http` there"],
    );
    let without_cases = run(&place, &["test", "twilio-errors"]).await;
    assert_eq!(without_cases.code, Some(2), "{without_cases:?}");
    assert_said(
        &without_cases.stderr,
        &[
            "--cases DIR",
            "`alert-gateway plugin test plugins/twilio-errors`",
        ],
    );
    let unknown = run(&place, &["inspect", "twilio-eror"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_said(
        &unknown.stderr,
        &[
            "neither a plugin's folder, nor a wasm file",
            "did you mean \"twilio-errors\"?",
        ],
    );
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
            (
                "endless.http",
                "POST https://alerts.example.com/in/hand HTTP/1.1\nA: b\n",
            ),
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
            "Fix cases/unfit.settings.json, or the schema.",
            "`/token`: the secret is not of type \"string\"",
            "1 passed, 7 failed\n",
        ],
    );
    assert!(!output.stdout.contains("4711"), "{}", output.stdout);
}
