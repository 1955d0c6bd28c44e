//! Any JSON or form webhook, mapped to alerts by the source's settings alone: no code.
//!
//! The path of a request: [`sender`] proves who sent it, [`body`] makes one JSON text of what was sent, and [`tree`]
//! reads of it only what is asked for. The settings ask in one small language, [`place`]: `/labels/severity` is a
//! value, and `{/labels/severity}` stands for it in a [`template`]; [`scope`] answers. [`choice`] adds alternatives
//! and a table of values, [`condition`] tells what nobody needs to know, and [`alert`] puts it together, once for
//! each member of a list where the settings say so ([`members`]). [`check`] finds at the start what is wrong with a
//! mapping.
//!
//! Nothing in the settings can loop, and every text that an alert takes from a request is bounded, so the work grows
//! with the size of the request and of the settings, and with nothing else.

mod alert;
mod body;
mod check;
mod choice;
mod condition;
mod members;
mod place;
mod scope;
mod sender;
mod settings;
mod template;
mod tree;
mod words;

use plugin_sdk::contract::{Answer, Checked, Description, Request};
use plugin_sdk::{Plugin, export};

pub use settings::Settings;

/// The plugin.
pub struct Webhook;

export!(Webhook);

impl Plugin for Webhook {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            secrets: vec!["secret".to_owned()],
            // It is so where `sender` is set; `check` tells of each source.
            authenticates: false,
            setup: include_str!("setup.md").to_owned(),
            ..Description::new(
                "webhook",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
                include_str!("settings.schema.json"),
            )
        }
    }

    fn check(settings: &Settings) -> Checked {
        let settings = settings.table();
        Checked {
            mistakes: check::mistakes(&settings),
            authenticates: Some(settings.get("sender").is_some()),
            ..Checked::default()
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        let settings = settings.table();
        let greeting = settings.get("sender").map(|sender| sender::admit(sender, request, settings.get("secret")));
        match greeting {
            Some(Err(rejection)) => Answer::Rejected(rejection),
            Some(Ok(Some(answer))) => answer,
            Some(Ok(None)) | None => members::read(request, &settings),
        }
    }
}
