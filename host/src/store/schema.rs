//! The tables, and how older ones become these.
//!
//! `PRAGMA user_version` holds the number of the schema. A new store is made under another name and
//! renamed when it is whole, so that there is none, or one with all its tables. One of schema 1 or
//! 2 is brought up in the same way: it is copied into a new file, which takes its name when it is
//! whole and on disk. So a crash in the midst leaves the older store as it was, and the new file
//! has what only a new one can have: pages that are given back to the disk. The copy takes as much
//! room as the store, and some seconds for each GiB; the log says so. One of schema 3 or later is
//! brought up in place, each step in one transaction. A copy of the older store is made before
//! either (`older`), as no gateway reads a schema that is newer than its own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::files::{beside, log, sync_folder};
use super::tables::{BUSY, IN_PLACE, OLDER, VERSION, harden, make, migrate, step_up, version};
use super::{StoreError, functions, older, preflight};

/// The migration of rows from schema 2.
const COPY: &str = include_str!("schema/from_2.sql");

/// The pages of a log that are worth a checkpoint. Rarer is cheaper, as hot pages are copied once
/// for many commits; 16 MB of log are read again at a start in a few milliseconds.
pub const CHECKPOINT_PAGES: i32 = 2048;

/// The time a command that reads the store of another process may take for a question.
pub const READ_TIME: Duration = Duration::from_secs(60);

/// Opens the file for writing, making it where it is not there, and brings it to the newest schema.
/// An older one is copied first, if `copies` says so.
pub fn open(path: &Path, sync: bool, copies: bool) -> Result<Connection, StoreError> {
    // SQLite would silently make do with a file that it may only read. This comes before SQLite has
    // the file open: whoever closes a file gives back every lock that the process has on it,
    // SQLite's as well, and without these another program that opens the store would fold in its
    // log and remove it under our feet.
    if path.is_file() {
        OpenOptions::new().write(true).open(path).map_err(|error| {
            let fix = "the gateway must own it and be allowed to write to it (chown, chmod 600)";
            StoreError::Disk(format!(
                "cannot write to {}: {error}; {fix}",
                path.display()
            ))
        })?;
    }
    // Kept until the other one has read the log, so that it is read once.
    let mut found = preflight::look(path)?;
    match &found {
        None => build(path, sync, |_| Ok(()))?,
        Some(connection) => {
            let version = version(connection)?;
            if version < VERSION && copies {
                older::keep(connection, path, version, sync)?;
            }
            if version < IN_PLACE {
                // SQLite leaves a log only where no connection is open.
                found = None;
                upgrade(path, version, sync)?;
            }
        }
    }
    // Its owner uses it from one thread at a time.
    let mut connection = open_beside(path, sync)?;
    if version(&connection)? < VERSION {
        step_up(&mut connection)?;
        // The file itself has the new number from here on, and not only its log: a package of an
        // older gateway reads it there.
        connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))?;
    }
    // From the first look on, SQLite holds the lock that keeps other programs from removing the
    // log.
    version(&connection)?;
    drop(found);
    Ok(connection)
}

/// Makes a store of the newest schema under another name, has `fill` write into it, and gives it
/// its name.
pub fn build(
    path: &Path,
    sync: bool,
    fill: impl FnOnce(&mut Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| {
        StoreError::Disk(format!("cannot make {}: {error}", path.display()))
    };
    let fresh = beside(path, ".new");
    let leftovers = [
        fresh.clone(),
        beside(&fresh, "-journal"),
        log(&fresh),
        beside(&fresh, "-shm"),
    ];
    // A crash in the midst of this leaves some of them behind.
    let clear = || {
        for left in &leftovers {
            match std::fs::remove_file(left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(error));
                }
                _ => {}
            }
        }
        Ok(())
    };
    clear()?;
    // SQLite would make the file readable by all that the umask allows; it holds phone numbers and
    // message texts.
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    let made = (|| {
        let mut connection = Connection::open(&fresh)?;
        // Rows are 1 to 3 KB: two or three to a page. Both must precede the first table.
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        // What fails halfway is removed, so there is nothing to roll back.
        connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -64_000)?;
        make(&mut connection, VERSION)?;
        connection.pragma_update(None, "user_version", VERSION)?;
        fill(&mut connection)?;
        connection
            .close()
            .map_err(|(_, error)| StoreError::from(error))
    })();
    if let Err(error) = made {
        drop(clear());
        return Err(error);
    }
    if sync {
        file.sync_all().map_err(failed)?;
    }
    std::fs::rename(&fresh, path).map_err(failed)?;
    match path.parent().filter(|_| sync) {
        Some(folder) => sync_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Puts a store of the newest schema in the place of an older one.
fn upgrade(path: &Path, found: i64, sync: bool) -> Result<(), StoreError> {
    let bytes = path.metadata().map_or(0, |file| file.len());
    let started = Instant::now();
    tracing::warn!(
        found,
        newest = VERSION,
        bytes,
        "the store has an older schema: it is copied into a new file, which takes as much room again and some seconds for each \
        GiB. The older one stays as it is until that is whole"
    );
    let mut old = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    old.busy_timeout(BUSY)?;
    // No log may be left beside the new file. Another program that has the store open is waited
    // for.
    let mode: String =
        old.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
    if mode != "delete" {
        return Err(StoreError::Busy);
    }
    migrate(&mut old, &OLDER)?;
    // From here on no other process changes it, so that `events replay` cannot write into what is
    // about to go.
    let held = old.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let copied = build(path, sync, |connection| {
        let name = path.to_str().ok_or_else(|| {
            StoreError::Disk(format!(
                "cannot bring up {}: SQLite takes UTF-8 names only",
                path.display()
            ))
        })?;
        functions::add(connection)?;
        // Somebody may have written rows into it that refer to nothing; `store check` tells of
        // them.
        connection.pragma_update(None, "foreign_keys", false)?;
        connection.execute("ATTACH ? AS old", [name])?;
        Ok(connection.execute_batch(&format!("BEGIN; {COPY} COMMIT; DETACH old"))?)
    });
    copied.map_err(|error| match error {
        StoreError::Full => StoreError::Disk(format!(
            "there is no room to bring up {}: it takes {bytes} bytes more until it is done. Nothing was changed",
            path.display()
        )),
        error => error,
    })?;
    drop(held);
    let took_ms = started.elapsed().as_millis() as u64;
    tracing::info!(
        newest = VERSION,
        took_ms,
        "the store was brought up; nothing of it was lost"
    );
    Ok(())
}

/// Sets what a connection for writing needs.
fn prepare(connection: &Connection, sync: bool) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    harden(connection)?;
    // A restored backup is in another mode; and where there can be no log, SQLite keeps the other
    // mode without an error.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why = "SQLite cannot keep its log (WAL) there; data_dir must be on a disk of this machine, not on a network's";
        return Err(StoreError::Disk(why.to_owned()));
    }
    connection.pragma_update(None, "synchronous", if sync { "FULL" } else { "OFF" })?;
    // 16 MB of pages. The queue and its indexes stay in it; the whole history need not.
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Opens the file once more for writing, within the process that has it open.
pub fn open_beside(path: &Path, sync: bool) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, sync)?;
    Ok(connection)
}

/// Opens the file for reading only, within the process that has it open for writing.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -4_000)?;
    Ok(connection)
}

/// Opens the file for reading only, whoever wrote it: it is looked at first, as a gateway does, and
/// no question takes longer than a minute.
pub fn open_foreign(path: &Path) -> Result<Connection, StoreError> {
    drop(preflight::look(path)?.ok_or_else(|| StoreError::Missing(path.to_owned()))?);
    let mut connection = open_reader(path)?;
    let deadline = Instant::now() + READ_TIME;
    connection.progress_handler(10_000, Some(move || Instant::now() > deadline))?;
    Ok(connection)
}

/// Opens an existing file of this program's schema.
pub fn open_existing(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    harden(&connection)?;
    match version(&connection)? {
        0 => Err(StoreError::Missing(path.to_owned())),
        VERSION => Ok(connection),
        found => Err(StoreError::Older {
            found,
            known: VERSION,
        }),
    }
}

#[cfg(test)]
mod tests;
