//! The pages of the admin listener in a real browser: Debian's Chromium, at two widths, light and
//! dark. Accessibility is checked by axe-core. The screenshots are in `target/tmp/pages`.

use std::fs;
use std::path::Path;

use hyper::Method;
use itoc360_double::Format;
use serde_json::{Value, json};

use crate::harness::{Itoc360, Program, Setup, needs, plugin, root, twilio, until};

const TOKEN: &str = "admin-token-4f1c9a7e2b";

#[tokio::test]
async fn pages_are_right_in_a_real_browser() {
    let chromium = needs(Program::Chromium);
    let node = needs(Program::Node);
    let npm = needs(Program::Npm);
    let (Some(chromium), Some(node), Some(npm)) = (chromium, node, npm) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let broken = plugin::hostile("(unreachable)");
    let grouped = "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\n\
                   expect_every = \"5m\"\n[sources.grouped.group]\nby = [\"error_code\"]";
    let (place, gateway) = Setup::new(&itoc360)
        .destination_at("down", "http://127.0.0.1:9/hook", Format::Alertmanager)
        .plugin("odd", &plugin::parrot(), "")
        .destination("itoc360-2", &itoc360)
        .plugin("broken", &broken, "")
        .source("grouped", grouped)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .start()
        .await;
    let event = twilio::sid(1);
    let id = gateway.accept(&twilio::error(&event).to("twilio")).await;
    for number in 2..8 {
        let post = twilio::error(&twilio::sid(number)).to("grouped");
        gateway.accept(&post).await;
    }
    let odd = json!({ "event_id": "odd-1", "priority": "critical", "title": "The door of the machine room is open",
        "message": "It opened at night.\nNobody was expected.", "labels": { "room": "cellar", "site": "Köln" } });
    gateway.accept(&plugin::alerts("odd", &[odd])).await;
    gateway.post(&plugin::alerts("broken", &[])).await;
    let refused = gateway
        .post(&twilio::unsigned("/in/twilio?a=b", "a=b"))
        .await;
    gateway.post(&twilio::unsigned("/in/twillio", "a=b")).await;
    place.event_in_state(&id, "delivered").await;
    until("an attempt has failed", async || {
        let token = format!("Bearer {TOKEN}");
        let headers = [("authorization", token.as_str())];
        let board = gateway
            .admin_with(Method::GET, "/readyz", &headers, "")
            .await;
        board.json()["destinations"]["down"]["failing_since"]
            .is_string()
            .then_some(())
    })
    .await;

    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&shots).unwrap();
    let refused = refused.json()["request"].as_str().unwrap().to_owned();
    let pages = [
        ("now", "/".to_owned()),
        ("events", "/events".to_owned()),
        ("none", "/events?q=nothing-like-it".to_owned()),
        ("event", format!("/events/{event}")),
        ("waiting", "/events/odd-1".to_owned()),
        ("refused", format!("/events/{refused}")),
        ("dead-letters", "/dead-letters".to_owned()),
        ("sources", "/sources".to_owned()),
        ("source", "/sources/twilio".to_owned()),
        ("destinations", "/destinations".to_owned()),
        ("mutes", "/mutes".to_owned()),
        ("configuration", "/configuration".to_owned()),
        ("audit", "/audit".to_owned()),
        ("missing", "/nothing".to_owned()),
    ];
    let _ = fs::remove_file(shots.join("case.tar"));
    let asked = json!({
        "chromium": chromium.path(),
        "admin": format!("http://{}", gateway.admin),
        "sender": format!("http://{}", gateway.address),
        "token": TOKEN,
        "shots": shots,
        "pages": pages,
    });
    let visited = tokio::task::spawn_blocking(move || {
        let folder = npm.install(&root().join("tests/browser"), "pages-in-a-browser");
        let mut visit = node.command();
        visit
            .current_dir(folder)
            .arg(root().join("tests/browser/visit.mjs"))
            .arg(asked.to_string());
        visit.output().unwrap()
    });
    let visited = visited.await.unwrap();
    let said = String::from_utf8_lossy(&visited.stdout).into_owned();
    let errors = String::from_utf8_lossy(&visited.stderr).into_owned();
    assert!(visited.status.success(), "{said}{errors}");
    let wrong: Vec<Value> = serde_json::from_str(&said).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}\n{errors}");
    let case = fs::File::open(shots.join("case.tar")).unwrap();
    let mut case = tar::Archive::new(case);
    let files = case.entries().unwrap().map(|file| {
        let file = file.unwrap();
        assert!(file.size() > 0);
        file.path().unwrap().display().to_string()
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    let named =
        ["http", "json", "settings.json", "txt"].map(|ending| format!("from-a-browser.{ending}"));
    assert_eq!(files, named);
    drop(place);
}
