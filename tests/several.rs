//! The store in PostgreSQL: one gateway does there all that it does with a file, and several share
//! it.

use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};

use itoc360_double::Reply;
use test_postgres::{Database, Patroni, Server};

use crate::harness::postgres::{of, table};
use crate::harness::proxy::Proxy;
use crate::harness::{
    Gateway, Itoc360, Line, Load, Place, Program, Setup, State, Waiting, each_opened_once, events,
    keep_first, needs, opened_once, plugin, twilio, until,
};

/// More events than any machine sends in a round.
const ROUND: usize = 200_000;

/// Leaves some more events of a round than were begun, and returns the number of all.
fn some_more(waiting: &Waiting) -> usize {
    let begun = ROUND - waiting.lock().len();
    let count = begun + 200;
    keep_first(waiting, count);
    count
}

#[tokio::test]
async fn database_carries_a_request_to_its_receipt() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let store = table(&database, "gw-a", "");
    let (place, gateway) = Setup::new(&itoc360).store(&store).start().await;
    let event = twilio::error(&twilio::sid(1));
    let request = gateway.accept(&event.to("twilio")).await;
    itoc360.requests(1).await;
    let shown = place.event_in_state(&request, "delivered").await;
    assert_eq!(shown["alerts"][0]["attempts"][0]["outcome"], "accepted");
    assert_eq!(place.list(&[]).await.len(), 1);

    let again = gateway.post(&event.to("twilio")).await.json();
    assert_eq!([&again["accepted"], &again["duplicates"]], [0, 1]);
    gateway.kill().await;
    let gateway = place.start().await;
    let again = gateway.post(&event.to("twilio")).await.json();
    assert_eq!([&again["accepted"], &again["duplicates"]], [0, 1]);
    assert_eq!(itoc360.received().len(), 1, "a repeat opens nothing");
    assert!(
        !place.path("data/gateway.db").exists(),
        "nothing is kept in a file"
    );
    let gone = gateway.stop().await;
    assert_eq!(gone.code, Some(0), "{}", gone.stderr);
    assert_eq!(
        database.sql("SELECT count(*) FROM leases WHERE instance <> ''"),
        "0"
    );
}

#[tokio::test]
async fn kill_of_a_gateway_loses_nothing_and_the_other_goes_on() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let [(_, first), (place, second)] = two(&itoc360, &database).await;
    let waiting = events(300);
    let mut at_first = Load::on(&first, &waiting);
    let mut at_second = Load::on(&second, &waiting);
    at_first.accepted(40).await;
    at_second.accepted(40).await;
    first.kill().await;
    at_first.end().await;
    at_second.end().await;
    // What the first one did not answer is sent again.
    assert!(Load::on(&second, &waiting).end().await);
    each_opened_once(&itoc360, &place, 300).await;
    second.stop().await;
}

#[tokio::test]
async fn paused_leader_is_followed_and_settles_nothing_after_it() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let [(_, first), (place, second)] = two(&itoc360, &database).await;
    let waiting = events(200);
    let mut at_second = Load::on(&second, &waiting);
    at_second.accepted(40).await;
    let pid = Pid::from_raw(i32::try_from(first.id()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    leads(&database, "gw-b").await;
    assert!(at_second.end().await);
    kill_process(pid, Signal::CONT).unwrap();
    each_opened_once(&itoc360, &place, 200).await;
    // It still takes requests, and the other one delivers them.
    first
        .accept(&twilio::error(&twilio::sid(200)).to("twilio"))
        .await;
    each_opened_once(&itoc360, &place, 201).await;
    assert_eq!(database.sql("SELECT node FROM leases"), "gw-b");
    second.stop().await;
    leads(&database, "gw-a").await;
}

#[tokio::test]
async fn cut_connections_to_the_database_lose_and_double_nothing() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let server = Server::shared(initdb.path());
    let database = server.database();
    let itoc360 = Itoc360::alertmanager().await;
    let line = Line::between(server.address());
    let store = of(
        &database.url_over(&[line.address()]),
        "gw-a",
        "lease = \"2s\"\n",
    );
    let (place, gateway) = Setup::new(&itoc360).store(&store).start().await;
    let waiting = events(ROUND);
    let mut load = Load::on_a_bad_disk(&gateway, &waiting);
    for state in [State::Reset, State::Refused, State::Cut(300), State::Reset] {
        let before = load.accepted_beyond(20).await.refused;
        line.is(state);
        load.until(|answered| answered.refused > before).await;
        line.is(State::Well);
    }
    let count = some_more(&waiting);
    assert!(load.end().await);
    each_opened_once(&itoc360, &place, count).await;
    gateway.stop().await;
}

#[tokio::test]
async fn crashes_of_the_database_lose_and_double_nothing() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let server = Server::start(initdb.path());
    let database = server.database();
    let itoc360 = Itoc360::alertmanager().await;
    let [(_, first), (place, second)] = two(&itoc360, &database).await;
    let waiting = events(ROUND);
    let mut loads = [&first, &second].map(|gateway| Load::on_a_bad_disk(gateway, &waiting));
    for _ in 0..2 {
        for load in &mut loads {
            load.accepted_beyond(20).await;
        }
        server.crash();
    }
    let count = some_more(&waiting);
    for load in loads {
        load.end().await;
    }
    each_opened_once(&itoc360, &place, count).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn database_that_may_lose_what_it_confirms_is_refused() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .store(&table(&database, "gw-a", ""))
        .place();
    let gateway = place.start().await;
    let said = place.run(&["run"]).await;
    assert_ne!(said.code, Some(0));
    assert!(
        said.stderr.contains("another gateway with the name"),
        "{}",
        said.stderr
    );
    gateway.stop().await;
    let name = database.sql("SELECT current_database()");
    database.sql(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off"
    ));
    for command in ["run", "check"] {
        let said = place.run(&[command]).await;
        assert_ne!(said.code, Some(0), "{command}");
        assert!(
            said.stderr.contains("synchronous_commit is off"),
            "{command}: {}",
            said.stderr
        );
    }
}

#[tokio::test]
async fn younger_alert_waits_until_the_former_leader_is_gone() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    for by_word in [false, true] {
        let itoc360 = Itoc360::alertmanager().await;
        // The first attempt is still under way when its gateway is paused.
        itoc360.answers(|number| match number {
            1 => Reply::Hang,
            _ => Reply::Ok,
        });
        let start = async |node: &str| {
            let store = table(&database, node, "lease = \"2s\"\n");
            let setup = Setup::new(&itoc360).plugin("parrot", &plugin::parrot(), "");
            setup.store(&store).start().await
        };
        let of = |event: &str| {
            let event = format!("{by_word} {event}");
            let mut alert = plugin::alert(&event);
            alert["key"] = event.split_once('-').unwrap().0.into();
            plugin::alerts("parrot", &[alert])
        };
        let arrives = async |count: usize, event: &str| {
            let received = itoc360.requests(count).await;
            let arrived = received[count - 1].json();
            assert_eq!(
                arrived["commonAnnotations"]["event_id"],
                format!("{by_word} {event}")
            );
        };
        let (_first_place, first) = start("gw-a").await;
        leads(&database, "gw-a").await;
        let (place, second) = start("gw-b").await;
        first.accept(&of("key-1")).await;
        arrives(1, "key-1").await;
        let pid = Pid::from_raw(i32::try_from(first.id()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        leads(&database, "gw-b").await;
        arrives(2, "key-1").await;
        second.accept(&of("key-2")).await;
        second.accept(&of("other-1")).await;
        arrives(3, "other-1").await;
        if by_word {
            let said = place.run(&["store", "gone", "gw-a"]).await;
            assert_eq!(said.code, Some(0), "{}", said.stderr);
        } else {
            kill_process(pid, Signal::CONT).unwrap();
        }
        arrives(4, "key-2").await;
        let again = place.run(&["store", "gone", "gw-a"]).await;
        assert_eq!(again.code, Some(1), "{}", again.stderr);
        kill_process(pid, Signal::CONT).unwrap();
        second.stop().await;
        first.stop().await;
    }
}

#[tokio::test]
async fn promoted_standby_has_all_that_was_confirmed() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let primary = Server::start(initdb.path());
    let database = primary.database();
    let standby = primary.with_standby();
    let itoc360 = Itoc360::alertmanager().await;
    let url = database.url_over(&[primary.address(), standby.address()]);
    let [(_, first), (place, second)] = two_at(&itoc360, &database, &url).await;
    let waiting = events(ROUND);
    let mut loads = [&first, &second].map(|gateway| Load::on_a_bad_disk(gateway, &waiting));
    for load in &mut loads {
        load.accepted_beyond(20).await;
    }
    primary.kill();
    loads[0].until(|answered| answered.refused > 0).await;
    standby.promote();
    let count = some_more(&waiting);
    for load in loads {
        assert!(load.end().await);
    }
    each_opened_once(&itoc360, &place, count).await;
    let there = database.at(standby.address());
    assert_eq!(there.sql("SELECT count(*) FROM alerts"), count.to_string());
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn failover_of_patroni_loses_and_doubles_nothing() {
    let (Some(initdb), Some(patroni), Some(etcd)) = (
        needs(Program::Postgres),
        needs(Program::Patroni),
        needs(Program::Etcd),
    ) else {
        return;
    };
    let mut pair = Patroni::start(initdb.path(), patroni.path(), etcd.path());
    let database = pair.database();
    let itoc360 = Itoc360::alertmanager().await;
    let url = database.url_over(&pair.addresses());
    let [(_, first), (place, second)] = two_at(&itoc360, &database, &url).await;
    let waiting = events(ROUND);
    let mut loads = [&first, &second].map(|gateway| Load::on_a_bad_disk(gateway, &waiting));
    for load in &mut loads {
        load.accepted_beyond(20).await;
    }
    let lost = pair.lose_leader();
    loads[0].until(|answered| answered.refused > 0).await;
    let other = async || pair.leads().filter(|leads| *leads != lost);
    until("the standby leads", other).await;
    // Without a standby it commits nothing.
    pair.bring_back(lost);
    for load in &mut loads {
        load.accepted_beyond(20).await;
    }
    let count = some_more(&waiting);
    for load in loads {
        assert!(load.end().await);
    }
    each_opened_once(&itoc360, &place, count).await;
    let there = database.at(pair.leads().unwrap());
    assert_eq!(there.sql("SELECT count(*) FROM alerts"), count.to_string());
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn store_moves_into_a_database_and_back() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start().await;
    let event = twilio::error(&twilio::sid(1));
    let request = gateway.accept(&event.to("twilio")).await;
    itoc360.requests(1).await;
    place.event_in_state(&request, "delivered").await;
    let refused = place.run(&["store", "move", "--to", "database"]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let alone = std::fs::read_to_string(place.config()).unwrap();
    let shared = format!("{alone}\n{}", table(&database, "gw-a", ""));
    place.write("gateway.toml", &shared);
    let refused = place.run(&["store", "move", "--to", "database"]).await;
    assert!(
        refused.stderr.contains("another gateway uses"),
        "{}",
        refused.stderr
    );
    gateway.stop().await;

    let moved = place.run(&["store", "move", "--to", "database"]).await;
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    assert!(
        moved
            .stdout
            .contains("moved 1 requests and 1 alerts, 0 of them pending"),
        "{}",
        moved.stdout
    );
    let gateway = place.start().await;
    let again = gateway.post(&event.to("twilio")).await.json();
    assert_eq!([&again["accepted"], &again["duplicates"]], [0, 1]);
    gateway.stop().await;

    let moved = place.run(&["store", "move", "--to", "file"]).await;
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    let refused = place.run(&["run"]).await;
    assert!(refused.stderr.contains("store move"), "{}", refused.stderr);
    place.write("gateway.toml", &alone);
    let gateway = place.start().await;
    let again = gateway.post(&event.to("twilio")).await.json();
    assert_eq!([&again["accepted"], &again["duplicates"]], [0, 1]);
    assert_eq!(itoc360.received().len(), 1, "a repeat opens nothing");
    gateway.stop().await;
}

#[tokio::test]
async fn kills_pauses_and_cuts_in_rounds_lose_and_double_nothing() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let server = Server::shared(initdb.path());
    let wanted = std::env::var("SEVERAL_EVENTS").map_or(1_000, |events| {
        events.parse().expect("SEVERAL_EVENTS is a number")
    });
    let mut sent = 0;
    while sent < wanted {
        // Some five disturbances in each round.
        sent += round(server, (wanted / 50).clamp(20, 1_000)).await;
        println!("{sent} of {wanted} events");
    }
}

/// Two gateways that are disturbed each time that so many more events were accepted. Returns the
/// number of all.
async fn round(server: &Server, each: usize) -> usize {
    let database = server.database();
    let itoc360 = Itoc360::alertmanager().await;
    let line = Line::between(server.address());
    let url = database.url_over(&[line.address()]);
    let [(place, first), (_other, second)] = two_at(&itoc360, &database, &url).await;
    let waiting = events(ROUND);
    let mut at_first = Load::on_a_bad_disk(&first, &waiting);
    let mut at_second = Load::on_a_bad_disk(&second, &waiting);
    at_first.accepted_beyond(each).await;
    first.kill().await;
    at_first.end().await;
    leads(&database, "gw-b").await;
    let first = place.start().await;
    let mut at_first = Load::on_a_bad_disk(&first, &waiting);
    at_first.accepted_beyond(each).await;
    let pid = Pid::from_raw(i32::try_from(second.id()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    leads(&database, "gw-a").await;
    kill_process(pid, Signal::CONT).unwrap();
    at_second.accepted_beyond(each).await;
    for state in [State::Reset, State::Refused] {
        let before = at_first.answered().refused;
        line.is(state);
        at_first.until(|answered| answered.refused > before).await;
        line.is(State::Well);
        at_first.accepted_beyond(each).await;
    }
    let count = some_more(&waiting);
    let all_sent = [at_first.end().await, at_second.end().await];
    assert!(all_sent[0] && all_sent[1]);
    opened_once(&itoc360, count).await;
    assert_eq!(
        database.sql("SELECT count(*) FROM alerts"),
        count.to_string()
    );
    second.stop().await;
    first.stop().await;
    count
}

#[tokio::test]
async fn pgbouncer_serves_by_session_and_is_refused_by_transaction() {
    let (Some(initdb), Some(pgbouncer)) = (needs(Program::Postgres), needs(Program::PgBouncer))
    else {
        return;
    };
    let server = Server::shared(initdb.path());
    let database = server.database();
    let itoc360 = Itoc360::alertmanager().await;
    let pool = Proxy::pgbouncer(&pgbouncer, server.address(), "session").await;
    let store = of(&database.url_over(&[pool.address]), "gw-a", "");
    let (place, gateway) = Setup::new(&itoc360).store(&store).start().await;
    let waiting = events(40);
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, 40).await;
    gateway.stop().await;
    drop(pool);

    for mode in ["transaction", "statement"] {
        let pool = Proxy::pgbouncer(&pgbouncer, server.address(), mode).await;
        let store = of(&database.url_over(&[pool.address]), "gw-a", "");
        let place = Setup::new(&itoc360).store(&store).place();
        for command in ["check", "run"] {
            let said = place.run(&[command]).await;
            assert_ne!(said.code, Some(0), "{command}: {}", said.stdout);
            assert!(
                said.stderr.contains("pool_mode"),
                "{command}: {}",
                said.stderr
            );
        }
    }
}

#[tokio::test]
async fn each_gateway_shows_all_of_them() {
    let Some(initdb) = needs(Program::Postgres) else {
        return;
    };
    let database = Server::shared(initdb.path()).database();
    let itoc360 = Itoc360::alertmanager().await;
    let start = async |node: &str| {
        let store = table(&database, node, "lease = \"2s\"\n");
        let setup = Setup::new(&itoc360).gateway("admin_token = \"canary-several\"");
        setup.store(&store).start().await
    };
    let (_first_place, first) = start("gw-a").await;
    leads(&database, "gw-a").await;
    let (_place, second) = start("gw-b").await;
    let ask = async |gateway: &Gateway, method: Method, path: &str| {
        let headers = [
            ("authorization", "Bearer canary-several"),
            ("content-type", "application/json"),
        ];
        gateway.admin_with(method, path, &headers, "{}").await
    };
    let shown = async |gateway: &Gateway| {
        let answer = ask(gateway, Method::GET, "/api/v1/nodes").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let nodes = answer.json()["nodes"].as_array().unwrap().clone();
        assert_eq!(nodes[0]["this"], true);
        let line = |node: &serde_json::Value| {
            let word = |name: &str| node[name].to_string().replace('"', "");
            ["name", "state", "leads", "alike", "awaited"]
                .map(word)
                .join(" ")
        };
        let mut lines: Vec<String> = nodes.iter().map(line).collect();
        lines.sort();
        lines
    };
    let run = [
        "gw-a running true true false",
        "gw-b running false true false",
    ];
    assert_eq!(shown(&first).await, run);
    assert_eq!(shown(&second).await, run);
    let headers = [
        ("authorization", "Bearer canary-several"),
        ("accept", "text/html"),
    ];
    let page = second.admin_with(Method::GET, "/nodes", &headers, "").await;
    let page = page.body;
    assert!(
        page.contains("gw-a") && page.contains("2 gateways on one store"),
        "{page}"
    );
    let metrics = ask(&first, Method::GET, "/metrics").await.body;
    for line in [
        "alert_gateway_leads 1",
        "alert_gateway_nodes{state=\"running\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    for (name, status) in [("gw-a", 409), ("gw-c", 404)] {
        let path = format!("/api/v1/nodes/{name}/gone");
        let refused = ask(&second, Method::POST, &path).await;
        assert_eq!(refused.status, status, "{}", refused.body);
    }

    // What it may have under way is waited for, until an operator says otherwise.
    itoc360.answers(|_| Reply::Hang);
    first
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    itoc360.requests(1).await;
    first.kill().await;
    leads(&database, "gw-b").await;
    let path = "/api/v1/nodes/gw-a/gone";
    let node = until("it can be said to be gone", async || {
        let answer = ask(&second, Method::POST, path).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(node["name"], "gw-a");
    assert_eq!(node["awaited"], false);
    let audit = ask(&second, Method::GET, "/api/v1/audit").await.json();
    assert_eq!(
        [&audit["audit"][0]["action"], &audit["audit"][0]["about"]],
        ["gone", "gw-a"]
    );
    until("it is silent", async || {
        let silent = [
            "gw-a silent false true false",
            "gw-b running true true false",
        ];
        (shown(&second).await == silent).then_some(())
    })
    .await;
    second.stop().await;
}

/// Two gateways on one database, of which the first leads.
async fn two(itoc360: &Itoc360, database: &Database) -> [(Place, Gateway); 2] {
    two_at(itoc360, database, &database.url()).await
}

/// Two gateways on a database that this URL leads to.
async fn two_at(itoc360: &Itoc360, database: &Database, url: &str) -> [(Place, Gateway); 2] {
    let start = async |node: &str| {
        let store = of(url, node, "lease = \"2s\"\n");
        Setup::new(itoc360).store(&store).start().await
    };
    let first = start("gw-a").await;
    leads(database, "gw-a").await;
    [first, start("gw-b").await]
}

/// Waits until this gateway leads.
async fn leads(database: &Database, node: &str) {
    until("it leads", async || {
        (database.sql("SELECT node FROM leases WHERE instance <> ''") == node).then_some(())
    })
    .await;
}
