//! What can go wrong with the store, and what holds afterwards.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// In every case nothing was confirmed, and nothing that was confirmed before is lost.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room left. The group was rolled back; the store works again as soon as there is room.
    #[error("the disk is full")]
    Full,
    /// The disk said no for another reason. The group was rolled back.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// Too much waits for the disk already, or another process holds the file for long.
    #[error("the store is busy: too many requests wait for the disk, or another program holds {}", super::FILE)]
    Busy,
    /// The gateway is stopping.
    #[error("the store is closed")]
    Closed,
    /// Another process holds the data directory. Nothing was opened.
    #[error("another gateway uses {}: stop it, or give this one a data_dir of its own", .0.display())]
    Locked(PathBuf),
    /// The file was written by a newer gateway. Nothing was changed.
    #[error("the store has schema {found}, and this gateway knows up to {known}: run the newer gateway that wrote it")]
    Newer {
        /// The schema of the file.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is not there. Nothing was made.
    #[error("there is no store at {}: has the gateway run with this configuration yet?", .0.display())]
    Missing(PathBuf),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Disk(error.to_string()),
        }
    }
}
