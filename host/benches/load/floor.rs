//! The floor: the gateway's job as one straight program.
//!
//! Hyper takes the request, native code proves the signature and makes the alert, one thread writes
//! one row for each event into SQLite with the same group commit, and hyper's client hands the alert
//! to ITOC360, whose receipt is written into that row. The body is written as the gateway writes it.
//! There is no sandbox, no duplicate is known again, nothing is retried, bounded or shown, and an
//! alert that was not delivered when the program ends is never delivered.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alert_gateway::alert::Alert;
use alert_gateway::clock::{rfc3339, wall_ms};
use alert_gateway::config::{CONCURRENCY, Format};
use alert_gateway::destinations::itoc360::format;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use plugin_sdk::Plugin;
use plugin_sdk::contract::{self, Answer, Body};
use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use twilio_errors::TwilioErrors;

use super::TOKEN;
use super::requests::AUTH_TOKEN;

/// The commands that share a commit at the most, and those that may wait, as in the gateway's store.
const GROUP: usize = 512;
const QUEUE: usize = 4096;

/// A row to write, or the receipt of one.
enum Write {
    Event {
        alert: Box<Alert>,
        body: Bytes,
        json: String,
        reply: oneshot::Sender<()>,
    },
    Receipt {
        row: i64,
        receipt: Bytes,
    },
}

struct Shared {
    url: String,
    settings: Box<RawValue>,
    writes: mpsc::Sender<Write>,
}

/// Serves until it is killed, with its file in `folder`, and delivers to `itoc360`.
pub fn serve(folder: &Path, itoc360: &str) {
    let file = folder.join("floor.db");
    let itoc360 = itoc360.to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let (writes, queue) = mpsc::channel(QUEUE);
        let (stored, due) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write(&file, queue, &stored))
            .expect("a thread");
        deliver(itoc360, due, &writes);
        let settings = format!(r#"{{"auth_token":"{AUTH_TOKEN}"}}"#);
        let shared = Arc::new(Shared {
            url: "https://alerts.example.com".to_owned(),
            settings: serde_json::from_str(&settings).expect("JSON"),
            writes,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.set_nodelay(true);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(answer(&shared, request).await) }
                });
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let received_at = rfc3339(wall_ms());
    let request = contract::Request {
        source: "twilio".to_owned(),
        received_at: received_at.clone(),
        method: head.method.to_string(),
        url: format!("{}{}", shared.url, head.uri),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().unwrap_or_default();
                (name.to_string(), value.to_owned())
            })
            .collect(),
        body: Body::from_bytes(body.to_vec()),
        content: None,
        proved: None,
        settings: shared.settings.clone(),
    };
    let settings = serde_json::from_str(shared.settings.get()).expect("the settings");
    let Answer::Alerts(alerts) = TwilioErrors::read(&request, settings) else {
        return respond(StatusCode::FORBIDDEN, "{}");
    };
    for event in alerts {
        let json = serde_json::to_string(&event).expect("JSON");
        let alert = Box::new(Alert {
            source: "twilio".to_owned(),
            request: uuid::Uuid::now_v7().to_string(),
            received_at: received_at.clone(),
            event,
        });
        let (reply, stored) = oneshot::channel();
        let write = Write::Event {
            alert,
            body: body.clone(),
            json,
            reply,
        };
        if shared.writes.try_send(write).is_err() || stored.await.is_err() {
            return respond(StatusCode::SERVICE_UNAVAILABLE, "{}");
        }
    }
    respond(StatusCode::OK, r#"{"accepted":1,"duplicates":0}"#)
}

fn respond(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// Commits what waits, group by group, and hands what was committed on.
fn write(
    file: &PathBuf,
    mut queue: mpsc::Receiver<Write>,
    stored: &mpsc::UnboundedSender<(i64, Box<Alert>)>,
) {
    let connection = Connection::open(file).expect("a file");
    for (name, value) in [
        ("page_size", "8192"),
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("wal_autocheckpoint", "2048"),
        ("cache_size", "-16000"),
    ] {
        connection
            .pragma_update_and_check(None, name, value, |_| Ok(()))
            .or_else(|_| connection.pragma_update(None, name, value))
            .expect("a setting");
    }
    connection
        .execute_batch(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, body BLOB NOT NULL,
                                  json TEXT NOT NULL, receipt BLOB) STRICT",
        )
        .expect("a table");
    let mut group = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut written = Vec::with_capacity(group.len());
        connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
        for write in group.drain(..) {
            match write {
                Write::Event {
                    alert,
                    body,
                    json,
                    reply,
                } => {
                    connection
                        .prepare_cached(
                            "INSERT INTO events (event_id, body, json) VALUES (?, ?, ?)",
                        )
                        .expect("SQL")
                        .execute(params![alert.event.event_id, &body[..], json])
                        .expect("a row");
                    written.push((connection.last_insert_rowid(), alert, reply));
                }
                Write::Receipt { row, receipt } => {
                    connection
                        .prepare_cached("UPDATE events SET receipt = ? WHERE id = ?")
                        .expect("SQL")
                        .execute(params![&receipt[..], row])
                        .expect("a receipt");
                }
            }
        }
        connection.execute_batch("COMMIT").expect("commit");
        for (row, alert, reply) in written {
            let _ = reply.send(());
            let _ = stored.send((row, alert));
        }
    }
}

/// Sends what was committed, as many at once as the gateway does.
fn deliver(
    itoc360: String,
    due: mpsc::UnboundedReceiver<(i64, Box<Alert>)>,
    writes: &mpsc::Sender<Write>,
) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let due = Arc::new(Mutex::new(due));
    for _ in 0..CONCURRENCY {
        let client = client.clone();
        let due = Arc::clone(&due);
        let itoc360 = itoc360.clone();
        let writes = writes.clone();
        tokio::spawn(async move {
            loop {
                let Some((row, alert)) = due.lock().await.recv().await else {
                    return;
                };
                let request = Request::builder()
                    .method(Method::POST)
                    .uri(&itoc360)
                    .header("authorization", format!("Bearer {TOKEN}"))
                    .header("content-type", "application/json")
                    .body(Full::new(
                        format::body(Format::Alertmanager, &alert).expect("a body"),
                    ))
                    .expect("a request");
                let response = client.request(request).await.expect("an answer");
                assert!(response.status().is_success(), "{}", response.status());
                let receipt = response.into_body().collect().await.expect("a receipt");
                let receipt = receipt.to_bytes();
                // The gateway keeps the id and two words of it.
                let receipt = receipt.slice(..receipt.len().min(128));
                let _ = writes.send(Write::Receipt { row, receipt }).await;
            }
        });
    }
}
