//! Alerts from any program that can post a few lines of JSON: a back-up script, a sensor, a cron job.

use plugin_sdk::contract::{Alert, Answer, Description, Priority, RejectionKind, Request, Status};
use plugin_sdk::{Plugin, export, text};
use serde::Deserialize;

/// The plugin.
pub struct Custom;

export!(Custom);

/// It has no settings.
#[derive(Deserialize)]
pub struct Settings {}

/// What the program posts. `id` names the thing that broke: with `"ok": true` it is mended.
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
        let report: Report = match serde_json::from_slice(&request.body.bytes()) {
            Ok(report) => report,
            Err(error) => {
                return Answer::rejected(RejectionKind::Malformed, format!("not a report: {error}"), "");
            }
        };
        let priority = Priority::from_word(&report.severity).unwrap_or(Priority::Medium);
        // Every report is an event of its own; those of one id are one alert, until it is mended.
        let status = if report.ok { Status::Resolve } else { Status::Trigger };
        let event_id = format!("{} {} {}", report.id, status.as_str(), request.received_at);
        Answer::alert(Alert {
            key: Some(report.id),
            status,
            ..Alert::new(event_id, priority, text::line(&report.title, 200))
        })
    }
}
