//! A source of which nothing comes is told, and what ends it is something that its sender could
//! prove.

use itoc360_double::Reply;
use serde_json::json;

use crate::harness::{Itoc360, Place, Setup, plugin, until};

/// Lets a store remember that the gateway has listened for two hours in vain, as one that has run
/// so long writes down.
fn two_hours_pass(place: &Place) {
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    assert_eq!(
        store
            .execute("UPDATE sources SET silence = 2 * 60 * 60 * 1000", [])
            .unwrap(),
        1
    );
}

const SEEN: &str = "alert_gateway_source_last_seen_timestamp_seconds{source=\"parrot\"}";
const SILENT: &str = "alert_gateway_source_heartbeat_missed{source=\"parrot\"}";

#[tokio::test]
async fn missed_heartbeat_fires_once_and_resolves_at_the_next_request() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "expect_every = \"1h\"")
        .place();
    let gateway = place.start().await;
    gateway
        .accept(&plugin::alerts("parrot", &[plugin::alert("1")]))
        .await;
    let metrics = gateway.metrics().await;
    assert_eq!(metrics[SILENT], 0.0);
    itoc360.opens_only(1).await;
    assert_eq!(gateway.stop().await.code, Some(0));

    two_hours_pass(&place);
    let gateway = place.start().await;
    let said = itoc360.told("missed-heartbeat", "firing").await;
    assert_eq!(said["commonLabels"]["name"], "parrot");
    let description = said["commonAnnotations"]["description"].as_str().unwrap();
    assert!(description.starts_with("Last heard of: 20"), "{said}");
    assert!(
        said["commonAnnotations"]["summary"]
            .as_str()
            .unwrap()
            .ends_with("for 1h"),
        "{said}"
    );
    gateway.metric(SILENT, |silent| silent == 1.0).await;
    let seen = gateway.metrics().await[SEEN];
    assert!(
        (seen - metrics[SEEN]).abs() < 0.01,
        "when it was heard of outlives a restart"
    );

    // A stranger is nobody, and another run has nothing new to say.
    let refused = json!({ "rejected": { "kind": "forbidden", "reason": "not you" } }).to_string();
    let to_parrot = |body: String| plugin::alerts("parrot", &[]).body(body);
    gateway.post(&to_parrot(refused)).await.is_problem(403);
    gateway.kill().await;
    let gateway = place.start().await;
    gateway.metric(SILENT, |silent| silent == 1.0).await;
    assert!(itoc360.own("missed-heartbeat", "resolved").is_empty());
    assert_eq!(place.list(&["--source", "alert-gateway"]).await.len(), 1);

    // What nobody needs to know, and nothing is kept of, shows all the same that somebody is there.
    let ignored = gateway
        .post(&to_parrot(
            json!({ "ignored": { "reason": "well" } }).to_string(),
        ))
        .await;
    assert_eq!(ignored.status, 200, "{}", ignored.body);
    let over = itoc360.told("missed-heartbeat", "resolved").await;
    assert_eq!(over["groupLabels"], said["groupLabels"]);
    gateway.metric(SILENT, |silent| silent == 0.0).await;
    let tally = itoc360.tally();
    assert_eq!(
        (tally.opened, tally.resolved, tally.open),
        (2, 1, 1),
        "{tally:?}"
    );
}

#[tokio::test]
async fn downtime_of_the_gateway_is_no_missed_heartbeat() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "expect_every = \"1h\"")
        .place();
    let gateway = place.start().await;
    gateway
        .accept(&plugin::alerts("parrot", &[plugin::alert("1")]))
        .await;
    assert_eq!(gateway.stop().await.code, Some(0));
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    let day = "UPDATE sources SET last_seen = last_seen - 24 * 60 * 60 * 1000";
    assert_eq!(store.execute(day, []).unwrap(), 1);
    drop(store);
    let gateway = place.start().await;
    gateway.metric(SILENT, |silent| silent == 0.0).await;
    assert_eq!(gateway.stop().await.code, Some(0));
    assert!(place.list(&["--source", "alert-gateway"]).await.is_empty());
}

#[tokio::test]
async fn reload_resolves_a_removed_source_and_resumes_a_returned_one() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "expect_every = \"1h\"")
        .place();
    let gateway = place.start().await;
    gateway
        .accept(&plugin::alerts("parrot", &[plugin::alert("1")]))
        .await;
    assert_eq!(gateway.stop().await.code, Some(0));
    two_hours_pass(&place);
    let gateway = place.start().await;
    itoc360.told("missed-heartbeat", "firing").await;

    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.split("\n[sources.parrot]").next().unwrap(),
    );
    gateway.hang_up();
    itoc360.told("missed-heartbeat", "resolved").await;
    until("nothing is measured of it", async || {
        let metrics = gateway.metrics().await;
        (!metrics.contains_key(SILENT) && !metrics.contains_key(SEEN)).then_some(())
    })
    .await;

    // For as long as it was gone, nobody listened. What was before is not forgotten.
    place.write("gateway.toml", &config);
    gateway.hang_up();
    until("it is silent again", async || {
        (itoc360.own("missed-heartbeat", "firing").len() == 2).then_some(())
    })
    .await;
    gateway.metric(SILENT, |silent| silent == 1.0).await;
    assert!(gateway.metrics().await.contains_key(SEEN));
    gateway
        .accept(&plugin::alerts("parrot", &[plugin::alert("2")]))
        .await;
    gateway.metric(SILENT, |silent| silent == 0.0).await;

    // One of which nothing is expected any more is not silent, whatever comes.
    place.write("gateway.toml", config.replace("expect_every = \"1h\"", ""));
    gateway.hang_up();
    until("it is not waited for", async || {
        (!gateway.metrics().await.contains_key(SILENT)).then_some(())
    })
    .await;
    assert!(gateway.metrics().await.contains_key(SEEN));
}

#[tokio::test]
async fn heartbeat_no_longer_expected_resolves() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "expect_every = \"1h\"")
        .place();
    let gateway = place.start().await;
    assert_eq!(gateway.stop().await.code, Some(0));
    two_hours_pass(&place);
    let gateway = place.start().await;
    let said = itoc360.told("missed-heartbeat", "firing").await;
    assert!(
        said["commonAnnotations"]["description"]
            .as_str()
            .unwrap()
            .starts_with("It has never been heard of.")
    );
    gateway.kill().await;
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", config.replace("expect_every = \"1h\"", ""));
    let _gateway = place.start().await;
    itoc360.told("missed-heartbeat", "resolved").await;
    assert_eq!(itoc360.tally().opened, 1);
}

#[tokio::test]
async fn failed_request_counts_as_a_heartbeat_only_with_a_token() {
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let setup = Setup::new(&itoc360).plugin(
        "anyone",
        &broken,
        "expect_every = \"1h\"\nclients = [\"127.0.0.0/8\"]",
    );
    let setup = setup.plugin(
        "known",
        &broken,
        "expect_every = \"1h\"\ntoken = \"canary-1\"",
    );
    let (_place, gateway) = setup.start().await;
    for source in ["anyone", "known"] {
        let post = plugin::alerts(source, &[plugin::alert("1")])
            .header("Authorization", "Bearer canary-1");
        let answer = gateway.post(&post).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let seen = |source: &str| {
        format!("alert_gateway_source_last_seen_timestamp_seconds{{source=\"{source}\"}}")
    };
    let metrics = gateway.metrics().await;
    assert!(
        !metrics.contains_key(&seen("anyone")) && metrics.contains_key(&seen("known")),
        "{metrics:?}"
    );
}

#[tokio::test]
async fn last_seen_is_stored_at_a_stop_out_of_grace() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::Hang);
    let setup = Setup::new(&itoc360).gateway("shutdown_grace = \"0s\"");
    let (place, gateway) = setup
        .plugin("parrot", &plugin::parrot(), "expect_every = \"1h\"")
        .start()
        .await;
    gateway
        .accept(&plugin::alerts("parrot", &[plugin::alert("1")]))
        .await;
    itoc360.requests(1).await;
    let seen = gateway.metrics().await[SEEN];
    let said = gateway.stop().await;
    assert!(
        said.stderr.contains("not all of it finished in time"),
        "{}",
        said.stderr
    );
    let what = "the monitor";
    assert!(
        !said.stderr.contains(&format!("\"what\":\"{what}\"")),
        "{}",
        said.stderr
    );
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    let sql = "SELECT last_seen FROM sources WHERE name = 'parrot'";
    let kept: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(
        (kept as f64 / 1000.0 - seen).abs() < 0.01,
        "{kept} is not {seen}"
    );
}
