use plugin_sdk::contract::{self, Priority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::itoc360::outcome::LONGEST_RETRY_AFTER;
use crate::itoc360::stand_in::{Reply, Setup, StandIn};

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

fn to(url: &str, token: &str, timeout: Duration) -> Itoc360 {
    Itoc360::new(url.parse().unwrap(), token, Format::Alertmanager, timeout, 4).unwrap()
}

async fn stand_in() -> (StandIn, Itoc360) {
    let setup = Setup::default();
    let token = setup.token.clone();
    let stand_in = StandIn::start(setup).await.unwrap();
    let itoc360 = to(&stand_in.url(), &token, PATIENT);
    (stand_in, itoc360)
}

async fn send(itoc360: &Itoc360) -> Sent {
    itoc360.send(itoc360.body(&alert("NO1"))).await
}

fn why(sent: &Sent) -> &str {
    match &sent.outcome {
        Outcome::Later { why, .. } | Outcome::Blocked { why } | Outcome::Refused { why } => why,
        Outcome::Accepted(_) => panic!("accepted: {sent:?}"),
    }
}

#[tokio::test]
async fn an_accepted_alert_gives_a_receipt() {
    let (stand_in, itoc360) = stand_in().await;
    let sent = send(&itoc360).await;
    let Outcome::Accepted(receipt) = &sent.outcome else { panic!("{sent:?}") };
    assert_eq!(receipt.fingerprint, alert("NO1").fingerprint());
    assert_eq!(receipt.kind, "ALERT");
    assert_eq!(receipt.id.len(), 36);
    assert_eq!((sent.status, &*sent.answer_excerpt), (Some(200), ""));

    let received = stand_in.received();
    assert_eq!(received[0].header("authorization"), "Bearer stand-in-token");
    assert_eq!(received[0].header("content-type"), "application/json");
    assert_eq!(received[0].header("user-agent"), concat!("alert-gateway/", env!("CARGO_PKG_VERSION")));
    assert_eq!(received[0].body, itoc360.body(&alert("NO1")));
}

#[tokio::test]
async fn each_kind_of_answer_has_its_outcome() {
    let (stand_in, itoc360) = stand_in().await;
    for (code, expected) in [
        (200, "accepted"),
        (204, "accepted"),
        (301, "blocked"),
        (308, "blocked"),
        (400, "refused"),
        (401, "blocked"),
        (402, "blocked"),
        (403, "blocked"),
        (404, "blocked"),
        (408, "later"),
        (413, "refused"),
        (422, "refused"),
        (429, "later"),
        (500, "later"),
        (503, "later"),
    ] {
        stand_in.script(move |_, _| Reply::Status { code, headers: vec![], body: String::new() });
        let sent = send(&itoc360).await;
        assert_eq!((sent.outcome.as_str(), sent.status), (expected, Some(code)));
    }
    assert_eq!(stand_in.tally().connections, 1, "an answer of any status leaves the connection usable");
}

#[tokio::test]
async fn a_wrong_token_blocks_and_says_what_to_mend() {
    let (stand_in, _) = stand_in().await;
    let sent = send(&to(&stand_in.url(), "wrong", PATIENT)).await;
    let expected = "ITOC360 answered 404 Not Found (Source not found): ITOC360 knows no source with this token; check \
                    the token, then the url";
    assert_eq!((sent.outcome.as_str(), why(&sent)), ("blocked", expected));
    assert_eq!(sent.answer_excerpt, r#"{"error":"Source not found"}"#);
}

#[tokio::test]
async fn an_accepting_answer_that_is_no_receipt_still_settles_the_alert() {
    let (stand_in, itoc360) = stand_in().await;
    stand_in.script(|_, _| Reply::Garbage);
    let sent = send(&itoc360).await;
    assert_eq!(sent.outcome, Outcome::Accepted(Receipt::default()));
    assert_eq!(sent.answer_excerpt, "<html>OK</html>");
}

#[tokio::test]
async fn an_accepting_answer_that_breaks_off_or_stalls_still_settles_the_alert() {
    for (breaks_off, timeout) in [(true, PATIENT), (false, 5 * HASTY)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let itoc360 = to(&format!("http://{}/", listener.local_addr().unwrap()), "t", timeout);
        let answer_in_part = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").await.unwrap();
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
async fn no_answer_in_time_means_later() {
    let (stand_in, _) = stand_in().await;
    stand_in.script(|_, _| Reply::Hang);
    let sent = send(&to(&stand_in.url(), "stand-in-token", HASTY)).await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("later", None));
    assert_eq!(why(&sent), format!("no answer from {} within 200ms", stand_in.address()));
    assert!(sent.duration >= HASTY);
}

#[tokio::test]
async fn a_connection_dropped_before_the_answer_means_later() {
    let (stand_in, itoc360) = stand_in().await;
    stand_in.script(|_, _| Reply::Close);
    let sent = send(&itoc360).await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("later", None));
    assert!(why(&sent).starts_with(&format!("the connection to {} broke before an answer came: ", stand_in.address())));
    assert_eq!(stand_in.tally().requests, 1, "what may have arrived is not sent again behind delivery's back");
}

#[tokio::test]
async fn a_refused_connection_means_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sent = send(&to(&format!("http://{address}/?token=hidden"), "t0k3n", PATIENT)).await;
    assert_eq!((sent.outcome.as_str(), sent.status), ("later", None));
    assert!(why(&sent).starts_with(&format!("cannot connect to {address}: ")), "{}", why(&sent));
    assert!(why(&sent).contains("refused") && !why(&sent).contains("hidden"), "{}", why(&sent));
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_means_later() {
    let (stand_in, _) = stand_in().await;
    let sent = send(&to(&stand_in.url().replace("http:", "https:"), "stand-in-token", PATIENT)).await;
    assert_eq!(sent.outcome.as_str(), "later");
    assert!(why(&sent).starts_with("cannot connect to "), "{}", why(&sent));
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms() {
    let (stand_in, itoc360) = stand_in().await;
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2 * 60 * 60));
    for (value, expected) in [("7".to_owned(), Duration::from_secs(7)), (date, LONGEST_RETRY_AFTER)] {
        let headers = vec![("Retry-After".to_owned(), value)];
        stand_in.script(move |_, _| Reply::Status { code: 429, headers: headers.clone(), body: String::new() });
        let Outcome::Later { retry_after, .. } = send(&itoc360).await.outcome else { panic!("429 must mean later") };
        assert_eq!(retry_after, Some(expected));
    }
}

#[tokio::test]
async fn one_connection_serves_many_alerts() {
    let (stand_in, itoc360) = stand_in().await;
    for _ in 0..20 {
        assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
    }
    assert_eq!(stand_in.tally().connections, 1);
    assert_eq!(stand_in.opened(), 1, "a repeat updates the alert it opened");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced_unnoticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let itoc360 = to(&format!("http://{}/", listener.local_addr().unwrap()), "t", PATIENT);
    for _ in 0..3 {
        let answer_and_close = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
            // The client closes its side as soon as it has noticed.
            while stream.read(&mut request).await.unwrap_or(0) > 0 {}
        };
        let (sent, ()) = tokio::join!(send(&itoc360), answer_and_close);
        assert_eq!(sent.outcome.as_str(), "accepted", "{sent:?}");
    }
}

#[tokio::test]
async fn a_peer_that_comes_back_is_reached_over_a_new_connection() {
    let (stand_in, itoc360) = stand_in().await;
    let listen = stand_in.address();
    assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
    stand_in.stop().await;
    assert_eq!(send(&itoc360).await.outcome.as_str(), "later");
    let _stand_in = StandIn::start(Setup { listen, ..Setup::default() }).await.unwrap();
    assert_eq!(send(&itoc360).await.outcome.as_str(), "accepted");
}

#[tokio::test]
async fn an_echo_of_the_token_is_masked_wherever_it_comes_back() {
    let (stand_in, itoc360) = stand_in().await;
    for code in [200, 302, 400, 401, 503] {
        let headers = vec![("Location".to_owned(), "https://x.example/stand-in-token".to_owned())];
        let body = r#"{"id":"stand-in-token","error":"no stand-in-token"}"#.to_owned();
        stand_in.script(move |_, _| Reply::Status { code, headers: headers.clone(), body: body.clone() });
        let sent = format!("{:?}", send(&itoc360).await);
        assert!(!sent.contains("stand-in-token") && sent.contains("***"), "{code}: {sent}");
    }
    assert!(!format!("{itoc360:?}").contains("token"));
}

#[tokio::test]
async fn no_more_of_an_answer_is_read_than_the_limit() {
    let (stand_in, itoc360) = stand_in().await;
    stand_in.script(|_, _| Reply::Status { code: 500, headers: vec![], body: "x".repeat(32 * ANSWER_MAX_BYTES) });
    let sent = send(&itoc360).await;
    assert_eq!(sent.answer_excerpt.len(), EXCERPT_MAX_CHARS);
    assert!(why(&sent).len() < 300);
}

#[tokio::test]
async fn a_receipt_is_found_in_an_answer_that_echoes_a_large_alert() {
    let (_stand_in, itoc360) = stand_in().await;
    let mut large = alert("NO1");
    large.event.message = Some("x".repeat(ANSWER_MAX_BYTES));
    let sent = itoc360.send(itoc360.body(&large)).await;
    let Outcome::Accepted(receipt) = sent.outcome else { panic!("{sent:?}") };
    assert_eq!(receipt.fingerprint, large.fingerprint());
}

#[test]
fn what_cannot_be_sent_to_is_said_at_once() {
    let new = |url: &str, token: &str| {
        Itoc360::new(url.parse().unwrap(), token, Format::Zapier, PATIENT, 1).map(|_| ()).unwrap_err()
    };
    assert_eq!(new("/events", "t"), NotUsable::Url);
    assert_eq!(new("ftp://x.example/", "t"), NotUsable::Url);
    assert_eq!(new("http://x.example/", ""), NotUsable::Token);
    assert_eq!(new("http://x.example/", "a b"), NotUsable::Token);
    assert_eq!(new("http://x.example/", "t\n"), NotUsable::Token);
}
