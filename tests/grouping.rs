//! Groups, storms and alerts that the gateway resolves, seen where they arrive; with kills, restarts
//! and reloads between.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{
    Gateway, Itoc360, Machine, Place, Post, Setup, a_moment, random, twilio, until,
};

const CODES: [&str; 5] = ["11200", "11205", "30003", "30006", "30007"];
const HOUR: i64 = 60 * 60;

fn setup(itoc360: &Itoc360, lines: &str) -> Setup {
    let source = format!(
        "plugin = \"twilio-errors\"\nsettings.auth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\n{lines}"
    );
    Setup::empty()
        .destination("itoc360", itoc360)
        .source("twilio", &source)
}

/// An event of one of the codes.
fn event(number: usize) -> Post {
    let code = CODES[number % CODES.len()];
    let payload = format!(r#"{{"error_code":"{code}","more_info":{{"Msg":"m{number}"}}}}"#);
    twilio::error(&twilio::sid(number))
        .with("Payload", &payload)
        .to("twilio")
}

/// The messages about an alert whose key begins so, as the destination accepted them: status and
/// title, by fingerprint.
fn told(itoc360: &Itoc360, title: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for said in itoc360.received().iter().filter(|one| one.answered == 200) {
        let said = said.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&said["commonAnnotations"]["summary"]);
        if name.contains(title) {
            let fingerprint = text(&said["alerts"][0]["fingerprint"]);
            let one = (text(&said["status"]), name);
            told.entry(fingerprint).or_default().push(one);
        }
    }
    told
}

async fn all_delivered(gateway: &Gateway) {
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
}

/// Sends all that waits from several senders, until the gateway is gone or nothing is left.
fn send(gateway: &Gateway, waiting: &Arc<Mutex<VecDeque<usize>>>) -> JoinSet<()> {
    let sending = (0..8).map(|_| {
        let sender = gateway.sender();
        let waiting = Arc::clone(waiting);
        async move {
            loop {
                let Some(number) = waiting.lock().pop_front() else {
                    return;
                };
                match sender.post(&event(number)).await {
                    Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.body),
                    // Where no answer comes it may be stored, and is sent again.
                    Err(_) => {
                        waiting.lock().push_front(number);
                        return;
                    }
                }
            }
        }
    });
    sending.collect()
}

/// The number of events of a storm: `STORM_EVENTS=100000 cargo test …` for the long run.
fn storm() -> usize {
    let events = std::env::var("STORM_EVENTS");
    let events = events.map_or(5000, |events| {
        events.parse().expect("STORM_EVENTS is a number")
    });
    events / CODES.len() * CODES.len()
}

#[tokio::test]
async fn five_thousand_events_of_five_codes_open_five_alerts() {
    let mut random = random();
    let events = storm();
    let of_each = events / CODES.len();
    let itoc360 = Itoc360::alertmanager().await;
    let group = "[sources.twilio.group]\nby = [\"error_code\"]\nupdate_every = \"1s\"\nresolve_after = \"1h\"";
    let place = setup(&itoc360, group).place();
    let waiting = Arc::new(Mutex::new((0..events).collect::<VecDeque<_>>()));
    for _ in 0..5 {
        let gateway = place.start().await;
        let sending = send(&gateway, &waiting);
        let left = waiting
            .lock()
            .len()
            .saturating_sub(random.usize(1..events / 6));
        until("some are accepted", async || {
            (waiting.lock().len() <= left).then_some(())
        })
        .await;
        gateway.kill().await;
        sending.join_all().await;
    }
    let gateway = place.start().await;
    send(&gateway, &waiting).join_all().await;
    // The last update of each group says how many they are.
    until("every event is counted", async || {
        let told = told(&itoc360, "events with error_code");
        let newest = told.values().filter_map(|messages| messages.last());
        let full = newest
            .filter(|(_, title)| title.starts_with(&format!("{of_each} events")))
            .count();
        (full == CODES.len()).then_some(())
    })
    .await;
    all_delivered(&gateway).await;
    let tally = itoc360.tally();
    assert_eq!((tally.opened, tally.open), (5, 5), "{tally:?}");
    // Each group has opened once, and every message after that was an update of it.
    for messages in told(&itoc360, "error_code").values() {
        assert!(messages.iter().all(|(status, _)| status == "firing"));
    }
    gateway.stop().await;
    let all = ["--state", "grouped"];
    assert_eq!(place.list(&all).await.len(), events, "each event is stored");
    let one = ["--group", "group/error_code=30006"];
    assert_eq!(place.list(&one).await.len(), of_each);
    let shown = place.event(&twilio::sid(3)).await;
    assert_eq!(shown["alerts"][0]["state"], "grouped");
    assert_eq!(shown["alerts"][0]["group"]["key"], "group/error_code=30006");
    assert_eq!(shown["alerts"][0]["group"]["members"], of_each);
    place.is_whole().await;

    // Their time passes while the gateway is down.
    let machine = Machine::new();
    machine.set_clock(2 * HOUR);
    for _ in 0..2 {
        let gateway = place.start_with(machine.environment()).await;
        until("all groups are resolved", async || {
            (itoc360.tally().open == 0).then_some(())
        })
        .await;
        a_moment().await;
        gateway.kill().await;
    }
    assert_eq!(
        (resolved_by_gateway(&itoc360), itoc360.tally().opened),
        (5, 5)
    );
}

#[tokio::test]
async fn storm_is_grouped_reported_and_over_after_a_kill() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    let group = "[sources.twilio.group]\nby = [\"error_code\"]\nabove = \"10/2s\"\nupdate_every = \"1s\"\nresolve_after = \"1h\"";
    let place = setup(&itoc360, group).operator(&ops).place();
    let gateway = place.start().await;
    for number in 0..60 {
        gateway.accept(&event(number)).await;
    }
    let fired = ops.told("storm", "firing").await;
    assert_eq!(fired["commonLabels"]["name"], "twilio");
    gateway.kill().await;
    let gateway = place.start().await;
    ops.told("storm", "resolved").await;
    until("the groups are resolved", async || {
        let told = told(&itoc360, "with error_code");
        let over = |messages: &&Vec<(String, String)>| messages.last().unwrap().0 == "resolved";
        (!told.is_empty() && told.values().filter(over).count() == told.len()).then_some(())
    })
    .await;
    gateway.accept(&event(1000)).await;
    all_delivered(&gateway).await;
    a_moment().await;
    assert_eq!(
        (
            ops.own("storm", "firing").len(),
            ops.own("storm", "resolved").len()
        ),
        (1, 1)
    );
    // The first ones and the newest are alerts of their own, and no group was opened twice.
    let groups = told(&itoc360, "with error_code");
    assert!(groups.len() <= CODES.len());
    let grouped = place.list(&["--state", "grouped"]).await.len();
    let tally = itoc360.tally();
    assert_eq!(tally.opened, 61 - grouped + groups.len(), "{tally:?}");
    assert_eq!(tally.open, 61 - grouped, "{tally:?}");
    place.is_whole().await;
}

/// The messages of the gateway that it has resolved an alert itself.
fn resolved_by_gateway(itoc360: &Itoc360) -> usize {
    let received = itoc360.received();
    let said = received.iter().map(|one| one.json().to_string());
    said.filter(|said| said.contains("Resolved by the gateway: no event"))
        .count()
}

#[tokio::test]
async fn timer_that_passed_while_it_was_down_fires_once() {
    let itoc360 = Itoc360::alertmanager().await;
    let machine = Machine::new();
    let place = setup(&itoc360, "resolve_after = \"4h\"").place();
    let gateway = place.start_with(machine.environment()).await;
    gateway.accept(&event(1)).await;
    itoc360.opens_only(1).await;
    // A clock that is set while it runs changes nothing.
    machine.set_clock(5 * HOUR);
    gateway.accept(&event(2)).await;
    itoc360.opens_only(2).await;
    gateway.kill().await;
    machine.set_clock(0);
    let gateway = place.start_with(machine.environment()).await;
    gateway.accept(&event(3)).await;
    itoc360.opens_only(3).await;
    gateway.kill().await;
    // Now the time has passed.
    machine.set_clock(10 * HOUR);
    for _ in 0..2 {
        let gateway = place.start_with(machine.environment()).await;
        until("all are resolved", async || {
            (itoc360.tally().open == 0).then_some(())
        })
        .await;
        a_moment().await;
        gateway.kill().await;
    }
    assert_eq!(resolved_by_gateway(&itoc360), 3);
    assert_eq!(itoc360.tally().opened, 3);
    place.is_whole().await;
}

/// Replaces a text of the configuration, and has it read again.
async fn reload(place: &Place, gateway: &mut Gateway, from: &str, to: &str) {
    let text = std::fs::read_to_string(place.config()).unwrap();
    assert!(text.contains(from), "{text}");
    place.write("gateway.toml", text.replace(from, to));
    gateway.hang_up();
    gateway
        .log("the reload", |line| {
            let said = line["message"].as_str()?;
            said.starts_with("the configuration was read again")
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn group_that_is_removed_by_a_reload_is_resolved_all_the_same() {
    let itoc360 = Itoc360::alertmanager().await;
    let group = "group = { by = \"error_code\", resolve_after = \"3s\" }";
    let place = setup(&itoc360, group).place();
    let mut gateway = place.start().await;
    gateway.accept(&event(1)).await;
    itoc360.opens_only(1).await;
    reload(&place, &mut gateway, group, "").await;
    gateway.accept(&event(6)).await;
    until("the group is resolved", async || {
        let tally = itoc360.tally();
        ((tally.opened, tally.open) == (2, 1)).then_some(())
    })
    .await;
    assert_eq!(resolved_by_gateway(&itoc360), 1);
}

/// What a command of `mute` prints; it must succeed.
async fn mute(place: &Place, arguments: &[&str]) -> String {
    let arguments: Vec<_> = ["mute"].iter().chain(arguments).copied().collect();
    let done = place.run_without_secrets(&arguments).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.stdout
}

#[tokio::test]
async fn mute_holds_alerts_and_its_end_opens_what_is_open() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = setup(&itoc360, "").place();
    let gateway = place.start().await;
    let add = [
        "add",
        "--when",
        "error_code=112*",
        "--when",
        "not.error_code=11200",
        "--for",
        "2h",
        "--why",
        "maintenance",
    ];
    assert!(mute(&place, &add).await.starts_with("mute 1 holds until"));
    // It holds within a second.
    let mut number = 1;
    until("an alert is muted", async || {
        gateway.accept(&event(number)).await;
        number += CODES.len();
        let muted = place.list(&["--state", "muted"]).await;
        (!muted.is_empty()).then_some(())
    })
    .await;
    // One that the mute leaves out.
    let before = itoc360.tally().opened;
    gateway.accept(&event(5)).await;
    itoc360.opens_only(before + 1).await;
    gateway.kill().await;
    let gateway = place.start().await;
    gateway.accept(&event(1001)).await;
    let shown = place.event(&twilio::sid(1001)).await;
    assert_eq!(shown["alerts"][0]["state"], "muted");
    assert_eq!(shown["alerts"][0]["mute"]["why"], "maintenance");
    let listed = mute(&place, &["list"]).await;
    assert!(listed.contains("error_code=112* not.error_code=11200"));
    let muted = place.list(&["--state", "muted"]).await.len();
    mute(&place, &["end", "1"]).await;
    // One summary, and each that is still open.
    itoc360.open(before + 1 + muted + 1).await;
    itoc360.opens_only(before + 1 + muted + 1).await;
    assert_eq!(told(&itoc360, &format!("{muted} muted events")).len(), 1);
    assert!(place.list(&["--state", "muted"]).await.is_empty());
    let again = place.run_without_secrets(&["mute", "end", "1"]).await;
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    place.is_whole().await;
}

#[tokio::test]
async fn mute_of_the_configuration_ends_with_a_reload() {
    let itoc360 = Itoc360::alertmanager().await;
    let mutes = "[[mutes]]\nwhen = { source = \"twilio\" }\nuntil = 2999-01-01T00:00:00Z\nwhy = \"not yet\"";
    let place = setup(&itoc360, mutes).place();
    let mut gateway = place.start().await;
    let listed = || place.run_without_secrets(&["mute", "list"]);
    let unmet = listed().await.stdout;
    assert!(
        unmet.contains("\n-  ") && unmet.contains("not yet"),
        "{unmet}"
    );
    gateway.accept(&event(1)).await;
    assert_eq!(place.list(&["--state", "muted"]).await.len(), 1);
    let met = listed().await.stdout;
    assert!(met.contains("\n1  ") && met.contains("not yet"), "{met}");
    for (id, why) in [
        ("1", "it stands in the configuration"),
        ("7", "no such mute"),
    ] {
        let ended = place.run_without_secrets(&["mute", "end", id]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(why), "{ended:?}");
    }
    reload(&place, &mut gateway, mutes, "").await;
    itoc360.opens_only(2).await;
    assert_eq!(listed().await.stdout, "no mutes\n");
    assert_eq!(
        told(&itoc360, "1 muted event, 1 key still open: not yet").len(),
        1
    );
    place.is_whole().await;
}
