//! Root reads the store as the user that owns it.
//!
//! The rows of a store came from senders, and other programs may run as the file's user. So a
//! command started by root gives its privileges up before it opens the file, where that user can
//! reach the file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use rustix::process::{Gid, Uid, getgroups};
#[cfg(target_os = "linux")]
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::Failure;
use crate::store;
#[cfg(not(target_os = "linux"))]
use whole_process::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Gives the privileges of root up for the rest of this process, in favour of the owner of the data
/// directory. To be called before there is a second thread, because it changes this one and those
/// that it starts.
///
/// # Errors
/// The system did not let it.
pub fn become_owner(data_dir: &Path) -> Result<(), Failure> {
    let Some(owner) = Owner::of(data_dir) else {
        return Ok(());
    };
    let root = owner
        .try_on()
        .context("cannot become the owner of data_dir")?;
    if store::file(data_dir).metadata().is_err() {
        // Such as below /var/lib/private, which only root can enter.
        return Ok(root.again()?);
    }
    // To the root's id first, which may set all of them.
    root.again()?;
    set_thread_groups(&[]).context("cannot leave the groups of root")?;
    set_thread_res_gid(owner.group, owner.group, owner.group)
        .context("cannot take the group of data_dir's owner")?;
    set_thread_res_uid(owner.user, owner.user, owner.user)
        .context("cannot become the owner of data_dir")?;
    Ok(())
}

/// Runs `read` as the owner of the data directory, and goes on as root.
///
/// # Errors
/// Those of `read`, and what the system did not let it.
pub fn as_owner<T>(
    data_dir: &Path,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    as_owner_where(data_dir, &store::file(data_dir), read)
}

/// Runs `write` as the owner of the folder that is to hold `folder`, and goes on as root. It is to
/// wait for nothing, because it changes the thread that it runs on.
///
/// # Errors
/// Those of `write`, and what the system did not let it.
pub fn as_owner_of<T>(
    folder: &Path,
    write: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let whole = std::path::absolute(folder)?;
    let existing = whole.ancestors().find(|folder| folder.is_dir());
    let existing = existing.unwrap_or(&whole);
    as_owner_where(existing, existing, write)
}

/// Runs `act` as the owner of `folder` where that user can reach `reached`, and goes on as root.
fn as_owner_where<T>(
    folder: &Path,
    reached: &Path,
    act: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(owner) = Owner::of(folder) else {
        return act();
    };
    let root = owner
        .try_on()
        .context("cannot become the owner of data_dir")?;
    if reached.metadata().is_err() {
        root.again()?;
        return act();
    }
    let outcome = act();
    root.again()?;
    outcome
}

/// Gives a store that root has made to the owner of the data directory.
///
/// # Errors
/// What the system did not let it.
pub fn hand_over(data_dir: &Path) -> Result<(), Failure> {
    let Some(owner) = Owner::of(data_dir) else {
        return Ok(());
    };
    for path in [store::file(data_dir), data_dir.join("lock")] {
        rustix::fs::chown(&path, Some(owner.user), Some(owner.group))
            .with_context(|| format!("cannot give {} to its owner", path.display()))?;
    }
    Ok(())
}

/// Other systems know a user of the whole process alone.
#[cfg(not(target_os = "linux"))]
mod whole_process {
    use rustix::io::{Errno, Result};
    use rustix::process::{Gid, Uid};

    pub fn set_thread_groups(_: &[Gid]) -> Result<()> {
        Err(Errno::NOSYS)
    }

    pub fn set_thread_res_gid<R, E, S>(_: R, _: E, _: S) -> Result<()>
    where
        R: Into<Option<Gid>>,
        E: Into<Option<Gid>>,
        S: Into<Option<Gid>>,
    {
        Err(Errno::NOSYS)
    }

    pub fn set_thread_res_uid<R, E, S>(_: R, _: E, _: S) -> Result<()>
    where
        R: Into<Option<Uid>>,
        E: Into<Option<Uid>>,
        S: Into<Option<Uid>>,
    {
        Err(Errno::NOSYS)
    }
}

/// The owner of a data directory, where this process runs as root and the owner is another user.
struct Owner {
    user: Uid,
    group: Gid,
}

/// The groups of root, while this process acts as another user.
struct Root(Vec<Gid>);

impl Owner {
    fn of(data_dir: &Path) -> Option<Self> {
        let metadata = data_dir.metadata().ok()?;
        let owner = Self {
            user: Uid::from_raw(metadata.uid()),
            group: Gid::from_raw(metadata.gid()),
        };
        (rustix::process::geteuid().is_root() && !owner.user.is_root()).then_some(owner)
    }

    /// Acts as the owner, and can still go back.
    fn try_on(&self) -> anyhow::Result<Root> {
        let root = Root(getgroups()?);
        set_thread_groups(&[])?;
        set_thread_res_gid(None, self.group, None)?;
        set_thread_res_uid(None, self.user, None)?;
        Ok(root)
    }
}

impl Root {
    fn again(&self) -> anyhow::Result<()> {
        set_thread_res_uid(None, Uid::ROOT, None).context("cannot become root again")?;
        set_thread_res_gid(None, Gid::ROOT, None).context("cannot become root again")?;
        set_thread_groups(&self.0).context("cannot become root again")
    }
}
