//! The meaning of configurations without problems.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::{GOOD, edited, good, printed, problems};
use crate::config::{Config, Limits, PluginRef, Position, Rate, Written};

const SMALLEST: &str = r#"
[gateway]
public_url = "https://alerts.example.com"
[destinations.itoc360]
kind = "itoc360"
token = "t"
[sources.b]
plugin = "twilio-errors"
destination = "itoc360"
[sources.a]
plugin = "x"
destination = "itoc360"
token = ["one", "two"]
"#;

#[test]
fn what_is_not_written_has_the_documented_default() {
    let config = good(SMALLEST);
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config
            .gateway
            .admin
            .map(|admin| admin.address.to_string())
            .as_deref(),
        Some("127.0.0.1:9090")
    );
    assert_eq!(config.gateway.data_dir, Path::new("data"));
    assert_eq!(config.gateway.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.gateway.operator_destination, None);
    assert_eq!(config.sources[0].expect_every, None);
    assert_eq!(config.retention.age, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(config.retention.size, 4 << 30);
    let destination = &config.destinations[0];
    assert_eq!(
        destination.kind.shown(),
        "https://api.itoc360.app/functions/v1/events (alertmanager)"
    );
    assert_eq!(destination.network, crate::config::Network::default());
    assert_eq!(
        (destination.concurrency, destination.timeout),
        (32, Duration::from_secs(10))
    );
    let limits = Limits {
        body: 256 << 10,
        time: Duration::from_millis(100),
        memory: 16 << 20,
        output: 1 << 20,
        rate: None,
        written: Written::default(),
    };
    assert_eq!(config.sources[0].limits, limits);
    assert_eq!(config.sources[0].settings.json().get(), "{}");
}

#[test]
fn source_may_be_expected_and_operator_have_a_destination() {
    let ops = "[destinations.ops]\nkind = \"itoc360\"\ntoken = { env = \"OPS_TOKEN\" }\n";
    let text = edited("shutdown_grace = \"10s\"", "operator_destination = \"ops\"").replace(
        "token = { env = \"SOURCE_TOKEN\" }",
        "expect_every = \"26h\"",
    );
    let config = good(&(text + ops));
    assert_eq!(config.gateway.operator_destination.as_deref(), Some("ops"));
    assert_eq!(
        config.sources[0].expect_every,
        Some(Duration::from_secs(26 * 3600))
    );
    assert_eq!(
        printed(&config.warnings),
        [""; 0],
        "nobody has to send to it"
    );
    for (written, right) in [("1m", true), ("90d", true), ("59s", false), ("91d", false)] {
        let text = edited(
            "token = { env = \"SOURCE_TOKEN\" }",
            &format!("expect_every = \"{written}\""),
        );
        assert_eq!(problems(&text).is_empty(), right, "{written}");
    }
}

#[test]
fn sources_are_in_the_order_of_the_file_and_know_their_place() {
    let config = good(SMALLEST);
    let places: Vec<_> = config
        .sources
        .iter()
        .map(|source| (source.name.as_str(), source.position.line))
        .collect();
    assert_eq!(places, [("b", 7), ("a", 10)]);
    assert_eq!(
        config.sources[1].plugin_position,
        Position {
            file: 0,
            line: 11,
            column: 10
        }
    );
    assert_eq!(config.sources[1].plugin, PluginRef::Bundled("x".into()));
    let tokens: Vec<_> = config.sources[1]
        .tokens
        .iter()
        .map(|token| token.expose())
        .collect();
    assert_eq!(tokens, ["one", "two"]);
    assert!(config.sources[0].tokens.is_empty());
}

#[test]
fn source_answers_below_public_url_kept_byte_for_byte() {
    for (written, url) in [
        (
            "https://alerts.example.com",
            "https://alerts.example.com/in/twilio-prod",
        ),
        (
            "https://alerts.example.com/",
            "https://alerts.example.com/in/twilio-prod",
        ),
        (
            "https://Alerts.example.com:443/a%2Fb/C/",
            "https://Alerts.example.com:443/a%2Fb/C/in/twilio-prod",
        ),
        (
            "HTTPS://[::1]:8443/x",
            "HTTPS://[::1]:8443/x/in/twilio-prod",
        ),
    ] {
        let config = good(&edited("https://alerts.example.com", written));
        assert_eq!(config.sources[0].url(&config.gateway.public_url), url);
    }
}

#[test]
fn a_source_has_the_common_limits_but_for_its_own() {
    let config = good(&edited("\"16MiB\"", "\"32 MiB\"").replace("\"256KiB\"", "4096"));
    let time = Duration::from_millis(200);
    let written = config.sources[0].limits.written;
    assert!(written.body && written.memory, "{written:?}");
    let limits = Limits {
        body: 4096,
        time,
        memory: 32 << 20,
        output: 1 << 20,
        rate: rate(100, 1),
        written,
    };
    assert_eq!(config.sources[0].limits, limits);
}

fn rate(count: u32, seconds: u64) -> Option<Rate> {
    NonZeroU32::new(count).map(|count| Rate {
        count,
        per: Duration::from_secs(seconds),
    })
}

#[test]
fn a_rate_is_a_count_for_a_second_a_minute_or_an_hour() {
    for (written, means) in [
        ("1/s", rate(1, 1)),
        ("600/min", rate(600, 60)),
        (" 1000 / h ", rate(1000, 3600)),
        ("1000000/s", rate(1_000_000, 1)),
        ("off", None),
    ] {
        assert_eq!(
            good(&edited("100/s", written)).sources[0].limits.rate,
            means,
            "{written}"
        );
    }
}

#[test]
fn a_source_has_the_common_rate_and_can_be_without_it() {
    let common = edited("output = \"1MiB\"", "output = \"1MiB\"\nrate = \"5/min\"");
    for (written, means) in [
        ("", rate(5, 60)),
        ("rate = \"off\"", None),
        ("rate = \"7/h\"", rate(7, 3600)),
    ] {
        assert_eq!(
            good(&common.replace("rate = \"100/s\"", written)).sources[0]
                .limits
                .rate,
            means,
            "{written}"
        );
    }
}

#[test]
fn memory_defaults_to_room_for_the_largest_body() {
    assert_eq!(good(GOOD).gateway.memory, 256 << 20);
    assert_eq!(
        good(&edited("256KiB", "64MiB")).gateway.memory,
        56 * (64 << 20)
    );
    let with = |memory: &str| {
        edited(
            "shutdown_grace = \"10s\"",
            &format!("memory = \"{memory}\""),
        )
    };
    assert_eq!(good(&with("16MiB")).gateway.memory, 16 << 20);
    assert_eq!(
        good(&with("448MiB").replace("256KiB", "8MiB"))
            .gateway
            .memory,
        448 << 20
    );
    assert_eq!(
        problems(&with("447MiB").replace("256KiB", "8MiB")),
        [
            "26:1: this source takes bodies of \"8MiB\", which memory = \"447MiB\" in [gateway] has no room for; \
          write memory = \"448MiB\", or a smaller body"
        ]
    );
}

#[test]
fn memory_has_room_for_what_a_plugin_makes_of_a_body() {
    let with = |output: &str, memory: &str| {
        edited("shutdown_grace = \"10s\"", memory)
            .replace("output = \"1MiB\"", &format!("output = \"{output}\""))
    };
    assert_eq!(
        good(&with("63MiB", "").replace("256KiB", "1MiB"))
            .gateway
            .memory,
        12 * (64 << 20)
    );
    assert_eq!(
        good(&with("4MiB", "memory = \"51MiB\"")).gateway.memory,
        51 << 20
    );
    assert_eq!(
        problems(&with("4MiB", "memory = \"16MiB\"")),
        [
            "26:1: this source may make alerts of \"4MiB\", which memory = \"16MiB\" in [gateway] has no room for; \
          write memory = \"51MiB\", or a smaller output"
        ]
    );
}

#[test]
fn the_ends_of_each_range_are_within_it() {
    for (from, to) in [
        ("\"200ms\"", "\"10ms\""),
        ("\"200ms\"", "\"30s\""),
        ("\"16MiB\"", "\"1MiB\""),
        ("\"16MiB\"", "\"1GiB\""),
        ("\"256KiB\"", "\"1KiB\""),
        ("\"256KiB\"", "\"64MiB\""),
        ("\"1MiB\"", "\"1KiB\""),
        ("\"1MiB\"", "\"64MiB\""),
        ("concurrency = 32", "concurrency = 1"),
        ("concurrency = 32", "concurrency = 256"),
        ("\"30d\"", "\"1h\""),
        ("\"30d\"", "\"3650 days\""),
        ("shutdown_grace = \"10s\"", "shutdown_grace = \"0s\""),
        ("timeout = \"10s\"", "timeout = \"5m\""),
    ] {
        assert_eq!(problems(&edited(from, to)), [""; 0], "{to}");
    }
}

#[test]
fn admin_can_be_off_and_ports_left_to_the_system() {
    assert!(
        good(&edited("\"127.0.0.1:9090\"", "\"off\""))
            .gateway
            .admin
            .is_none()
    );
    let any = GOOD
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9090", "127.0.0.1:0");
    assert_eq!(
        good(&any).gateway.admin.map(|admin| admin.address.port()),
        Some(0)
    );
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway.toml");
    std::fs::write(folder.path().join("my.wasm"), b"").expect("a plugin");
    std::fs::write(folder.path().join("token"), "from-the-file\r\n").expect("a secret");
    let hash = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD";
    let text = edited(
        "plugin = \"twilio-errors\"",
        &format!("plugin = {{ path = \"my.wasm\", sha256 = \"{hash}\" }}"),
    );
    let text = text.replace("{ env = \"ITOC360_TOKEN\" }", "{ file = \"token\" }");
    let config = Config::parse(&text, &file, &super::environment).expect("no problems");
    assert_eq!(config.gateway.data_dir, folder.path().join("data"));
    let crate::config::DestinationKind::Itoc360 { token, .. } = &config.destinations[0].kind else {
        panic!("ITOC360")
    };
    assert_eq!(token.expose(), "from-the-file");
    let PluginRef::File {
        path,
        sha256: Some(sha256),
    } = &config.sources[0].plugin
    else {
        panic!("a file")
    };
    assert_eq!(
        (path, sha256.bytes()[0], sha256.bytes()[31]),
        (&folder.path().join("my.wasm"), 0x01, 0xcd)
    );
}

#[test]
fn settings_become_json_with_references_resolved() {
    let written = r#"auth_token = "a"
number = 0x1F
fraction = 1.5
yes = true
day = 2024-02-29
list = [1, { env = "A" }, [{ file = "Cargo.toml.none", other = 1 }]]
env = { env = "B" }
"a/b~c" = { deep = { env = "C" } }"#;
    let config = good(&edited(
        "auth_token = { env = \"TWILIO_AUTH_TOKEN\" }",
        written,
    ));
    let settings = &config.sources[0].settings;
    let expected = serde_json::json!({
        "auth_token": "a", "number": 31, "fraction": 1.5, "yes": true, "day": "2024-02-29",
        "list": [1, "value-of-A", [{ "file": "Cargo.toml.none", "other": 1 }]],
        "env": "value-of-B", "a/b~c": { "deep": "value-of-C" },
    });
    assert_eq!(*settings.value(), expected);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(settings.json().get()).ok(),
        Some(expected)
    );
    assert_eq!(
        settings.place("/list/1").value,
        Position {
            file: 0,
            line: 37,
            column: 12
        }
    );
    assert_eq!(
        settings.place("/a~1b~0c/deep").key,
        Position {
            file: 0,
            line: 39,
            column: 13
        }
    );
    assert_eq!(
        settings.place("/number/nothing/here").key,
        Position {
            file: 0,
            line: 33,
            column: 1
        }
    );
    assert_eq!(
        settings.place("").key,
        Position {
            file: 0,
            line: 31,
            column: 1
        }
    );
    assert!(
        settings.is_referenced("/list")
            && settings.is_referenced("/env")
            && settings.is_referenced("/a~1b~0c")
    );
    assert!(!settings.is_referenced("/auth_token") && !settings.is_referenced("/lis"));
}

#[test]
fn what_is_allowed_and_unwise_is_a_warning() {
    let text = edited(
        "\"https://alerts.example.com\"",
        &format!("\"http://alerts.example.com/{}\"", "x".repeat(80)),
    )
    .replace("https://api.itoc360.app", "http://api.itoc360.app")
    .replace("{ env = \"TWILIO_AUTH_TOKEN\" }", "\"$AUTH_TOKEN\"")
        + "[destinations.idle]\nkind = \"itoc360\"\ntoken = { env = \"IDLE_TOKEN\" }\n\
           [destinations.chat]\nkind = \"slack\"\nurl = \"http://hooks.acme.net/services/T1\"\n";
    let said = printed(&good(&text).warnings);
    assert_eq!(
        said,
        [
            "3:14: public_url in [gateway] is plain http; senders' requests can be read and changed on the way; put https \
             in front of the gateway",
            "20:7: url in [destinations.itoc360] is plain http; the token can be read on the way; write https",
            "26:1: the URL of this source has 121 characters, and some senders take no more than 100; shorten its name or \
             public_url",
            "32:14: auth_token in [sources.twilio-prod.settings] is the text \"$AUTH_TOKEN\", and nothing replaces it; \
             write { env = \"AUTH_TOKEN\" }",
            "37:1: no source sends to [destinations.idle]; write destination = \"idle\" in a source",
            "40:1: no source sends to [destinations.chat]; write destination = \"chat\" in a source",
            "42:7: url in [destinations.chat] is plain http; it may be a credential, and can be read on the way with all \
             that is sent there; write https",
        ]
    );
}

#[test]
fn mute_or_rule_of_an_unknown_source_is_a_warning() {
    let rules = "plugin = \"twilio-errors\"\n\
        rules = [{ when = { source = \"twilio-*\" }, drop = true }, { when = { source = \"other\" }, drop = true }]\n";
    let mute = |source: &str| {
        format!(
            "[[mutes]]\nwhen = {{ source = {source} }}\nuntil = 2030-01-01T00:00:00Z\nwhy = \"x\"\n"
        )
    };
    let text = edited("plugin = \"twilio-errors\"\n", rules)
        + &mute("[\"twilio-*\", \"twilio-prd\"]")
        + &mute("\"alert-gateway\"");
    let said = printed(&good(&text).warnings);
    assert_eq!(
        said,
        [
            "28:59: rule 2 of [sources.twilio-prod] is for alerts of other; all that it sees are of twilio-prod: leave the \
             source out",
            "38:1: mute 1 names the source \"twilio-prd\", and there is none; the sources are twilio-prod; did you mean \
             \"twilio-prod\"?",
        ]
    );
}

#[test]
fn user_is_not_called_like_an_actor_of_the_gateway() {
    for (name, is_free) in [
        ("kim", true),
        ("admin", true),
        ("admin token", false),
        ("Admin  Token ", false),
        ("nobody", false),
        ("client certificate", false),
        ("configuration", false),
        ("alert-gateway", false),
    ] {
        let user = format!(
            "[[admin.users]]\nname = {name:?}\nrole = \"operator\"\ntoken = {{ env = \"T\" }}\n"
        );
        let said = problems(&(GOOD.to_owned() + &user));
        let refused = said
            .iter()
            .any(|said| said.contains("in the audit this one stands for no user"));
        assert_eq!(
            (said.is_empty(), refused),
            (is_free, !is_free),
            "{name}: {said:?}"
        );
    }
}
