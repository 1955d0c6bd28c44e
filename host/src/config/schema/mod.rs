//! The JSON Schema of the configuration, for editors: `alert-gateway schema` prints it.
//!
//! Draft 7, which the TOML tools of editors know. The reader is what decides; the schema says the
//! same as far as a schema can, and `tests` compare the two key by key. An included file is a part
//! of a configuration, so no table is required at the top.

mod destination;
mod gateway;
mod plugin;
mod policy;
mod source;
mod value;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json, json};

use super::quantity::size_text;
use super::retention::IDENTITIES;
use super::{AGE, LEASE, QUARANTINE, SIZE, SPOOL_SIZE, shown_duration};
use value::{closed, duration, either, rate, secret, size, text, word};

/// The settings of a bundled plugin.
#[derive(Debug, Clone, Copy)]
pub struct PluginSettings<'p> {
    /// The plugin's name.
    pub name: &'p str,
    /// The JSON Schema of its settings.
    pub settings: &'p Json,
    /// The names of the settings that are secrets.
    pub secrets: &'p [String],
}

/// Returns the schema of a configuration that may use these plugins.
pub fn schema(plugins: &[PluginSettings<'_>]) -> Json {
    let mut definitions = Map::new();
    definitions.insert("variable".to_owned(), value::variable());
    definitions.insert("reference".to_owned(), value::reference());
    definitions.insert("condition".to_owned(), policy::condition());
    for plugin in plugins {
        definitions.insert(plugin::definition(plugin.name), plugin::settings(plugin));
    }
    let named = |what: &str, each: Json| {
        json!({
            "description": what,
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$" },
            "additionalProperties": each,
        })
    };
    let include = either(
        "Further files, in this order, and by name within one pattern. Default conf.d/*.toml, beside this file.",
        text("A path; its last part may hold * and ?."),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "alert gateway",
        "description": "The configuration of the alert gateway, or an included part of it.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "gateway": gateway::gateway(),
            "admin": gateway::admin(),
            "store": store(),
            "retention": retention(),
            "limits": limits("Limits for all sources."),
            "destinations": named("The services that alerts are sent to, by name.", destination::destination()),
            "sources": named("The senders, by name: each answers at /in/<name>.", source::source(plugins)),
            "mutes": policy::mutes(),
            "include": include,
        },
        "definitions": definitions,
    })
}

fn store() -> Json {
    let lease = format!(
        "The time after which another gateway takes over what a silent one did. Default {}.",
        shown_duration(LEASE)
    );
    let quarantine = format!(
        "The time for which a gateway that died while it delivered may still send something. Default {}.",
        shown_duration(QUARANTINE)
    );
    let spool_size = format!(
        "The size of what the spool may hold; beyond it, and beyond 250,000 requests, senders are refused. Default {}.",
        size_text(usize::try_from(SPOOL_SIZE).unwrap_or(usize::MAX))
    );
    closed(
        "Where requests and alerts are kept. Default: a file in data_dir.",
        &[],
        json!({
            "kind": word("A file of one gateway, or a database. Default embedded.", &["embedded", "postgres"]),
            "url": secret("The URL of the database: postgres://gateway@db/gateway?sslmode=verify-full"),
            "node": text("The name of this gateway among those that share the database. Default: that of the machine."),
            "lease": duration(lease),
            "quarantine": duration(quarantine),
            "replication": word(
                "What makes a commit survive the machine of the database. Default standby.",
                &["standby", "storage"],
            ),
            "spool": {
                "description": "Keeps requests on this machine's own disk while the database is away, and hands them over \
                                once it is back: until then they are lost with the machine. Default false.",
                "type": "boolean",
            },
            "spool_size": size(spool_size),
        }),
    )
}

fn retention() -> Json {
    let of = |size: u64| size_text(usize::try_from(size).unwrap_or(usize::MAX));
    let age = format!(
        "The time a delivered alert and its request are kept. Default {}.",
        shown_duration(AGE)
    );
    let whole = format!("The size of all that is kept. Default {}.", of(SIZE));
    let identities = format!(
        "The size of what tells a repeat from a new event. Default {}.",
        of(IDENTITIES)
    );
    closed(
        "How long requests and alerts are kept. Undelivered ones are never removed.",
        &[],
        json!({
            "age": duration(age),
            "size": size(whole),
            "identities": size(identities),
        }),
    )
}

/// The limits of a request and of a plugin call.
fn limits(what: &str) -> Json {
    closed(
        what,
        &[],
        json!({
            "body": size("The largest body."),
            "time": duration("The longest that a plugin may take for one request."),
            "memory": size("The most memory that a plugin may have."),
            "output": size("The most that a plugin may answer."),
            "rate": rate(),
        }),
    )
}
