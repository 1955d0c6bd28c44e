//! The bit of WASI that is there.

use super::*;

const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))"#;

async fn read(read: &str) -> Result<Answer, CallError> {
    // At 32768 a piece of 5 bytes, at 32776 one outside the memory.
    let more = r#"(data (i32.const 32768) "\00\81\00\00\05\00\00\00" "\ff\ff\ff\7f\05\00\00\00")
        (data (i32.const 33024) "hello")"#;
    load(ByHand {
        read,
        imports: WASI,
        more,
        ..ByHand::default()
    })
    .await
    .read("here", INPUT, &LIMITS)
    .await
}

fn number(call: &str) -> String {
    format!("(i64.extend_i32_s {call})")
}

#[tokio::test]
async fn there_is_no_environment_clock_or_randomness() {
    let checks = [
        (
            number("(call $environ_sizes_get (i32.const 40000) (i32.const 40004))"),
            0,
        ),
        (number("(i32.load (i32.const 40000))"), 0),
        (
            number("(call $environ_sizes_get (i32.const -1) (i32.const 40004))"),
            21,
        ),
        (
            number("(call $environ_get (i32.const 40000) (i32.const 40004))"),
            0,
        ),
        (
            number("(call $random_get (i32.const 40000) (i32.const 8))"),
            52,
        ),
        (
            number("(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 40000))"),
            52,
        ),
    ];
    let checks: Vec<_> = checks
        .iter()
        .map(|(call, value)| (call.as_str(), *value))
        .collect();
    assert_answered(
        &read(&checked(
            "(i64.store (i32.const 40000) (i64.const -1))",
            &checks,
        ))
        .await,
    );
}

#[tokio::test]
async fn what_is_printed_goes_to_the_log_and_other_files_do_not_exist() {
    let write = |file, pieces: i64, count: i64, written: i64| {
        number(&format!(
            "(call $fd_write (i32.const {file}) (i32.const {pieces}) (i32.const {count}) (i32.const {written}))"
        ))
    };
    let checks = [
        (write(1, 32768, 1, 40000), 0),
        (number("(i32.load (i32.const 40000))"), 5),
        (write(2, 32768, 1, 40000), 0),
        (write(3, 32768, 1, 40000), 8),
        (write(1, 32768, 2, 40000), 21),
        (write(1, 32768, 1, -1), 21),
        (write(1, -1, 1, 40000), 21),
        (write(1, 32768, -1, 40000), 21),
    ];
    let checks: Vec<_> = checks
        .iter()
        .map(|(call, value)| (call.as_str(), *value))
        .collect();
    assert_answered(&read(&checked("", &checks)).await);
}

#[tokio::test]
async fn a_plugin_that_exits_fails_its_call() {
    assert_failed(
        read("(call $proc_exit (i32.const 3)) (call $answer)").await,
        "exit",
        "exit code 3",
    );
    assert_failed(
        read("(call $proc_exit (i32.const 0)) (call $answer)").await,
        "exit",
        "exit code 0",
    );
}
