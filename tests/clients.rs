//! The client's address: the peer's, or the one that a trusted proxy names; and sources restricted
//! to some networks.

use hyper::Method;
use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Setup, plugin, twilio};

/// The log line of a request that was rejected.
async fn rejected(gateway: &mut Gateway, request: &str) -> Value {
    let request = request.to_owned();
    gateway
        .log("a rejected request", |line| {
            (line["request"] == *request && line["level"] == "WARN").then(|| line.clone())
        })
        .await
}

#[tokio::test]
async fn clients_refuses_other_networks_before_reading() {
    let itoc360 = Itoc360::alertmanager().await;
    let stranger = plugin::parrot_of_strangers();
    let (_place, mut gateway) = Setup::new(&itoc360)
        .plugin(
            "near",
            &stranger,
            "token = \"canary-near\"\nclients = [\"192.0.2.0/24\", \"127.0.0.0/8\"]",
        )
        .plugin(
            "far",
            &stranger,
            "token = \"canary-far\"\nclients = [\"192.0.2.0/24\"]",
        )
        .start()
        .await;
    let post = |source: &str| {
        let token = format!("Bearer canary-{source}");
        plugin::alerts(source, &[plugin::alert("1")]).header("Authorization", &token)
    };
    gateway.accept(&post("near")).await;
    let refused = gateway.post(&post("far")).await;
    refused.is_problem(403);
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("from certain networks only"),
        "{}",
        refused.body
    );
    // It is not even said whether the token is right.
    gateway
        .post(&plugin::alerts("far", &[]))
        .await
        .is_problem(403);
    gateway
        .post(&plugin::alerts("far", &[]).header("Authorization", "Bearer x"))
        .await
        .is_problem(403);
    // A body that never comes is not waited for.
    let unread = gateway
        .raw(
            &plugin::alerts("far", &[])
                .body("")
                .wire("Content-Length: 1000\r\n"),
        )
        .await;
    assert!(unread.starts_with("HTTP/1.1 403 "), "{unread}");
    assert_eq!(
        gateway.request(Method::GET, "/in/far").await.status,
        405,
        "that it is alive may be seen from anywhere"
    );

    let metrics = gateway.metrics().await;
    assert_eq!(
        metrics["alert_gateway_requests_total{source=\"far\",outcome=\"foreign_client\"}"],
        4.0
    );
    let line = rejected(&mut gateway, refused.json()["request"].as_str().unwrap()).await;
    assert_eq!(
        (&line["client"], &line["outcome"]),
        (&"127.0.0.1".into(), &"foreign_client".into())
    );
    assert!(
        line["help"]
            .as_str()
            .unwrap()
            .contains("the source's `clients`"),
        "{line}"
    );
    itoc360.opens_only(1).await;
}

/// Adds sources restricted to 192.0.2.0/24. For each of them a kind of refusal is logged once a
/// minute.
fn with_parrots(setup: Setup, count: usize) -> Setup {
    (0..count).fold(setup, |setup, number| {
        setup.plugin(
            &format!("parrot-{number}"),
            &plugin::parrot(),
            "clients = [\"192.0.2.0/24\"]",
        )
    })
}

#[tokio::test]
async fn an_address_that_an_untrusted_peer_claims_is_not_believed() {
    let itoc360 = Itoc360::alertmanager().await;
    let claims = [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-For", "192.0.2.7, 192.0.2.1"),
        ("Forwarded", "for=192.0.2.7"),
        ("X-Real-IP", "192.0.2.7"),
    ];
    let setup = Setup::new(&itoc360).gateway("trusted_proxies = [\"192.0.2.1\", \"::1\"]");
    let (_place, mut gateway) = with_parrots(setup, claims.len()).start().await;
    for (number, (name, value)) in claims.into_iter().enumerate() {
        let post = plugin::alerts(&format!("parrot-{number}"), &[plugin::alert("1")]);
        let refused = gateway.post(&post.header(name, value)).await;
        refused.is_problem(403);
        let line = rejected(&mut gateway, refused.json()["request"].as_str().unwrap()).await;
        assert_eq!(line["client"], "127.0.0.1", "{name}: {value}");
        let hint = line["help"].as_str().unwrap().contains("trusted_proxies");
        assert_eq!(hint, name == "X-Forwarded-For", "{line}");
    }
}

#[tokio::test]
async fn trusted_proxy_names_the_client_and_claims_are_skipped() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).gateway("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]");
    let (_place, mut gateway) = with_parrots(setup, 5).start().await;
    let post = |number: usize, event_id: &str, forwarded: &str| {
        plugin::alerts(&format!("parrot-{number}"), &[plugin::alert(event_id)])
            .header("X-Forwarded-For", forwarded)
    };
    for (event_id, forwarded) in [
        ("1", "192.0.2.7"),
        ("2", "203.0.113.9, 192.0.2.7, 10.1.1.1"),
        ("3", "::ffff:192.0.2.7"),
        ("4", "192.0.2.7:4711"),
    ] {
        gateway.accept(&post(0, event_id, forwarded)).await;
    }
    let refused = [
        ("192.0.2.7, 203.0.113.9", "203.0.113.9"),
        ("192.0.2.7, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("192.0.2.7, nonsense", "127.0.0.1"),
        ("192.0.2.7, nonsense, 10.1.1.1", "10.1.1.1"),
        ("", "127.0.0.1"),
    ];
    for (number, (forwarded, client)) in refused.into_iter().enumerate() {
        let refused = gateway.post(&post(number, "5", forwarded)).await;
        refused.is_problem(403);
        let line = rejected(&mut gateway, refused.json()["request"].as_str().unwrap()).await;
        assert_eq!(line["client"], client, "{forwarded}");
    }
    itoc360.opens_only(4).await;
}

#[tokio::test]
async fn rejected_request_is_logged_with_its_clients_address() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, mut gateway) = Setup::new(&itoc360)
        .gateway("trusted_proxies = \"127.0.0.1\"")
        .plugin(
            "parrot",
            &plugin::parrot_of_strangers(),
            "token = \"canary-1\"",
        )
        .start()
        .await;
    for post in [
        plugin::alerts("parrot", &[]),
        plugin::alerts("parrot", &[]).header("Authorization", "Bearer x"),
        twilio::error(&twilio::sid(1)).signed("twilio", "another"),
    ] {
        let refused = gateway
            .post(&post.header("X-Forwarded-For", "2001:db8::7"))
            .await;
        let line = rejected(&mut gateway, refused.json()["request"].as_str().unwrap()).await;
        assert_eq!(line["client"], "2001:db8::7", "{line}");
    }
}
