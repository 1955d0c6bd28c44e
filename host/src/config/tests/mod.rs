//! The configuration from the outside: text in, meaning or problems out.

mod examples;
mod fallbacks;
mod hostile;
mod included;
mod listeners;
mod meaning;
mod mistakes;
mod secrecy;
mod settings;
mod variables;

use std::path::Path;

use super::{Config, Problem, Problems};

/// A typical configuration without a problem.
const GOOD: &str = r#"[gateway]
listen = "127.0.0.1:8080"
public_url = "https://alerts.example.com"
admin = "127.0.0.1:9090"
data_dir = "data"
shutdown_grace = "10s"

[retention]
age = "30d"
size = "4GiB"

[limits]
body = "256KiB"
time = "100ms"
memory = "16MiB"
output = "1MiB"

[destinations.itoc360]
kind = "itoc360"
url = "https://api.itoc360.app/functions/v1/events"
token = { env = "ITOC360_TOKEN" }
format = "alertmanager"
concurrency = 32
timeout = "10s"

[sources.twilio-prod]
plugin = "twilio-errors"
destination = "itoc360"
token = { env = "SOURCE_TOKEN" }

[sources.twilio-prod.settings]
auth_token = { env = "TWILIO_AUTH_TOKEN" }

[sources.twilio-prod.limits]
time = "200ms"
rate = "100/s"
"#;

/// An environment with every variable set, but for those that begin with `NO_` or `EMPTY_`.
fn environment(name: &str) -> Option<String> {
    match name {
        _ if name.starts_with("NO_") => None,
        _ if name.starts_with("EMPTY_") => Some(String::new()),
        _ => Some(format!("value-of-{name}")),
    }
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, Path::new("gateway.toml"), &environment)
}

/// The configuration, which has no problem.
fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"))
}

/// [`GOOD`] with one piece of it replaced.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(
        GOOD.matches(from).count(),
        1,
        "{from:?} should stand in GOOD once"
    );
    GOOD.replace(from, to)
}

/// Problems as they are printed, one a line, without the file's name.
fn problems(text: &str) -> Vec<String> {
    parse(text)
        .err()
        .map_or_else(Vec::new, |Problems(problems)| printed(&problems))
}

fn printed(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            problem
                .to_string()
                .trim_start_matches("gateway.toml:")
                .to_owned()
        })
        .collect()
}
