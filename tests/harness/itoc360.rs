//! An ITOC360 that can go down and come back.

use std::net::SocketAddr;
use std::time::Duration;

use itoc360_double::Format;
use itoc360_double::{Double, PATH, Received, Reply, Setup, Tally};
use serde_json::Value;
use tokio::net::TcpSocket;

use super::{PATIENCE, a_moment, until};

/// The token that it knows.
pub const TOKEN: &str = "canary-of-itoc360-5b1f";

/// The double, at an address that stays its own while it is down.
pub struct Itoc360 {
    /// Bound and never listening: nobody else is given the port, and who connects meanwhile is
    /// refused.
    _address: TcpSocket,
    setup: Setup,
    up: Option<Double>,
}

impl Itoc360 {
    /// One that is up and answers as ITOC360 does.
    pub async fn start(format: Format) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let setup = Setup {
            listen: socket.local_addr().unwrap(),
            token: TOKEN.to_owned(),
            format,
            ..Setup::default()
        };
        let mut itoc360 = Self {
            _address: socket,
            setup,
            up: None,
        };
        itoc360.up().await;
        itoc360
    }

    /// One that reads Alertmanager's format.
    pub async fn alertmanager() -> Self {
        Self::start(Format::Alertmanager).await
    }

    /// Comes back, and remembers nothing of an earlier life.
    pub async fn up(&mut self) {
        self.up = Some(Double::start(self.setup.clone()).await.unwrap());
    }

    /// Goes down: connections are refused.
    pub async fn down(&mut self) {
        self.up.take().unwrap().stop().await;
    }

    /// Returns the place where it is, while it is up.
    pub fn address(&self) -> SocketAddr {
        self.setup.listen
    }

    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.setup.listen)
    }

    pub fn format(&self) -> Format {
        self.setup.format
    }

    /// From now on answers as `script` says, given the number of the request (from 1).
    pub fn answers(&self, mut script: impl FnMut(usize) -> Reply + Send + 'static) {
        self.double().script(move |number, _| script(number));
    }

    /// From now on answers as `script` says, given the body.
    pub fn answers_to(&self, mut script: impl FnMut(&str) -> Reply + Send + 'static) {
        self.double()
            .script(move |_, body| script(&String::from_utf8_lossy(body)));
    }

    /// From now on answers as ITOC360 does.
    pub fn recovers(&self) {
        self.answers(|_| Reply::Ok);
    }

    pub fn tally(&self) -> Tally {
        self.double().tally()
    }

    /// All requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.double().received()
    }

    /// Waits until there were `count` requests.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        assert!(
            self.double().wait_for(count, PATIENCE).await,
            "{:?} instead of {count} requests",
            self.tally()
        );
        self.received()
    }

    /// Waits until `count` alerts are open, and gives what was said of each, in order.
    pub async fn open(&self, count: usize) -> Vec<Value> {
        let open = self
            .double()
            .wait_until(PATIENCE, |tally| tally.open >= count)
            .await;
        assert!(open, "{:?} instead of {count} alerts", self.tally());
        self.received()
            .iter()
            .filter(|one| one.answered == 200)
            .map(Received::json)
            .collect()
    }

    /// Waits until the gateway has told of itself on this topic, `firing` or `resolved`, and gives
    /// what it said.
    pub async fn told(&self, about: &str, status: &str) -> Value {
        until(&format!("{about} is {status}"), async || {
            self.own(about, status).pop()
        })
        .await
    }

    /// All that the gateway has told of itself on this topic with this status.
    pub fn own(&self, about: &str, status: &str) -> Vec<Value> {
        let taken = self
            .received()
            .into_iter()
            .filter(|one| one.answered == 200);
        let said = taken.map(|one| one.json());
        said.filter(|said| said["commonLabels"]["about"] == about && said["status"] == status)
            .collect()
    }

    /// Waits until `count` alerts are open, gives another one the time to come, and asserts that
    /// none did.
    pub async fn opens_only(&self, count: usize) {
        self.open(count).await;
        a_moment().await;
        let tally = self.tally();
        assert_eq!((tally.opened, tally.open), (count, count), "{tally:?}");
    }

    /// Returns the number of times the alert of this fingerprint was opened.
    pub fn times_opened(&self, fingerprint: &str) -> usize {
        self.double().times_opened(fingerprint)
    }

    /// Returns the time between the first two requests.
    pub async fn pause(&self) -> Duration {
        until("two requests", async || {
            let received = self.received();
            received.get(1).map(|second| second.at - received[0].at)
        })
        .await
    }

    fn double(&self) -> &Double {
        self.up.as_ref().unwrap()
    }
}
