//! Opening the file of a spool, or whatever stands in its place.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::amount::Amount;
use super::error::SpoolError;
use crate::store::{files, tables};

/// The name of the file in the data directory.
const FILE: &str = "spool.db";

/// The number of the tables, in `PRAGMA user_version`.
const SCHEMA: i64 = 1;

const TABLES: &str = "
CREATE TABLE requests (
    n        INTEGER PRIMARY KEY,  -- order of arrival
    id       TEXT NOT NULL,        -- UUIDv7, as answered to the sender
    source   TEXT NOT NULL,
    bytes    INTEGER NOT NULL,     -- what it counts for the bound of the spool
    unproven INTEGER,              -- bytes of a failed request whose sender has proved nothing; else NULL
    kept     TEXT NOT NULL,        -- JSON: the request but for its body, and what was read from it
    body     BLOB NOT NULL,
    fault    TEXT                  -- why the database does not take it; NULL: it waits
) STRICT;
CREATE INDEX requests_unproven ON requests (source) WHERE unproven IS NOT NULL;";

/// Returns the path of the spool's file within a data directory.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Returns whether a spool stands in a data directory.
pub fn is_there(data_dir: &Path) -> bool {
    path_in(data_dir).exists()
}

/// Opens the file for writing, making it where it is not there.
///
/// # Errors
/// [`SpoolError::Unusable`] and [`SpoolError::Damaged`] with what is wrong; otherwise what the disk
/// said.
pub fn open(path: &Path) -> Result<Connection, SpoolError> {
    make(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let found = version(&connection, path)?;
    let set = |name, value: &str| {
        connection.pragma_update_and_check(None, name, value, |row| row.get::<_, String>(0))
    };
    if found == 0 {
        // What was handed over is given back to the disk.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    if set("journal_mode", "WAL")? != "wal" {
        let why = "SQLite cannot keep its log there: data_dir must be on a disk of this machine";
        return Err(SpoolError::Failed(why.to_owned()));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    if found == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.commit()?;
    }
    let whole: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(SpoolError::Damaged(whole));
    }
    Ok(connection)
}

/// Returns the amount that a gateway has left in the spool of a data directory; nothing where there
/// is no spool.
///
/// # Errors
/// As [`open`].
pub fn look(data_dir: &Path) -> Result<Option<Amount>, SpoolError> {
    let path = path_in(data_dir);
    if found(&path)?.is_none() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    match version(&connection, &path)? {
        0 => Ok(Some(Amount::default())),
        _ => amount(&connection).map(Some),
    }
}

/// Returns the length of what stands in the place of a spool; none where nothing does.
fn found(path: &Path) -> Result<Option<u64>, SpoolError> {
    if let Some(why) = files::misplaced(path) {
        return Err(unusable(path, &why));
    }
    files::length(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => unusable(path, &error.to_string()),
        _ => SpoolError::Failed(format!("cannot read {}: {error}", path.display())),
    })
}

/// Makes an empty file that its owner alone can read, where there is none.
fn make(path: &Path) -> Result<(), SpoolError> {
    let failed = |error: std::io::Error| {
        SpoolError::Failed(format!("cannot make {}: {error}", path.display()))
    };
    let length = found(path)?.unwrap_or(0);
    // SQLite removes the log beside an empty file.
    let has_log = files::log(path).metadata().is_ok_and(|log| log.len() > 0);
    if length == 0 && has_log {
        let why =
            "it is empty or missing, while the log of its latest changes stands beside its place";
        return Err(unusable(path, why));
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    // The name of a file survives a power cut only where the folder does.
    let folder = path.parent().unwrap_or(Path::new("."));
    files::sync_folder(folder).map_err(failed)
}

/// Sets what each connection needs, and returns the number of the tables; 0 where there are none.
fn version(connection: &Connection, path: &Path) -> Result<i64, SpoolError> {
    connection.busy_timeout(tables::BUSY)?;
    tables::harden(connection).map_err(|error| SpoolError::Failed(error.to_string()))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_empty = !connection
        .prepare("SELECT 1 FROM sqlite_schema")?
        .exists([])?;
    match found {
        SCHEMA => Ok(SCHEMA),
        0 if is_empty => Ok(0),
        newer if newer > SCHEMA => Err(unusable(
            path,
            &format!("a newer gateway wrote it (schema {newer}): run that one"),
        )),
        _ => Err(unusable(path, "it is a database of another program")),
    }
}

fn unusable(path: &Path, why: &str) -> SpoolError {
    SpoolError::Unusable {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

/// Returns the amount that is in it.
///
/// # Errors
/// The disk's.
pub fn amount(connection: &Connection) -> Result<Amount, SpoolError> {
    let select = "SELECT count(*), ifnull(sum(bytes), 0) FROM requests";
    let (requests, bytes): (i64, i64) =
        connection.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Amount {
        requests: requests.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
    })
}
