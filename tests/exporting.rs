//! `events export`: captured traffic becomes cases, and no credential leaves with it.

use std::fs;

use hyper::Method;

use crate::harness::{Itoc360, Output, Place, Post, Setup, twilio};

async fn export(place: &Place, id: &str, name: &str) -> Output {
    place
        .run_without_secrets(&["events", "export", id, "--case", name])
        .await
}

fn files(place: &Place) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(place.path("cases"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn no_secret_in(place: &Place) {
    for file in files(place) {
        let text = fs::read_to_string(place.path("cases").join(&file)).unwrap();
        assert!(!text.contains(twilio::AUTH_TOKEN), "{file}: {text}");
    }
}

#[tokio::test]
async fn exported_case_passes_and_holds_no_secret() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let sid = twilio::sid(1);
    gateway.accept(&twilio::error(&sid).to("twilio")).await;

    let exported = export(&place, &sid, "http-502").await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(exported.stdout.contains("personal data"), "{exported:?}");
    assert_eq!(
        files(&place),
        ["http-502.http", "http-502.json", "http-502.settings.json"]
    );
    no_secret_in(&place);
    let tested = place
        .run_without_secrets(&["plugin", "test", "twilio-errors", "--cases", "cases"])
        .await;
    assert_eq!(
        (tested.code, tested.stdout.contains("1 passed, 0 failed")),
        (Some(0), true),
        "{tested:?}"
    );

    let again = export(&place, &sid, "http-502").await;
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(
        again
            .stderr
            .contains("is there already; give the case another name"),
        "{again:?}"
    );
    for (id, name, said) in [
        ("nobody", "a", "no request and no event has the id nobody"),
        (sid.as_str(), "../a", "a case is called by letters"),
        (sid.as_str(), "settings", "a case is called by letters"),
    ] {
        let refused = export(&place, id, name).await;
        assert!(
            refused.code != Some(0) && refused.stderr.contains(said),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn tokens_in_the_url_and_in_headers_are_replaced() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).source(
        "alarms",
        "plugin = \"twilio-alarms\"\ntoken = \"canary-5a5a\"",
    );
    let (place, gateway) = setup.start().await;
    let post = twilio::unsigned(
        "/in/alarms?token=canary-5a5a&x=1",
        "Log=error&Description=Down&DateFired=x",
    )
    .header("Cookie", "canary-6b6b");
    let id = gateway.accept(&post).await;
    let exported = export(&place, &id, "down").await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let message = fs::read_to_string(place.path("cases/down.http")).unwrap();
    assert!(
        message.starts_with("POST https://gw.example.com/in/alarms?token=test-token-"),
        "{message}"
    );
    assert!(
        message.contains("&x=1 HTTP/1.1") && message.contains("\nLog=error&Description=Down"),
        "{message}"
    );
    assert!(
        !message.contains("canary") && message.contains("\ncookie: test-token-"),
        "{message}"
    );
    let answer = fs::read_to_string(place.path("cases/down.json")).unwrap();
    assert!(answer.contains("Twilio alarm: Down"), "{answer}");
}

#[tokio::test]
async fn a_request_that_its_plugin_fails_on_is_the_case_to_mend_it_by() {
    let itoc360 = Itoc360::alertmanager().await;
    let crashing = crate::harness::plugin::hostile("unreachable");
    let setup = Setup::empty()
        .destination("itoc360", &itoc360)
        .plugin("crashing", &crashing, "");
    let (place, gateway) = setup.start().await;
    let answer = gateway.post(&twilio::unsigned("/in/crashing", "a=1")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["request"]
        .as_str()
        .unwrap()
        .to_owned();
    let exported = export(&place, &id, "crash").await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(
        exported
            .stdout
            .contains("the plugin fails on it: the plugin crashed"),
        "{exported:?}"
    );
    assert_eq!(files(&place), ["crash.http", "crash.settings.json"]);
}

#[tokio::test]
async fn a_secret_in_a_header_that_the_operator_named_is_replaced() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"webhook\"\n\
        settings = { title = \"/t\", sender = { header = \"X-Proof\" }, secret = \"canary-7c7c\" }";
    let (place, gateway) = Setup::new(&itoc360).source("hook", lines).start().await;
    let post = twilio::unsigned("/in/hook", "t=Down").header("X-Proof", "canary-7c7c");
    let id = gateway.accept(&post).await;
    let exported = export(&place, &id, "down").await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    for file in files(&place) {
        let text = fs::read_to_string(place.path("cases").join(&file)).unwrap();
        assert!(!text.contains("canary"), "{file}: {text}");
    }
    let tested = place
        .run_without_secrets(&["plugin", "test", "webhook", "--cases", "cases"])
        .await;
    assert!(tested.stdout.contains("1 passed, 0 failed"), "{tested:?}");

    // Half a case is none: nothing is written where one of its files is there.
    place.write("cases/again.json", "{}");
    let taken = export(&place, &id, "again").await;
    assert_eq!(
        (taken.code, place.path("cases/again.http").exists()),
        (Some(2), false),
        "{taken:?}"
    );
}

/// A body that hides its credentials from a look at its bytes.
#[tokio::test]
async fn secret_in_an_encoded_body_is_in_no_exported_case() {
    use base64::Engine;
    /// `{"t": "Down", "password": "canary-in-gzip-1", "copy": "canary-in-gzip-1"}`
    const GZIP: &str = "H4sIAAAAAAAC/6tWKlGyUlByyS/PU9JRUCpILC4uzy9KAYklJ+YlFlXqZubppldlFugaguST8wsqscrVAgDUOgWsSQAAAA==";
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"webhook\"\ntoken = \"canary-5a5a-5a5a\"\nsettings = { title = \"/t\" }";
    let (place, gateway) = Setup::new(&itoc360).source("hook", lines).start().await;
    let zipped = base64::engine::general_purpose::STANDARD
        .decode(GZIP)
        .unwrap();
    let wide: Vec<u8> =
        r#"{"t": "Down", "password": "canary-in-utf16", "token": "canary-5a5a-5a5a"}"#
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    let posts = [
        twilio::unsigned("/in/hook?token=canary-5a5a-5a5a", zipped)
            .header("Content-Encoding", "gzip"),
        Post {
            path: "/in/hook?token=canary-5a5a-5a5a".to_owned(),
            headers: Vec::new(),
            body: wide,
        }
        .header("Content-Type", "application/json; charset=utf-16le"),
    ];
    for (number, post) in posts.iter().enumerate() {
        let id = gateway.accept(post).await;
        let name = format!("case-{number}");
        let exported = export(&place, &id, &name).await;
        assert_eq!(exported.code, Some(0), "{exported:?}");
        assert!(!exported.stdout.contains("NOT searched"), "{exported:?}");
        let message = fs::read_to_string(place.path(&format!("cases/{name}.http"))).unwrap();
        assert!(
            message.contains("Down") && !message.contains("canary"),
            "{message}"
        );
        let answer = fs::read_to_string(place.path(&format!("cases/{name}.json"))).unwrap();
        assert!(
            answer.contains("Down") && !answer.contains("canary"),
            "{answer}"
        );
        // Where it was decoded, the plugin was not given the source's token either.
        assert!(!place.event(&id).await.to_string().contains("canary-5a5a"));
    }
}

/// A secret in many places and spellings of one request, which its proof shows to be a secret.
#[tokio::test]
async fn secret_in_forty_places_is_in_no_exported_case() {
    const CANARY: &str = "canary/8d8d+e9=e9&fafa";
    let itoc360 = Itoc360::alertmanager().await;
    let lines =
        format!("plugin = \"webhook\"\ntoken = \"{CANARY}\"\nsettings = {{ title = \"/t\" }}");
    let (place, gateway) = Setup::new(&itoc360).source("hook", &lines).start().await;
    let percent: String = CANARY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let twice = percent.replace('%', "%25");
    let html: String = CANARY.bytes().map(|byte| format!("&#{byte};")).collect();
    let unicode: String = CANARY
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    let named = CANARY.replace('&', "&amp;");
    let base64 = ["", "x", "xx"].map(|before| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("{before}{CANARY}"))
    });
    let [first, second, third] = &base64;
    let spellings = [
        CANARY,
        &percent,
        &percent.to_uppercase(),
        &twice,
        &html,
        &unicode,
        &named,
        first,
        second,
        third,
    ];
    let copies: Vec<_> = spellings
        .iter()
        .enumerate()
        .map(|(number, text)| format!("\"f{number}\": \"{text} and more\""))
        .collect();
    let body = format!(
        "{{\"t\": \"Down\", \"token\": \"{CANARY}\", \"list\": [{{{}}}]}}",
        copies.join(", ")
    );
    let mut post = twilio::unsigned(
        format!("/in/hook?token={percent}&again={percent}&twice={twice}"),
        body.as_str(),
    )
    .header("Content-Type", "application/json")
    .header("Authorization", &format!("Bearer {CANARY}"))
    .header("Cookie", &format!("a={percent}; session={CANARY}"));
    for name in [
        "Forwarded",
        "Referer",
        "X-Original-URI",
        "X-Original-URL",
        "X-Forwarded-Uri",
        "X-Rewrite-Url",
        "X-Auth-Request-Redirect",
        "Cf-Access-Jwt-Assertion",
        "X-Goog-Iap-Jwt-Assertion",
        "X-Amzn-Oidc-Data",
        "X-GitHub-Event",
        "X-Webhook-Topic",
        "User-Agent",
    ] {
        for spelling in [CANARY, &percent] {
            post = post.header(
                name,
                &format!("https://gw.example.com/in/hook?token={spelling}"),
            );
        }
    }
    post = post.header("X-Api-Key", CANARY);
    let id = gateway.accept(&post).await;
    let exported = export(&place, &id, "many").await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    for said in [
        "left out: the headers ",
        "x-original-uri",
        "cf-access-jwt-assertion",
        "left in: the URL, the headers ",
    ] {
        assert!(
            exported.stdout.contains(said),
            "{said} is not in {}",
            exported.stdout
        );
    }
    for file in files(&place) {
        let text = fs::read_to_string(place.path("cases").join(&file)).unwrap();
        let hidden = spellings
            .iter()
            .chain([&"canary", &"8d8d", &"fafa", &"%66%61%66%61"]);
        for part in hidden {
            assert!(
                !text.contains(part) && !text.contains(part.trim_end_matches('=')),
                "{part} is in {file}: {text}"
            );
        }
    }
    let kept = place
        .run_without_secrets(&[
            "events",
            "export",
            &id,
            "--case",
            "kept",
            "--keep-header",
            "X-Original-URI",
        ])
        .await;
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let message = fs::read_to_string(place.path("cases/kept.http")).unwrap();
    assert!(message.contains("\nx-original-uri: "), "{message}");
    assert!(!message.contains("8d8d"), "{message}");
}

#[tokio::test]
async fn case_made_by_another_gateway_passes_and_holds_no_secret() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let sid = twilio::sid(1);
    gateway.accept(&twilio::error(&sid).to("twilio")).await;

    let url = format!("http://{}", gateway.admin);
    let there = ["events", "export", &sid, "--remote", &url, "--case"];
    let exported = place
        .run_without_secrets(&[&there[..], &["far"]].concat())
        .await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(exported.stdout.contains("personal data"), "{exported:?}");
    let named = format!("/api/v1/events/{sid}/case.tar?case=near");
    let archive = gateway.admin(Method::GET, &named).await;
    assert_eq!(archive.status, 200, "{}", archive.body);
    assert_eq!(
        archive.header("content-disposition"),
        "attachment; filename=\"near.tar\""
    );
    tar::Archive::new(archive.body.as_bytes())
        .unpack(place.path("cases"))
        .unwrap();
    assert_eq!(
        files(&place),
        [
            "far.http",
            "far.json",
            "far.settings.json",
            "near.http",
            "near.json",
            "near.settings.json",
            "near.txt"
        ]
    );
    no_secret_in(&place);
    let tested = place
        .run_without_secrets(&["plugin", "test", "twilio-errors", "--cases", "cases"])
        .await;
    assert!(tested.stdout.contains("2 passed, 0 failed"), "{tested:?}");
    let missing = place
        .run_without_secrets(&[
            "events", "export", "nobody", "--remote", &url, "--case", "a",
        ])
        .await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
}
