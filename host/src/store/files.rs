//! The files of a store: one gateway for each data directory, and whether the files that SQLite has
//! open are those that stand in the store's place.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{StoreError, permissions};

/// Held as long as the writer lives; the operating system gives it back when the process dies,
/// however it dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The time for which a held lock is tried again. A program that was started by the last holder
/// keeps the lock from its fork until its exec, which can be after the holder's death.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes `data_dir` (mode 0700) where it is not there, and locks it against a second gateway.
pub fn acquire(data_dir: &Path) -> Result<Lock, StoreError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        let fix = "data_dir must be a folder that this user may write to, on a disk that is not read-only";
        StoreError::Disk(format!(
            "cannot {what} {}: {error}; {fix}",
            data_dir.display()
        ))
    };
    if !data_dir.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(|error| failed("make", &error))?;
        // What is in a folder survives a power cut only where the folder itself does.
        let above = data_dir
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        sync_folder(above).map_err(|error| failed("make", &error))?;
    }
    permissions::repair(data_dir)?;
    let lock = data_dir.join("lock");
    length(&lock)
        .map_err(|error| StoreError::Disk(format!("{}: {error}: move it away", lock.display())))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock)
        .map_err(|error| failed("write into", &error))?;
    let given_up = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < given_up => pause(),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &error)),
        }
    }
}

/// Waits a moment before the lock is tried again.
#[allow(
    clippy::disallowed_methods,
    reason = "a store is opened before anything else runs, and there is no timer for a held lock"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Syncs a folder: the names of its files survive a power cut then.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The store's file and its log, as they were when they were opened.
#[derive(Debug)]
pub struct Place {
    files: [(PathBuf, Inode); 2],
}

/// Device and number: the same as long as it is the same file, whatever its name.
type Inode = (u64, u64);

impl Place {
    /// Takes down where they are, once both are open.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where they are not there.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let known = |path: PathBuf| match inode(&path) {
            Some(inode) => Ok((path, inode)),
            None => Err(StoreError::Moved(path)),
        };
        Ok(Self {
            files: [known(path.to_owned())?, known(log(path))?],
        })
    }

    /// Checks that they still stand there.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where one does not.
    pub fn check(&self) -> Result<(), StoreError> {
        match self
            .files
            .iter()
            .find(|(path, known)| inode(path) != Some(*known))
        {
            Some((path, _)) => Err(StoreError::Moved(path.clone())),
            None => Ok(()),
        }
    }
}

fn inode(path: &Path) -> Option<Inode> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// Returns the path of the log of the latest changes.
pub fn log(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// Returns the length of a file; none where nothing stands in its place.
///
/// # Errors
/// Something stands there that is no file, such as a pipe, whose opening would wait for its other
/// end; or what the disk said.
pub fn length(path: &Path) -> std::io::Result<Option<u64>> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(std::io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a file",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says what is wrong with the files that SQLite keeps beside a database, where one is no file.
pub fn misplaced(path: &Path) -> Option<String> {
    let besides = ["-wal", "-shm"].map(|ending| beside(path, ending));
    besides.iter().find_map(|path| match length(path) {
        Err(error) => Some(format!("{}: {error}", path.display())),
        Ok(_) => None,
    })
}

/// The file beside another, whose name ends so in addition.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
