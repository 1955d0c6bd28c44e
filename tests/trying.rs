//! `try`: the plugin's cases and the published signatures, by hand, through the real sandbox.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_sdk::case::{self, Case};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::registry::SigningKey;
use crate::harness::{Output, Place, root};

/// The number of concurrent processes: each compiles the plugin anew.
const AT_ONCE: usize = 4;

fn data() -> PathBuf {
    root().join("plugins/twilio-errors")
}

/// Returns the JSON values that `try` prints: the plugin's answer, then a body for ITOC360 for each
/// alert.
fn printed(output: &Output) -> Vec<Value> {
    let mut values = Vec::new();
    let mut rest = output.stdout.as_str();
    while let Some(start) = rest.find("\n{") {
        let mut json = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        values.push(json.next().unwrap().unwrap());
        rest = &rest[start + json.byte_offset()..];
    }
    values
}

/// Runs something for each, several at once.
async fn each<T: Send + 'static, F: Future<Output = ()> + Send>(
    all: Vec<T>,
    one: impl Fn(T) -> F + Clone + Send + 'static,
) {
    let all = Arc::new(Mutex::new(all));
    let mut working = JoinSet::new();
    for _ in 0..AT_ONCE {
        let all = Arc::clone(&all);
        let one = one.clone();
        working.spawn(async move {
            loop {
                let Some(next) = all.lock().pop() else {
                    return;
                };
                one(next).await;
            }
        });
    }
    working.join_all().await;
}

/// All of them are run by `plugin test`; these are one of each kind.
#[tokio::test]
async fn a_case_is_answered_as_written() {
    let mut cases = case::load(&data().join("cases")).unwrap();
    cases.retain(|case| {
        ["sample", "warning", "forged", "signature-missing"].contains(&case.name.as_str())
    });
    assert_eq!(cases.len(), 4);
    each(
        cases,
        async |Case {
                   name,
                   request,
                   answer,
                   ..
               }| {
            let place = Place::of("");
            let settings = place.write("settings.json", request.settings.get());
            let http = data().join("cases").join(&name).with_extension("http");
            let arguments = [
                "try",
                "--plugin",
                "twilio-errors",
                "--settings",
                settings.to_str().unwrap(),
                http.to_str().unwrap(),
            ];
            let output = place.run_without_secrets(&arguments).await;
            let expected: Value = serde_json::from_str(&answer.unwrap()).unwrap();
            let printed = printed(&output);
            assert_eq!(printed.first(), Some(&expected), "{name}: {output:?}");
            match expected.get("rejected") {
                Some(rejection) => {
                    assert_eq!((output.code, printed.len()), (Some(1), 1), "{name}");
                    assert!(
                        output
                            .stderr
                            .contains(rejection["reason"].as_str().unwrap()),
                        "{name}: {output:?}"
                    );
                }
                None => {
                    assert_eq!(
                        (output.code, printed.len()),
                        (Some(0), 2),
                        "{name}: {output:?}"
                    );
                    assert_eq!(
                        printed[1]["alerts"][0]["labels"]["source"], "twilio-prod",
                        "{name}"
                    );
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn proof_by_a_public_key_is_checked_as_at_the_entrance() {
    let key = SigningKey::new();
    let place = Place::of("");
    let proof =
        json!({ "signature": "x-signature", "algorithm": "ecdsa-p256", "encoding": "base64" });
    let settings = json!({ "sender": proof, "secret": key.der(), "title": "/msg" });
    place.write("settings.json", settings.to_string());
    let signature = key.sign(br#"{"msg":"The door"}"#);
    for (body, code, part) in [
        (r#"{"msg":"The door"}"#, 0, "The door"),
        (r#"{"msg":"Another"}"#, 1, "the request would be rejected"),
    ] {
        let head = "POST https://alerts.example.com/in/bell HTTP/1.1";
        let http =
            format!("{head}\nContent-Type: application/json\nX-Signature: {signature}\n\n{body}");
        place.write("request.http", http);
        let arguments = [
            "try",
            "--plugin",
            "webhook",
            "--settings",
            "settings.json",
            "request.http",
        ];
        let output = place.run_without_secrets(&arguments).await;
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, Some(code), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

const CONFIG: &str = r#"
[gateway]
public_url = "https://mycompany.com"

[destinations.itoc360]
kind = "itoc360"
token = "unused"
format = "zapier"

[sources.twilio]
plugin = "twilio-errors"
destination = "itoc360"
settings.auth_token = "12345"
limits.time = "10s"
"#;

#[derive(Debug, Deserialize)]
struct Vector {
    id: String,
    auth_token: String,
    url: String,
    params: Option<serde_json::Map<String, Value>>,
    body: Option<String>,
    signature: String,
    accept: bool,
}

/// As `curl --raw` would write it.
fn message(url: &str, media_type: &str, signature: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {url} HTTP/1.1\r\nContent-Type: {media_type}\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

async fn try_source(request: &str) -> Output {
    let place = Place::of(CONFIG);
    let request = place.write("request.http", request);
    place
        .run_without_secrets(&["try", "--source", "twilio", request.to_str().unwrap()])
        .await
}

#[tokio::test]
async fn every_published_signature_is_judged_as_published() {
    let text = include_str!("../plugins/twilio-errors/tests/data/signature-vectors.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.len(), 13);
    each(vectors, async |vector| {
        assert_eq!(vector.auth_token, "12345");
        let (media_type, body) = match (vector.params, vector.body) {
            (Some(params), _) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in &params {
                    let values = value
                        .as_array()
                        .cloned()
                        .unwrap_or_else(|| vec![value.clone()]);
                    form.extend_pairs(values.iter().map(|value| (name, value.as_str().unwrap())));
                }
                ("application/x-www-form-urlencoded", form.finish())
            }
            (None, body) => ("application/json", body.unwrap()),
        };
        let output = try_source(&message(&vector.url, media_type, &vector.signature, &body)).await;
        let answer = printed(&output).swap_remove(0);
        let (expected, key) = if vector.accept {
            (0, "alerts")
        } else {
            (1, "rejected")
        };
        assert!(
            answer.get(key).is_some() && output.code == Some(expected),
            "{}: {output:?}",
            vector.id
        );
    })
    .await;
}

#[tokio::test]
async fn captured_bodies_pass_with_their_published_signatures() {
    for (file, signature) in [
        ("docs_11200", "EfWcvsgAOV8k0v1MrI6lv99Poa8="),
        ("google_30007", "L/Qwkw0et8d4jQDXPi6WWmKUG2k="),
        ("discordsms_11200", "0tZ3M0wS03jo/U1G7f2NDvsVZT0="),
    ] {
        let body =
            std::fs::read_to_string(data().join("tests/data").join(file).with_extension("form"))
                .unwrap();
        let url = "https://gw.example.com/hooks/twilio-errors";
        let output = try_source(&message(
            url,
            "application/x-www-form-urlencoded",
            signature,
            &body,
        ))
        .await;
        assert_eq!(output.code, Some(0), "{file}: {output:?}");
        let [answer, sent] = <[Value; 2]>::try_from(printed(&output)).unwrap();
        assert_eq!(
            (&answer["alerts"][0]["priority"], &sent["severity"]),
            (&"high".into(), &"high".into())
        );
        assert_eq!(sent["details"], answer["alerts"][0]["details"]);
    }
}

#[tokio::test]
async fn what_cannot_be_tried_is_said_with_what_would_be_right() {
    let place = Place::of(CONFIG);
    place.write(
        "request.http",
        message("https://mycompany.com/in/twilio", "text/plain", "x", ""),
    );
    place.write("relative.http", "POST /in/twilio HTTP/1.1\r\n\r\n");
    place.write("garbage.http", "\0\0\0");
    place.write("empty.wasm", "");
    for (arguments, code, said) in [
        (
            &["--source", "twilo", "request.http"][..],
            2,
            "did you mean \"twilio\"?",
        ),
        (&["--source", "twilio", "absent.http"], 1, "absent.http"),
        (
            &["--source", "twilio", "relative.http"],
            2,
            "needs the whole URL",
        ),
        (&["--source", "twilio", "garbage.http"], 2, "garbage.http"),
        (
            &["--plugin", "twilio-erors", "request.http"],
            2,
            "did you mean \"twilio-errors\"?",
        ),
        (&["--plugin", "empty.wasm", "request.http"], 2, "empty.wasm"),
        (
            &["--plugin", "twilio-errors", "request.http"],
            2,
            "auth_token",
        ),
        (&["request.http"], 2, "--source"),
    ] {
        let output = place
            .run_without_secrets(&[&["try"][..], arguments].concat())
            .await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(said), "{arguments:?}: {output:?}");
    }
}

/// Runs `try --settings` of the webhook plugin with a JSON body.
async fn try_webhook(settings: &str, body: &str) -> Output {
    let place = Place::of("");
    let settings = place.write("settings.toml", settings);
    let length = body.len();
    let request = place.write(
        "request.http",
        format!(
            "POST https://a.example/in/hook HTTP/1.1\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ),
    );
    let settings = settings.to_str().unwrap();
    let request = request.to_str().unwrap();
    let arguments = [
        "try",
        "--plugin",
        "webhook",
        "--settings",
        settings,
        request,
    ];
    place.run_without_secrets(&arguments).await
}

#[tokio::test]
async fn label_may_be_called_like_a_reference() {
    let settings = "title = '/name'\nlabels = { env = '/env' }\n";
    let output = try_webhook(settings, r#"{"name":"disk full","env":"NO_SUCH_VARIABLE"}"#).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let answer = printed(&output).swap_remove(0);
    assert_eq!(
        answer["alerts"][0]["labels"]["env"], "NO_SUCH_VARIABLE",
        "{output:?}"
    );
}

#[tokio::test]
async fn mistake_in_settings_is_told_at_its_own_line() {
    let settings = "# settings of our own\n\ntitle = '/name'\nlabls = { env = '/env' }\n\
                    [priority]\nfrom = '/level'\nvalues = { file = 'nonsense' }\n";
    let output = try_webhook(settings, "{}").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let told = |at: &str| output.stderr.contains(&format!("settings.toml:{at}"));
    assert!(told("4:1: unknown setting \"labls\""), "{output:?}");
    assert!(told("7:19: priority.values.file"), "{output:?}");
}

#[tokio::test]
async fn mistake_without_a_line_of_the_operators_names_none() {
    let place = Place::of("");
    let request = place.write(
        "request.http",
        "POST https://a.example/in/hook HTTP/1.1\r\n\r\n",
    );
    let request = request.to_str().unwrap();
    let json = place.write("settings.json", r#"{"title": "/name", "labls": {}}"#);
    let toml = place.write("settings.toml", "title = '/name'");
    for (arguments, said) in [
        (
            &["webhook", "--settings", json.to_str().unwrap()][..],
            "settings.json: unknown setting \"labls\"",
        ),
        (
            &["webhook"],
            "--plugin: [sources.hook.settings] has no title",
        ),
        (
            &["webhok", "--settings", toml.to_str().unwrap()],
            "--plugin: there is no bundled plugin \"webhok\"",
        ),
    ] {
        let arguments = [&["try", "--plugin"], arguments, &[request]].concat();
        let output = place.run_without_secrets(&arguments).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
    }
}
