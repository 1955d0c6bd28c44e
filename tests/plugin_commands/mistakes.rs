//! Plugins that every gateway refuses, and the advice of each command.

use super::*;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn file_that_is_no_plugin_is_told_what_it_lacks() {
    let other_version = |version: u32| {
        let mut description = plugin::description();
        description["contract"] = version.into();
        plugin::made_of(&description.to_string(), "(call $parrot)", "")
    };
    let no_name = json!({ "contract": 1 }).to_string();
    let no_json = "hello".to_owned();
    for (wasm, said) in [
        (
            b"#!/bin/sh".to_vec(),
            &[
                "it does not begin as WebAssembly does",
                "wasm32-unknown-unknown",
                "`alert-gateway plugin build`",
            ][..],
        ),
        (b"(module)".to_vec(), &["it is WebAssembly's text format"]),
        (
            b"\0asm\x0d\0\x01\0".to_vec(),
            &["it is a WebAssembly component"],
        ),
        (
            wat(r#"(module (func (export "describe") (result i32) (i32.const 0)))"#),
            &["does not export `read`", "`plugin_sdk::export!` makes it"],
        ),
        (
            wat(r#"(module (func (export "describe") (param i32)))"#),
            &[
                "as a function of type (i32) -> (), `describe`",
                "of type () -> i32",
            ],
        ),
        (
            wat(r#"(module (import "env" "now" (func (result i64))))"#),
            &[
                "imports `env.now`, which this host does not offer",
                "and no host functions of its own",
            ],
        ),
        (
            wat(r#"(module (import "extism:host/env" "alloc" (func)))"#),
            &[
                "does not fit this host",
                "alloc",
                "rebuild it with a current Extism PDK",
            ],
        ),
        (
            wat("(module (memory 300))"),
            &[
                "starts with 18.8 MiB of memory, and no call may have more than 16 MiB",
                "link it with less to start with",
            ],
        ),
        (
            other_version(0),
            &[
                "speaks version 0 of the contract",
                "the plugin is the older side; rebuild it",
            ],
        ),
        (
            other_version(2),
            &[
                "speaks version 2 of the contract",
                "the host is the older side; update the gateway",
            ],
        ),
        (
            plugin::made_of(&no_name, "(call $parrot)", ""),
            &[
                "failed in `describe`",
                "missing field `name`",
                "Description of contract 1",
            ],
        ),
        (
            plugin::made_of(&no_json, "(call $parrot)", ""),
            &["failed in `describe`", "expected value at line 1"],
        ),
    ] {
        let place = hand_made(wasm, &[("only.http", &request(&ignored("x")))]);
        for command in ["inspect", "test", "bench"] {
            let output = run(&place, &[command, "hand.wasm"]).await;
            assert_eq!(
                (output.code, &*output.stdout),
                (Some(1), ""),
                "{command}: {output:?}"
            );
            assert_said(&output.stderr, said);
            assert_said(&output.stderr, &["error: plugin `hand`"]);
        }
    }
}

#[tokio::test]
async fn a_description_that_is_wrong_is_told_by_inspect_and_by_test() {
    for (change, said) in [
        (
            json!({ "name": "Door Bell" }),
            &["the name \"Door Bell\" must be lower-case letters, digits and dashes"][..],
        ),
        (
            json!({ "secrets": ["tokn"], "settings": { "properties": { "token": {} } } }),
            &["the secret \"tokn\" is no property of the settings' schema (it has token)"],
        ),
        (
            json!({ "settings": { "properties": { "port": { "type": "integr" } } } }),
            &[
                "is no JSON Schema (draft 2020-12)",
                "at `/properties/port/type` of the schema",
            ],
        ),
        (
            json!({ "settings": { "$ref": "https://elsewhere.example/schema.json" } }),
            &["is no JSON Schema (draft 2020-12)", "elsewhere.example"],
        ),
    ] {
        let mut description = plugin::description();
        description
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let wasm = plugin::made_of(&description.to_string(), "(call $parrot)", "");
        let answer = ignored("x");
        let place = hand_made(
            wasm,
            &[
                ("only.http", &request(&answer)),
                ("only.json", &answer.to_string()),
            ],
        );
        let inspected = run(&place, &["inspect", "hand.wasm"]).await;
        assert_eq!(inspected.code, Some(1), "{inspected:?}");
        assert_said(&inspected.stderr, said);
        let json = run(&place, &["inspect", "hand.wasm", "--json"]).await;
        let known: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(known["problems"].as_array().unwrap().len(), 1, "{known}");
        let tested = run(&place, &["test", "hand.wasm"]).await;
        assert_eq!(tested.code, Some(1), "{tested:?}");
        assert_said(&tested.stdout, said);
        assert_said(
            &tested.stdout,
            &["failed   describe", "ok       only", "1 passed, 1 failed\n"],
        );
    }
}
