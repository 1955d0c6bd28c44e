//! The examples for operators to start from: their settings are right, and their cases, made of
//! real requests, are read with these very settings.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use std::fs;
use std::path::Path;

use plugin_sdk::testing;
use serde_json::Value;
use webhook::Webhook;

/// An example's file, its source, and how the names of its cases begin.
const EXAMPLES: [(&str, &str, &str); 5] = [
    ("webhook-github.toml", "github", "github-"),
    ("webhook-sentry.toml", "sentry", "sentry"),
    ("webhook-uptime-kuma.toml", "kuma", "uptime-kuma-"),
    ("webhook-grafana-signed.toml", "grafana", "signed-grafana"),
    ("webhook-grafana.toml", "grafana", "grafana"),
];

fn settings(file: &str, source: &str) -> Value {
    let text = fs::read_to_string(Path::new("../../examples").join(file)).unwrap();
    let example: toml::Table = text.parse().unwrap();
    serde_json::to_value(&example["sources"][source]["settings"]).unwrap()
}

#[test]
fn the_settings_of_every_example_are_right() {
    for (file, source, _) in EXAMPLES {
        let mut settings = settings(file, source);
        assert!(
            settings["secret"]["env"].is_string(),
            "{file} names no variable for its secret"
        );
        settings["secret"] = "s3cret".into();
        let schema = testing::describe::<Webhook>().settings;
        let errors: Vec<_> = jsonschema::options()
            .offline()
            .build(&schema)
            .unwrap()
            .iter_errors(&settings)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{file}");
        let checked = testing::check::<Webhook>(&settings.to_string());
        assert_eq!(
            (checked.mistakes, checked.warnings),
            (Vec::new(), Vec::new()),
            "{file}"
        );
    }
}

/// `BLESS=1` writes an example's settings beside its cases.
#[test]
fn the_cases_of_an_example_have_its_settings() {
    let mut counts = [0; EXAMPLES.len()];
    let mut names: Vec<_> = fs::read_dir("cases")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names
        .iter()
        .filter(|path| path.to_string_lossy().ends_with(".http"))
    {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(number) = EXAMPLES
            .iter()
            .position(|(.., prefix)| name.starts_with(prefix))
        else {
            continue;
        };
        let (file, source, _) = EXAMPLES[number];
        let path = path.with_extension("settings.json");
        let found: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut expected = settings(file, source);
        expected["secret"] = found["secret"].clone();
        if found != expected && std::env::var_os("BLESS").is_some() {
            fs::write(
                &path,
                serde_json::to_string_pretty(&expected).unwrap() + "\n",
            )
            .unwrap();
        } else {
            assert_eq!(
                found, expected,
                "{name} is not read with the settings of {file}: BLESS=1 writes them"
            );
        }
        counts[number] += 1;
    }
    assert!(counts.iter().all(|count| *count >= 2), "{counts:?}");
}
