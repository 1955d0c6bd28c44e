//! Alerts with the same key go out in the order in which they were accepted, whatever happens on
//! the way.

use std::collections::HashMap;

use itoc360_double::Reply;
use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Place, Setup, plugin, random};

const KEYS: usize = 4;
const EVENTS_PER_KEY: usize = 25;

/// The most times one alert fails. Its waits double, and a wait that nobody bounds is one day
/// longer than a test's.
const FAILURES: u32 = 3;

/// A gateway, and an ITOC360 that fails every seventh request and loses the answer of every tenth.
async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let mut random = random();
    let mut failures = HashMap::<String, u32>::new();
    itoc360.answers_to(move |alert| {
        let reply = match random.u8(..21) {
            0..3 => Reply::error(503, "busy"),
            3..5 => Reply::Lost,
            _ => return Reply::Ok,
        };
        let failures = failures.entry(alert.to_owned()).or_default();
        *failures += 1;
        if *failures > FAILURES {
            Reply::Ok
        } else {
            reply
        }
    });
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await;
    (itoc360, place, gateway)
}

fn alert(key: usize, number: usize) -> Value {
    let mut alert = plugin::alert(&format!("{key}-{number:03}"));
    alert["key"] = format!("key {key}").into();
    alert
}

/// Asserts that the events of each key arrived in order: each again and again until it was taken,
/// then the next.
async fn arrived_in_order(itoc360: &Itoc360) {
    crate::harness::until("all events arrived", async || {
        let last = |key: usize| format!("\"event_id\":\"{key}-{:03}\"", EVENTS_PER_KEY - 1);
        let received = itoc360.received();
        let taken = |last: String| {
            received.iter().any(|one| {
                one.answered == 200 && String::from_utf8_lossy(&one.body).contains(&last)
            })
        };
        (0..KEYS).map(last).all(taken).then_some(())
    })
    .await;
    let mut sent = vec![Vec::new(); KEYS];
    for one in itoc360.received() {
        let event_id = one.json()["commonAnnotations"]["event_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let (key, number) = event_id.split_once('-').unwrap();
        sent[key.parse::<usize>().unwrap()].push((number.parse::<usize>().unwrap(), one.answered));
    }
    for events in sent {
        let in_order = events.windows(2).all(|pair| match (pair[0], pair[1]) {
            ((before, 200), (after, _)) => after == before + 1,
            ((before, _), (after, _)) => after == before,
        });
        assert!(in_order && events[0].0 == 0, "{events:?}");
    }
}

#[tokio::test]
async fn alerts_of_one_key_arrive_in_the_order_of_their_requests() {
    let (itoc360, _place, gateway) = start().await;
    for number in 0..EVENTS_PER_KEY {
        for key in 0..KEYS {
            gateway
                .accept(&plugin::alerts("parrot", &[alert(key, number)]))
                .await;
        }
    }
    arrived_in_order(&itoc360).await;
}

#[tokio::test]
async fn alerts_of_one_key_arrive_in_the_order_of_their_request() {
    let (itoc360, _place, gateway) = start().await;
    let alerts: Vec<_> = (0..EVENTS_PER_KEY)
        .flat_map(|number| (0..KEYS).map(move |key| alert(key, number)))
        .collect();
    let answer = gateway
        .post(&plugin::alerts("parrot", &alerts))
        .await
        .json();
    assert_eq!(answer["accepted"], alerts.len());
    arrived_in_order(&itoc360).await;
}

#[tokio::test]
async fn alerts_of_one_key_arrive_in_order_across_a_crash() {
    let (itoc360, place, mut gateway) = start().await;
    for number in 0..EVENTS_PER_KEY {
        for key in 0..KEYS {
            gateway
                .accept(&plugin::alerts("parrot", &[alert(key, number)]))
                .await;
        }
        if number % 10 == 5 {
            gateway.kill().await;
            gateway = place.start().await;
        }
    }
    // What was taken and not yet written down is sent again first; so the newest number that was
    // taken never goes back.
    itoc360.recovers();
    itoc360.open(KEYS).await;
    let newest = |key: usize| format!("\"event_id\":\"{key}-{:03}\"", EVENTS_PER_KEY - 1);
    crate::harness::until("all events arrived", async || {
        let received = itoc360.received();
        let arrived = |text: String| {
            received
                .iter()
                .any(|one| String::from_utf8_lossy(&one.body).contains(&text))
        };
        (0..KEYS).map(newest).all(arrived).then_some(())
    })
    .await;
    let mut next = [0; KEYS];
    for one in itoc360.received() {
        let event_id = one.json()["commonAnnotations"]["event_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let (key, number) = event_id.split_once('-').unwrap();
        let next = &mut next[key.parse::<usize>().unwrap()];
        let number = number.parse::<usize>().unwrap();
        assert!(
            number == *next || number + 1 == *next,
            "{event_id} came where {next} was next"
        );
        *next = number + 1;
    }
}
