//! The copy of an older store, made before it is brought up: the way back to the older gateway.
//!
//! It stands beside the store as `gateway.db.schema-3`, say, and is removed at a start after the age
//! of retention, as it holds what retention removes from the store.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::StoreError;
use super::files::{beside, sync_folder};

/// The ending of a copy's name, before the number of its schema.
const ENDING: &str = ".schema-";
/// The ending of a copy that is not whole.
const PARTIAL: &str = ".partial";

/// Copies the store that a connection reads. One of the same schema that is there already is
/// replaced.
///
/// # Errors
/// What the disk said. The store is as it was.
pub fn keep(
    connection: &Connection,
    path: &Path,
    version: i64,
    sync: bool,
) -> Result<PathBuf, StoreError> {
    let started = Instant::now();
    let copy = beside(path, &format!("{ENDING}{version}"));
    let partial = beside(&copy, PARTIAL);
    let failed = |error: std::io::Error| {
        StoreError::Disk(format!("cannot write {}: {error}", copy.display()))
    };
    remove(&partial).map_err(failed)?;
    let written = (|| {
        // SQLite would make the file readable by all that the umask allows.
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&partial)
            .map_err(failed)?;
        let name = partial.to_str().ok_or_else(|| {
            StoreError::Disk(format!(
                "cannot write {}: SQLite takes UTF-8 names only",
                partial.display()
            ))
        })?;
        connection.execute("VACUUM INTO ?", [name])?;
        if sync {
            file.sync_all().map_err(failed)?;
        }
        fs::rename(&partial, &copy).map_err(failed)?;
        match copy.parent().filter(|_| sync) {
            Some(folder) => sync_folder(folder).map_err(failed),
            None => Ok(()),
        }
    })();
    if let Err(error) = written {
        // The error is what matters; what is left is removed at the next try.
        drop(remove(&partial));
        return Err(match error {
            StoreError::Full => StoreError::Disk(format!(
                "there is no room for {}, the copy that is made before a store of an older schema is brought up: make \
                 room, or start once with `alert-gateway run --no-copy` if you have a backup. Nothing was changed",
                copy.display()
            )),
            error => error,
        });
    }
    tracing::info!(
        copy = %copy.display(),
        took_ms = started.elapsed().as_millis() as u64,
        "the store was copied before it is brought up to a newer schema; the copy is the way back to the older gateway"
    );
    Ok(copy)
}

/// Removes the copies that are older than this age. They are counted from the time when they were
/// made.
pub fn sweep(path: &Path, age: Duration) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!("{}{ENDING}", name.to_string_lossy());
    let entries = folder.read_dir().into_iter().flatten().flatten();
    for entry in entries {
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let file = entry.path();
        let made = File::open(&file).and_then(|file| file.metadata()?.modified());
        let is_old = made.is_ok_and(|made| made.elapsed().is_ok_and(|passed| passed > age));
        if !is_old {
            continue;
        }
        match remove(&file) {
            Ok(()) => {
                tracing::info!(copy = %file.display(), "the copy of an older store was removed: it is older than retention's age");
            }
            Err(error) => {
                tracing::warn!(copy = %file.display(), %error, "the copy of an older store cannot be removed");
            }
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
