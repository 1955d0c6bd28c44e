//! A running gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, Request};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Output, PATIENCE, Post, Process, until};

/// A gateway that is ready for requests.
pub struct Gateway {
    process: Process,
    /// The address of the listener for senders.
    pub address: SocketAddr,
    /// The address of the admin listener.
    pub admin: SocketAddr,
    client: Sender,
}

/// A sender: the gateway's address, and a pool of connections.
pub struct Sender {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Gateway {
    /// Waits until the program logs its addresses.
    pub async fn ready(mut process: Process) -> Self {
        let address = |line: &Value, name: &str| line[name].as_str()?.parse().ok();
        let ready = |line: &Value| {
            (line["message"] == "ready")
                .then(|| Some((address(line, "address")?, address(line, "admin")?)))?
        };
        let (address, admin) = process.log("ready", ready).await;
        Self {
            process,
            address,
            admin,
            client: Sender::to(address),
        }
    }

    /// Returns a sender for a task of its own, with connections of its own.
    pub fn sender(&self) -> Sender {
        Sender::to(self.address)
    }

    /// Posts, and waits for the answer.
    pub async fn post(&self, post: &Post) -> Answer {
        self.client.post(post).await.unwrap()
    }

    /// Posts a request, asserts that it is accepted, and returns its id.
    pub async fn accept(&self, post: &Post) -> String {
        let answer = self.post(post).await;
        assert_eq!(
            (answer.status, &answer.json()["accepted"]),
            (200, &1.into()),
            "{}",
            answer.body
        );
        answer.json()["request"].as_str().unwrap().to_owned()
    }

    /// Sends a request without a body.
    pub async fn request(&self, method: Method, path: &str) -> Answer {
        self.client.request(self.address, method, path).await
    }

    /// Requests a page of the admin listener.
    pub async fn admin(&self, method: Method, path: &str) -> Answer {
        self.client.request(self.admin, method, path).await
    }

    /// Requests a page of another server.
    pub async fn elsewhere(&self, address: SocketAddr, path: &str) -> Answer {
        self.client.request(address, Method::GET, path).await
    }

    /// Sends a request with these headers and this body to the admin listener.
    pub async fn admin_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.admin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        self.client.send(request).await.unwrap()
    }

    /// Returns every sample of `/metrics`, by its name and labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let page = self.admin(Method::GET, "/metrics").await;
        assert_eq!(page.status, 200);
        let samples = page.body.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Waits until a sample of `/metrics` fulfils a condition.
    pub async fn metric(&self, name: &str, right: impl Fn(f64) -> bool) {
        until(name, async || {
            self.metrics()
                .await
                .get(name)
                .is_some_and(|value| right(*value))
                .then_some(())
        })
        .await;
    }

    /// Waits until `/readyz` shows a destination in this state, and returns its entry.
    pub async fn destination(&self, name: &str, state: &str) -> Value {
        until(&format!("{name} is {state}"), async || {
            let board = self.admin(Method::GET, "/readyz").await.json();
            let destination = &board["destinations"][name];
            (destination["state"] == state).then(|| destination.clone())
        })
        .await
    }

    /// Writes these bytes to a connection, and reads the answer until the gateway closes it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut connection = self.connect().await;
        connection.write_all(bytes).await.unwrap();
        read(connection).await
    }

    /// Does the same at the admin listener.
    pub async fn raw_admin(&self, bytes: &[u8]) -> String {
        let mut connection = TcpStream::connect(self.admin).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        read(connection).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Kills it by `kill -9`.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// Stops it by `kill -TERM`, and returns its output until the end.
    pub async fn stop(self) -> Output {
        self.process.terminate();
        self.process.output().await
    }
}

impl Deref for Gateway {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Reads a connection until it is closed.
pub async fn read(mut connection: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has brought what it has brought.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut bytes))
        .await
        .expect("the connection is never closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Sender {
    fn to(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .build_http();
        Self { address, client }
    }

    /// Posts a request. An error means that no answer came.
    pub async fn post(&self, post: &Post) -> Result<Answer, String> {
        let mut request = Request::post(format!("http://{}{}", self.address, post.path));
        for (name, value) in &post.headers {
            request = request.header(name, value);
        }
        self.send(request.body(Full::from(post.body.clone())).unwrap())
            .await
    }

    async fn request(&self, address: SocketAddr, method: Method, path: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"));
        self.send(request.body(Full::default()).unwrap())
            .await
            .unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answered = async {
            let (head, body) = self
                .client
                .request(request)
                .await
                .map_err(|error| format!("{error:?}"))?
                .into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| format!("{error:?}"))?
                .to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        timeout(PATIENCE, answered)
            .await
            .expect("a request is never answered")
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem document (RFC 9457) with this status.
    #[track_caller]
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for field in ["title", "detail", "request"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {}",
                self.body
            );
        }
    }
}
