//! The proof of the sender, and the first request of those that try the address.

use std::borrow::Cow;

use plugin_sdk::contract::{
    Answer, Demand, ProofIdentity, Rejection, RejectionKind, Request, Scheme, Way,
};

use plugin_sdk::signature::{Proof, View};

use crate::tree::Node;

/// The setting that holds the secrets.
pub const SECRET: &str = "secret";

/// Returns the proof of a request that meets the setting `sender`; `None` where that covers no
/// body.
///
/// # Errors
/// The rejection of every other request.
pub fn admit(
    sender: &Node<'_>,
    request: &Request,
    secret: Option<&Node<'_>>,
) -> Result<Option<ProofIdentity>, Rejection> {
    let Some(scheme) = scheme(sender) else {
        // The schema lets no such thing through. If it did, nobody could prove anything.
        return Err(Rejection::new(
            RejectionKind::Forbidden,
            "this source cannot tell who sends",
            "`sender` in this source's settings names no way to prove a sender.",
        ));
    };
    if let Some(proved) = &request.proved {
        return Ok(proved.proof.clone().filter(|_| is_signature(&scheme)));
    }
    let secrets = secret.map(Node::one_or_several).unwrap_or_default();
    let secrets: Vec<_> = secrets.iter().filter_map(Node::string).collect();
    let view = View::from(request);
    for secret in &secrets {
        if let (Proof::Good, identity) = scheme.check(&view, secret) {
            return Ok(identity);
        }
    }
    scheme
        .admit(request, secrets.iter().map(|secret| &**secret))
        .map(|()| None)
}

/// The proof that the host is to demand before it calls the plugin.
pub fn demands(settings: &Node<'_>) -> Vec<Demand> {
    let scheme = settings.get("sender").and_then(scheme);
    // A challenge comes before the sender can prove anything, and only the plugin knows it.
    let scheme = scheme.filter(|_| settings.get("challenge").is_none());
    scheme
        .map(|scheme| Demand::any([Way::new(scheme, SECRET)]))
        .into_iter()
        .collect()
}

/// Returns whether the sender signs what it sends.
pub fn signs(sender: &Node<'_>) -> bool {
    scheme(sender).is_some_and(|scheme| is_signature(&scheme))
}

fn is_signature(scheme: &Scheme) -> bool {
    !matches!(
        scheme,
        Scheme::Bearer | Scheme::Basic { .. } | Scheme::Login | Scheme::Header { .. }
    )
}

/// Returns the fault of a table's signature, and its place.
pub fn flaw(sender: &Node<'_>) -> Option<String> {
    match scheme(sender)? {
        Scheme::Signed(signed) => signed.flaw(),
        _ => None,
    }
}

/// The setting `sender`: the name of a scheme, or a table. `None` for what the schema does not let
/// through.
fn scheme(setting: &Node<'_>) -> Option<Scheme> {
    match setting.string() {
        Some(name) => Scheme::named(&name),
        None => Scheme::of_fields(|name| setting.get(name)?.string().map(Cow::into_owned)),
    }
}

/// The answer to a first request that carries no event: Slack wants its challenge back, and GitHub
/// pings. It goes by what is signed: a header alone must not turn an event into a ping.
pub fn greeting(sender: &Node<'_>, request: &Request) -> Option<Answer> {
    let body = || plugin_sdk::body::read(request).ok();
    match sender.string().as_deref() {
        Some("slack") => {
            let body = body()?;
            let json = body.json()?;
            let body = Node::read(&json)?;
            let kind = body.at("/type")?.text()?;
            let challenge = body.at("/challenge")?.text()?;
            (kind == "url_verification").then(|| Answer::challenge(challenge))
        }
        Some("github") if request.header("x-github-event") == Some("ping") => {
            let body = body()?;
            let json = crate::decode::all(body.json()?, Node::read("[\"/payload\"]").as_ref());
            let body = Node::read(&json)?;
            let body = body.get("payload").unwrap_or(&body);
            let pings = body.get("zen").is_some()
                && body.get("hook_id").is_some()
                && body.get("action").is_none();
            pings.then(|| {
                Answer::ignored("GitHub's ping: the webhook is set up, and its secret is right")
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn a_sender_that_is_set_and_not_understood_lets_nobody_in() {
        let request = testing::post("https://a.example/in/x")
            .header("authorization", "Bearer x")
            .build();
        let secret = Node::read("\"x\"");
        for setting in [r#""gitlab""#, "{}", "null", "[]", r#"{"prefix":"x"}"#] {
            let sender = Node::read(setting).unwrap();
            assert!(
                admit(&sender, &request, secret.as_ref()).is_err(),
                "{setting}"
            );
        }
        let bearer = Node::read("\"bearer\"").unwrap();
        assert!(admit(&bearer, &request, secret.as_ref()).unwrap().is_none());
        for none in [None, Node::read("[]")] {
            assert!(
                admit(&bearer, &request, none.as_ref()).is_err(),
                "no secret is no proof"
            );
        }
    }
}
