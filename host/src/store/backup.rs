//! A copy of the store, made while the gateway works.
//!
//! `VACUUM INTO` writes what one read transaction sees, so the copy is of one moment, and whole: no
//! log belongs to it. It takes only the room that is in use. Meanwhile the log of the store cannot
//! be folded in, and grows with what comes.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::{NamedTempFile, PersistError, TempDir};

use super::check::{self, Depth, Report};
use super::files::sync_folder;
use super::stop::Stop;
use super::{StoreError, preflight};

/// A backup that can be made.
#[derive(Debug)]
pub struct Backup {
    source: Connection,
    /// Removed when this is dropped, unless it has become the backup.
    partial: NamedTempFile,
    scratch: TempDir,
    folder: PathBuf,
    target: PathBuf,
    stop: Stop,
}

/// The result of a backup.
#[derive(Debug)]
pub struct Written {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The findings of a check of the file.
    pub report: Report,
}

impl Backup {
    /// Prepares to copy the store at `source` into the new file `target`.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where there is a file, [`StoreError::Missing`] where there is no
    /// store, or what the disk said.
    pub fn prepare(source: &Path, target: &Path) -> Result<Self, StoreError> {
        let failed =
            |error| StoreError::Disk(format!("cannot write {}: {error}", target.display()));
        let target = std::path::absolute(target).map_err(failed)?;
        if target.symlink_metadata().is_ok() {
            return Err(StoreError::Exists(target));
        }
        let stop = Stop::default();
        let mut source =
            preflight::look(source)?.ok_or_else(|| StoreError::Missing(source.to_owned()))?;
        stop.watches(&mut source)?;
        let folder = target.parent().map(Path::to_owned).unwrap_or_default();
        // Beside the backup, so that it can take its name in one step, and with a name that tells
        // what it is. In a folder, as SQLite may leave a journal beside it.
        let name = target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let scratch = tempfile::Builder::new()
            .prefix(&format!("{name}."))
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&folder)
            .map_err(failed)?;
        let partial = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(scratch.path())
            .map_err(failed)?;
        Ok(Self {
            source,
            partial,
            scratch,
            folder,
            target,
            stop,
        })
    }

    /// Returns a handle to stop [`Self::write`] from another thread.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Copies, waits for the disk, checks the copy, and gives it its name.
    ///
    /// # Errors
    /// The disk's error, or the interruption; there is no file then.
    pub fn write(self) -> Result<Written, StoreError> {
        let Self {
            source,
            partial,
            scratch,
            folder,
            target,
            stop,
        } = self;
        let failed =
            |error| StoreError::Disk(format!("cannot write {}: {error}", target.display()));
        let path = partial.path().to_str().ok_or_else(|| {
            StoreError::Disk(format!(
                "cannot write {}: SQLite takes UTF-8 names only",
                target.display()
            ))
        })?;
        source.execute("VACUUM INTO ?", [path])?;
        File::open(partial.path())
            .and_then(|copy| copy.sync_all())
            .map_err(failed)?;
        let report = check::check_until(partial.path(), Depth::IntegrityCheck, &stop)?;
        stop.check()?;
        partial
            .persist_noclobber(&target)
            .map_err(|PersistError { error, .. }| match error.kind() {
                std::io::ErrorKind::AlreadyExists => StoreError::Exists(target.clone()),
                _ => failed(error),
            })?;
        scratch.close().map_err(failed)?;
        sync_folder(&folder).map_err(failed)?;
        let bytes = target.metadata().map_err(failed)?.len();
        let report = Report {
            path: target.clone(),
            ..report
        };
        Ok(Written {
            path: target,
            bytes,
            report,
        })
    }
}
