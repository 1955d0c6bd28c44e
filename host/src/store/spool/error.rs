//! The errors of a spool, and the state that each of them leaves.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::amount::Amount;
use crate::store::StoreError;

/// In every case the request is not in the spool, and whatever is in it stays there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// No more goes into it until some of it was handed over.
    #[error("it is full: {0} wait in it (spool_size in [store] bounds it)")]
    Full(Amount),
    /// The source has as many failed requests in it as it may have whose senders have proved
    /// nothing.
    #[error("source {0} has too many failed requests in it")]
    Unproven(String),
    /// Something else stands in its place. Nothing was changed.
    #[error(
        "{} is not a spool that can be used: {why}. Nothing was changed. Move it away together with the files -wal and -shm \
         beside it to begin with an empty one: what it holds is then not delivered",
        .path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The fault that was found.
        why: String,
    },
    /// The disk gave back something else than was written to it.
    #[error(
        "its file is damaged ({0}): what can be read of it is delivered once it is repaired or moved away"
    )]
    Damaged(String),
    /// The disk said no. It works again as soon as the disk does.
    #[error("{0}")]
    Failed(String),
    /// The gateway is stopping.
    #[error("it is closed")]
    Closed,
}

impl SpoolError {
    /// The kind of failure, in a word: a line about one kind must not hide another.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full(_) => "full",
            Self::Unproven(_) => "unproven",
            Self::Unusable { .. } => "unusable",
            Self::Damaged(_) => "damaged",
            Self::Failed(_) => "failed",
            Self::Closed => "closed",
        }
    }
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Failed("the disk is full".to_owned()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Failed(format!("the disk failed: {error}")),
        }
    }
}

impl From<SpoolError> for StoreError {
    fn from(error: SpoolError) -> Self {
        Self::Disk(format!("the spool: {error}"))
    }
}
