//! Why a request is not taken: what the sender reads, and what the operator can do.
//!
//! No word here holds a token: not an auth token, and not the one that the gateway's URL may carry.

use plugin_sdk::contract::{Rejection, RejectionKind};
use plugin_sdk::signature::over_url::MAX_FIELDS;
use plugin_sdk::text::line;
use plugin_sdk::url::masked;

/// Long enough for every URL that works at Twilio.
const MAX_URL_CHARS: usize = 500;

/// Longer than an AccountSid.
const MAX_SID_CHARS: usize = 64;

fn rejection(kind: RejectionKind, reason: impl Into<String>, help: impl Into<String>) -> Rejection {
    Rejection { kind, reason: reason.into(), help: help.into() }
}

/// Twilio only posts.
pub fn not_a_post(method: &str) -> Rejection {
    let reason = format!("Twilio sends POST, and this was {}", line(method, 20));
    rejection(
        RejectionKind::Malformed,
        reason,
        "Something other than Twilio calls this URL: a browser, a scanner, a probe.",
    )
}

/// Anybody can post.
pub fn no_signature() -> Rejection {
    rejection(
        RejectionKind::Unauthenticated,
        "there is no X-Twilio-Signature header",
        "Either something other than Twilio calls this URL, or a proxy in front of the gateway drops the header.",
    )
}

/// More fields than Twilio would ever send.
pub fn too_many_fields() -> Rejection {
    let reason = format!("a form of more than {MAX_FIELDS} fields is none of Twilio's");
    rejection(RejectionKind::Malformed, reason, "Something other than Twilio calls this URL.")
}

/// A body that is no form, and a URL without `bodySHA256`.
pub fn unsigned_body() -> Rejection {
    rejection(
        RejectionKind::Forbidden,
        "the body is not a form and the URL carries no bodySHA256, so no signature can cover the body",
        "Twilio signs a form field by field, and any other body by the URL's bodySHA256. Look for a proxy that changes \
         Content-Type, or that drops the query string.",
    )
}

/// A body with another hash than the URL says.
pub fn another_body() -> Rejection {
    rejection(
        RejectionKind::Forbidden,
        "the body is not the one that the URL's bodySHA256 stands for",
        "Somebody changed the body on its way. Look for a proxy that re-encodes it.",
    )
}

/// Tokens are configured by account, and the form names none.
pub fn no_account() -> Rejection {
    rejection(
        RejectionKind::Forbidden,
        "the form names no AccountSid, so there is no auth token to check its signature with",
        "Twilio always sends an AccountSid. If this is Twilio, configure `auth_token` as one token or a list instead \
         of a table.",
    )
}

/// Tokens are configured by account, and this one has none.
pub fn unknown_account(account: &str) -> Rejection {
    let account = line(account, MAX_SID_CHARS);
    rejection(
        RejectionKind::Forbidden,
        "no auth token is configured for the account that this request names",
        format!(
            "The request names AccountSid {account:?}, which is not verified. If that account is yours, add its own \
             auth token to this source's settings: `auth_token.{account} = {{ env = \"…\" }}`."
        ),
    )
}

/// The signature is of another URL, token or body.
pub fn wrong_signature(url: &str, account: Option<&str>) -> Rejection {
    let url = line(&masked(url), MAX_URL_CHARS);
    let account = match account {
        Some(account) => format!(" The request names AccountSid {:?}.", line(account, MAX_SID_CHARS)),
        None => String::new(),
    };
    rejection(
        RejectionKind::Forbidden,
        format!("the signature is not the one for {url}"),
        format!(
            "The signature was checked over {url}, with and without the standard port.{account} Usual causes: \
             (1) the URL entered at Twilio is another one, to the letter: compare it with `public_url` and the path; \
             (2) `auth_token` is of another account, or was rotated: list the old and the new one while rotating; \
             (3) it is a subaccount, which signs with its own token: make `auth_token` a table by AccountSid; \
             (4) a proxy in front of the gateway rewrites path, query or body."
        ),
    )
}
