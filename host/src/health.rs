//! How the parts of the gateway are: written by those who know, read by `/readyz` and by whoever tells the operator.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The board on which the state of every destination, and of the gateway itself, is written; and when sources were heard of.
#[derive(Debug, Clone, Default)]
pub struct Health {
    board: Arc<watch::Sender<Board>>,
    heard: Arc<Mutex<HashMap<Arc<str>, Heard>>>,
    awaited: Arc<Awaited>,
}

/// What stands on the board.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Board {
    /// Whether requests are taken at present.
    pub ready: bool,
    /// Why not, where they are not; or what the operator should look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// By name.
    pub destinations: BTreeMap<String, DestinationHealth>,
}

/// How a destination is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationHealth {
    /// Whether alerts go out.
    pub state: DestinationState,
    /// Since when: RFC 3339.
    pub since: String,
    /// Why it is not healthy, and what mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether its last word was that it takes alerts, or judges them. One that nothing was sent to yet, or that has put
    /// off the last alert, may be healthy or not.
    #[serde(skip)]
    pub proven: bool,
}

/// Whether alerts go out to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationState {
    /// They go out.
    Healthy,
    /// It does not answer, or answers that it cannot now; one alert is tried at growing intervals.
    Failing,
    /// It refuses all of them, and only the operator can mend it; one alert is tried at growing intervals.
    Held,
}

/// When a source was last heard of: when a request came in whose sender is who it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// By the clock on the wall: Unix milliseconds.
    pub at_ms: i64,
    /// By the clock that nobody sets.
    pub at: Instant,
}

/// Sources that somebody waits for.
#[derive(Debug, Default)]
struct Awaited {
    sources: Mutex<HashSet<Arc<str>>>,
    came: Notify,
}

impl DestinationState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Failing, Self::Held];

    /// The word used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Held => "held",
        }
    }
}

impl Health {
    /// Says whether requests are taken, and why not.
    pub fn set_ready(&self, ready: bool, note: Option<String>) {
        self.board.send_modify(|board| (board.ready, board.note) = (ready, note));
    }

    /// Says how a destination is.
    pub fn set_destination(&self, name: &str, health: DestinationHealth) {
        self.board.send_modify(|board| drop(board.destinations.insert(name.to_owned(), health)));
    }

    /// A copy of the board.
    pub fn read(&self) -> Board {
        self.board.borrow().clone()
    }

    /// Changes whenever something is written on the board.
    pub fn watch(&self) -> watch::Receiver<Board> {
        self.board.subscribe()
    }

    /// Says that a source was heard of just now.
    pub fn heard(&self, source: &Arc<str>, at_ms: i64) {
        open(&self.heard).insert(Arc::clone(source), Heard { at_ms, at: Instant::now() });
        if open(&self.awaited.sources).remove(source) {
            self.awaited.came.notify_one();
        }
    }

    /// When each source was last heard of, since the start.
    pub fn last_heard(&self) -> HashMap<Arc<str>, Heard> {
        open(&self.heard).clone()
    }

    /// Has [`Health::came`] return when this source is heard of next.
    pub fn wait_for(&self, source: &Arc<str>) {
        open(&self.awaited.sources).insert(Arc::clone(source));
    }

    /// Returns when one of the sources that are waited for was heard of. For one waiter; safe to drop and call again.
    pub async fn came(&self) {
        self.awaited.came.notified().await;
    }
}

fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
