//! The proof of the sender. Alertmanager and Grafana sign nothing, but can show a token or a login.
//!
//! No word here holds the shown secret or the right one.

use plugin_sdk::contract::{Rejection, RejectionKind, Request, Scheme};
use plugin_sdk::signature::{Proof, basic, bearer};

use crate::settings::Settings;

/// The place where the operator enters the proof at the sender.
pub const WHERE: &str = "In Alertmanager it is `http_config` of the webhook (`authorization.credentials` for a token, \
    `basic_auth` for a login), in Grafana the optional settings of the contact point.";

/// Checks that a request shows a token or login of the settings.
///
/// # Errors
/// The rejection that sender and operator read.
pub fn of(request: &Request, settings: &Settings) -> Result<(), Rejection> {
    let tokens = settings
        .bearer_token
        .as_slice()
        .iter()
        .map(|token| bearer(request, token));
    let logins = settings
        .basic
        .as_slice()
        .iter()
        .map(|login| basic(request, &login.user, &login.password));
    let mut wrong = false;
    if request.proved.is_some() {
        return Ok(());
    }
    for proof in tokens.chain(logins) {
        match proof {
            Proof::Good => return Ok(()),
            Proof::Wrong | Proof::Stale => wrong = true,
            Proof::Missing => {}
        }
    }
    Err(if wrong {
        forbidden()
    } else {
        unauthenticated(request, settings)
    })
}

/// The proof that the sender must show.
fn expected(settings: &Settings) -> &'static str {
    match (settings.bearer_token.as_slice(), settings.basic.as_slice()) {
        ([], _) => "a login (`Authorization: Basic`)",
        (_, []) => "a token (`Authorization: Bearer`)",
        _ => "a token or a login (`Authorization: Bearer` or `Basic`)",
    }
}

fn forbidden() -> Rejection {
    Rejection::new(
        RejectionKind::Forbidden,
        "the Authorization header is not the one of this source",
        format!(
            "Compare what the sender shows with `bearer_token` or `basic` in this source's settings. {WHERE} While \
             rotating, list the old one and the new one."
        ),
    )
}

fn unauthenticated(request: &Request, settings: &Settings) -> Rejection {
    let found = match request.header("authorization") {
        None => "there is no Authorization header",
        Some(_) => "the Authorization header is of another kind",
    };
    let scheme = if settings.basic.as_slice().is_empty() {
        Scheme::Bearer
    } else {
        Scheme::Login
    };
    Rejection {
        challenge: scheme.challenge().map(str::to_owned),
        ..Rejection::new(
            RejectionKind::Unauthenticated,
            format!("{found}: this source takes {}", expected(settings)),
            format!(
                "Either the sender was not given it, or a proxy in front of the gateway drops the header, or something \
                 else calls this URL. {WHERE}"
            ),
        )
    }
}
