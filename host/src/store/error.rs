//! The errors of the store, and the state that each of them leaves.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// In every case nothing was confirmed, and nothing that was confirmed before is lost.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room left. The group was rolled back; the store works again as soon as there
    /// is room.
    #[error("the disk is full: make room on it; nothing needs to be restarted")]
    Full,
    /// The disk said no for another reason. The group was rolled back; the store works again as
    /// soon as the disk does.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// The disk gave back something else than was written to it. The group was rolled back.
    #[error(
        "the store is damaged ({0}): see what `alert-gateway store check` finds; a backup may have to be restored"
    )]
    Damaged(String),
    /// One row would not do. What else was in the group was kept.
    #[error("a row of the store cannot be used ({0}): see what `alert-gateway store check` finds")]
    Row(String),
    /// The file was moved, removed or replaced since it was opened. The group was rolled back.
    #[error(
        "{} was moved, removed or replaced while the gateway runs, so nothing more can be kept in it: put it back, or \
         restart the gateway",
        .0.display()
    )]
    Moved(PathBuf),
    /// Too much waits for the disk already, or another process holds the file for long.
    #[error(
        "the store is busy: too many requests wait for the disk, or another program holds {}",
        super::FILE
    )]
    Busy,
    /// The source has as many failed requests as it may have whose senders have proved nothing.
    /// This one was not kept.
    #[error(
        "source {0} has too many failed requests that nobody has proved: fix the plugin and replay them, or dismiss them \
         (`alert-gateway events dismiss --failed --source {0}`)"
    )]
    Unproven(String),
    /// The database cannot be reached, or takes no writes. The group was rolled back; the store
    /// works again as soon as the database does.
    #[error("the database does not answer: {0}")]
    Away(String),
    /// The database answers, and cannot be used as it is. Nothing was changed.
    #[error("the database cannot be used: {0}")]
    Refused(String),
    /// The connection was lost within a commit. The writer asks until it knows.
    #[error("the database may have kept it or not: {0}")]
    Unknown(String),
    /// Another gateway has taken over what this one did. Nothing was changed.
    #[error("another gateway has taken over: {0}")]
    Lost(String),
    /// The gateway is stopping.
    #[error("the store is closed")]
    Closed,
    /// Another process holds the data directory. Nothing was opened.
    #[error("another gateway uses {}: stop it, or give this one a data_dir of its own", .0.display())]
    Locked(PathBuf),
    /// What stands in the store's place is no store of this gateway, or a damaged one. Nothing was
    /// changed.
    #[error(
        "{} is not a store that can be opened: {why}. Nothing was changed. Restore a backup in its place (`alert-gateway \
         store backup --help` says how), or move it away together with the files -wal and -shm beside it to begin with \
         an empty store: what it holds is then not delivered",
        .path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The fault that was found.
        why: String,
    },
    /// Another user of the machine can read or change what is kept. Nothing was opened.
    #[error(
        "{} {found}: let it and all in it belong to the user that the gateway runs as (chown -R), readable by that user \
         alone (chmod -R go-rwx), or name another data_dir",
        .path.display()
    )]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// The finding.
        found: String,
    },
    /// The file was written by a newer gateway. Nothing was changed.
    #[error(
        "the store has schema {found}, and this gateway knows up to {known}: run the newer gateway that wrote it. Or, to go \
         back, stop, move the store away, and put the copy that the upgrade has left beside it, gateway.db.schema-{known}, \
         in its place as gateway.db: what came in since is not in it"
    )]
    Newer {
        /// The schema of the file.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file was written by an older gateway. Nothing was changed.
    #[error(
        "the store has schema {found}, and this program reads {known}: start the gateway once, which brings it up"
    )]
    Older {
        /// The schema of the file.
        found: i64,
        /// The one that this program reads.
        known: i64,
    },
    /// The file is not there. Nothing was made.
    #[error("there is no store at {}: has the gateway run with this configuration yet?", .0.display())]
    Missing(PathBuf),
    /// A backup would have written over a file. It is as it was.
    #[error("{} is there already, and a backup never writes over a file: choose another name", .0.display())]
    Exists(PathBuf),
    /// A store would have been moved over a file. Both are as they were.
    #[error(
        "{} is there already, and a store is never moved over a file: move it away, or remove it where you need it no \
         more",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// Requests wait in the spool for the database that is to be moved away. Nothing was changed.
    #[error(
        "{0} wait in the spool of this gateway, and go into the database first: start the gateway once with it, and stop it \
         in order"
    )]
    Spooled(String),
    /// The tables in the database were changed by a newer gateway, and this one may not write into
    /// them. Nothing was changed.
    #[error(
        "the database has schema {found}, and this gateway knows up to {known}: run a gateway of the version that the \
         others have, or, to go back, restore a backup of the database from before the upgrade"
    )]
    NewerDatabase {
        /// The schema of the tables.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
}

impl StoreError {
    /// The kind of failure, in a word: a line about one kind must not hide another.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Damaged(_) => "damaged",
            Self::Row(_) => "row",
            Self::Moved(_) => "moved",
            Self::Busy => "busy",
            Self::Away(_) => "away",
            Self::Lost(_) => "lost",
            Self::Unproven(_) => "unproven",
            _ => "failed",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let error = match error {
            // Of PostgreSQL, packed on the way here.
            rusqlite::Error::UserFunctionError(packed) => match packed.downcast() {
                Ok(error) => return *error,
                Err(other) => rusqlite::Error::UserFunctionError(other),
            },
            other => other,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            // SQLite refused a row, or had one of a shape that no row has; the disk is well.
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
            | None => Self::Row(error.to_string()),
            _ => Self::Disk(error.to_string()),
        }
    }
}
