//! `[gateway]`.

use serde_json::{Value as Json, json};

use super::value::{closed, duration, formed, secret, size, some, text, word};
use crate::config::{
    ADMIN, EVERY, LISTEN, MEMORY, OLDEST, SHUTDOWN_GRACE, shown_duration, size_text,
};

pub(super) fn gateway() -> Json {
    let listen = format!(
        "Where requests are taken: an IP address and a port, or unix:PATH. Default {LISTEN}."
    );
    let admin = format!(
        "The address of health, metrics and pages for operators, or \"off\". Default {ADMIN}."
    );
    let grace = format!(
        "The time that requests and deliveries may take to end at a stop. Default {}.",
        shown_duration(SHUTDOWN_GRACE)
    );
    let memory = format!(
        "The most memory that senders can make the gateway hold. Default {}.",
        size_text(MEMORY)
    );
    closed(
        "The gateway itself.",
        &["public_url"],
        json!({
            "listen": text(listen),
            "listen_mode": formed("The permissions of a Unix socket. Default \"660\".", "^[0-7]{3,4}$"),
            "tls": tls("The certificate of listen. Default none: a proxy ends TLS.", false),
            "trusted_proxies": some(
                "The proxies that may name their client in X-Forwarded-For. Default none.",
                text("An address or a network."),
            ),
            "public_url": text("The gateway's address as senders write it, without /in/... Signatures are made over it."),
            "admin": text(admin),
            "admin_token": some("Any one of these opens the admin listener.", secret("A token.")),
            "admin_tls": tls("The certificate of the admin listener.", true),
            "admin_hosts": some(
                "The names by which the admin listener may be asked, besides IP addresses and localhost.",
                text("A name."),
            ),
            "data_dir": text("The folder for requests and alerts, on a disk that survives. Default data."),
            "shutdown_grace": duration(grace),
            "operator_destination": text("The destination at which the operator hears of trouble."),
            "heartbeat": heartbeat(),
            "traces": traces(),
            "memory": size(memory),
            "plugin_keys": some(
                "Fetched plugins must be signed by one of these keys. Default none: their digests suffice.",
                text("A public key of cosign in PEM, or the path of its file."),
            ),
            "plugin_store": text("The folder of fetched plugins. Default plugins, in data_dir."),
            "reload": word(
                "What a reload does with a plugin that fails on stored requests. Default lenient.",
                &["strict", "lenient"],
            ),
        }),
    )
}

/// `[admin]`.
pub(super) fn admin() -> Json {
    let user = closed(
        "A user.",
        &["name", "role"],
        json!({
            "name": text("The name, as the audit has it."),
            "role": word("A viewer reads, an operator acts as well.", &["viewer", "operator"]),
            "password": secret("The Argon2 hash of the password: alert-gateway hash-password"),
            "token": some("Any one of these stands for the user.", secret("A token.")),
        }),
    );
    closed(
        "The people who use the admin listener.",
        &[],
        json!({
            "user_header": text("The header in which a trusted proxy names the user."),
            "users": { "description": "The users.", "type": "array", "items": user },
        }),
    )
}

fn tls(what: &str, asks_clients: bool) -> Json {
    let file = |what: &str| {
        json!({
            "description": what,
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "$ref": "#/definitions/variable" },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["credential"],
                    "properties": { "credential": { "type": "string", "minLength": 1 } },
                },
            ],
        })
    };
    let mut properties = json!({
        "cert": file("The certificate, with those between it and an authority, in PEM."),
        "key": file("Its private key, in PEM."),
    });
    if asks_clients {
        properties["client_ca"] = file("The authorities of clients' certificates, in PEM.");
    }
    closed(what, &["cert", "key"], properties)
}

fn heartbeat() -> Json {
    let every = format!("The interval. Default {}.", shown_duration(EVERY));
    let oldest = format!(
        "No ping is sent while an alert waits longer. Default {}.",
        shown_duration(OLDEST)
    );
    closed(
        "Where the gateway says that it is alive.",
        &["url"],
        json!({
            "url": secret("The URL that is asked by GET."),
            "every": duration(every),
            "oldest": duration(oldest),
        }),
    )
}

fn traces() -> Json {
    closed(
        "Where spans of distributed tracing go, by OTLP over HTTP.",
        &["url"],
        json!({
            "url": text("The collector's address; /v1/traces may be left out."),
            "token": secret("The token that the collector wants, as Authorization: Bearer."),
            "percent": {
                "description": "The percentage of requests that are traced, where their senders do not say. Default 100.",
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
            },
        }),
    )
}
