//! Hearing of sources through other gateways: a heartbeat that came in at one is missed by none.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::heard::Heard;
use crate::health::Health;
use crate::store::{Snapshot, Store, StoreError};

/// The interval at which gateways tell each other: less than the shortest heartbeat.
const EVERY: Duration = Duration::from_secs(2);

/// Tells other gateways of the sources heard of here, and puts theirs on the board, until `stop` is
/// cancelled.
pub async fn share_heard(store: Store, health: Health, stop: CancellationToken) {
    let mut known = HashMap::new();
    let mut reader = None;
    loop {
        let shared = share(&store, &health, &mut known, &mut reader).await;
        if let Err(error) = shared {
            tracing::debug!(%error, "gateways could not tell each other what they heard; they try again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn share(
    store: &Store,
    health: &Health,
    known: &mut HashMap<String, i64>,
    reader: &mut Option<Snapshot>,
) -> Result<(), StoreError> {
    let snapshot = match reader.take() {
        Some(snapshot) => snapshot,
        None => store.snapshot()?,
    };
    let read = tokio::task::spawn_blocking(move || (snapshot.seen(), snapshot));
    let (seen, snapshot) = read.await.map_err(|_| StoreError::Closed)?;
    *reader = Some(snapshot);
    let own = health.last_heard();
    for one in seen? {
        let Some(at_ms) = one.last_seen else { continue };
        let before = known.insert(one.source.clone(), at_ms);
        let is_own = own
            .get(one.source.as_str())
            .is_some_and(|own| own.at_ms >= at_ms);
        if !is_own && before.is_some_and(|before| before < at_ms) {
            health.heard(&Arc::from(one.source), at_ms);
        }
    }
    let news: Vec<_> = own
        .into_iter()
        .map(|(source, heard)| (source, heard.at_ms))
        .filter(|(source, at_ms)| known.get(&**source).is_none_or(|known| known < at_ms))
        .collect();
    if news.is_empty() {
        return Ok(());
    }
    store.heard(Heard(news)).await
}
