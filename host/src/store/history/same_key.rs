//! The events of one key: whether it is open, and when the gateway resolves it by itself.

use std::time::Duration;

use plugin_sdk::contract::Status;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::{Filter, History, Line, RequestRecord};
use crate::clock::rfc3339;
use crate::config::shown_duration;
use crate::store::StoreError;
use crate::store::request::ordering_key;

/// The newest events of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SameKey {
    /// The source.
    pub source: String,
    /// The key.
    pub key: String,
    /// True if the newest event opens the key, false if it resolves it; absent where that is not
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_open: Option<bool>,
    /// The time when the gateway resolves it, if no event of it comes before: RFC 3339. Absent where
    /// it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolves_at: Option<String>,
    /// The time without an event after which it does, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_after: Option<String>,
    /// The newest events, newest first.
    pub events: Vec<Line>,
    /// True if there are more, or may be: the look ends with its patience.
    pub more: bool,
}

/// The alerts of an id whose keys are looked for, and the events of each.
const ALERTS: usize = 2;
const EVENTS: usize = 8;

impl History {
    /// Adds the newest events of their keys to the first alerts of these requests. A look for one
    /// key takes no longer than `patience`.
    ///
    /// # Errors
    /// What the disk said.
    pub fn add_keys(
        &self,
        requests: &mut [RequestRecord],
        patience: Duration,
    ) -> Result<(), StoreError> {
        let alerts = requests.iter_mut().flat_map(|request| &mut request.alerts);
        let told = alerts.filter(|alert| !alert.is_evicted());
        for alert in told.take(ALERTS) {
            let key = self.same_key(&alert.source, alert.event.key(), patience)?;
            alert.same_key = Some(key);
        }
        Ok(())
    }

    /// Returns the newest events of a key.
    fn same_key(&self, source: &str, key: &str, patience: Duration) -> Result<SameKey, StoreError> {
        let page = self.page(&Filter {
            source: Some(source.to_owned()),
            key: Some(key.to_owned()),
            since_ms: i64::MIN,
            limit: EVENTS,
            patience: Some(patience),
            ..Filter::default()
        })?;
        // One that is ignored changes nothing at a destination.
        let mut counting = page.lines.iter().filter(|line| line.state != "ignored");
        let newest = counting.next().and_then(|line| line.status);
        let is_open = newest.map(|status| status == Status::Trigger);
        let timer = match is_open {
            Some(true) => self.timer(ordering_key(source, key))?,
            _ => None,
        };
        let after = |ms: i64| shown_duration(Duration::from_millis(ms.unsigned_abs()));
        Ok(SameKey {
            source: source.to_owned(),
            key: key.to_owned(),
            is_open,
            resolves_at: timer.map(|(at, _)| rfc3339(at)),
            resolve_after: timer.map(|(_, ms)| after(ms)),
            events: page.lines,
            more: page.next.is_some(),
        })
    }

    /// Returns the time when a key is resolved by the gateway, and the span of its timer.
    fn timer(&self, ordering_key: i64) -> Result<Option<(i64, i64)>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT at, resolve_after FROM keys WHERE ordering_key = ? AND at IS NOT NULL",
        )?;
        let found = select.query_row([ordering_key], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?)
    }
}
