//! Waiting for events without a notification.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait for an expected event: generous, because the machine may be busy with other
/// tests.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The polling interval of [`until`].
const LOOK: Duration = Duration::from_millis(20);

/// Waits a moment for an event that must not happen. A busy machine may need longer, so this finds
/// most faults, and reports no false one.
pub async fn a_moment() {
    tokio::time::sleep(2 * LOOK).await;
}

/// Polls until `look` returns a value: for the state of a disk, or of a page of another process,
/// without a notification of changes.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
