//! A plugin as bytes in and bytes out, for the wasm exports and, natively, for the test kit.

use std::mem::forget;

use serde_json::error::Category;

use crate::Plugin;
use crate::contract::Request;
use crate::json::pointer;

/// The plugin's [`Description`](crate::contract::Description) as JSON.
///
/// # Errors
/// What went wrong, for the operator.
pub fn describe<P: Plugin>() -> Result<Vec<u8>, String> {
    serde_json::to_vec(&P::describe())
        .map_err(|error| format!("the description cannot be written as JSON: {error}"))
}

/// Settings as JSON, and what the plugin says of them: a [`Checked`](crate::contract::Checked) as
/// JSON.
///
/// # Errors
/// What went wrong, for the operator. It holds nothing of the settings.
pub fn check<P: Plugin>(input: &[u8]) -> Result<Vec<u8>, String> {
    serde_json::to_vec(&P::check(&settings::<P>(text(input)?)?))
        .map_err(|error| format!("the mistakes cannot be written as JSON: {error}"))
}

/// A [`Request`] as JSON, and the [`Answer`](crate::contract::Answer) to it as JSON.
///
/// # Errors
/// What went wrong, for the operator. It holds nothing of the request and nothing of the settings.
pub fn read<P: Plugin>(input: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_str(text(input)?).map_err(|error| {
        format!(
            "the host sent what is no request of contract 1: {}",
            place(&error)
        )
    })?;
    let answer = P::read(&request, settings::<P>(request.settings.get())?);
    // An answer repeats most of its request, so this is written without growing.
    let mut output = Vec::with_capacity(input.len());
    serde_json::to_writer(&mut output, &answer)
        .map_err(|error| format!("the answer cannot be written as JSON: {error}"))?;
    if cfg!(target_family = "wasm") {
        // The instance ends with this call, and all its memory with it.
        forget((request, answer));
    }
    Ok(output)
}

/// Checked once, and then read as text: a plugin reads text as well, and one reader of JSON is
/// smaller than two.
fn text(input: &[u8]) -> Result<&str, String> {
    str::from_utf8(input)
        .map_err(|_| "the host sent what is no request of contract 1: not UTF-8".to_owned())
}

fn settings<P: Plugin>(json: &str) -> Result<P::Settings, String> {
    serde_json::from_str(json).map_err(|error| {
        let before = json
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1));
        let at = before.map(str::len).sum::<usize>() + error.column();
        let pointer = pointer(json, at.saturating_sub(1));
        let within = if pointer.is_empty() {
            String::new()
        } else {
            format!("{pointer}: ")
        };
        format!(
            "the settings fit the plugin's schema, but not the plugin: {within}{}",
            place(&error)
        )
    })
}

/// Describes the place at which JSON did not decode. It has none of serde's own words: they quote
/// the value, and a setting's value may be a secret.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "a value of another shape or a missing one",
        Category::Syntax | Category::Io => "not JSON",
        Category::Eof => "the JSON ends too soon",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Answer, Description};
    use crate::testing;

    struct Picky;

    #[derive(serde::Deserialize)]
    struct Settings {
        port: u16,
    }

    impl Plugin for Picky {
        type Settings = Settings;

        fn describe() -> Description {
            Description::new("picky", "1.0.0", "Wants a port.", serde_json::json!({}))
        }

        fn read(_: &Request, settings: Settings) -> Answer {
            Answer::ignored(format!("port {}", settings.port))
        }
    }

    fn read_with(settings: &str) -> Result<String, String> {
        let request = testing::post("https://a.example/in/x")
            .settings(settings)
            .build();
        let output = read::<Picky>(&serde_json::to_vec(&request).unwrap())?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn settings_reach_the_plugin_decoded() {
        assert_eq!(
            read_with(r#"{ "port": 25 }"#).unwrap(),
            r#"{"ignored":{"reason":"port 25"}}"#
        );
    }

    #[test]
    fn settings_that_do_not_decode_are_told_without_their_values() {
        let error = read_with(r#"{"port": "hunter2"}"#).unwrap_err();
        assert!(
            error.contains("but not the plugin: /port: a value of another shape"),
            "{error}"
        );
        assert!(error.contains("line 1 column 18"), "{error}");
        let missing = read_with(r#"{"ports": {"port": "hunter2"}}"#).unwrap_err();
        assert!(
            missing.contains("plugin: a value of another shape or a missing one"),
            "{missing}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn input_that_is_no_request_is_told_so() {
        for (input, said) in [
            ("", "ends too soon"),
            ("{}", "a missing one"),
            ("[}", "not JSON"),
        ] {
            let error = read::<Picky>(input.as_bytes()).unwrap_err();
            assert!(
                error.contains("contract 1") && error.contains(said),
                "{input:?}: {error}"
            );
        }
    }

    #[test]
    fn a_description_names_its_contract() {
        let json = String::from_utf8(describe::<Picky>().unwrap()).unwrap();
        assert!(
            json.starts_with(r#"{"contract":1,"name":"picky""#),
            "{json}"
        );
    }
}
