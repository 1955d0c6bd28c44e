//! `health`, as a container's HEALTHCHECK runs it: an exit code and one line.

use std::net::TcpListener;

use crate::harness::tls::Authority;
use crate::harness::{Itoc360, Output, Place, Process, Setup};

/// A port that nothing listens at.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A place whose gateway has fixed ports, as `health` reads them from the configuration.
async fn place(admin: &str, lines: &str) -> (Itoc360, Place) {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).twilio("a").gateway(lines).place();
    let config = std::fs::read_to_string(place.config()).unwrap();
    let config = config
        .replace(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"0.0.0.0:{}\"", free()),
        )
        .replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{admin}\""));
    assert!(!config.contains(":0\""), "{config}");
    place.write("gateway.toml", config);
    (itoc360, place)
}

async fn health(place: &Place, arguments: &[&str]) -> Output {
    let output = place
        .run_with(&[&["health"], arguments].concat(), [("ADMIN_TOKEN", TOKEN)])
        .await;
    assert_eq!(
        output.stdout.lines().count() + output.stderr.lines().count(),
        1,
        "{output:?}"
    );
    output
}

const TOKEN: &str = "4f1c0a9be7d2436c8f5512ab90de77c1";

fn says(output: &Output, code: i32, words: &str) {
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(
        output.code == Some(code) && said.contains(words),
        "{words}: {output:?}"
    );
}

#[tokio::test]
async fn health_is_the_answer_of_the_admin_listener() {
    let admin = format!("127.0.0.1:{}", free());
    let (_itoc360, place) = place(&admin, "admin_token = { env = \"ADMIN_TOKEN\" }").await;
    says(&health(&place, &[]).await, 1, "unhealthy: ");
    let mut process = place.launch_with(&["run"], [("ADMIN_TOKEN", TOKEN)]);
    ready(&mut process).await;
    says(
        &health(&place, &[]).await,
        0,
        &format!("healthy: {admin}/healthz answers 200"),
    );
    says(
        &health(&place, &["--ready"]).await,
        0,
        "/readyz answers 200",
    );
    // No secret is needed to ask whether it answers.
    says(&place.run_without_secrets(&["health"]).await, 0, "healthy");
    process.terminate();
    process.output().await;
    says(&health(&place, &[]).await, 1, "unhealthy: ");
}

async fn ready(process: &mut Process) {
    process
        .log("ready", |line| (line["message"] == "ready").then_some(()))
        .await;
}

#[tokio::test]
async fn health_without_an_admin_listener_asks_the_public_one() {
    let (_itoc360, place) = place("off", "").await;
    let mut process = place.launch(&["run"]);
    ready(&mut process).await;
    says(&health(&place, &[]).await, 0, "healthy: 127.0.0.1:");
    says(
        &health(&place, &["--ready"]).await,
        1,
        "--ready asks the admin listener",
    );
}

#[tokio::test]
async fn health_is_asked_over_tls_where_the_listener_speaks_it() {
    let issued = Authority::new().issue();
    let (_itoc360, place) = place("off", "tls = { cert = \"cert.pem\", key = \"key.pem\" }").await;
    place.write("cert.pem", &issued.cert);
    place.write("key.pem", &issued.key);
    let mut process = place.launch(&["run"]);
    ready(&mut process).await;
    says(&health(&place, &[]).await, 0, "/healthz answers 200");
}

#[tokio::test]
async fn configuration_that_names_no_address_is_exit_code_2() {
    let place = Place::of("[gateway]\nlisten = 1\npublic_url = \"https://a.example\"\n");
    let output = place.run(&["health"]).await;
    says(&output, 2, "listen in [gateway] is an integer");
}
