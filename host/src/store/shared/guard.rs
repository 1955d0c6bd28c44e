//! The takeover guard: it keeps an alert that a former leader may still send from arriving after a
//! younger one of its key.
//!
//! A lease cannot fence a destination: a gateway may be paused between its last look at the lease
//! and its write to the socket, and goes on with that write when it wakes. So where a leader did
//! not give its lease back, the next one takes down the keys with a delivery due. It makes those
//! deliveries at once: the destination takes them as updates. Younger alerts of these keys wait
//! until the former leader has nothing under way and says so, or the quarantine is over.

use std::sync::Arc;

use rusqlite::params;
use rusqlite::types::Value;

use super::schema::{self, integer};
use crate::clock::Clock;
use crate::store::postgres::{BEGIN, Link};
use crate::store::step::Step;
use crate::store::{SharedStore, StoreError};

/// Takes down a leader that did not give its lease back, and the keys with a delivery due; within the
/// transaction of the takeover.
///
/// # Errors
/// The database's.
pub fn begin(link: &Link, node: &str, instance: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO formers (instance, node) VALUES (?, ?) ON CONFLICT DO NOTHING";
    link.execute(sql, &[instance.to_owned().into(), node.to_owned().into()])?;
    let sql = "INSERT INTO guarded (ordering_key, destination)
               SELECT ordering_key, destination FROM queue WHERE due_at IS NOT NULL ON CONFLICT DO NOTHING";
    let keys = link.execute(sql, &[])?;
    tracing::warn!(
        node,
        keys,
        "the former leader did not give its lease back; younger alerts of the keys with a delivery due wait"
    );
    Ok(())
}

/// Says that nothing of a former leader is under way any more.
///
/// # Errors
/// The database's.
pub fn gone(link: &Link, instance: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM formers WHERE instance = ?";
    link.execute(sql, &[instance.to_owned().into()])?;
    Ok(())
}

/// Says so of a gateway by its name, on an operator's word. Returns whether it was waited for.
///
/// # Errors
/// The database's.
pub fn is_gone(shared: &SharedStore, node: &str) -> Result<bool, StoreError> {
    let link = Link::new(Arc::clone(&shared.address));
    schema::expect(&link)?;
    let sql = "DELETE FROM formers WHERE node = ?";
    Ok(link.execute(sql, &[node.to_owned().into()])? > 0)
}

/// The state of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing is guarded.
    Down,
    /// A former leader is waited for.
    Waits,
    /// No former leader is waited for any more, and what is younger may go.
    Over,
}

/// Looks at the guard.
///
/// # Errors
/// The database's.
pub fn look(link: &Link) -> Result<Guard, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM formers), (SELECT count(*) FROM (SELECT 1 FROM guarded LIMIT 1) any_key)";
    let rows = link.query(sql, &[])?;
    let counts: Vec<_> = rows.into_iter().flatten().filter_map(integer).collect();
    Ok(match counts[..] {
        [0, 0] => Guard::Down,
        [formers, keys] if formers > 0 && keys > 0 => Guard::Waits,
        _ => Guard::Over,
    })
}

/// Ends the guard. Makes due the oldest behind it of each key with nothing due still.
///
/// # Errors
/// The database's.
pub fn end(link: &Link, instance: &str, clock: Clock) -> Result<(), StoreError> {
    link.begin(BEGIN)?;
    let ended = (|| {
        let mine = "SELECT 1 FROM leases WHERE name = 'leader' AND instance = ?";
        // Another one that has taken over ends it itself.
        if link.query(mine, &[instance.to_owned().into()])?.is_empty() {
            return Ok(0);
        }
        // One still due goes first, also before an older one sent again meanwhile.
        let sql = "UPDATE queue SET due_at = ? WHERE due_at IS NULL AND id IN (
                       SELECT min(q.id) FROM queue q
                       JOIN guarded g ON g.ordering_key = q.ordering_key AND g.destination = q.destination
                       GROUP BY q.ordering_key, q.destination HAVING count(q.due_at) = 0)";
        link.execute(sql, &[Value::Integer(clock.now_ms())])?;
        link.execute("DELETE FROM guarded", &[])?;
        link.execute("DELETE FROM formers", &[])?;
        // All gateways hear of it.
        link.execute("UPDATE writer SET commits = commits + 1", &[])
    })();
    match ended {
        Ok(_) => link.commit(),
        Err(error) => {
            link.roll_back();
            Err(error)
        }
    }
}

/// Returns whether a key is guarded: what is younger of it is not due.
///
/// # Errors
/// The database's.
pub fn holds(step: &Step<'_>, ordering_key: i64, destination: i64) -> Result<bool, StoreError> {
    if !step.guarded {
        return Ok(false);
    }
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM guarded WHERE ordering_key = ? AND destination = ?)",
    )?;
    Ok(select.query_row(params![ordering_key, destination], |row| row.get(0))?)
}
