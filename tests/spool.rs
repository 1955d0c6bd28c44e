//! Requests that a gateway keeps on its own disk while the database is away.

use std::collections::BTreeSet;
use std::ops::Range;

use hyper::Method;
use serde_json::Value;

use test_postgres::{Database, Server};

use crate::harness::postgres::of;
use crate::harness::{
    Gateway, Itoc360, Line, Load, Program, Setup, State, each_opened_once, events, needs, plugin,
    twilio, until,
};

/// A database, and the line over which gateways reach it.
struct Far {
    database: Database,
    line: Line,
}

impl Far {
    fn new(server: &Server) -> Self {
        Self {
            database: server.database(),
            line: Line::between(server.address()),
        }
    }

    /// Returns a gateway that has a spool in the making, with more lines in its `[store]`.
    fn setup(&self, itoc360: &Itoc360, node: &str, lines: &str) -> Setup {
        Setup::new(itoc360)
            .plugin("parrot", &plugin::parrot(), "")
            .store(&self.store(node, &format!("spool = true\n{lines}")))
    }

    /// Returns a table `[store]`.
    fn store(&self, node: &str, lines: &str) -> String {
        let url = self.database.url_over(&[self.line.address()]);
        of(&url, node, &format!("lease = \"2s\"\n{lines}"))
    }
}

/// An event of the one key of these tests.
fn event(number: usize) -> Value {
    let mut alert = plugin::alert(&format!("event-{number:04}"));
    alert["key"] = "key".into();
    alert
}

async fn send(gateway: &Gateway, numbers: Range<usize>) {
    for number in numbers {
        gateway
            .accept(&plugin::alerts("parrot", &[event(number)]))
            .await;
    }
}

/// Waits until nothing is in the spool.
async fn handed_over(gateway: &Gateway) {
    gateway
        .metric("alert_gateway_spooled", |spooled| spooled == 0.0)
        .await;
}

/// Asserts that so many events of the one key arrived, in order. One that was under way as the
/// database went away may have come again before the next.
async fn arrived_in_order(itoc360: &Itoc360, count: usize) {
    let expected: Vec<_> = (0..count)
        .map(|number| format!("event-{number:04}"))
        .collect();
    let arrived = || {
        let taken = itoc360
            .received()
            .into_iter()
            .filter(|one| one.answered == 200);
        let ids = taken.map(|one| {
            let id = &one.json()["commonAnnotations"]["event_id"];
            id.as_str().unwrap().to_owned()
        });
        let mut ids: Vec<_> = ids.filter(|id| id.starts_with("event-")).collect();
        ids.dedup();
        ids
    };
    until("all events arrived", async || {
        (arrived().last() == expected.last()).then_some(())
    })
    .await;
    assert_eq!(arrived(), expected);
}

#[tokio::test]
async fn outage_of_the_database_is_bridged_in_order() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let far = Far::new(Server::shared(initdb.path()));
    let itoc360 = Itoc360::alertmanager().await;
    let (place, first) = far.setup(&itoc360, "gw-a", "").start().await;
    let (_other, second) = far.setup(&itoc360, "gw-b", "").start().await;
    assert_eq!(first.metrics().await["alert_gateway_spooled"], 0.0);
    let board = first.admin(Method::GET, "/readyz").await.json();
    assert_eq!(board["spool"]["requests"], 0);
    send(&first, 0..3).await;
    let mut sent = 3;
    let mut at_both = 0;
    for state in [State::Refused, State::Silent, State::Reset] {
        let is_refused = matches!(state, State::Refused);
        far.line.is(state);
        send(&first, sent..sent + 10).await;
        sent += 10;
        // Neither knows of the other's.
        at_both += 1;
        for gateway in [&first, &second] {
            let event = twilio::error(&twilio::sid(at_both)).to("twilio");
            let answer = gateway.post(&event).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.json()["accepted"], 1);
        }
        let board = first.admin(Method::GET, "/readyz").await;
        assert_eq!(board.status, 200, "{}", board.body);
        let waits = board.json()["spool"]["requests"].as_u64();
        assert!(waits >= Some(11), "{}", board.body);
        if is_refused {
            let html = [("accept", "text/html")];
            let now = first.admin_with(Method::GET, "/", &html, "").await;
            assert_eq!(now.status, 200, "{}", now.body);
            for words in [
                "The store cannot be read",
                " requests in the spool",
                "<b>–</b>",
            ] {
                assert!(now.body.contains(words), "{words}: {}", now.body);
            }
        }
        far.line.is(State::Well);
        // These may find that the first ones are not handed over yet.
        send(&first, sent..sent + 10).await;
        sent += 10;
        handed_over(&first).await;
        handed_over(&second).await;
    }
    arrived_in_order(&itoc360, sent).await;
    let kept: BTreeSet<_> = place
        .list(&[])
        .await
        .iter()
        .map(|line| line["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept.len(), sent + at_both);
    // The one key, and what came in at both.
    itoc360.opens_only(1 + at_both).await;
    second.stop().await;
    let gone = first.stop().await;
    assert_eq!(gone.code, Some(0), "{}", gone.stderr);
    assert!(
        gone.stderr.contains("requests are kept in the spool"),
        "{}",
        gone.stderr
    );
    assert!(!place.path("data/spool.db").exists(), "it was empty");
}

#[tokio::test]
async fn spool_survives_kills_and_interrupted_hand_overs() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    const EVENTS: usize = 1_000;
    let far = Far::new(Server::shared(initdb.path()));
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = far.setup(&itoc360, "gw-a", "").start().await;
    far.line.is(State::Refused);
    assert!(Load::on(&gateway, &events(EVENTS)).end().await);
    gateway
        .metric("alert_gateway_spooled", |spooled| spooled == EVENTS as f64)
        .await;
    gateway.kill().await;

    let away = place.run(&["run"]).await;
    assert_ne!(away.code, Some(0), "it needs the database to start");
    let waits = format!("{EVENTS} requests");
    for told in [
        &away.stderr,
        &place.run(&["check"]).await.stderr,
        &place.run(&["store", "move", "--to", "file"]).await.stderr,
    ] {
        assert!(
            told.contains(&waits) && told.contains("wait in the spool"),
            "{told}"
        );
    }

    far.line.is(State::Well);
    let gateway = place.start().await;
    far.line.is(State::Reset);
    gateway
        .accept(&twilio::error(&twilio::sid(EVENTS)).to("twilio"))
        .await;
    far.line.is(State::Well);
    gateway
        .metric("alert_gateway_spooled", |spooled| spooled <= EVENTS as f64)
        .await;
    gateway.kill().await;
    let gateway = place.start().await;
    handed_over(&gateway).await;
    each_opened_once(&itoc360, &place, EVENTS + 1).await;
    gateway.stop().await;
    let known = "SELECT count(*), (SELECT count(*) FROM repeats) FROM requests";
    let counted = format!("{}|0", EVENTS + 1);
    assert_eq!(
        far.database.sql(known),
        counted,
        "none was taken twice, or for a repeat"
    );
}

#[tokio::test]
async fn spool_that_is_full_refuses_until_it_is_handed_over() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let far = Far::new(Server::shared(initdb.path()));
    let itoc360 = Itoc360::alertmanager().await;
    let setup = far.setup(&itoc360, "gw-a", "spool_size = \"1MiB\"\n");
    let (place, gateway) = setup.start().await;
    far.line.is(State::Refused);
    let large = |number: usize| {
        let mut event = event(number);
        event["message"] = "x".repeat(4_000).into();
        plugin::alerts("parrot", &[event])
    };
    let mut sent = 0;
    let refused = loop {
        let answer = gateway.post(&large(sent)).await;
        if answer.status != 200 {
            break answer;
        }
        sent += 1;
        assert!(sent < 300, "there is no end to it");
    };
    refused.is_problem(503);
    assert!(!refused.header("retry-after").is_empty());
    assert!(sent > 50, "{sent}");
    let board = gateway.admin(Method::GET, "/readyz").await;
    assert_eq!(board.status, 503, "{}", board.body);
    let why = board.json()["spool"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("full"), "{why}");

    far.line.is(State::Well);
    handed_over(&gateway).await;
    send(&gateway, sent..sent + 1).await;
    arrived_in_order(&itoc360, sent + 1).await;
    assert_eq!(gateway.admin(Method::GET, "/readyz").await.status, 200);
    let gone = gateway.stop().await;
    assert!(gone.stderr.contains("it is full"), "{}", gone.stderr);
    assert_eq!(place.list(&[]).await.len(), sent + 1);
}

#[tokio::test]
async fn what_is_left_at_a_stop_goes_in_at_any_later_start() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let far = Far::new(Server::shared(initdb.path()));
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = far.setup(&itoc360, "gw-a", "").start().await;
    far.line.is(State::Refused);
    send(&gateway, 0..2).await;
    let gone = gateway.stop().await;
    assert!(
        gone.stderr.contains("are left in the spool"),
        "{}",
        gone.stderr
    );

    // Without its database it is told of, and kept.
    let with_spool = std::fs::read_to_string(place.config()).unwrap();
    let alone = without_store(&with_spool);
    place.write("gateway.toml", &alone);
    let checked = place.run(&["check"]).await;
    assert!(
        checked.stderr.contains("wait in the spool"),
        "{}",
        checked.stderr
    );
    let gone = place.start().await.stop().await;
    assert!(gone.stderr.contains("wait in the spool"), "{}", gone.stderr);

    // One that is switched off hands over what it has.
    far.line.is(State::Well);
    let store = far.store("gw-a", "spool = false\n");
    place.write("gateway.toml", with_store(&alone, &store));
    let gateway = place.start().await;
    handed_over(&gateway).await;
    arrived_in_order(&itoc360, 2).await;
    far.line.is(State::Refused);
    let refused = gateway.post(&plugin::alerts("parrot", &[event(2)])).await;
    refused.is_problem(503);
    far.line.is(State::Well);
    gateway.stop().await;
}

#[tokio::test]
async fn spool_of_no_use_is_told_of_and_refuses_as_none() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let far = Far::new(Server::shared(initdb.path()));
    let itoc360 = Itoc360::alertmanager().await;
    let place = far.setup(&itoc360, "gw-a", "").place();
    let checked = place.run(&["check"]).await;
    assert!(
        checked
            .stdout
            .contains("256.0 MiB of requests in its spool"),
        "{}",
        checked.stdout
    );
    let embedded = with_store(
        &without_store(&std::fs::read_to_string(place.config()).unwrap()),
        "[store]\nspool = true\n",
    );
    let other = place.write("embedded.toml", embedded);
    let checked = place
        .run(&["check", "--config", other.to_str().unwrap()])
        .await;
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    assert!(
        checked.stderr.contains("spool in [store] is for kind"),
        "{}",
        checked.stderr
    );

    let gateway = place.start().await;
    gateway.stop().await;
    place.write("data/spool.db", "no spool");
    let checked = place.run(&["check"]).await;
    assert!(
        checked.stderr.contains("spool in data_dir cannot be used"),
        "{}",
        checked.stderr
    );
    let gateway = place.start().await;
    send(&gateway, 0..1).await;
    far.line.is(State::Refused);
    let refused = gateway.post(&plugin::alerts("parrot", &[event(1)])).await;
    refused.is_problem(503);
    let board = gateway.admin(Method::GET, "/readyz").await.json();
    assert!(board["spool"]["why"].is_string(), "{board}");
    far.line.is(State::Well);
    let gone = gateway.stop().await;
    assert!(
        gone.stderr.contains("the spool cannot be used"),
        "{}",
        gone.stderr
    );
    assert_eq!(
        std::fs::read_to_string(place.path("data/spool.db")).unwrap(),
        "no spool"
    );
}

/// Returns a configuration without its table `[store]`.
fn without_store(config: &str) -> String {
    let (before, rest) = config.split_once("[store]").unwrap();
    let next = rest.find("\n[").unwrap();
    format!("{before}{}", &rest[next..])
}

/// Returns a configuration with this table at its end.
fn with_store(config: &str, store: &str) -> String {
    format!("{config}\n{store}")
}
