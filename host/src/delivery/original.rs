//! Attempts at destinations that are sent senders' requests as they came.
//!
//! The request is read from the store at each attempt, so that no more of them are in memory than
//! are under way.

use std::time::Duration;

use crate::config::OWN_SOURCE;
use crate::destinations::{Destination, Original, Sent};
use crate::store::{
    ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, Due, RequestRecord, Store, StoreError,
};

/// Sends the request of an alert, once.
pub async fn send(destination: &Destination, due: &Due, store: Store) -> Sent {
    // An internal alert may stand beside the alerts of a sender's request.
    if due.alert.source == OWN_SOURCE {
        return Sent::not_meant();
    }
    let seq = due.id / (ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64;
    let read = tokio::task::spawn_blocking(move || store.history()?.request(seq));
    match read.await {
        Ok(Ok(Some(record))) => match original(record) {
            Ok(Some(original)) => destination.send_original(&original).await,
            Ok(None) => Sent::not_meant(),
            Err(why) => Sent::unsent(why),
        },
        Ok(Ok(None)) => Sent::unsent("its request is not in the store".to_owned()),
        Ok(Err(StoreError::Row(why))) => Sent::unsent(format!("its request cannot be read: {why}")),
        Ok(Err(error)) => Sent::unanswered(
            format!("its request cannot be read: {error}"),
            Duration::ZERO,
        ),
        Err(_) => Sent::unanswered("reading its request panicked".to_owned(), Duration::ZERO),
    }
}

/// Returns what is sent on of a request; `None` for one that the gateway made.
fn original(record: RequestRecord) -> Result<Option<Original>, String> {
    if let Some(why) = record.evicted {
        return Err(format!("its body is gone: {why}"));
    }
    if record.method.is_empty() {
        return Ok(None);
    }
    let headers: Vec<(String, String)> = serde_json::from_str(&record.headers).unwrap_or_default();
    let header = |wanted: &str| {
        let found = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone())
    };
    Ok(Some(Original {
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        body: record.body.into(),
    }))
}
