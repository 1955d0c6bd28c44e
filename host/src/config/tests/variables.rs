//! `{ env = "…" }` in the place of any text.

use std::path::Path;

use super::GOOD;
use crate::config::{Config, Listen, Problems, Rate};

/// [`GOOD`] with every text that is no secret taken from a variable.
const EVERYWHERE: &str = r#"
[gateway]
listen = { env = "LISTEN" }
public_url = { env = "URL" }
admin = { env = "ADMIN" }
data_dir = { env = "DATA" }
shutdown_grace = { env = "GRACE" }
trusted_proxies = [{ env = "PROXY" }]
memory = { env = "MEMORY" }
operator_destination = { env = "NAME" }

[limits]
rate = { env = "RATE" }

[destinations.d]
kind = { env = "KIND" }
token = "0123456789abcdef0123"
format = { env = "FORMAT" }

[sources.a]
plugin = { env = "PLUGIN" }
destination = [{ env = "NAME" }]
token = "0123456789abcdef0123"
labels = { env = "prod", team = { env = "TEAM" } }
redact = { env = "REDACT" }
resolve_after = { env = "GRACE" }

[[sources.a.rules]]
when = { env = ["prod", { env = "TEAM" }], priority = { env = "PRIORITY" } }
priority = { env = "PRIORITY" }
key = { env = "KEY" }

[sources.a.group]
by = { env = "TEAM" }
above = { env = "ABOVE" }

[[mutes]]
when = { source = { env = "NAME" } }
from = { env = "FROM" }
until = { env = "UNTIL" }
why = { env = "TEAM" }
"#;

fn value(name: &str) -> Option<String> {
    let value = match name {
        "LISTEN" => "unix:in.sock",
        "URL" => "https://alerts.example.com",
        "ADMIN" => "off",
        "DATA" => "kept",
        "GRACE" => "7s",
        "PROXY" => "10.0.0.0/8",
        "MEMORY" => "64MiB",
        "NAME" => "d",
        "RATE" => "5/s",
        "KIND" => "itoc360",
        "FORMAT" => "zapier",
        "PLUGIN" => "twilio-errors",
        "TEAM" => "voice",
        "REDACT" => "phone-numbers",
        "PRIORITY" => "low",
        "KEY" => "{service}",
        "ABOVE" => "20/5m",
        "FROM" => "2029-01-01T00:00:00Z",
        "UNTIL" => "2030-01-01T00:00:00Z",
        _ => return None,
    };
    Some(value.to_owned())
}

fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<String>> {
    Config::parse(text, Path::new("gateway.toml"), env)
        .map_err(|Problems(problems)| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn every_text_can_be_a_variable() {
    let config = parse(EVERYWHERE, &value).unwrap();
    let gateway = &config.gateway;
    assert!(matches!(&gateway.listen, Listen::Unix { path, .. } if path.ends_with("in.sock")));
    assert!(gateway.admin.is_none());
    assert_eq!(gateway.public_url.as_str(), "https://alerts.example.com");
    assert_eq!(
        (gateway.shutdown_grace.as_secs(), gateway.memory),
        (7, 64 << 20)
    );
    let source = &config.sources[0];
    assert_eq!(
        (
            source.labels["env"].as_str(),
            source.labels["team"].as_str()
        ),
        ("prod", "voice")
    );
    assert_eq!(
        source.rules[0].when.to_string(),
        "env=prod|voice priority=low"
    );
    assert!(matches!(source.limits.rate, Some(Rate { count, .. }) if count.get() == 5));
    assert_eq!(source.group.as_ref().unwrap().by, ["voice"]);
    assert_eq!(
        (config.mutes.len(), config.mutes[0].why.as_str()),
        (1, "voice")
    );
}

#[test]
fn variable_that_is_not_set_or_empty_is_a_problem() {
    let problems = parse(EVERYWHERE, &|name| match name {
        "GRACE" => None,
        "TEAM" => Some(String::new()),
        name => value(name),
    })
    .unwrap_err();
    let unset = problems
        .iter()
        .filter(|line| line.contains("GRACE, which is not set"))
        .count();
    let empty = problems
        .iter()
        .filter(|line| line.contains("TEAM, which is empty"))
        .count();
    assert_eq!((unset, empty, problems.len()), (2, 4, 6), "{problems:#?}");
    assert!(
        problems[0].starts_with("gateway.toml:7:18: "),
        "{problems:#?}"
    );
}

#[test]
fn wrong_text_of_a_variable_is_never_shown() {
    const SECRET: &str = "canary-5b1f/x.y";
    // The name of the wrong variable, which may well be a secret's.
    let problems = parse(EVERYWHERE, &|_| Some(SECRET.to_owned())).unwrap_err();
    assert!(problems.len() >= 12, "{problems:#?}");
    for line in &problems {
        assert!(!line.contains("canary"), "{line}");
    }
    let alone = GOOD.replace("destination = \"itoc360\"", "destination = { env = \"X\" }");
    let problems = parse(&alone, &|_| Some(SECRET.to_owned())).unwrap_err();
    assert!(
        problems.iter().all(|line| !line.contains("canary")),
        "{problems:#?}"
    );
    let file = GOOD.replace(
        "plugin = \"twilio-errors\"",
        "plugin = { path = { env = \"X\" } }",
    );
    let problems = parse(&file, &|_| Some(SECRET.to_owned())).unwrap_err();
    assert!(
        problems.iter().all(|line| !line.contains("canary")),
        "{problems:#?}"
    );
}
