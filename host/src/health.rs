//! How the parts of the gateway are: written by those who know, read by `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The board on which the state of every destination, and of the gateway itself, is written.
#[derive(Debug, Clone, Default)]
pub struct Health {
    board: Arc<Mutex<Board>>,
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
        self.write(|board| (board.ready, board.note) = (ready, note));
    }

    /// Says how a destination is.
    pub fn set_destination(&self, name: &str, health: DestinationHealth) {
        self.write(|board| board.destinations.insert(name.to_owned(), health));
    }

    /// A copy of the board.
    pub fn read(&self) -> Board {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write<T>(&self, change: impl FnOnce(&mut Board) -> T) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
