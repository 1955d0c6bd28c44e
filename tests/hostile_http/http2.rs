//! HTTP/2, frame by frame.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{fill, start, works};
use crate::harness::{Gateway, Itoc360, PATIENCE, Setup, plugin};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Kinds, flags and errors, as RFC 9113 numbers them.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The setting of how much may be sent on a stream before it is asked for.
const INITIAL_WINDOW: [u8; 2] = [0, 4];

/// A frame that came.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A text as HPACK has it, without Huffman's code.
fn text(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => bytes.push(length),
        _ => {
            // A prefix of seven bits that is full, and the rest in groups of seven, the last
            // without its top bit.
            let mut rest = text.len() - 127;
            bytes.push(127);
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    [bytes, text.to_vec()].concat()
}

/// `POST <path>`, as HPACK has it: three fields of the static table, and a value for the name of
/// its fourth.
fn post(path: &str) -> Vec<u8> {
    [
        &[0x83, 0x86, 0x01][..],
        &text(b"gw.example.com"),
        &[0x04],
        &text(path.as_bytes()),
    ]
    .concat()
}

/// The number of the client's `index`th stream.
fn stream(index: u32) -> u32 {
    2 * index + 1
}

async fn connect(gateway: &Gateway, settings: &[u8]) -> TcpStream {
    let mut connection = gateway.connect().await;
    connection
        .write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat())
        .await
        .unwrap();
    connection
}

/// The next frame; none where the connection is closed.
async fn next(connection: &mut TcpStream) -> Option<Frame> {
    let read = async {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        connection.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    };
    timeout(PATIENCE, read)
        .await
        .expect("nothing comes, and the connection is not closed")
}

/// Says these bytes, and gives the error with which the gateway closes the connection.
async fn goodbye(gateway: &Gateway, bytes: &[u8]) -> u32 {
    let mut connection = connect(gateway, &[]).await;
    // It may be closed before it has read all of this.
    let _ = connection.write_all(bytes).await;
    let mut error = None;
    while let Some(frame) = next(&mut connection).await {
        if frame.kind == GOAWAY {
            error = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
        }
    }
    error.expect("it is closed without a word")
}

/// The first frame of this kind.
async fn first(connection: &mut TcpStream, kind: u8) -> Frame {
    loop {
        let frame = next(connection).await.expect("the connection is closed");
        if frame.kind == kind {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_request_over_http2_is_answered() {
    let (_itoc360, _place, gateway) = start().await;
    let mut connection = connect(&gateway, &[]).await;
    connection
        .write_all(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &post("/in/twilio"),
        ))
        .await
        .unwrap();
    let answer = first(&mut connection, DATA).await;
    assert!(
        String::from_utf8_lossy(&answer.payload).contains("\"status\":401"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    let (itoc360, _place, gateway) = start().await;
    let rush: Vec<u8> = (0..2000)
        .flat_map(|index| {
            let open = frame(HEADERS, END_HEADERS, stream(index), &post("/in/twilio"));
            [
                open,
                frame(RST_STREAM, 0, stream(index), &8_u32.to_be_bytes()),
            ]
            .concat()
        })
        .collect();
    assert_eq!(goodbye(&gateway, &rush).await, ENHANCE_YOUR_CALM);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn a_head_that_goes_on_without_end_ends_the_connection() {
    let (itoc360, _place, gateway) = start().await;
    let more = frame(
        CONTINUATION,
        0,
        1,
        &[&[0x00][..], &text(b"x"), &text(b"y")].concat(),
    )
    .repeat(10_000);
    let start = frame(HEADERS, END_STREAM, 1, &post("/in/twilio"));
    assert_eq!(
        goodbye(&gateway, &[start, more].concat()).await,
        ENHANCE_YOUR_CALM
    );
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn hpack_bomb_is_431_or_ends_the_connection() {
    let (itoc360, _place, gateway) = start().await;
    // A field of 3 KiB that goes to the dynamic table, and a byte for each time that it is meant
    // again.
    let large = [&[0x40][..], &text(b"x"), &text(&[b'y'; 3000])].concat();
    let bomb = |times: usize| {
        let head = [post("/in/twilio"), large.clone(), vec![0x80 | 62; times]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)
    };
    let mut connection = connect(&gateway, &[]).await;
    connection.write_all(&bomb(8)).await.unwrap();
    let answer = first(&mut connection, HEADERS).await;
    // `:status` by its number in the static table, and "431" in Huffman's code.
    assert!(
        answer
            .payload
            .windows(5)
            .any(|bytes| bytes == [0x48, 0x83, 0x69, 0x90, 0xff]),
        "{answer:x?}"
    );
    assert_eq!(goodbye(&gateway, &bomb(10_000)).await, ENHANCE_YOUR_CALM);
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn more_streams_than_a_connection_may_have_are_refused() {
    let (itoc360, _place, gateway) = start().await;
    let mut connection = connect(&gateway, &[]).await;
    // Each announces a body that does not come.
    let open: Vec<u8> = (0..40)
        .flat_map(|index| frame(HEADERS, END_HEADERS, stream(index), &post("/in/twilio")))
        .collect();
    connection.write_all(&open).await.unwrap();
    let mut refused = Vec::new();
    while refused.len() < 8 {
        let reset = first(&mut connection, RST_STREAM).await;
        assert_eq!(
            u32::from_be_bytes(reset.payload[..].try_into().unwrap()),
            REFUSED_STREAM
        );
        refused.push(reset.stream);
    }
    assert_eq!(refused, (32..40).map(stream).collect::<Vec<_>>());
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn data_of_nothing_without_end_ends_the_connection() {
    let (itoc360, _place, gateway) = start().await;
    let open = frame(HEADERS, END_HEADERS, 1, &post("/in/twilio"));
    let nothing = frame(DATA, 0, 1, &[]).repeat(10_000);
    assert_eq!(
        goodbye(&gateway, &[open, nothing].concat()).await,
        ENHANCE_YOUR_CALM
    );
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn pings_of_a_sender_that_never_reads_are_not_read() {
    let (itoc360, _place, gateway) = start().await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let before = gateway.memory_kib(false);
        let mut connection = connect(&gateway, &[]).await;
        let sent = fill(&gateway, &mut connection, &flood.repeat(1000)).await;
        let grown = gateway.memory_kib(false).saturating_sub(before);
        assert!(grown < 16 * 1024, "{grown} KiB after {sent} bytes");
    }
    works(&itoc360, &gateway, 1).await;
}

#[tokio::test]
async fn answers_without_a_window_delay_no_other_sender() {
    let (itoc360, _place, gateway) = start().await;
    let mut connection = connect(
        &gateway,
        &[&INITIAL_WINDOW[..], &0_u32.to_be_bytes()].concat(),
    )
    .await;
    let ask: Vec<u8> = (0..32)
        .flat_map(|index| {
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream(index),
                &post("/in/twilio"),
            )
        })
        .collect();
    connection.write_all(&ask).await.unwrap();
    let answered = "alert_gateway_requests_total{source=\"twilio\",outcome=\"unauthenticated\"}";
    gateway.metric(answered, |count| count == 32.0).await;
    works(&itoc360, &gateway, 1).await;
    connection
        .write_all(&frame(WINDOW_UPDATE, 0, 1, &1000_u32.to_be_bytes()))
        .await
        .unwrap();
    let answer = first(&mut connection, DATA).await;
    assert_eq!(answer.stream, 1, "only this one has a window");
    // And it still answers a ping.
    connection
        .write_all(&frame(PING, 0, 0, &[7; 8]))
        .await
        .unwrap();
    let pong = first(&mut connection, PING).await;
    assert_eq!((pong.flags, pong.payload), (ACK, vec![7; 8]));
}

#[tokio::test]
async fn replies_without_a_window_stay_within_the_sources_share() {
    let itoc360 = Itoc360::alertmanager().await;
    // 4 MiB for requests, of which a source gets half.
    let setup =
        Setup::new(&itoc360)
            .gateway("memory = \"24MiB\"")
            .plugin("parrot", &plugin::parrot(), "");
    let (_place, gateway) = setup.start().await;
    let body = json!({ "text": "x".repeat(28 * 1024) });
    let reply = json!({ "reply": { "status": 200, "headers": [], "body": body } }).to_string();
    let mut connection = connect(
        &gateway,
        &[&INITIAL_WINDOW[..], &0_u32.to_be_bytes()].concat(),
    )
    .await;
    let mut replies = 0;
    loop {
        let (stream, (first_part, last_part)) =
            (stream(replies), reply.as_bytes().split_at(16 * 1024));
        let open = frame(HEADERS, END_HEADERS, stream, &post("/in/parrot"));
        let body = [
            frame(DATA, 0, stream, first_part),
            frame(DATA, END_STREAM, stream, last_part),
        ]
        .concat();
        connection.write_all(&[open, body].concat()).await.unwrap();
        let answer = first(&mut connection, HEADERS).await;
        assert_eq!(answer.stream, stream);
        // `:status 200` by its number in the static table.
        if answer.payload[0] != 0x88 {
            break;
        }
        replies += 1;
    }
    // Each is charged 32 KiB, and twice the buffer of as much that its body was read into.
    assert_eq!(replies, 2048 / 96);
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection() {
    let (itoc360, _place, gateway) = start().await;
    for (what, bytes) in [
        (
            "a frame larger than agreed",
            [&[0xff, 0xff, 0xff, DATA, 0][..], &1_u32.to_be_bytes()].concat(),
        ),
        (
            "data of a stream that is not there",
            frame(DATA, 0, 1, b"x"),
        ),
        (
            "a head of a stream that only the gateway may open",
            frame(HEADERS, END_HEADERS, 2, &post("/")),
        ),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
        ),
        (
            "HPACK that names what is not there",
            frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0x0f]),
        ),
        (
            "a window beyond all measure",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
        ),
        ("a ping of a wrong length", frame(PING, 0, 0, &[0; 7])),
    ] {
        assert_ne!(goodbye(&gateway, &bytes).await, 0, "{what}");
    }
    works(&itoc360, &gateway, 1).await;
}
