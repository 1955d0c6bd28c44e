//! `[sources.<name>]`.

use serde_json::{Value as Json, json};

use super::value::{closed, destinations, duration, labels, secret, some, text};
use super::{PluginSettings, limits, plugin, policy};

pub(super) fn source(plugins: &[PluginSettings<'_>]) -> Json {
    let mut source = closed(
        "A sender, the plugin that reads it, and where its alerts go.",
        &["plugin", "destination"],
        json!({
            "plugin": plugin::named(plugins),
            "destination": destinations("Where its alerts go."),
            "clients": some(
                "The networks from which requests are taken. Default anywhere.",
                text("An address or a network."),
            ),
            "token": some("Any one of these proves the sender.", secret("A token.")),
            "expect_every": duration("The time without requests before a missed heartbeat is reported."),
            "labels": labels("Labels that every alert gets."),
            "rules": policy::rules(),
            "redact": policy::redact(),
            "redact_stored": {
                "description": "Masks what `redact` names before a request is stored. It cannot be replayed as it came then, and its signature fits no more.",
                "type": "boolean",
            },
            "resolve_after": duration("The time without an event until the gateway resolves an alert."),
            "group": policy::group(),
            "settings": {
                "description": "The settings of its plugin: alert-gateway plugin inspect NAME",
                "type": "object",
            },
            "limits": limits("Limits for this source."),
        }),
    );
    source["allOf"] = plugins.iter().map(plugin::if_used).collect();
    source
}
