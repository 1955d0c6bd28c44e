//! Tests of modules in shapes that no compiler of plugins makes, and of calls with excessive
//! demands.

use super::*;

/// Returns the reason why a plugin with these further fields is refused.
async fn refusal(more: &str) -> String {
    refused(
        &ByHand {
            more,
            ..ByHand::default()
        }
        .wasm(),
    )
    .await
    .to_string()
}

/// Returns the reason why a module of this text, which may have no memory of its own, is refused.
async fn refusal_of(fields: &str) -> String {
    let text = format!(
        r#"(module {fields}
            (func (export "describe") (result i32) (i32.const 0))
            (func (export "read") (result i32) (i32.const 0)))"#
    );
    refused(&wat::parse_str(text).unwrap()).await.to_string()
}

#[tokio::test]
async fn there_is_one_memory_of_the_plugins_own_with_32_bits() {
    for (memory, word) in [
        ("(memory 1) (memory 1)", "memor"),
        ("(memory i64 1)", "memory64"),
        ("(memory 1 2 shared)", "threads"),
        (r#"(import "env" "memory" (memory 1))"#, "env.memory"),
        (r#"(import "extism:host/env" "alloc" (memory 1))"#, "alloc"),
    ] {
        let error = refusal_of(memory).await;
        assert!(error.contains(word), "{memory}: {error}");
    }
}

#[tokio::test]
async fn a_memory_is_not_needed() {
    let text = format!(
        r#"(module {IMPORTS}
            (func $say (param $word i64) (call $output_set (local.get $word) (i64.const 0)))
            (func (export "describe") (result i32) (call $say (i64.const 8)) (i32.const 0))
            (func (export "read") (result i32) (call $say (i64.const 8)) (i32.const 0)))"#
    );
    // It gets as far as its answer, which is empty.
    let error = refused(&wat::parse_str(text).unwrap()).await.to_string();
    assert!(
        error.contains("failed in `describe`") && error.contains("answer"),
        "{error}"
    );
}

#[tokio::test]
async fn data_that_does_not_fit_is_refused_when_it_is_loaded() {
    // Past its end, past the limit of every source, and a segment of 20 MiB.
    for (fields, word) in [
        (
            r#"(memory 1) (data (i32.const 65535) "ab")"#.to_owned(),
            "out of bounds memory access",
        ),
        (
            r#"(memory 1) (data (i32.const -1) "a")"#.to_owned(),
            "out of bounds memory access",
        ),
        (
            format!(
                r#"(memory 320) (data (i32.const 0) "{}")"#,
                "a".repeat(20 * MIB)
            ),
            "memory",
        ),
    ] {
        let error = refusal_of(&fields).await;
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_segment_that_is_copied_in_later_stays_within_the_memory() {
    let more = format!(r#"(data $large "{}")"#, "a".repeat(MIB));
    let read = format!(
        "(memory.init $large (i32.const 0) (i32.const 0) (i32.const {MIB})) (call $answer)"
    );
    let plugin = load(ByHand {
        read: &read,
        more: &more,
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "trap",
        "out of bounds memory access",
    );
}

#[tokio::test]
async fn tables_are_few_and_small_from_the_start() {
    for tables in [
        "(table 65537 funcref)".to_owned(),
        "(table 1 funcref)".repeat(5),
    ] {
        let error = refusal(&tables).await;
        assert!(error.contains("table"), "{error}");
    }
    let outside = refusal(r#"(table 1 funcref) (elem (i32.const 1) func $answer)"#).await;
    assert!(outside.contains("out of bounds table access"), "{outside}");
}

#[tokio::test]
async fn broken_start_function_is_found_at_load() {
    let error = refusal("(func $start (loop $forever (br $forever))) (start $start)").await;
    assert!(
        error.contains("failed in `describe`") && error.contains("time limit"),
        "{error}"
    );
    let error = refusal("(func $start (unreachable)) (start $start)").await;
    assert!(
        error.contains("failed in `describe`") && error.contains("unreachable"),
        "{error}"
    );
}

#[tokio::test]
async fn an_indirect_call_of_another_type_or_of_nothing_is_a_trap() {
    for (read, word) in [
        (
            "(call_indirect (param i64) (result i32) (i64.const 0) (i32.const 0))",
            "indirect call type mismatch",
        ),
        (
            "(call_indirect (result i32) (i32.const 1))",
            "uninitialized element",
        ),
        (
            "(call_indirect (result i32) (i32.const 7))",
            "out of bounds table access",
        ),
    ] {
        let plugin = load(ByHand {
            read,
            more: "(table 2 funcref) (elem (i32.const 0) func $answer)",
            ..ByHand::default()
        });
        assert_failed(
            plugin.await.read("here", INPUT, &LIMITS).await,
            "trap",
            word,
        );
    }
}

#[tokio::test]
async fn exports_that_the_host_does_not_know_are_left_alone() {
    let more = r#"(global (export "_initialize") i32 (i32.const 0)) (func (export "alloc") (unreachable))"#;
    let plugin = load(ByHand {
        more,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

/// Each of these gives the host something to keep or to do, as often as there is time.
#[tokio::test]
async fn flood_of_host_calls_ends_at_a_limit() {
    for flood in [
        "(call $log_error (call $alloc (i64.const 60000)))",
        "(call $error_set (call $alloc (i64.const 60000)))",
        "(call $output_set (call $alloc (i64.const 8)) (i64.const 8))",
        "(call $var_set (local.get $a) (call $alloc (i64.const 60000)))",
        "(drop (call $var_get (local.get $a)))",
        "(drop (call $alloc (i64.const 1)))",
        "(call $free (call $alloc (i64.const 1)))",
        "(call $store_u64 (call $alloc (i64.const 100000)) (i64.const -1))",
        "(call $free (i64.const 8)) (call $free (i64.const 8))",
        "(drop (call $length (call $input_offset)))",
    ] {
        let read = format!(
            "(if (i64.eq (call $input_length) (i64.const 1)) (then
                (local.set $a (call $text (i32.const 0) (i32.const 8)))
                (loop $forever {flood} (br $forever))))
             (call $answer)"
        );
        let plugin = load(ByHand {
            read: &read,
            ..ByHand::default()
        })
        .await;
        let error = plugin.read("here", b"x", &BRIEF).await.unwrap_err();
        assert!(
            matches!(error.kind(), "time" | "host_memory"),
            "{flood}: {error}"
        );
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_never_read_each_others_memory() {
    // The hostile one fills all that it can get with ones; the other looks for anything that is not
    // zero.
    let write = "(local.set $a (call $alloc (i64.const 65536)))
        (loop $next
            (call $store_u64 (i64.add (local.get $a) (local.get $b)) (i64.const -1))
            (i64.store (i32.wrap_i64 (local.get $b)) (i64.const -1))
            (br_if $next (i64.lt_u (local.tee $b (i64.add (local.get $b) (i64.const 8))) (i64.const 65536))))
        (unreachable)";
    let look = "(local.set $a (call $alloc (i64.const 65536)))
        (loop $next
            (if (i64.ne (i64.const 0) (i64.or
                    (call $load_u64 (i64.add (local.get $a) (local.get $b)))
                    (i64.load (i32.add (i32.const 20000) (i32.wrap_i64 (local.get $b))))))
                (then (unreachable)))
            (br_if $next (i64.lt_u (local.tee $b (i64.add (local.get $b) (i64.const 8))) (i64.const 40000))))
        (call $answer)";
    let sandbox = sandbox();
    let by_hand = |read| {
        ByHand {
            read,
            ..ByHand::default()
        }
        .wasm()
    };
    let hostile = sandbox.load("hostile", &by_hand(write)).await.unwrap();
    let healthy = sandbox.load("healthy", &by_hand(look)).await.unwrap();
    let breaking = tokio::spawn(async move {
        for _ in 0..40 {
            assert_failed(
                hostile.read("here", INPUT, &LIMITS).await,
                "trap",
                "unreachable",
            );
        }
    });
    for _ in 0..40 {
        assert_answered(&healthy.read("here", INPUT, &LIMITS).await);
    }
    breaking.await.unwrap();
}
