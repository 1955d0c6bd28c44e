//! Waiting for what nobody announces.

use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for what must come: generous, because the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How often [`until`] looks.
const LOOK: Duration = Duration::from_millis(20);

/// Gives what must not come the time to come. A busy machine may need more, so this finds most faults, and never one that
/// is none.
pub async fn a_moment() {
    tokio::time::sleep(2 * LOOK).await;
}

/// Looks until there is something to see: for what stands on a disk or on a page of another process, which tell nobody
/// when they change.
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
