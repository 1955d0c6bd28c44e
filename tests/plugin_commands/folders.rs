//! Plugins of any folder (`plugin.toml`), and the options that all commands share.

use super::*;
use plugin_sdk::signature::Scheme;
use plugin_sdk::{case, contract::Signed};

/// A folder `bell` with a `plugin.toml`, cases, and `hand.wasm` beside it.
fn folder(manifest: &str, cases: &[(&str, &str)]) -> Place {
    let place = Place::of("");
    place.write("hand.wasm", plugin::parrot());
    fs::create_dir_all(place.path("bell/cases")).unwrap();
    place.write("bell/plugin.toml", manifest);
    for (name, content) in cases {
        place.write(&format!("bell/cases/{name}"), content);
    }
    place
}

#[tokio::test]
async fn any_folder_is_a_plugin_by_its_manifest() {
    let answer = ignored("fine");
    let place = folder(
        "build = \"mkdir -p out && echo building && cp ../hand.wasm out/bell.wasm\"\nwasm = \"out/bell.wasm\"\n",
        &[
            ("a.http", &request(&answer)),
            ("a.json", &answer.to_string()),
        ],
    );
    let built = run(&place, &["build", "bell"]).await;
    assert_eq!(built.code, Some(0), "{built:?}");
    assert_said(
        &built.stdout,
        &["wasm    bell/out/bell.wasm", "sha256 = \""],
    );
    // The command's words are no part of the answer.
    assert_eq!(built.stderr, "building\n");
    for (command, part) in [
        (&["test", "bell"][..], "1 passed, 0 failed\n"),
        (&["inspect", "bell"], "limits      100ms, 16 MiB of memory"),
        (&["bench", "bell", "--time", "1ms"], "a "),
    ] {
        let output = run(&place, command).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_said(&output.stdout, &[part]);
    }
}

#[tokio::test]
async fn mistake_in_a_folder_is_told_with_what_to_do() {
    for (manifest, code, parts) in [
        (
            "build = \"echo no compiler >&2; exit 3\"\nwasm = \"a.wasm\"",
            1,
            &[
                "no compiler",
                "the build of bell/plugin.toml failed",
                "exit status: 3",
            ][..],
        ),
        (
            "build = \"true\"\nwasm = \"a.wasm\"",
            2,
            &[
                "cannot read bell/a.wasm",
                "`wasm` is not the file that it makes",
            ],
        ),
        (
            "wasm = \"a.wasm\"",
            2,
            &["without a `build` the file must be there"],
        ),
        (
            "wsam = \"a.wasm\"",
            2,
            &["bell/plugin.toml", "unknown field `wsam`", "write wasm ="],
        ),
        ("script = \"no.js\"", 2, &["cannot read bell/no.js"]),
    ] {
        let output = run(&folder(manifest, &[]), &["test", "bell"]).await;
        assert_eq!(output.code, Some(code), "{output:?}");
        assert_said(&output.stderr, parts);
        assert_eq!(output.stderr.matches("error: ").count(), 1, "{output:?}");
    }
    let script = folder("script = \"a.js\"", &[]);
    let built = run(&script, &["build", "bell"]).await;
    assert_eq!(built.code, Some(2), "{built:?}");
    assert_said(&built.stderr, &["a script needs no build"]);
    let nothing = run(&Place::of(""), &["test", "."]).await;
    assert_said(&nothing.stderr, &["a crate or one with a plugin.toml"]);
}

#[tokio::test]
async fn unknown_field_of_an_answer_is_told_and_ignored() {
    let answer = json!({ "alerts": [{ "event_id": "1", "priority": "high", "title": "x", "lables": { "a": "b" } }] });
    let place = hand_made(
        plugin::parrot(),
        &[
            ("a.http", &request(&answer)),
            ("a.json", &answer.to_string()),
        ],
    );
    let output = run(&place, &["test", "hand.wasm"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_said(
        &output.stdout,
        &[
            "    warning: the contract has no field `alerts[0].lables`, so it is ignored; did you mean \"labels\"?",
        ],
    );
}

#[tokio::test]
async fn unknown_field_of_a_description_is_told() {
    let mut description = plugin::description();
    description["secret"] = json!(["key"]);
    let wasm = plugin::made_of(&description.to_string(), "(call $parrot)", "");
    let answer = ignored("fine");
    let place = hand_made(
        wasm,
        &[
            ("a.http", &request(&answer)),
            ("a.json", &answer.to_string()),
        ],
    );
    let told =
        "describe: the contract has no field `secret`, so it is ignored; did you mean \"secrets\"?";
    let tested = run(&place, &["test", "hand.wasm"]).await;
    assert_said(&tested.stdout, &[told]);
    let inspected = run(&place, &["inspect", "hand.wasm"]).await;
    assert_eq!(inspected.code, Some(0), "{inspected:?}");
    assert_said(&inspected.stderr, &[told]);
}

#[tokio::test]
async fn given_limits_are_those_of_every_call() {
    let answer = ignored("more than a kibibyte: ")
        .to_string()
        .replace("kibibyte", &"x".repeat(2000));
    let place = hand_made(
        plugin::parrot(),
        &[
            ("a.http", &request(&serde_json::from_str(&answer).unwrap())),
            ("a.json", &answer),
        ],
    );
    let given = ["--limits", "output=1KiB,time=50ms,memory=2MiB"];
    let tested = run(&place, &[&["test", "hand.wasm"], &given[..]].concat()).await;
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert_said(
        &tested.stdout,
        &[
            "limits: 50ms, 2 MiB of memory and 1 KiB of output",
            "failed   a",
        ],
    );
    let bench = run(
        &place,
        &[&["bench", "hand.wasm", "--time", "1ms"], &given[..]].concat(),
    )
    .await;
    assert_eq!(bench.code, Some(1), "{bench:?}");
    let wrong = run(&place, &["test", "hand.wasm", "--limits", "tme=1s"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert_said(&wrong.stderr, &["did you mean time?"]);
}

#[tokio::test]
async fn limits_that_a_plugin_asks_for_hold_for_its_cases() {
    let mut description = plugin::description();
    description["limits"] = json!({ "time_ms": 400, "memory": 33554432 });
    let wasm = plugin::made_of(&description.to_string(), "(call $parrot)", "");
    let place = hand_made(wasm, &[("a.http", &request(&ignored("fine")))]);
    let tested = run(&place, &["test", "hand.wasm"]).await;
    assert_said(&tested.stdout, &["limits: 400ms, 32 MiB of memory"]);
}

#[tokio::test]
async fn bundled_plugin_is_measured_with_given_cases() {
    let cases = root().join("plugins/twilio-alarms/cases");
    let cases = cases.to_str().unwrap();
    let arguments = ["bench", "twilio-alarms", "--cases", cases, "--time", "1ms"];
    let output = run(&Place::of(""), &arguments).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.lines().count() > 5, "{}", output.stdout);
}

#[tokio::test]
async fn case_is_signed_by_the_proof_that_the_plugin_declares() {
    let mut description = plugin::description();
    description["secrets"] = json!(["key"]);
    description["proof"] =
        json!([{ "any": [{ "scheme": { "signed": { "header": "x-bell" } }, "secret": "key" }] }]);
    let wasm = plugin::made_of(&description.to_string(), "(call $parrot)", "");
    let place = hand_made(wasm, &[("a.http", &request(&ignored("fine")))]);
    let without = run(&place, &["sign", "hand.wasm"]).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert_said(&without.stderr, &["hold no secret", "cases/settings.json"]);
    place.write("cases/settings.json", "{\"key\": \"s3cret-of-a-test\"}");
    for told in [
        "signed cases/a.http with /key",
        "left cases/a.http: it is signed",
    ] {
        let signed = run(&place, &["sign", "hand.wasm"]).await;
        assert_eq!(signed.code, Some(0), "{signed:?}");
        assert_said(&signed.stdout, &[told]);
        let request = case::load_one(&place.path("cases/a.http")).unwrap().request;
        let proof = request.headers.iter().filter(|(name, _)| name == "x-bell");
        assert_eq!(proof.count(), 1, "{request:?}");
        let scheme = Scheme::Signed(Signed::new("x-bell"));
        assert!(
            scheme.verify(&request, "s3cret-of-a-test").is_good(),
            "{request:?}"
        );
    }
    let bare = hand_made(plugin::parrot(), &[("a.http", &request(&ignored("fine")))]);
    let none = run(&bare, &["sign", "hand.wasm"]).await;
    assert_said(&none.stderr, &["the plugin declares no proof"]);
}
