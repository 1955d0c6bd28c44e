//! Trouble is reported as an alert like any other: to whoever takes care of the source, or to the
//! operator.

use std::fs;

use itoc360_double::Reply;
use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Setup, plugin, twilio, until};

const BROKEN: &str = "(unreachable)";

/// Posts to a plugin that fails, and gives the request's id.
async fn kept(gateway: &Gateway, source: &str, event_id: &str) -> String {
    let answer = gateway
        .post(&plugin::alerts(source, &[plugin::alert(event_id)]))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["request"].as_str().unwrap().to_owned()
}

fn description(said: &Value) -> &str {
    said["commonAnnotations"]["description"].as_str().unwrap()
}

async fn replay(place: &Place, ids: &[String]) {
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let asked = place
        .run_without_secrets(&[&["events", "replay"][..], &ids].concat())
        .await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
}

#[tokio::test]
async fn plugin_failing_fifty_times_fires_once_and_resolves() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).plugin("broken", &plugin::hostile(BROKEN), "");
    let (place, gateway) = setup.start().await;
    let mut requests = Vec::new();
    for number in 0..50 {
        requests.push(kept(&gateway, "broken", &format!("event-{number}")).await);
    }
    let said = itoc360.told("plugin-failed", "firing").await;
    let labels = &said["commonLabels"];
    let first = &requests[0];
    assert_eq!(
        (&labels["name"], &labels["kind"]),
        (&json!("broken"), &json!("trap"))
    );
    assert_eq!(
        (&labels["request"], &said["commonAnnotations"]["request"]),
        (&json!(first), &json!(first))
    );
    assert!(
        description(&said).contains(&format!("alert-gateway events replay {first}")),
        "{said}"
    );
    assert!(
        description(&said).contains("events list --source broken --state failed"),
        "{said}"
    );
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 1.0
        })
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    itoc360.opens_only(1).await;
    let counted = gateway.metrics().await;
    assert_eq!(
        counted["alert_gateway_requests_total{source=\"broken\",outcome=\"kept\"}"],
        50.0
    );
    assert!(
        !counted.iter().any(|(name, count)| {
            name.starts_with("alert_gateway_alerts_accepted") && *count > 0.0
        }),
        "it is none of the sender's"
    );

    let shown = place.event(first).await;
    assert_eq!(
        (&shown["state"], &shown["alerts"][0]["source"]),
        (&json!("failed"), &json!("alert-gateway"))
    );
    let own = place.list(&["--source", "alert-gateway"]).await;
    assert_eq!(
        (own.len(), &own[0]["request"], &own[0]["state"]),
        (1, &json!(first), &json!("delivered"))
    );
    assert_eq!(
        place.list(&["--source", "broken"]).await.len(),
        51,
        "each request, and what was told of the first"
    );

    gateway.kill().await;
    fs::write(place.path("broken.wasm"), plugin::parrot()).unwrap();
    let gateway = place.start().await;
    replay(&place, &requests[1..]).await;
    gateway
        .metric("alert_gateway_requests_failed", |failed| failed == 1.0)
        .await;
    assert!(
        itoc360.own("plugin-failed", "resolved").is_empty(),
        "one waits still"
    );
    replay(&place, &requests[..1]).await;
    let over = itoc360.told("plugin-failed", "resolved").await;
    assert_eq!(over["groupLabels"], said["groupLabels"]);
    itoc360.open(50).await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.resolved, tally.open),
        (51, 1, 50),
        "{tally:?}"
    );

    let own_request = over["commonAnnotations"]["request"].as_str().unwrap();
    let shown = place
        .run_without_secrets(&["events", "show", own_request])
        .await;
    assert!(
        shown.stdout.contains("by the gateway itself"),
        "{}",
        shown.stdout
    );
    let exported = place
        .run_without_secrets(&["events", "export", own_request, "--case", "x"])
        .await;
    assert!(
        exported.stderr.contains("an alert of the gateway's own"),
        "{}",
        exported.stderr
    );
}

#[tokio::test]
async fn plugin_failure_is_reported_after_a_kill() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("broken", &plugin::hostile(BROKEN), "")
        .place();
    itoc360.down().await;
    let gateway = place.start().await;
    let request = kept(&gateway, "broken", "event").await;
    gateway.kill().await;
    itoc360.up().await;
    let _gateway = place.start().await;
    let said = itoc360.told("plugin-failed", "firing").await;
    assert_eq!(said["commonAnnotations"]["request"], request);
    itoc360.opens_only(1).await;
    assert_eq!(place.list(&["--source", "alert-gateway"]).await.len(), 1);
}

#[tokio::test]
async fn held_destination_fires_at_the_operators_and_resolves() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(401, "Unauthorized"));
    let place = Setup::new(&itoc360).operator(&ops).place();
    let gateway = place.start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    let said = ops.told("destination-held", "firing").await;
    assert_eq!(said["commonLabels"]["name"], "itoc360");
    assert!(description(&said).contains("the token is wrong"), "{said}");
    // Another run finds it held still, which is no news.
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 1.0
        })
        .await;
    gateway.kill().await;
    let gateway = place.start().await;
    gateway.destination("itoc360", "held").await;
    itoc360.recovers();
    let over = ops.told("destination-held", "resolved").await;
    assert_eq!(over["groupLabels"], said["groupLabels"]);
    itoc360.opens_only(1).await;
    let tally = ops.tally();
    assert_eq!((tally.opened, tally.requests), (1, 2), "{tally:?}");
}

#[tokio::test]
async fn renamed_operator_destination_leaves_nothing_open() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    // One alert is a dead letter, and the next finds the circuit breaker open.
    itoc360.answers(|number| {
        if number == 1 {
            Reply::error(400, "Invalid")
        } else {
            Reply::error(401, "Unauthorized")
        }
    });
    let place = Setup::new(&itoc360).operator(&ops).place();
    let gateway = place.start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    ops.told("dead-letters", "firing").await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    ops.told("destination-held", "firing").await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 2.0
        })
        .await;
    gateway.kill().await;
    // One name is gone with its place, and one stays where it is and hears no more of it.
    let config = fs::read_to_string(place.config()).unwrap();
    let others = Itoc360::alertmanager().await;
    let renamed = config
        .replace("destinations.ops]", "destinations.ops2]")
        .replace("\"ops\"", "\"ops2\"");
    place.write("gateway.toml", renamed.replace(&ops.url(), &others.url()));
    let gateway = place.start().await;
    let said = others.told("destination-held", "firing").await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 4.0
        })
        .await;
    gateway.kill().await;
    let table = renamed.find("[destinations.ops2]").unwrap();
    let both = format!(
        "{}{}",
        &renamed[..table],
        renamed[table..].replacen("ops2", "ops3", 1)
    );
    let ops2 = renamed[table..]
        .split("\n\n")
        .next()
        .unwrap()
        .replace(&ops.url(), &others.url());
    let both = both.replace(
        "operator_destination = \"ops2\"",
        "operator_destination = \"ops3\"",
    );
    place.write("gateway.toml", format!("{both}\n{ops2}\n"));
    let gateway = place.start().await;
    let moved = others.told("destination-held", "resolved").await;
    assert_eq!(moved["groupLabels"], said["groupLabels"]);
    assert!(
        moved["commonAnnotations"]["summary"]
            .as_str()
            .unwrap()
            .contains("told at another destination"),
        "{moved}"
    );
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 8.0
        })
        .await;
    itoc360.recovers();
    ops.told("destination-held", "resolved").await;
    itoc360.opens_only(1).await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 0.0
        })
        .await;
    assert!(
        ops.own("destination-gone", "firing").is_empty()
            && others.own("destination-gone", "firing").is_empty()
    );
    assert!(
        ops.own("dead-letters", "resolved").is_empty(),
        "one is a dead letter still"
    );
    assert_eq!((ops.tally().open, others.tally().open), (1, 0));
}

#[tokio::test]
async fn internal_alerts_at_a_removed_destination_raise_no_alert() {
    let itoc360 = Itoc360::alertmanager().await;
    let mut ops = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(401, "Unauthorized"));
    let place = Setup::new(&itoc360).operator(&ops).place();
    ops.down().await;
    let gateway = place.start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |count| {
            count == 2.0
        })
        .await;
    gateway.kill().await;
    ops.up().await;
    let config = fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config
            .replace("destinations.ops]", "destinations.ops2]")
            .replace("\"ops\"", "\"ops2\""),
    );
    let gateway = place.start().await;
    ops.told("destination-held", "firing").await;
    itoc360.recovers();
    ops.told("destination-held", "resolved").await;
    assert_eq!(gateway.stop().await.code, Some(0));
    assert_eq!(
        (ops.tally().opened, ops.tally().requests),
        (1, 2),
        "{:?}",
        ops.tally()
    );
}

#[tokio::test]
async fn alert_about_refused_requests_stays_open_over_a_restart() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"twilio-errors\"\nlimits.body = \"2KiB\"\n\
        settings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }";
    let (place, gateway) = Setup::new(&itoc360)
        .source("first", lines)
        .source("second", lines)
        .start()
        .await;
    for source in ["first", "second"] {
        let large = twilio::signed(source, twilio::AUTH_TOKEN, vec![b'x'; 4096]);
        gateway.post(&large).await.is_problem(413);
        until("it is told", async || {
            let told = itoc360.own("rejected", "firing");
            told.iter()
                .any(|one| one["commonLabels"]["name"] == source)
                .then_some(())
        })
        .await;
    }
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |count| {
            count == 2.0
        })
        .await;
    gateway.kill().await;
    // Of a source that is gone, nothing more can come to end it.
    let config = fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace("[sources.second", "[sources.third"),
    );
    let gateway = place.start().await;
    let over = itoc360.told("rejected", "resolved").await;
    let summary = |said: &Value| said["commonAnnotations"]["summary"].to_string();
    assert!(
        summary(&over).contains("Source second is not configured any more"),
        "{over}"
    );
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("first"))
        .await;
    let over = until("the other resolves", async || {
        let told = itoc360.own("rejected", "resolved");
        told.into_iter()
            .find(|one| one["commonLabels"]["name"] == "first")
    })
    .await;
    assert!(summary(&over).contains("are accepted again"), "{over}");
    assert_eq!(itoc360.own("rejected", "resolved").len(), 2);
}

#[tokio::test]
async fn changed_reason_of_a_held_destination_shows_at_once() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|number| {
        if number == 1 {
            Reply::error(401, "Unauthorized")
        } else {
            Reply::error(402, "Limit")
        }
    });
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    let first = gateway.destination("itoc360", "held").await;
    assert!(first["why"].as_str().unwrap().contains("401"), "{first}");
    let next = until("the reason is another", async || {
        let shown = gateway.destination("itoc360", "held").await;
        (shown["why"] != first["why"]).then_some(shown)
    });
    let next = next.await;
    assert!(next["why"].as_str().unwrap().contains("402"), "{next}");
    assert_eq!(next["since"], first["since"], "it is held since then");
    let said = gateway.stop().await;
    assert_eq!(
        (
            said.code,
            said.stderr.matches("the destination is held").count()
        ),
        (Some(0), 1),
        "{}",
        said.stderr
    );
}

#[tokio::test]
async fn held_destination_without_an_operators_one_fires_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(401, "Unauthorized"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    gateway.destination("itoc360", "held").await;
    assert_eq!(gateway.stop().await.code, Some(0));
    assert!(place.list(&["--source", "alert-gateway"]).await.is_empty());
}

/// Posts until the disk is full and the operator is told, and gives what that says.
async fn fills_the_disk(gateway: &Gateway, place: &Place, ops: &Itoc360) -> Value {
    let post = async |number| {
        gateway
            .post(&twilio::error(&twilio::sid(number)).to("twilio"))
            .await
            .status
    };
    let mut number = 0;
    while post(number).await == 200 {
        number += 1;
        assert!(number < 20_000, "the disk is never full");
    }
    // And senders come back meanwhile, and are turned away.
    let again = async { while post(number).await != 0 {} };
    let said = tokio::select! {
        said = ops.told("store-failing", "firing") => said,
        () = again => unreachable!("there is no such status"),
    };
    assert_eq!(said["commonLabels"]["severity"], "critical");
    assert!(description(&said).contains("answered 503"), "{said}");
    assert!(
        place.list(&["--source", "alert-gateway"]).await.is_empty(),
        "the store had no room for it"
    );
    said
}

/// Waits until a run that comes after this one would know whether the operator was told of the
/// disk.
async fn remembers(place: &Place, told: bool) {
    until("it is remembered", async || {
        (place.path("data/told-of-trouble").exists() == told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn full_disk_is_reported_past_the_store_and_resolves() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).operator(&ops).place();
    // It is in trouble itself at first, and is told again until it takes it.
    ops.answers(|number| {
        if number < 3 {
            Reply::error(503, "not now")
        } else {
            Reply::Ok
        }
    });
    let gateway = place.start_on_a_small_disk().await;
    let said = fills_the_disk(&gateway, &place, &ops).await;
    remembers(&place, true).await;
    // No sender tries again: the gateway finds out by itself.
    gateway.disk_grows();
    let over = ops.told("store-failing", "resolved").await;
    assert_eq!(over["groupLabels"], said["groupLabels"]);
    remembers(&place, false).await;
    let tally = ops.tally();
    assert_eq!((tally.opened, tally.open), (1, 0), "{tally:?}");
}

#[tokio::test]
async fn full_disk_resolves_after_a_kill_and_a_new_disk() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).operator(&ops).place();
    let gateway = place.start_on_a_small_disk().await;
    fills_the_disk(&gateway, &place, &ops).await;
    remembers(&place, true).await;
    gateway.kill().await;
    let _gateway = place.start().await;
    ops.told("store-failing", "resolved").await;
    remembers(&place, false).await;
    assert_eq!(ops.tally().opened, 1);
}

#[tokio::test]
async fn dead_letters_fire_at_the_operators_and_resolve_after_replay() {
    let itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(400, "Invalid payload"));
    let (place, gateway) = Setup::new(&itoc360).operator(&ops).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    let said = ops.told("dead-letters", "firing").await;
    for help in [
        "destination rejected them, or they are unreadable",
        "events replay --dead",
        "store check",
    ] {
        assert!(description(&said).contains(help), "{said}");
    }
    itoc360.recovers();
    assert_eq!(
        place
            .run_without_secrets(&["events", "replay", "--dead"])
            .await
            .code,
        Some(0)
    );
    ops.told("dead-letters", "resolved").await;
    itoc360.opens_only(1).await;
    assert_eq!(ops.tally().opened, 1);
}

#[tokio::test]
async fn removed_destination_with_a_backlog_fires_until_it_is_back() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let ops = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).operator(&ops).place();
    itoc360.down().await;
    let gateway = place.start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    assert_eq!(gateway.stop().await.code, Some(0));
    let config = fs::read_to_string(place.config()).unwrap();
    let renamed = config.replace("destinations.itoc360", "destinations.other");
    place.write(
        "gateway.toml",
        renamed.replace("destination = \"itoc360\"", "destination = \"other\""),
    );
    let gateway = place.start().await;
    let said = ops.told("destination-gone", "firing").await;
    assert_eq!(said["commonLabels"]["name"], "itoc360");
    gateway.kill().await;
    itoc360.up().await;
    place.write("gateway.toml", config);
    let _gateway = place.start().await;
    ops.told("destination-gone", "resolved").await;
    itoc360.opens_only(1).await;
}
