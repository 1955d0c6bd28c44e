//! The backlog of one destination, as metrics: the number of alerts that wait, and the age of the
//! oldest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::{DestinationLabel, Metrics};
use crate::store::Store;

/// The interval between two looks: as fresh as a scrape needs it.
const LOOK: Duration = Duration::from_secs(5);
/// A look counts what waits; of the time, it takes no more than this part.
const PART: u32 = 50;

/// Shows the backlog of a destination until it is dropped; first of all, that it is empty.
pub async fn show(destination: Arc<str>, store: Store, metrics: Metrics) {
    loop {
        let reading = store.clone();
        let name = Arc::clone(&destination);
        let began = Instant::now();
        let read = tokio::task::spawn_blocking(move || {
            let reader = reading.due_reader()?;
            reader.backlog(&name)
        });
        match read.await {
            Ok(Ok((alerts, since))) => {
                let now_ms = store.clock().now_ms();
                let age_ms = since.map_or(0, |since| now_ms.saturating_sub(since).max(0));
                set(&metrics, &destination, alerts, age_ms as f64 / 1000.0);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, destination = &*destination, "the backlog could not be counted");
            }
            // Only a bug panics; the figures stay as they were.
            Err(_) => return,
        }
        tokio::time::sleep(LOOK.max(began.elapsed() * PART)).await;
    }
}

/// Sets the metrics of a destination.
pub fn set(metrics: &Metrics, destination: &Arc<str>, alerts: i64, age: f64) {
    let label = DestinationLabel {
        destination: Arc::clone(destination),
    };
    metrics
        .destination_pending
        .get_or_create(&label)
        .set(alerts);
    metrics
        .destination_oldest_pending
        .get_or_create(&label)
        .set(age);
}
