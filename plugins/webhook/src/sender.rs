//! How the sender proves itself, and the first request that some send to see whether somebody answers.

use std::borrow::Cow;

use plugin_sdk::contract::{Answer, Rejection, RejectionKind, Request};
use plugin_sdk::signature::{Algorithm, Encoding, Scheme, Signed, same};

use crate::tree::Node;

/// Lets a request in that carries the proof which the setting `sender` demands, and answers it where it is only a
/// greeting.
///
/// # Errors
/// The rejection for everyone else.
pub fn admit(sender: &Node<'_>, request: &Request, secret: Option<&Node<'_>>) -> Result<Option<Answer>, Rejection> {
    let Some(sender) = Sender::of(sender) else {
        // The schema lets no such thing through. If it did, nobody could prove anything.
        return Err(Rejection::new(
            RejectionKind::Forbidden,
            "this source cannot tell who sends",
            "`sender` in this source's settings names no way to prove a sender.",
        ));
    };
    sender.prove(request, secret)?;
    Ok(sender.greeting(request))
}

/// How the sender proves that it has the secret.
#[derive(Debug)]
enum Sender {
    /// GitHub's scheme, and its ping.
    GitHub,
    /// Slack's scheme, and its challenge.
    Slack,
    /// By another scheme that senders have in common.
    Scheme(Scheme),
    /// It shows the secret itself in this header.
    Header(String),
}

impl Sender {
    /// The setting `sender`: the name of a scheme, or a table. `None` for what the schema does not let through.
    fn of(setting: &Node<'_>) -> Option<Self> {
        let text = |name: &str| setting.get(name)?.string().map(Cow::into_owned);
        Some(match setting.string().as_deref() {
            Some("github") => Self::GitHub,
            Some("slack") => Self::Slack,
            Some("stripe") => Self::Scheme(Scheme::Stripe),
            Some("standard-webhooks") => Self::Scheme(Scheme::StandardWebhooks),
            Some("bearer") => Self::Scheme(Scheme::Bearer),
            Some(_) => return None,
            None => match (text("basic"), text("header"), text("hmac")) {
                (Some(user), ..) => Self::Scheme(Scheme::Basic { user }),
                (_, Some(header), _) => Self::Header(header),
                (.., header) => Self::Scheme(Scheme::Signed(Signed {
                    prefix: text("prefix").unwrap_or_default(),
                    algorithm: match text("algorithm").as_deref() {
                        Some("sha1") => Algorithm::Sha1,
                        _ => Algorithm::Sha256,
                    },
                    encoding: match text("encoding").as_deref() {
                        Some("base64") => Encoding::Base64,
                        _ => Encoding::Hex,
                    },
                    ..Signed::new(&header?)
                })),
            },
        })
    }

    /// Whether a request carries the proof; the rejection says why not.
    fn prove(&self, request: &Request, secret: Option<&Node<'_>>) -> Result<(), Rejection> {
        let secrets = secret.map(Node::one_or_several).unwrap_or_default();
        let secrets: Vec<_> = secrets.iter().filter_map(Node::string).collect();
        let secrets = || secrets.iter().map(|secret| &**secret);
        let name = match self {
            Self::GitHub => return Scheme::github().admit(request, secrets()),
            Self::Slack => return Scheme::Slack.admit(request, secrets()),
            Self::Scheme(scheme) => return scheme.admit(request, secrets()),
            Self::Header(name) => name,
        };
        let rejected = |kind, reason: String, help: &str| Err(Rejection::new(kind, reason, help));
        match request.header(name) {
            Some(given) if secrets().any(|secret| same(given, secret)) => Ok(()),
            Some(_) => rejected(
                RejectionKind::Forbidden,
                format!("the secret in the header {name} is not this source's"),
                "Compare what is set at the sender with this source's settings. While it is being rotated, list the \
                 old and the new one.",
            ),
            None => rejected(
                RejectionKind::Unauthenticated,
                format!("there is no header {name}"),
                "Either something other than the sender calls this URL, or the sender is not set up to prove itself, \
                 or a proxy in front of the gateway drops the header.",
            ),
        }
    }

    /// The answer to a first request that carries no event: Slack wants its challenge back, and GitHub pings.
    fn greeting(&self, request: &Request) -> Option<Answer> {
        match self {
            Self::Slack => {
                let body = request.body.text();
                let body = Node::read(&body)?;
                let kind = body.at("/type")?.text()?;
                let challenge = body.at("/challenge")?.text()?;
                (kind == "url_verification").then(|| Answer::challenge(challenge))
            }
            Self::GitHub => {
                let pings = request.header("x-github-event")? == "ping";
                pings.then(|| Answer::ignored("GitHub's ping: the webhook is set up, and its secret is right"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn a_sender_that_is_set_and_not_understood_lets_nobody_in() {
        let request = testing::post("https://a.example/in/x").header("authorization", "Bearer x").build();
        let secret = Node::read("\"x\"");
        for setting in [r#""gitlab""#, "{}", "null", "[]", r#"{"prefix":"x"}"#] {
            let sender = Node::read(setting).unwrap();
            assert!(admit(&sender, &request, secret.as_ref()).is_err(), "{setting}");
        }
        let bearer = Node::read("\"bearer\"").unwrap();
        assert!(admit(&bearer, &request, secret.as_ref()).unwrap().is_none());
        for none in [None, Node::read("[]")] {
            assert!(admit(&bearer, &request, none.as_ref()).is_err(), "no secret is no proof");
        }
    }
}
