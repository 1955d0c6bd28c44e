//! Twilio's schemes, with the secrets of a source: the possible signers, and the reasons to reject
//! a request.
//!
//! The sender reads one answer for an unknown account and a wrong signature, so a stranger learns
//! nothing of the accounts; only the operator's log tells the two apart. No word here holds a
//! secret.

use crate::contract::{Algorithm, Proved, Rejection, RejectionKind, Scheme};
use crate::text::line;
use crate::url::masked;

use super::View;
use super::over_url::{DEFAULT, HEADER, MAX_FIELDS, NotCovered, SharedKey, SignedText, form};
use super::verifier::{Rank, Secret, Way, of_account};

/// Long enough for every URL that works at Twilio.
const MAX_URL_CHARS: usize = 500;

/// Longer than an AccountSid and the id of a key.
const MAX_SID_CHARS: usize = 64;

/// Takes the place of the secret where there is none, so that an unknown account takes as long as a
/// wrong signature.
const STAND_IN: &str = "0123456789abcdef0123456789abcdef";

/// Checks a request against the secrets of a way.
pub(super) fn check(way: &Way, view: &View<'_>) -> Result<Proved, (Rank, Rejection)> {
    let Some(given) = view.header(HEADER) else {
        return Err((Rank::Missing, no_signature()));
    };
    let shared = SharedKey::of(view);
    let is_shared = matches!(way.scheme, Scheme::TwilioSharedKey);
    let wrong = |help: String| {
        (
            Rank::Wrong,
            Rejection::new(RejectionKind::Forbidden, wrong_reason(view), help),
        )
    };
    let algorithm = match (&shared, is_shared) {
        (Some(key), true) => key
            .algorithm()
            .map_err(|name| wrong(unknown_algorithm(name)))?,
        (None, false) => DEFAULT,
        (Some(key), false) => return Err((Rank::NotThis, wrong(no_shared_keys(key.id)).1)),
        (None, true) => return Err((Rank::NotThis, wrong(only_shared_keys()).1)),
    };
    let form = form(view);
    let text =
        SignedText::of(view, form.as_ref()).map_err(|why| (Rank::Wrong, not_covered(why)))?;
    let account = form.as_ref().and_then(|form| form.get("AccountSid"));
    let account = account.as_deref().map(str::trim);
    let name = shared.map_or(account, |key| Some(key.id));
    // The name is not verified yet: it only chooses.
    let chosen: Option<Vec<(Option<&str>, &Secret)>> = match name {
        Some(name) => way
            .secrets
            .of(name)
            .map(|(of, secrets)| secrets.iter().map(|secret| (of, secret)).collect()),
        // Only the URL is signed, so trying every account is cheap.
        None if form.is_none() => Some(way.secrets.all().collect()),
        None => way
            .secrets
            .of("")
            .map(|(of, secrets)| secrets.iter().map(|secret| (of, secret)).collect()),
    };
    let Some(chosen) = chosen else {
        let _ = text.is_signed(given, algorithm, STAND_IN);
        return Err(wrong(match (is_shared, name) {
            (true, _) => unknown_key(name.unwrap_or_default()),
            (false, Some(name)) => unknown_account(name),
            (false, None) => no_account(),
        }));
    };
    for (account, secret) in chosen {
        if let Some(identity) = text.identity(given, algorithm, &secret.text) {
            // A form names its account within the signed text, and a shared key is no account.
            let of = account.filter(|_| form.is_none() && !is_shared);
            return Ok(secret.proves(account, Some(of_account(identity, of))));
        }
    }
    Err(wrong(if is_shared {
        wrong_by_key(view, name.unwrap_or_default(), algorithm)
    } else {
        wrong_by_token(view, account)
    }))
}

/// Returns whether a secret of a way signed the URL of a request whose body is not looked at.
pub(super) fn signs_url(way: &Way, view: &View<'_>) -> bool {
    let shared = SharedKey::of(view);
    let is_meant = shared.is_some() == matches!(way.scheme, Scheme::TwilioSharedKey);
    let algorithm = shared.map_or(Ok(DEFAULT), |key| key.algorithm());
    let (Some(given), Some(text), Ok(algorithm), true) = (
        view.header(HEADER),
        SignedText::of_url(view),
        algorithm,
        is_meant,
    ) else {
        return false;
    };
    let is_named = |of: Option<&str>| {
        let named = shared.zip(of);
        named.is_none_or(|(key, of)| key.id == of)
    };
    let mut secrets = way.secrets.all().filter(|(of, _)| is_named(*of));
    secrets.any(|(_, secret)| text.is_signed(given, algorithm, &secret.text))
}

fn no_signature() -> Rejection {
    Rejection::new(
        RejectionKind::Unauthenticated,
        "there is no X-Twilio-Signature header",
        "Either something other than Twilio calls this URL, or a proxy in front of the gateway drops the header.",
    )
}

fn wrong_reason(view: &View<'_>) -> String {
    format!(
        "the signature is not the one for {}",
        line(&masked(view.url), MAX_URL_CHARS)
    )
}

fn not_covered(why: NotCovered) -> Rejection {
    match why {
        NotCovered::TooManyFields => Rejection::new(
            RejectionKind::Malformed,
            format!("a form of more than {MAX_FIELDS} fields is none of Twilio's"),
            "Something other than Twilio calls this URL.",
        ),
        NotCovered::NoBodyHash => Rejection::new(
            RejectionKind::Forbidden,
            "the body is not a form and the URL carries no bodySHA256, so no signature can cover the body",
            "Twilio signs a form field by field, and any other body by the URL's bodySHA256. Look for a proxy that \
             changes Content-Type, or that drops the query string.",
        ),
        NotCovered::AnotherBody => Rejection::new(
            RejectionKind::Forbidden,
            "the body is not the one that the URL's bodySHA256 stands for",
            "Somebody changed the body on its way. Look for a proxy that re-encodes it.",
        ),
    }
}

fn unknown_account(account: &str) -> String {
    let account = line(account, MAX_SID_CHARS);
    format!(
        "The request names AccountSid {account:?}, which has no auth token here and is not verified. If that account is \
         yours, add its own auth token to this source's settings: `auth_token.{account} = {{ env = \"…\" }}`."
    )
}

fn no_account() -> String {
    "The form names no AccountSid, so there is no auth token to check its signature with. Twilio always sends an AccountSid. \
     If this is Twilio, configure `auth_token` as one token or a list instead of a table."
        .to_owned()
}

fn unknown_key(id: &str) -> String {
    let id = line(id, MAX_SID_CHARS);
    format!(
        "The request is signed with the shared key {id:?}, which this source does not have and which is not verified. If \
         that key is yours, add it to this source's settings: `shared_keys.{id} = {{ env = \"…\" }}`."
    )
}

fn unknown_algorithm(name: &str) -> String {
    format!(
        "The request asks for the algorithm {:?}. Twilio's shared keys sign with HMAC_SHA256 or HMAC_SHA1: compare the \
         Setting at Twilio; if Twilio offers another now, the gateway needs an update.",
        line(name, MAX_SID_CHARS)
    )
}

fn no_shared_keys(id: &str) -> String {
    format!(
        "The request is signed with the shared key {:?}, and this source has none: a Rule at Twilio matches this URL. Add \
         the key to this source's settings as `shared_keys`, or exclude the URL from the Rule.",
        line(id, MAX_SID_CHARS)
    )
}

fn only_shared_keys() -> String {
    "The request is signed with an account's auth token, and this source takes only requests signed with a shared key. \
     Compare the Rule at Twilio with this URL; or set `auth_token` as well."
        .to_owned()
}

fn wrong_by_key(view: &View<'_>, id: &str, algorithm: Algorithm) -> String {
    let hash = if algorithm == Algorithm::Sha1 {
        "HMAC_SHA1"
    } else {
        "HMAC_SHA256"
    };
    format!(
        "The signature was checked over {}, with and without the standard port, with the shared key {:?} and {hash}. Usual \
         causes: (1) the secret is another one than at Twilio, or was rotated: list the old and the new one while rotating; \
         (2) the URL at Twilio is another one, to the letter; (3) a proxy in front of the gateway rewrites path, query or \
         body.",
        line(&masked(view.url), MAX_URL_CHARS),
        line(id, MAX_SID_CHARS)
    )
}

fn wrong_by_token(view: &View<'_>, account: Option<&str>) -> String {
    let url = line(&masked(view.url), MAX_URL_CHARS);
    let account = match account {
        Some(account) => format!(
            " The request names AccountSid {:?}.",
            line(account, MAX_SID_CHARS)
        ),
        None => String::new(),
    };
    format!(
        "The signature was checked over {url}, with and without the standard port.{account} Usual causes: \
         (1) the URL entered at Twilio is another one, to the letter: compare it with `public_url` and the path; \
         (2) `auth_token` is of another account, or was rotated: list the old and the new one while rotating; \
         (3) it is a subaccount, which signs with its own token: make `auth_token` a table by AccountSid; \
         (4) a proxy in front of the gateway rewrites path, query or body."
    )
}
