//! Overload: accepted requests are stored, others are refused early with `Retry-After`. One
//! source's flood does not reach another source, and memory stays within the budget.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hyper::Method;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Answer, Gateway, Itoc360, Post, Setup, plugin, read, twilio};

/// Little memory: 128 connections, and 4 MiB for requests.
const LITTLE: &str = "memory = \"24MiB\"";
const LITTLE_KIB: u64 = 24 * 1024;

/// An event with a long payload.
fn large(number: usize) -> twilio::Event {
    twilio::error(&twilio::sid(number)).with("Payload", &"x".repeat(60 * 1024))
}

fn requests(source: &str, outcome: &str) -> String {
    format!("alert_gateway_requests_total{{source=\"{source}\",outcome=\"{outcome}\"}}")
}

/// Asserts that a request is refused by the budget or the rate limit, with `Retry-After`.
#[track_caller]
fn is_refused(answer: &Answer, status: u16) -> u64 {
    answer.is_problem(status);
    answer.header("retry-after").parse().unwrap()
}

/// Opens a request that is admitted and waits for the rest of its body.
async fn hold(gateway: &Gateway, source: &str, length: usize) -> TcpStream {
    let mut connection = gateway.connect().await;
    let head = format!(
        "POST /in/{source} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(&mut connection)
        .read_line(&mut line)
        .await
        .unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_on_one_source_loses_nothing_and_reaches_no_other() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .twilio("calm")
        .gateway(LITTLE)
        .start()
        .await;
    gateway.accept(&large(0).to("twilio")).await;
    let idle = gateway.memory_kib(false);

    let enough = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for flooder in 0..64 {
        let sender = gateway.sender();
        let enough = Arc::clone(&enough);
        let refused = Arc::clone(&refused);
        flood.spawn(async move {
            let mut accepted = Vec::new();
            for number in 0.. {
                let number = 1_000_000 + flooder * 10_000 + number;
                let post = large(number).to("twilio");
                // Again and again, as a sender does that means it.
                loop {
                    // On a busy machine the rest of a refused body may come too late to be read,
                    // and takes the answer with it.
                    let Ok(answer) = sender.post(&post).await else {
                        continue;
                    };
                    if answer.status == 200 {
                        accepted.push(number);
                        break;
                    }
                    assert!(is_refused(&answer, 429) >= 1);
                    refused.fetch_add(1, Ordering::Relaxed);
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                }
                if enough.load(Ordering::Relaxed) {
                    break;
                }
            }
            accepted
        });
    }
    // While there is more than can be taken, the other source is always taken, and the operator's
    // pages answer.
    let mut calm = 0;
    while calm < 20 || refused.load(Ordering::Relaxed) < 200 {
        calm += 1;
        gateway
            .accept(&twilio::error(&twilio::sid(calm)).to("calm"))
            .await;
        for page in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(gateway.admin(Method::GET, page).await.status, 200, "{page}");
        }
    }
    enough.store(true, Ordering::Relaxed);
    let accepted: BTreeSet<usize> = flood.join_all().await.into_iter().flatten().collect();

    println!(
        "{} accepted and {refused:?} refused of the flood, {calm} of the calm source",
        accepted.len()
    );
    let count = 1 + accepted.len() + calm;
    itoc360.opens_only(count).await;
    gateway
        .metric("alert_gateway_alerts{state=\"delivered\"}", |delivered| {
            delivered == count as f64
        })
        .await;
    let metrics = gateway.metrics().await;
    assert_eq!(
        metrics[&requests("twilio", "accepted")],
        1.0 + accepted.len() as f64
    );
    assert!(metrics[&requests("twilio", "over_share")] >= refused.load(Ordering::Relaxed) as f64);
    assert_eq!(metrics[&requests("calm", "accepted")], calm as f64);
    assert_eq!(place.list(&["--state", "delivered"]).await.len(), count);
    let peak = gateway.memory_kib(true);
    println!("{idle} KiB idle, {peak} KiB at the most");
    assert!(
        peak < 2 * idle + LITTLE_KIB,
        "{idle} KiB idle, {peak} KiB at the most"
    );
}

#[tokio::test]
async fn source_gets_half_of_the_free_budget_and_returns_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360)
        .twilio("second")
        .twilio("third")
        .twilio("fourth")
        .gateway(LITTLE);
    let (_place, gateway) = setup.start().await;
    // Each of these is charged 232,768 bytes of 4 MiB: ten are a little more than half.
    let mut held = Vec::new();
    for (source, requests) in [("twilio", 10), ("second", 5), ("third", 2)] {
        for _ in 0..requests {
            held.push(hold(&gateway, source, 100_000).await);
        }
        for length in [0, 240 * 1024] {
            let refused = gateway
                .post(&twilio::unsigned(
                    format!("/in/{source}"),
                    vec![b'x'; length],
                ))
                .await;
            assert_eq!(is_refused(&refused, 429), 1, "{source}");
            assert!(
                refused.json()["detail"]
                    .as_str()
                    .unwrap()
                    .contains("of this source"),
                "{}",
                refused.body
            );
        }
    }
    // 237,248 bytes are left, for whoever holds nothing: too little for a large request. One that
    // does not say its length gets as much as any source would, and not the rest.
    let large = twilio::unsigned("/in/fourth", vec![b'x'; 110_000]);
    let refused = gateway.post(&large).await;
    assert_eq!(is_refused(&refused, 503), 1);
    let chunks = [b"11170\r\n", &[b'x'; 70_000][..], b"\r\n0\r\n\r\n"].concat();
    let refused = gateway
        .raw(
            &large
                .clone()
                .body(chunks)
                .wire("Transfer-Encoding: chunked\r\n"),
        )
        .await;
    assert!(
        refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 1\r\n"),
        "{refused}"
    );
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("fourth"))
        .await;
    drop(held);
    for (source, requested) in [("twilio", 10.0), ("second", 5.0), ("third", 2.0)] {
        gateway
            .metric(&requests(source, "broken"), |count| count == requested)
            .await;
        gateway
            .accept(&twilio::error(&twilio::sid(1)).to(source))
            .await;
    }
    gateway.post(&large).await.is_problem(401);
    let metrics = gateway.metrics().await;
    assert_eq!(
        (
            metrics[&requests("third", "over_share")],
            metrics[&requests("fourth", "overloaded")]
        ),
        (2.0, 1.0)
    );
    itoc360.opens_only(4).await;
}

#[tokio::test]
async fn thousands_of_idle_connections_keep_no_sender_out() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).gateway(LITTLE).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(0)).to("twilio"))
        .await;
    // In every way to be idle: silent, in the midst of a head, after an answer, and in HTTP/2.
    let ways = [
        "",
        "POST /in/twilio HTT",
        "GET /in/twilio HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
    ];
    let mut idle = VecDeque::new();
    for number in 0..2000 {
        let mut connection = gateway.connect().await;
        // The oldest ones were sent away already, and may be closed before this is written.
        let _ = connection
            .write_all(ways[number % ways.len()].as_bytes())
            .await;
        idle.push_back(connection);
        // The gateway has closed its end of more than these long ago, and this process may open no
        // more than so many.
        if idle.len() > 500 {
            idle.pop_front();
        }
        if number % 100 == 99 {
            let fresh = gateway.connect().await;
            let body = twilio::error(&twilio::sid(number)).to("twilio");
            let answer = said(fresh, &body).await;
            assert!(
                answer.starts_with("HTTP/1.1 200"),
                "after {number}: {answer}"
            );
        }
    }
    // The oldest are gone, and the newest are not.
    assert_eq!(read(idle.pop_front().unwrap()).await, "");
    let _http2 = idle.pop_back();
    let newest = said(
        idle.pop_back().unwrap(),
        &twilio::unsigned("/in/twilio", "a=b"),
    )
    .await;
    assert!(
        newest.contains("HTTP/1.1 405") && newest.contains("HTTP/1.1 401"),
        "{newest}"
    );
    itoc360.opens_only(21).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_senders_are_answered_beside_busy_pooled_connections() {
    const ASK: &[u8] = b"GET /in/twilio HTTP/1.1\r\nHost: a\r\n\r\n";
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).gateway(LITTLE).start().await;
    let address = gateway.address;
    // As many as there are places.
    let enough = Arc::new(AtomicBool::new(false));
    let mut pooled = JoinSet::new();
    for _ in 0..128 {
        let enough = Arc::clone(&enough);
        pooled.spawn(async move {
            let mut asked = 0;
            let mut answered_first = 0;
            while !enough.load(Ordering::Relaxed) {
                let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
                asked += 1;
                let mut answered = 0;
                // Between two requests it may be sent away, as every pooled connection may be at
                // any time.
                while !enough.load(Ordering::Relaxed) || answered == 0 {
                    if connection.write_all(ASK).await.is_err()
                        || !is_answered(&mut connection).await
                    {
                        break;
                    }
                    answered += 1;
                }
                answered_first += usize::from(answered > 0);
            }
            (asked, answered_first)
        });
    }
    let mut new = JoinSet::new();
    for _ in 0..150 {
        new.spawn(async move {
            let connection = TcpStream::connect(address).await.unwrap();
            said(connection, &twilio::unsigned("/in/twilio", "a=b")).await
        });
    }
    let mut unanswered = new.join_all().await;
    unanswered.retain(|answer| !answer.starts_with("HTTP/1.1 401"));
    enough.store(true, Ordering::Relaxed);
    assert!(
        unanswered.is_empty(),
        "{} of 150 were not answered: {unanswered:?}",
        unanswered.len()
    );
    let (asked, answered): (Vec<_>, Vec<_>) = pooled.join_all().await.into_iter().unzip();
    let count = |counts: Vec<usize>| counts.into_iter().sum::<usize>();
    assert_eq!(
        count(asked),
        count(answered),
        "a pooled one comes back as a new sender"
    );
}

/// Returns whether a whole answer comes over this connection, and leaves it open.
async fn is_answered(connection: &mut BufReader<TcpStream>) -> bool {
    let mut line = String::new();
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        if !matches!(connection.read_line(&mut line).await, Ok(1..)) {
            return false;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).await.is_ok()
}

/// Sends a request over this connection and returns the answer.
async fn said(mut connection: TcpStream, post: &Post) -> String {
    let more = format!(
        "Content-Length: {}\r\nConnection: close\r\n",
        post.body.len()
    );
    let _ = connection.write_all(&post.wire(&more)).await;
    read(connection).await
}

#[tokio::test]
async fn sender_with_a_slow_body_is_not_evicted_for_another() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).gateway(LITTLE).start().await;
    let body = twilio::error(&twilio::sid(1)).body();
    let signature = twilio::signature(
        &format!("{}/in/twilio", twilio::PUBLIC_URL),
        twilio::AUTH_TOKEN,
        body.as_bytes(),
    );
    let head = format!(
        "POST /in/twilio HTTP/1.1\r\nHost: a\r\nX-Twilio-Signature: {signature}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut slow = gateway.connect().await;
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(&mut slow)
        .read_line(&mut line)
        .await
        .unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(gateway.connect().await);
    }
    slow.write_all(body.as_bytes()).await.unwrap();
    assert!(read(slow).await.contains("\"accepted\":1"));
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn a_rate_is_kept_per_source_and_says_when_to_come_back() {
    let itoc360 = Itoc360::alertmanager().await;
    let rated = |rate: &str| {
        format!(
            "plugin = \"twilio-errors\"\nsettings.auth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\nlimits.rate = \"{rate}\""
        )
    };
    let setup = Setup::new(&itoc360)
        .source("rated", &rated("2/h"))
        .source("unrated", &rated("off"));
    let (_place, mut gateway) = setup.start().await;
    for number in 0..2 {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("rated"))
            .await;
    }
    let wait = is_refused(
        &gateway
            .post(&twilio::error(&twilio::sid(2)).to("rated"))
            .await,
        429,
    );
    assert!((1..=1800).contains(&wait), "{wait} s");
    // What is not let in for another reason is told that reason.
    gateway
        .post(&twilio::unsigned("/in/rated", vec![b'x'; 300 * 1024]))
        .await
        .is_problem(413);
    for number in 10..20 {
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("unrated"))
            .await;
        gateway
            .accept(&twilio::error(&twilio::sid(number)).to("twilio"))
            .await;
    }
    assert_eq!(
        gateway.metrics().await[&requests("rated", "rate_limited")],
        1.0
    );
    let told = |line: &serde_json::Value| {
        let help = line["help"].as_str()?;
        (line["source"] == "rated" && help.contains("higher rate in [sources.rated.limits]"))
            .then_some(())
    };
    gateway.log("that the rate is used up", told).await;
    itoc360.opens_only(22).await;
}

#[tokio::test]
async fn strangers_without_the_token_use_up_no_rate() {
    let itoc360 = Itoc360::alertmanager().await;
    let lines = "token = \"canary-token\"\nlimits.rate = \"2/h\"";
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot_of_strangers(), lines)
        .start()
        .await;
    let post = |event_id: &str| plugin::alerts("parrot", &[plugin::alert(event_id)]);
    for _ in 0..20 {
        gateway.post(&post("0")).await.is_problem(401);
        gateway
            .post(&post("0").header("Authorization", "Bearer x"))
            .await
            .is_problem(403);
    }
    let genuine = |event_id: &str| post(event_id).header("Authorization", "Bearer canary-token");
    gateway.accept(&genuine("1")).await;
    gateway.accept(&genuine("2")).await;
    is_refused(&gateway.post(&genuine("3")).await, 429);
    itoc360.opens_only(2).await;
}

#[tokio::test]
async fn a_flood_of_refused_requests_is_one_line_of_each_kind() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    for _ in 0..50 {
        gateway
            .post(&twilio::unsigned("/in/twilio", "a=b"))
            .await
            .is_problem(401);
        gateway
            .post(&twilio::error(&twilio::sid(1)).signed("twilio", "wrong"))
            .await
            .is_problem(403);
        gateway
            .post(&twilio::unsigned("/in/twilio", vec![b'x'; 256 * 1024 + 1]))
            .await
            .is_problem(413);
    }
    let metrics = gateway.metrics().await;
    for outcome in ["unauthenticated", "forbidden", "too_large"] {
        assert_eq!(metrics[&requests("twilio", outcome)], 50.0, "{outcome}");
    }
    let logged = gateway.stop().await.stderr;
    let about = |words: &str| logged.lines().filter(|line| line.contains(words)).count();
    assert_eq!(about("\"message\":\"rejected\""), 2, "{logged}");
    assert_eq!(about("its body is too large"), 1, "{logged}");
    let line = logged
        .lines()
        .find(|line| line.contains("its body is too large"))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["source"], &line["limit"]),
        (&"twilio".into(), &(256 * 1024).into())
    );
    assert!(
        line["help"]
            .as_str()
            .unwrap()
            .ends_with("write body = \"512KiB\" or more in [sources.twilio.limits]")
    );
}
