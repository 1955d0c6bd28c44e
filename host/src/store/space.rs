//! The used part of the file.

use super::StoreError;
use super::sql::Connection;

/// The room that a store takes, in bytes, without the log of its latest changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// The kind of content.
    pub in_use: u64,
    /// Free pages, for later rows.
    pub spare: u64,
}

impl Space {
    /// Returns how much a store takes, as this connection sees it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn of(connection: &Connection) -> Result<Self, StoreError> {
        // The room of a database is its operator's.
        if matches!(connection, Connection::Postgres(_)) {
            return Ok(Self::default());
        }
        let pragma = |name: &str| -> Result<u64, StoreError> {
            let number: i64 = connection
                .prepare_cached(name)?
                .query_row([], |row| row.get(0))?;
            Ok(number.unsigned_abs())
        };
        let pages = pragma("PRAGMA page_count")?;
        let free = pragma("PRAGMA freelist_count")?;
        let size = pragma("PRAGMA page_size")?;
        Ok(Self {
            in_use: pages.saturating_sub(free) * size,
            spare: free * size,
        })
    }
}
