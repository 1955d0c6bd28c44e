//! Plugins by hand, and a sandbox to run them in.

use std::fmt::Write as _;
use std::time::Duration;

use alert_gateway_sandbox::{CallLimits, LoadError, Plugin, Sandbox, SandboxOptions};
use plugin_sdk::contract::Answer;
use tokio::runtime::Runtime;

const MIB: usize = 1024 * 1024;

/// The limits of a call.
pub const LIMITS: CallLimits = CallLimits {
    time: Duration::from_millis(500),
    memory: 4 * MIB,
    output: MIB,
};

const DESCRIPTION: &str = r#"{"contract":1,"name":"by-hand","version":"1.0.0","summary":"For the fuzzer.","settings":{}}"#;

/// Each of Extism's functions by its name, what it takes (`l`: i64, `i`: i32) and whether it gives
/// an i64 (`l`), an i32 (`i`) or nothing.
const FUNCTIONS: [(&str, &str, &str); 26] = [
    ("input_length", "", "l"),
    ("input_offset", "", "l"),
    ("input_load_u8", "l", "i"),
    ("input_load_u64", "l", "l"),
    ("length", "l", "l"),
    ("length_unsafe", "l", "l"),
    ("alloc", "l", "l"),
    ("free", "l", ""),
    ("load_u8", "l", "i"),
    ("load_u64", "l", "l"),
    ("store_u8", "li", ""),
    ("store_u64", "ll", ""),
    ("output_set", "ll", ""),
    ("error_set", "l", ""),
    ("config_get", "l", "l"),
    ("var_get", "l", "l"),
    ("var_set", "ll", ""),
    ("http_request", "ll", "l"),
    ("http_status_code", "", "i"),
    ("http_headers", "", "l"),
    ("log_trace", "l", ""),
    ("log_debug", "l", ""),
    ("log_info", "l", ""),
    ("log_warn", "l", ""),
    ("log_error", "l", ""),
    ("get_log_level", "", "i"),
];

/// A sandbox and the thread that its calls run on.
pub struct Bench {
    runtime: Runtime,
    sandbox: Sandbox,
}

impl Bench {
    /// An empty one.
    ///
    /// # Panics
    /// Where the machine does not give what it needs.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = SandboxOptions {
            cache_dir: None,
            instances: 8,
            max_memory: LIMITS.memory,
        };
        Self {
            runtime,
            sandbox: Sandbox::new(options).expect("a sandbox"),
        }
    }

    /// Loads a plugin.
    ///
    /// # Errors
    /// The bytes are no plugin.
    pub fn load(&self, wasm: &[u8]) -> Result<Plugin, LoadError> {
        self.runtime.block_on(self.sandbox.load("by-hand", wasm))
    }

    /// Has a plugin read an input.
    ///
    /// # Errors
    /// The kind of the failure.
    pub fn read(&self, plugin: &Plugin, input: &[u8]) -> Result<Answer, &'static str> {
        self.runtime
            .block_on(plugin.read("here", input, &LIMITS))
            .map_err(|error| {
                // What is told to the operator can be told.
                let _ = (error.to_string(), error.advice());
                error.kind()
            })
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// A plugin whose answer is its input.
pub fn echo() -> Vec<u8> {
    plugin("(call $output_set (call $input_offset) (call $input_length)) (i32.const 0)")
}

/// A plugin that answers one alert if its memory, and the host's, is as new; else it traps.
pub fn clean() -> Vec<u8> {
    let answer = r#"{"alerts":[{"event_id":"e","priority":"low","title":"t"}]}"#;
    plugin(&format!(
        "(local $block i64) (local $i i32)
         (local.set $block (call $alloc (i64.const 4096)))
         (loop $next
            (if (i64.ne (i64.const 0) (call $load_u64 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))))
                (then (unreachable)))
            (if (i64.ne (i64.const 0) (i64.load (i32.add (i32.const 8192) (local.get $i)))) (then (unreachable)))
            (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 4096))))
         (if (i64.ne (i64.const 0) (call $length (call $var_get (local.get $block)))) (then (unreachable)))
         {}",
        says(4096, answer)
    ))
}

/// A plugin that interprets its input: instructions of four bytes, *operation, target, a, b*, over
/// sixteen registers of 64 bits. Operation 0 sets the target to the next eight bytes, 1 to register
/// *a* plus the signed byte *b*, 2 writes *a* into the plugin's own memory, 3 grows that; each
/// further one calls a function of the host with registers *a* and *b*.
pub fn interpreter() -> Vec<u8> {
    let mut calls = String::new();
    for (number, (name, takes, gives)) in (4..).zip(FUNCTIONS) {
        let arguments: String = takes
            .chars()
            .zip(["$a", "$b"])
            .map(|(kind, from)| match kind {
                'l' => format!("(local.get {from})"),
                _ => format!("(i32.wrap_i64 (local.get {from}))"),
            })
            .collect();
        let call = format!("(call ${name} {arguments})");
        let step = match gives {
            "l" => format!("(i64.store (local.get $target) {call})"),
            "i" => format!("(i64.store (local.get $target) (i64.extend_i32_u {call}))"),
            _ => call,
        };
        let _ = write!(
            calls,
            "(if (i32.eq (local.get $operation) (i32.const {number})) (then {step}))"
        );
    }
    plugin(&format!(
        "(local $at i64) (local $operation i32) (local $target i32) (local $a i64) (local $b i64)
         (block $done (loop $next
            (br_if $done (i64.gt_u (i64.add (local.get $at) (i64.const 4)) (call $input_length)))
            (local.set $operation
                (i32.rem_u (call $input_load_u8 (local.get $at)) (i32.const {count})))
            (local.set $target (call $register (i64.add (local.get $at) (i64.const 1))))
            (local.set $a (i64.load (call $register (i64.add (local.get $at) (i64.const 2)))))
            (local.set $b (i64.load (call $register (i64.add (local.get $at) (i64.const 3)))))
            (local.set $at (i64.add (local.get $at) (i64.const 4)))
            (if (i32.eqz (local.get $operation)) (then
                (i64.store (local.get $target) (call $input_load_u64 (local.get $at)))
                (local.set $at (i64.add (local.get $at) (i64.const 8)))))
            (if (i32.eq (local.get $operation) (i32.const 1)) (then
                (i64.store (local.get $target) (i64.add (local.get $a)
                    (i64.extend8_s (i64.extend_i32_u (call $input_load_u8 (i64.sub (local.get $at) (i64.const 1)))))))))
            (if (i32.eq (local.get $operation) (i32.const 2)) (then
                (i64.store (i32.wrap_i64 (local.get $b)) (local.get $a))))
            (if (i32.eq (local.get $operation) (i32.const 3)) (then
                (i64.store (local.get $target)
                    (i64.extend_i32_u (memory.grow (i32.and (i32.wrap_i64 (local.get $a)) (i32.const 31)))))))
            {calls}
            (br $next)))
         (i32.const 0)",
        count = FUNCTIONS.len() + 4,
    ))
}

/// A module around the body of `read`.
fn plugin(read: &str) -> Vec<u8> {
    let mut imports = String::new();
    for (name, takes, gives) in FUNCTIONS {
        let kind = |kind| if kind == 'l' { " i64" } else { " i32" };
        let takes: String = takes.chars().map(kind).collect();
        let gives: String = gives
            .chars()
            .map(|gives| format!("(result{})", kind(gives)))
            .collect();
        let _ = write!(
            imports,
            r#"(import "extism:host/env" "{name}" (func ${name} (param{takes}) {gives}))"#
        );
    }
    let describe = says(16384, DESCRIPTION);
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (func $register (param $at i64) (result i32)
                (i32.shl (i32.and (call $input_load_u8 (local.get $at)) (i32.const 15)) (i32.const 3)))
            (func (export "describe") (result i32) {describe})
            (func (export "read") (result i32) {read}))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Code that answers this text.
fn says(at: usize, text: &str) -> String {
    let mut code = format!(
        "(i64.store (i32.const {at}) (call $alloc (i64.const {})))",
        text.len()
    );
    for (place, byte) in text.bytes().enumerate() {
        let _ = write!(
            code,
            "(call $store_u8 (i64.add (i64.load (i32.const {at})) (i64.const {place})) (i32.const {byte}))"
        );
    }
    let _ = write!(
        code,
        "(call $output_set (i64.load (i32.const {at})) (i64.const {})) (i32.const 0)",
        text.len()
    );
    code
}
