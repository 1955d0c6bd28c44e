//! The contract in other languages is made of the SDK's types: the schema in the program is what
//! this file reads from the SDK's source, and every form is made of that schema.

mod source;

use std::collections::BTreeSet;
use std::fs;

use plugin_sdk::case;
use plugin_sdk::contract::{
    Alert, Alerts, Answer, Body, Priority, ProofIdentity, Rejection, RejectionKind,
};
use serde_json::{Value, json};

use crate::harness::{Place, Program, needs, root};

const SCHEMA: &str = "host/src/cli/plugin/contract/contract.schema.json";

async fn contract(format: &str) -> String {
    let output = Place::of("")
        .run_without_secrets(&["plugin", "contract", "--format", format])
        .await;
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    output.stdout
}

async fn schema() -> Value {
    serde_json::from_str(&contract("json-schema").await).unwrap()
}

/// Returns a validator for one type of the contract.
fn validator(schema: &Value, name: &str) -> jsonschema::Validator {
    let one = json!({ "$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"] });
    jsonschema::validator_for(&one).unwrap()
}

#[test]
fn schema_is_what_the_types_of_the_sdk_say() {
    let made = format!("{:#}\n", source::schema());
    let path = root().join(SCHEMA);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == made,
        "{SCHEMA} is not what plugin-sdk/src/contract says; BLESS=1 writes it anew"
    );
}

#[tokio::test]
async fn every_request_and_answer_of_a_case_fits_the_schema() {
    let schema = schema().await;
    let request = validator(&schema, "Request");
    let answer = validator(&schema, "Answer");
    let mut count = 0;
    for bundled in alert_gateway_plugins::all() {
        let folder = root().join("plugins").join(bundled.name).join("cases");
        for case in case::load(&folder).unwrap() {
            let name = format!("{}/{}", bundled.name, case.name);
            let sent = serde_json::to_value(&case.request).unwrap();
            assert!(request.is_valid(&sent), "{name}: {sent}");
            let owed: Value = serde_json::from_str(&case.answer.unwrap()).unwrap();
            assert!(answer.is_valid(&owed), "{name}: {owed}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[tokio::test]
async fn every_description_fits_the_schema() {
    let description = validator(&schema().await, "Description");
    for bundled in alert_gateway_plugins::all() {
        let output = Place::of("")
            .run_without_secrets(&["plugin", "inspect", bundled.name, "--json"])
            .await;
        let known: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(description.is_valid(&known), "{known}");
    }
}

#[tokio::test]
async fn answer_has_exactly_the_fields_of_the_schema() {
    let schema = schema().await;
    let valid = validator(&schema, "Answer");
    let proof = ProofIdentity {
        id: "1".to_owned(),
        expires_at: None,
    };
    let answers = [
        Answer::Alerts(Alerts {
            list: vec![Alert::new("1", Priority::High, "A title")],
            proof: Some(proof),
        }),
        Answer::ignored("it needs nobody"),
        Answer::Rejected(Rejection::new(RejectionKind::Malformed, "no", "")),
        Answer::Reply {
            status: 200,
            headers: vec![("a".to_owned(), "b".to_owned())],
            body: Body::Text(String::new()),
        },
    ];
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let mut written = BTreeSet::new();
    for answer in &answers {
        let json = serde_json::to_value(answer).unwrap();
        assert!(valid.is_valid(&json), "{json}");
        for (kind, name) in [("ignored", "Ignored"), ("reply", "Reply")] {
            if let Some(content) = json.get(kind) {
                assert_eq!(names(content), names(&schema["$defs"][name]["properties"]));
            }
        }
        written.extend(names(&json));
    }
    assert_eq!(written, names(&schema["$defs"]["Answer"]["properties"]));
    let two = json!({ "alerts": [], "ignored": { "reason": "x" } });
    for wrong in [
        two,
        json!({}),
        json!({ "alert": [] }),
        json!({ "alerts": null }),
    ] {
        assert!(!valid.is_valid(&wrong), "{wrong}");
        assert!(serde_json::from_value::<Answer>(wrong).is_err());
    }
}

#[tokio::test]
async fn every_type_and_field_is_in_every_language() {
    let schema = schema().await;
    let typescript = contract("typescript").await;
    let go = contract("go").await;
    let c = contract("c").await;
    for (name, one) in schema["$defs"].as_object().unwrap() {
        assert!(typescript.contains(&format!(" {name} ")), "{name}");
        assert!(go.contains(&format!("\ntype {name} ")), "{name}");
        for field in one["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|it| it.0)
        {
            assert!(
                typescript.contains(&format!("{field}: "))
                    || typescript.contains(&format!("{field}?: ")),
                "{field}"
            );
            assert!(go.contains(&format!("`json:\"{field}")), "{field}");
            assert!(c.contains(&format!("{field};")), "{field}");
        }
        for word in one["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["const"].as_str())
        {
            for form in [&typescript, &go, &c] {
                assert!(form.contains(&format!("\"{word}\"")), "{word}");
            }
        }
    }
}

#[tokio::test]
async fn header_in_c_compiles_without_a_warning() {
    let place = Place::of("");
    place.write("contract.h", contract("c").await);
    place.write(
        "use.c",
        "#include \"contract.h\"\n#include <string.h>\nint main(void) {\n    gateway_alert alert = { .event_id = \"1\", \
         .priority = GATEWAY_PRIORITY_HIGH, .title = \"x\" };\n    gateway_answer answer = { .alerts = &alert, \
         .alerts_count = 1 };\n    return strcmp(gateway_priority_word(answer.alerts->priority), \"high\") || \
         gateway_status_word(alert.status) != 0;\n}\n",
    );
    // The tests need a C compiler anyway.
    let program = place.path("use");
    let built = std::process::Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-o",
        ])
        .arg(&program)
        .arg(place.path("use.c"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    assert!(
        std::process::Command::new(program)
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn typescript_has_the_syntax_that_node_strips() {
    let Some(node) = needs(Program::Node) else {
        return;
    };
    let place = Place::of("");
    let types = contract("typescript").await;
    // Types only: what is left of them is the constants.
    place.write(
        "contract.mts",
        types + "if (CONTRACT_VERSION !== 1) throw new Error();\n",
    );
    let done = node
        .command()
        .args(["--experimental-strip-types", "--no-warnings"])
        .arg(place.path("contract.mts"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    // An older Node.js does not know the option.
    assert!(
        done.status.success() || said.contains("bad option"),
        "{said}"
    );
}
