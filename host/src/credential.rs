//! Names by which a header or a parameter is known to carry a credential, and URLs without them.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Parts of the names of headers and parameters that carry credentials. A signature is none, but it
/// was made with one, and lets a weak one be guessed.
const CREDENTIALS: [&str; 14] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "signature",
    "accesskey",
    "bearer",
    "credential",
    "passphrase",
    "passwd",
    "privatekey",
];

/// The same, where they stand between dashes and underscores.
const SEGMENTS: [&str; 9] = [
    "auth", "hmac", "key", "pass", "pw", "pwd", "session", "sig", "sign",
];

/// Returns true if a header or a parameter of this name carries a credential.
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Twilio's, for one, says "token" of an id.
    let is_id = name.contains("idempotency");
    let has_word = CREDENTIALS.iter().any(|word| name.contains(word));
    !is_id
        && (has_word
            || name
                .split(['-', '_'])
                .any(|segment| SEGMENTS.contains(&segment)))
}

/// Returns a URL, or a text that ends with one, with `stand_in` for each credential among the
/// parameters of its query and its fragment; `None` where it has no parameters.
pub fn without_credentials(url: &str, stand_in: &str) -> Option<String> {
    let (path, parameters) = url.split_at(url.find(['?', '#'])?);
    let ends = ['?', '#', '&'];
    let is_secret = |name: &str| is_credential(&percent_decode_str(name).decode_utf8_lossy());
    let mut hidden = path.to_owned();
    for piece in parameters.split_inclusive(ends) {
        let pair = piece.trim_end_matches(ends);
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => hidden.extend([name, "=", stand_in]),
            _ => hidden.push_str(pair),
        }
        hidden.push_str(&piece[pair.len()..]);
    }
    Some(hidden)
}

/// Returns true if a header of this name tells who the user of a login proxy is, in a token that
/// another service may take for the login.
pub fn is_assertion(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header
        .split('-')
        .any(|segment| ["assertion", "jwt", "oidc"].contains(&segment))
}

/// Returns true if the settings of a source name a header alone, as they do where an operator says
/// in which header a sender shows its secret.
pub fn is_named(header: &str, settings: &Value) -> bool {
    is_said(settings, &|text| text.eq_ignore_ascii_case(header))
}

/// Returns true if a text of the settings is meant.
pub fn is_said(settings: &Value, is_meant: &dyn Fn(&str) -> bool) -> bool {
    match settings {
        Value::String(text) => is_meant(text),
        Value::Array(list) => list.iter().any(|value| is_said(value, is_meant)),
        Value::Object(table) => table.values().any(|value| is_said(value, is_meant)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Collects every text in a value.
pub fn texts(value: Option<&Value>, found: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => found.push(text.clone()),
        Some(Value::Array(list)) => list.iter().for_each(|value| texts(Some(value), found)),
        Some(Value::Object(table)) => table.values().for_each(|value| texts(Some(value), found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_by_their_words() {
        for name in [
            "Authorization",
            "X-Twilio-Signature",
            "x-hub-signature-256",
            "Cookie",
            "X-Gitlab-Token",
            "x-auth",
            "sig",
            "api_key",
            "accessKey",
            "x-session",
            "pwd",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["content-type", "idempotency-token", "x-monkey", "design"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn url_keeps_all_but_the_values_of_credentials() {
        for (url, hidden) in [
            ("/in/a?token=wrong&x=1", "/in/a?token=***&x=1"),
            ("?a=1&t%6fken=b=c&&d", "?a=1&t%6fken=***&&d"),
            (
                "https://x/#access_token=b&x=1",
                "https://x/#access_token=***&x=1",
            ),
            ("/a?x=1#key=b", "/a?x=1#key=***"),
            ("/a?next=/b?sig=c", "/a?next=/b?sig=***"),
            ("/a?API_KEY=b&bodySHA256=00", "/a?API_KEY=***&bodySHA256=00"),
            ("/a?token", "/a?token"),
            ("/a?", "/a?"),
        ] {
            assert_eq!(without_credentials(url, "***").as_deref(), Some(hidden));
        }
        assert_eq!(without_credentials("/in/token=a", "***"), None);
    }
}
