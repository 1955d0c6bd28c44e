//! The cost of a plugin call: a fresh instance, the request in, the answer out and checked.
//!
//! `cargo bench -p alert-gateway --bench plugin_call`. The figures are times a call; with two
//! threads, the time after which the next of both together is done, so half of the figure for one
//! thread is as good as it gets.

use alert_gateway_sandbox::{CallLimits, Plugin, Sandbox, SandboxOptions};
use criterion::{Criterion, criterion_group, criterion_main};
use plugin_sdk::contract::Request;
use plugin_sdk::signature::{Verifier, View};
use plugin_sdk::{testing, wire};
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_millis(100),
    memory: 16 << 20,
    output: 1 << 20,
};

/// Answers its input, through a copy in its own memory, as the PDKs do it: eight bytes at a time.
const ECHO: &str = r#"(module
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "{\"contract\":1,\"name\":\"echo\",\"version\":\"1\",\"summary\":\"\",\"settings\":{}}   ")
    (func $answer (param $length i32) (result i32) (local $i i32) (local $block i64)
        (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
        (loop $next
            (call $store_u64 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i))) (i64.load (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $length))))
        (call $output_set (local.get $block) (i64.extend_i32_u (local.get $length)))
        (i32.const 0))
    (func (export "describe") (result i32) (call $answer (i32.const 72)))
    (func (export "read") (result i32) (local $i i32) (local $length i32)
        (local.set $length (i32.wrap_i64 (call $input_length)))
        (loop $next
            (i64.store (local.get $i) (call $input_load_u64 (i64.extend_i32_u (local.get $i))))
            (local.set $i (i32.add (local.get $i) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $length))))
        (call $answer (local.get $length))))"#;

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn load(name: &str, wasm: &[u8]) -> Plugin {
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir: None,
        instances: 64,
        max_memory: 16 << 20,
    });
    runtime()
        .block_on(sandbox.expect("a sandbox").load(name, wasm))
        .expect("a plugin")
}

async fn call(plugin: &Plugin, request: &[u8]) {
    black_box(
        plugin
            .read("bench", black_box(request), &LIMITS)
            .await
            .expect("an answer"),
    );
}

fn bench(criterion: &mut Criterion, name: &str, plugin: &Plugin, request: &[u8]) {
    let mut group = criterion.benchmark_group(name);
    group.bench_function("one thread", |bencher| {
        bencher.iter_custom(|calls| {
            runtime().block_on(async {
                let start = Instant::now();
                for _ in 0..calls {
                    call(plugin, request).await;
                }
                start.elapsed()
            })
        });
    });
    group.bench_function("two threads", |bencher| {
        bencher.iter_custom(|calls| {
            let start = Instant::now();
            thread::scope(|scope| {
                for share in [calls / 2, calls - calls / 2] {
                    scope.spawn(move || {
                        runtime().block_on(async {
                            for _ in 0..share {
                                call(plugin, request).await;
                            }
                        });
                    });
                }
            });
            start.elapsed()
        });
    });
    group.finish();
}

fn echo(criterion: &mut Criterion) {
    let plugin = load("echo", &wat::parse_str(ECHO).expect("a module"));
    let head = r#"{"ignored":{"reason":""#;
    let request = format!("{head}{}\"}}}}", "x".repeat(1024 - head.len() - 3));
    bench(criterion, "echo of 1 KiB", &plugin, request.as_bytes());
}

/// The 768-byte event of Twilio's documents: the proof of its sender, which the host checks, and
/// then the call, through the sandbox and as plain Rust.
fn twilio(criterion: &mut Criterion) {
    let bundled = alert_gateway_plugins::find("twilio-errors").expect("it is bundled");
    let plugin = load(bundled.name, bundled.wasm);
    let request = testing::post("https://gw.example.com/hooks/twilio-errors")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .header("x-twilio-signature", "EfWcvsgAOV8k0v1MrI6lv99Poa8=")
        .body(include_bytes!(
            "../../plugins/twilio-errors/tests/data/docs_11200.form"
        ))
        .settings(r#"{"auth_token":"12345"}"#)
        .build();
    let verifier = Verifier::new(&plugin.description().proof, request.settings.get());
    criterion.bench_function("twilio-errors/proof", |bencher| {
        bencher.iter(|| {
            let view = View::from(black_box(&request));
            verifier.verify(&view).expect("a proof")
        });
    });
    let proved = verifier.verify(&View::from(&request)).expect("a proof");
    let request = Request { proved, ..request };
    let request = serde_json::to_vec(&request).expect("JSON");
    bench(criterion, "twilio-errors", &plugin, &request);
    criterion.bench_function("twilio-errors/native", |bencher| {
        bencher.iter(|| {
            wire::read::<twilio_errors::TwilioErrors>(black_box(&request)).expect("an answer")
        });
    });
}

criterion_group! {
    name = plugin_call;
    config = Criterion::default().sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = echo, twilio
}
criterion_main!(plugin_call);
