//! Hostile HTTP: every oddity ends in an answer or a closed connection, and no byte of one request
//! becomes part of another. The table in `host/src/http/mod.rs` names the defence against each
//! attack.

mod http2;

use std::io::ErrorKind;
use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Gateway, Itoc360, PATIENCE, Place, Setup, read, twilio};

async fn start() -> (Itoc360, Place, Gateway) {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    (itoc360, place, gateway)
}

/// The smuggled request: one to no source, counted as such.
const HIDDEN: &str = "POST /in/nobody HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// Returns the number of requests to no source.
async fn hidden(gateway: &Gateway) -> f64 {
    let metrics = gateway.metrics().await;
    metrics
        .get("alert_gateway_requests_total{source=\"\",outcome=\"unknown_source\"}")
        .copied()
        .unwrap_or_default()
}

/// Returns the statuses of all answers on a connection.
fn statuses(said: &str) -> Vec<u16> {
    said.split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().unwrap())
        .collect()
}

/// Returns a head for the source, with these header lines.
fn head(lines: &str) -> String {
    format!("POST /in/twilio HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// Sends these bytes, and asserts that the gateway closes the connection after at most one answer.
async fn one_answer(gateway: &Gateway, bytes: &str) -> Option<u16> {
    let said = gateway.raw(bytes.as_bytes()).await;
    let statuses = statuses(&said);
    assert!(statuses.len() <= 1, "{bytes:?}: {said}");
    statuses.first().copied()
}

/// Asserts that the gateway still delivers.
async fn works(itoc360: &Itoc360, gateway: &Gateway, number: usize) {
    gateway
        .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
        .await;
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn two_ways_to_say_where_a_body_ends_let_nothing_in_behind_it() {
    let (itoc360, _place, gateway) = start().await;
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED\r\nConnection: keep-alive\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let status = one_answer(&gateway, &format!("{}0\r\n\r\n{HIDDEN}", head(lines))).await;
        assert_eq!(status, Some(401), "{lines:?}");
    }
    assert_eq!(hidden(&gateway).await, 0.0);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn ambiguous_head_is_400_and_closed() {
    let (itoc360, _place, gateway) = start().await;
    for lines in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4a\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 4\r\n",
        "Content-Length\t: 4\r\n",
        " Content-Length: 4\r\n",
        "X: a\r\n Content-Length: 4\r\n",
        "X: a\r\n\tfolded\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer\u{0}-Encoding: chunked\r\n",
        "X: \u{0}\r\n",
        "X: a\rContent-Length: 4\r\n",
        ": 4\r\n",
        "no colon\r\n",
    ] {
        let status = one_answer(&gateway, &format!("{}0\r\n\r\n{HIDDEN}", head(lines))).await;
        assert_eq!(status, Some(400), "{lines:?}");
    }
    for bytes in [
        "POST /in/twilio HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST  /in/twilio HTTP/1.1\r\n\r\n",
        "POST /in/twilio  HTTP/1.1\r\n\r\n",
        "POST /in/tw\u{0}ilio HTTP/1.1\r\n\r\n",
        "POST /in/twilio HTTP/1.1 \r\n\r\n",
        "POST /in/twilio\r\n\r\n",
        "PO\u{0}ST /in/twilio HTTP/1.1\r\n\r\n",
    ] {
        let status = one_answer(&gateway, &format!("{bytes}{HIDDEN}")).await;
        assert_eq!(status, Some(400), "{bytes:?}");
    }
    assert_eq!(hidden(&gateway).await, 0.0);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn what_is_odd_and_clear_is_one_request_and_not_two() {
    let (itoc360, _place, gateway) = start().await;
    let body = twilio::error(&twilio::sid(1)).body();
    let signature = twilio::signature(
        &format!("{}/in/twilio", twilio::PUBLIC_URL),
        twilio::AUTH_TOKEN,
        body.as_bytes(),
    );
    let length = body.len();
    // The same length twice; lines that end without a carriage return; targets that name another
    // host, which nobody asks.
    for (number, head) in [
        format!("POST /in/twilio HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("POST /in/twilio HTTP/1.1\nHost: a\nContent-Length: {length}\n"),
        format!("POST http://elsewhere.example/in/twilio HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n"),
        format!("\r\n\r\nPOST /in/twilio HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = format!("{head}X-Twilio-Signature: {signature}\r\nConnection: close\r\n\r\n{body}{HIDDEN}");
        assert_eq!(one_answer(&gateway, &request).await, Some(200), "{number}: {head:?}");
    }
    assert_eq!(hidden(&gateway).await, 0.0);
    // Targets that are no path of a source.
    for (target, status) in [
        ("CONNECT in.twilio:443", 404),
        ("OPTIONS *", 404),
        ("POST http://gw.example.com", 404),
        ("POST /in/twilio/../nobody", 404),
        ("POST /in/%74wilio", 404),
        ("GET http://a/in/twilio?x=http://b/", 405),
    ] {
        let request = format!(
            "{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            one_answer(&gateway, &request).await,
            Some(status),
            "{target}"
        );
    }
    itoc360.opens_only(1).await;
    let metrics = gateway.metrics().await;
    assert_eq!(
        metrics["alert_gateway_requests_total{source=\"twilio\",outcome=\"accepted\"}"],
        4.0
    );
}

#[tokio::test]
async fn chunks_that_are_odd_or_without_end_are_refused() {
    let (itoc360, _place, gateway) = start().await;
    let many = "x".repeat(20 * 1024);
    let endless = "0123456789abcdef".repeat(64 * 1024);
    for (what, body, status) in [
        (
            "a size that overflows",
            "10000000000000000\r\nabc\r\n".to_owned(),
            400,
        ),
        ("a size below nothing", "-1\r\nabc\r\n".to_owned(), 400),
        (
            "a size with a prefix",
            "0x3\r\nabc\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        ("no size", "\r\nabc\r\n0\r\n\r\n".to_owned(), 400),
        (
            "a line feed alone behind a size",
            "3\nabc\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        (
            "more than its size",
            "3\r\nabcdef\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        (
            "an extension without end",
            format!("3;{many}\r\nabc\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a line feed in an extension",
            format!("3;a\n{HIDDEN}\r\nabc\r\n0\r\n\r\n"),
            400,
        ),
        (
            "extensions without end",
            "1;aaaaaaaaaaaaaaaa\r\nx\r\n".repeat(2000),
            400,
        ),
        (
            "a trailer without end",
            format!("0\r\nX: {many}\r\n\r\n"),
            400,
        ),
        (
            "trailers without end",
            format!("0\r\n{}\r\n", "X: y\r\n".repeat(5000)),
            400,
        ),
        (
            "a size beyond the limit",
            format!("7fffffffffffffff\r\n{endless}"),
            413,
        ),
    ] {
        let mut connection = gateway.connect().await;
        // What is refused in the midst of it is not read to its end.
        let _ = connection
            .write_all(
                format!("{}{body}{HIDDEN}", head("Transfer-Encoding: chunked\r\n")).as_bytes(),
            )
            .await;
        let statuses = statuses(&read(connection).await);
        assert!(
            statuses.is_empty() || statuses == [status],
            "{what}: {statuses:?}"
        );
    }
    // A body that ends without its last chunk, or in the midst of one.
    for body in ["3\r\nabc\r\n", "3\r\nab", "3", "0\r\n", "0\r\nX: y\r\n"] {
        let mut connection = gateway.connect().await;
        connection
            .write_all(format!("{}{body}", head("Transfer-Encoding: chunked\r\n")).as_bytes())
            .await
            .unwrap();
        connection.shutdown().await.unwrap();
        let statuses = statuses(&read(connection).await);
        assert!(
            statuses.is_empty() || statuses == [400],
            "{body:?}: {statuses:?}"
        );
    }
    assert_eq!(hidden(&gateway).await, 0.0);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn connections_without_a_request_hold_up_no_stop() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .gateway("shutdown_grace = \"1h\"")
        .start()
        .await;
    let mut open = Vec::new();
    for silent in [
        "POST /in/twilio HTT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
    ] {
        let mut connection = gateway.connect().await;
        connection.write_all(silent.as_bytes()).await.unwrap();
        open.push(connection);
    }
    // The gateway has introduced itself, and hears nothing any more.
    open[1].read_exact(&mut [0; 9]).await.unwrap();
    let ended = gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn body_in_one_byte_pieces_costs_no_more_than_another() {
    let (itoc360, _place, gateway) = start().await;
    let body = twilio::signed(
        "twilio",
        twilio::AUTH_TOKEN,
        format!("Sid=NO1&Payload={}", "x".repeat(200 * 1024)),
    );
    let pieces: String = body
        .body
        .iter()
        .map(|byte| format!("1\r\n{}\r\n", char::from(*byte)))
        .collect();
    let before = gateway.memory_kib(true);
    let request = body
        .clone()
        .body(format!("{pieces}0\r\n\r\n"))
        .wire("Transfer-Encoding: chunked\r\n");
    assert_eq!(statuses(&gateway.raw(&request).await), [200]);
    // Kept as they came, the pieces would hold some 10 MiB; the plugin's own memory is the larger
    // part of this.
    let grown = gateway.memory_kib(true) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn a_head_without_end_is_431_or_cut_off() {
    let (itoc360, _place, gateway) = start().await;
    let endless = "a".repeat(1024 * 1024);
    for (what, start) in [
        ("a target", "POST /in/twilio?".to_owned()),
        ("a method", String::new()),
        ("a header's name", head("").trim_end().to_owned() + "\r\n"),
        (
            "a header's value",
            head("").trim_end().to_owned() + "\r\nX: ",
        ),
    ] {
        let mut connection = gateway.connect().await;
        let _ = connection
            .write_all(format!("{start}{endless}").as_bytes())
            .await;
        let statuses = statuses(&read(connection).await);
        assert!(
            statuses.is_empty() || statuses == [431] || statuses == [400],
            "{what}: {statuses:?}"
        );
    }
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn steady_byte_by_byte_body_is_cut_off() {
    let (itoc360, _place, gateway) = start().await;
    let mut connection = gateway.connect().await;
    connection
        .write_all(head("Content-Length: 200000\r\n").as_bytes())
        .await
        .unwrap();
    let (mut answers, mut body) = connection.split();
    // At this pace it would be whole after half an hour.
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut said = Vec::new();
    let writing = async {
        while body.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    let reading = timeout(PATIENCE, answers.read_to_end(&mut said));
    // A connection that is reset has brought what it has brought.
    let _ = tokio::join!(reading, writing)
        .0
        .expect("the connection is never closed");
    assert_eq!(statuses(&String::from_utf8_lossy(&said)), [408]);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn a_sender_that_asks_and_never_reads_is_not_read_either() {
    let (itoc360, _place, gateway) = start().await;
    let before = gateway.memory_kib(false);
    let requests = "GET /in/twilio HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let mut connection = gateway.connect().await;
    // Until both directions are full: the gateway writes no more, and so reads no more.
    let sent = fill(&gateway, &mut connection, requests.as_bytes()).await;
    let grown = gateway.memory_kib(false).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB after {sent} bytes");
    works(&itoc360, &gateway, 1).await;
}

/// Writes the same bytes until the gateway reads no more, while it answers others. Returns their
/// number.
pub async fn fill(gateway: &Gateway, connection: &mut TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    let mut refused = 0;
    while refused < 20 {
        match connection.try_write(bytes) {
            Ok(written) => (sent, refused) = (sent + written, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => refused += 1,
            Err(error) => panic!("{error}, after {sent} bytes"),
        }
        if refused > 0 {
            assert_eq!(gateway.admin(Method::GET, "/healthz").await.status, 200);
        }
        assert!(sent < 1 << 30, "it reads without end");
    }
    sent
}

#[tokio::test]
async fn a_sender_that_is_refused_while_it_still_writes_hears_why() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "plugin = \"twilio-errors\"\nsettings.auth_token = { env = \"TWILIO_AUTH_TOKEN\" }\ntoken = \"canary\"";
    let (_place, gateway) = Setup::new(&itoc360).source("closed", lines).start().await;
    let body = "x".repeat(200 * 1024);
    let mut next = Vec::new();
    for _ in 0..5 {
        let mut connection = gateway.connect().await;
        connection
            .write_all(head_of_closed(body.len(), "").as_bytes())
            .await
            .unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        // The same connection takes the rest of it, and another request. On a busy machine the rest
        // may come too late.
        let _ = connection.write_all(body.as_bytes()).await;
        let _ = connection
            .write_all(b"GET /in/closed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        next = statuses(&read(connection).await);
        if !next.is_empty() {
            break;
        }
    }
    assert_eq!(next, [405]);
    // One that asks first is not told to go on.
    let head = head_of_closed(body.len(), "Expect: 100-continue\r\n");
    let mut connection = gateway.connect().await;
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    assert_eq!(statuses(&read(connection).await), [401]);
}

fn head_of_closed(length: usize, more: &str) -> String {
    format!("POST /in/closed HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\r\n")
}
