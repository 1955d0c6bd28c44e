//! Calls beside one another: who loops loops alone.

use super::*;
use tokio::task::JoinSet;
use tokio::task::yield_now;

const LOOP: &str = "(loop $forever (br $forever)) (unreachable)";

async fn two(sandbox: &Sandbox) -> (Plugin, Plugin) {
    let hostile = ByHand {
        read: LOOP,
        ..ByHand::default()
    }
    .wasm();
    let healthy = ByHand::default().wasm();
    let (hostile, healthy) = tokio::join!(
        sandbox.load("hostile", &hostile),
        sandbox.load("healthy", &healthy)
    );
    (hostile.unwrap(), healthy.unwrap())
}

#[tokio::test]
async fn others_are_answered_while_one_loops_even_on_one_thread() {
    let (hostile, healthy) = two(&sandbox()).await;
    let looping = tokio::spawn(async move { hostile.read("there", INPUT, &LIMITS).await });
    for _ in 0..10 {
        yield_now().await;
        assert_answered(&healthy.read("here", INPUT, &LIMITS).await);
    }
    assert!(!looping.is_finished());
    looping.abort();
}

#[tokio::test]
async fn a_call_that_is_dropped_disturbs_no_other() {
    let (hostile, healthy) = two(&sandbox()).await;
    for _ in 0..5 {
        let dropped = tokio::spawn({
            let hostile = hostile.clone();
            async move { hostile.read("there", INPUT, &LIMITS).await }
        });
        let other = tokio::spawn({
            let hostile = hostile.clone();
            async move { hostile.read("there", INPUT, &BRIEF).await }
        });
        yield_now().await;
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        assert_failed(other.await.unwrap(), "time", "");
        assert_answered(&healthy.read("here", INPUT, &LIMITS).await);
    }
}

#[tokio::test]
async fn a_plugin_that_fills_its_places_leaves_the_others_theirs() {
    let (hostile, healthy) = two(&sandbox()).await;
    let mut looping = JoinSet::new();
    for _ in 0..100 {
        let hostile = hostile.clone();
        looping.spawn(async move { hostile.read("there", INPUT, &LIMITS).await });
    }
    for _ in 0..10 {
        yield_now().await;
        assert_answered(&healthy.read("here", INPUT, &LIMITS).await);
    }
    looping.shutdown().await;
    assert_failed(hostile.read("there", INPUT, &BRIEF).await, "time", "");
}

#[tokio::test]
async fn many_loops_at_once_each_have_their_own_time() {
    let (hostile, _) = two(&sandbox()).await;
    let mut looping = JoinSet::new();
    for _ in 0..4 {
        let hostile = hostile.clone();
        looping.spawn(async move { hostile.read("there", INPUT, &BRIEF).await });
    }
    for result in looping.join_all().await {
        assert_failed(result, "time", "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_and_healthy_calls_mix_on_all_threads() {
    let sandbox = sandbox();
    let (looping, healthy) = two(&sandbox).await;
    let broken = [
        "(unreachable)",
        "(loop $next (drop (call $alloc (i64.const 1))) (br $next)) (unreachable)",
        "(loop $next (drop (memory.grow (i32.const 1))) (br $next)) (unreachable)",
    ];
    let mut tasks = JoinSet::new();
    for (read, kind) in broken.into_iter().zip(["trap", "host_memory", "memory"]) {
        let plugin = sandbox
            .load(
                kind,
                &ByHand {
                    read,
                    ..ByHand::default()
                }
                .wasm(),
            )
            .await
            .unwrap();
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_failed(plugin.read("there", INPUT, &LIMITS).await, kind, "");
            }
        });
    }
    tasks.spawn(async move {
        for _ in 0..3 {
            assert_failed(looping.read("there", INPUT, &BRIEF).await, "time", "");
        }
    });
    for _ in 0..4 {
        let healthy = healthy.clone();
        tasks.spawn(async move {
            for _ in 0..100 {
                assert_answered(&healthy.read("here", INPUT, &LIMITS).await);
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn the_clock_stops_when_nothing_runs_and_starts_again() {
    let sandbox = sandbox();
    let (hostile, _) = two(&sandbox).await;
    for _ in 0..3 {
        while !sandbox.is_idle() {
            std::thread::yield_now();
        }
        assert_failed(hostile.read("there", INPUT, &BRIEF).await, "time", "");
    }
}
