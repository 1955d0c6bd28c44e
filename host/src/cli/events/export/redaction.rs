//! What of a request and of its source's settings is a credential, and what stands in its place.

use plugin_sdk::form::Form;
use plugin_sdk::signature::Scheme;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::Settings;

/// What stands in the place of every credential. It is long enough for a plugin that refuses short ones.
pub const STAND_IN: &str = "test-token-0123456789abcdef";

/// What the names of headers and parameters that carry credentials are made of. A signature is none, but it was made with
/// one, and lets a weak one be guessed.
const CREDENTIALS: [&str; 8] =
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "signature"];

/// The same, where they stand between dashes and underscores.
const SEGMENTS: [&str; 7] = ["auth", "hmac", "key", "pass", "pw", "sig", "sign"];

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Twilio's, for one, says "token" of an id.
    let is_id = name.contains("idempotency");
    let has_word = CREDENTIALS.iter().any(|word| name.contains(word));
    !is_id && (has_word || name.split(['-', '_']).any(|segment| SEGMENTS.contains(&segment)))
}

/// A header, with the stand-in for its value where that is a credential: by its name, or because the settings name it, as
/// they do where an operator says in which header a sender shows its secret.
pub fn header((name, value): (String, String), settings: &Value) -> (String, String) {
    let value = if is_credential(&name) || is_named(&name, settings) { STAND_IN.to_owned() } else { value };
    (name, value)
}

fn is_named(header: &str, settings: &Value) -> bool {
    match settings {
        Value::String(text) => text.eq_ignore_ascii_case(header),
        Value::Array(list) => list.iter().any(|value| is_named(header, value)),
        Value::Object(table) => table.values().any(|value| is_named(header, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A URL, with the stand-in for each credential in its query.
pub fn url(url: &str) -> String {
    let Some((start, query)) = url.split_once('?') else { return url.to_owned() };
    let fields = query.split('&').map(|field| {
        let form = Form::parse(field.as_bytes());
        let name =
            form.fields().first().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        if is_credential(&name) {
            format!("{}={STAND_IN}", field.split('=').next().unwrap_or_default())
        } else {
            field.to_owned()
        }
    });
    format!("{start}?{}", fields.collect::<Vec<_>>().join("&"))
}

/// Settings, with a stand-in for all that stands below one of these names, which are secrets.
pub fn settings(settings: &Settings, secrets: &[String]) -> serde_json::Result<Box<RawValue>> {
    let mut value = settings.value().clone();
    if let Value::Object(settings) = &mut value {
        let secret = settings.iter_mut().filter(|(name, _)| secrets.contains(name));
        secret.for_each(|(_, value)| replace(value));
    }
    to_raw_value(&value)
}

fn replace(value: &mut Value) {
    match value {
        Value::String(text) => STAND_IN.clone_into(text),
        Value::Array(list) => {
            // The same secret twice says no more than once.
            list.truncate(1);
            list.iter_mut().for_each(replace);
        }
        // Names stay: an account's, say, chooses its token.
        Value::Object(table) => table.values_mut().for_each(replace),
        Value::Number(number) => *number = 0.into(),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The scheme as these settings have it: a user is replaced where it stands among the secrets.
pub fn scheme(scheme: Scheme, settings: &str) -> Scheme {
    match scheme {
        Scheme::Basic { user } if !settings.contains(&Value::from(user.as_str()).to_string()) => {
            Scheme::Basic { user: STAND_IN.to_owned() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_carry_credentials_are_replaced_and_no_others() {
        let settings = serde_json::json!({ "sender": { "header": "X-Proof" }, "title": "$headers/x-title" });
        let redacted = |name: &str| header((name.to_owned(), "x".to_owned()), &settings).1 == STAND_IN;
        for name in ["authorization", "proxy-authorization", "cookie", "x-gitlab-token", "x-api-key", "x-foo-signature"]
        {
            assert!(redacted(name), "{name}");
        }
        for name in ["x-auth", "x-auth-key", "x-shopify-hmac-sha256", "ocp-apim-subscription-key", "x-proof"] {
            assert!(redacted(name), "{name}");
        }
        for name in
            ["content-type", "i-twilio-idempotency-token", "x-github-event", "user-agent", "webhook-id", "x-title"]
        {
            assert!(!redacted(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_replaced_whatever_its_type() {
        let mut value = serde_json::json!({ "a": ["s", "t"], "b": { "AC1": "u" }, "c": 4711, "d": true });
        replace(&mut value);
        assert_eq!(value, serde_json::json!({ "a": [STAND_IN], "b": { "AC1": STAND_IN }, "c": 0, "d": true }));
    }

    #[test]
    fn credentials_in_parameters_are_replaced_and_nothing_else() {
        assert_eq!(
            url("https://a.example/in/x?a=%20b&token=s3&%74oken=s3&API_KEY=s3&bodySHA256=00&c"),
            format!(
                "https://a.example/in/x?a=%20b&token={STAND_IN}&%74oken={STAND_IN}&API_KEY={STAND_IN}&bodySHA256=00&c"
            )
        );
        assert_eq!(url("https://a.example/in/token"), "https://a.example/in/token");
    }

    #[test]
    fn a_user_among_the_secrets_is_replaced_with_them() {
        let user = |settings| scheme(Scheme::Basic { user: "ann".into() }, settings);
        assert_eq!(user(r#"{"basic":"ann"}"#), Scheme::Basic { user: "ann".into() });
        assert_eq!(user(r#"{"basic":"annabel"}"#), Scheme::Basic { user: STAND_IN.into() });
    }
}
