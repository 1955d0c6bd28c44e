//! Any JSON or form webhook, mapped to alerts by the source's settings alone: no code.
//!
//! The path of a request: [`challenge`] answers the sender's question before it sends anything,
//! [`sender`] authenticates the request, the SDK makes one JSON text of the body ([`decode`]
//! unpacks JSON within), and [`tree`] reads only the wanted parts of it. The settings ask in one
//! small language, [`place`]: `/labels/severity` is a value, and `{/labels/severity}` stands for it
//! in a [`template`], through each [`filter`] behind it; [`scope`] answers. [`choice`] adds
//! alternatives and a table of values, [`condition`] tells what needs nobody, [`labels`] gathers
//! labels, and [`alert`] puts it together, once for each member of a list where the settings say so
//! ([`members`]). [`identity`] says which event it is. [`check`] finds at the start what is wrong
//! with a mapping.
//!
//! Nothing in the settings can loop, and every text that an alert takes from a request is bounded,
//! so the work grows with the size of the request and of the settings, and with nothing else.

mod alert;
mod challenge;
mod check;
mod choice;
mod condition;
mod decode;
mod filter;
mod identity;
mod labels;
mod members;
mod place;
mod scope;
mod sender;
mod settings;
mod template;
mod tree;

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
            secrets: vec![sender::SECRET.to_owned(), "challenge_secret".to_owned()],
            // It is so where `sender` is set; `check` tells of each source.
            authenticates: false,
            setup: include_str!("setup.md").to_owned(),
            // Some senders ask by it for an answer before they send anything, and some send their
            // events so.
            methods: vec!["GET".to_owned(), "HEAD".to_owned()],
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
            warnings: check::warnings(&settings),
            authenticates: Some(settings.get("sender").is_some()),
            proof: Some(sender::demands(&settings)),
        }
    }

    fn read(request: &Request, settings: Settings) -> Answer {
        let settings = settings.table();
        if let Some(answer) = challenge::answer(&settings, request) {
            return answer;
        }
        let mut proof = None;
        if let Some(sender) = settings.get("sender") {
            match sender::admit(sender, request, settings.get(sender::SECRET)) {
                Ok(proved) => proof = proved,
                Err(rejection) => return Answer::Rejected(rejection),
            }
            if let Some(answer) = sender::greeting(sender, request) {
                return answer;
            }
        }
        if is_a_look(request) {
            return Answer::ignored(format!(
                "a {} that carries nothing: a look at the address, or a sender that tries it",
                request.method
            ));
        }
        members::read(request, &settings, proof.as_ref())
    }
}

/// Returns whether a request is a GET or a HEAD with neither a body nor anything in its URL but the
/// source's token.
fn is_a_look(request: &Request) -> bool {
    let query = request.query();
    let carries = query.fields().iter().any(|(name, _)| &**name != b"token");
    matches!(&*request.method, "GET" | "HEAD") && !carries && request.body.bytes().is_empty()
}
