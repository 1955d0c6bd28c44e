//! Requests of every kind, and what their senders are answered.

use hyper::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Gateway, Itoc360, Place, Post, Setup, plugin, read, twilio, until};

async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    (itoc360, place, gateway)
}

/// The status of a raw answer.
fn status(answer: &str) -> u16 {
    answer
        .get(9..12)
        .unwrap_or_default()
        .parse()
        .unwrap_or_default()
}

#[tokio::test]
async fn an_unknown_source_is_404_and_makes_no_series_of_its_name() {
    let (_itoc360, _place, gateway) = start().await;
    for path in [
        "/",
        "/in/",
        "/in/nobody",
        "/in/TWILIO",
        "/in/%74wilio",
        "/in/../in/nobody",
        "/favicon.ico",
        "//in/twilio",
    ] {
        gateway
            .post(&twilio::unsigned(path, "a=b"))
            .await
            .is_problem(404);
    }
    let metrics = gateway.metrics().await;
    assert_eq!(
        metrics["alert_gateway_requests_total{source=\"\",outcome=\"unknown_source\"}"],
        8.0
    );
    assert!(metrics.keys().all(|name| !name.contains("nobody")));
}

#[tokio::test]
async fn method_that_is_not_read_is_405() {
    let (_itoc360, _place, gateway) = start().await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ] {
        let answer = gateway.request(method.clone(), "/in/twilio").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "POST, PUT, PATCH"),
            "{method}"
        );
        if method != Method::HEAD {
            answer.is_problem(405);
            assert!(
                answer.json()["detail"]
                    .as_str()
                    .unwrap()
                    .contains("by POST"),
                "{}",
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn body_above_the_limit_is_413_with_or_without_a_length() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .source(
            "small",
            "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\nlimits.body = \"2KiB\"",
        )
        .start()
        .await;
    let fits = twilio::signed(
        "small",
        twilio::AUTH_TOKEN,
        format!("Sid=NO1&Payload={}", "x".repeat(2048 - 16)),
    );
    assert_eq!(fits.body.len(), 2048);
    gateway.accept(&fits).await;
    let too_large = fits.clone().body([&fits.body[..], b"x"].concat());
    let answer = gateway.post(&too_large).await;
    answer.is_problem(413);
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("2048 bytes"),
        "{}",
        answer.body
    );
    let chunked = |body: &str| {
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        twilio::unsigned("/in/small", chunks)
            .wire("Transfer-Encoding: chunked\r\nConnection: close\r\n")
    };
    assert_eq!(status(&gateway.raw(&chunked(&"x".repeat(2049))).await), 413);
    assert_eq!(status(&gateway.raw(&chunked(&"x".repeat(2048))).await), 401);
    // What announces too much is refused before it is sent.
    let announced = twilio::unsigned("/in/small", "").wire("Content-Length: 99999999999\r\n");
    assert_eq!(status(&gateway.raw(&announced).await), 413);
    gateway
        .post(&twilio::unsigned("/in/twilio", vec![b'x'; 256 * 1024 + 1]))
        .await
        .is_problem(413);
}

#[tokio::test]
async fn large_body_of_a_proved_sender_fires_an_alert() {
    let itoc360 = Itoc360::alertmanager().await;
    let secret = "settings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\nlimits.body = \"2KiB\"";
    let shown = "plugin = \"alertmanager\"\nsettings.bearer_token = { env = \"TWILIO_AUTH_TOKEN\" }\nlimits.body = \"2KiB\"";
    let (_place, gateway) = Setup::new(&itoc360)
        .source("shown", shown)
        .source(
            "url",
            &format!("plugin = \"twilio-event-streams\"\n{secret}"),
        )
        .source("form", &format!("plugin = \"twilio-errors\"\n{secret}"))
        .source("forged", &format!("plugin = \"twilio-errors\"\n{secret}"))
        .start()
        .await;
    let json = |path: &str| {
        twilio::unsigned(path, vec![b'x'; 4096])
            .without("Content-Type")
            .header("Content-Type", "application/json")
    };
    let path = format!("/in/url?bodySHA256={}", "0".repeat(64));
    let signature = |path: &str, token: &str| {
        twilio::signature(&format!("{}{path}", twilio::PUBLIC_URL), token, b"")
    };
    let bearer = format!("Bearer {}", twilio::AUTH_TOKEN);
    // A body that is too large is read to its signature, and a wrong one proves nothing.
    let form = twilio::signed("form", twilio::AUTH_TOKEN, vec![b'x'; 4096]);
    let forged = twilio::signed("forged", "another", vec![b'x'; 4096]);
    let endless = twilio::signed("forged", twilio::AUTH_TOKEN, vec![b'x'; 1024 * 1024 + 1]);
    let wrong = json(&path).header("X-Twilio-Signature", &signature(&path, "another"));
    let signed = json(&path).header("X-Twilio-Signature", &signature(&path, twilio::AUTH_TOKEN));
    let shown = json("/in/shown").header("Authorization", &bearer);
    for refused in [form, forged, wrong, json("/in/shown"), shown, signed] {
        gateway.post(&refused).await.is_problem(413);
    }
    // It is larger than what is read of any: its sender may be cut off before it reads the answer.
    if let Ok(answer) = gateway.sender().post(&endless).await {
        answer.is_problem(413);
    }
    until("all three are told", async || {
        let mut told = itoc360.own("rejected", "firing");
        told.sort_by_key(|one| one["commonLabels"]["name"].to_string());
        let told: Vec<_> = told
            .iter()
            .map(|one| {
                (
                    &one["commonLabels"]["name"],
                    &one["commonLabels"]["outcome"],
                )
            })
            .map(|(name, outcome)| format!("{name} {outcome}"))
            .collect();
        let expected = ["form", "shown", "url"].map(|name| format!("{name:?} \"too_large\""));
        (told == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_head_with_too_many_headers_or_bytes_is_431() {
    let (_itoc360, _place, gateway) = start().await;
    let many = "X: y\r\n".repeat(200);
    let long = format!("X: {}\r\n", "y".repeat(64 * 1024));
    for more in [many, long] {
        let answer = gateway
            .raw(&twilio::unsigned("/in/twilio", "").wire(&more))
            .await;
        assert_eq!(status(&answer), 431, "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_400_or_cut_off_and_harms_nobody() {
    let (itoc360, _place, gateway) = start().await;
    for nonsense in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "POST /in/twilio HTTP/9.9\r\n\r\n",
        "POST /in/twilio HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /in/twilio HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /in/twilio HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
    ] {
        let mut connection = gateway.connect().await;
        connection.write_all(nonsense.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let answer = read(connection).await;
        assert!(
            answer.is_empty() || status(&answer) == 400,
            "{nonsense:?}: {answer}"
        );
    }
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_408_in_ten_seconds() {
    let (_itoc360, _place, gateway) = start().await;
    let started = std::time::Instant::now();
    let answer = gateway
        .raw(&twilio::unsigned("/in/twilio", "Sid=").wire("Content-Length: 100\r\n"))
        .await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let took = started.elapsed().as_secs();
    assert!((9..30).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_signed_body_that_is_not_utf8_is_an_alert() {
    let (itoc360, _place, gateway) = start().await;
    let body = b"Sid=NO1&Level=ERROR&Payload=\xff\xfe%FFA".to_vec();
    gateway
        .accept(&twilio::signed("twilio", twilio::AUTH_TOKEN, body))
        .await;
    let alert = itoc360.open(1).await.remove(0);
    assert_eq!(alert["commonLabels"]["severity"], "error");
    let details: Value =
        serde_json::from_str(alert["commonAnnotations"]["details"].as_str().unwrap()).unwrap();
    assert_eq!(details, json!({ "payload_text": "ÿþÿA" }));
}

#[tokio::test]
async fn a_signed_event_is_an_alert_however_odd_its_payload() {
    let (itoc360, _place, gateway) = start().await;
    let nested = "[".repeat(10_000);
    let payloads = [
        "upstream says no",
        "",
        "{",
        "null",
        "[1,2]",
        "\"text\"",
        "{\"error_code\":{}}",
        &nested,
        "\u{0}\u{1b}[2J",
    ];
    for (number, payload) in payloads.iter().enumerate() {
        let event = twilio::error(&twilio::sid(number)).with("Payload", payload);
        gateway.accept(&event.to("twilio")).await;
    }
    let alerts = itoc360.open(payloads.len()).await;
    assert!(
        alerts
            .iter()
            .all(|alert| alert["commonLabels"]["severity"] == "error")
    );
    assert!(
        alerts
            .iter()
            .any(|alert| alert["commonAnnotations"]["details"]
                == "{\"payload_text\":\"upstream says no\"}")
    );
}

#[tokio::test]
async fn a_source_with_a_token_takes_it_in_both_places_and_no_other() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "token = [\"canary-old\", \"canary-new\"]";
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot_of_strangers(), lines)
        .start()
        .await;
    let post = |event_id: &str| plugin::alerts("parrot", &[plugin::alert(event_id)]);
    let query = |event_id: &str, query: &str| Post {
        path: format!("/in/parrot?{query}"),
        ..post(event_id)
    };

    gateway
        .accept(&post("1").header("Authorization", "Bearer canary-old"))
        .await;
    gateway
        .accept(&post("2").header("Authorization", "bearer canary-new"))
        .await;
    gateway.accept(&query("3", "a=b&token=canary-new")).await;
    let missing = gateway.post(&post("4")).await;
    missing.is_problem(401);
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    gateway
        .post(&post("4").header("Authorization", "Basic canary-old"))
        .await
        .is_problem(401);
    for wrong in ["canary-ol", "canary-old2", "Canary-old", "x"] {
        let answer = gateway
            .post(&post("4").header("Authorization", &format!("Bearer {wrong}")))
            .await;
        answer.is_problem(403);
        assert!(!answer.body.contains(wrong), "{}", answer.body);
    }
    gateway.post(&query("4", "token=")).await.is_problem(403);
    gateway
        .post(&query("4", "TOKEN=canary-old"))
        .await
        .is_problem(401);
    itoc360.opens_only(3).await;
}

#[tokio::test]
async fn answers_of_a_plugin_reach_the_sender_as_they_are_meant() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await;
    let post = |answer: Value| Post {
        path: "/in/parrot".to_owned(),
        headers: Vec::new(),
        body: answer.to_string().into(),
    };

    let ignored = gateway
        .post(&post(json!({ "ignored": { "reason": "a test call" } })))
        .await;
    assert_eq!(
        (ignored.status, &ignored.json()["ignored"]),
        (200, &json!("a test call"))
    );
    let empty = gateway.post(&post(json!({ "alerts": [] }))).await;
    assert_eq!((empty.status, &empty.json()["accepted"]), (200, &json!(0)));
    for (kind, status) in [
        ("unauthenticated", 401),
        ("forbidden", 403),
        ("malformed", 400),
    ] {
        let rejected = json!({ "rejected": { "kind": kind, "reason": "not yours", "help": "for the operator" } });
        let answer = gateway.post(&post(rejected)).await;
        answer.is_problem(status);
        assert_eq!(answer.json()["detail"], "not yours");
        assert!(!answer.body.contains("for the operator"));
    }
    let reply = json!({ "status": 201, "headers": [["X-Challenge", "abc"]], "body": { "text": "challenge" } });
    let answer = gateway.post(&post(json!({ "reply": reply }))).await;
    assert_eq!(
        (answer.status, answer.header("x-challenge"), &*answer.body),
        (201, "abc", "challenge")
    );
    assert_eq!(place.list(&[]).await.len(), 0, "nothing of this is kept");
}

#[tokio::test]
async fn a_public_url_with_a_path_is_understood_with_and_without_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace(twilio::PUBLIC_URL, "https://example.com/alerts"),
    );
    let gateway = place.start().await;
    for (number, path) in ["/alerts/in/twilio", "/in/twilio"].into_iter().enumerate() {
        let body = twilio::error(&twilio::sid(number)).body();
        let url = "https://example.com/alerts/in/twilio";
        let signature = twilio::signature(url, twilio::AUTH_TOKEN, body.as_bytes());
        gateway
            .accept(&twilio::unsigned(path, body).header("X-Twilio-Signature", &signature))
            .await;
    }
    itoc360.opens_only(2).await;
}
