//! Requests of strangers: what they cannot reach, fill or learn, and what is fired about a sender
//! that is no stranger.

use std::fs;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Gateway, Itoc360, Place, Post, Setup, plugin, twilio, until};

const TOKEN: &str = "canary-of-a-source-91aa";

fn status(answer: &str) -> u16 {
    answer
        .get(9..12)
        .unwrap_or_default()
        .parse()
        .unwrap_or_default()
}

/// A gateway with a source `parrot` that a token proves.
async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!("token = \"{TOKEN}\"\nlimits.body = \"8KiB\"");
    let setup = Setup::new(&itoc360).plugin("parrot", &plugin::parrot_of_strangers(), &lines);
    let (place, gateway) = setup.start().await;
    (itoc360, place, gateway)
}

fn proved(post: Post) -> Post {
    post.header("Authorization", &format!("Bearer {TOKEN}"))
}

#[tokio::test]
async fn ambiguous_path_is_404() {
    let (itoc360, _place, gateway) = start().await;
    for suffix in [
        "/./x",
        "/../twilio",
        "//x",
        "/%2e%2e/twilio",
        "/x%2f%2e%2e",
        "/%5c..",
        "/..;/x",
        "/%252e%252e/x",
    ] {
        let post = Post {
            path: format!("/in/parrot{suffix}"),
            ..plugin::alerts("parrot", &[plugin::alert("1")])
        };
        gateway.post(&proved(post)).await.is_problem(404);
    }
    let plain = Post {
        path: "/in/parrot/a/b.c/".to_owned(),
        ..plugin::alerts("parrot", &[plugin::alert("1")])
    };
    gateway.accept(&proved(plain)).await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn near_miss_of_a_path_names_the_source_that_was_meant() {
    let (_itoc360, _place, mut gateway) = start().await;
    gateway
        .post(&twilio::unsigned(
            "/wp-login.php\u{1b}[2J".replace('\u{1b}', "%1b"),
            "a=b",
        ))
        .await
        .is_problem(404);
    for path in ["/in/twillio", "/twilio", "/webhooks/twilio?token=canary"] {
        gateway
            .post(&twilio::unsigned(path, "a=b"))
            .await
            .is_problem(404);
    }
    let meant =
        |line: &Value| (line["help"] == "did you mean /in/twilio?").then(|| line["path"].clone());
    assert_eq!(
        gateway.log("the source that was meant", meant).await,
        "/in/twillio"
    );
    let logged = gateway.stop().await.stderr;
    assert_eq!(
        logged.matches("no source has this path").count(),
        2,
        "one line of each kind: {logged}"
    );
}

#[tokio::test]
async fn load_balancer_is_answered_on_the_public_listener() {
    let (_itoc360, _place, gateway) = start().await;
    for method in [Method::GET, Method::HEAD] {
        let answer = gateway.request(method.clone(), "/healthz").await;
        assert_eq!(
            (answer.status, answer.header("x-content-type-options")),
            (200, "nosniff"),
            "{method}"
        );
    }
    assert_eq!(gateway.request(Method::POST, "/healthz").await.status, 405);
    assert_eq!(
        status(&gateway.raw(b"HEAD /healthz HTTP/1.0\r\n\r\n").await),
        200,
        "haproxy's own check"
    );
    let requests =
        gateway.metrics().await.into_iter().filter(|(name, count)| {
            name.starts_with("alert_gateway_requests_total") && *count > 0.0
        });
    assert_eq!(requests.count(), 0, "it is no sender");
}

#[tokio::test]
async fn put_and_patch_are_read_like_post() {
    let (itoc360, _place, gateway) = start().await;
    for (number, method) in ["PUT", "PATCH"].into_iter().enumerate() {
        let wire = proved(plugin::alerts(
            "parrot",
            &[plugin::alert(&number.to_string())],
        ))
        .wire_as(method);
        let answer = gateway.raw(&wire).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    itoc360.opens_only(2).await;
}

#[tokio::test]
async fn host_of_a_request_is_one_valid_host() {
    let (_itoc360, _place, gateway) = start().await;
    let with = |hosts: &str| {
        format!("POST /in/parrot HTTP/1.1\r\n{hosts}Content-Length: 0\r\nConnection: close\r\n\r\n")
    };
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host:\r\n",
    ] {
        let answer = gateway.raw(with(hosts).as_bytes()).await;
        assert_eq!(status(&answer), 400, "{hosts:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    assert_eq!(
        status(
            &gateway
                .raw(with("Host: a.example:8080\r\n").as_bytes())
                .await
        ),
        401
    );
    assert_eq!(
        status(
            &gateway
                .raw_admin(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
                .await
        ),
        400
    );
}

#[tokio::test]
async fn url_beyond_8_kib_is_414() {
    let (_itoc360, _place, gateway) = start().await;
    let path = format!("/in/parrot?x={}", "y".repeat(8 * 1024));
    gateway
        .post(&twilio::unsigned(path, "a=b"))
        .await
        .is_problem(414);
}

#[tokio::test]
async fn token_reaches_neither_plugin_nor_disk() {
    let (itoc360, place, gateway) = start().await;
    let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let said = |path: &str| {
        let mut alert = plugin::alert("1");
        alert["message"] = json!(format!("token {TOKEN} and {percent}"));
        Post {
            path: path.to_owned(),
            ..plugin::alerts("parrot", &[alert])
        }
    };
    let mut post = proved(said(&format!(
        "/in/parrot/{TOKEN}?a={TOKEN}&token={percent}"
    )));
    for name in [
        "X-Original-URI",
        "Referer",
        "Forwarded",
        "X-Request",
        "Cookie",
    ] {
        post = post.header(
            name,
            &format!("https://gw.example.com/in/parrot?token={TOKEN}&x={percent}"),
        );
    }
    let id = gateway.accept(&post).await;
    let delivered = itoc360.open(1).await.remove(0).to_string();
    assert!(
        delivered.contains("sha256-") && !delivered.contains("canary-of-a"),
        "{delivered}"
    );
    let shown = place.event(&id).await.to_string();
    assert!(
        shown.contains("sha256-") && !shown.contains("canary-of-a"),
        "{shown}"
    );
    gateway.stop().await;
    for file in ["gateway.db", "gateway.db-wal"] {
        let bytes = fs::read(place.path("data").join(file)).unwrap_or_default();
        for word in [TOKEN.as_bytes(), percent.as_bytes()] {
            assert!(
                !bytes.windows(word.len()).any(|window| window == word),
                "{file}"
            );
        }
    }
}

#[tokio::test]
async fn token_is_taken_as_sent_and_decoded() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "token = \"canary+of/a=source\"";
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot_of_strangers(), lines)
        .start()
        .await;
    for (number, query) in [
        "canary+of/a=source",
        "canary%2Bof%2Fa%3Dsource",
        "canary%2bof/a%3dsource",
    ]
    .iter()
    .enumerate()
    {
        let post = plugin::alerts("parrot", &[plugin::alert(&number.to_string())]);
        gateway
            .accept(&Post {
                path: format!("/in/parrot?token={query}"),
                ..post
            })
            .await;
    }
    itoc360.opens_only(3).await;
}

#[tokio::test]
async fn forged_request_starts_no_sandbox() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    const CALLS: &str = "alert_gateway_plugin_duration_seconds_count{source=\"twilio\"}";
    let genuine = twilio::error(&twilio::sid(1)).to("twilio");
    for signature in [
        "",
        "AAAA",
        &"x".repeat(4096),
        "EfWcvsgAOV8k0v1MrI6lv99Poa8=",
        "\u{e9}",
    ] {
        let forged = genuine
            .clone()
            .without("X-Twilio-Signature")
            .header("X-Twilio-Signature", signature);
        let answer = gateway.post(&forged).await;
        assert!(
            matches!(answer.status, 401 | 403),
            "{signature:?}: {}",
            answer.body
        );
    }
    gateway
        .post(&genuine.clone().without("X-Twilio-Signature"))
        .await
        .is_problem(401);
    assert_eq!(gateway.metrics().await[CALLS], 0.0, "the plugin was called");
    gateway.accept(&genuine).await;
    assert_eq!(gateway.metrics().await[CALLS], 1.0);
}

#[tokio::test]
async fn proof_over_the_url_holds_beside_a_token_in_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = format!(
        "plugin = \"twilio-errors\"\nsettings.auth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\ntoken = \"{TOKEN}\""
    );
    let (place, gateway) = Setup::new(&itoc360).source("both", &lines).start().await;
    let id = gateway
        .accept(&twilio::error(&twilio::sid(1)).to(&format!("both?token={TOKEN}")))
        .await;
    itoc360.opens_only(1).await;
    assert!(!place.event(&id).await.to_string().contains(TOKEN));
}

/// A plugin that fails on every request, before it could have looked at the sender.
fn failing() -> Vec<u8> {
    plugin::hostile("(unreachable)")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_fill_their_quota_and_no_more() {
    let itoc360 = Itoc360::alertmanager().await;
    let token = format!("token = \"{TOKEN}\"");
    let setup = Setup::new(&itoc360).plugin("open", &failing(), "limits.body = \"2MiB\"");
    let (place, gateway) = setup.plugin("closed", &failing(), &token).start().await;
    let body = vec![1; 2 * 1024 * 1024];
    let mut kept = 0;
    let refused = loop {
        let answer = gateway
            .post(&twilio::unsigned("/in/open", body.clone()))
            .await;
        match answer.status {
            202 => kept += 1,
            _ => break answer,
        }
        assert!(kept <= 32, "64 MiB hold no more");
    };
    refused.is_problem(503);
    assert!(!refused.header("retry-after").is_empty());
    assert!((30..=32).contains(&kept), "{kept}");
    let told = itoc360.told("quota-used-up", "firing").await;
    assert_eq!(told["commonLabels"]["name"], "open", "{told}");
    // A small one has no room either once the number is used up; a proved one always has.
    assert_eq!(
        gateway
            .post(&proved(twilio::unsigned("/in/closed", "a=b")))
            .await
            .status,
        202
    );
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let metrics = gateway.metrics().await;
    assert!(
        metrics["alert_gateway_requests_total{source=\"open\",outcome=\"quota_used_up\"}"] >= 1.0
    );
    // The quota is as full after a restart.
    gateway.kill().await;
    let gateway = place.start().await;
    gateway
        .post(&twilio::unsigned("/in/open", body))
        .await
        .is_problem(503);
    place.is_whole().await;
}

#[tokio::test]
async fn body_of_control_characters_does_not_break_a_plugin() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\nlimits.body = \"2MiB\"";
    let (place, gateway) = Setup::new(&itoc360).source("large", lines).start().await;
    for byte in [0, 1, b'"', b'\\', b'%', b'&', b'=', 0xff] {
        let post = twilio::unsigned("/in/large", vec![byte; 2 * 1024 * 1024])
            .header("X-Twilio-Signature", "AAAA");
        gateway.post(&post).await.is_problem(403);
    }
    assert_eq!(place.list(&["--state", "failed"]).await.len(), 0);
}

#[tokio::test]
async fn proved_sender_that_is_refused_fires_an_alert() {
    let (itoc360, _place, gateway) = start().await;
    gateway
        .post(&twilio::unsigned("/in/parrot", vec![b'x'; 9000]))
        .await
        .is_problem(401);
    gateway
        .post(&proved(twilio::unsigned("/in/parrot", vec![b'x'; 9000])))
        .await
        .is_problem(413);
    let told = itoc360.told("rejected", "firing").await;
    assert_eq!(
        (
            &told["commonLabels"]["name"],
            &told["commonLabels"]["outcome"]
        ),
        (&json!("parrot"), &json!("too_large"))
    );
    let rejected = json!({ "rejected": { "kind": "malformed", "reason": "not mine", "help": "" } })
        .to_string();
    for _ in 0..5 {
        gateway
            .post(&proved(twilio::unsigned("/in/parrot", rejected.clone())))
            .await
            .is_problem(400);
    }
    until("nothing more is under way", async || {
        (gateway.metrics().await["alert_gateway_alerts{state=\"pending\"}"] == 0.0).then_some(())
    })
    .await;
    assert_eq!(
        itoc360.own("rejected", "firing").len(),
        1,
        "it is throttled"
    );
}
