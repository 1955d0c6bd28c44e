//! The commands, and their answers.

use itoc360_double::{Format, Reply};

use crate::harness::{Itoc360, Place, Setup, twilio};

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

#[tokio::test]
async fn check_tells_what_a_configuration_means_and_the_url_to_paste() {
    let itoc360 = Itoc360::start(Format::Zapier).await;
    let place = Setup::new(&itoc360).place();
    let output = place.run(&["check"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let sha256 = alert_gateway_plugins::find("twilio-errors")
        .map(|plugin| sha256(plugin.wasm))
        .unwrap();
    for part in [
        "gateway.toml: configuration OK",
        "source twilio",
        "https://gw.example.com/in/twilio#rc=3&rp=all",
        &format!("sha256      {sha256}"),
        &itoc360.url(),
        "zapier",
        "127.0.0.1:0",
    ] {
        assert!(
            output.stdout.contains(part),
            "{part:?} is not in\n{}",
            output.stdout
        );
    }
    assert!(!place.path("data").exists(), "check leaves nothing behind");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn check_and_run_name_every_problem_and_exit_with_2() {
    let config = r#"
[gateway]
public_ulr = "https://gw.example.com"
listen = "nowhere"

[destinations.itoc360]
kind = "itoc36"
token = { env = "NOT_SET" }
format = "alertmanagr"

[sources.twilio]
plugin = "twilio-errors"
destination = "itoc"

[limits]
time = "100"
"#;
    let place = Place::of(config);
    for command in ["check", "run"] {
        let output = place.run(&[command]).await;
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output:?}");
        for part in [
            "gateway.toml:3:1: ",
            "did you mean \"public_url\"?",
            "gateway.toml:4:10: ",
            "gateway.toml:7:8: ",
            "did you mean \"itoc360\"?",
            "gateway.toml:8:",
            "NOT_SET",
            "gateway.toml:9:10: ",
            "did you mean \"alertmanager\"?",
            "gateway.toml:13:15: ",
            "gateway.toml:16:8: ",
        ] {
            assert!(
                output.stderr.contains(part),
                "{part:?} is not in\n{}",
                output.stderr
            );
        }
    }
}

#[tokio::test]
async fn check_shows_a_plugins_objection_at_the_operators_line() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .source(
            "typo",
            "plugin = \"twilio-errors\"\nsettings.auth_tokn = \"canary-1\"",
        )
        .source(
            "type",
            "plugin = \"twilio-errors\"\nsettings.auth_token = 12345",
        )
        .source("unknown", "plugin = \"twilio-eror\"")
        .source("open", "plugin = { path = \"stranger.wasm\" }")
        .place();
    place.write(
        "stranger.wasm",
        crate::harness::plugin::parrot_of_strangers(),
    );
    let output = place.run(&["check"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    for part in [
        "auth_tokn",
        "did you mean",
        "twilio-errors",
        "cannot tell who sends to it",
        "[sources.open]",
    ] {
        assert!(
            output.stderr.contains(part),
            "{part:?} is not in\n{}",
            output.stderr
        );
    }
    assert!(output.stderr.lines().count() >= 4, "{}", output.stderr);
    assert!(
        !output.stderr.contains("canary-1") && !output.stderr.contains("12345"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named() {
    let place = Place::of("");
    for command in [
        &["check"][..],
        &["run"],
        &["events", "list"],
        &["try", "--source", "x", "gateway.toml"],
    ] {
        let output = place
            .run(&[command, &["--config", "elsewhere.toml"]].concat())
            .await;
        assert_ne!(output.code, Some(0), "{command:?}");
        if command[0] != "try" {
            assert_eq!(output.code, Some(2), "{command:?}");
            assert!(output.stderr.contains("elsewhere.toml"), "{output:?}");
        }
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let itoc360 = Itoc360::alertmanager().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen", "admin"] {
        let place = Setup::new(&itoc360).place();
        let config = std::fs::read_to_string(place.config()).unwrap();
        place.write(
            "gateway.toml",
            config.replace(
                &format!("{key} = \"127.0.0.1:0\""),
                &format!("{key} = \"{address}\""),
            ),
        );
        let output = place.run(&["run"]).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        for part in [&*address, key, "is another program there?"] {
            assert!(
                output.stderr.contains(part),
                "{part:?} is not in\n{}",
                output.stderr
            );
        }
    }
}

#[tokio::test]
async fn foreign_address_is_told_apart_from_a_taken_one() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace("listen = \"127.0.0.1:0\"", "listen = \"192.0.2.1:0\""),
    );
    let output = place.run(&["run"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let said = "cannot listen at 192.0.2.1:0: this machine has no such address; choose another for `listen`";
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

#[tokio::test]
async fn second_gateway_on_the_same_data_is_refused() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let second = place.run(&["run"]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    for part in [
        "another gateway uses data",
        "stop it, or give this one a data_dir of its own",
    ] {
        assert!(
            second.stderr.contains(part),
            "{part:?} is not in\n{}",
            second.stderr
        );
    }
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn events_of_which_nothing_is_known_are_said_so() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let before = place.run_without_secrets(&["events", "list"]).await;
    assert_eq!(before.code, Some(1), "there is no store yet: {before:?}");
    let _gateway = place.start().await;
    let list = place.run_without_secrets(&["events", "list"]).await;
    assert_eq!((list.code, &*list.stdout), (Some(0), "no events\n"));
    for command in ["show", "replay"] {
        let output = place
            .run_without_secrets(&["events", command, "NO404"])
            .await;
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{output:?}");
        assert!(
            output.stderr.contains("NO404") && output.stderr.contains("events list"),
            "{}",
            output.stderr
        );
    }
    let usage = place.run_without_secrets(&["events", "replay"]).await;
    assert_eq!(usage.code, Some(2));
}

#[tokio::test]
async fn events_are_listed_newest_first_and_filtered() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).twilio("other").start().await;
    for number in 0..3 {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
            .await;
    }
    gateway
        .accept(&twilio::warning(&twilio::sid(3)).to("other"))
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == 4.0
        })
        .await;
    let ids = |lines: Vec<serde_json::Value>| -> Vec<String> {
        lines
            .iter()
            .map(|line| line["event_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(place.list(&[]).await), [3, 2, 1, 0].map(twilio::sid));
    assert_eq!(
        ids(place.list(&["--source", "other"]).await),
        [twilio::sid(3)]
    );
    assert_eq!(
        ids(place.list(&["--state", "delivered", "--since", "1h"]).await).len(),
        4
    );
    assert_eq!(ids(place.list(&["--state", "pending"]).await).len(), 0);
    assert_eq!(
        ids(place.list(&["--since", "2199-01-01T00:00:00Z"]).await).len(),
        0
    );
    let listed = place
        .run_without_secrets(&["events", "list", "--limit", "2"])
        .await;
    assert!(
        listed
            .stderr
            .contains("there are more: these are the newest 2; see --limit"),
        "{}",
        listed.stderr
    );
    let two = listed.stdout;
    assert_eq!(two.lines().count(), 3, "a header and two events: {two}");
    assert!(
        two.starts_with("RECEIVED (") && two.contains("  PRIORITY  SOURCE  ID "),
        "{two}"
    );
    let four = place
        .run_without_secrets(&["events", "list", "--limit", "4"])
        .await;
    assert_eq!(
        (four.stdout.lines().count(), &*four.stderr),
        (5, ""),
        "nothing was cut"
    );
    assert!(
        two.contains("medium") && two.contains("Twilio 30007: Message filtered"),
        "{two}"
    );
}

#[tokio::test]
async fn events_stay_to_be_seen_while_no_gateway_runs() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    itoc360.opens_only(1).await;
    assert_eq!(gateway.stop().await.code, Some(0));
    assert_eq!(
        place.event(&twilio::sid(1)).await["alerts"][0]["state"],
        "delivered"
    );
    assert_eq!(place.list(&[]).await.len(), 1);
}

#[tokio::test]
async fn the_demo_shows_one_alert_all_the_way() {
    let output = Place::of("").run_without_secrets(&["demo"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let places: Vec<_> = [
        "The sender posts",
        "answered 200",
        "\"accepted\":1",
        "ITOC360",
        "\"firing\"",
        "\nattempt   ",
        "\nreceipt   ",
    ]
    .map(|part| {
        output
            .stdout
            .find(part)
            .unwrap_or_else(|| panic!("{part:?} is not in\n{}", output.stdout))
    })
    .into();
    assert!(
        places.is_sorted(),
        "request, alert and receipt in this order: {places:?}"
    );
}

#[tokio::test]
async fn the_demo_that_is_kept_ends_at_ctrl_c_in_order() {
    let place = Place::of("");
    let mut process = place.launch(&["demo", "--keep"]);
    process.said("still running").await;
    process.interrupt();
    let output = process.output().await;
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in [&["demo"][..], &["completions", "bash"], &["--help"]] {
        let output = Place::of("").launch_unread(arguments).output().await;
        assert!(
            !output.stderr.contains("panicked"),
            "{arguments:?}: {output:?}"
        );
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn tail_prints_events_and_their_changes_of_state() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "down"));
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let mut tail = place.launch(&["events", "tail", "--json"]);
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let pending = tail.said("\"state\":\"pending\"").await;
    assert!(pending.contains(&twilio::sid(1)), "{pending}");
    itoc360.recovers();
    let delivered = tail.said("\"state\":\"delivered\"").await;
    assert!(delivered.contains(&twilio::sid(1)), "{delivered}");
}

#[tokio::test]
async fn audit_lists_who_did_what_and_why() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, _gateway) = Setup::new(&itoc360).start().await;
    let none = place.run_without_secrets(&["audit"]).await;
    assert_eq!(none.stdout, "no actions\n");
    let mute = ["mute", "add", "--when", "source=twilio", "--for", "1h"];
    for why in ["first", "second"] {
        let made = place
            .run_without_secrets(&[&mute[..], &["--why", why]].concat())
            .await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
    }
    let listed = place.run_without_secrets(&["audit", "--limit", "1"]).await;
    let line = listed.stdout.trim_end();
    assert!(
        line.contains("(command line)  mute") && line.ends_with("why: second"),
        "{line}"
    );
    assert!(listed.stderr.contains("--limit"), "{}", listed.stderr);
    let json = place.run_without_secrets(&["audit", "--json"]).await.stdout;
    let whys: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["why"].clone())
        .collect();
    assert_eq!(whys, ["second", "first"]);
}

#[tokio::test]
async fn every_command_explains_itself() {
    let place = Place::of("");
    for command in [
        &[][..],
        &["init"],
        &["run"],
        &["check"],
        &["try"],
        &["events"],
        &["events", "list"],
        &["events", "show"],
        &["events", "replay"],
        &["events", "export"],
        &["events", "tail"],
        &["events", "dismiss"],
        &["mute", "add"],
        &["mute", "list"],
        &["mute", "end"],
        &["groups"],
        &["top"],
        &["hash-password"],
        &["test"],
        &["health"],
        &["log-level"],
        &["reload"],
        &["plugin", "new"],
        &["plugin", "build"],
        &["plugin", "test"],
        &["plugin", "inspect"],
        &["plugin", "bench"],
        &["plugin", "list"],
        &["plugin", "dev"],
        &["plugin", "sign"],
        &["audit"],
        &["store", "check"],
        &["store", "backup"],
        &["demo"],
        &["schema"],
        &["man"],
        &["completions"],
    ] {
        let output = place
            .run_without_secrets(&[command, &["--help"]].concat())
            .await;
        let text = &output.stdout;
        let global = text
            .find("Global options:")
            .unwrap_or_else(|| panic!("{command:?}: {text}"));
        let own = text.find("\nOptions:");
        assert!(
            own.is_none_or(|own| own < global),
            "{command:?}: the options of every command are last"
        );
        if ![&[][..], &["events"], &["store"]].contains(&command) {
            assert!(
                text.contains("\nExamples:\n  "),
                "{command:?} shows no example"
            );
        }
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{command:?}");
        assert!(
            output.stdout.contains("Usage: alert-gateway") && output.stdout.len() > 200,
            "{command:?}: {output:?}"
        );
    }
    let version = place.run_without_secrets(&["--version"]).await;
    assert_eq!(
        version.stdout,
        format!("alert-gateway {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(place.run_without_secrets(&["rnu"]).await.code, Some(2));
}

#[tokio::test]
async fn completions_are_printed_for_every_shell() {
    for shell in SHELLS {
        let output = Place::of("")
            .run_without_secrets(&["completions", shell])
            .await;
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{shell}");
        assert!(
            output.stdout.contains("alert-gateway") && output.stdout.contains("replay"),
            "{shell}"
        );
    }
}
