//! `plugin bench`: what a call takes.

use super::*;

#[tokio::test]
async fn bench_shows_what_a_call_takes_beside_the_limits() {
    let answer = ignored("fine");
    let place = hand_made(
        plugin::parrot(),
        &[
            ("one.http", &request(&answer)),
            ("other.http", &request(&answer)),
        ],
    );
    let all = run(&place, &["bench", "hand.wasm", "--time", "5ms"]).await;
    assert_eq!((all.code, &*all.stderr), (Some(0), ""), "{all:?}");
    assert_said(
        &all.stdout,
        &[
            "one call at a time, each in a fresh instance",
            "median",
            "p99",
            "\none ",
            "\nother ",
            "\nlimit ",
        ],
    );
    assert_said(
        &all.stdout,
        &["100.00 ms     16 MiB      1 MiB\n", " 64 KiB "],
    );
    assert_eq!(
        all.stdout.contains("This is a debug build"),
        cfg!(debug_assertions),
        "{}",
        all.stdout
    );
    let one = run(
        &place,
        &["bench", "hand.wasm", "--case", "other", "--time", "5ms"],
    )
    .await;
    assert!(
        !one.stdout.contains("\none ") && one.stdout.contains("\nother "),
        "{one:?}"
    );
    let sample = run(&place, &["bench", "twilio-errors", "--time", "5ms"]).await;
    assert_eq!(sample.code, Some(0), "{sample:?}");
    assert_said(&sample.stdout, &["twilio-errors ", "\nsample "]);
    let long = run(&place, &["bench", "hand.wasm", "--time", "1h"]).await;
    assert_eq!(long.code, Some(2), "{long:?}");
    assert_said(&long.stderr, &["write a duration from 1ms to 1m"]);
}

#[tokio::test]
async fn bench_measures_what_can_be_measured_and_says_what_cannot() {
    let place = hand_made(
        plugin::parrot(),
        &[
            ("good.http", &request(&ignored("x"))),
            ("none.http", &request(&json!(1))),
        ],
    );
    let output = run(&place, &["bench", "hand.wasm", "--time", "5ms"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_said(
        &output.stdout,
        &[
            "\ngood ",
            "\nnone  cannot be measured: the plugin's answer does not keep the contract",
        ],
    );
}

#[tokio::test]
async fn bench_measures_no_call_that_the_gateway_does_not_make() {
    let place = hand_made(plugin::parrot(), &[]);
    place.write(
        "cases/forged.http",
        "POST https://gw.example.com/in/twilio HTTP/1.1\nx-twilio-signature: x\n\nSid=NO1",
    );
    place.write("cases/settings.json", r#"{"auth_token":"12345"}"#);
    let output = run(
        &place,
        &[
            "bench",
            "twilio-errors",
            "--cases",
            "cases",
            "--time",
            "5ms",
        ],
    )
    .await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_said(
        &output.stdout,
        &["\nforged no call: the gateway refuses the sender\n"],
    );
}
