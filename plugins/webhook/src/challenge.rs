//! The question that a sender asks before it sends anything: whether the address is the operator's.
//!
//! The setting `challenge` names the sender. A challenge carries no event, and its answer tells the
//! sender nothing new: it is the sender's own text, or a text that only the owner of the secret can
//! make. So it is answered before the sender has proved itself, which most cannot do in this
//! request.

use plugin_sdk::challenge;
use plugin_sdk::contract::{Answer, Request};

use crate::tree::Node;

/// Senders whose challenge needs the secret: the answer is made with it, or goes only to a sender
/// that shows it.
const WITH_SECRET: [&str; 4] = ["meta", "netdata", "twitter", "zoom"];

/// Returns the answer to a challenge of the sender in the settings; `None` for any other request.
pub fn answer(settings: &Node<'_>, request: &Request) -> Option<Answer> {
    let name = settings.get("challenge")?.string()?;
    let secret = || {
        let secrets = settings
            .get("challenge_secret")
            .or_else(|| settings.get("secret"))?;
        secrets.one_or_several().first()?.string()
    };
    match &*name {
        "meta" => challenge::meta(request, &secret()?),
        "okta" => challenge::okta(request),
        "event-grid" => challenge::event_grid(request),
        "monday" => challenge::monday(request),
        "microsoft-graph" => challenge::microsoft_graph(request),
        "netdata" => challenge::netdata(request, &secret()?),
        "zoom" => challenge::zoom(request, &secret()?),
        "dropbox" => challenge::dropbox(request),
        "mandrill" | "trello" => challenge::head(request),
        "twitter" => challenge::twitter(request, &secret()?),
        _ => None,
    }
}

/// Returns whether the challenge that the settings name needs a secret.
pub fn needs_secret(settings: &Node<'_>) -> bool {
    let name = settings.get("challenge").and_then(Node::string);
    name.is_some_and(|name| WITH_SECRET.contains(&&*name))
}
