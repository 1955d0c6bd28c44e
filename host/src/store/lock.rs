//! One gateway per data directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::StoreError;

/// Held as long as the writer lives; the operating system gives it back when the process dies, however it dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Makes `data_dir` (mode 0700) where it is not there, and locks it against a second gateway.
pub fn acquire(data_dir: &Path) -> Result<Lock, StoreError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Disk(format!("cannot {what} {}: {error}", data_dir.display()))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| failed("make", &error))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(data_dir.join("lock"))
        .map_err(|error| failed("write into", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", &error)),
    }
}
