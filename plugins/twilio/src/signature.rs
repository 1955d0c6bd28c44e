//! The proof of Twilio as the sender, declared so that the host can check it:
//! [`plugin_sdk::signature`] has the rules.

use plugin_sdk::contract::{Demand, Proved, Rejection, Request, Scheme, Way};
use plugin_sdk::signature;

/// The demands on a request: Twilio's signature, by an auth token or a shared key, and beside it,
/// where the settings ask for it, the login or token that Twilio was told to show.
pub fn demands() -> Vec<Demand> {
    vec![
        Demand::any([
            Way::new(Scheme::Twilio, "auth_token"),
            Way::new(Scheme::TwilioSharedKey, "shared_keys"),
        ]),
        Demand::any([
            Way::new(Scheme::Login, "basic"),
            Way::new(Scheme::Bearer, "bearer_token"),
        ]),
    ]
}

/// The names of the settings that are secrets.
pub fn secrets() -> Vec<String> {
    ["auth_token", "shared_keys", "basic", "bearer_token"]
        .map(str::to_owned)
        .to_vec()
}

/// Returns the proof of a request: the host's, or else that of the same check made here. `None`
/// where the settings demand nothing.
///
/// # Errors
/// The rejection that sender and operator read.
pub fn prove(request: &Request) -> Result<Option<Proved>, Rejection> {
    match &request.proved {
        Some(proved) => Ok(Some(proved.clone())),
        None => signature::verify_by(
            &demands(),
            request.settings.get(),
            request,
            Scheme::check_shown,
        ),
    }
}
