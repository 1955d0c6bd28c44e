//! Plugins written by hand, each for one purpose.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Post;

/// Returns a plugin that answers each request with its body, word for word. The body is the JSON of
/// an answer, without escapes other than of quotes and backslashes.
pub fn parrot() -> Vec<u8> {
    with_read("(call $parrot)", true)
}

/// Returns the same plugin, for a source with a token.
pub fn parrot_of_strangers() -> Vec<u8> {
    with_read("(call $parrot)", false)
}

/// Returns a plugin that runs this code where a [`parrot`] would answer.
pub fn hostile(read: &str) -> Vec<u8> {
    with_read(read, true)
}

/// Returns a request that a [`parrot`] reads as these alerts.
pub fn alerts(source: &str, alerts: &[Value]) -> Post {
    let body = json!({ "alerts": alerts }).to_string();
    Post {
        path: format!("/in/{source}"),
        headers: Vec::new(),
        body: body.into(),
    }
}

/// The smallest alert.
pub fn alert(event_id: &str) -> Value {
    json!({ "event_id": event_id, "priority": "high", "title": format!("Event {event_id}") })
}

/// The description of these plugins.
pub fn description() -> Value {
    json!({ "contract": 1, "name": "hand-made", "version": "1.0.0", "summary": "For a test.",
        "settings": { "type": "object" }, "authenticates": true })
}

fn with_read(read: &str, authenticates: bool) -> Vec<u8> {
    let mut description = description();
    description["authenticates"] = authenticates.into();
    made_of(&description.to_string(), read, "")
}

/// Returns a plugin with this description that runs this code where a [`parrot`] would answer.
/// `more` has further functions, and data from 32,768 on.
pub fn made_of(description: &str, read: &str, more: &str) -> Vec<u8> {
    let bytes = data(description);
    // What stands before the body in the JSON of a request.
    let before = i64::from_le_bytes(*b"\"text\":\"");
    let text = format!(
        r#"(module
            (import "extism:host/env" "input_length" (func $input_length (result i64)))
            (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
            (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
            (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
            (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
            (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
            (import "extism:host/env" "log_error" (func $log_error (param i64)))
            (import "extism:host/env" "error_set" (func $error_set (param i64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{bytes}")
            (func $byte_at (param $place i64) (param $offset i64) (param $byte i32)
                (call $store_u8 (i64.add (local.get $place) (local.get $offset)) (local.get $byte)))
            (func (export "describe") (result i32) (local $block i64) (local $i i64)
                (local.set $block (call $alloc (i64.const {length})))
                (loop $next
                    (call $byte_at (local.get $block) (local.get $i) (i32.load8_u (i32.wrap_i64 (local.get $i))))
                    (local.set $i (i64.add (local.get $i) (i64.const 1)))
                    (br_if $next (i64.lt_u (local.get $i) (i64.const {length}))))
                (call $output_set (local.get $block) (i64.const {length}))
                (i32.const 0))
            (func $parrot (result i32) (local $in i64) (local $out i64) (local $length i64) (local $byte i32)
                (block $found (loop $search
                    (br_if $found (i64.eq (call $input_load_u64 (local.get $in)) (i64.const {before})))
                    (local.set $in (i64.add (local.get $in) (i64.const 1)))
                    (br_if $search (i64.lt_u (local.get $in) (call $input_length)))
                    (unreachable)))
                (local.set $in (i64.add (local.get $in) (i64.const 8)))
                (local.set $out (call $alloc (call $input_length)))
                (block $done (loop $copy
                    (local.set $byte (call $input_load_u8 (local.get $in)))
                    (br_if $done (i32.eq (local.get $byte) (i32.const 34)))
                    (if (i32.eq (local.get $byte) (i32.const 92)) (then
                        (local.set $in (i64.add (local.get $in) (i64.const 1)))
                        (local.set $byte (call $input_load_u8 (local.get $in)))))
                    (call $byte_at (local.get $out) (local.get $length) (local.get $byte))
                    (local.set $in (i64.add (local.get $in) (i64.const 1)))
                    (local.set $length (i64.add (local.get $length) (i64.const 1)))
                    (br $copy)))
                (call $output_set (local.get $out) (local.get $length))
                (i32.const 0))
            (func (export "read") (result i32) {read})
            {more})"#,
        length = description.len(),
    );
    wat::parse_str(text).unwrap()
}

/// Returns a plugin with this description that answers every request with this text.
pub fn answering(description: &str, answer: &str) -> Vec<u8> {
    let read = format!(
        "{} (call $output_set (local.get $block) (i64.const {})) (i32.const 0)",
        block_of(answer),
        answer.len()
    );
    made_of(description, &read, &behind(answer))
}

/// Returns a plugin that crashes on every request, with the message of a panic.
pub fn panicking(message: &str) -> Vec<u8> {
    let read = format!(
        "{} (call $error_set (local.get $block)) (unreachable)",
        block_of(message)
    );
    made_of(&description().to_string(), &read, &behind(message))
}

/// Code that copies a text, which stands from 32,768 on, into a block of the host's.
fn block_of(text: &str) -> String {
    format!(
        "(local $block i64) (local $i i64)
        (local.set $block (call $alloc (i64.const {length})))
        (loop $next
            (call $byte_at (local.get $block) (local.get $i)
                (i32.load8_u (i32.add (i32.const 32768) (i32.wrap_i64 (local.get $i)))))
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (br_if $next (i64.lt_u (local.get $i) (i64.const {length}))))",
        length = text.len()
    )
}

fn behind(text: &str) -> String {
    format!("(data (i32.const 32768) \"{}\")", data(text))
}

fn data(text: &str) -> String {
    text.bytes().fold(String::new(), |mut bytes, byte| {
        let _ = write!(bytes, "\\{byte:02x}");
        bytes
    })
}
