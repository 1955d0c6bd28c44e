//! Which requests stay although the store takes more room than it may: the newest that were delivered, as many as come to
//! half of that room.
//!
//! What is not delivered may exceed the size by itself. If all that was delivered had to go for it, however young, nothing
//! would be known any more of what senders are just about to repeat, and each repeat would page somebody again.

use rusqlite::Connection;

use super::{ALERTS_PER_REQUEST, StoreError};

/// What a request, and each alert of it, takes beside its own bytes: rows in other tables and in indexes. Rather more than
/// that, as what is spared for too little could leave nothing to go for the size.
const BESIDE: i64 = 512;

/// Each request that could be removed, the newest first, with its bytes.
const NEWEST: &str = "SELECT seq, ?2 + octet_length(url) + octet_length(headers) + octet_length(body)
        + (SELECT total(?2 + octet_length(json)) FROM events WHERE alert BETWEEN seq * ?1 AND seq * ?1 + ?1 - 1)
    FROM requests
    WHERE state <> 'failed'
        AND NOT EXISTS (SELECT 1 FROM alerts WHERE id BETWEEN seq * ?1 AND seq * ?1 + ?1 - 1 AND state <> 'delivered')
    ORDER BY seq DESC";

/// The `seq` of the oldest of the newest delivered requests that come to no more than `bytes`.
pub fn from(connection: &Connection, bytes: u64) -> Result<i64, StoreError> {
    let mut statement = connection.prepare(NEWEST)?;
    let mut rows = statement.query([ALERTS_PER_REQUEST as i64, BESIDE])?;
    let (mut oldest, mut sum) = (i64::MAX, 0.0);
    while let Some(row) = rows.next()? {
        sum += row.get::<_, Option<f64>>(1)?.unwrap_or_default();
        if sum > bytes as f64 {
            break;
        }
        oldest = row.get(0)?;
    }
    Ok(oldest)
}
