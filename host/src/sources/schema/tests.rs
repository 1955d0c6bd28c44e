//! Settings against schemas: what the operator is told.

use std::path::Path;

use plugin_sdk::contract::{Checked, Demand, Mistake, Scheme, Way};
use serde_json::{Value as Json, json};

use super::{check, doubts, review, warnings};
use crate::config::Config;
use alert_gateway_sandbox::Description;

const CANARY: &str = "canary-77aa";

/// A configuration with one source; its settings begin at line 9.
fn config(token: &str, settings: &str) -> Config {
    let text = format!(
        "[gateway]\npublic_url = \"https://a.example\"\n[destinations.d]\nkind = \"itoc360\"\ntoken = \"t\"\n\
         [sources.s]\nplugin = \"p\"\ndestination = \"d\"\n{token}[sources.s.settings]\n{settings}\n"
    );
    let env = |name: &str| (!name.starts_with("NO_")).then(|| CANARY.to_owned());
    Config::parse(&text, Path::new("gateway.toml"), &env)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn describe(schema: Json) -> Description {
    Description {
        secrets: vec!["auth_token".into()],
        authenticates: true,
        ..Description::new("p", "1", "", schema)
    }
}

/// The schema of a plugin much like Twilio's.
fn twilio() -> Description {
    let token = json!({ "type": "string", "minLength": 4 });
    let tokens = json!({ "anyOf": [token, { "type": "array", "items": token, "minItems": 1 }] });
    describe(json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["auth_token"],
        "properties": {
            "auth_token": {
                "description": "the auth token of the account",
                "anyOf": [
                    token,
                    { "type": "array", "items": token, "minItems": 1 },
                    {
                        "type": "object",
                        "propertyNames": { "pattern": "^AC" },
                        "additionalProperties": tokens,
                    },
                ],
            },
            "level": { "description": "the least level to pass on", "enum": ["error", "warning"] },
            "count": { "type": ["integer", "null"], "minimum": 1 },
            "link": { "type": "string", "format": "uri" },
            "nested": {
                "type": "object",
                "additionalProperties": false,
                "required": ["inner"],
                "properties": { "inner": { "type": "boolean" } },
            },
        },
    }))
}

fn told(settings: &str) -> Vec<String> {
    let mut config = config("", settings);
    let found = config.sources[0].settings.settle(&twilio().secrets, &[]);
    assert!(found.problems.is_empty(), "{found:?}");
    let problems = check(&config.sources[0], &twilio(), &config);
    problems
        .iter()
        .map(|problem| {
            problem
                .to_string()
                .trim_start_matches("gateway.toml:")
                .to_owned()
        })
        .collect()
}

#[test]
fn settings_that_fit_are_no_problem() {
    for fit in [
        "auth_token = \"12345\"",
        "auth_token = { env = \"A\" }",
        "auth_token = [\"12345\", { env = \"A\" }]",
        "auth_token = { AC1 = \"12345\", AC2 = [{ env = \"A\" }] }\ncount = 3\nlevel = \"error\"",
    ] {
        assert_eq!(told(fit), [""; 0], "{fit}");
    }
}

#[test]
fn each_mistake_in_settings_is_told_at_its_line_and_column() {
    for (settings, said) in MISTAKES {
        assert_eq!(told(settings), *said, "{settings}");
    }
}

#[test]
fn a_source_whose_plugin_cannot_tell_its_sender_needs_a_token() {
    let mut open = twilio();
    open.authenticates = false;
    let without = config("", "auth_token = \"12345\"");
    let problems = review(&without.sources[0], &open, &Checked::default(), &without);
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "gateway.toml:6:1: the plugin \"p\" cannot tell who sends to it, and no token does; \
          add token = { env = \"S_TOKEN\" } to [sources.s]"
        ]
    );
    let with = config("token = \"secret\"\n", "auth_token = \"12345\"");
    assert_eq!(
        review(&with.sources[0], &open, &Checked::default(), &with),
        []
    );
}

#[test]
fn secret_that_should_be_a_public_key_is_read_as_one() {
    let discord = Checked {
        proof: Some(vec![Demand::any([Way::new(
            Scheme::discord(),
            "auth_token",
        )])]),
        ..Checked::default()
    };
    let key = "0123456789abcdef".repeat(4);
    let problems = |settings: &str| {
        let config = config("", settings);
        review(&config.sources[0], &twilio(), &discord, &config)
    };
    assert_eq!(problems(&format!("auth_token = \"{key}\"")), []);
    let told = problems(&format!(
        "auth_token = [\"{key}\", \"the bot's own token\"]"
    ));
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    // The place is that of the second one.
    let told = told.to_string();
    let is_told = told.starts_with(
        "gateway.toml:10:83: auth_token in [sources.s.settings] is no public key of Ed25519",
    );
    assert!(is_told, "{told}");
}

#[test]
fn proof_of_the_sender_may_depend_on_the_settings() {
    let config = config("", "auth_token = \"12345\"");
    let mut plugin = twilio();
    for described in [true, false] {
        plugin.authenticates = described;
        for (said, problems) in [
            (Some(true), 0),
            (Some(false), 1),
            (None, usize::from(!described)),
        ] {
            let checked = Checked {
                authenticates: said,
                ..Checked::default()
            };
            assert_eq!(
                review(&config.sources[0], &plugin, &checked, &config).len(),
                problems,
                "{described} {said:?}"
            );
        }
    }
}

#[test]
fn warning_of_a_plugin_is_told_at_its_line_and_refuses_nothing() {
    let config = config("", "auth_token = \"12345\"\nlevel = \"error\"");
    let warning = Mistake::new("/level", "odd", "try x");
    let checked = Checked {
        authenticates: Some(true),
        warnings: vec![warning; 1_000],
        ..Checked::default()
    };
    assert_eq!(review(&config.sources[0], &twilio(), &checked, &config), []);
    let told = doubts(&config.sources[0], &twilio(), &checked, &config);
    assert_eq!(
        (told.len(), told[0].to_string()),
        (
            100,
            "gateway.toml:11:9: level in [sources.s.settings]: odd; try x".to_owned()
        )
    );
}

#[test]
fn what_a_plugin_finds_is_told_at_the_operators_line_and_on_one() {
    let config = config("", "auth_token = \"12345\"\nlevel = \"error\"");
    let mistake = |path: &str, found: &str| Mistake::new(path, found, "try x");
    let found = ["/level", "/auth_token/AC1", "/nowhere/at/all", "no pointer"]
        .map(|path| mistake(path, "odd\n\u{1b}[1m"));
    let checked = Checked {
        mistakes: found.to_vec(),
        ..Checked::default()
    };
    let told = review(&config.sources[0], &twilio(), &checked, &config);
    assert_eq!(
        told.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "gateway.toml:9:1: nowhere.at.all in [sources.s.settings]: odd [1m; try x",
            "gateway.toml:9:1: [sources.s.settings]: odd [1m; try x",
            "gateway.toml:10:14: auth_token in [sources.s.settings]: odd [1m; try x",
            "gateway.toml:11:9: level in [sources.s.settings]: odd [1m; try x",
        ]
    );
    let many = Checked {
        mistakes: vec![mistake("", "odd"); 1_000],
        ..Checked::default()
    };
    assert_eq!(
        review(&config.sources[0], &twilio(), &many, &config).len(),
        100
    );
}

#[test]
fn a_schema_that_is_none_is_its_authors_to_mend() {
    for schema in [
        json!({ "type": "strin" }),
        json!(7),
        json!({ "$ref": "https://example.com/schema.json" }),
    ] {
        let config = config("", "auth_token = \"12345\"");
        let problems = check(&config.sources[0], &describe(schema), &config);
        assert_eq!(problems.len(), 1);
        let said = problems[0].to_string();
        let found = "gateway.toml:7:10: the plugin \"p\" describes its settings with an invalid JSON Schema; tell its author: ";
        assert!(said.starts_with(found), "{said}");
    }
}

#[test]
fn a_schema_that_refers_to_itself_does_not_exhaust_the_stack() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
    ] {
        let config = config("", "auth_token = \"12345\"");
        let _ = check(&config.sources[0], &describe(schema), &config);
    }
}

#[test]
fn no_secret_is_in_a_problem_whatever_the_schema_complains_of() {
    let settings = format!(
        "auth_token = {{ \"{CANARY}\" = [\"{CANARY}\"] }}\nother = {{ a = {{ env = \"A\" }} }}"
    );
    let config = config("", &settings);
    for keyword in [
        json!({ "type": "integer" }),
        json!({ "enum": [1] }),
        json!({ "const": 1 }),
        json!({ "maxProperties": 0 }),
        json!({ "additionalProperties": false }),
        json!({ "unevaluatedProperties": false }),
        json!({ "propertyNames": { "pattern": "^$" } }),
        json!({ "propertyNames": { "const": "x" } }),
        json!({ "not": {} }),
        json!(false),
        json!({ "additionalProperties": false, "patternProperties": { ".": { "maxItems": 0 } } }),
        json!({ "additionalProperties": { "items": { "maxLength": 1, "format": "uri", "pattern": "^$" } } }),
        json!({ "additionalProperties": { "items": false } }),
        json!({ "additionalProperties": { "unevaluatedItems": false } }),
        json!({ "additionalProperties": { "contains": { "const": 1 } } }),
        json!({ "additionalProperties": { "prefixItems": [{ "contentEncoding": "base64" }] } }),
        json!({ "additionalProperties": { "maxLength": 1, "const": "x", "enum": ["y"], "format": "ipv4", "pattern": "^$" } }),
        json!({ "anyOf": [{ "required": ["x"] }, { "type": "string" }] }),
        json!({ "oneOf": [true, true] }),
    ] {
        for wrapped in [
            json!({ "properties": { "auth_token": keyword, "other": keyword } }),
            json!({ "anyOf": [
            { "properties": { "auth_token": keyword, "other": keyword } },
        ] }),
            json!({ "additionalProperties": keyword }),
        ] {
            let problems = check(&config.sources[0], &describe(wrapped.clone()), &config);
            let said = format!("{problems:?}");
            assert!(!said.contains(CANARY), "{wrapped}: {said}");
        }
    }
}

#[test]
fn plain_secret_in_a_readable_file_is_warned_of() {
    let mut config = config("", "auth_token = \"0123456789abcdef\"\ncount = 1");
    assert_eq!(warnings(&config.sources[0], &twilio(), &config), []);
    config.text.expose_to_all();
    let said: Vec<_> = warnings(&config.sources[0], &twilio(), &config)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "gateway.toml:10:14: auth_token in [sources.s.settings] is plain text in a file that every user of this machine \
          can read; write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" }; or chown the file to the user \
             that the gateway runs as, and then chmod 0400"
        ]
    );
}

/// Settings, and what is said of them.
#[rustfmt::skip]
const MISTAKES: &[(&str, &[&str])] = &[
    ("", &[
        "9:1: [sources.s.settings] has no auth_token; add auth_token = { env = \"S_AUTH_TOKEN\" } (the auth token of the account)",
    ]),
    ("auth_tokn = \"12345\"", &[
        "10:1: unknown setting \"auth_tokn\" in [sources.s.settings]; did you mean \"auth_token\"?",
    ]),
    ("auth_token = \"12345\"\ncolour = 1", &[
        "11:1: unknown setting \"colour\" in [sources.s.settings]; the plugin knows auth_token, count, level, link and nested",
    ]),
    ("auth_token = \"12345\"\nlink = { env = \"LINK\" }", &[
        "11:8: link in [sources.s.settings] is a table; the plugin takes text; only what the plugin calls a secret can be a reference",
    ]),
    ("auth_token = 12345", &[
        "10:14: auth_token in [sources.s.settings] is an integer; the plugin takes text, an array or a table",
    ]),
    ("auth_token = \"123\"", &[
        "10:14: auth_token in [sources.s.settings] does not fit: the secret is shorter than 4 characters; the auth token of the account",
    ]),
    ("auth_token = []", &[
        "10:14: auth_token in [sources.s.settings] does not fit: the list has less than 1 item; the auth token of the account",
    ]),
    ("auth_token = [\"12345\", \"123\"]", &[
        "10:24: auth_token in [sources.s.settings] does not fit: the secret is shorter than 4 characters; the auth token of the account",
    ]),
    ("auth_token = { CA1 = \"12345\" }", &[
        "10:16: auth_token in [sources.s.settings] has a key that does not fit; the auth token of the account",
    ]),
    ("auth_token = { AC1 = \"123\" }", &[
        "10:22: auth_token in [sources.s.settings] does not fit: the secret is shorter than 4 characters; the auth token of the account",
    ]),
    ("auth_token = { AC1 = 1 }", &[
        "10:22: auth_token in [sources.s.settings] is an integer; the plugin takes text or an array",
    ]),
    ("auth_token = \"12345\"\nlevel = \"errr\"", &[
        "11:9: level in [sources.s.settings] does not fit: \"errr\" is not one of \"error\" or \"warning\"; did you mean \"error\"?",
    ]),
    ("auth_token = \"12345\"\nlevel = { env = \"A\" }", &[
        "11:9: level in [sources.s.settings] does not fit: the table is not one of \"error\" or \"warning\"; the least level to pass on; only what the plugin calls a secret can be a reference",
    ]),
    ("auth_token = \"12345\"\ncount = 0", &[
        "11:9: count in [sources.s.settings] does not fit: 0 is less than the minimum of 1",
    ]),
    ("auth_token = \"12345\"\ncount = \"1\"", &[
        "11:9: count in [sources.s.settings] is text; the plugin takes an integer",
    ]),
    ("auth_token = \"12345\"\nlink = \"no link\"", &[
        "11:8: link in [sources.s.settings] does not fit: \"no link\" is not a \"uri\"",
    ]),
    ("auth_token = \"12345\"\nnested = { iner = true }", &[
        "11:12: unknown setting \"iner\" in nested in [sources.s.settings]; did you mean \"inner\"?",
    ]),
    ("auth_token = \"12345\"\nnested = {}", &[
        "11:1: nested in [sources.s.settings] has no inner; add inner = …",
    ]),
    ("auth_token = \"12345\"\n[sources.s.settings.nested]\ninner = 1", &[
        "12:9: nested.inner in [sources.s.settings] is an integer; the plugin takes a boolean",
    ]),
    ("auth_token = 1\nlevel = 1\ncount = 1.5\nlink = 1\nnested = 1\nother = 1", &[
        "10:14: auth_token in [sources.s.settings] is an integer; the plugin takes text, an array or a table",
        "11:9: level in [sources.s.settings] does not fit: 1 is not one of \"error\" or \"warning\"; the least level to pass on",
        "12:9: count in [sources.s.settings] is a fraction; the plugin takes an integer",
        "13:8: link in [sources.s.settings] is an integer; the plugin takes text",
        "14:10: nested in [sources.s.settings] is an integer; the plugin takes a table",
        "15:1: unknown setting \"other\" in [sources.s.settings]; the plugin knows auth_token, count, level, link and nested",
    ]),
];
