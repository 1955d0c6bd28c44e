//! What a plugin does before its first request: once, where it is fit for it.

use super::*;

const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))"#;

/// A request as far as the clock looks at it, and its time in nanoseconds since 1970.
const REQUEST: &[u8] = br#"{"source":"here","received_at":"2026-01-31T08:00:00.250Z"}"#;
const RECEIVED_AT: u64 = 1_769_846_400_250_000_000;
const YEAR_2000: u64 = 946_684_800_000_000_000;

async fn plugin(more: &str, read: &str) -> Plugin {
    let more = format!("(global $count (mut i64) (i64.const 0)) {more}");
    load(ByHand {
        read,
        imports: WASI,
        more: &more,
        ..ByHand::default()
    })
    .await
}

fn initializer(steps: &str) -> String {
    format!(r#"(func (export "_initialize") {steps})"#)
}

fn prepare(steps: &str) -> String {
    format!(r#"(func (export "prepare") (result i32) {steps} (i32.const 0))"#)
}

/// Asserts that each of the plugin's forms answers, twice.
async fn assert_all_answer(plugin: &Plugin, input: &[u8]) {
    let prepared = plugin.prepared(b"{}").await;
    for plugin in [plugin, &prepared, &plugin.unprepared()] {
        for _ in 0..2 {
            assert_answered(&plugin.read("here", input, &LIMITS).await);
        }
    }
}

#[tokio::test]
async fn each_call_begins_with_memory_and_globals_of_the_start() {
    let start = "(global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i64.store (i32.const 40000) (i64.const 7))
        (drop (memory.grow (i32.const 2)))
        (i64.store (i32.const 190000) (i64.const 8))";
    let changed = "(local.set $a (i64.load (i32.const 40000)))
        (local.set $b (i64.load (i32.const 190000)))
        (local.set $c (global.get $count))
        (i64.store (i32.const 40000) (i64.const 1)) (i64.store (i32.const 190000) (i64.const 1))
        (global.set $count (i64.const 5)) (drop (memory.grow (i32.const 1)))";
    let read = checked(
        &format!(
            "(local $pages i64) (local.set $pages (i64.extend_i32_u (memory.size))) {changed}"
        ),
        &[
            ("(local.get $a)", 7),
            ("(local.get $b)", 8),
            ("(local.get $c)", 1),
            ("(local.get $pages)", 3),
        ],
    );
    let plugin = plugin(&initializer(start), &read).await;
    let beginning = plugin.beginning();
    assert_eq!(beginning.anew, None);
    assert!((16..4096).contains(&beginning.snapshot), "{beginning:?}");
    assert_eq!(plugin.unprepared().beginning().snapshot, 0);
    assert_all_answer(&plugin, INPUT).await;
    let names = plugin.exports().join(" ");
    assert!(!names.contains("alert-gateway"), "{names}");
}

#[tokio::test]
async fn start_that_needs_its_call_is_done_in_each() {
    let asks = |steps: &str, reason: &'static str| (steps.to_owned(), reason);
    // At 32768 a piece of memory of 5 bytes, at 32800 a sleep of 5 ns.
    let data = r#"(data (i32.const 32768) "\00\81\00\00\05\00\00\00")
        (data (i32.const 32824) "\05")"#;
    let early = [
        asks(
            "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 40000)))",
            "the time",
        ),
        asks(
            "(drop (call $poll_oneoff (i32.const 32800) (i32.const 40000) (i32.const 1) (i32.const 40100)))",
            "sleeps",
        ),
        asks(
            "(drop (call $fd_write (i32.const 2) (i32.const 32768) (i32.const 1) (i32.const 40000)))",
            "logs",
        ),
        asks(
            "(call $log_info (call $text (i32.const 33024) (i32.const 5)))",
            "logs",
        ),
        asks("(drop (call $get_log_level))", "logs"),
        asks(
            "(call $var_set (call $text (i32.const 33024) (i32.const 5)) (call $text (i32.const 33024) (i32.const 5)))",
            "variables",
        ),
        asks(
            "(drop (call $text (i32.const 33024) (i32.const 5)))",
            "memory of the host",
        ),
    ];
    let of_the_initializer = [
        asks("(drop (call $input_length))", "the request"),
        asks("(drop (call $input_load_u8 (i64.const 0)))", "the request"),
        asks(
            "(drop (call $fd_read (i32.const 0) (i32.const 32768) (i32.const 1) (i32.const 40000)))",
            "the request",
        ),
    ];
    let of_prepare = [
        asks(
            "(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 40000)))",
            "the time",
        ),
        asks(
            "(drop (call $random_get (i32.const 40000) (i32.const 8)))",
            "random bytes",
        ),
        asks(
            "(call $error_set (call $text (i32.const 33024) (i32.const 5)))",
            "its start fails: ",
        ),
        asks("(return (i32.const 1))", "its start fails: "),
        asks("unreachable", "its start fails: "),
    ];
    let initializers = early.iter().chain(&of_the_initializer);
    let prepares = early.iter().chain(&of_prepare);
    let all = initializers
        .map(|(steps, reason)| (initializer(steps), reason))
        .chain(prepares.map(|(steps, reason)| (prepare(steps), reason)));
    for (more, reason) in all {
        let plugin = plugin(&format!("{more} {data}"), "(call $answer)").await;
        let beginning = plugin.beginning();
        assert_eq!(beginning.snapshot, 0, "{more}");
        let anew = beginning.anew.unwrap_or_default();
        assert!(anew.contains(reason), "{more}: {anew}");
        assert_all_answer(&plugin, INPUT).await;
    }
}

#[tokio::test]
async fn failing_initializer_fails_each_call() {
    let wasm = ByHand {
        more: &initializer("unreachable"),
        ..ByHand::default()
    };
    let error = refused(&wasm.wasm()).await.to_string();
    assert!(error.contains("unreachable"), "{error}");
}

#[tokio::test]
async fn initializer_has_random_bytes_and_a_clock_of_the_plugin() {
    let start = initializer(
        "(drop (call $random_get (i32.const 40000) (i32.const 8)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 40008)))",
    );
    let read = checked(
        "(drop (call $random_get (i32.const 40016) (i32.const 8)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 40024)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 40032)))",
        &[
            ("(i64.load (i32.const 40008))", YEAR_2000),
            ("(i64.load (i32.const 40024))", RECEIVED_AT),
            ("(i64.load (i32.const 40032))", RECEIVED_AT),
            (
                "(i64.extend_i32_u (i64.eq (i64.load (i32.const 40000)) (i64.load (i32.const 40016))))",
                0,
            ),
        ],
    );
    let plugin = plugin(&start, &read).await;
    assert_eq!(plugin.beginning().anew, None);
    assert_all_answer(&plugin, REQUEST).await;
}

#[tokio::test]
async fn each_source_begins_with_its_own_settings() {
    // The first call has no input; what it leaves is there in the second, whose input begins with {.
    let start = prepare(
        "(global.set $count (i64.add (global.get $count) (i64.const 1)))
        (if (i64.gt_u (call $input_length) (i64.const 0)) (then
            (i64.store (i32.const 40000) (call $input_load_u64 (i64.const 0)))))",
    );
    let read = "(local.set $a (call $text (i32.const 40000) (i32.const 8)))
        (call $error_set (local.get $a)) (i32.const 9)";
    let plugin = plugin(&start, read).await;
    let of = async |plugin: &Plugin| {
        let answer = plugin.read("here", INPUT, &LIMITS).await;
        answer.unwrap_err().to_string()
    };
    let one = plugin.prepared(br#"{"a":"1"}"#).await;
    let two = plugin.prepared(br#"{"a":"2"}"#).await;
    for _ in 0..2 {
        assert!(of(&one).await.contains(r#"{"a":"1"#));
        assert!(of(&two).await.contains(r#"{"a":"2"#));
        assert!(!of(&plugin).await.contains(r#"{"a"#));
    }
    assert!(one.beginning().snapshot >= plugin.beginning().snapshot);
    // A preparation goes on from the one before.
    let plugin = load(ByHand {
        read: &checked("", &[("(global.get $count)", 2)]),
        more: &format!("(global $count (mut i64) (i64.const 0)) {start}"),
        ..ByHand::default()
    })
    .await;
    let prepared = plugin.prepared(b"{}").await;
    assert_answered(&prepared.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn memory_of_the_start_counts_against_the_limit() {
    let start = prepare("(drop (memory.grow (i32.const 79)))");
    let plugin = plugin(&start, "(call $answer)").await;
    assert_eq!(plugin.beginning().anew, None);
    let answer = plugin.read("here", INPUT, &LIMITS).await;
    assert_failed(answer, "memory", "5242880");
    let more = CallLimits {
        memory: 5 * MIB,
        ..LIMITS
    };
    assert_answered(&plugin.read("here", INPUT, &more).await);
    let used = plugin.measure("here", INPUT, &more).await.used;
    assert_eq!(used.memory, 5 * MIB);
}

#[tokio::test]
async fn start_that_never_ends_is_stopped() {
    let plugin = plugin(&prepare("(loop $on (br $on))"), "(call $answer)").await;
    let anew = plugin.beginning().anew.unwrap();
    assert!(anew.contains("its start fails"), "{anew}");
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn prepare_of_another_type_is_refused() {
    let wasm = ByHand {
        more: r#"(func (export "prepare"))"#,
        ..ByHand::default()
    };
    let error = refused(&wasm.wasm()).await.to_string();
    assert!(error.contains("prepare"), "{error}");
}

#[tokio::test]
async fn start_is_done_once_with_a_compiled_plugin_from_the_cache_too() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let sandbox = Sandbox::new(SandboxOptions {
            cache_dir: Some(folder.path().join("cache")),
            instances: 4,
            max_memory: 16 * MIB,
        });
        let plugin = ByHand {
            more: &initializer("(i64.store (i32.const 40000) (i64.const 7))"),
            read: &checked("", &[("(i64.load (i32.const 40000))", 7)]),
            ..ByHand::default()
        };
        let plugin = sandbox.unwrap().load("hand-made", &plugin.wasm()).await;
        let plugin = plugin.unwrap();
        assert!(plugin.beginning().snapshot > 0);
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}
