//! Drills of the clock: it is set while the gateway runs, and between two runs.

use itoc360_double::Reply;
use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Machine, Place, Setup, twilio};

const DAY: i64 = 24 * 60 * 60;

async fn start(itoc360: &Itoc360, machine: &Machine) -> (Place, Gateway) {
    let place = Setup::new(itoc360).place();
    let gateway = place.start_with(machine.environment()).await;
    (place, gateway)
}

async fn post(gateway: &Gateway, numbers: std::ops::Range<usize>) {
    for number in numbers {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
            .await;
    }
}

fn received_at(event: &Value) -> jiff::Timestamp {
    event["received_at"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn clock_set_either_way_leaves_deliveries_alone() {
    for set in [-DAY, DAY, -1, 1] {
        let itoc360 = Itoc360::alertmanager().await;
        let machine = Machine::new();
        itoc360.answers(|_| Reply::error(503, "down"));
        let (place, gateway) = start(&itoc360, &machine).await;
        post(&gateway, 0..6).await;
        gateway.destination("itoc360", "failing").await;
        machine.set_clock(set);
        post(&gateway, 6..12).await;
        itoc360.recovers();
        itoc360.opens_only(12).await;
        // What a person reads follows the clock, and what was read then stays what it was.
        let before = place.event(&twilio::sid(0)).await;
        let after = place.event(&twilio::sid(11)).await;
        let between = received_at(&after)
            .duration_since(received_at(&before))
            .as_secs();
        assert!(
            (set..set + 120).contains(&between),
            "{between} s between them, where it was set by {set} s"
        );
    }
}

#[tokio::test]
async fn change_of_summer_time_leaves_deliveries_alone() {
    let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
    let changes = jiff::tz::TimeZone::posix(zone).unwrap();
    for change in changes.following(jiff::Timestamp::now()).take(2) {
        let itoc360 = Itoc360::alertmanager().await;
        let machine = Machine::new();
        itoc360.answers(|_| Reply::error(503, "down"));
        let until_then = change
            .timestamp()
            .duration_since(jiff::Timestamp::now())
            .as_secs();
        machine.set_clock(until_then - 60);
        let place = Setup::new(&itoc360).place();
        let environment = machine
            .environment()
            .into_iter()
            .chain([("TZ", zone.into())]);
        let gateway = place.start_with(environment).await;
        post(&gateway, 0..6).await;
        gateway.destination("itoc360", "failing").await;
        machine.set_clock(until_then + 60);
        post(&gateway, 6..12).await;
        itoc360.recovers();
        itoc360.opens_only(12).await;
        let before = place.event(&twilio::sid(0)).await;
        let after = place.event(&twilio::sid(11)).await;
        let between = received_at(&after)
            .duration_since(received_at(&before))
            .as_secs();
        assert!(
            (120..240).contains(&between),
            "{between} s between them, where two minutes passed"
        );
    }
}

#[tokio::test]
async fn clock_set_forward_shortens_no_wait() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    let patience = ("Retry-After".to_owned(), "3600".to_owned());
    itoc360.answers(move |number| match number {
        1 => Reply::Status {
            code: 429,
            headers: vec![patience.clone()],
            body: String::new(),
        },
        _ => Reply::Ok,
    });
    let (place, gateway) = start(&itoc360, &machine).await;
    post(&gateway, 0..1).await;
    gateway
        .metric(
            "alert_gateway_delivery_attempts_total{destination=\"itoc360\",outcome=\"retry\"}",
            |count| count == 1.0,
        )
        .await;
    machine.set_clock(DAY);
    // What is due is looked for again, and again.
    post(&gateway, 1..4).await;
    itoc360.opens_only(3).await;
    let event = place.event(&twilio::sid(0)).await;
    assert_eq!(
        (
            &event["alerts"][0]["state"],
            event["alerts"][0]["attempts"].as_array().unwrap().len()
        ),
        (&"pending".into(), 1)
    );
    assert_eq!(itoc360.tally().requests, 4);
}

#[tokio::test]
async fn clock_set_back_allows_replay_of_dead_letters() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    itoc360.answers(|_| Reply::error(400, "Invalid payload"));
    machine.set_clock(DAY);
    let (place, gateway) = start(&itoc360, &machine).await;
    post(&gateway, 0..1).await;
    place.event_in_state(&twilio::sid(0), "dead").await;
    machine.set_clock(0);
    itoc360.recovers();
    // A process of its own, on the real machine.
    assert_eq!(
        place
            .run_without_secrets(&["events", "replay", "--dead"])
            .await
            .code,
        Some(0)
    );
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn clock_set_back_between_runs_delays_no_alert() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    itoc360.answers(|_| Reply::error(503, "down"));
    machine.set_clock(DAY);
    let (place, gateway) = start(&itoc360, &machine).await;
    post(&gateway, 0..6).await;
    gateway.destination("itoc360", "failing").await;
    gateway.kill().await;
    machine.set_clock(0);
    itoc360.recovers();
    let mut gateway = place.start_with(machine.environment()).await;
    gateway
        .log("what was done about it", |line| {
            line["message"]
                .as_str()?
                .contains("clock was set back")
                .then_some(())
        })
        .await;
    itoc360.opens_only(6).await;
}

#[tokio::test]
async fn clock_set_forward_between_runs_makes_alerts_due() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    itoc360.answers(|_| Reply::error(503, "down"));
    let (place, gateway) = start(&itoc360, &machine).await;
    post(&gateway, 0..6).await;
    gateway.destination("itoc360", "failing").await;
    gateway.kill().await;
    machine.set_clock(DAY);
    itoc360.recovers();
    let _gateway = place.start_with(machine.environment()).await;
    itoc360.opens_only(6).await;
}
