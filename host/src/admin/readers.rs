//! Readers of the store for the admin listener: a few connections, each question with a deadline,
//! never on a thread that answers senders.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::problem::Problem;
use crate::store::{History, Store, StoreError};

/// The number of questions that run at once.
const READERS: usize = 4;
/// The time that a question waits for its turn.
const TURN: Duration = Duration::from_secs(2);
/// The time that a question may take.
const TIME: Duration = Duration::from_secs(2);
/// The time after which a question that should have ended is given up: the disk hangs.
const HANGS: Duration = Duration::from_secs(5);
/// The time after which a page of a search ends although it is not full.
pub const PATIENCE: Duration = Duration::from_millis(25);

/// The connections that read the store.
#[derive(Debug, Clone)]
pub struct Readers {
    store: Store,
    idle: Arc<Mutex<Vec<History>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Opens connections to this store as they are needed.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            idle: Arc::default(),
            turns: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Returns what `question` finds in the store.
    ///
    /// # Errors
    /// Where too many questions are asked, this one takes too long, or the disk fails or hangs.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&History) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(unavailable("too many questions are asked at once"));
        };
        let store = self.store.clone();
        let idle = Arc::clone(&self.idle);
        let started = Instant::now();
        let read = tokio::task::spawn_blocking(move || {
            let waiting = idle.lock().pop();
            let mut history = match waiting {
                Some(history) => history,
                None => store.history()?,
            };
            history.hurry(TIME)?;
            let found = question(&history);
            idle.lock().push(history);
            drop(turn);
            found
        });
        match tokio::time::timeout(HANGS, read).await {
            Ok(Ok(Err(_))) if started.elapsed() >= TIME => Err(unavailable(
                "it took too long to look for this: ask for less, such as a shorter time or one source",
            )),
            Ok(Ok(found)) => Ok(found?),
            Ok(Err(_)) => Err(unavailable("the question panicked, which is a bug")),
            Err(_) => Err(unavailable("the disk does not answer")),
        }
    }
}

fn unavailable(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
}
