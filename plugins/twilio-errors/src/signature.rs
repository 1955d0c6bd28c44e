//! Whether Twilio sent this, by the rules of Twilio's "Security" page and of its own libraries.
//!
//! `X-Twilio-Signature` is base64(HMAC-SHA1(auth token, text)). The text is the full URL; for a form, each parameter
//! follows in the order of names, as name and decoded value without anything between, repeated values once each and
//! sorted. For any other body the text is the URL alone, which carries the body's SHA-256 as `bodySHA256`.

use plugin_sdk::contract::{Rejection, Request};
use plugin_sdk::form::Form;
use plugin_sdk::signature::{Proof, body_sha256, hmac_sha1};

use crate::rejection;
use crate::settings::{AuthToken, Tokens};
use crate::signed_url::spellings;

/// Twilio's Debugger sends seven fields. Sorting many more would only be work for a stranger.
pub const MAX_FIELDS: usize = 1_000;

/// Whether the body is a form. One that does not say what it is counts as one.
pub fn is_form(request: &Request) -> bool {
    request.header("content-type").is_none() || request.is_media_type("application/x-www-form-urlencoded")
}

/// Checks the signature of a request whose body is this form, or no form.
///
/// # Errors
/// The rejection that sender and operator read.
pub fn verify(request: &Request, form: Option<&Form<'_>>, auth_token: &AuthToken) -> Result<(), Rejection> {
    let Some(given) = request.header("x-twilio-signature") else {
        return Err(rejection::no_signature());
    };
    let params = match form {
        Some(form) => signed_params(form)?,
        None => match body_sha256(request) {
            Proof::Good => Vec::new(),
            Proof::Wrong => return Err(rejection::another_body()),
            Proof::Missing => return Err(rejection::unsigned_body()),
        },
    };
    let account = form.and_then(|form| form.get("AccountSid"));
    let tokens = tokens(auth_token, account.as_deref(), form.is_some())?;
    if is_signed(&request.url, &params, &tokens, given.trim()) {
        return Ok(());
    }
    Err(rejection::wrong_signature(&request.url, account.as_deref()))
}

/// The tokens that may have signed for the account that a form names. That name is not verified yet: it only chooses.
fn tokens<'a>(auth_token: &'a AuthToken, account: Option<&str>, is_form: bool) -> Result<Vec<&'a String>, Rejection> {
    match (auth_token, account) {
        (AuthToken::Any(tokens), _) => Ok(tokens.as_slice().iter().collect()),
        (AuthToken::PerAccount(accounts), Some(account)) => {
            let tokens = accounts.get(account.trim()).ok_or_else(|| rejection::unknown_account(account))?;
            Ok(tokens.as_slice().iter().collect())
        }
        (AuthToken::PerAccount(_), None) if is_form => Err(rejection::no_account()),
        // Only the URL is signed, so trying every account is cheap.
        (AuthToken::PerAccount(accounts), None) => Ok(accounts.values().flat_map(Tokens::as_slice).collect()),
    }
}

fn is_signed(url: &str, params: &[&[u8]], tokens: &[&String], given: &str) -> bool {
    let url = spellings(url);
    let is_over = |url: &String, token: &String| {
        let text = std::iter::once(url.as_bytes()).chain(params.iter().copied());
        hmac_sha1(token.as_bytes(), text).is_base64(given)
    };
    url.iter().any(|url| tokens.iter().any(|token| is_over(url, token)))
}

/// Names and values in the order in which they are signed. They are bytes, not text: what is not UTF-8 is signed as
/// sent.
fn signed_params<'a>(form: &'a Form<'_>) -> Result<Vec<&'a [u8]>, Rejection> {
    if form.fields().len() > MAX_FIELDS {
        return Err(rejection::too_many_fields());
    }
    let mut fields: Vec<_> = form.fields().iter().collect();
    fields.sort();
    fields.dedup();
    Ok(fields.into_iter().flat_map(|(name, value)| [&**name, &**value]).collect())
}
