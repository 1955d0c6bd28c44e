//! The gateways that share a store, as each of them has written itself down.

use crate::store::StoreError;
use crate::store::sql::{Connection, Row};

/// A gateway that has not been seen for longer is silent: it is dead or paused, or its way to the
/// database is cut. Each writes that it lives some ten times meanwhile.
const SILENT_MS: i64 = 5_000;

/// The time by the database's clock: Unix milliseconds. Times of different machines are compared by
/// no other.
pub const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A gateway among those that share a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The digest of its configuration, without addresses and secrets.
    pub configuration: String,
    /// The state.
    pub state: NodeState,
    /// The start of its program, by the database's clock: Unix milliseconds.
    pub started_ms: i64,
    /// The time when it was seen last, by the same clock.
    pub seen_ms: i64,
    /// True if it delivers for all.
    pub leads: bool,
    /// True if it led, and something of it may be under way still: younger alerts wait for it.
    pub is_awaited: bool,
}

/// The state of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It was seen a moment ago.
    Running,
    /// It did not stop in order, and is not seen.
    Silent,
    /// It stopped in order.
    Stopped,
}

impl NodeState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Silent, Self::Stopped];

    /// Returns the word used in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Silent => "silent",
            Self::Stopped => "stopped",
        }
    }
}

/// Returns all gateways that have shared a store, by their names; none where it is a file.
///
/// # Errors
/// The database's.
pub fn all(connection: &Connection) -> Result<Vec<Node>, StoreError> {
    if matches!(connection, Connection::Embedded(_)) {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached(&format!(
        "SELECT g.node, g.version, g.configuration, g.instance <> '', g.started_at, g.seen_at, {NOW},
                EXISTS (SELECT 1 FROM leases l
                        WHERE l.name = 'leader' AND g.instance <> '' AND l.instance = g.instance),
                EXISTS (SELECT 1 FROM formers f WHERE f.node = g.node)
         FROM gateways g ORDER BY g.node"
    ))?;
    let rows = select.query_map([], node)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn node(row: Row<'_>) -> rusqlite::Result<Node> {
    let runs: bool = row.get(3)?;
    let seen_ms: i64 = row.get(5)?;
    let now_ms: i64 = row.get(6)?;
    let state = match runs {
        false => NodeState::Stopped,
        true if now_ms.saturating_sub(seen_ms) > SILENT_MS => NodeState::Silent,
        true => NodeState::Running,
    };
    Ok(Node {
        name: row.get(0)?,
        version: row.get(1)?,
        configuration: row.get(2)?,
        state,
        started_ms: row.get(4)?,
        seen_ms,
        leads: row.get(7)?,
        is_awaited: row.get(8)?,
    })
}
