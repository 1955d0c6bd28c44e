//! Tests of plugins that break: nothing else breaks with them.

use super::*;

#[tokio::test]
async fn a_trap_is_told_with_the_place_where_it_happened() {
    let plugin = load(ByHand {
        read: "(call $broken)",
        more: "(func $broken (result i32) (unreachable))",
        ..ByHand::default()
    })
    .await;
    let result = plugin.read("here", INPUT, &LIMITS).await;
    assert_failed(
        result,
        "trap",
        "the plugin crashed: wasm `unreachable` instruction executed (in broken)",
    );
}

#[tokio::test]
async fn a_panics_message_is_told_with_the_trap() {
    let plugin = load(ByHand {
        read: "(call $error_set (call $text (i32.const 32768) (i32.const 31))) (unreachable)",
        more: r#"(data (i32.const 32768) "panicked at src/lib.rs:3:7: oops")"#,
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "trap",
        "panicked at src/lib.rs:3:7: oop",
    );
}

#[tokio::test]
async fn an_access_outside_its_memory_ends_the_call() {
    assert_failed(
        read("(i32.load (i32.const 0x7fffffff))").await,
        "trap",
        "out of bounds memory access",
    );
}

#[tokio::test]
async fn a_loop_ends_at_the_time_limit() {
    let plugin = load(ByHand {
        read: "(loop $forever (br $forever)) (unreachable)",
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &BRIEF).await,
        "time",
        "time limit of 20ms",
    );
}

#[tokio::test]
async fn a_loop_over_host_functions_ends_at_the_time_limit() {
    let read = "(loop $forever (drop (call $length (i64.const 8))) (br $forever)) (unreachable)";
    let plugin = load(ByHand {
        read,
        ..ByHand::default()
    })
    .await;
    assert_failed(plugin.read("here", INPUT, &BRIEF).await, "time", "");
}

#[tokio::test]
async fn a_start_function_runs_under_the_same_limits() {
    // When it describes itself there is no input, and the start function comes to its end.
    let plugin = load(ByHand {
        more: "(func $start (loop $forever (br_if $forever (i64.ne (call $input_length) (i64.const 0)))))
            (start $start)",
        ..ByHand::default()
    })
    .await;
    assert_failed(plugin.read("here", INPUT, &BRIEF).await, "time", "");
    assert_answered(&plugin.read("here", b"", &BRIEF).await);
}

#[tokio::test]
async fn memory_is_limited_for_each_call() {
    let forever = "(loop $forever (drop (memory.grow (i32.const 1))) (br $forever)) (unreachable)";
    assert_failed(read(forever).await, "memory", "its limit is 4194304");
    let large = "(drop (memory.grow (i32.const 63))) (call $answer)";
    let plugin = load(ByHand {
        read: large,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    let tight = CallLimits {
        memory: MIB,
        ..LIMITS
    };
    assert_failed(
        plugin.read("here", INPUT, &tight).await,
        "memory",
        "asked for 4194304 bytes",
    );
    let none = CallLimits {
        memory: 0,
        ..LIMITS
    };
    assert_failed(
        plugin.read("here", INPUT, &none).await,
        "memory",
        "its limit is 0",
    );
}

#[tokio::test]
async fn tables_are_limited() {
    let plugin = load(ByHand {
        read: "(loop $forever (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $forever)) (unreachable)",
        more: "(table $t 1 funcref)",
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "table",
        "the limit is 65536",
    );
}

#[tokio::test]
async fn recursion_without_end_is_a_trap_and_no_crash() {
    let plugin = load(ByHand {
        read: "(call $deeper (i32.const 1))",
        more: "(func $deeper (param i32) (result i32)
            (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "trap",
        "call stack exhausted",
    );
}

#[tokio::test]
async fn ten_megabytes_of_answer_are_too_many() {
    let limits = CallLimits {
        output: 4 * MIB,
        ..LIMITS
    };
    let read =
        "(call $output_set (call $alloc (i64.const 10485760)) (i64.const 10485760)) (i32.const 0)";
    let plugin = load(ByHand {
        read,
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &limits).await,
        "output",
        "10485760 bytes",
    );
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let plugin = load(ByHand {
        answer: "\u{1}garbage",
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "answer",
        "expected value at line 1",
    );
    let read =
        "(call $output_set (call $alloc (i64.const 1000000)) (i64.const 1000000)) (i32.const 0)";
    assert_failed(super::read(read).await, "answer", "");
}

#[tokio::test]
async fn nothing_survives_a_call() {
    // A global, the plugin's memory, its grown part (what is kept resident of it and what is not),
    // and the host's memory are as new each time.
    let read = checked(
        "(global.set $calls (i64.add (global.get $calls) (i64.const 1)))
         (local.set $a (i64.load (i32.const 40000)))
         (i64.store (i32.const 40000) (i64.const -1))
         (local.set $b (i64.extend_i32_u (memory.grow (i32.const 15))))
         (local.set $c (i64.or (i64.load (i32.const 65536)) (i64.load (i32.const 1000000))))
         (i64.store (i32.const 65536) (i64.const -1))
         (i64.store (i32.const 1000000) (i64.const -1))",
        &[
            ("(global.get $calls)", 1),
            ("(local.get $a)", 0),
            ("(local.get $b)", 1),
            ("(local.get $c)", 0),
            ("(call $load_u64 (call $alloc (i64.const 8)))", 0),
            ("(call $fill (call $alloc (i64.const 8)))", 0),
        ],
    );
    let plugin = load(ByHand {
        read: &read,
        more: "(global $calls (mut i64) (i64.const 0))
            (func $fill (param i64) (result i64)
                (call $store_u64 (local.get 0) (i64.const -1)) (i64.const 0))",
        ..ByHand::default()
    })
    .await;
    for _ in 0..50 {
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}

#[tokio::test]
async fn a_plugin_can_be_called_again_after_it_broke() {
    let plugin = load(ByHand {
        read: "(if (i64.eq (call $input_length) (i64.const 1)) (then (unreachable))) (call $answer)",
        ..ByHand::default()
    })
    .await;
    for _ in 0..50 {
        assert_failed(plugin.read("here", b"x", &LIMITS).await, "trap", "");
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}
