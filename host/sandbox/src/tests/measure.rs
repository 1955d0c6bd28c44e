//! The measured use of a call.

use super::*;
use crate::Measured;

const PAGE: usize = 64 * 1024;

async fn measure(read: &str, limits: &CallLimits) -> Measured {
    load(ByHand {
        read,
        ..ByHand::default()
    })
    .await
    .measure("here", INPUT, limits)
    .await
}

#[tokio::test]
async fn a_call_is_measured_and_its_output_is_given_as_it_was() {
    let grown = measure("(drop (memory.grow (i32.const 3))) (call $answer)", &LIMITS).await;
    assert_answered(&grown.answer);
    assert_eq!(grown.output, ANSWER.as_bytes());
    assert_eq!(
        (grown.used.memory, grown.used.output),
        (4 * PAGE, ANSWER.len())
    );
    assert!(
        grown.used.time > Duration::ZERO && grown.used.time < LIMITS.time,
        "{:?}",
        grown.used
    );
    assert_eq!(measure("(call $answer)", &LIMITS).await.used.memory, PAGE);
}

#[tokio::test]
async fn a_call_that_failed_is_measured_as_far_as_it_came() {
    let looped = measure("(loop $forever (br $forever)) (unreachable)", &BRIEF).await;
    assert!(looped.used.time >= BRIEF.time, "{:?}", looped.used);
    assert_eq!(
        (looped.used.memory, looped.used.output, looped.output.len()),
        (PAGE, 0, 0)
    );
    assert_failed(looped.answer, "time", "");
    let greedy = measure(
        "(loop $forever (drop (memory.grow (i32.const 1))) (br $forever)) (unreachable)",
        &LIMITS,
    )
    .await;
    assert_eq!(greedy.used.memory, LIMITS.memory);
    assert_failed(greedy.answer, "memory", "");
}

#[tokio::test]
async fn answer_against_the_contract_is_returned_for_inspection() {
    let plugin = load(ByHand {
        answer: "[]",
        ..ByHand::default()
    })
    .await;
    let measured = plugin.measure("here", INPUT, &LIMITS).await;
    assert_eq!(
        (measured.output.as_slice(), measured.used.output),
        (&b"[]"[..], 2)
    );
    assert_failed(measured.answer, "answer", "");
}

#[tokio::test]
async fn a_growth_that_is_refused_is_not_counted() {
    // The module's own maximum refuses it, and the plugin goes on.
    let plugin = load(ByHand {
        read: "(drop (memory.grow (i32.const 70000))) (call $answer)",
        ..ByHand::default()
    })
    .await;
    let generous = CallLimits {
        memory: usize::MAX,
        ..LIMITS
    };
    assert_eq!(
        plugin.measure("here", INPUT, &generous).await.used.memory,
        PAGE
    );
}
