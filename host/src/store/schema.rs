//! The tables, and how older ones become these.
//!
//! `PRAGMA user_version` holds the number of migrations that have run. Each runs in a transaction with the step of that
//! number, so that a crash in the midst of one leaves the older schema whole. A new store is made under another name and
//! renamed when it is whole, so that there is none, or one with all its tables.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lock::sync_folder;
use super::{StoreError, found};

/// In order; never changed once released, only added to.
pub const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// How long a connection waits for another process, such as `events replay`, that is writing.
pub const BUSY: Duration = Duration::from_secs(5);

/// Opens the file for writing, making it where it is not there, and brings it to the newest schema.
pub fn open(path: &Path, sync: bool) -> Result<Connection, StoreError> {
    // SQLite would silently make do with a file that it may only read. This comes before SQLite has the file open: whoever
    // closes a file gives back every lock that the process has on it, SQLite's as well, and without these another program
    // that opens the store would fold in its log and remove it under our feet.
    if path.is_file() {
        OpenOptions::new().write(true).open(path).map_err(|error| {
            let mend = "the gateway must own it and be allowed to write to it (chown, chmod 600)";
            StoreError::Disk(format!("cannot write to {}: {error}; {mend}", path.display()))
        })?;
    }
    // Kept until the other one has read the log, so that it is read once.
    let found = match found::look(path)? {
        None => {
            create(path, sync)?;
            None
        }
        found => found,
    };
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection, sync)?;
    migrate(&mut connection, MIGRATIONS)?;
    drop(found);
    Ok(connection)
}

/// Makes an empty store.
fn create(path: &Path, sync: bool) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Disk(format!("cannot make {}: {error}", path.display()));
    let fresh = beside(path, ".new");
    // A crash in the midst of this leaves some of them behind.
    for left in [fresh.clone(), beside(&fresh, "-journal"), log(&fresh), beside(&fresh, "-shm")] {
        match std::fs::remove_file(left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    // SQLite would make the file readable by all that the umask allows; it holds phone numbers and message texts.
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(failed)?;
    let mut connection = Connection::open(&fresh)?;
    // Rows are 1 to 3 KB: two or three to a page. Must precede the first table.
    connection.pragma_update(None, "page_size", 8192)?;
    prepare(&connection, sync)?;
    migrate(&mut connection, MIGRATIONS)?;
    // Folds the log into the file.
    connection.close().map_err(|(_, error)| error)?;
    if sync {
        file.sync_all().map_err(failed)?;
    }
    std::fs::rename(&fresh, path).map_err(failed)?;
    match path.parent().filter(|_| sync) {
        Some(folder) => sync_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Sets what a connection for writing needs.
fn prepare(connection: &Connection, sync: bool) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    // A restored backup is in another mode; and where there can be no log, SQLite keeps the other mode without an error.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why =
            "SQLite cannot keep its log (WAL) there; data_dir must be on a disk of this machine, not on a network's";
        return Err(StoreError::Disk(why.to_owned()));
    }
    connection.pragma_update(None, "synchronous", if sync { "FULL" } else { "OFF" })?;
    // 16 MB of pages. The indexes over what is pending stay in it; the whole history need not.
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A checkpoint copies the log into the file and syncs both, and the writer waits for it: rarer is cheaper, as hot pages
    // are copied once for many commits. 16 MB of log is read again at start in a few milliseconds.
    connection.pragma_update(None, "wal_autocheckpoint", 2048)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Opens the file for reading only.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -4_000)?;
    Ok(connection)
}

/// Opens a file that must be there, and whose schema must be this program's.
pub fn open_existing(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    match version(&connection)? {
        0 => Err(StoreError::Missing(path.to_owned())),
        _ => Ok(connection),
    }
}

/// Where the log of the latest changes stands.
pub fn log(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// Runs those of these migrations that have not run.
pub fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let found = version(connection)?;
    for (number, migration) in (1..).zip(migrations).skip_while(|(number, _)| *number <= found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The number of migrations that have run.
///
/// # Errors
/// [`StoreError::Newer`] where this program does not know them all.
pub fn version(connection: &Connection) -> Result<i64, StoreError> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > newest() { Err(StoreError::Newer { found, known: newest() }) } else { Ok(found) }
}

fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_the_newest_schema_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        for _ in 0..2 {
            let connection = open(&path, true).unwrap();
            assert_eq!(version(&connection).unwrap(), newest());
        }
    }

    /// A file as a gateway of the first schema left it, with a request that its plugin failed on and one that it read.
    fn of_the_first_schema(path: &Path) {
        let mut connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        migrate(&mut connection, &MIGRATIONS[..1]).unwrap();
        let rows = "INSERT INTO plugins VALUES (1, 'p', '1', '00');
            INSERT INTO requests VALUES (1, 'r1', 'a', 5, 'failed', 'trap', 1, 0, 'POST', '', '[]', x'01');
            INSERT INTO requests VALUES (2, 'r2', 'a', 6, 'read', NULL, 1, 0, 'POST', '', '[]', x'02');
            INSERT INTO alerts VALUES (2048, 'a', 'e', 'd', 7, 'pending', 6, 0);";
        connection.execute_batch(rows).unwrap();
    }

    fn text(connection: &Connection, sql: &str) -> String {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    const KEPT: &str =
        "SELECT group_concat(id || state || hex(body), ' ') || (SELECT event_id FROM alerts) FROM requests";

    #[test]
    fn a_store_of_the_first_schema_is_brought_up_and_keeps_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        of_the_first_schema(&path);
        for _ in 0..2 {
            let connection = open(&path, true).unwrap();
            assert_eq!(version(&connection).unwrap(), newest());
            assert_eq!(text(&connection, KEPT), "r1failed01 r2read02e");
            assert_eq!(text(&connection, "SELECT name || failed FROM sources"), "a1", "the failed one is counted");
        }
    }

    #[test]
    fn a_migration_that_breaks_off_leaves_the_older_schema_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        // All of the newest one is done, and more, before it breaks off: at an error, or because the process is gone.
        let broken = format!("{} UPDATE requests SET state = 'lost'; SELECT no_such_function();", MIGRATIONS[1]);
        of_the_first_schema(&path);
        let mut connection = Connection::open(&path).unwrap();
        assert!(migrate(&mut connection, &[MIGRATIONS[0], &broken]).is_err());
        assert_eq!((version(&connection).unwrap(), text(&connection, KEPT)), (1, "r1failed01 r2read02e".to_owned()));
        assert!(connection.prepare("SELECT 1 FROM sources").is_err(), "the new table is not there");
        let connection = open(&path, true).unwrap();
        assert_eq!(
            (version(&connection).unwrap(), text(&connection, KEPT)),
            (newest(), "r1failed01 r2read02e".to_owned())
        );
    }

    #[test]
    fn a_file_of_a_newer_gateway_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        open(&path, true).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::Newer { found: 99, .. })));
        assert!(matches!(open_reader(&path), Err(StoreError::Newer { found: 99, .. })));
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made_by_a_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        assert!(matches!(open_reader(&path), Err(StoreError::Missing(_))));
        assert!(!path.exists());
    }

    /// Without it, a program that opens the store and closes it again, as `sqlite3` does for a SELECT, takes itself for the last
    /// one, and removes the log: what is written to that from then on is lost.
    #[test]
    fn the_lock_that_keeps_others_from_removing_the_log_is_held_however_it_was_opened() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        for time in ["made", "opened again"] {
            let _connection = open(&path, true).unwrap();
            let inode = format!(":{} ", path.metadata().unwrap().ino());
            let locks = std::fs::read_to_string("/proc/locks").unwrap();
            assert!(locks.lines().any(|lock| lock.contains("READ") && lock.contains(&inode)), "{time}:\n{locks}");
        }
    }

    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(open(&path, true).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
