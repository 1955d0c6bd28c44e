//! How the sender proves itself, and the first request that some send to see whether somebody answers.

use std::fmt;

use plugin_sdk::contract::{Answer, Rejection, RejectionKind, Request};
use plugin_sdk::signature::{Algorithm, Encoding, Scheme, same};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::tree::Node;

/// The ways that have names of their own.
const NAMES: [&str; 5] = ["github", "stripe", "slack", "standard-webhooks", "bearer"];

/// How the sender proves that it has the secret.
#[derive(Debug)]
pub enum Sender {
    /// By a scheme that others use as well; the name is that in the settings, where it has one.
    Scheme(Scheme, &'static str),
    /// It shows the secret itself in this header.
    Header(String),
}

impl Sender {
    /// Whether a request carries the proof.
    ///
    /// # Errors
    /// Why not.
    pub fn prove(&self, request: &Request, secrets: &[String]) -> Result<(), Rejection> {
        let secrets = || secrets.iter().map(String::as_str);
        let name = match self {
            Self::Scheme(scheme, _) => return scheme.admit(request, secrets()),
            Self::Header(name) => name,
        };
        let rejected = |kind, reason, help: &str| Err(Rejection { kind, reason, help: help.to_owned() });
        match request.header(name) {
            Some(given) if secrets().any(|secret| same(given, secret)) => Ok(()),
            Some(_) => rejected(
                RejectionKind::Forbidden,
                format!("the secret in the header {name} is not this source's"),
                "Compare what is set at the sender with this source's settings. While it is being rotated, list the old \
                 and the new one.",
            ),
            None => rejected(
                RejectionKind::Unauthenticated,
                format!("there is no header {name}"),
                "Either something other than the sender calls this URL, or the sender is not set up to prove itself, or \
                 a proxy in front of the gateway drops the header.",
            ),
        }
    }

    /// The answer to a first request that carries no event: Slack wants its challenge back, and GitHub pings.
    pub fn greeting(&self, request: &Request) -> Option<Answer> {
        match self {
            Self::Scheme(_, "slack") => {
                let body = request.body.text();
                let body = Node::read(&body)?;
                let kind = body.at("/type")?.text()?;
                let challenge = body.at("/challenge")?.text()?;
                (kind == "url_verification").then(|| Answer::challenge(challenge))
            }
            Self::Scheme(_, "github") => {
                let pings = request.header("x-github-event")? == "ping";
                pings.then(|| Answer::ignored("GitHub's ping: the webhook is set up, and its secret is right"))
            }
            _ => None,
        }
    }
}

/// The table that `sender` may be. The schema lets one of the first three through.
#[derive(serde::Deserialize)]
struct Table {
    #[serde(default)]
    basic: Option<String>,
    #[serde(default)]
    header: Option<String>,
    #[serde(default)]
    hmac: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;

        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Sender;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the name of a scheme, or a table")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Sender, E> {
                let known = NAMES.iter().find(|known| **known == name);
                let known = *known.ok_or_else(|| E::unknown_variant(name, &NAMES))?;
                let scheme = match known {
                    "github" => Scheme::github(),
                    "stripe" => Scheme::Stripe,
                    "slack" => Scheme::Slack,
                    "standard-webhooks" => Scheme::StandardWebhooks,
                    _ => Scheme::Bearer,
                };
                Ok(Sender::Scheme(scheme, known))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Sender, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(table))?;
                Ok(match (table.basic, table.header, table.hmac) {
                    (Some(user), ..) => Sender::Scheme(Scheme::Basic { user }, ""),
                    (_, Some(header), _) => Sender::Header(header),
                    (.., Some(header)) => Sender::Scheme(
                        Scheme::Body {
                            header,
                            prefix: table.prefix,
                            algorithm: match table.algorithm.as_deref() {
                                Some("sha1") => Algorithm::Sha1,
                                _ => Algorithm::Sha256,
                            },
                            encoding: match table.encoding.as_deref() {
                                Some("base64") => Encoding::Base64,
                                _ => Encoding::Hex,
                            },
                        },
                        "",
                    ),
                    _ => return Err(A::Error::missing_field("hmac")),
                })
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}
