//! Alerts from any program that can post a few lines of JSON: a back-up script, a sensor, a cron
//! job.

use std::ops::RangeInclusive;

use plugin_sdk::contract::{
    Alert, Answer, Description, Note, NoteKind, Priority, Request, Status, Unreadable,
};
use plugin_sdk::signature::sha256;
use plugin_sdk::{Plugin, export, json, text};
use serde::Deserialize;

/// The longest id, in bytes: the host accepts 256 for an event id, which appends the status and a
/// time.
const IDS: RangeInclusive<usize> = 1..=200;

/// The plugin.
pub struct Custom;

export!(Custom);

/// The settings: there are none.
#[derive(Deserialize)]
pub struct Settings {}

/// A report, as the program posts it. `id` names the broken thing; with `"ok": true` it is fixed.
#[derive(Deserialize)]
struct Report {
    id: String,
    title: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    ok: bool,
}

impl Plugin for Custom {
    type Settings = Settings;

    fn describe() -> Description {
        let settings = r#"{ "type": "object", "additionalProperties": false }"#;
        Description {
            setup: "Post JSON to {url} with the source's token:\n`{\"id\": \"backup\", \"title\": \"Back-up failed\", \
                    \"severity\": \"high\"}`, and the same with `\"ok\": true` when it works again."
                .into(),
            ..Description::new("custom-plugin", env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"), settings)
        }
    }

    fn read(request: &Request, _: Settings) -> Answer {
        let body = request.body.text();
        // The source's token has proved the sender, so nothing it says is refused: a refused alert
        // is lost.
        let report = serde_json::from_str::<Report>(&body)
            .ok()
            .filter(|report| IDS.contains(&report.id.len()));
        Answer::alert(match report {
            Some(report) => of_report(report, &request.received_at),
            None => of_something_else(&request.source, &body),
        })
    }
}

/// Makes an event of a report. Reports with one id belong to one alert, until it is fixed.
fn of_report(report: Report, received_at: &str) -> Alert {
    let known = Priority::from_word(&report.severity);
    let is_unknown = known.is_none() && !report.severity.trim().is_empty();
    // A word that is not known never ranks below a known one, and the operator is told of it.
    let priority = known.unwrap_or(if is_unknown {
        Priority::Critical
    } else {
        Priority::Medium
    });
    let notes =
        is_unknown.then(|| Note::new(NoteKind::UnknownPriority, "severity", &report.severity));
    let status = if report.ok {
        Status::Resolve
    } else {
        Status::Trigger
    };
    let event_id = format!("{} {} {received_at}", report.id, status.as_str());
    let title = if report.title.trim().is_empty() {
        &report.id
    } else {
        &report.title
    };
    let title = text::line(title, 200);
    Alert {
        key: Some(report.id),
        status,
        notes: notes.into_iter().collect(),
        ..Alert::new(event_id, priority, title)
    }
}

/// Makes an alert of any other body, because its sender meant one: it says so, the details show the
/// body, and its hash is the event id.
fn of_something_else(source: &str, body: &str) -> Alert {
    let event_id = format!("sha256:{}", sha256(body.as_bytes()).hex());
    let title = format!("{source}: a report of another shape");
    let unreadable = Unreadable {
        reason: "another shape".to_owned(),
        at: String::new(),
    };
    Alert {
        unreadable: Some(unreadable),
        details: json::details("body_text", body),
        ..Alert::new(event_id, Priority::High, title)
    }
}
