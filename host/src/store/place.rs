//! Whether the files that SQLite has open are those that stand in the store's place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{StoreError, schema};

/// The store's file and its log, as they were when they were opened.
#[derive(Debug)]
pub struct Place {
    files: [(PathBuf, Inode); 2],
}

/// Device and number: the same as long as it is the same file, whatever its name.
type Inode = (u64, u64);

impl Place {
    /// To be asked for when both are open.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let known = |path: PathBuf| match inode(&path) {
            Some(inode) => Ok((path, inode)),
            None => Err(StoreError::Moved(path)),
        };
        Ok(Self { files: [known(path.to_owned())?, known(schema::log(path))?] })
    }

    /// Whether they still stand there.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.files.iter().find(|(path, known)| inode(path) != Some(*known)) {
            Some((path, _)) => Err(StoreError::Moved(path.clone())),
            None => Ok(()),
        }
    }
}

fn inode(path: &Path) -> Option<Inode> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}
