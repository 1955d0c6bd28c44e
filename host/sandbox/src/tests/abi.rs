//! Every rule of every function that a plugin can call.

use super::*;

#[tokio::test]
async fn the_input_is_read_by_bytes_and_by_words() {
    let word = u64::from_le_bytes(*b"01234567");
    let read = checked(
        "",
        &[
            ("(call $input_length)", 10),
            (
                "(i64.extend_i32_u (call $input_load_u8 (i64.const 9)))",
                u64::from(b'9'),
            ),
            ("(call $input_load_u64 (i64.const 0))", word),
            (
                "(call $input_load_u64 (i64.const 2))",
                u64::from_le_bytes(*b"23456789"),
            ),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn the_input_reads_as_zero_outside_its_range() {
    let read = checked(
        "",
        &[
            ("(i64.extend_i32_u (call $input_load_u8 (i64.const 10)))", 0),
            ("(i64.extend_i32_u (call $input_load_u8 (i64.const -1)))", 0),
            ("(call $input_load_u64 (i64.const 3))", 0),
            ("(call $input_load_u64 (i64.const -4))", 0),
            ("(call $input_load_u64 (i64.const 0x7fffffffffffffff))", 0),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn the_input_is_a_block_of_the_hosts_memory_too() {
    let read = checked(
        "(local.set $a (call $input_offset))",
        &[
            (
                "(i64.extend_i32_u (i64.ge_u (local.get $a) (i64.const 8)))",
                1,
            ),
            ("(call $length (local.get $a))", 10),
            (
                "(i64.extend_i32_u (call $load_u8 (i64.add (local.get $a) (i64.const 1))))",
                u64::from(b'1'),
            ),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn an_empty_input_has_no_block() {
    let read = checked(
        "",
        &[("(call $input_length)", 0), ("(call $input_offset)", 0)],
    );
    let plugin = load(ByHand {
        read: &read,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", b"", &LIMITS).await);
}

#[tokio::test]
async fn a_block_holds_what_is_stored_in_it() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 16)))
         (call $store_u64 (local.get $a) (i64.const 0x1122334455667788))
         (call $store_u8 (i64.add (local.get $a) (i64.const 15)) (i32.const 0x1ff))",
        &[
            (
                "(i64.extend_i32_u (i64.ge_u (local.get $a) (i64.const 8)))",
                1,
            ),
            ("(call $load_u64 (local.get $a))", 0x1122_3344_5566_7788),
            ("(i64.extend_i32_u (call $load_u8 (local.get $a)))", 0x88),
            (
                "(i64.extend_i32_u (call $load_u8 (i64.add (local.get $a) (i64.const 15))))",
                0xff,
            ),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn loads_out_of_range_give_zero_and_stores_do_nothing() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 8)))
         (call $store_u64 (local.get $a) (i64.const -1))
         (call $store_u64 (i64.add (local.get $a) (i64.const 1)) (i64.const 0))
         (call $store_u64 (i64.const 0) (i64.const -1))
         (call $store_u64 (i64.const -1) (i64.const -1))
         (call $store_u64 (i64.const 0x7ffffffffffffff8) (i64.const -1))
         (call $store_u8 (i64.const 7) (i32.const 1))
         (call $store_u8 (i64.const -9) (i32.const 1))",
        &[
            ("(call $load_u64 (local.get $a))", u64::MAX),
            ("(call $load_u64 (i64.add (local.get $a) (i64.const 1)))", 0),
            ("(call $load_u64 (i64.const 0))", 0),
            ("(call $load_u64 (i64.const 7))", 0),
            ("(call $load_u64 (i64.const -1))", 0),
            ("(call $load_u64 (i64.const 0x4000000000000000))", 0),
            ("(i64.extend_i32_u (call $load_u8 (i64.const 7)))", 0),
            (
                "(i64.extend_i32_u (call $load_u8 (i64.add (local.get $a) (i64.const 8))))",
                0,
            ),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn a_length_is_known_for_handles_only() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 13)))
         (local.set $b (call $alloc (i64.const 5)))
         (call $free (local.get $b))",
        &[
            ("(call $length (local.get $a))", 13),
            ("(call $length_unsafe (local.get $a))", 13),
            ("(call $length (i64.add (local.get $a) (i64.const 1)))", 0),
            ("(call $length (local.get $b))", 0),
            ("(call $length (i64.const 0))", 0),
            ("(call $length (i64.const -1))", 0),
            ("(call $length_unsafe (i64.const 0x4000000000000000))", 0),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn no_block_is_made_for_no_bytes() {
    assert_answered(&read(&checked("", &[("(call $alloc (i64.const 0))", 0)])).await);
}

#[tokio::test]
async fn a_block_that_is_used_again_is_cleared() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 64)))
         (drop (call $alloc (i64.const 8)))
         (call $store_u64 (local.get $a) (i64.const -1))
         (call $store_u64 (i64.add (local.get $a) (i64.const 24)) (i64.const -1))
         (call $free (local.get $a))
         (local.set $b (call $alloc (i64.const 20)))
         (local.set $c (call $alloc (i64.const 40)))",
        &[
            ("(i64.sub (local.get $b) (local.get $a))", 0),
            ("(i64.sub (local.get $c) (local.get $a))", 24),
            ("(call $load_u64 (local.get $b))", 0),
            ("(call $load_u64 (local.get $c))", 0),
            ("(call $length (local.get $b))", 20),
            ("(call $length (local.get $c))", 40),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn free_of_nothing_of_the_unknown_and_of_the_freed_does_nothing() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 8)))
         (local.set $b (call $alloc (i64.const 8)))
         (call $free (i64.const 0))
         (call $free (i64.const -1))
         (call $free (i64.const 0x4000000000000000))
         (call $free (i64.add (local.get $a) (i64.const 1)))
         (call $free (local.get $a))
         (call $free (local.get $a))
         (local.set $c (call $alloc (i64.const 8)))",
        &[
            ("(i64.sub (local.get $c) (local.get $a))", 0),
            ("(call $length (local.get $b))", 8),
            (
                "(i64.extend_i32_u (i64.ne (call $alloc (i64.const 8)) (local.get $c)))",
                1,
            ),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn freed_neighbours_become_one_block_again() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 8)))
         (local.set $b (call $alloc (i64.const 8)))
         (local.set $c (call $alloc (i64.const 8)))
         (call $free (local.get $a))
         (call $free (local.get $c))
         (call $free (local.get $b))",
        &[("(i64.sub (call $alloc (i64.const 24)) (local.get $a))", 0)],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn a_megabyte_passes_through_in_and_out() {
    let body = "x".repeat(MIB);
    let input = format!(r#"{{"ignored":{{"reason":"{body}"}}}}"#);
    // In as the PDKs do it: each piece in a block of its own, beside the output.
    let read = "(local.set $a (call $alloc (call $input_length)))
        (drop (call $alloc (call $input_length)))
        (block $done (loop $next
            (br_if $done (i64.ge_u (local.get $b) (call $input_length)))
            (call $store_u8 (i64.add (local.get $a) (local.get $b)) (call $input_load_u8 (local.get $b)))
            (local.set $b (i64.add (local.get $b) (i64.const 1)))
            (br $next)))
        (call $output_set (local.get $a) (call $input_length))
        (i32.const 0)";
    let plugin = load(ByHand {
        read,
        ..ByHand::default()
    })
    .await;
    let limits = CallLimits {
        output: 2 * MIB,
        ..LIMITS
    };
    let answer = plugin.read("here", input.as_bytes(), &limits).await;
    assert!(matches!(answer, Ok(Answer::Ignored { reason }) if reason.starts_with("xxx")));
}

#[tokio::test]
async fn running_out_of_bytes_ends_the_call() {
    assert_failed(
        read("(drop (call $alloc (i64.const 0x40000000))) (call $answer)").await,
        "host_memory",
        "bytes",
    );
    assert_failed(
        read("(drop (call $alloc (i64.const -1))) (call $answer)").await,
        "host_memory",
        "bytes",
    );
    assert_failed(
        read("(drop (call $alloc (i64.const -8))) (call $answer)").await,
        "host_memory",
        "bytes",
    );
    let forever = "(loop $next (drop (call $alloc (i64.const 0x100000))) (br $next)) (unreachable)";
    assert_failed(read(forever).await, "host_memory", "bytes");
}

#[tokio::test]
async fn running_out_of_blocks_ends_the_call() {
    let forever = "(loop $next (drop (call $alloc (i64.const 1))) (br $next)) (unreachable)";
    assert_failed(read(forever).await, "host_memory", "4096 blocks");
}

#[tokio::test]
async fn the_output_must_lie_in_the_hosts_memory() {
    assert_answered(&read("(call $output_set (i64.const 0) (i64.const 0)) (call $answer)").await);
    for range in [
        "(i64.const 8) (i64.const 100)",
        "(i64.const 0) (i64.const 1)",
        "(i64.const -1) (i64.const 1)",
        "(i64.const 0x7fffffffffffffff) (i64.const 1)",
    ] {
        let result = read(&format!("(call $output_set {range}) (i32.const 0)")).await;
        assert_failed(result, "output", "no range of the memory");
    }
    for length in ["0x7fffffffffffffff", "-1", "1048577"] {
        let result = read(&format!(
            "(call $output_set (i64.const 8) (i64.const {length})) (i32.const 0)"
        ))
        .await;
        assert_failed(result, "output", "the limit is 1048576");
    }
}

#[tokio::test]
async fn an_answer_of_nothing_is_none() {
    assert_failed(read("(i32.const 0)").await, "answer", "found nothing");
}

#[tokio::test]
async fn a_return_code_other_than_zero_is_a_failure() {
    assert_failed(
        read("(drop (call $answer)) (i32.const 7)").await,
        "error",
        "(code 7)",
    );
}

const OOPS: &str = r#"(data (i32.const 32768) "oops\nagain")"#;

#[tokio::test]
async fn error_set_is_a_failure_even_with_return_code_zero() {
    let read = "(call $error_set (call $text (i32.const 32768) (i32.const 10))) (call $answer)";
    let plugin = load(ByHand {
        read,
        more: OOPS,
        ..ByHand::default()
    })
    .await;
    assert_failed(
        plugin.read("here", INPUT, &LIMITS).await,
        "error",
        r"an error: oops\nagain",
    );
}

#[tokio::test]
async fn an_error_can_be_taken_back() {
    let read = "(call $error_set (call $text (i32.const 32768) (i32.const 4)))
        (call $error_set (i64.const 0)) (call $answer)";
    let plugin = load(ByHand {
        read,
        more: OOPS,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn an_error_at_no_handle_is_none() {
    assert_answered(&read("(call $error_set (i64.const -1)) (call $answer)").await);
    assert_answered(&read("(call $error_set (i64.const 3)) (call $answer)").await);
}

#[tokio::test]
async fn there_is_no_configuration_beside_the_settings() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 3))) (local.set $b (call $config_get (local.get $a)))",
        &[
            ("(local.get $b)", 0),
            ("(call $length (local.get $a))", 0),
            ("(call $config_get (i64.const -1))", 0),
        ],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn configuration_is_had_by_name_and_changes_the_hash() {
    let read = checked(
        "(local.set $a (call $config_get (call $name)))",
        &[
            ("(call $length (local.get $a))", 5),
            (
                "(i64.extend_i32_u (call $load_u8 (local.get $a)))",
                u64::from(b'v'),
            ),
        ],
    );
    let wasm = ByHand {
        read: &read,
        more: NAME,
        ..ByHand::default()
    }
    .wasm();
    let sandbox = sandbox();
    let load = async |configuration: &[(&str, &str)]| {
        let plugin = sandbox.load_configured("hand-made", &wasm, configuration);
        plugin.await.unwrap()
    };
    let configured = load(&[("other", "x"), ("name", "value")]).await;
    assert_answered(&configured.read("here", INPUT, &LIMITS).await);
    let another = load(&[("name", "val")]).await;
    assert_failed(another.read("here", INPUT, &LIMITS).await, "error", "1");
    let plain = load(&[]).await;
    assert_eq!(plain.sha256(), plugin_sdk::signature::sha256(&wasm).hex());
    assert!(configured.sha256() != plain.sha256() && configured.sha256() != another.sha256());
}

const NAME: &str = r#"(data (i32.const 32768) "name")
    (func $name (result i64) (call $text (i32.const 32768) (i32.const 4)))"#;

#[tokio::test]
async fn variables_last_for_one_call() {
    let read = checked(
        "(local.set $c (call $var_get (call $name)))
         (local.set $a (call $alloc (i64.const 8)))
         (call $store_u64 (local.get $a) (i64.const 42))
         (call $var_set (call $name) (local.get $a))
         (local.set $b (call $var_get (call $name)))",
        &[
            ("(local.get $c)", 0),
            ("(call $load_u64 (local.get $b))", 42),
            ("(call $length (local.get $b))", 8),
            ("(call $var_get (i64.const -1))", 0),
        ],
    );
    let plugin = load(ByHand {
        read: &read,
        more: NAME,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn a_variable_can_be_removed() {
    let read = checked(
        "(call $var_set (call $name) (call $alloc (i64.const 8)))
         (call $var_set (call $name) (i64.const 0))
         (call $var_set (i64.const -1) (i64.const -1))",
        &[("(call $var_get (call $name))", 0)],
    );
    let plugin = load(ByHand {
        read: &read,
        more: NAME,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn variables_are_bounded_in_number_and_in_bytes() {
    let many = "(local.set $b (call $alloc (i64.const 1)))
        (loop $next
            (local.set $a (call $alloc (i64.const 8)))
            (call $store_u64 (local.get $a) (local.get $c))
            (call $var_set (local.get $a) (local.get $b))
            (local.set $c (i64.add (local.get $c) (i64.const 1)))
            (br $next))
        (unreachable)";
    assert_failed(read(many).await, "host_memory", "64 variables");
    let large = "(call $var_set (call $alloc (i64.const 1)) (call $alloc (i64.const 65536))) (call $answer)";
    assert_failed(read(large).await, "host_memory", "65536 bytes of variables");
    let again = "(local.set $b (call $alloc (i64.const 60000)))
        (loop $next
            (call $var_set (call $alloc (i64.const 1)) (local.get $b))
            (local.set $c (i64.add (local.get $c) (i64.const 1)))
            (br_if $next (i64.lt_u (local.get $c) (i64.const 10))))
        (call $answer)";
    assert_answered(&read(again).await);
}

#[tokio::test]
async fn an_http_request_is_denied() {
    let result =
        read("(drop (call $http_request (i64.const 8) (i64.const 0))) (call $answer)").await;
    assert_failed(
        result,
        "denied",
        "an HTTP request, which no plugin may have",
    );
    let read = checked(
        "",
        &[
            ("(i64.extend_i32_s (call $http_status_code))", 0),
            ("(call $http_headers)", 0),
        ],
    );
    assert_answered(&super::read(&read).await);
}
