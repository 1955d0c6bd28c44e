//! `schema`: every configuration that is shown to people fits it, and a slip does not.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value as Json;

use crate::harness::{Place, root};

/// The schema as the command prints it.
async fn schema() -> Validator {
    let place = Place::of("");
    let output = place.run_without_secrets(&["schema"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let schema: Json = serde_json::from_str(&output.stdout).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

/// TOML as editors hand it to a schema: a time is text there.
fn json(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => Json::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        ),
    }
}

fn parsed(text: &str) -> Json {
    json(toml::Value::Table(
        text.parse()
            .unwrap_or_else(|error| panic!("{error}\n{text}")),
    ))
}

/// The files below a folder whose name ends so.
fn files(below: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", "fuzz", ".git"].contains(&&*name) {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn every_example_fits_the_schema() {
    let schema = schema().await;
    let mut examples = vec![root().join("packaging/linux/gateway.toml")];
    files(&root().join("examples"), ".toml", &mut examples);
    examples.retain(|path| !path.ends_with("Cargo.toml"));
    assert!(examples.len() >= 8, "{examples:?}");
    for path in examples {
        let text = fs::read_to_string(&path).unwrap();
        let errors: Vec<_> = schema
            .iter_errors(&parsed(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

#[tokio::test]
async fn every_table_of_the_pages_fits_the_schema() {
    let schema = schema().await;
    let mut pages = Vec::new();
    for folder in ["docs", "plugins", "plugin-sdk"] {
        files(&root().join(folder), ".md", &mut pages);
    }
    pages.push(root().join("README.md"));
    let mut seen = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let blocks = page.split("```toml\n").skip(1);
        for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
            let is_ours = [
                "[gateway]",
                "[destinations.",
                "[sources.",
                "[[sources.",
                "[[mutes]]",
                "include =",
            ]
            .iter()
            .any(|start| block.contains(start));
            if !is_ours {
                continue;
            }
            seen += 1;
            // A page shows a part of a table; what a whole one must have is not to be asked of it.
            let document = parsed(block);
            let errors: Vec<_> = schema
                .iter_errors(&document)
                .filter(|error| !matches!(error.kind(), ValidationErrorKind::Required { .. }))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {block}\n{errors:?}", path.display());
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[tokio::test]
async fn slip_in_a_configuration_does_not_fit_the_schema() {
    let schema = schema().await;
    let right = fs::read_to_string(root().join("examples/twilio-errors.toml")).unwrap();
    assert!(schema.is_valid(&parsed(&right)));
    for (from, to) in [
        ("public_url", "public_ulr"),
        ("[destinations.", "[destination."),
        ("kind = \"itoc360\"", "kind = \"itoc\""),
        ("plugin = \"twilio-errors\"", "plugin = \"twilio-error\""),
        ("auth_token", "auth_tokn"),
        (
            "{ env = \"TWILIO_AUTH_TOKEN\" }",
            "{ evn = \"TWILIO_AUTH_TOKEN\" }",
        ),
        ("{ env = \"TWILIO_AUTH_TOKEN\" }", "7"),
    ] {
        // The examples line up their values.
        let right = right
            .lines()
            .map(|line| match line.split_once('=') {
                Some((key, value)) => format!("{} = {}\n", key.trim(), value.trim()),
                None => format!("{line}\n"),
            })
            .collect::<String>();
        assert!(right.contains(from), "{from}\n{right}");
        assert!(!schema.is_valid(&parsed(&right.replace(from, to))), "{to}");
    }
}

#[tokio::test]
async fn configuration_of_init_fits_the_schema() {
    let schema = schema().await;
    for bundled in alert_gateway_plugins::all() {
        let place = Place::of("");
        let dir = place.path("new");
        let init = [
            "init",
            "--dir",
            dir.to_str().unwrap(),
            "--plugin",
            bundled.name,
        ];
        let url = ["--public-url", "https://alerts.example.com"];
        let output = place.run_without_secrets(&[&init[..], &url].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        let text = fs::read_to_string(dir.join("gateway.toml")).unwrap();
        let errors: Vec<_> = schema
            .iter_errors(&parsed(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{text}", bundled.name);
    }
}
