//! Urgent alerts go first, and no source waits behind another one's storm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use itoc360_double::{Received, Reply};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::harness::{Gateway, Itoc360, Setup, a_moment, plugin};

/// The number of alerts that wait out an outage.
const WAITING: usize = 20;
/// The alerts of a storm, in requests of so many each.
const STORM: usize = 20_000;
const BATCH: usize = 1000;

fn alert(event_id: &str, priority: &str) -> Value {
    let mut alert = plugin::alert(event_id);
    alert["priority"] = priority.into();
    alert
}

fn event_id(one: &Received) -> String {
    let id = &one.json()["commonAnnotations"]["event_id"];
    id.as_str().unwrap().to_owned()
}

/// Holds every answer until it has a permit.
fn hold(itoc360: &Itoc360) -> Arc<Semaphore> {
    let permits = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&permits);
    itoc360.answers(move |_| Reply::OkWhen(Arc::clone(&held)));
    permits
}

/// Leaves the gateway enough time to see what has come in.
async fn moments() {
    for _ in 0..25 {
        a_moment().await;
    }
}

async fn accept(gateway: &Gateway, source: &str, alert: Value) {
    gateway.accept(&plugin::alerts(source, &[alert])).await;
}

/// The length of an outage, where one of minutes is asked for: `OUTAGE_SECONDS=180 cargo test …`.
fn outage() -> Option<Duration> {
    let seconds = std::env::var("OUTAGE_SECONDS").ok()?;
    let seconds = seconds.parse().expect("OUTAGE_SECONDS is a number");
    Some(Duration::from_secs(seconds))
}

#[tokio::test]
async fn what_waited_out_an_outage_goes_out_once_and_urgent_first() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "busy"));
    let setup = Setup::new(&itoc360).delivery("concurrency = 1");
    let setup = setup.plugin("parrot", &plugin::parrot(), "");
    let (_place, gateway) = setup.start().await;
    for number in 1..WAITING {
        accept(&gateway, "parrot", alert(&number.to_string(), "low")).await;
    }
    gateway.destination("itoc360", "failing").await;
    let begun = Instant::now();
    while begun.elapsed() < outage().unwrap_or_default() {
        a_moment().await;
    }
    let in_vain = itoc360.received().len();
    let permits = hold(&itoc360);
    let recovered = Instant::now();
    accept(&gateway, "parrot", alert("urgent", "critical")).await;
    // The probe is held, so that the critical one has the time to be the next.
    itoc360.requests(in_vain + 1).await;
    let held = Instant::now();
    moments().await;
    let moments_ended = held.elapsed();
    permits.add_permits(WAITING * 2);
    itoc360.open(WAITING).await;
    let took = recovered.elapsed() - moments_ended;
    assert!(
        outage().is_none() || took < Duration::from_secs(5),
        "{took:?}"
    );
    let received = itoc360.received();
    let accepted: Vec<_> = received
        .iter()
        .skip_while(|one| one.answered != 200)
        .collect();
    assert_eq!(
        accepted.len(),
        WAITING,
        "each goes out once, and none fails"
    );
    let urgent = accepted.iter().position(|one| event_id(one) == "urgent");
    assert!(urgent <= Some(1), "the critical one is number {urgent:?}");
}

#[tokio::test]
async fn urgent_and_rare_alerts_pass_a_storm_of_another_source() {
    let itoc360 = Itoc360::alertmanager().await;
    let permits = hold(&itoc360);
    let setup = Setup::new(&itoc360).delivery("concurrency = 1\ntimeout = \"300s\"");
    let setup = ["storm", "urgent", "rare"]
        .into_iter()
        .fold(setup, |setup, name| {
            setup.plugin(name, &plugin::parrot(), "")
        });
    let (_place, gateway) = setup.start().await;
    for batch in 0..STORM / BATCH {
        let ids = (0..BATCH).map(|number| format!("storm {}", batch * BATCH + number));
        let alerts: Vec<_> = ids.map(|id| alert(&id, "low")).collect();
        let answer = gateway.post(&plugin::alerts("storm", &alerts)).await;
        assert_eq!(answer.json()["accepted"], BATCH, "{}", answer.body);
    }
    itoc360.requests(1).await;
    accept(&gateway, "rare", alert("rare", "low")).await;
    accept(&gateway, "urgent", alert("urgent", "critical")).await;
    moments().await;
    permits.add_permits(4);
    let sent: Vec<_> = itoc360.requests(4).await.iter().map(event_id).collect();
    // The first was under way before they came.
    assert_eq!(sent[1], "urgent", "{sent:?}");
    assert!(sent[..4].contains(&"rare".to_owned()), "{sent:?}");
}
