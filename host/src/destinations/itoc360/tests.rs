use std::time::Duration;

use hyper::StatusCode;
use itoc360_double::{Double, Reply, Setup};
use plugin_sdk::contract::{self, Priority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::alert::Receipt;
use crate::config::Network;
use crate::destinations::http::{self, ANSWER_MAX_BYTES};
use crate::destinations::{Destination, EXCERPT_MAX_CHARS, LONGEST_RETRY_AFTER, Sent};

/// Far longer than anything here takes.
const PATIENT: Duration = Duration::from_secs(30);

/// Long enough to reach a loopback peer, short enough to wait out.
const HASTY: Duration = Duration::from_millis(200);

fn alert(event_id: &str) -> Alert {
    Alert {
        source: "s".into(),
        request: "r".into(),
        received_at: "2026-01-02T03:04:05.678Z".into(),
        event: contract::Alert::new(event_id, Priority::High, "t"),
    }
}

fn to(url: &str, token: &str, timeout: Duration) -> Destination {
    let itoc360 = Itoc360::new(url.parse().unwrap(), token, Format::Alertmanager).unwrap();
    let pool = http::pool(&itoc360.endpoint.url, 4, &Network::default()).unwrap();
    Destination::over(itoc360, pool, timeout).unwrap()
}

async fn double() -> (Double, Destination) {
    let setup = Setup::default();
    let token = setup.token.clone();
    let double = Double::start(setup).await.unwrap();
    let itoc360 = to(&double.url(), &token, PATIENT);
    (double, itoc360)
}

async fn send(itoc360: &Destination) -> Sent {
    itoc360.send(&alert("NO1")).await
}

fn why(sent: &Sent) -> &str {
    sent.outcome
        .why()
        .unwrap_or_else(|| panic!("accepted: {sent:?}"))
}

#[tokio::test]
async fn accepted_alert_gives_a_receipt() {
    let (double, itoc360) = double().await;
    let sent = send(&itoc360).await;
    let Outcome::Accepted(receipt) = &sent.outcome else {
        panic!("{sent:?}")
    };
    assert_eq!(receipt.fingerprint, alert("NO1").fingerprint());
    assert_eq!(receipt.kind, "ALERT");
    assert_eq!(receipt.id.len(), 36);
    assert_eq!((sent.status, &*sent.answer_excerpt), (Some(200), ""));

    let received = double.received();
    assert_eq!(received[0].header("authorization"), "Bearer double-token");
    assert_eq!(received[0].header("content-type"), "application/json");
    assert_eq!(
        received[0].header("user-agent"),
        concat!("alert-gateway/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        received[0].body,
        format::body(Format::Alertmanager, &alert("NO1")).unwrap()
    );
}

#[tokio::test]
async fn each_kind_of_answer_has_its_outcome() {
    let (double, itoc360) = double().await;
    for (code, expected) in [
        (200, "accepted"),
        (204, "accepted"),
        (301, "blocked"),
        (308, "blocked"),
        (400, "rejected"),
        (401, "blocked"),
        (402, "blocked"),
        (403, "blocked"),
        (404, "blocked"),
        (408, "retry"),
        (413, "rejected"),
        (422, "rejected"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        double.script(move |_, _| Reply::Status {
            code,
            headers: vec![],
            body: String::new(),
        });
        let sent = send(&itoc360).await;
        assert_eq!((sent.outcome.as_str(), sent.status), (expected, Some(code)));
    }
    assert_eq!(
        double.tally().connections,
        1,
        "an answer of any status leaves the connection usable"
    );
}

#[tokio::test]
async fn wrong_token_blocks_and_says_what_to_fix() {
    let (double, _) = double().await;
    let sent = send(&to(&double.url(), "wrong", PATIENT)).await;
    let expected = "ITOC360 answered 404 Not Found (Source not found): ITOC360 knows no source with this token; check \
                    the token, then the url";
    assert_eq!((sent.outcome.as_str(), why(&sent)), ("blocked", expected));
    assert_eq!(sent.answer_excerpt, r#"{"error":"Source not found"}"#);
}

#[tokio::test]
async fn accepting_answer_without_a_receipt_settles_the_alert() {
    let (double, itoc360) = double().await;
    double.script(|_, _| Reply::Garbage);
    let sent = send(&itoc360).await;
    assert_eq!(sent.outcome, Outcome::Accepted(Receipt::default()));
    assert_eq!(sent.answer_excerpt, "OK, no receipt");
}

#[tokio::test]
async fn accepting_answer_that_breaks_off_settles_the_alert() {
    for (breaks_off, timeout) in [(true, PATIENT), (false, 5 * HASTY)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let itoc360 = to(
            &format!("http://{}/", listener.local_addr().unwrap()),
            "t",
            timeout,
        );
        let answer_in_part = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
                .await
                .unwrap();
            if breaks_off {
                stream.shutdown().await.unwrap();
            }
            stream
        };
        let (sent, _stream) = tokio::join!(send(&itoc360), answer_in_part);
        assert_eq!(sent.outcome, Outcome::Accepted(Receipt::default()));
        assert_eq!(sent.answer_excerpt, "(the answer broke off)");
    }
}

#[tokio::test]
async fn no_answer_in_time_is_retried() {
    let (double, _) = double().await;
    double.script(|_, _| Reply::Hang);
    let sent = send(&to(&double.url(), "double-token", HASTY)).await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("retry", None));
    assert_eq!(
        why(&sent),
        format!("no answer from {} within 200ms", double.address())
    );
    assert!(sent.duration >= HASTY);
}

#[tokio::test]
async fn connection_dropped_before_the_answer_is_retried() {
    let (double, itoc360) = double().await;
    double.script(|_, _| Reply::Close);
    let sent = send(&itoc360).await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("retry", None));
    assert!(why(&sent).starts_with(&format!(
        "the connection to {} broke before an answer came: ",
        double.address()
    )));
    assert_eq!(
        double.tally().requests,
        1,
        "what may have arrived is not sent again behind delivery's back"
    );
}

#[tokio::test]
async fn refused_connection_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sent = send(&to(
        &format!("http://{address}/?token=hidden"),
        "t0k3n",
        PATIENT,
    ))
    .await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("retry", None));
    assert!(
        why(&sent).starts_with(&format!("cannot connect to {address}: ")),
        "{}",
        why(&sent)
    );
    assert!(
        why(&sent).contains("refused") && !why(&sent).contains("hidden"),
        "{}",
        why(&sent)
    );
}

#[tokio::test]
async fn peer_that_speaks_no_tls_is_retried() {
    let (double, _) = double().await;
    let sent = send(&to(
        &double.url().replace("http:", "https:"),
        "double-token",
        PATIENT,
    ))
    .await;
    assert_eq!(sent.outcome.as_str(), "retry");
    assert!(
        why(&sent).starts_with("cannot connect to "),
        "{}",
        why(&sent)
    );
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the date of an answer is the wall clock's"
)]
async fn retry_after_is_honoured_in_both_forms() {
    let (double, itoc360) = double().await;
    let date =
        httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2 * 60 * 60));
    for (value, expected) in [
        ("7".to_owned(), Duration::from_secs(7)),
        (date, LONGEST_RETRY_AFTER),
    ] {
        let headers = vec![("Retry-After".to_owned(), value)];
        double.script(move |_, _| Reply::Status {
            code: 429,
            headers: headers.clone(),
            body: String::new(),
        });
        let Outcome::Retry { retry_after, .. } = send(&itoc360).await.outcome else {
            panic!("429 must mean later")
        };
        assert_eq!(retry_after, Some(expected));
    }
}

#[tokio::test]
async fn one_connection_serves_many_alerts() {
    let (double, itoc360) = double().await;
    for _ in 0..20 {
        assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
    }
    assert_eq!(double.tally().connections, 1);
    assert_eq!(double.opened(), 1, "a repeat updates the alert it opened");
}

#[tokio::test]
async fn connection_closed_while_idle_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let itoc360 = to(
        &format!("http://{}/", listener.local_addr().unwrap()),
        "t",
        PATIENT,
    );
    for _ in 0..3 {
        let answer_and_close = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
            // The client closes its side as soon as it has noticed.
            while stream.read(&mut request).await.unwrap_or(0) > 0 {}
        };
        let (sent, ()) = tokio::join!(send(&itoc360), answer_and_close);
        assert_eq!(sent.outcome.as_str(), "accepted", "{sent:?}");
    }
}

#[tokio::test]
async fn recovered_peer_is_reached_over_a_new_connection() {
    let (double, itoc360) = double().await;
    let listen = double.address();
    assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
    double.stop().await;
    assert_eq!(send(&itoc360).await.outcome.as_str(), "retry");
    let _double = Double::start(Setup {
        listen,
        ..Setup::default()
    })
    .await
    .unwrap();
    assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
}

#[tokio::test]
async fn echo_of_the_token_is_masked_everywhere() {
    let (double, itoc360) = double().await;
    for code in [200, 302, 400, 401, 503] {
        let headers = vec![(
            "Location".to_owned(),
            "https://x.example/double-token".to_owned(),
        )];
        let body = r#"{"id":"double-token","error":"no double-token"}"#.to_owned();
        double.script(move |_, _| Reply::Status {
            code,
            headers: headers.clone(),
            body: body.clone(),
        });
        let sent = format!("{:?}", send(&itoc360).await);
        assert!(
            !sent.contains("double-token") && sent.contains("***"),
            "{code}: {sent}"
        );
    }
    assert!(!format!("{itoc360:?}").contains("token"));
}

#[tokio::test]
async fn answer_is_read_up_to_the_limit() {
    let (double, itoc360) = double().await;
    double.script(|_, _| Reply::Status {
        code: 500,
        headers: vec![],
        body: "x".repeat(32 * ANSWER_MAX_BYTES),
    });
    let sent = send(&itoc360).await;
    assert_eq!(sent.answer_excerpt.len(), EXCERPT_MAX_CHARS);
    assert!(why(&sent).len() < 300);
}

#[tokio::test]
async fn receipt_is_found_in_an_answer_with_a_large_echo() {
    let (_double, itoc360) = double().await;
    let mut large = alert("NO1");
    large.event.message = Some("x".repeat(ANSWER_MAX_BYTES));
    let sent = itoc360.send(&large).await;
    let Outcome::Accepted(receipt) = sent.outcome else {
        panic!("{sent:?}")
    };
    assert_eq!(receipt.fingerprint, large.fingerprint());
}

#[test]
fn unusable_url_or_token_is_reported_at_once() {
    let new = |url: &str, token: &str| {
        let itoc360 = Itoc360::new(url.parse().unwrap(), token, Format::Zapier)?;
        let pool = http::pool(&itoc360.endpoint.url, 1, &Network::default())?;
        Destination::over(itoc360, pool, PATIENT).map(|_| ())
    };
    assert_eq!(new("/events", "t"), Err(NotUsable::Url));
    assert_eq!(new("ftp://x.example/", "t"), Err(NotUsable::Url));
    assert_eq!(new("http://x.example/", ""), Err(NotUsable::Token));
    assert_eq!(new("http://x.example/", "a b"), Err(NotUsable::Token));
    assert_eq!(new("http://x.example/", "t\n"), Err(NotUsable::Token));
}

fn judged(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Outcome {
    let itoc360 = Itoc360::new(
        "http://localhost/".parse().unwrap(),
        "s3cret",
        Format::default(),
    )
    .unwrap();
    let headers = headers
        .iter()
        .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    itoc360.judge(&Answer {
        status,
        headers: &headers,
        body: body.as_bytes(),
        mask: &itoc360.endpoint.mask,
    })
}

#[test]
fn every_status_has_one_outcome() {
    for status in 100..=999 {
        let expected = match status {
            200..=299 => "accepted",
            408 | 429 | 500..=999 => "retry",
            401..=404 | 100..=199 | 300..=399 => "blocked",
            _ => "rejected",
        };
        assert_eq!(judged(status, &[], "").as_str(), expected, "{status}");
    }
}

#[test]
fn reason_says_what_itoc360_said_and_what_to_fix() {
    let why = |status, body| judged(status, &[], body).why().unwrap().to_owned();
    assert_eq!(
        why(400, r#"{"error":"Invalid payload"}"#),
        "ITOC360 answered 400 Bad Request (Invalid payload)"
    );
    assert_eq!(
        why(503, r#"{"message":"down"}"#),
        "ITOC360 answered 503 Service Unavailable (down)"
    );
    assert_eq!(why(599, ""), "ITOC360 answered 599");
    assert!(why(401, "").contains("token is wrong"));
    assert!(why(402, "").contains("subscription is inactive"));
    assert!(why(404, "").contains("check the token"));
    assert_eq!(
        why(400, "no s3cret\nhere"),
        "ITOC360 answered 400 Bad Request (no *** here)"
    );
    assert!(why(400, &"x".repeat(70_000)).len() < 300);
}

#[test]
fn redirect_names_its_target_without_the_query() {
    let outcome = judged(
        308,
        &[("location", "https://u:p@new.example/s3cret?token=abc")],
        "",
    );
    let expected = "ITOC360 answered 308 Permanent Redirect: redirects to https://new.example/*** are not \
                    followed; check the url";
    assert_eq!(
        (outcome.as_str(), outcome.why()),
        ("blocked", Some(expected))
    );
    assert_eq!(judged(302, &[("location", "::")], "").as_str(), "blocked");
}
