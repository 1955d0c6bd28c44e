//! The end of the store: what waits is committed, and the file is closed, unless the disk does not
//! let it.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::writer::Message;

/// The time the writer may take to close the file: what waits is committed, and the log is folded
/// in. More than another program may hold the file, and less than systemd waits before it kills.
const CLOSING_TIME: Duration = Duration::from_secs(15);

/// The writer's thread, to be ended by [`Closing::close`].
pub struct Closing {
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) thread: JoinHandle<()>,
    /// Says nothing, and is dropped when the thread ends.
    pub(super) ended: Receiver<Infallible>,
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing")
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}

impl Closing {
    /// Waits until the writer has committed all that was handed to it before this call, and has
    /// closed the file. Returns whether it has: a disk that hangs may never let it.
    pub async fn close(self) -> bool {
        self.close_within(CLOSING_TIME).await
    }

    pub(super) async fn close_within(self, time: Duration) -> bool {
        let Self {
            messages,
            thread,
            ended,
        } = self;
        // By a thread, as no clock of a test may hurry the disk.
        let waiting = tokio::task::spawn_blocking(move || ended.recv_timeout(time));
        let asking = async {
            // A failed send says that the writer is gone already.
            let _ = messages.send(Message::Close).await;
            std::future::pending::<Infallible>().await
        };
        let waited = tokio::select! {
            waited = waiting => waited,
            never = asking => match never {},
        };
        if matches!(waited, Ok(Err(RecvTimeoutError::Timeout))) {
            tracing::error!(
                ?time,
                "the disk does not let the store be closed, and is not waited for: what was confirmed is on it, and what was \
                not written down is done again at the next start"
            );
            return false;
        }
        let whole = thread.join().is_ok();
        if !whole {
            tracing::error!("the store's writer panicked; what was confirmed is on disk");
        }
        whole
    }
}
