//! Makes alerts of the requests of `my-plugin`'s sender.
//!
//! As it stands, it reads
//! `{"id": "17", "check": "db-1", "title": "…", "severity": "…", "ok": false}`. To make it yours:
//! put a real request of your sender into `cases/`, and change `Event` and `known` until the answer
//! is right.

use plugin_sdk::contract::{
    Alert, Answer, Description, Note, NoteKind, Priority, Request, Status, Unreadable,
};
use plugin_sdk::signature::sha256;
use plugin_sdk::{Plugin, body, describe, export, json, text};
use serde::Deserialize;

/// The plugin. Every request is read by a fresh instance of it, so nothing is kept from one to the
/// next.
pub struct MyPlugin;

export!(MyPlugin);

/// The operator's `settings`. The gateway has checked them against the schema in `describe`, so
/// this must accept all that the schema accepts.
#[derive(Deserialize)]
pub struct Settings {
    /// The priority of an event without one.
    #[serde(default = "medium")]
    priority: Priority,
}

fn medium() -> Priority {
    Priority::Medium
}

/// The event, as far as an alert needs it. The alert's details have all of it.
#[derive(Deserialize)]
struct Event {
    /// Of this one event: when the sender posts it twice, one alert is enough.
    id: String,
    /// The thing that is broken, or well again.
    check: String,
    title: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    ok: bool,
}

impl Plugin for MyPlugin {
    type Settings = Settings;

    fn describe() -> Description {
        // The schema is strict (`additionalProperties`), so that the operator is told of a setting
        // with a misspelt name.
        // Name, version, summary, licence and homepage are those of Cargo.toml.
        Description {
            // What the operator does at the sender. `{url}` becomes the address of the operator's
            // source.
            setup: include_str!("setup.md").to_owned(),
            ..describe!("settings.schema.json")
        }
        // This plugin does not say `authenticates: true`, so the gateway demands a token of every
        // source that uses it. Where your sender signs its requests, declare that as `proof` (see
        // `plugin_sdk::contract::Demand`); then say so here, and reject in `read` what
        // `plugin_sdk::signature::verify` does not accept.
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        // From here on the sender has proved itself. Whatever it sends is an event that somebody
        // must see, so what is not understood is carried on as it is, and never refused.
        let alert = match event(request) {
            Ok(event) => known(event, &settings),
            Err(why) => unknown(&request.body.bytes(), why),
        };
        // All that the sender said: byte for byte where it is JSON, as text where it is not.
        Answer::alert(Alert {
            details: json::details("body_text", &request.text()),
            ..alert
        })
    }
}

/// The event in a request, or what cannot be read of it and where.
fn event(request: &Request) -> Result<Event, Unreadable> {
    let reading = body::read(request)?;
    let json = reading.json().unwrap_or_default();
    serde_json::from_str(&json).map_err(|_| Unreadable {
        reason: "another shape".to_owned(),
        at: String::new(),
    })
}

/// An event of the expected shape.
fn known(event: Event, settings: &Settings) -> Alert {
    let status = if event.ok {
        Status::Resolve
    } else {
        Status::Trigger
    };
    let priority = Priority::from_word(&event.severity);
    // What the operator should know: `try` shows it, and the gateway counts it.
    let unknown = priority.is_none() && !event.severity.is_empty();
    let notes = unknown
        .then(|| Note::new(NoteKind::UnknownPriority, "severity", &event.severity))
        .into_iter()
        .collect();
    Alert {
        notes,
        // One key is one alert: the event that ends it closes what the others have opened.
        key: Some(id(&event.check)),
        status,
        labels: [("check".to_owned(), event.check)].into(),
        // For somebody woken at night: what broke and where, in one line.
        ..Alert::new(
            id(&event.id),
            priority.unwrap_or(if unknown {
                // A word that is not known never ranks below a known one.
                Priority::Critical
            } else {
                settings.priority
            }),
            text::line(&event.title, 200),
        )
    }
}

/// Makes an alert of an event of unknown shape: at least HIGH, so that a person looks. Its id is
/// the hash of its body, so that a repeat is still known as one.
fn unknown(body: &[u8], why: Unreadable) -> Alert {
    let title = format!(
        "{}: an event of unknown shape ({why}); see its details",
        env!("CARGO_PKG_NAME")
    );
    Alert {
        unreadable: Some(why),
        ..Alert::new(sha256(body).hex(), Priority::High, title)
    }
}

/// An id is 1 to 256 bytes; one that is not becomes its hash.
fn id(given: &str) -> String {
    if (1..=256).contains(&given.len()) {
        given.to_owned()
    } else {
        sha256(given.as_bytes()).hex()
    }
}
