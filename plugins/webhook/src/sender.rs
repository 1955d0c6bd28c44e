//! How the sender proves itself, and the first request that some send to see whether somebody answers.

use std::fmt;

use plugin_sdk::contract::{Answer, Rejection, RejectionKind, Request};
use plugin_sdk::signature::{Algorithm, Encoding, Proof, Scheme, same};
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
        let proof = match self {
            Self::Scheme(scheme, _) => scheme.verify_any(request, secrets.iter().map(String::as_str)),
            Self::Header(name) => match request.header(name) {
                None => Proof::Missing,
                Some(given) if secrets.iter().any(|secret| same(given, secret)) => Proof::Good,
                Some(_) => Proof::Wrong,
            },
        };
        let (kind, reason, help) = match proof {
            Proof::Good => return Ok(()),
            Proof::Missing => (
                RejectionKind::Unauthenticated,
                format!("there is no {}", self.shown()),
                "Either somebody else calls this URL, or the sender was given no secret, or a proxy in front of the \
                 gateway drops the header. Compare `sender` in this source's settings with what the sender offers.",
            ),
            Proof::Stale => (
                RejectionKind::Forbidden,
                format!("the {} was made more than five minutes ago", self.shown()),
                "Either somebody sends again what was recorded, or a clock is wrong: the sender's or this machine's.",
            ),
            Proof::Wrong => (
                RejectionKind::Forbidden,
                format!("the {} is not the right one", self.shown()),
                "Compare the secret at the sender with `secret` in this source's settings; while it is rotated, list \
                 the old and the new one. A proxy that changes the body breaks a signature, too.",
            ),
        };
        Err(Rejection { kind, reason, help: help.to_owned() })
    }

    /// What the sender shows, for people.
    fn shown(&self) -> String {
        match self {
            Self::Header(name) => format!("secret in the header {name}"),
            Self::Scheme(scheme, _) => match scheme {
                Scheme::Bearer => "bearer token in Authorization".to_owned(),
                Scheme::Basic { .. } => "user and password in Authorization".to_owned(),
                Scheme::Body { header, .. } => format!("signature in the header {header}"),
                Scheme::Slack => "signature in the header x-slack-signature".to_owned(),
                Scheme::Stripe => "signature in the header stripe-signature".to_owned(),
                Scheme::StandardWebhooks => "signature in the header webhook-signature".to_owned(),
                Scheme::Twilio => "signature in the header x-twilio-signature".to_owned(),
            },
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
