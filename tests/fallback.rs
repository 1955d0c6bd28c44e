//! Fallback: an alert that its destination does not take reaches a person by another way, once; and
//! that way is told when it was taken after all.

use std::collections::BTreeSet;

use hyper::Method;
use itoc360_double::Reply;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Setup, a_moment, plugin, random, twilio, until};

/// The events of a drill with crashes.
const EVENTS: usize = 12;

/// A gateway whose destination `itoc360` has the fallback `backup`.
async fn start(
    after: &str,
    sources: impl Fn(Setup) -> Setup,
) -> (Itoc360, Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let backup = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "busy"));
    let keys = format!("fallback = \"backup\"\nfallback_after = \"{after}\"");
    let setup = sources(Setup::new(&itoc360).delivery(&keys)).destination("backup", &backup);
    let (place, gateway) = setup.start().await;
    (itoc360, backup, place, gateway)
}

async fn post(gateway: &Gateway, number: usize) {
    gateway
        .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
        .await;
}

/// The deliveries of the one alert of an event.
async fn deliveries(place: &Place, number: usize) -> Vec<Value> {
    let event = place.event(&twilio::sid(number)).await;
    event["alerts"][0]["deliveries"].as_array().unwrap().clone()
}

/// What a destination was told of, as status and the destination that it stands in for.
fn told(at: &Itoc360) -> Vec<(Value, Value)> {
    let received = at.received().into_iter().map(|one| one.json());
    let told = received.map(|said| {
        (
            said["status"].clone(),
            said["commonLabels"]["fallback_for"].clone(),
        )
    });
    told.collect()
}

#[tokio::test]
async fn alert_not_taken_in_time_goes_to_the_fallback_once() {
    let (itoc360, backup, place, gateway) = start("1s", |setup| setup).await;
    post(&gateway, 0).await;
    let first = &backup.open(1).await[0];
    let title = first["commonAnnotations"]["summary"].to_string();
    assert!(title.contains("[fallback for itoc360]"), "{first}");
    a_moment().await;
    assert_eq!(told(&backup), [("firing".into(), "itoc360".into())]);
    let waits = until("the fallback's receipt", async || {
        let both = deliveries(&place, 0).await;
        (both.len() == 2 && both[1]["state"] == "delivered").then_some(both)
    })
    .await;
    assert_eq!(waits[0]["state"], "pending");
    assert_eq!(waits[1]["fallback_for"], "itoc360");
    let gone = "alert_gateway_fallbacks_total{destination=\"itoc360\",fallback=\"backup\"}";
    gateway.metric(gone, |alerts| alerts == 1.0).await;

    itoc360.recovers();
    itoc360.open(1).await;
    until("the fallback is told", async || {
        (backup.tally().open == 0).then_some(())
    })
    .await;
    assert_eq!(told(&backup)[1], ("resolved".into(), "itoc360".into()));
    let event = place.event_in_state(&twilio::sid(0), "delivered").await;
    let alert = &event["alerts"][0];
    let reasons: Vec<_> = alert["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["destination"].clone(), one["fallback_reason"].clone()))
        .collect();
    let expected = [
        ("itoc360", json!(null)),
        ("backup", "late".into()),
        ("backup", "taken".into()),
    ];
    assert_eq!(
        reasons,
        expected.map(|(name, reason)| (name.into(), reason))
    );
    let accepted = alert["attempts"].as_array().unwrap().iter();
    let receipts =
        accepted.filter(|one| one["outcome"] == "accepted" && one["receipt"] != json!(null));
    assert_eq!(receipts.count(), 3, "{alert}");
    let [line] = &place.list(&[]).await[..] else {
        panic!("one event is listed")
    };
    let listed = line["receipts"].as_array().unwrap();
    let names = listed.iter().map(|one| &one["destination"]);
    assert_eq!(names.collect::<Vec<_>>(), ["itoc360", "backup"], "{line}");
    assert_eq!(listed[1]["fallback_for"], "itoc360");
    assert!(listed.iter().all(|one| one["receipt"] != ""), "{line}");
    let shown = place
        .run_without_secrets(&["events", "show", &twilio::sid(0)])
        .await;
    assert!(
        shown.stdout.contains("the fallback for itoc360 (late)"),
        "{}",
        shown.stdout
    );
    place.is_whole().await;
}

#[tokio::test]
async fn waiting_alert_is_told_when_it_falls_back_and_where() {
    let (itoc360, backup, place, gateway) = start("24h", |setup| setup).await;
    let html = [("accept", "text/html")];
    let page = async |path: &str| gateway.admin_with(Method::GET, path, &html, "").await.body;
    let api = async |path: &str| gateway.admin(Method::GET, path).await;
    post(&gateway, 0).await;
    let id = twilio::sid(0);
    let shown = until("an attempt has failed", async || {
        let event = place.event(&id).await;
        (event["alerts"][0]["attempts"][0]["outcome"] == "retry").then_some(event)
    })
    .await;
    let planned = shown["alerts"][0]["deliveries"][0]["falls_back"].clone();
    assert_eq!(planned["destination"], "backup", "{shown:#}");
    let time = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    let after = time(&planned["at"]).duration_since(time(&shown["received_at"]));
    // Two clocks, each cut to milliseconds.
    assert_eq!((after.as_millis() + 5) / 3_600_000, 24, "{shown:#}");
    let chain = api(&format!("/api/v1/events/{id}")).await.json();
    let delivery = &chain["requests"][0]["alerts"][0]["deliveries"][0];
    assert_eq!(delivery["falls_back"], planned);
    assert_eq!(delivery["held_up"], json!(null), "its breaker is closed");
    let shows = page(&format!("/events/{id}")).await;
    assert!(shows.contains("Fallback to backup"), "{shows}");
    let text = place.run_without_secrets(&["events", "show", &id]).await;
    let words = format!(
        "\nfallback  backup: {}, if",
        planned["at"].as_str().unwrap()
    );
    assert!(text.stdout.contains(&words), "{}", text.stdout);

    let destination = async || {
        let all = api("/api/v1/destinations").await.json();
        let all = all["destinations"].as_array().unwrap().iter();
        all.clone()
            .find(|one| one["name"] == "itoc360")
            .unwrap()
            .clone()
    };
    let failing = destination().await;
    assert_eq!(failing["next_fallback"], planned, "{failing:#}");
    assert_eq!(failing["fallback_after_s"], 86400.0);
    assert_eq!(failing["breaker"]["state"], "closed");
    assert!(failing["attempt_ms"]["attempts"].as_u64() >= Some(1));
    assert!(failing["attempt_ms"]["p99"].as_f64() >= failing["attempt_ms"]["p50"].as_f64());
    itoc360.answers(|_| Reply::error(402, "Subscription inactive"));
    post(&gateway, 1).await;
    gateway.destination("itoc360", "held").await;
    let held = destination().await;
    assert_ne!(held["breaker"]["state"], "closed", "{held:#}");
    assert!(held["breaker"]["since"].as_str() > shown["received_at"].as_str());
    let shows = page("/destinations").await;
    for words in [
        "Circuit breaker",
        "backup after 1\u{a0}d 0\u{a0}h",
        "goes to backup as well at ",
        "99 % within",
    ] {
        assert!(shows.contains(words), "{words}: {shows}");
    }
    assert_eq!(backup.received().len(), 0);
}

#[tokio::test]
async fn alert_taken_in_time_never_reaches_the_fallback() {
    let (itoc360, backup, _place, gateway) = start("1s", |setup| setup).await;
    itoc360.recovers();
    post(&gateway, 0).await;
    itoc360.open(1).await;
    post(&gateway, 1).await;
    itoc360.opens_only(2).await;
    assert_eq!(backup.received().len(), 0);
}

#[tokio::test]
async fn held_destination_and_internal_alerts_fall_back_too() {
    let sources = |setup: Setup| setup.plugin("broken", &plugin::panicking("on purpose"), "");
    let (itoc360, backup, _place, gateway) = start("1s", sources).await;
    itoc360.answers(|_| Reply::error(402, "Subscription inactive"));
    assert_eq!(
        gateway.post(&plugin::alerts("broken", &[])).await.status,
        202
    );
    post(&gateway, 0).await;
    gateway.destination("itoc360", "held").await;
    backup.told("plugin-failed", "firing").await;
    backup.open(2).await;
    assert!(told(&backup).iter().all(|(_, first)| first == "itoc360"));
}

#[tokio::test]
async fn rejected_alert_goes_to_the_fallback_at_once() {
    let (itoc360, backup, place, gateway) = start("24h", |setup| setup).await;
    itoc360.answers(|_| Reply::error(400, "Invalid payload"));
    post(&gateway, 0).await;
    backup.opens_only(1).await;
    let event = place.event_in_state(&twilio::sid(0), "dead").await;
    assert_eq!(
        event["alerts"][0]["deliveries"][1]["fallback_reason"],
        "rejected"
    );
    // It is still a dead letter; sent again, it is taken, and the fallback is told.
    itoc360.recovers();
    let asked = place
        .run_without_secrets(&["events", "replay", "--dead"])
        .await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    itoc360.open(1).await;
    until("the fallback is told", async || {
        (backup.tally().open == 0).then_some(())
    })
    .await;
}

/// The times that a destination comes or goes in a drill, and the gateway is killed: a tenth of
/// `DRILL_KILLS`.
fn flaps() -> usize {
    let kills = std::env::var("DRILL_KILLS");
    kills.map_or(30, |kills| kills.parse().expect("DRILL_KILLS is a number")) / 10
}

#[tokio::test]
async fn group_falls_back_once_and_its_fallback_is_told() {
    let group = "group = { by = [\"code\"], update_every = \"1h\" }";
    let sources = |setup: Setup| setup.plugin("grouped", &plugin::parrot(), group);
    let (itoc360, backup, place, gateway) = start("1s", sources).await;
    let alerts = ["e1", "e2", "e3"].map(|id| {
        let mut alert = plugin::alert(id);
        alert["labels"] = json!({ "code": "7" });
        alert
    });
    let answer = gateway.post(&plugin::alerts("grouped", &alerts)).await;
    assert_eq!(answer.json()["accepted"], 3, "{}", answer.body);
    let first = &backup.open(1).await[0];
    let title = first["commonAnnotations"]["summary"].as_str().unwrap();
    assert!(
        title.starts_with("[fallback for itoc360] 3 events"),
        "{first}"
    );
    itoc360.recovers();
    itoc360.open(1).await;
    until("the fallback is told", async || {
        (backup.tally().open == 0).then_some(())
    })
    .await;
    assert_eq!((itoc360.tally().opened, backup.tally().opened), (1, 1));
    place.is_whole().await;
}

#[tokio::test]
async fn killed_gateway_opens_each_alert_once_at_each_way_out() {
    let (itoc360, backup, place, mut gateway) = start("1s", |setup| setup).await;
    let mut random = random();
    for number in 0..EVENTS {
        post(&gateway, number).await;
        if random.u8(..3) == 0 {
            gateway.kill().await;
            gateway = place.start().await;
        }
    }
    let prints = async |at: &Itoc360| {
        let open = at.open(EVENTS).await;
        let prints = open
            .iter()
            .map(|said| said["alerts"][0]["fingerprint"].to_string());
        let prints: BTreeSet<_> = prints
            .map(|print| print.trim_matches('"').to_owned())
            .collect();
        assert_eq!(prints.len(), EVENTS, "one for each event");
        prints
    };
    for print in prints(&backup).await {
        assert_eq!(backup.times_opened(&print), 1, "{print}");
    }
    // It comes and goes, and the gateway with it.
    for _ in 0..flaps() {
        if random.bool() {
            itoc360.recovers();
        } else {
            itoc360.answers(|_| Reply::error(503, "busy"));
        }
        a_moment().await;
        gateway.kill().await;
        gateway = place.start().await;
    }
    itoc360.recovers();
    let taken = prints(&itoc360).await;
    gateway.kill().await;
    let _gateway = place.start().await;
    until("the fallback is told of all", async || {
        (backup.tally().open == 0).then_some(())
    })
    .await;
    for print in taken {
        assert_eq!(
            (itoc360.times_opened(&print), backup.times_opened(&print)),
            (1, 1),
            "{print}"
        );
    }
    place.is_whole().await;
}

#[tokio::test]
async fn alert_goes_to_each_destination_of_a_list_at_its_own_pace() {
    let slow = Itoc360::alertmanager().await;
    let fast = Itoc360::alertmanager().await;
    slow.answers(|_| Reply::error(503, "busy"));
    let wasm = plugin::parrot();
    let setup = Setup::empty()
        .destination("slow", &slow)
        .destination("fast", &fast);
    let setup = setup
        .file("parrot.wasm", wasm)
        .gateway("operator_destination = \"fast\"");
    let place = setup.place();
    let sources = "\n[sources.both]\nplugin = { path = \"parrot.wasm\" }\ndestination = [\"slow\", \"fast\"]\n";
    let config = std::fs::read_to_string(place.config()).unwrap() + sources;
    place.write("gateway.toml", config);
    let gateway = place.start().await;
    gateway
        .accept(&plugin::alerts("both", &[plugin::alert("one")]))
        .await;
    fast.opens_only(1).await;
    let event = place.event_in_state("one", "pending").await;
    let both = event["alerts"][0]["deliveries"].as_array().unwrap();
    let names: Vec<_> = both.iter().map(|one| one["destination"].clone()).collect();
    assert_eq!(names, ["slow", "fast"]);
    slow.recovers();
    slow.opens_only(1).await;
    place.event_in_state("one", "delivered").await;
}
