//! The task that lets time pass in the store.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Snapshot, Store};
use crate::clock::wall_ms;

/// The time between two looks at what is due.
const LOOK: Duration = Duration::from_secs(1);

/// Lets time pass in the store until `stop` is cancelled.
pub async fn pass_time(store: Store, reader: Snapshot, stop: CancellationToken) {
    let lease = store.leads();
    let mut reader = Some(reader);
    loop {
        let next = match (lease.holds(), reader.take()) {
            (true, Some(taken)) => {
                let looked = tokio::task::spawn_blocking(move || (taken.next_change(), taken));
                match looked.await {
                    Ok((next, taken)) => {
                        reader = Some(taken);
                        next
                    }
                    Err(_) => return,
                }
            }
            (_, kept) => {
                reader = kept;
                Ok(None)
            }
        };
        let passed = match next {
            Ok(Some(at)) if at <= store.clock().now_ms() => store.pass(wall_ms()).await,
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        };
        match passed {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "groups and timers that are due could not be passed; it tries again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}
