//! Proof of the sender: only Twilio's signature is accepted.

use std::fs;

use crate::harness::{Answer, Gateway, Itoc360, Place, Post, Setup, root, twilio};

async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    (itoc360, place, gateway)
}

fn good() -> Post {
    twilio::error(&twilio::sid(1)).to("twilio")
}

/// Returns the form with its fields in this order.
fn form(order: impl FnOnce(&mut Vec<&str>)) -> String {
    let body = twilio::error(&twilio::sid(1)).body();
    let mut fields: Vec<_> = body.split('&').collect();
    order(&mut fields);
    fields.join("&")
}

/// Asserts that the request is refused with this status, that no secret is in the answer or the
/// log, and that the log has the reason. The log has it once a minute for each status.
async fn refused(gateway: &mut Gateway, post: &Post, status: u16) -> Answer {
    let answer = refused_again(gateway, post, status).await;
    let request = answer.json()["request"].clone();
    let line = gateway
        .log("why", |line| {
            (line["request"] == request).then(|| line.clone())
        })
        .await;
    for field in ["source", "reason", "help"] {
        assert!(
            line[field].as_str().is_some_and(|text| !text.is_empty()),
            "{line}"
        );
    }
    answer
}

/// Asserts the same, without the line in the log: it may be suppressed.
async fn refused_again(gateway: &Gateway, post: &Post, status: u16) -> Answer {
    let answer = gateway.post(post).await;
    answer.is_problem(status);
    for secret in [
        twilio::AUTH_TOKEN,
        &twilio::signature(&url(post), twilio::AUTH_TOKEN, &post.body),
    ] {
        assert!(
            !answer.body.contains(secret) && !gateway.logged().contains(secret),
            "{secret}: {}",
            answer.body
        );
    }
    answer
}

fn url(post: &Post) -> String {
    format!("{}{}", twilio::PUBLIC_URL, post.path)
}

#[tokio::test]
async fn what_was_not_signed_as_it_is_is_refused_and_keeps_nothing() {
    let (itoc360, place, mut gateway) = start().await;
    let signature = good().headers.pop().unwrap().1;
    let blank_dropped = form(|fields| fields.retain(|field| *field != "ParentAccountSid="));
    let level_changed = form(|fields| fields[1] = "Level=ERRORS");
    let extra = form(|fields| fields.push("Extra="));
    let sid_changed = twilio::error(&twilio::sid(2)).body();
    for (what, post) in [
        ("a blank field dropped", good().body(blank_dropped)),
        ("a value changed", good().body(level_changed)),
        ("a field added", good().body(extra)),
        ("another event", good().body(sid_changed)),
        ("no body", good().body("")),
        (
            "another token",
            twilio::error(&twilio::sid(1)).signed("twilio", "12345"),
        ),
        (
            "another URL",
            twilio::unsigned("/in/twilio/", good().body).header("X-Twilio-Signature", &signature),
        ),
        (
            "a query",
            twilio::unsigned("/in/twilio?a=b", good().body)
                .header("X-Twilio-Signature", &signature),
        ),
        (
            "nonsense",
            good()
                .without("X-Twilio-Signature")
                .header("X-Twilio-Signature", "nonsense"),
        ),
    ] {
        println!("{what}");
        refused_again(&gateway, &post, 403).await;
    }
    refused(&mut gateway, &good().without("X-Twilio-Signature"), 401).await;
    assert_eq!(place.list(&[]).await.len(), 0);
    gateway.accept(&good()).await;
    itoc360.opens_only(1).await;
    let said = gateway.stop().await.stderr;
    assert!(
        !said.contains(twilio::AUTH_TOKEN) && !said.contains(&signature),
        "{said}"
    );
}

#[tokio::test]
async fn swapped_values_are_refused_and_swapped_fields_are_not() {
    let (itoc360, _place, mut gateway) = start().await;
    // The signature covers the fields sorted by name, so their order on the wire proves nothing.
    let reversed = form(|fields| fields.reverse());
    assert_ne!(reversed.as_bytes(), good().body);
    // Values in each other's places are another event, although the same bytes are there.
    let swapped = form(|fields| {
        fields[1] = "Level=application%2Fjson";
        fields[4] = "PayloadType=ERROR";
    });
    refused(&mut gateway, &good().body(swapped), 403).await;
    gateway.accept(&good().body(reversed)).await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn wrong_signature_is_logged_with_its_url_and_usual_causes() {
    let (_itoc360, _place, mut gateway) = start().await;
    let answer = refused(&mut gateway, &good().body("Sid=NO1"), 403).await;
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("https://gw.example.com/in/twilio")
    );
    assert!(
        !answer.body.contains("Usual causes"),
        "the causes are the operator's to read: {}",
        answer.body
    );
    let request = answer.json()["request"].clone();
    let line = gateway
        .log("why", |line| {
            (line["request"] == request).then(|| line.clone())
        })
        .await;
    assert_eq!(line["level"], "WARN");
    let help = line["help"].as_str().unwrap();
    for part in [
        "https://gw.example.com/in/twilio",
        "Usual causes",
        "public_url",
        "auth_token",
        "subaccount",
        "proxy",
    ] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_not_shown_where_the_signature_is_wrong() {
    let (_itoc360, _place, mut gateway) = start().await;
    let post = twilio::unsigned(
        "/in/twilio?token=canary-in-url&api_key=in-the-log-1",
        "Sid=NO1",
    )
    .header("X-Twilio-Signature", "nonsense");
    let answer = refused(&mut gateway, &post, 403).await;
    assert!(answer.body.contains("token=***"), "{}", answer.body);
    assert!(!answer.body.contains("canary-in-url"), "{}", answer.body);
    // The sender is told the rest of what it wrote, and nobody else is.
    let path = format!(
        "/in/twilio?api_key=canary-1&x=1&sig=canary-2&y={}",
        twilio::AUTH_TOKEN
    );
    let body = format!("Sid=NO1&auth={}", twilio::AUTH_TOKEN);
    let post = twilio::unsigned(path, body)
        .header("X-Twilio-Signature", "nonsense")
        .header("Cf-Access-Jwt-Assertion", "canary-3");
    let answer = gateway.post(&post).await;
    let request = answer.json()["request"].as_str().unwrap().to_owned();
    let mut said = Vec::new();
    for path in ["", "/body"] {
        let path = format!("/api/v1/events/{request}{path}");
        let told = gateway.admin(hyper::Method::GET, &path).await;
        assert_eq!(told.status, 200, "{}", told.body);
        said.push(told.body);
    }
    assert!(said[0].contains("api_key=***&x=1&sig=***"), "{}", said[0]);
    said.push(gateway.stop().await.stderr);
    for text in said {
        assert!(
            !text.contains("canary") && !text.contains("in-the-log"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn signed_url_is_the_configured_one_not_the_requests_host() {
    let (itoc360, _place, gateway) = start().await;
    let post = good()
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "http");
    gateway
        .accept(
            &post
                .header("Host", "evil.example")
                .header("Forwarded", "host=evil.example;proto=http"),
        )
        .await;
    itoc360.opens_only(1).await;
    let elsewhere = twilio::signature(
        "http://evil.example/in/twilio",
        twilio::AUTH_TOKEN,
        &good().body,
    );
    let post = good()
        .without("X-Twilio-Signature")
        .header("X-Twilio-Signature", &elsewhere);
    gateway
        .post(&post.header("Host", "evil.example"))
        .await
        .is_problem(403);
}

#[tokio::test]
async fn url_is_signed_with_query_and_suffix_byte_for_byte() {
    let (itoc360, _place, gateway) = start().await;
    let path = "/in/twilio/a%2Fb/?x=%20y&z=%C3%BC&&token=";
    let url = format!("{}{path}", twilio::PUBLIC_URL);
    let signature = twilio::signature(&url, twilio::AUTH_TOKEN, &good().body);
    gateway
        .accept(&twilio::unsigned(path, good().body).header("X-Twilio-Signature", &signature))
        .await;
    itoc360.opens_only(1).await;
}

/// The gateway alone checks public keys: no plugin carries them.
#[tokio::test]
async fn message_signed_by_amazons_key_is_taken_and_no_other() {
    let folder = root().join("plugin-sdk/src/signature/sns");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"aws-sns\"\nsettings.certificate = { file = \"sns.pem\" }\n\
         settings.topics = [\"arn:aws:sns:eu-central-1:123456789012:alarms\"]";
    let setup = Setup::new(&itoc360).file("sns.pem", read("certificate.pem"));
    let (_place, gateway) = setup.source("sns", lines).start().await;
    let message = read("notification.json");
    let post = |body: &str| Post {
        path: "/in/sns".to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.into(),
    };
    gateway
        .post(&post(&message.replace("is down", "is up")))
        .await
        .is_problem(403);
    gateway.accept(&post(&message)).await;
    itoc360.opens_only(1).await;
}
