//! A source that sends calmly, alone and while people look at pages:
//! `cargo bench --bench load -- viewers`.
//!
//! Each viewer does what the script of a page does: it waits for an event of `/live`, and fetches
//! its page again, at most every 2 seconds. There is one page for each of six, as where people look
//! at different things.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::child::Child;
use super::{ANY_PORT, CALM, MEMORY, SERVE, double, requests, wrk};

/// The viewers at once.
const VIEWERS: usize = 100;
/// The pause of each calm connection between two requests.
const PAUSE_MS: u64 = 20;
/// The least time between two looks of a viewer.
const LOOK: Duration = Duration::from_secs(2);
/// The pages.
const PAGES: [&str; 6] = [
    "/",
    "/events",
    "/sources",
    "/destinations",
    "/dead-letters",
    "/mutes",
];

/// Measures both.
pub async fn measure(folder: &Path, seconds: u64) {
    let calm = requests::write_paced(folder, requests::SOURCES[1], seconds, PAUSE_MS);
    let double = double(ANY_PORT).await;
    let mut alone_ms = None;
    for viewers in [0, VIEWERS] {
        let config =
            requests::configuration(&folder.join(viewers.to_string()), &double.url(), MEMORY);
        let admin = requests::admit(&config).await;
        Child::start(&[SERVE, &config.to_string_lossy(), "sync"]).stop();
        let gateway = Child::start(&[SERVE, &config.to_string_lossy(), "sync"]);
        let looks = Arc::new(AtomicU64::new(0));
        let viewing: Vec<_> = (0..viewers)
            .map(|number| {
                let page = PAGES[number % PAGES.len()];
                tokio::spawn(view(admin, page, Arc::clone(&looks)))
            })
            .collect();
        let url = format!("http://{}", gateway.address);
        let before = gateway.cpu();
        let calm = wrk::run(&url, &calm, CALM, seconds).await;
        viewing.iter().for_each(tokio::task::JoinHandle::abort);
        println!(
            "calm source beside {viewers:>3} viewers: {:.0} accepted/s, {} refused, p50 {:.2} ms, p99 {:.2} ms, {:.2} of alone; {:.0} pages/s, {:.2} of a processor, {} MB",
            calm.per_second(),
            calm.requests - calm.accepted,
            calm.p50_ms,
            calm.p99_ms,
            calm.p99_ms / *alone_ms.get_or_insert(calm.p99_ms),
            looks.load(Ordering::Relaxed) as f64 / calm.seconds,
            (gateway.cpu() - before).as_secs_f64() / calm.seconds,
            gateway.rss_kib() / 1024,
        );
        gateway.stop();
    }
}

/// Looks at a page whenever something has changed.
async fn view(admin: SocketAddr, page: &'static str, looks: Arc<AtomicU64>) {
    loop {
        let mut live = BufReader::new(ask(admin, "/live", "text/event-stream").await);
        let mut line = String::new();
        while live.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
            if line.contains("event: changed") {
                let next = Instant::now() + LOOK;
                self::page(admin, page).await;
                looks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep_until(next).await;
            }
            line.clear();
        }
    }
}

/// Fetches a page: its head and its text.
pub async fn page(admin: SocketAddr, path: &str) -> String {
    let mut text = String::new();
    let mut answer = ask(admin, path, "text/html").await;
    answer.read_to_string(&mut text).await.expect("a page");
    assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
    text
}

async fn ask(admin: SocketAddr, path: &str, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(admin).await.expect("the admin listener");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {admin}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a question");
    stream
}
