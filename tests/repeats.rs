//! Events that have paged are known again: a flood of repeats costs a counter, and neither it nor
//! the size makes the gateway forget.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use itoc360_double::Reply;
use parking_lot::Mutex;

use crate::harness::{Gateway, Itoc360, Load, Place, Setup, events, twilio, until};

/// The number of events that are sent first, and again at the end.
const EVENTS: usize = 2_000;

/// Requests of so many bytes exceed the size together, and so do what is made of them.
const PAYLOAD: usize = 8_000;

/// Returns the number of times one of the events is repeated: `DRILL_REPEATS=40000 cargo test …`
/// for the long run, in which they would exceed the size as well, were they stored.
fn times() -> usize {
    std::env::var("DRILL_REPEATS").map_or(6_000, |times| {
        times.parse().expect("DRILL_REPEATS is a number")
    })
}

/// So many requests that repeat event 7.
fn repeats(count: usize) -> Arc<Mutex<VecDeque<usize>>> {
    Arc::new(Mutex::new(std::iter::repeat_n(7, count).collect()))
}

/// A place whose store may take a fraction of what is sent to it.
fn small_place(itoc360: &Itoc360) -> Place {
    let place = Setup::new(itoc360).place();
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", config + "\n[retention]\nsize = \"16MiB\"\n");
    place
}

/// Sends large events, so that their content exceeds the size.
async fn fill(gateway: &Gateway, numbers: std::ops::Range<usize>) {
    let payload = "x".repeat(PAYLOAD);
    for number in numbers {
        gateway
            .accept(
                &twilio::error(&twilio::sid(number))
                    .with("Payload", &payload)
                    .to("twilio"),
            )
            .await;
    }
}

/// Sends all events once more. None of them may be accepted as new, and none may be sent.
async fn nothing_opens_again(gateway: &Gateway, itoc360: &Itoc360, place: &Place) {
    let accepted = |metrics: &BTreeMap<String, f64>| -> f64 {
        metrics
            .iter()
            .filter(|(name, _)| name.starts_with("alert_gateway_alerts_accepted_total"))
            .map(|(_, value)| value)
            .sum()
    };
    let before = accepted(&gateway.metrics().await);
    let sent = itoc360.tally().requests;
    assert!(Load::on(gateway, &events(EVENTS)).end().await);
    assert_eq!(
        accepted(&gateway.metrics().await),
        before,
        "what was paged for was accepted as new"
    );
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    assert_eq!(
        (itoc360.tally().requests, itoc360.tally().opened),
        (sent, EVENTS)
    );
    place.is_whole().await;
}

#[tokio::test]
async fn flood_of_repeats_makes_the_gateway_forget_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = small_place(&itoc360);
    let gateway = place.start().await;
    fill(&gateway, 0..EVENTS).await;
    itoc360.opens_only(EVENTS).await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == EVENTS as f64
        })
        .await;
    let times = times();
    assert!(Load::on(&gateway, &repeats(times)).end().await);

    // The size holds although content exceeded it, and the content of the oldest is gone.
    gateway
        .metric("alert_gateway_store_size_bytes", |bytes| {
            bytes <= 16.0 * 1024.0 * 1024.0
        })
        .await;
    gateway
        .metric(
            "alert_gateway_retention_removed_requests_total{cause=\"size\"}",
            |removed| removed > 0.0,
        )
        .await;
    gateway
        .metric("alert_gateway_store_identities", |identities| {
            identities == EVENTS as f64
        })
        .await;
    let repeated = until("all repeats counted", async || {
        let event = place.event(&twilio::sid(7)).await;
        (event["alerts"][0]["repeated"] == times).then_some(event)
    })
    .await;
    assert!(
        repeated["alerts"][0]["last_at"].is_string()
            && repeated["alerts"][0]["last_request"].is_string()
    );
    assert!(
        repeated["evicted"]
            .as_str()
            .unwrap()
            .contains("[retention] size"),
        "{repeated}"
    );
    let shown = place
        .run_without_secrets(&["events", "show", &twilio::sid(7)])
        .await;
    assert!(
        shown
            .stdout
            .contains(&format!("repeated {times} times, last at ")),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("[retention] size"),
        "{}",
        shown.stdout
    );
    nothing_opens_again(&gateway, &itoc360, &place).await;
}

#[tokio::test]
async fn killed_in_a_flood_of_repeats_the_gateway_forgets_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = small_place(&itoc360);
    let gateway = place.start().await;
    fill(&gateway, 0..EVENTS / 2).await;
    // What is not delivered at a kill is delivered by the next one.
    itoc360.answers(|_| Reply::error(503, "not now"));
    fill(&gateway, EVENTS / 2..EVENTS).await;
    gateway.kill().await;
    itoc360.recovers();
    for round in 1..=3 {
        let gateway = place.start().await;
        let mut load = Load::on(&gateway, &repeats(times()));
        load.accepted(500 * round).await;
        gateway.kill().await;
        load.end().await;
    }
    let gateway = place.start().await;
    itoc360.opens_only(EVENTS).await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    gateway
        .metric("alert_gateway_store_size_bytes", |bytes| {
            bytes <= 16.0 * 1024.0 * 1024.0
        })
        .await;
    nothing_opens_again(&gateway, &itoc360, &place).await;
}
