//! The credentials of a request and of its source's settings, and the text in the place of each.
//!
//! A credential is found by its place (a header, a parameter or a field of a telling name), and
//! then hidden by its value, at each place and in every spelling: proxies copy the URL into
//! headers, and senders repeat values. Of the headers only those are kept by which senders of
//! webhooks are known to tell something.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plugin_sdk::form::Form;
use plugin_sdk::json::Object;
use plugin_sdk::signature::Scheme;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Number, Value};

use crate::config::Settings;
use crate::credential::{is_credential, is_named, is_said, without_credentials};
use crate::mask::{MOST_BYTES, Mask};

/// The text in the place of every credential. It is long enough for a plugin that refuses short
/// ones.
pub const STAND_IN: &str = "test-token-0123456789abcdef";

/// Names of credentials in a body, in lower case and without what stands between their words. They
/// are fewer, because there a key or a token can be an event's.
const IN_BODY: [&str; 27] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authkey",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "credentials",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "refreshtoken",
    "secret",
    "secretkey",
    "sessiontoken",
    "sharedsecret",
    "signingsecret",
    "token",
    "verificationtoken",
    "webhooksecret",
];

/// Headers that say nothing of where a request came from.
const HARMLESS: [&str; 15] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "digest",
    "user-agent",
    "x-correlation-id",
    "x-request-id",
];

/// Parts, between dashes, of the names of headers by which senders tell events apart.
const OF_EVENTS: [&str; 16] = [
    "action",
    "ce",
    "delivery",
    "event",
    "github",
    "gitlab",
    "hook",
    "idempotency",
    "sentry",
    "signature",
    "signed",
    "svix",
    "timestamp",
    "topic",
    "twilio",
    "webhook",
];

/// A value that is shorter stands in any text. Its place is hidden nevertheless.
const SHORTEST: usize = 6;

/// Collects credentials, and hides them.
#[derive(Default)]
pub struct Redaction {
    values: BTreeSet<String>,
    /// The number of places in which a credential was hidden by its value.
    pub places: usize,
    /// The names of the headers that were left out.
    pub left_out: Vec<String>,
}

impl Redaction {
    /// Learns a credential.
    pub fn learn(&mut self, value: &str) {
        if value.trim().len() >= SHORTEST && value != STAND_IN {
            self.values.insert(value.trim().to_owned());
        }
    }

    /// Returns whether there are more credentials than can be looked for.
    pub fn is_too_much(&self) -> bool {
        self.values.iter().map(String::len).sum::<usize>() > MOST_BYTES
    }

    /// Learns the credentials of a request from their places.
    pub fn learn_request(
        &mut self,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        settings: &Value,
    ) {
        for (name, value) in headers {
            if is_credential(name) || is_named(name, settings) {
                self.learn_header(name, value);
            }
            self.learn_assertions(value);
        }
        self.learn_parameters(url);
        self.learn_assertions(url);
        let text = String::from_utf8_lossy(body);
        self.learn_assertions(&text);
        self.learn_schemes(&text);
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => {
                self.learn_json(&value);
                self.learn_numbers(text.trim(), false);
            }
            Err(_) => {
                for (name, value) in Form::parse(body).fields() {
                    let name = String::from_utf8_lossy(name);
                    let value = String::from_utf8_lossy(value);
                    if in_body(&name) {
                        self.learn(&value);
                    }
                    self.learn_urls(&value);
                    self.learn_schemes(&value);
                    // Twilio, for one, sends JSON in a field.
                    if let Ok(json) = serde_json::from_str::<Value>(&value) {
                        self.learn_json(&json);
                        self.learn_numbers(value.trim(), false);
                    }
                }
            }
        }
    }

    fn learn_header(&mut self, name: &str, value: &str) {
        if name == "cookie" {
            value
                .split(';')
                .filter_map(|pair| pair.split_once('='))
                .for_each(|(_, value)| self.learn(value));
            return;
        }
        self.learn(value);
        let Some((scheme, rest)) = value.split_once(' ') else {
            return;
        };
        self.learn(rest);
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(decoded) = STANDARD.decode(rest.trim())
            && let Ok(decoded) = String::from_utf8(decoded)
        {
            self.learn(&decoded);
            decoded
                .split_once(':')
                .into_iter()
                .for_each(|(_, password)| self.learn(password));
        }
        // As in Digest, and in signatures with parameters.
        for part in rest.split(',').filter_map(|part| part.split_once('=')) {
            self.learn(part.1.trim().trim_matches('"'));
        }
    }

    /// Learns the word behind the name of a scheme of `Authorization` in a text, as in a quoted command.
    /// A word behind it in a sentence has no digit, and is no name with a password.
    fn learn_schemes(&mut self, text: &str) {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        let words = || {
            text.split(|c: char| !is_of_it(c))
                .filter(|word| !word.is_empty())
        };
        for (scheme, word) in words().zip(words().skip(1)) {
            if scheme.eq_ignore_ascii_case("bearer") && word.contains(|c: char| c.is_ascii_digit())
            {
                self.learn(word);
            } else if scheme.eq_ignore_ascii_case("basic")
                && STANDARD
                    .decode(word)
                    .is_ok_and(|decoded| decoded.is_ascii() && decoded.contains(&b':'))
            {
                self.learn_header("authorization", &format!("Basic {word}"));
            }
        }
    }

    /// Learns JSON Web Tokens, by which proxies identify a user.
    fn learn_assertions(&mut self, text: &str) {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        let mut rest = text;
        while let Some(start) = rest.find("eyJ") {
            let end = rest[start..].find(|c| !is_of_it(c));
            let end = end.map_or(rest.len(), |length| start + length);
            let token = &rest[start..end];
            if token.matches('.').count() >= 2 {
                self.learn(token);
            }
            rest = &rest[end..];
        }
    }

    fn learn_json(&mut self, value: &Value) {
        match value {
            Value::Object(table) => {
                for (name, value) in table {
                    match value {
                        // A copy of a request, say.
                        Value::String(text) if is_credential_header(name) => {
                            self.learn_header("authorization", text)
                        }
                        Value::String(text) if in_body(name) => self.learn(text),
                        Value::Array(list) if in_body(name) => {
                            let texts = list.iter().filter_map(Value::as_str);
                            texts.for_each(|text| self.learn(text));
                            self.learn_json(value);
                        }
                        _ => self.learn_json(value),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.learn_json(value)),
            Value::String(text) => self.learn_urls(text),
            _ => {}
        }
    }

    /// Learns the numbers below names of credentials, as they are spelled.
    fn learn_numbers(&mut self, json: &str, is_meant: bool) {
        match json.as_bytes().first() {
            Some(b'{') => Object::read(json)
                .members()
                .for_each(|(name, value)| self.learn_numbers(value, in_body(name))),
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
                for value in list {
                    self.learn_numbers(value.get(), is_meant);
                }
            }
            Some(b'-' | b'0'..=b'9') if is_meant => self.learn(json),
            _ => {}
        }
    }

    /// Learns the passwords and the credentials among the parameters of URLs in a text of a body, such
    /// as a link that lets in whoever has it.
    fn learn_urls(&mut self, text: &str) {
        let is_outside = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        for url in text.split(is_outside) {
            let Some((_, rest)) = url.split_once("://") else {
                continue;
            };
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
                self.learn(password);
            }
            self.learn_parameters(rest);
        }
    }

    /// Learns the credentials among the parameters of the query and the fragment of a URL.
    fn learn_parameters(&mut self, url: &str) {
        for parameters in url.split(['?', '#']).skip(1) {
            for (name, value) in Form::parse(parameters.as_bytes()).fields() {
                if is_credential(&String::from_utf8_lossy(name)) {
                    self.learn(&String::from_utf8_lossy(value));
                }
            }
        }
    }

    /// Returns the headers that are kept, without credentials; `kept` are names that the caller
    /// wants to keep.
    pub fn headers(
        &mut self,
        headers: Vec<(String, String)>,
        settings: &Value,
        kept: &[String],
    ) -> Vec<(String, String)> {
        let mut left = Vec::new();
        for (name, value) in headers {
            if is_credential(&name) || is_named(&name, settings) {
                left.push((name, STAND_IN.to_owned()));
            } else if is_known(&name)
                || is_mentioned(&name, settings)
                || kept.iter().any(|kept| kept.eq_ignore_ascii_case(&name))
            {
                let value = self.text(&value);
                left.push((name, value));
            } else if !self.left_out.contains(&name) {
                self.left_out.push(name);
            }
        }
        left
    }

    /// Returns a URL, with the stand-in for each credential in its query and its fragment, and for
    /// each value wherever it stands.
    pub fn url(&mut self, url: &str) -> String {
        let hidden = without_credentials(url, STAND_IN);
        self.text(hidden.as_deref().unwrap_or(url))
    }

    /// Returns a body without credentials.
    pub fn body(&mut self, body: &[u8]) -> Vec<u8> {
        let mask = Mask::new(self.values.iter().map(String::as_str));
        // A number may stand in JSON without quotes.
        let stand_in = |found: &[u8]| match serde_json::from_slice::<Number>(found) {
            Ok(_) => b"0".as_slice(),
            Err(_) => STAND_IN.as_bytes(),
        };
        match mask.replace_each(body, stand_in) {
            Some((hidden, places)) => {
                self.places += places;
                hidden
            }
            None => body.to_vec(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.body(text.as_bytes())).into_owned()
    }
}

fn is_credential_header(name: &str) -> bool {
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ]
    .iter()
    .any(|known| name.eq_ignore_ascii_case(known))
}

fn in_body(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_', '.', ' '], "");
    IN_BODY.contains(&name.as_str())
}

fn is_known(header: &str) -> bool {
    HARMLESS.contains(&header) || header.split('-').any(|part| OF_EVENTS.contains(&part))
}

/// Returns true if the settings name a header within a text, as they do where an alert is made from
/// it.
fn is_mentioned(header: &str, settings: &Value) -> bool {
    is_said(settings, &|text| text.to_ascii_lowercase().contains(header))
}

/// Returns settings with a stand-in for every value at or below one of the names in `secrets`.
pub fn settings(settings: &Settings, secrets: &[String]) -> serde_json::Result<Box<RawValue>> {
    let mut value = settings.value().clone();
    if let Value::Object(settings) = &mut value {
        let secret = settings
            .iter_mut()
            .filter(|(name, _)| secrets.contains(name));
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

/// Returns the scheme as these settings have it: a user is replaced where it stands among the
/// secrets.
pub fn scheme(scheme: Scheme, settings: &str) -> Scheme {
    match scheme {
        Scheme::Basic { user } if !settings.contains(&Value::from(user.as_str()).to_string()) => {
            Scheme::Basic {
                user: STAND_IN.to_owned(),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_settings() -> Value {
        Value::Null
    }

    #[test]
    fn headers_with_credentials_are_replaced_and_no_others() {
        let settings =
            serde_json::json!({ "sender": { "header": "X-Proof" }, "title": "$headers/x-title" });
        let header = |name: &str| {
            Redaction::default().headers(vec![(name.to_owned(), "x".to_owned())], &settings, &[])
        };
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-gitlab-token",
            "x-api-key",
            "x-foo-signature",
        ] {
            assert_eq!(
                header(name),
                [(name.to_owned(), STAND_IN.to_owned())],
                "{name}"
            );
        }
        for name in [
            "x-auth",
            "x-auth-key",
            "x-shopify-hmac-sha256",
            "ocp-apim-subscription-key",
            "x-proof",
        ] {
            assert_eq!(
                header(name),
                [(name.to_owned(), STAND_IN.to_owned())],
                "{name}"
            );
        }
        for name in [
            "content-type",
            "i-twilio-idempotency-token",
            "x-github-event",
            "user-agent",
            "webhook-id",
            "x-title",
        ] {
            assert_eq!(header(name), [(name.to_owned(), "x".to_owned())], "{name}");
        }
    }

    #[test]
    fn headers_of_proxies_are_left_out_and_named() {
        let of_proxies = [
            "forwarded",
            "referer",
            "x-forwarded-for",
            "x-forwarded-uri",
            "x-original-uri",
            "x-real-ip",
            "cf-access-jwt-assertion",
            "x-amzn-oidc-data",
            "host",
            "x-custom",
        ];
        let mut redaction = Redaction::default();
        let headers = || {
            of_proxies
                .iter()
                .map(|name| ((*name).to_owned(), "x".to_owned()))
                .collect()
        };
        assert_eq!(redaction.headers(headers(), &no_settings(), &[]), []);
        assert_eq!(redaction.left_out, of_proxies);
        let kept = redaction.headers(headers(), &no_settings(), &["X-Custom".to_owned()]);
        assert_eq!(kept, [("x-custom".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn credential_in_a_list_or_a_link_is_hidden() {
        let body = r#"{"tokens": 1, "token": ["list-secret-1", {"password": "list-secret-2"}], "text": "see https://u:link-secret-3@a.example/x?id=12345678&access_token=link-secret-4#id_token=link-secret-7 or <https://b.example?X-Amz-Signature=link-secret-5>"}"#;
        let mut redaction = Redaction::default();
        redaction.learn_request(
            "https://a.example/in/x",
            &[],
            body.as_bytes(),
            &no_settings(),
        );
        let left = String::from_utf8(redaction.body(body.as_bytes())).unwrap();
        assert!(
            !left.contains("-secret-") && left.contains("12345678"),
            "{left}"
        );
        let mut redaction = Redaction::default();
        let form = "text=https%3A%2F%2Fa.example%2F%3Fapi_key%3Dlink-secret-6";
        redaction.learn_request(
            "https://a.example/in/x",
            &[],
            form.as_bytes(),
            &no_settings(),
        );
        let left = String::from_utf8(redaction.body(form.as_bytes())).unwrap();
        assert!(!left.contains("-secret-"), "{left}");
    }

    #[test]
    fn credential_behind_the_name_of_its_scheme_is_hidden() {
        let body = r#"{"text": "curl -H 'Authorization: Bearer s3cret-of-text' failed; bearer authentication is basic knowledge", "log": "authorization: basic dXNlcjpzZWNyZXQtb2YtbG9n; secret-of-log"}"#;
        let mut redaction = Redaction::default();
        redaction.learn_request(
            "https://a.example/in/x",
            &[],
            body.as_bytes(),
            &no_settings(),
        );
        redaction.learn_request(
            "https://a.example/in/x",
            &[],
            b"text=Bearer++f0rm-secret",
            &no_settings(),
        );
        assert!(redaction.values.contains("f0rm-secret"));
        let left = String::from_utf8(redaction.body(body.as_bytes())).unwrap();
        for secret in ["s3cret-of-text", "dXNlcjpz", "secret-of-log"] {
            assert!(!left.contains(secret), "{secret} is in {left}");
        }
        assert!(
            left.contains("bearer authentication is basic knowledge"),
            "{left}"
        );
    }

    #[test]
    fn a_credential_is_hidden_wherever_it_stands() {
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJlbWFpbCI6ImEifQ.c2lnbmF0dXJl";
        let url = "https://a.example/in/x?token=t0k%65n-of-source&next=t0ken-of-source";
        let headers = [
            ("authorization", "Basic dXNlcjpwYXNzLW9mLXVzZXI="),
            ("cookie", "a=1; session=cookie-of-user"),
            ("x-github-event", "t0ken-of-source"),
            ("user-agent", jwt),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = format!(
            r#"{{"password": "body-secret-1", "accessToken": "body-secret-2", "db": {{"private-key": "body-secret-3"}}, "copy": ["t0ken-of-source", "t0ken%2Dof%2Dsource", "pass&#45;of-user", "{}"],
            "request": {{"Authorization": "Bearer inner-secret"}}, "more": "cookie-of-user inner-secret {jwt}"}}"#,
            STANDARD.encode("xt0ken-of-source")
        );
        let mut redaction = Redaction::default();
        redaction.learn_request(url, &headers, body.as_bytes(), &no_settings());
        let url = redaction.url(url);
        let headers = redaction.headers(headers.into(), &no_settings(), &[]);
        let body = String::from_utf8(redaction.body(body.as_bytes())).unwrap();
        for text in [&url, &body, &format!("{headers:?}")] {
            for secret in [
                "of-source",
                "of%2Dsource",
                "of-user",
                "secret",
                "eyJ",
                "t0ken",
                "QtoIGw",
            ] {
                assert!(
                    !text.replace("secret\":", "").contains(secret),
                    "{secret} is in {text}"
                );
            }
        }
        assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
        assert!(redaction.places > 8, "{}", redaction.places);
    }

    #[test]
    fn a_number_is_hidden_by_a_number() {
        let hidden = |body: &str| {
            let mut redaction = Redaction::default();
            redaction.learn_request("/", &[], body.as_bytes(), &no_settings());
            String::from_utf8(redaction.body(body.as_bytes())).unwrap()
        };
        for (body, expected) in [
            (
                r#"{"password":12345678,"said":"it was 12345678"}"#,
                r#"{"password":0,"said":"it was 0"}"#,
            ),
            (
                r#"{"password":"12345678","id":12345678}"#,
                r#"{"password":"0","id":0}"#,
            ),
            (r#"{"secret":[-1.5e-300,"x"]}"#, r#"{"secret":[0,"x"]}"#),
            (
                r#"{"db":{"password":12345678901234567890123,"pwd":1.5E+10}}"#,
                r#"{"db":{"password":0,"pwd":0}}"#,
            ),
            (r#"{"password":123456.70}"#, r#"{"password":0}"#),
            (
                r#"{"password":123456,"token":"0123456789abcdef0123"}"#,
                r#"{"password":0,"token":"test-token-0123456789abcdef"}"#,
            ),
            ("password=12345678&id=1", "password=0&id=1"),
        ] {
            assert_eq!(hidden(body), expected, "{body}");
        }
    }

    #[test]
    fn each_run_of_an_assertion_is_learnt_once() {
        let body = format!("{}.a.b eyJhIjoi.c.d", "eyJ".repeat(300_000));
        let mut redaction = Redaction::default();
        redaction.learn_request("/", &[], body.as_bytes(), &no_settings());
        assert_eq!(redaction.values.len(), 2);
        assert!(redaction.is_too_much());
    }

    #[test]
    fn a_secret_is_replaced_whatever_its_type() {
        let mut value =
            serde_json::json!({ "a": ["s", "t"], "b": { "AC1": "u" }, "c": 4711, "d": true });
        replace(&mut value);
        assert_eq!(
            value,
            serde_json::json!({ "a": [STAND_IN], "b": { "AC1": STAND_IN }, "c": 0, "d": true })
        );
    }

    #[test]
    fn a_user_among_the_secrets_is_replaced_with_them() {
        let user = |settings| scheme(Scheme::Basic { user: "ann".into() }, settings);
        assert_eq!(
            user(r#"{"basic":"ann"}"#),
            Scheme::Basic { user: "ann".into() }
        );
        assert_eq!(
            user(r#"{"basic":"annabel"}"#),
            Scheme::Basic {
                user: STAND_IN.into()
            }
        );
    }
}
