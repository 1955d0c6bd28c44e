//! The files in `examples/` are read by people before anything else. They must be right.

use super::{environment, good, printed};
use crate::config::{Config, Networks};

const EVERY_KEY: &str = include_str!("../../../../examples/gateway.toml");
const SMALLEST: &str = include_str!("../../../../examples/twilio-errors.toml");
const TWO_ACCOUNTS: &str = include_str!("../../../../examples/two-accounts.toml");

#[test]
fn every_example_is_right_and_warns_of_nothing() {
    for example in [EVERY_KEY, SMALLEST, TWO_ACCOUNTS] {
        assert_eq!(printed(&good(example).warnings), [""; 0]);
    }
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    // The files of TLS must be there.
    let folder = tempfile::tempdir().expect("a folder");
    super::listeners::write_pair(folder.path());
    let key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let key = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    std::fs::write(folder.path().join("cosign.pub"), key).expect("a key");
    let file = folder.path().join("gateway.toml");
    let parse = |text: &str| {
        Config::parse(text, &file, &environment).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let short = parse(EVERY_KEY);
    let mut long = parse(&uncommented(EVERY_KEY));
    // These have no default but none.
    assert!(long.gateway.tls.take().is_some() && short.gateway.tls.is_none());
    assert!(long.gateway.trusted_proxies != Networks::default());
    long.gateway.trusted_proxies = Networks::default();
    let heartbeat = long.gateway.heartbeat.take().expect("a heartbeat");
    assert_eq!(
        (heartbeat.every, heartbeat.oldest),
        (crate::config::EVERY, crate::config::OLDEST)
    );
    assert!(short.gateway.heartbeat.is_none());
    let traces = long.gateway.traces.take().expect("traces");
    assert_eq!((traces.url.path(), traces.percent), ("/v1/traces", 100));
    assert!(short.gateway.traces.is_none());
    assert_eq!(
        (
            std::mem::take(&mut long.gateway.plugin_keys).len(),
            short.gateway.plugin_keys.len()
        ),
        (1, 0)
    );
    let admin = long.gateway.admin.as_mut().expect("an admin listener");
    assert!(admin.tls.take().is_some_and(|tls| tls.client_ca.is_some()));
    assert_eq!(
        (
            admin.tokens.drain(..).count(),
            admin.hosts.drain(..).count()
        ),
        (1, 1)
    );
    assert!(admin.users.header.take().is_some());
    assert!(!long.sources[0].clients.is_empty() && short.sources[0].clients.is_empty());
    assert!(
        std::mem::take(&mut long.gateway.memory_is_written) && !short.gateway.memory_is_written
    );
    assert_eq!(
        format!("{:?}", long.gateway),
        format!("{:?}", short.gateway)
    );
    assert_eq!(long.store, short.store);
    assert_eq!(
        format!("{:?}", long.retention),
        format!("{:?}", short.retention)
    );
    let network = std::mem::take(&mut long.destinations[0].network);
    assert!(
        network.proxy.is_some()
            && network.ca.is_some()
            && network.client.is_some()
            && !network.public_only
    );
    let fallback = long.destinations[0].fallback.take();
    assert_eq!(
        fallback.map(|fallback| fallback.after),
        Some(crate::config::FALLBACK_AFTER)
    );
    assert_eq!(
        format!("{:?}", long.destinations),
        format!("{:?}", short.destinations)
    );
    assert_ne!(
        long.sources[0].limits.written,
        short.sources[0].limits.written
    );
    long.sources[0].limits.written = short.sources[0].limits.written;
    assert_eq!(long.sources[0].limits, short.sources[0].limits);
    assert_eq!(
        (short.sources[0].tokens.len(), long.sources[0].tokens.len()),
        (0, 2)
    );
}

#[test]
fn the_example_shows_every_key() {
    // A file that lacks nothing but has one key too many in each table is told which keys there
    // are.
    let asked = uncommented(EVERY_KEY)
        .replace("]\n", "]\nzzzzzzzz = 1\n")
        .replace("}]\nzzzzzzzz = 1\n", "}]\n")
        .replace("\"]\nzzzzzzzz = 1\n", "\"]\n");
    let told = super::problems(&asked).join("\n");
    for (table, keys) in [
        (
            "[gateway]",
            "listen, listen_mode, tls, trusted_proxies, public_url, admin, admin_token, admin_tls, admin_hosts, data_dir, shutdown_grace, operator_destination, heartbeat, traces, memory, plugin_keys, plugin_store and reload",
        ),
        ("[admin]", "user_header and users"),
        ("[store]", "kind"),
        ("[retention]", "age, size and identities"),
        ("[limits]", "body, time, memory, output and rate"),
        (
            "[destinations.itoc360]",
            "kind, url, token, format, concurrency, timeout, egress, proxy, ca, client_cert, client_key, fallback and fallback_after",
        ),
        (
            "[sources.twilio-prod]",
            "plugin, destination, clients, token, expect_every, labels, rules, redact, redact_stored, resolve_after, group, settings and limits",
        ),
        (
            "[sources.twilio-prod.group]",
            "by, above, update_every and resolve_after",
        ),
        (
            "[sources.twilio-prod.limits]",
            "body, time, memory, output and rate",
        ),
    ] {
        let line = format!("unknown key \"zzzzzzzz\" in {table}; the keys here are {keys}");
        assert!(told.contains(&line), "{line}\nis not in\n{told}");
        let section = uncommented(EVERY_KEY)
            .split(&format!("\n{table}\n"))
            .nth(1)
            .map(str::to_owned)
            .unwrap_or_default();
        let section = format!("\n{}", section.split("\n[").next().unwrap_or_default());
        for key in keys.split([',', ' ']).filter(|key| {
            !["", "and", "rules", "users", "group", "settings", "limits"].contains(key)
        }) {
            assert!(
                section.contains(&format!("\n{key} = ")),
                "{table} does not show {key}"
            );
        }
    }
}

#[test]
fn every_table_of_the_destinations_page_is_right() {
    let page = include_str!("../../../../docs/destinations.md");
    let tables = page
        .split("```toml\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or_default());
    let mut kinds = std::collections::BTreeSet::new();
    for table in tables {
        let name = table
            .split(['.', ']'])
            .nth(1)
            .expect("a table of a destination");
        let rest = format!(
            "[gateway]\npublic_url = \"https://gw.example.com\"\n[sources.s]\nplugin = \"twilio-errors\"\n\
             destination = \"{name}\"\nsettings.auth_token = \"t\"\n"
        );
        let env = |name: &str| Some(format!("https://example.com/value-of-{name}"));
        let config = Config::parse(&(rest + table), "gateway.toml".as_ref(), &env)
            .unwrap_or_else(|problems| panic!("{table}\n{problems}"));
        kinds.insert(config.destinations[0].kind.as_str());
    }
    let heads: std::collections::BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .collect();
    assert!(kinds == heads && kinds.len() >= 7, "{kinds:?} {heads:?}");
}

#[test]
fn a_token_may_be_one_a_list_or_one_for_each_account() {
    let accounts = good(TWO_ACCOUNTS);
    let settings: Vec<_> = accounts
        .sources
        .iter()
        .map(|source| source.settings.json().get())
        .collect();
    let one = concat!(
        r#"{"auth_token":{"AC00000000000000000000000000000001":"value-of-TWILIO_SMS_TOKEN","#,
        r#""AC00000000000000000000000000000002":["value-of-TWILIO_SMS_EU_TOKEN","value-of-TWILIO_SMS_EU_TOKEN_NEXT"]}}"#
    );
    let other =
        r#"{"auth_token":["value-of-TWILIO_VOICE_TOKEN","value-of-TWILIO_VOICE_TOKEN_NEXT"]}"#;
    assert_eq!(settings, [other, one]);
    assert_eq!(
        good(SMALLEST).sources[0].settings.json().get(),
        r#"{"auth_token":"value-of-TWILIO_AUTH_TOKEN"}"#
    );
}

/// The file with its commented-out keys written out.
fn uncommented(text: &str) -> String {
    let key = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let (name, _) = rest.split_once(" = ")?;
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_')
            .then(|| rest.to_owned())
    };
    text.lines()
        .map(|line| key(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}
