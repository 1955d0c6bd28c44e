//! Lists of what is kept, newest first.

use rusqlite::{Connection, Row, params};

use super::{Filter, Line, ListedReceipt, ListedState, MISSING, event};
use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::store::due::priority;
use crate::store::ids::{DELIVERIES_PER_ALERT, StoredEventId, delivery_ids, request_id_text};

/// Alerts joined with their requests, so that SQLite goes through the alerts.
const ALERTS: &str = "alerts a JOIN requests r ON r.seq = a.id / 1024";

/// Returns whether an alert has a delivery in a table: its deliveries are a range of ids.
fn has(table: &str) -> String {
    let each = DELIVERIES_PER_ALERT;
    format!(
        "EXISTS (SELECT 1 FROM {table} q WHERE q.id BETWEEN a.id * {each} AND a.id * {each} + {each} - 1)"
    )
}

/// Returns whether the last attempt at a delivery of an alert ended so.
fn ended(outcome: &str) -> String {
    let each = DELIVERIES_PER_ALERT;
    format!(
        "EXISTS (SELECT 1 FROM attempts q WHERE q.delivery BETWEEN a.id * {each} AND a.id * {each} + {each} - 1
                 AND outcome = '{outcome}')"
    )
}

/// The newest lines that fit the filter.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Line>, StoreError> {
    let each = DELIVERIES_PER_ALERT;
    // Through the small table, whose rows are what is looked for.
    let distinct = |table: &str| {
        format!(
            "(SELECT DISTINCT id / {each} AS alert FROM {table}) q CROSS JOIN alerts a ON a.id = q.alert
                 JOIN requests r ON r.seq = a.id / 1024"
        )
    };
    let all = "requests r LEFT JOIN alerts a ON a.id BETWEEN r.seq * 1024 AND r.seq * 1024 + 1023"
        .to_owned();
    let (tables, condition, order) = match filter.state {
        None => (all, "1".to_owned(), "r.seq"),
        // The state is written out, so that SQLite can use the index that holds only those rows.
        Some(ListedState::Failed) => (
            "requests r LEFT JOIN alerts a ON 0".to_owned(),
            "r.state = 'failed'".to_owned(),
            "r.seq",
        ),
        Some(ListedState::Pending) => (distinct("queue"), "1".to_owned(), "a.id"),
        Some(ListedState::Dead) => (distinct("dead"), "1".to_owned(), "a.id"),
        Some(ListedState::Ignored) => (ALERTS.to_owned(), "a.ignored NOT NULL".to_owned(), "a.id"),
        Some(ListedState::Dismissed) => (
            all,
            format!("(r.state = 'dismissed' OR {})", ended("dismissed")),
            "r.seq",
        ),
        Some(ListedState::Delivered) => {
            let settled = format!(
                "NOT {} AND NOT {} AND {}",
                has("queue"),
                has("dead"),
                ended("accepted")
            );
            (ALERTS.to_owned(), settled, "a.id")
        }
    };
    let state = format!(
        "CASE WHEN a.id IS NULL THEN r.state WHEN a.ignored NOT NULL THEN 'ignored' WHEN {} THEN 'pending' WHEN {} THEN 'dead'
              WHEN {} THEN 'dismissed' ELSE 'delivered' END",
        has("queue"),
        has("dead"),
        ended("dismissed")
    );
    let sql = format!(
        "SELECT r.received_at, s.name, own.name, {state}, r.state, r.id, a.event_id, r.reason, r.duplicates,
                (SELECT json FROM events e WHERE e.alert = a.id), a.priority,
                a.source <> r.source AND NOT EXISTS (SELECT 1 FROM alerts b WHERE b.id >= r.seq * 1024 AND b.id < a.id),
                (SELECT times FROM repeats t WHERE t.alert = a.id), (SELECT last_at FROM repeats t WHERE t.alert = a.id), a.id
         FROM {tables} JOIN sources s ON s.id = r.source LEFT JOIN sources own ON own.id = a.source
         WHERE {condition} AND r.received_at >= ?1 AND (?2 IS NULL OR s.name = ?2 OR own.name = ?2)
         ORDER BY {order} DESC LIMIT ?3"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![filter.since_ms, filter.source, filter.limit as i64])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let mut told = line(row)?;
        if let Some(alert) = row.get(14)? {
            told.receipts = receipts(connection, alert)?;
        }
        // The one alert of this request is internal, so the request has a line beside it.
        let bare = row.get::<_, Option<bool>>(11)? == Some(true) && filter.state.is_none();
        if bare
            && filter
                .source
                .as_ref()
                .is_none_or(|source| *source != told.source)
        {
            let title = without_alert(row)?;
            let beside = Line {
                source: row.get(1)?,
                state: row.get(4)?,
                event_id: None,
                priority: None,
                title,
                repeated: 0,
                last_at: None,
                receipts: Vec::new(),
                ..told.clone()
            };
            lines.extend([told, beside]);
        } else {
            lines.push(told);
        }
    }
    lines.truncate(filter.limit);
    Ok(lines)
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    let event_id = row
        .get::<_, Option<StoredEventId>>(6)?
        .map(|event_id| event_id.shown());
    let rank: Option<i64> = row.get(10)?;
    let event = event_id
        .as_deref()
        .map(|event_id| event(row, 9, event_id, rank.unwrap_or_default()));
    let state: String = row.get(3)?;
    let is_missing = matches!(row.get_ref(9)?, rusqlite::types::ValueRef::Null);
    let title = match &event {
        // Nothing is evicted that is not delivered.
        Some(_) if is_missing && matches!(state.as_str(), "dead" | "pending") => MISSING.to_owned(),
        Some(event) => event.title.clone(),
        None => without_alert(row)?,
    };
    let own: Option<String> = row.get(2)?;
    Ok(Line {
        received_at: rfc3339(row.get(0)?),
        source: own.map_or_else(|| row.get(1), Ok)?,
        state,
        request: request_id_text(row.get_ref(5)?.as_blob()?),
        event_id: event.as_ref().map(|event| event.event_id.clone()),
        priority: rank.map(priority),
        title,
        repeated: row.get::<_, Option<i64>>(12)?.unwrap_or_default(),
        last_at: row.get::<_, Option<i64>>(13)?.map(rfc3339),
        receipts: Vec::new(),
    })
}

/// The destinations that have accepted an alert; to be told that another one has it is no receipt.
fn receipts(connection: &Connection, alert: i64) -> rusqlite::Result<Vec<ListedReceipt>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.name, ifnull(t.receipt, ''), o.name FROM attempts t JOIN destinations d ON d.id = t.destination
         LEFT JOIN fallbacks f ON f.id = t.delivery LEFT JOIN destinations o ON o.id = f.destination
         WHERE t.delivery BETWEEN ?1 AND ?2 AND t.outcome = 'accepted' AND f.reason IS NOT 'taken' ORDER BY t.delivery",
    )?;
    let rows = statement.query_map(delivery_ids(alert), |row| {
        let text = |index| -> rusqlite::Result<String> {
            Ok(String::from_utf8_lossy(row.get_ref(index)?.as_bytes()?).into_owned())
        };
        Ok(ListedReceipt {
            destination: text(0)?,
            receipt: text(1)?,
            fallback_for: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// The text in place of a title where a request has no alert.
fn without_alert(row: &Row<'_>) -> rusqlite::Result<String> {
    let duplicates: i64 = row.get(8)?;
    Ok(match row.get::<_, Option<String>>(7)? {
        Some(reason) => reason,
        None if duplicates > 0 => format!("nothing new: {duplicates} known already"),
        None => "no alerts".to_owned(),
    })
}
