//! WASI: all of its functions, deterministic and harmless.

use super::*;

/// All functions of preview1, by its own definition.
const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_advise" (func $fd_advise (param i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_allocate" (func $fd_allocate (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_datasync" (func $fd_datasync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_rights" (func $fd_fdstat_set_rights (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $fd_filestat_set_size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_times" (func $fd_filestat_set_times (param i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $fd_sync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory" (func $path_create_directory (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_set_times" (func $path_filestat_set_times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_link" (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_readlink" (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_remove_directory" (func $path_remove_directory (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "proc_raise" (func $proc_raise (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
    (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_shutdown" (func $sock_shutdown (param i32 i32) (result i32)))"#;

/// A request as the host writes it, as far as the clock looks at it.
const REQUEST: &[u8] = br#"{"source":"here","received_at":"2026-01-31T08:00:00.250Z"}"#;

/// The time at which it was received, in nanoseconds since 1970.
const RECEIVED_AT: u64 = 1_769_846_400_250_000_000;

async fn plugin(read: &str) -> Plugin {
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
}

async fn read(read: &str) -> Result<Answer, CallError> {
    plugin(read).await.read("here", INPUT, &LIMITS).await
}

/// A call of a function with these numbers, all of 32 bits, as an i64.
fn number(function: &str, parameters: &[i64]) -> String {
    let parameters: String = parameters
        .iter()
        .map(|parameter| format!(" (i32.const {parameter})"))
        .collect();
    format!("(i64.extend_i32_s (call ${function}{parameters}))")
}

async fn assert_each(steps: &str, checks: &[(String, u64)]) {
    let checks: Vec<_> = checks
        .iter()
        .map(|(call, value)| (call.as_str(), *value))
        .collect();
    assert_answered(&read(&checked(steps, &checks)).await);
}

#[tokio::test]
async fn all_46_functions_can_be_imported() {
    assert_eq!(WASI.matches("(import").count(), 46);
    assert_eq!(crate::wasi::functions().count(), 46);
    assert_answered(&read("(call $answer)").await);
}

#[tokio::test]
async fn environment_is_empty_and_the_program_has_a_name() {
    assert_each(
        "(i64.store (i32.const 40000) (i64.const -1))",
        &[
            (number("environ_sizes_get", &[40000, 40004]), 0),
            ("(i64.load (i32.const 40000))".to_owned(), 0),
            (number("environ_sizes_get", &[-1, 40004]), 21),
            (number("environ_get", &[40000, 40004]), 0),
            (number("args_sizes_get", &[40000, 40004]), 0),
            ("(i64.load (i32.const 40000))".to_owned(), 1 | 7 << 32),
            (number("args_get", &[40000, 40100]), 0),
            ("(i64.load32_u (i32.const 40000))".to_owned(), 40100),
            (
                "(i64.load (i32.const 40100))".to_owned(),
                u64::from_le_bytes(*b"plugin\0\0"),
            ),
            (number("args_get", &[-1, 40100]), 21),
            (number("args_get", &[40000, 65530]), 21),
        ],
    )
    .await;
}

#[tokio::test]
async fn files_and_sockets_do_not_exist() {
    assert_each(
        "",
        &[
            (number("fd_prestat_get", &[3, 40000]), 8),
            (number("fd_close", &[3]), 8),
            (number("fd_close", &[-1]), 8),
            (number("fd_sync", &[3]), 8),
            (number("fd_fdstat_get", &[3, 40000]), 8),
            (number("fd_filestat_get", &[7, 40000]), 8),
            (number("fd_renumber", &[3, 1]), 8),
            (number("path_unlink_file", &[3, 0, 1]), 8),
            (
                "(i64.extend_i32_s (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1)
                    (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 40000)))"
                    .to_owned(),
                8,
            ),
            (number("sock_shutdown", &[0, 0]), 8),
            (number("sock_recv", &[1, -1, -1, -1, -1, -1]), 8),
        ],
    )
    .await;
}

#[tokio::test]
async fn standard_streams_are_pipes_without_a_position() {
    assert_each(
        "(i64.store (i32.const 40000) (i64.const -1))",
        &[
            (number("fd_fdstat_get", &[1, 40000]), 0),
            ("(i64.load (i32.const 40000))".to_owned(), 0),
            (number("fd_fdstat_get", &[1, 65530]), 21),
            (number("fd_filestat_get", &[0, 40000]), 0),
            (number("fd_filestat_get", &[0, -1]), 21),
            (number("fd_fdstat_set_flags", &[1, 4]), 0),
            (number("fd_tell", &[1, 40000]), 70),
            (number("fd_close", &[2]), 0),
            (number("fd_renumber", &[1, 2]), 52),
            (number("proc_raise", &[6]), 52),
            ("(i64.extend_i32_s (call $sched_yield))".to_owned(), 0),
        ],
    )
    .await;
}

#[tokio::test]
async fn printed_text_goes_to_the_log_and_other_files_do_not_exist() {
    let write = |file, pieces: i64, count: i64, written: i64| {
        number("fd_write", &[file, pieces, count, written])
    };
    assert_each(
        "",
        &[
            (write(1, 32768, 1, 40000), 0),
            ("(i64.load32_u (i32.const 40000))".to_owned(), 5),
            (write(2, 32768, 1, 40000), 0),
            (write(0, 32768, 1, 40000), 8),
            (write(3, 32768, 1, 40000), 8),
            (write(1, 32768, 2, 40000), 21),
            (write(1, 32768, 1, -1), 21),
            (write(1, -1, 1, 40000), 21),
            (write(1, -8, 2, 40000), 21),
            (write(1, 32768, -1, 40000), 28),
        ],
    )
    .await;
}

#[tokio::test]
async fn request_is_read_from_standard_input_once() {
    let read = |count, at| number("fd_read", &[0, 41000, count, at]);
    // Pieces of 4 and 100 bytes.
    let pieces = "(i64.store32 (i32.const 41000) (i64.const 42000))
        (i64.store32 (i32.const 41004) (i64.const 4))
        (i64.store32 (i32.const 41008) (i64.const 42100))
        (i64.store32 (i32.const 41012) (i64.const 100))";
    assert_each(
        pieces,
        &[
            (read(2, -1), 21),
            (number("fd_read", &[1, 41000, 1, 40000]), 8),
            (number("fd_read", &[0, -4, 1, 40000]), 21),
            (read(2000, 40000), 28),
        ],
    )
    .await;
    assert_each(
        pieces,
        &[
            (read(2, 40000), 0),
            ("(i64.load32_u (i32.const 40000))".to_owned(), 10),
            (
                "(i64.load32_u (i32.const 42000))".to_owned(),
                u64::from(u32::from_le_bytes(*b"0123")),
            ),
            (
                "(i64.load32_u (i32.const 42100))".to_owned(),
                u64::from(u32::from_le_bytes(*b"4567")),
            ),
            (read(2, 40000), 0),
            ("(i64.load32_u (i32.const 40000))".to_owned(), 0),
        ],
    )
    .await;
}

/// Reads the clock into `$a`, sleeps as a subscription says, and checks.
fn clock_read(sleep: &str, checks: &[(&str, u64)]) -> String {
    let steps = format!(
        "(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 40000)))
         (local.set $a (i64.load (i32.const 40000)))
         {sleep}
         (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 40000)))
         (local.set $b (i64.load (i32.const 40000)))"
    );
    checked(&steps, checks)
}

#[tokio::test]
async fn clock_stands_at_the_time_of_receipt() {
    let checks = [
        ("(local.get $a)", RECEIVED_AT),
        ("(local.get $b)", RECEIVED_AT),
    ];
    let reads = plugin(&clock_read("", &checks)).await;
    assert_answered(&reads.read("here", REQUEST, &LIMITS).await);
    // What is no request has no time of receipt: the start of 2000.
    let without = [("(local.get $a)", 946_684_800_000_000_000)];
    assert_answered(&read(&clock_read("", &without)).await);
    assert_each(
        "",
        &[
            (
                "(i64.extend_i32_s (call $clock_time_get (i32.const 4) (i64.const 0) (i32.const 40000)))"
                    .to_owned(),
                28,
            ),
            (
                "(i64.extend_i32_s (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const -1)))"
                    .to_owned(),
                21,
            ),
            (number("clock_res_get", &[0, 40000]), 0),
            ("(i64.load (i32.const 40000))".to_owned(), 1),
            (number("clock_res_get", &[9, 40000]), 28),
        ],
    )
    .await;
}

/// Writes a subscription at this address: userdata, kind, the number at 16, and a timeout.
fn subscription(
    at: u32,
    userdata: u64,
    kind: u64,
    number: u64,
    timeout: u64,
    flags: u32,
) -> String {
    format!(
        "(i64.store (i32.const {at}) (i64.const {userdata}))
         (i64.store (i32.const {}) (i64.const {kind}))
         (i64.store (i32.const {}) (i64.const {number}))
         (i64.store (i32.const {}) (i64.const {timeout}))
         (i32.store (i32.const {}) (i32.const {flags}))",
        at + 8,
        at + 16,
        at + 24,
        at + 40
    )
}

#[tokio::test]
async fn sleep_moves_the_clock_and_takes_no_time() {
    let an_hour = 3_600_000_000_000;
    let sleep = format!(
        "{} {} (local.set $c {})",
        subscription(41000, 7, 0, 1, an_hour, 0),
        subscription(41048, 8, 0, 0, RECEIVED_AT + 5, 1),
        number("poll_oneoff", &[41000, 42000, 2, 40008]),
    );
    // The second one is the first that happens.
    let checks = [
        ("(local.get $c)", 0),
        ("(i64.load32_u (i32.const 40008))", 1),
        ("(i64.load (i32.const 42000))", 8),
        ("(i64.load (i32.const 42008))", 0),
        ("(i64.sub (local.get $b) (local.get $a))", 5),
    ];
    let plugin = plugin(&clock_read(&sleep, &checks)).await;
    let brief = CallLimits {
        time: Duration::from_secs(5),
        ..LIMITS
    };
    assert_answered(&plugin.read("here", REQUEST, &brief).await);
}

#[tokio::test]
async fn sleep_without_end_does_not_overflow_the_clock() {
    let sleep = format!(
        "{} (drop {poll}) (local.set $c {poll})",
        subscription(41000, 7, 0, 1, u64::MAX, 0),
        poll = number("poll_oneoff", &[41000, 42000, 1, 40008]),
    );
    let checks = [("(local.get $c)", 0), ("(local.get $b)", u64::MAX)];
    let plugin = plugin(&clock_read(&sleep, &checks)).await;
    assert_answered(&plugin.read("here", REQUEST, &LIMITS).await);
}

#[tokio::test]
async fn poll_on_a_stream_is_ready_at_once() {
    let sleep = format!(
        "{} {} {} (local.set $c {})",
        subscription(41000, 7, 0, 1, 1000, 0),
        subscription(41048, 8, 1, 0, 0, 0),
        subscription(41096, 9, 2, 5, 0, 0),
        number("poll_oneoff", &[41000, 42000, 3, 40008]),
    );
    let checks = [
        ("(local.get $c)", 0),
        ("(i64.load32_u (i32.const 40008))", 2),
        ("(i64.load (i32.const 42000))", 8),
        ("(i64.load (i32.const 42016))", REQUEST.len() as u64),
        ("(i64.load (i32.const 42032))", 9),
        // No such file.
        ("(i64.load16_u (i32.const 42040))", 8),
        ("(i64.sub (local.get $b) (local.get $a))", 0),
    ];
    let plugin = plugin(&clock_read(&sleep, &checks)).await;
    assert_answered(&plugin.read("here", REQUEST, &LIMITS).await);
}

#[tokio::test]
async fn hostile_poll_is_an_error_number() {
    let poll = |list: i64, events: i64, count: i64, stored: i64| {
        number("poll_oneoff", &[list, events, count, stored])
    };
    assert_each(
        &subscription(41000, 7, 0, 1, 1000, 0),
        &[
            (poll(41000, 42000, 0, 40008), 28),
            (poll(41000, 42000, -1, 40008), 28),
            (poll(0, 42000, 1024, 40008), 28),
            (poll(65535, 42000, 1, 40008), 21),
            (poll(-1, 42000, 2, 40008), 21),
            (poll(41000, -1, 1, 40008), 21),
            (poll(41000, 42000, 1, -1), 21),
        ],
    )
    .await;
}

/// Returns the first random number of a call with this input.
async fn random(plugin: &Plugin, input: &[u8]) -> i32 {
    match plugin.read("here", input, &LIMITS).await {
        Err(CallError::Failed { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn random_bytes_are_a_function_of_request_and_plugin() {
    let read = "(drop (call $random_get (i32.const 40000) (i32.const 65)))
        (if (i32.eqz (i32.load8_u (i32.const 40064))) (then (drop (i32.const 1))))
        (i32.load (i32.const 40000))";
    let first = plugin(read).await;
    assert_eq!(random(&first, b"a").await, random(&first, b"a").await);
    assert_ne!(random(&first, b"a").await, random(&first, b"b").await);
    let another = plugin(&format!("(drop (i32.const 5)) {read}")).await;
    assert_ne!(random(&first, b"a").await, random(&another, b"a").await);
    assert_each(
        "",
        &[
            (number("random_get", &[65535, 2]), 21),
            (number("random_get", &[-1, -1]), 21),
            (number("random_get", &[0, -1]), 21),
            (number("random_get", &[65536, 0]), 0),
        ],
    )
    .await;
}

#[tokio::test]
async fn library_that_exits_fails_its_call() {
    for code in [0, 3] {
        assert_failed(
            read(&format!(
                "(call $proc_exit (i32.const {code})) (call $answer)"
            ))
            .await,
            "exit",
            &format!("exit code {code}"),
        );
    }
}

#[tokio::test]
async fn last_lines_of_standard_error_stand_in_the_error() {
    let say = number("fd_write", &[2, 32768, 1, 40000]);
    for (end, kind) in [
        ("(unreachable)", "trap"),
        ("(call $proc_exit (i32.const 3)) (unreachable)", "exit"),
        ("(i32.const 4)", "error"),
    ] {
        let result = read(&format!("(drop {say}) {end}")).await;
        assert_failed(result, kind, ": hello");
    }
}

#[tokio::test]
async fn flood_of_wasi_calls_ends_at_the_time_limit() {
    for flood in [
        number("fd_write", &[2, 32768, 1, 40000]),
        number("fd_write", &[1, 0, 1024, 40000]),
        number("random_get", &[0, 65536]),
        number("poll_oneoff", &[41000, 42000, 1, 40008]),
        number("path_unlink_file", &[3, 0, 1]),
    ] {
        let read = format!(
            "(if (i64.eq (call $input_length) (i64.const 1)) (then
                (loop $forever (drop {flood}) (br $forever))))
             (call $answer)"
        );
        let plugin = plugin(&read).await;
        assert_failed(plugin.read("here", b"x", &BRIEF).await, "time", "");
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
}

/// A command: it prints its description when it is asked to describe itself, and otherwise does
/// `read`, in which `(call $print (i32.const file) (i32.const at) (i32.const length))` prints.
fn command(read: &str, answer: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {WASI}
            (memory (export "memory") 1)
            (data (i32.const 0) "{description}")
            (data (i32.const 16384) "{answer}")
            (data (i32.const 33024) "first\nsecond")
            (func $print (param $file i32) (param $at i32) (param $length i32)
                (i32.store (i32.const 50000) (local.get $at))
                (i32.store (i32.const 50004) (local.get $length))
                (drop (call $fd_write (local.get $file) (i32.const 50000) (i32.const 1) (i32.const 50008))))
            (func $answer (call $print (i32.const 1) (i32.const 16384) (i32.const {answer_length})))
            (func $is_describe (result i32)
                (drop (call $args_get (i32.const 51000) (i32.const 51100)))
                (i32.eq (i32.load8_u (i32.load (i32.const 51004))) (i32.const 100)))
            (func (export "_start")
                (if (call $is_describe)
                    (then (call $print (i32.const 1) (i32.const 0) (i32.const {description_length})))
                    (else {read}))))"#,
        description = escaped(DESCRIPTION),
        description_length = DESCRIPTION.len(),
        answer = escaped(answer),
        answer_length = answer.len(),
    );
    wat::parse_str(text).unwrap()
}

async fn run(read: &str, limits: &CallLimits) -> Result<Answer, CallError> {
    let plugin = sandbox().load("command", &command(read, ANSWER)).await;
    plugin.unwrap().read("here", INPUT, limits).await
}

#[tokio::test]
async fn command_answers_on_standard_output() {
    assert_answered(&run("(call $answer)", &LIMITS).await);
    let ends = "(call $answer) (call $proc_exit (i32.const 0))";
    assert_answered(&run(ends, &LIMITS).await);
    let in_pieces = "(call $print (i32.const 1) (i32.const 16384) (i32.const 10))
        (call $print (i32.const 2) (i32.const 33024) (i32.const 5))
        (call $print (i32.const 1) (i32.const 16394) (i32.const REST))";
    let in_pieces = in_pieces.replace("REST", &(ANSWER.len() - 10).to_string());
    assert_answered(&run(&in_pieces, &LIMITS).await);
}

#[tokio::test]
async fn command_reads_its_request_from_standard_input() {
    let echo = "(i32.store (i32.const 52000) (i32.const 52100)) (i32.store (i32.const 52004) (i32.const 5000))
        (drop (call $fd_read (i32.const 0) (i32.const 52000) (i32.const 1) (i32.const 52008)))
        (call $print (i32.const 1) (i32.const 52100) (i32.load (i32.const 52008)))";
    let plugin = sandbox().load("command", &command(echo, ANSWER)).await;
    let plugin = plugin.unwrap();
    assert_answered(&plugin.read("here", ANSWER.as_bytes(), &LIMITS).await);
    assert_failed(plugin.read("here", INPUT, &LIMITS).await, "answer", "");
    assert!(!plugin.has_check());
    assert_eq!(
        plugin.check("here", b"{}").await.unwrap(),
        plugin_sdk::contract::Checked::default()
    );
}

#[tokio::test]
async fn command_that_fails_says_why() {
    let complain = "(call $print (i32.const 2) (i32.const 33024) (i32.const 12))";
    for (end, kind, said) in [
        (
            "(call $proc_exit (i32.const 2))",
            "exit",
            "exit code 2: first | second",
        ),
        ("(unreachable)", "trap", "executed: first | second"),
        ("", "output", "wrote nothing to its standard output"),
        ("(loop $forever (br $forever))", "time", ""),
    ] {
        let limits = if kind == "time" { BRIEF } else { LIMITS };
        assert_failed(run(&format!("{complain} {end}"), &limits).await, kind, said);
    }
}

#[tokio::test]
async fn answer_of_a_command_is_limited() {
    let limits = CallLimits {
        output: 100_000,
        ..LIMITS
    };
    let flood =
        "(loop $forever (call $print (i32.const 1) (i32.const 0) (i32.const 65536)) (br $forever))";
    assert_failed(
        run(flood, &limits).await,
        "output",
        "it has 131072 bytes, and the limit is 100000",
    );
}

#[tokio::test]
async fn exports_come_before_the_start_of_a_command() {
    let plugin = load(ByHand {
        more: r#"(func (export "_start") (unreachable))"#,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}
