//! `plugin test`: failures of a plugin, with advice for its author.

use super::*;

/// Returns the output of `plugin test` for a plugin with one request.
async fn verdict_on(wasm: &[u8]) -> String {
    let place = hand_made(wasm, &[("only.http", &request(&ignored("x")))]);
    let output = run(&place, &["test", "hand.wasm", "--bless"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        !place.path("cases/only.json").exists(),
        "a failure is not written down as an answer"
    );
    assert_said(&output.stdout, &["failed   only ", "0 passed, 1 failed\n"]);
    output.stdout
}

#[tokio::test]
async fn crash_shows_case_place_message_and_advice() {
    let said = verdict_on(&plugin::panicking(
        "panicked at src/lib.rs:31:9: no title in the payload",
    ))
    .await;
    assert_said(
        &said,
        &[
            "the plugin crashed: wasm `unreachable` instruction executed",
            "panicked at src/lib.rs:31:9: no title in the payload",
            "Fix the line that it names",
            "`cargo test` runs the same case natively",
        ],
    );
    let silent = verdict_on(&plugin::hostile("(unreachable)")).await;
    assert_said(
        &silent,
        &["the plugin crashed", "It left no message.", "`error_set`"],
    );
    let deep = plugin::made_of(
        &plugin::description().to_string(),
        "(call $deeper (i32.const 1))",
        "(func $deeper (param i32) (result i32)
            (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
    );
    assert_said(
        &verdict_on(&deep).await,
        &[
            "call stack exhausted",
            "It calls itself too often. Bound the depth",
        ],
    );
}

#[tokio::test]
async fn each_limit_that_a_plugin_runs_into_is_named_with_what_to_do() {
    let time = verdict_on(&plugin::hostile(
        "(loop $forever (br $forever)) (unreachable)",
    ))
    .await;
    assert_said(
        &time,
        &[
            "its whole time limit of 100ms",
            "Look for a loop that the request keeps going",
            "plugin bench",
        ],
    );
    let memory = "(loop $forever (drop (memory.grow (i32.const 1))) (br $forever)) (unreachable)";
    let memory = verdict_on(&plugin::hostile(memory)).await;
    assert_said(
        &memory,
        &[
            "its limit is 16777216",
            "16 MiB",
            "Look for a collection that grows with the request",
        ],
    );
    let output =
        "(call $output_set (call $alloc (i64.const 2000000)) (i64.const 2000000)) (i32.const 0)";
    let output = verdict_on(&plugin::hostile(output)).await;
    assert_said(
        &output,
        &[
            "it has 2000000 bytes, and the limit is 1048576",
            "The limit of a source is `output`",
        ],
    );
    let host = "(loop $forever (drop (call $alloc (i64.const 65536))) (br $forever)) (unreachable)";
    assert_said(
        &verdict_on(&plugin::hostile(host)).await,
        &["used up the host's memory", "Free what `alloc` gave"],
    );
    let failed = verdict_on(&plugin::hostile("(i32.const 3)")).await;
    assert_said(
        &failed,
        &[
            "reported an error (code 3)",
            "returned an error instead of an answer",
        ],
    );
}

#[tokio::test]
async fn answer_against_the_contract_is_told_by_its_field() {
    let alert = |change: Value| {
        let mut alert = json!({ "event_id": "1", "priority": "high", "title": "t" });
        alert
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        json!({ "alerts": [alert] })
    };
    for (answer, said) in [
        (
            alert(json!({ "title": 7 })),
            "`alerts[0].title`: invalid type: integer `7`, expected a string",
        ),
        (
            alert(json!({ "priority": "loud" })),
            "`alerts[0].priority`: unknown variant `loud`, expected one of `critical`",
        ),
        (
            json!({ "alerts": [{ "event_id": "1" }] }),
            "missing field `priority`",
        ),
        (
            alert(json!({ "event_id": "" })),
            "`alerts[0].event_id`: expected 1 to 256 bytes, found 0 bytes",
        ),
        (
            json!({ "alert": [] }),
            "unknown variant `alert`, expected one of `alerts`, `ignored`, `rejected`, `reply`",
        ),
    ] {
        let place = hand_made(plugin::parrot(), &[("only.http", &request(&answer))]);
        let output = run(&place, &["test", "hand.wasm"]).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert_said(
            &output.stdout,
            &["failed   only ", "does not keep the contract", said],
        );
    }
    let nothing = verdict_on(&plugin::hostile("(i32.const 0)")).await;
    assert_said(
        &nothing,
        &[
            "expected JSON, found nothing",
            "An answer is one of {\"alerts\": […]}",
        ],
    );
}
