//! The line to ITOC360 goes wrong, below HTTP.

use std::time::Duration;

use itoc360_double::Format;

use super::{EVENTS, attempts, delivery, failing_because, post, recovers, statuses};
use crate::harness::{Gateway, Itoc360, Line, Machine, Place, Setup, State, random, twilio};

/// What is waited for an answer where none comes in time. Where the line says more than silence,
/// nothing hangs on it.
const BRIEF: &str = "timeout = \"500ms\"";

/// A gateway that delivers over a line.
async fn start(delivery: &str) -> (Itoc360, Line, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let line = Line::to(&itoc360);
    let setup = Setup::empty().destination_at("itoc360", &line.url(), Format::Alertmanager);
    let (place, gateway) = setup.delivery(delivery).twilio("twilio").start().await;
    (itoc360, line, place, gateway)
}

/// Alerts come in while the line is so; the reason is shown; and they go out when it is well,
/// without a restart.
async fn drill(delivery: &str, state: State, said: &str) -> (Itoc360, Place) {
    let (itoc360, line, place, gateway) = start(delivery).await;
    line.is(state);
    post(&gateway, "twilio", 0..EVENTS).await;
    failing_because(&place, &gateway, said).await;
    line.is(State::Well);
    recovers(&gateway, &itoc360, EVENTS).await;
    (itoc360, place)
}

#[tokio::test]
async fn alerts_wait_while_connections_get_no_answer() {
    let (itoc360, _) = drill(BRIEF, State::Silent, "no answer from 127.0.0.1:").await;
    assert_eq!(itoc360.tally().updated, 0, "nothing arrived before");
}

#[tokio::test]
async fn alerts_wait_while_answers_drip_too_slowly() {
    // A status line is 15 bytes at least.
    let (itoc360, _) = drill(
        BRIEF,
        State::Drip(Duration::from_millis(100)),
        "within 500ms",
    )
    .await;
    assert!(
        itoc360.tally().updated >= 5,
        "what was answered too slowly had arrived, and is known there"
    );
}

#[tokio::test]
async fn answer_that_is_slow_after_its_status_counts() {
    let (itoc360, line, place, gateway) = start(BRIEF).await;
    // Status line and headers take half of the time, and the receipt ten times as much.
    line.is(State::Drip(Duration::from_millis(2)));
    post(&gateway, "twilio", 0..1).await;
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    assert_eq!(statuses(&event).last(), Some(&Some(200)));
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn alerts_wait_while_answers_break_off() {
    let (itoc360, _) = drill("", State::Cut(10), "broke before an answer came").await;
    assert!(
        itoc360.tally().updated >= 5,
        "what was answered in part had arrived, and is known there"
    );
}

#[tokio::test]
async fn alerts_wait_while_connections_are_reset() {
    drill("", State::Reset, "broke before an answer came").await;
}

#[tokio::test]
async fn flapping_destination_loses_nothing_and_opens_nothing_twice() {
    let (itoc360, line, place, gateway) = start(BRIEF).await;
    let mut random = random();
    // Each way twice at least.
    let mut ways: Vec<_> = (0..12).map(|number| number % 5).collect();
    random.shuffle(&mut ways);
    for (round, way) in ways.into_iter().enumerate() {
        let state = match way {
            0 => State::Refused,
            1 => State::Silent,
            2 => State::Reset,
            3 => State::Cut(random.usize(..40)),
            _ => State::Drip(Duration::from_millis(40)),
        };
        line.is(state);
        post(&gateway, "twilio", round * 4..round * 4 + 2).await;
        // Down for as long as an attempt takes at first, and then often less.
        if round == 0 {
            gateway
                .metric(&delivery("retry"), |count| count > 0.0)
                .await;
        }
        line.is(State::Well);
        post(&gateway, "twilio", round * 4 + 2..round * 4 + 4).await;
        // Up for as long as one more takes to arrive, and often less.
        if random.bool() {
            place
                .event_in_state(&twilio::sid(round * 4 + 3), "delivered")
                .await;
        }
    }
    recovers(&gateway, &itoc360, 48).await;
    assert!(place.list(&["--state", "dead"]).await.is_empty());
}

#[tokio::test]
async fn alerts_wait_while_the_host_name_is_unknown() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    let line = Line::to(&itoc360);
    let url = line.url_as("http", "itoc360.invalid");
    let place = Setup::empty()
        .destination_at("itoc360", &url, Format::Alertmanager)
        .twilio("twilio")
        .place();
    let gateway = place.start_with(machine.environment()).await;
    post(&gateway, "twilio", 0..EVENTS).await;
    failing_because(
        &place,
        &gateway,
        "check the host in the url, and this machine's DNS",
    )
    .await;
    machine.knows_names(true);
    recovers(&gateway, &itoc360, EVENTS).await;
    assert_eq!(
        attempts(&place.event(&twilio::sid(0)).await)[0]["status"],
        serde_json::Value::Null
    );
}
