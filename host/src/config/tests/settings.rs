//! Tables in settings that look like references.

use std::path::Path;

use serde_json::json;

use super::environment;
use crate::config::Settings;

fn settings(text: &str) -> Settings {
    Settings::parse(text, Path::new("s.toml"), "hook", &environment)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of `text` where the plugin calls `secret` a secret.
fn problems(text: &str) -> Vec<String> {
    let found = settings(text).settle(&["secret".to_owned()], &["script".to_owned()]);
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn reference_is_one_only_within_a_secret() {
    let mut settings = settings(
        "secret = { AC1 = { env = 'A' }, AC2 = [{ env = 'B' }] }\n\
         labels = { env = 'prod' }\nvalues = [{ file = 'core' }, { credential = 'x' }]\n\
         nested = { env = { env = { file = 'deep' } } }\n",
    );
    let found = settings.settle(&["secret".to_owned()], &["script".to_owned()]);
    assert!(found.problems.is_empty() && found.warnings.is_empty());
    let expected = json!({
        "secret": { "AC1": "value-of-A", "AC2": ["value-of-B"] },
        "labels": { "env": "prod" },
        "values": [{ "file": "core" }, { "credential": "x" }],
        "nested": { "env": { "env": { "file": "deep" } } },
    });
    assert_eq!(*settings.value(), expected);
    assert_eq!(settings.json().get(), expected.to_string());
    assert!(settings.is_whole());
    assert!(settings.is_referenced("/secret"));
    assert!(!settings.is_referenced("/labels") && !settings.is_referenced("/nested"));
}

#[test]
fn mistake_in_a_reference_counts_only_within_a_secret() {
    assert_eq!(
        problems("other = { env = 'NO_A' }\nlabels = { file = 'none' }"),
        [""; 0]
    );
    assert_eq!(
        problems("secret = { env = 'NO_A' }"),
        [
            "s.toml:1:18: secret in [sources.hook.settings] names the environment variable NO_A, which is not set; \
         set it for the gateway's process",
        ]
    );
    assert_eq!(
        problems("secret = { AC1 = { env = 'NO_A' } }"),
        [
            "s.toml:1:26: AC1 in [sources.hook.settings] names the environment variable NO_A, which is not set; \
         set it for the gateway's process",
        ]
    );
    assert_eq!(
        problems("secret = [{ file = 'none' }]"),
        [
            "s.toml:1:20: secret in [sources.hook.settings] names a file that cannot be read: \
         No such file or directory (os error 2); relative paths start at the configuration file's folder",
        ]
    );
    // A table has mistakes of its own.
    assert_eq!(
        problems("labels = { env = nan }"),
        [
            "s.toml:1:18: env in [sources.hook.settings] is not a finite number; \
         plugins are given JSON, which has no other",
        ]
    );
    assert_eq!(
        problems("secret = { env = nan }"),
        [
            "s.toml:1:18: env of secret in [sources.hook.settings] is a fraction; \
         write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }",
        ]
    );
}

#[test]
fn unread_reference_is_whole_as_a_table() {
    let mut settings = settings("labels = { env = 'NO_A' }\nsecret = { env = 'NO_B' }");
    settings.settle(&["secret".to_owned()], &["script".to_owned()]);
    assert!(!settings.is_unread("/labels"));
    assert!(settings.is_unread("/secret"));
}
