//! The functions of the prelude that are the SDK's. Each takes one value as JSON, and returns one.

use std::borrow::Cow;

use plugin_sdk::contract::{Priority, Request, Status, Unreadable};
use plugin_sdk::form::Form;
use plugin_sdk::signature::{hmac_sha1, hmac_sha256, same, sha256};
use plugin_sdk::{attempt, body, json, text, time};
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest line that a script logs.
const LONGEST_LINE: usize = 2000;

/// A call of a helper that failed.
#[derive(Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only the engine, which is wasm, reads them")
)]
pub(crate) enum Failure {
    /// The script gave it what it cannot take.
    Misused(String),
    /// The body of the request cannot be read.
    Unreadable(Unreadable),
}

#[derive(Deserialize)]
struct Signed {
    algorithm: String,
    key: String,
    text: String,
    #[serde(default)]
    encoding: String,
}

/// Answers a call of a helper by a script that reads `request`; there is none while the script is
/// only checked.
pub(crate) fn call(
    name: &str,
    argument: &str,
    request: Option<&Request>,
) -> Result<String, Failure> {
    let misused = |error: serde_json::Error| Failure::Misused(format!("{name}: {error}"));
    let value = match name {
        "priority" => json!(Priority::from_word(&string(argument)?)),
        "status" => json!(Status::from_word(&string(argument)?)),
        "time" => json!(time::any(&string(argument)?)),
        "form" => {
            let text = string(argument)?;
            let form = Form::parse(text.as_bytes());
            let fields = form
                .fields()
                .iter()
                .map(|(name, value)| [name, value].map(|part| text::of_bytes(part).into_owned()));
            json!(fields.collect::<Vec<_>>())
        }
        "attempt" => {
            let received_at = &of(request)?.received_at;
            json!(attempt::event_id(string(argument)?.as_bytes(), received_at))
        }
        "decode_base64" => {
            let bytes = text::of_base64(&string(argument)?);
            json!(bytes.map(|bytes| text::of_bytes(&bytes).into_owned()))
        }
        "sha256" => json!(sha256(string(argument)?.as_bytes()).hex()),
        "same" => {
            let [given, expected]: [String; 2] = serde_json::from_str(argument).map_err(misused)?;
            json!(same(&given, &expected))
        }
        "bounded" => {
            let [text, bytes]: [String; 2] = serde_json::from_str(argument).map_err(misused)?;
            let fits = bytes.parse().is_ok_and(|bytes: usize| text.len() <= bytes);
            json!(if fits {
                text
            } else {
                format!("sha256:{}", sha256(text.as_bytes()).hex())
            })
        }
        "hmac" => {
            let signed: Signed = serde_json::from_str(argument).map_err(misused)?;
            json!(hmac(&signed)?)
        }
        "line" => json!(text::line(&string(argument)?, LONGEST_LINE)),
        // The whole body, as JSON to the letter, or as the one text of an object.
        "details" => {
            let text = string(argument)?;
            return Ok(json::details("body_text", &text)
                .map_or_else(|| "null".to_owned(), |json| json.get().to_owned()));
        }
        "text" => json!(of(request)?.text()),
        "json" => {
            let reading = body::read(of(request)?).map_err(Failure::Unreadable)?;
            let json = reading.json().unwrap_or("null".into());
            return Ok(exact(&json).into_owned());
        }
        _ => return Err(Failure::Misused(format!("there is no helper {name}"))),
    };
    Ok(value.to_string())
}

/// A JSON text, with each integer too long for a number of JavaScript as its text: two ids must not
/// become one.
fn exact(json: &str) -> Cow<'_, str> {
    /// The largest integer with a neighbour of its own.
    const MOST: u64 = (1 << 53) - 1;
    let mut exact = String::new();
    let mut copied = 0;
    let mut at = 0;
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let length = match byte {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => {
                let of_number =
                    |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                rest.iter().take_while(of_number).count()
            }
            _ => 1,
        };
        let token = &json[at..at + length];
        let digits = token.strip_prefix('-').unwrap_or(token);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_integer && digits.parse().map_or(true, |number: u64| number > MOST) {
            for part in [&json[copied..at], "\"", token, "\""] {
                exact += part;
            }
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    exact += &json[copied..];
    Cow::Owned(exact)
}

/// The bytes of the text in quotes with which this begins.
fn text_length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn string(argument: &str) -> Result<String, Failure> {
    match serde_json::from_str(argument) {
        Ok(Value::String(text)) => Ok(text),
        Ok(other) => Ok(other.to_string()),
        Err(error) => Err(Failure::Misused(error.to_string())),
    }
}

fn of(request: Option<&Request>) -> Result<&Request, Failure> {
    request.ok_or_else(|| Failure::Misused("there is no request outside of `read`".to_owned()))
}

fn hmac(signed: &Signed) -> Result<String, Failure> {
    let key = signed.key.as_bytes();
    let parts = [signed.text.as_bytes()];
    let (hex, base64) = match signed.algorithm.as_str() {
        "sha1" => {
            let digest = hmac_sha1(key, &parts);
            (digest.hex(), digest.base64())
        }
        "sha256" => {
            let digest = hmac_sha256(key, &parts);
            (digest.hex(), digest.base64())
        }
        other => {
            return Err(Failure::Misused(format!(
                "hmac takes \"sha256\" or \"sha1\", not {other:?}"
            )));
        }
    };
    match signed.encoding.as_str() {
        "" | "hex" => Ok(hex),
        "base64" => Ok(base64),
        other => Err(Failure::Misused(format!(
            "hmac writes \"hex\" or \"base64\", not {other:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    #[test]
    fn helpers_are_the_sdks() {
        let is = |name: &str, argument: &str| call(name, argument, None).unwrap();
        assert_eq!(is("priority", r#""P1""#), r#""critical""#);
        assert_eq!(is("priority", r#""odd""#), "null");
        assert_eq!(is("priority", "1"), is("priority", r#""1""#));
        assert_eq!(is("status", r#""Recovered""#), r#""resolve""#);
        assert_eq!(is("time", "1769846400"), r#""2026-01-31T08:00:00Z""#);
        assert_eq!(is("form", r#""a=1&b=%20x""#), r#"[["a","1"],["b"," x"]]"#);
        assert_eq!(is("bounded", r#"["ab","2"]"#), r#""ab""#);
        assert!(is("bounded", r#"["abc","2"]"#).starts_with("\"sha256:ba7816bf"));
        assert_eq!(is("same", r#"["a","a"]"#), "true");
        assert_eq!(is("same", r#"["a","b"]"#), "false");
        assert_eq!(
            is(
                "hmac",
                r#"{"algorithm":"sha256","key":"key","text":"The quick brown fox jumps over the lazy dog"}"#
            ),
            r#""f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8""#
        );
        assert_eq!(is("details", r#""{\"a\": 1.0}""#), r#"{"a": 1.0}"#);
        assert_eq!(is("details", r#""x""#), r#"{"body_text":"x"}"#);
    }

    #[test]
    fn long_integers_of_a_body_are_texts() {
        for (json, expected) in [
            ("12345678901234567891", r#""12345678901234567891""#),
            ("-9007199254740992", r#""-9007199254740992""#),
            ("9007199254740991", "9007199254740991"),
            (
                "[1.2345678901234567891, 12345678901234567e3, 0]",
                "[1.2345678901234567891, 12345678901234567e3, 0]",
            ),
            (
                r#"{"a\"é12345678901234567": "\\", "b": [12345678901234567, true]}"#,
                r#"{"a\"é12345678901234567": "\\", "b": ["12345678901234567", true]}"#,
            ),
            (r#""12345678901234567"#, r#""12345678901234567"#),
        ] {
            assert_eq!(exact(json), expected);
        }
    }

    #[test]
    fn event_without_an_id_is_known_for_some_minutes() {
        let request = testing::post("https://a.example/in/x").build();
        let id = |text: &str| call("attempt", text, Some(&request)).unwrap();
        assert_eq!(id(r#""a""#), id(r#""a""#));
        assert_ne!(id(r#""a""#), id(r#""b""#));
    }

    #[test]
    fn misuse_of_a_helper_is_told() {
        for (name, argument) in [
            ("hmac", r#"{"algorithm":"md5","key":"","text":""}"#),
            (
                "hmac",
                r#"{"algorithm":"sha1","key":"","text":"","encoding":"x"}"#,
            ),
            ("hmac", "1"),
            ("same", "[]"),
            ("json", ""),
            ("launch", ""),
        ] {
            assert!(
                matches!(call(name, argument, None), Err(Failure::Misused(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn body_is_read_as_every_plugin_reads_it() {
        let of_body = |body: &str| {
            let request = testing::post("https://a.example/in/x").body(body).build();
            call("json", "", Some(&request))
        };
        assert_eq!(of_body(r#"{"a": 1}"#).unwrap(), r#"{"a": 1}"#);
        assert_eq!(of_body("").unwrap(), "null");
        assert!(matches!(of_body(r#"{"a": "#), Err(Failure::Unreadable(_))));
    }
}
