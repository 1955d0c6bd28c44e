//! Plugins that break: only their own source notices, and no request is lost to them.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Setup, plugin, twilio};

/// The code of each hostile plugin, with its label in the metrics.
const HOSTILE: [(&str, &str, &str); 6] = [
    ("traps", "(unreachable)", "trap"),
    (
        "loops",
        "(loop $forever (br $forever)) (unreachable)",
        "time",
    ),
    (
        "allocates",
        "(loop $forever (drop (memory.grow (i32.const 1))) (br $forever)) (unreachable)",
        "memory",
    ),
    (
        "floods",
        "(loop $forever (call $log_error (call $alloc (i64.const 100))) (br $forever)) (unreachable)",
        "time",
    ),
    (
        "babbles",
        "(call $output_set (call $alloc (i64.const 1000)) (i64.const 1000)) (i32.const 0)",
        "answer",
    ),
    (
        "bloats",
        "(call $output_set (call $alloc (i64.const 10485760)) (i64.const 10485760)) (i32.const 0)",
        "host_memory",
    ),
];

/// A healthy Twilio source among all of them.
async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = HOSTILE
        .iter()
        .fold(Setup::new(&itoc360), |setup, (name, read, _)| {
            setup.plugin(name, &plugin::hostile(read), "limits.time = \"100ms\"")
        });
    let (place, gateway) = setup.start().await;
    (itoc360, place, gateway)
}

#[tokio::test]
async fn breaking_plugins_lose_nothing_and_delay_no_other_source() {
    let (itoc360, place, gateway) = start().await;
    let mut breaking = tokio::task::JoinSet::new();
    for number in 0..5 {
        for (name, ..) in HOSTILE {
            let sender = gateway.sender();
            let post = plugin::alerts(name, &[plugin::alert(&format!("{name}-{number}"))]);
            breaking.spawn(async move { sender.post(&post).await.unwrap() });
        }
    }
    for number in 0..20 {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
            .await;
    }
    for answer in breaking.join_all().await {
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert!(
            answer.json()["request"].is_string() && answer.json()["kept"].is_string(),
            "{}",
            answer.body
        );
    }
    // Each source has told once that its plugin fails.
    itoc360.opens_only(20 + HOSTILE.len()).await;
    let metrics = gateway.metrics().await;
    for (name, _, kind) in HOSTILE {
        assert_eq!(
            place
                .list(&["--state", "failed", "--source", name])
                .await
                .len(),
            5,
            "{name}"
        );
        let about: Vec<_> = metrics
            .iter()
            .filter(|(key, value)| key.contains(name) && key.contains("_total") && **value > 0.0)
            .collect();
        let failures =
            format!("alert_gateway_plugin_failures_total{{source=\"{name}\",kind=\"{kind}\"}}");
        let kept = format!("alert_gateway_requests_total{{source=\"{name}\",outcome=\"kept\"}}");
        assert_eq!(about, [(&failures, &5.0), (&kept, &5.0)]);
    }
    assert_eq!(metrics["alert_gateway_requests_failed"], 30.0);
}

#[tokio::test]
async fn what_is_kept_is_read_again_once_its_plugin_is_mended() {
    let (itoc360, place, mut gateway) = start().await;
    let mut kept = Vec::new();
    for (name, ..) in HOSTILE {
        let answer = gateway
            .post(&plugin::alerts(name, &[plugin::alert(name)]))
            .await;
        let id = answer.json()["request"].as_str().unwrap().to_owned();
        let line = gateway
            .log("what to do about it", |line| {
                (line["request"] == id).then(|| line.clone())
            })
            .await;
        assert!(
            line["help"]
                .as_str()
                .unwrap()
                .contains(&format!("events replay {id}")),
            "{line}"
        );
        kept.push(id);
    }
    // Too early: they fail again, and stay.
    let replay = [
        &["events", "replay"][..],
        &kept.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    assert_eq!(place.run_without_secrets(&replay).await.code, Some(0));
    for id in &kept {
        let read_again =
            |line: &Value| (line["request"] == *id && line["state"] == "failed").then_some(());
        gateway.log("it was read again", read_again).await;
        assert_eq!(place.event(id).await["state"], "failed");
    }

    // In order, because what was logged of the last one may not be written down yet.
    assert_eq!(gateway.stop().await.code, Some(0));
    for (name, ..) in HOSTILE {
        fs::write(place.path(&format!("{name}.wasm")), plugin::parrot()).unwrap();
    }
    let gateway = place.start().await;
    assert_eq!(
        place.list(&["--state", "failed"]).await.len(),
        HOSTILE.len(),
        "nothing is read again unasked"
    );
    assert_eq!(place.run_without_secrets(&replay).await.code, Some(0));
    gateway
        .metric("alert_gateway_requests_failed", |failed| failed == 0.0)
        .await;
    for ((name, ..), id) in HOSTILE.iter().zip(&kept) {
        let event = place.event_in_state(name, "delivered").await;
        assert_eq!(
            (&event["id"], &event["state"]),
            (&json!(id), &json!("read"))
        );
    }
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    let tally = itoc360.tally();
    assert_eq!(
        (tally.open, tally.resolved),
        (HOSTILE.len(), HOSTILE.len()),
        "what was told of them is over: {tally:?}"
    );

    // Safe to repeat.
    let again = place.run_without_secrets(&replay).await;
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    let repeated = gateway
        .post(&plugin::alerts("traps", &[plugin::alert("traps")]))
        .await;
    assert_eq!(repeated.json()["duplicates"], 1);
}

#[tokio::test]
async fn repeated_plugin_failures_log_one_line_of_each_kind() {
    let (_itoc360, place, gateway) = start().await;
    let mut first = Vec::new();
    for number in 0..20 {
        for name in ["traps", "babbles"] {
            let answer = gateway
                .post(&plugin::alerts(name, &[plugin::alert(&number.to_string())]))
                .await;
            assert_eq!(answer.status, 202, "{}", answer.body);
            if number == 0 {
                first.push(answer.json()["request"].clone());
            }
        }
    }
    let logged = gateway.stop().await.stderr;
    let lines = logged
        .lines()
        .filter(|line| line.contains("the plugin failed"));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let about: Vec<_> = lines
        .iter()
        .map(|line| (&line["kind"], &line["request"], &line["left_out"]))
        .collect();
    let none = json!(0);
    assert_eq!(
        about,
        [
            (&json!("trap"), &first[0], &none),
            (&json!("answer"), &first[1], &none)
        ],
        "{logged}"
    );
    assert!(
        lines[0]["help"]
            .as_str()
            .unwrap()
            .contains(&format!("events replay {}", first[0].as_str().unwrap()))
    );
    // The others are where the operator looks for them.
    assert_eq!(
        place
            .list(&["--state", "failed", "--source", "traps"])
            .await
            .len(),
        20
    );
}

#[tokio::test]
async fn a_list_of_replays_is_not_held_in_memory_at_once() {
    const COUNT: usize = 80;
    let itoc360 = Itoc360::alertmanager().await;
    // With a token each sender is proved, so that the bound on what strangers can fill does not
    // hold.
    let lines = "token = \"a-token-of-some-length\"\nlimits.body = \"1MiB\"";
    let place = Setup::new(&itoc360)
        .plugin("traps", &plugin::hostile("(unreachable)"), lines)
        .place();
    let gateway = place.start().await;
    let mut replay = vec!["events".to_owned(), "replay".to_owned()];
    for _ in 0..COUNT {
        let answer = gateway
            .post(&twilio::unsigned(
                "/in/traps?token=a-token-of-some-length",
                vec![b'x'; 1_000_000],
            ))
            .await;
        replay.push(answer.json()["request"].as_str().unwrap().to_owned());
    }
    gateway.kill().await;
    let mut gateway = place.start().await;
    let idle = gateway.memory_kib(true);
    let replay: Vec<_> = replay.iter().map(String::as_str).collect();
    assert_eq!(place.run_without_secrets(&replay).await.code, Some(0));
    for id in &replay[2..] {
        gateway
            .log("it was read again", |line| {
                (line["request"] == *id).then_some(())
            })
            .await;
    }
    let peak = gateway.memory_kib(true);
    println!("{idle} KiB idle, {peak} KiB at the most");
    assert!(
        peak < idle + COUNT as u64 * 1000 * 3 / 4,
        "{idle} KiB idle, {peak} KiB at the most"
    );
    gateway.kill().await;
}

#[tokio::test]
async fn a_plugin_that_floods_the_log_is_cut_short() {
    let (_itoc360, _place, gateway) = start().await;
    gateway
        .post(&plugin::alerts("floods", &[plugin::alert("1")]))
        .await;
    let said = gateway.stop().await.stderr;
    let flooded = said
        .lines()
        .filter(|line| line.contains("\"plugin\":\"floods\""))
        .count();
    assert!((1..200).contains(&flooded), "{flooded} lines");
    assert!(said.contains("further lines were suppressed"), "{said}");
}

#[tokio::test]
async fn overloaded_source_asks_to_retry_and_stores_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let forever = plugin::hostile("(loop $forever (br $forever)) (unreachable)");
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("loops", &forever, "limits.time = \"30s\"")
        .start()
        .await;
    let mut breaking = tokio::task::JoinSet::new();
    for number in 0..3 {
        let sender = gateway.sender();
        let post = plugin::alerts("loops", &[plugin::alert(&number.to_string())]);
        breaking.spawn(async move { sender.post(&post).await.unwrap() });
    }
    let first = breaking.join_next().await.unwrap().unwrap();
    first.is_problem(429);
    assert_eq!(first.header("retry-after"), "1");
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    assert!(place.list(&["--source", "loops"]).await.is_empty());
    gateway.kill().await;
}

/// Schemas of settings that would cost a checker without bounds its time, its memory or its stack, each with what is
/// said of it.
fn hostile_schemas() -> Vec<(&'static str, Value, &'static str)> {
    let text = |pattern: &str| json!({ "properties": { "text": { "pattern": pattern } } });
    let twice = |name: &str| json!({ "allOf": [{ "$ref": name }, { "$ref": name }] });
    let mut multiplying = json!({ "$ref": "#/$defs/0", "$defs": {} });
    for number in 0..40 {
        let next = format!("#/$defs/{}", number + 1);
        multiplying["$defs"][number.to_string()] = twice(&next);
    }
    multiplying["$defs"]["40"] = json!({ "type": "string" });
    let nested = (0..100).fold(json!({}), |inner, _| json!({ "not": inner }));
    vec![
        ("backtracks", text("^(a+)+$"), "does not match"),
        ("alternates", text("^(a|a|aa)*b$"), "does not match"),
        (
            "repeats",
            text("((a{1000}){1000}){1000}"),
            "invalid JSON Schema",
        ),
        ("refers-back", text("(a+)\\1"), "invalid JSON Schema"),
        (
            "names",
            json!({ "patternProperties": { "(x+x+)+y": false } }),
            "",
        ),
        ("multiplies", multiplying, "invalid JSON Schema"),
        (
            "circles",
            json!({ "allOf": [{ "$ref": "#" }] }),
            "invalid JSON Schema",
        ),
        (
            "fetches",
            json!({ "$ref": "http://127.0.0.1:9/schema.json" }),
            "invalid JSON Schema",
        ),
        ("nests", nested, ""),
    ]
}

#[tokio::test]
async fn hostile_schemas_of_settings_are_judged_within_bounds() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    let config = fs::read_to_string(place.config()).unwrap();
    let settings = format!("settings.text = \"{}!\"", "a".repeat(5_000));
    let source = |name: &str| {
        format!(
            "\n[sources.{name}]\nplugin = {{ path = \"{name}.wasm\" }}\ndestination = \"itoc360\"\n{settings}\n"
        )
    };
    for (name, schema, said) in hostile_schemas() {
        let mut description = plugin::description();
        description["settings"] = schema;
        let wasm = plugin::answering(&description.to_string(), "{}");
        fs::write(place.path(&format!("{name}.wasm")), wasm).unwrap();
        place.write("gateway.toml", format!("{config}{}", source(name)));
        let checked = place.run(&["check"]).await;
        assert_eq!(
            checked.code == Some(0),
            said.is_empty(),
            "{name}: {}",
            checked.stderr
        );
        assert!(checked.stderr.contains(said), "{name}: {}", checked.stderr);
    }
    // All of them at once leave a running gateway as it is.
    let all: String = hostile_schemas()
        .iter()
        .map(|(name, ..)| source(name))
        .collect();
    place.write("gateway.toml", config + &all);
    gateway.hang_up();
    let refused = |line: &Value| (line["outcome"] == "refused").then_some(());
    gateway.log("the configuration is refused", refused).await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    itoc360.opens_only(1).await;
}
