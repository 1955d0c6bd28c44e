//! A scripted HTTP server: what it is sent is kept, and what it answers is said request by request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::until;

/// A request that it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The answer to a request: a status, headers, and a body.
pub type Reply = (u16, Vec<(&'static str, String)>, String);

type Script = Box<dyn FnMut(&Sent) -> Reply + Send>;

/// A server that is up until it is dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    received: Mutex<Vec<Sent>>,
    script: Mutex<Script>,
}

impl Sink {
    /// Starts one that answers 200 and nothing more.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Box::new(|_| (200, Vec::new(), String::new()));
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            script: Mutex::new(script),
        });
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            serving,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers as `script` says.
    pub fn answers(&self, script: impl FnMut(&Sent) -> Reply + Send + 'static) {
        *self.shared.script.lock() = Box::new(script);
    }

    /// From now on answers with this status and body.
    pub fn answers_with(&self, status: u16, body: &str) {
        let body = body.to_owned();
        self.answers(move |_| (status, Vec::new(), body.clone()));
    }

    pub fn received(&self) -> Vec<Sent> {
        self.shared.received.lock().clone()
    }

    /// Waits until there were `count` requests, and gives all of them.
    pub async fn requests(&self, count: usize) -> Vec<Sent> {
        until(&format!("{count} requests"), async || {
            Some(self.received()).filter(|sent| sent.len() >= count)
        })
        .await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, Arc::clone(&shared)));
    }
}

/// Speaks on a connection. A `CONNECT` is answered as a proxy does, whose other end this server is as well.
async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            if request.method() == Method::CONNECT {
                let (head, body) = request.into_parts();
                keep(&shared, &head, Bytes::new());
                let upgrading = hyper::upgrade::on(Request::from_parts(head, body));
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgrading.await {
                        let inner = service_fn(move |request| answer(Arc::clone(&shared), request));
                        let _ = http1::Builder::new()
                            .serve_connection(upgraded, inner)
                            .await;
                    }
                });
                return Ok(Response::new(Full::default()));
            }
            answer(shared, request).await
        }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let sent = keep(&shared, &head, body);
    let (status, headers, body) = (shared.script.lock())(&sent);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(body)).unwrap())
}

fn keep(shared: &Shared, head: &hyper::http::request::Parts, body: Bytes) -> Sent {
    let sent = Sent {
        method: head.method.clone(),
        uri: head.uri.clone(),
        headers: head.headers.clone(),
        body,
    };
    shared.received.lock().push(sent.clone());
    sent
}
