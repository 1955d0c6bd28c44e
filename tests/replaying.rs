//! What waits for an operator, replayed and dismissed by a filter; stored requests read once more
//! without sending; and the shadow check of a changed plugin or rule.

use itoc360_double::Reply;

use crate::harness::{Gateway, Itoc360, Output, Place, Post, Setup, plugin, until};

const TRAP: &str = "(unreachable)";

/// Posts an alert that its plugin fails on, and returns the request's id.
async fn fail(gateway: &Gateway, source: &str, event_id: &str) -> String {
    let post = plugin::alerts(source, &[plugin::alert(event_id)]);
    let answer = gateway.post(&post).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["request"].as_str().unwrap().to_owned()
}

async fn run(place: &Place, arguments: &[&str]) -> String {
    let output = place.run(arguments).await;
    assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.stderr);
    output.stdout
}

async fn reload(place: &Place) -> Output {
    place.run(&["reload"]).await
}

/// The entries of the audit: action, about, why.
fn audit(place: &Place) -> Vec<(String, String, Option<String>)> {
    let store = rusqlite::Connection::open(place.path("data/gateway.db")).unwrap();
    let mut select = store
        .prepare("SELECT action, about, why FROM audit ORDER BY id")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn failed_requests_are_chosen_by_source_and_time() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::hostile(TRAP), "")
        .plugin("two", &plugin::hostile(TRAP), "")
        .start()
        .await;
    let one = fail(&gateway, "one", "e1").await;
    let two = fail(&gateway, "two", "e2").await;

    let dry = ["events", "replay", "--failed", "--dry-run"];
    let both = run(&place, &dry).await;
    // In the order in which they came in.
    assert!(both.find(&one) < both.find(&two), "{both}");
    assert!(both.contains("its plugin reads it again"), "{both}");
    let of_two = run(
        &place,
        &[&dry[..], &["--source", "two", "--since", "1h"]].concat(),
    )
    .await;
    assert!(!of_two.contains(&one) && of_two.contains(&two), "{of_two}");
    for none in [
        &["replay", "--failed", "--older-than", "1h"][..],
        &[
            "replay",
            "--state",
            "failed",
            "--until",
            "2020-01-01T00:00:00Z",
        ],
        &["replay", "--dead", "--source", "one"],
        &["dismiss", "--dead", "--since", "1h", "--why", "w"],
    ] {
        let said = run(&place, &[&["events"], none].concat()).await;
        assert!(said.starts_with("nothing to do"), "{none:?}: {said}");
    }
    assert_eq!(audit(&place), [], "nothing was asked for");

    let dismiss = ["events", "dismiss", "--failed", "--source", "one"];
    run(
        &place,
        &[&dismiss[..], &["--why", "a test of ours"]].concat(),
    )
    .await;
    place.write("two.wasm", plugin::parrot());
    assert_eq!(reload(&place).await.code, Some(0));
    run(&place, &["events", "replay", "--source", "two"]).await;
    gateway
        .metric("alert_gateway_requests_failed", |failed| failed == 0.0)
        .await;
    place.event_in_state("e2", "delivered").await;
    assert_eq!(place.event(&one).await["state"], "dismissed");
    let entries = [
        (
            "dismiss",
            format!("failed requests of source one: {one}"),
            Some("a test of ours"),
        ),
        (
            "replay",
            format!("failed requests and dead letters of source two: {two}"),
            None,
        ),
    ];
    let entries =
        entries.map(|(action, about, why)| (action.to_owned(), about, why.map(str::to_owned)));
    assert_eq!(audit(&place), entries);
}

#[tokio::test]
async fn what_waits_for_nobody_is_not_replayed() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, _gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::parrot(), "")
        .start()
        .await;
    for (arguments, said) in [
        (&["replay"][..], "--failed, --dead"),
        (&["replay", "--state", "delivered"], "waits for no operator"),
        (&["replay", "--state", "ded"], "did you mean \"dead\"?"),
        (&["replay", "--failed", "e1"], "cannot be used with"),
        (&["replay", "--plugin", "new.wasm"], "--diff"),
        (&["replay", "--source", "onee"], "did you mean \"one\"?"),
        (&["replay", "--diff", "--dead"], "without --dead"),
        (
            &["replay", "--diff", "--source", "onee"],
            "did you mean \"one\"?",
        ),
        (&["replay", "--diff", "--plugin", "none.wasm"], "--plugin: "),
        (
            &["replay", "--diff", "--plugin", "webhok"],
            "--plugin: there is no bundled plugin \"webhok\", and a file of yours ends in .wasm; did you mean \"webhook\"?",
        ),
        (&["dismiss", "--failed"], "--why"),
        (&["dismiss", "--failed", "--why", " "], "--why"),
    ] {
        let output = place.run(&[&["events"], arguments].concat()).await;
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
        assert!(
            output.stderr.contains(said),
            "{arguments:?}: {}",
            output.stderr
        );
    }
}

#[tokio::test]
async fn dismissed_dead_letters_leave_the_failed_request() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(422, "Unprocessable"));
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::hostile(TRAP), "")
        .start()
        .await;
    // The internal alert about it is rejected.
    let failed = fail(&gateway, "one", "e1").await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |dead| dead == 1.0)
        .await;
    run(&place, &["events", "dismiss", "--dead", "--why", "known"]).await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |dead| dead == 0.0)
        .await;
    assert_eq!(place.event(&failed).await["state"], "failed");
    let left = run(&place, &["events", "replay", "--failed", "--dry-run"]).await;
    assert!(left.contains(&failed), "{left}");
}

#[tokio::test]
async fn dismissal_asked_for_twice_is_audited_once() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::hostile(TRAP), "")
        .start()
        .await;
    let failed = fail(&gateway, "one", "e1").await;
    gateway.stop().await;
    let dismiss = ["events", "dismiss", &failed, "--why", "known"];
    let first = run(&place, &dismiss).await;
    assert!(first.contains("1 request: asked for; "), "{first}");
    let again = run(&place, &dismiss).await;
    assert!(again.contains("1 request: asked for already; "), "{again}");
    let entries = audit(&place);
    assert_eq!(
        entries,
        [("dismiss".to_owned(), failed, Some("known".to_owned()))]
    );
}

#[tokio::test]
async fn diff_shows_what_a_plugin_or_rule_changes() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::parrot(), "labels = { team = \"voice\" }")
        .start()
        .await;
    for number in 0..3 {
        let event = plugin::alert(&format!("e{number}"));
        gateway.accept(&plugin::alerts("one", &[event])).await;
    }
    // A repeat within a request makes nothing of it, before and after.
    let again = [plugin::alert("e0"), plugin::alert("e3")];
    gateway.accept(&plugin::alerts("one", &again)).await;
    itoc360.opens_only(4).await;

    let same = run(&place, &["events", "replay", "--diff"]).await;
    assert!(
        same.contains("4 stored requests read once more: 4 as before\n"),
        "{same}"
    );

    place.write("broken.wasm", plugin::hostile(TRAP));
    let broken = [
        "events",
        "replay",
        "--plugin",
        "broken.wasm",
        "--last",
        "2",
        "--diff",
    ];
    let broken = run(&place, &broken).await;
    assert!(
        broken.contains("0 as before, 2 on which the plugin fails now"),
        "{broken}"
    );
    assert!(broken.contains("+  \"failed\": "), "{broken}");

    let text = std::fs::read_to_string(place.config()).unwrap();
    let rules = "[[sources.one.rules]]\nwhen = { title = \"* e1\" }\npriority = \"low\"\n\
                 [[sources.one.rules]]\nwhen = { title = \"* e2\" }\ndrop = true\n";
    place.write("new.toml", text + rules);
    let changed = ["events", "replay", "--diff", "--config", "new.toml"];
    let changed = run(&place, &changed).await;
    assert!(
        changed.contains("2 as before, 2 with other alerts"),
        "{changed}"
    );
    for line in [
        "-        \"priority\": \"high\",",
        "+        \"priority\": \"low\",",
        "+      \"dropped\": true",
        "nothing was sent or stored",
    ] {
        assert!(changed.contains(line), "{line}: {changed}");
    }
    // One event, by its id.
    let one = ["events", "replay", "e1", "--diff", "--config", "new.toml"];
    let one = run(&place, &one).await;
    assert!(
        one.contains("1 stored request read once more: 0 as before, 1 with"),
        "{one}"
    );
    assert_eq!(itoc360.received().len(), 4, "nothing was sent");
    assert_eq!(audit(&place), []);
}

#[tokio::test]
async fn own_alerts_and_tests_are_no_requests_of_a_sender() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::parrot(), "group = { by = [\"code\"] }")
        .start()
        .await;
    for event_id in ["e1", "e2"] {
        let event = plugin::alert(event_id);
        gateway.accept(&plugin::alerts("one", &[event])).await;
    }
    run(&place, &["test", "--source", "twilio", "--local"]).await;
    until("the group is told", async || {
        let listed = place.list(&["--source", "one"]).await;
        (listed.len() > 2).then_some(())
    })
    .await;
    let checked = run(&place, &["check", "--against-store"]).await;
    for said in [
        "source one: 2 stored requests read once more: 2 as before\n",
        "source twilio: 0 stored requests read once more: 0 as before; 1 cannot be read once more",
    ] {
        assert!(checked.contains(said), "{said}: {checked}");
    }
}

#[tokio::test]
async fn strict_reload_refuses_a_plugin_that_fails_now() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360)
        .gateway("reload = \"strict\"")
        .plugin("one", &plugin::parrot(), "")
        .start()
        .await;
    let post = |event_id: &str| plugin::alerts("one", &[plugin::alert(event_id)]);
    gateway.accept(&post("e1")).await;
    gateway.accept(&post("e2")).await;
    place.write("one.wasm", plugin::hostile(TRAP));
    let said = "2 stored requests read once more: 0 as before, 2 on which the plugin fails now";

    let checked = place.run(&["check", "--against-store", "--json"]).await;
    let document: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(document["against_store"][1]["fails"], 2, "{document}");
    let checked = place.run(&["check", "--against-store", "--strict"]).await;
    assert_eq!(checked.code, Some(2));
    assert!(checked.stderr.contains(said), "{}", checked.stderr);

    let refused = reload(&place).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    gateway.accept(&post("e3")).await;

    // Once the operator says so it is used, with a warning.
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write("gateway.toml", text.replace("\"strict\"", "\"lenient\""));
    let taken = reload(&place).await;
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert!(
        taken.stderr.contains("3 on which the plugin fails now"),
        "{}",
        taken.stderr
    );
    let warned = |line: &serde_json::Value| {
        let message = line["message"].as_str()?;
        message
            .contains("3 on which the plugin fails now")
            .then_some(())
    };
    gateway.log("what differs", warned).await;
    fail(&gateway, "one", "e4").await;
}

#[tokio::test]
async fn reload_sums_up_what_changed_rules_change() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("one", &plugin::parrot(), "")
        .plugin("two", &plugin::parrot(), "")
        .start()
        .await;
    for source in ["one", "two"] {
        for event_id in ["e1", "e2"] {
            let event = plugin::alert(event_id);
            gateway.accept(&plugin::alerts(source, &[event])).await;
        }
    }
    let text = std::fs::read_to_string(place.config()).unwrap();
    let rule = "[[sources.two.rules]]\nwhen = { title = \"Event e2\" }\nlabels = { a = \"b\" }\n";
    place.write("gateway.toml", text + rule);
    let taken = reload(&place).await;
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let said = "source two: 2 stored requests read once more: 1 as before, 1 with other alerts";
    assert!(taken.stderr.contains(said), "{}", taken.stderr);
    assert!(!taken.stderr.contains("source one"), "{}", taken.stderr);
    // Against what is in use nothing differs any more.
    let again = reload(&place).await;
    assert!(!again.stderr.contains("read once more"), "{}", again.stderr);
    // The store has the alerts as they were made.
    let checked = run(&place, &["check", "--against-store"]).await;
    assert!(
        checked.contains("source one: 2 stored requests read once more: 2 as before"),
        "{checked}"
    );
    assert!(checked.contains(said), "{checked}");
}

/// Personal data that no column of the store may hold.
const CANARIES: [&str; 4] = [
    "4155550142",
    "canary.person@example.org",
    "4111111111111111",
    "canary-street-7",
];

const REDACTED: &str = "token = \"canary-token-of-a-source\"
    redact = [\"/order/address\", \"phone-numbers\", \"email-addresses\", \"card-numbers\"]
    redact_stored = true";

/// A request with all of them, in the spellings of JSON and of a URL.
fn personal(source: &str, event_id: &str) -> Post {
    let mut alert = plugin::alert(event_id);
    alert["message"] = "call +1 415 555 0142 or +14155550142".into();
    alert["details"] = serde_json::json!({
        "order": { "address": CANARIES[3], "card": 4_111_111_111_111_111_u64 },
        "mail": CANARIES[1],
        "again": CANARIES[3],
    });
    let mut post = plugin::alerts(source, &[alert]);
    post.path += "?to=%2B14155550142&mail=canary.person%40example.org";
    post.header("Authorization", "Bearer canary-token-of-a-source")
        .header("X-Caller", "+14155550142")
}

/// Asserts that the files of the store hold none of the canaries, in any of these spellings.
fn holds_none(place: &Place) {
    for file in ["data/gateway.db", "data/gateway.db-wal"] {
        let bytes = std::fs::read(place.path(file)).unwrap_or_default();
        let holds = |text: &str| {
            let mut places = bytes.windows(text.len());
            places.any(|place| place == text.as_bytes())
        };
        for canary in CANARIES {
            for spelling in [canary.to_owned(), canary.replace('@', "%40")] {
                assert!(!holds(&spelling), "{spelling} is in {file}");
            }
        }
        for spaced in ["415 555 0142", "4111-1111"] {
            assert!(!holds(spaced), "{spaced} is in {file}");
        }
    }
}

#[tokio::test]
async fn redacted_text_is_in_no_column_of_the_store() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("shop", &plugin::parrot_of_strangers(), REDACTED)
        .plugin(
            "torn",
            &plugin::hostile(TRAP),
            &REDACTED.replace("token", "#"),
        )
        .start()
        .await;
    let request = gateway.accept(&personal("shop", "e1")).await;
    itoc360.opens_only(1).await;
    // Without an alert, a place in details is known only where the body is the details.
    let mut torn = personal("torn", "e2");
    let body = String::from_utf8(torn.body).unwrap();
    torn.body = body.replace(CANARIES[3], "elsewhere").into_bytes();
    let failed = gateway.post(&torn).await;
    assert_eq!(failed.status, 202, "{}", failed.body);
    holds_none(&place);

    let shown = run(&place, &["events", "show", &request]).await;
    // Nor is its sender's address, which a pattern may mask.
    assert!(
        shown.contains("\nsender    proof: the source's token\n"),
        "{shown}"
    );
    assert!(
        shown.contains("redacted before it was stored, in "),
        "{shown}"
    );
    let sent = itoc360.requests(1).await.remove(0);
    assert!(!String::from_utf8_lossy(&sent.body).contains("555"));

    // The masked request is read again once the plugin is fixed.
    place.write("torn.wasm", plugin::parrot());
    assert_eq!(reload(&place).await.code, Some(0));
    run(&place, &["events", "replay", "--failed"]).await;
    let id = failed.json()["request"].as_str().unwrap().to_owned();
    place.event_in_state(&id, "delivered").await;
    gateway.stop().await;
    holds_none(&place);
    place.is_whole().await;
}

#[tokio::test]
async fn try_shows_the_request_as_it_would_be_stored() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("shop", &plugin::parrot_of_strangers(), REDACTED)
        .place();
    let post = personal("shop", "e1");
    let body = String::from_utf8(post.body).unwrap();
    let message = format!(
        "POST https://gw.example.com{} HTTP/1.1\r\n\r\n{body}",
        post.path
    );
    place.write("request.http", message);
    let tried = run(&place, &["try", "--source", "shop", "request.http"]).await;
    let (_, stored) = tried.split_once("(redact_stored)").unwrap();
    assert!(stored.contains("[redacted phone-numbers]"), "{stored}");
    for canary in CANARIES {
        assert!(!stored.contains(canary), "{canary}: {stored}");
    }
}
