//! The health board: written by the parts of the gateway, read by `/readyz` and by the monitor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The board with the state of every destination and of the gateway itself, and the time at which
/// each source was last heard.
#[derive(Debug, Clone, Default)]
pub struct Health {
    board: Arc<watch::Sender<Board>>,
    heard: Arc<Mutex<HashMap<Arc<str>, Heard>>>,
    awaited: Arc<Awaited>,
}

/// A snapshot of the board.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Board {
    /// True while requests are accepted.
    pub ready: bool,
    /// The reason why they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// By name.
    pub destinations: BTreeMap<String, DestinationHealth>,
    /// The circuit breakers of destinations, by their names.
    #[serde(skip)]
    pub breakers: BTreeMap<String, Breaker>,
    /// The reason why nothing can be stored, while that is so.
    #[serde(skip)]
    pub unstored: Option<String>,
    /// True if this gateway delivers for all that share the store; absent where it is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads: Option<bool>,
    /// The requests that wait for the database; absent where there is no spool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<SpoolHealth>,
}

/// The state of the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpoolHealth {
    /// The number of requests in it.
    pub requests: u64,
    /// Their size.
    pub bytes: u64,
    /// The reason why it takes no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The state of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationHealth {
    /// Its state.
    pub state: DestinationState,
    /// The beginning of that state: RFC 3339.
    pub since: String,
    /// The first failed attempt since the destination accepted an alert, where one has failed: RFC
    /// 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// The reason of the last failed attempt, and what fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The time of the next attempt, while the circuit breaker is open and none is under way: RFC
    /// 3339.
    #[serde(skip)]
    pub next_probe: Option<String>,
    /// True if the last attempt was accepted or rejected. Before the first attempt, and after a
    /// failed one, the destination may be healthy or not.
    #[serde(skip)]
    pub proven: bool,
}

/// The circuit breaker of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Its state.
    pub state: BreakerState,
    /// The time when it opened or closed: RFC 3339.
    pub since: String,
}

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Traffic flows.
    Closed,
    /// Nothing is sent until the next probe.
    Open,
    /// The probe is under way.
    HalfOpen,
}

/// A destination that takes no alert now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUp {
    /// `failing` or `held`.
    pub state: String,
    /// The beginning of that: RFC 3339.
    pub since: String,
    /// The reason of the last failed attempt, and what fixes it.
    pub why: Option<String>,
    /// The time when one alert is tried next: RFC 3339. The others follow once that one is taken.
    /// Absent while it is under way.
    pub next_attempt: Option<String>,
}

/// The state of delivery to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationState {
    /// Alerts go out.
    Healthy,
    /// The destination does not answer, or answers an error; one alert is tried at growing
    /// intervals.
    Failing,
    /// The destination refuses every alert, and only the operator can fix that; one alert is tried
    /// at growing intervals.
    Held,
}

/// The last request of a source whose sender was authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// By the clock on the wall: Unix milliseconds.
    pub at_ms: i64,
    /// By the monotonic clock.
    pub at: Instant,
}

/// Sources that the monitor waits for.
#[derive(Debug, Default)]
struct Awaited {
    sources: Mutex<HashSet<Arc<str>>>,
    came: Notify,
}

impl HeldUp {
    /// The same of a destination with this health; none where its circuit breaker is closed, as each
    /// alert is tried at its own time then.
    pub fn of(health: &DestinationHealth, breaker: Option<&Breaker>) -> Option<Self> {
        let is_open = breaker.is_some_and(Breaker::is_open);
        is_open.then(|| Self {
            state: health.state.as_str().to_owned(),
            since: health.since.clone(),
            why: health.why.clone(),
            next_attempt: health.next_probe.clone(),
        })
    }
}

impl Breaker {
    /// Returns whether traffic does not flow: it is open or half-open.
    pub fn is_open(&self) -> bool {
        self.state != BreakerState::Closed
    }
}

impl BreakerState {
    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl DestinationState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Failing, Self::Held];

    /// Returns the word used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Held => "held",
        }
    }
}

impl Health {
    /// Sets whether requests are taken, and why not.
    pub fn set_ready(&self, ready: bool, note: Option<String>) {
        self.board
            .send_modify(|board| (board.ready, board.note) = (ready, note));
    }

    /// Sets whether this gateway delivers for all that share the store.
    pub fn set_leads(&self, leads: bool) {
        self.board.send_modify(|board| board.leads = Some(leads));
    }

    /// Sets the reason why nothing can be stored. Meanwhile the board says that no requests are
    /// accepted. `why` is asked while the board is held, so that the latest state is shown.
    pub fn set_unstored(&self, why: impl FnOnce() -> Option<String>) {
        self.board.send_if_modified(|board| {
            let why = why();
            let changes = board.unstored != why;
            board.unstored = why;
            changes
        });
    }

    /// Sets what waits in the spool, and why it takes no more.
    pub fn set_spool(&self, requests: u64, bytes: u64, why: Option<String>) {
        let spool = SpoolHealth {
            requests,
            bytes,
            why,
        };
        self.board.send_if_modified(|board| {
            let takes =
                |spool: &Option<SpoolHealth>| spool.as_ref().map(|spool| spool.why.is_none());
            let before = takes(&board.spool);
            board.spool = Some(spool);
            // Each request changes the number.
            takes(&board.spool) != before
        });
    }

    /// Returns whether the board says that nothing can be stored.
    pub fn is_unstored(&self) -> bool {
        self.board.borrow().unstored.is_some()
    }

    /// Sets the state of a destination.
    pub fn set_destination(&self, name: &str, health: DestinationHealth) {
        self.board
            .send_modify(|board| drop(board.destinations.insert(name.to_owned(), health)));
    }

    /// Sets the circuit breaker of a destination, before the state that follows from it.
    pub fn set_breaker(&self, name: &str, breaker: Breaker) {
        self.board.send_if_modified(|board| {
            board.breakers.insert(name.to_owned(), breaker);
            false
        });
    }

    /// Removes a destination that is not configured any more.
    pub fn remove_destination(&self, name: &str) {
        self.board.send_modify(|board| {
            board.breakers.remove(name);
            board.destinations.remove(name);
        });
    }

    /// Returns a snapshot of the board.
    pub fn read(&self) -> Board {
        let mut board = self.board.borrow().clone();
        if let (true, Some(why)) = (board.ready, &board.unstored) {
            board.ready = board
                .spool
                .as_ref()
                .is_some_and(|spool| spool.why.is_none());
            board.note = Some(match board.ready {
                true => format!("requests are kept in the spool of this gateway: {why}"),
                false => format!("nothing can be stored: {why}"),
            });
        }
        board
    }

    /// Returns a receiver that changes whenever something is written on the board.
    pub fn watch(&self) -> watch::Receiver<Board> {
        self.board.subscribe()
    }

    /// Notes that a source was heard just now.
    pub fn heard(&self, source: &Arc<str>, at_ms: i64) {
        self.heard.lock().insert(
            Arc::clone(source),
            Heard {
                at_ms,
                at: Instant::now(),
            },
        );
        if self.awaited.sources.lock().remove(source) {
            self.awaited.came.notify_one();
        }
    }

    /// Returns the time at which each source was last heard, since the start.
    pub fn last_heard(&self) -> HashMap<Arc<str>, Heard> {
        self.heard.lock().clone()
    }

    /// Makes [`Health::came`] return when this source is heard next.
    pub fn wait_for(&self, source: &Arc<str>) {
        self.awaited.sources.lock().insert(Arc::clone(source));
    }

    /// Returns when one of the sources that are waited for was heard. For one waiter; safe to drop
    /// and call again.
    pub async fn came(&self) {
        self.awaited.came.notified().await;
    }
}
