//! Loading: accepted plugins, and the refusal of others.

use plugin_sdk::contract::Checked;

use super::*;

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let plugin = load(ByHand::default()).await;
    assert_eq!(plugin.name(), "hand-made");
    assert_eq!(plugin.description().name, "hand-made");
    assert_eq!(plugin.sha256().len(), 64);
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn the_hash_is_that_of_the_wasm() {
    let wasm = ByHand::default().wasm();
    let plugin = sandbox().load("hand-made", &wasm).await.unwrap();
    use sha2::{Digest, Sha256};
    let expected: String = Sha256::digest(&wasm)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(plugin.sha256(), expected);
}

#[tokio::test]
async fn what_is_no_wasm_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"(module)", b"\x7fELF"] {
        let error = refused(bytes).await;
        assert!(matches!(error, LoadError::Module { .. }), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("plugin `hand-made` is not a WebAssembly module"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn every_unknown_import_is_refused_by_name() {
    let plugin = ByHand {
        imports: r#"(import "env" "abort" (func (param i32)))
            (import "extism:host/user" "fetch" (func (param i64) (result i64)))
            (import "extism:host/env" "launch" (func))
            (import "wasi_snapshot_preview1" "path_fly" (func))"#,
        ..ByHand::default()
    };
    let error = refused(&plugin.wasm()).await.to_string();
    for expected in [
        "`env.abort`, `extism:host/user.fetch`, `extism:host/env.launch`, `wasi_snapshot_preview1.path_fly`",
        "Operator: ",
        "Author: ",
    ] {
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_import_of_another_type_is_refused() {
    let plugin = ByHand {
        imports: r#"(import "extism:host/env" "alloc" (func (param i32) (result i32)))"#,
        ..ByHand::default()
    };
    let error = refused(&plugin.wasm()).await;
    assert!(matches!(error, LoadError::Link { .. }), "{error}");
    assert!(error.to_string().contains("alloc"), "{error}");
}

#[tokio::test]
async fn a_missing_export_is_named() {
    let error = refused(&parse(
        r#"(module (func (export "read") (result i32) (i32.const 0)))"#,
    ))
    .await
    .to_string();
    assert!(error.contains("does not export `describe`"), "{error}");
    let error = refused(&parse(
        r#"(module (func (export "describe") (result i32) (i32.const 0)))"#,
    ))
    .await
    .to_string();
    assert!(error.contains("does not export `read`"), "{error}");
    assert!(error.contains("plugin_sdk::export!"), "{error}");
}

#[tokio::test]
async fn an_export_of_another_type_is_named() {
    let error = refused(&parse(
        r#"(module (func (export "describe") (param i64 i32) (result f32) (unreachable)))"#,
    ))
    .await;
    assert!(
        error
            .to_string()
            .contains("exports, as a function of type (i64, i32) -> (f32), `describe`"),
        "{error}"
    );
    let error = refused(&parse(r#"(module (memory (export "describe") 1))"#))
        .await
        .to_string();
    assert!(
        error.contains("exports, but not as a function, `describe`"),
        "{error}"
    );
}

#[tokio::test]
async fn another_version_of_the_contract_says_which_side_to_rebuild() {
    let old = refused(
        &ByHand {
            description: r#"{"contract":0}"#,
            ..ByHand::default()
        }
        .wasm(),
    )
    .await;
    assert!(matches!(old, LoadError::Contract { found: 0, .. }), "{old}");
    assert!(
        old.to_string()
            .contains("the plugin is the older side; rebuild it"),
        "{old}"
    );
    let new = refused(
        &ByHand {
            description: r#"{"contract":2,"other":[]}"#,
            ..ByHand::default()
        }
        .wasm(),
    )
    .await;
    assert!(
        new.to_string()
            .contains("the host is the older side; update the gateway"),
        "{new}"
    );
}

#[tokio::test]
async fn a_description_that_is_none_is_named_by_its_field() {
    let error = refused(
        &ByHand {
            description: r#"{"contract":1,"name":5}"#,
            ..ByHand::default()
        }
        .wasm(),
    )
    .await;
    assert_eq!(
        error.to_string(),
        "plugin `hand-made` failed in `describe`: the plugin's answer does not keep the contract: `name`: invalid type: \
         integer `5`, expected a string at line 1 column 22. Author: `describe` takes nothing, and answers the Description \
         of contract 1 as JSON"
    );
}

#[tokio::test]
async fn a_plugin_that_cannot_describe_itself_is_refused() {
    let error = refused(&parse(
        r#"(module
            (func (export "describe") (result i32) (unreachable))
            (func (export "read") (result i32) (unreachable)))"#,
    ))
    .await;
    assert!(
        error
            .to_string()
            .contains("failed in `describe`: the plugin crashed"),
        "{error}"
    );
}

#[tokio::test]
async fn more_memory_than_any_source_may_have_is_refused() {
    let error = refused(&parse(r#"(module (memory 1000))"#)).await;
    assert!(matches!(error, LoadError::Memory { .. }), "{error}");
    let error = error.to_string();
    for expected in [
        "starts with 62.5 MiB of memory, and no call may have more than 16 MiB",
        "`--initial-memory=1048576` of wasm-ld",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    // More pages than there are addresses.
    let error =
        refused(b"\0asm\x01\0\0\0\x05\x0b\x01\x04\xff\xff\xff\xff\xff\xff\xff\xff\x7f").await;
    assert!(
        matches!(error, LoadError::Memory { .. } | LoadError::Module { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn imports_of_javascript_are_explained() {
    for (module, name, hint) in [
        (
            "__wbindgen_placeholder__",
            "__wbg_now_1",
            "chrono, uuid and getrandom",
        ),
        (
            "wbg",
            "__wbg_now_1",
            "cargo tree -e features -i wasm-bindgen",
        ),
        ("env", "abort", "--use abort="),
    ] {
        let imports = format!(r#"(import "{module}" "{name}" (func))"#);
        let plugin = ByHand {
            imports: &imports,
            ..ByHand::default()
        };
        let error = refused(&plugin.wasm()).await.to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_module_that_is_a_library_is_set_up_before_each_call() {
    for name in ["_initialize", "__wasm_call_ctors"] {
        let plugin = load(ByHand {
            read: &checked("", &[("(global.get $ready)", 1)]),
            more: &format!(
                r#"(global $ready (mut i64) (i64.const 0))
                (func (export "{name}") (global.set $ready (i64.add (global.get $ready) (i64.const 1))))"#
            ),
            ..ByHand::default()
        })
        .await;
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}

#[tokio::test]
async fn every_function_that_is_listed_can_be_imported_and_no_other() {
    let listed = crate::wasi::functions().count() + crate::abi::FUNCTIONS.len();
    assert_eq!(sandbox().functions(), listed);
}

#[tokio::test]
async fn plugin_that_exports_check_is_asked_about_settings() {
    let silent = load(ByHand::default()).await;
    assert_eq!(
        silent.check("here", b"{}").await.unwrap(),
        Checked::default()
    );

    let verdict =
        r#"{"mistakes":[{"path":"/a","found":"odd","help":"even"}],"authenticates":true}"#;
    let check = r#"(func (export "check") (result i32) (call $answer))"#;
    let plugin = load(ByHand {
        answer: verdict,
        more: check,
        ..ByHand::default()
    })
    .await;
    let checked = plugin.check("here", b"{}").await.unwrap();
    assert_eq!(
        (checked.mistakes[0].path.as_str(), checked.authenticates),
        ("/a", Some(true))
    );

    let nonsense = load(ByHand {
        answer: "7",
        more: check,
        ..ByHand::default()
    })
    .await;
    assert!(matches!(
        nonsense.check("here", b"{}").await,
        Err(CallError::Answer(_))
    ));

    let wrong = ByHand {
        more: r#"(func (export "check") (param i32))"#,
        ..ByHand::default()
    };
    let error = refused(&wrong.wasm()).await.to_string();
    assert!(error.contains("of type (i32) -> (),"), "{error}");
}
