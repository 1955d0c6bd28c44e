//! Plugins written by hand, most of them hostile, and what becomes of them.

mod abi;
mod answers;
mod cache;
mod fairness;
mod hostile;
mod loading;
mod logs;
mod measure;
mod preparation;
mod shapes;
mod wasi;

use super::{CallError, CallLimits, LoadError, Plugin, Sandbox, SandboxOptions};
use plugin_sdk::contract::Answer;
use std::fmt::Write as _;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(20),
    memory: 4 * MIB,
    output: MIB,
};

/// For plugins that run until they are stopped.
const BRIEF: CallLimits = CallLimits {
    time: Duration::from_millis(20),
    ..LIMITS
};

const DESCRIPTION: &str =
    r#"{"contract":1,"name":"hand-made","version":"1.0.0","summary":"For a test.","settings":{}}"#;

const ANSWER: &str = r#"{"alerts":[{"event_id":"e1","priority":"low","title":"Hello"}]}"#;

const INPUT: &[u8] = b"0123456789";

/// All of Extism's functions, under their own names.
const IMPORTS: &str = r#"
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
    (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
    (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "length_unsafe" (func $length_unsafe (param i64) (result i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
    (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
    (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error_set (param i64)))
    (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
    (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
    (import "extism:host/env" "http_status_code" (func $http_status_code (result i32)))
    (import "extism:host/env" "http_headers" (func $http_headers (result i64)))
    (import "extism:host/env" "log_trace" (func $log_trace (param i64)))
    (import "extism:host/env" "log_debug" (func $log_debug (param i64)))
    (import "extism:host/env" "log_info" (func $log_info (param i64)))
    (import "extism:host/env" "log_warn" (func $log_warn (param i64)))
    (import "extism:host/env" "log_error" (func $log_error (param i64)))
    (import "extism:host/env" "get_log_level" (func $get_log_level (result i32)))"#;

/// A plugin by hand. In `read`, `$a`, `$b` and `$c` are i64 variables, `(call $answer)` answers and
/// gives 0, and `(call $text (i32.const at) (i32.const length))` puts a piece of the plugin's
/// memory into a block.
struct ByHand<'a> {
    read: &'a str,
    answer: &'a str,
    description: &'a str,
    /// Imports beside Extism's.
    imports: &'a str,
    /// Further functions, data and so on; there is room for data from 32,768.
    more: &'a str,
}

impl Default for ByHand<'_> {
    fn default() -> Self {
        Self {
            read: "(call $answer)",
            answer: ANSWER,
            description: DESCRIPTION,
            imports: "",
            more: "",
        }
    }
}

impl ByHand<'_> {
    fn wasm(&self) -> Vec<u8> {
        let text = format!(
            r#"(module {IMPORTS} {imports}
                (memory (export "memory") 1)
                (data (i32.const 0) "{description}")
                (data (i32.const 16384) "{answer}")
                (func $text (param $at i32) (param $length i32) (result i64)
                    (local $block i64) (local $i i32)
                    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
                    (block $done (loop $next
                        (br_if $done (i32.ge_u (local.get $i) (local.get $length)))
                        (call $store_u8
                            (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
                            (i32.load8_u (i32.add (local.get $at) (local.get $i))))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br $next)))
                    (local.get $block))
                (func $put (param $at i32) (param $length i32) (result i32)
                    (call $output_set (call $text (local.get $at) (local.get $length))
                        (i64.extend_i32_u (local.get $length)))
                    (i32.const 0))
                (func $answer (result i32) (call $put (i32.const 16384) (i32.const {answer_length})))
                (func (export "describe") (result i32) (call $put (i32.const 0) (i32.const {description_length})))
                (func (export "read") (result i32) (local $a i64) (local $b i64) (local $c i64) {read})
                {more})"#,
            imports = self.imports,
            description = escaped(self.description),
            description_length = self.description.len(),
            answer = escaped(self.answer),
            answer_length = self.answer.len(),
            read = self.read,
            more = self.more,
        );
        wat::parse_str(text).unwrap()
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "\\{byte:02x}");
        escaped
    })
}

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: 16,
        max_memory: 16 * MIB,
    })
    .unwrap()
}

async fn load(plugin: ByHand<'_>) -> Plugin {
    sandbox().load("hand-made", &plugin.wasm()).await.unwrap()
}

async fn refused(wasm: &[u8]) -> LoadError {
    sandbox().load("hand-made", wasm).await.unwrap_err()
}

/// Returns the result of a plugin with this `read`.
async fn read(read: &str) -> Result<Answer, CallError> {
    load(ByHand {
        read,
        ..ByHand::default()
    })
    .await
    .read("here", INPUT, &LIMITS)
    .await
}

/// A `read` that does `steps` and then compares each of these i64 expressions with its value. It
/// answers if all are equal; otherwise it returns the place of the first unequal one, from 1.
fn checked(steps: &str, expressions: &[(&str, u64)]) -> String {
    let checks = expressions.iter().zip(1..).fold(String::new(), |mut checks, ((expression, value), place)| {
        let _ = write!(
            checks,
            "(if (i64.ne {expression} (i64.const {value})) (then (return (i32.const {place}))))",
            value = value.cast_signed()
        );
        checks
    });
    format!("{steps} {checks} (call $answer)")
}

fn assert_answered(result: &Result<Answer, CallError>) {
    assert!(
        matches!(result, Ok(Answer::Alerts(alerts)) if alerts[0].event_id == "e1"),
        "{result:?}"
    );
}

#[track_caller]
fn assert_failed(result: Result<Answer, CallError>, kind: &str, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}
