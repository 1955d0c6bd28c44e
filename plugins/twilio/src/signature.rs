//! Whether Twilio sent this: [`plugin_sdk::signature::over_url`] has the rules.

use plugin_sdk::contract::{Rejection, Request};
use plugin_sdk::form::Form;
use plugin_sdk::signature::over_url::{HEADER, NotCovered, SignedText};

use crate::rejection;
use crate::settings::AuthToken;

pub use plugin_sdk::signature::over_url::form;

/// Checks the signature of a request whose body is this form, or no form.
///
/// # Errors
/// The rejection that sender and operator read.
pub fn verify(request: &Request, form: Option<&Form<'_>>, auth_token: &AuthToken) -> Result<(), Rejection> {
    let Some(given) = request.header(HEADER) else {
        return Err(rejection::no_signature());
    };
    let text = SignedText::of(request, form).map_err(|why| match why {
        NotCovered::TooManyFields => rejection::too_many_fields(),
        NotCovered::NoBodyHash => rejection::unsigned_body(),
        NotCovered::AnotherBody => rejection::another_body(),
    })?;
    let account = form.and_then(|form| form.get("AccountSid"));
    let tokens = tokens(auth_token, account.as_deref(), form.is_some())?;
    if tokens.iter().any(|token| text.is_signed(given, token)) {
        return Ok(());
    }
    Err(rejection::wrong_signature(&request.url, account.as_deref()))
}

/// The tokens that may have signed for the account that a form names. That name is not verified yet: it only chooses.
fn tokens(auth_token: &AuthToken, account: Option<&str>, is_form: bool) -> Result<Vec<String>, Rejection> {
    match account {
        _ if !auth_token.is_per_account() => Ok(auth_token.all()),
        Some(account) => auth_token.of_account(account.trim()).ok_or_else(|| rejection::unknown_account(account)),
        None if is_form => Err(rejection::no_account()),
        // Only the URL is signed, so trying every account is cheap.
        None => Ok(auth_token.all()),
    }
}
