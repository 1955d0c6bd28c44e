//! Connections that are idle, silent or odd, over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio_util::sync::CancellationToken;

use super::*;

/// A listener that answers "ok" to every request without a body, and takes bodies of ten bytes.
async fn listening() -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ok = async |request: Request<Incoming>, _| match read_body(
        request.into_body(),
        10,
        Duration::from_secs(30),
        |_| Ok::<_, BodyError>(()),
    )
    .await
    {
        Ok(_) => answer(StatusCode::OK, "text/plain", "ok"),
        Err(_) => answer(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too large"),
    };
    tokio::spawn(serve(listener, 8, stop.clone(), Duration::ZERO, ok));
    (address, stop)
}

async fn said(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read =
        tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut answer)).await;
    read.expect("the connection is never closed").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_that_never_asks_for_anything_is_closed() {
    let (address, _stop) = listening().await;
    for silent in [
        "",
        "PRI * HTTP/2.0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HT",
        "\r\n\r\n",
    ] {
        let answer = said(address, silent.as_bytes()).await;
        assert!(!answer.contains("200"), "{silent:?}: {answer}");
    }
}

#[tokio::test]
async fn head_that_comes_byte_by_byte_is_cut_off() {
    let (address, _stop) = listening().await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        .await
        .unwrap();
    let (mut answers, mut head) = connection.split();
    // At this pace it would be too large after minutes.
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let mut said = Vec::new();
    let writing = async {
        while head.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    let reading = tokio::time::timeout(Duration::from_secs(30), answers.read_to_end(&mut said));
    // A connection that is reset has brought what it has brought.
    let _ = tokio::join!(reading, writing)
        .0
        .expect("the connection is never closed");
    assert!(!String::from_utf8_lossy(&said).contains("200"), "{said:?}");
}

#[tokio::test]
async fn a_connection_that_asks_is_answered_until_it_is_idle() {
    let (address, _stop) = listening().await;
    let twice = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    assert_eq!(
        said(address, twice.as_bytes())
            .await
            .matches("200 OK")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_sender_whose_body_is_refused_while_it_is_read_hears_why() {
    let (address, _stop) = listening().await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(64 * 1024));
    let body = chunk.repeat(8) + "0\r\n\r\n";
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let answer = said(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
