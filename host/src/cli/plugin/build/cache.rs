//! The target folder of plugins: one for all plugins of this user, so that their common
//! dependencies (nearly all of the time) are compiled once.
//!
//! Cargo tells packages of one workspace apart by name and version, wherever the workspace stands,
//! and takes one for compiled when none of its files is newer than what was made. Two workspaces in
//! one target folder with packages of the same names, such as two copies of a plugin, or the SDK
//! that stands in each of them, would be given each other's work. So the folder remembers which
//! workspace was there last; when another one comes, its own packages are compiled anew. A lock
//! holds others off until the wasm is read.

use std::fs;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alert_gateway_plugins::compile;
use anyhow::{Context, anyhow};

use super::Failure;
use crate::cli::caches;

/// The target folder, locked, and ready for one workspace.
pub struct Cache {
    path: PathBuf,
    _lock: File,
}

impl Cache {
    /// Opens `target_dir`, or the user's own, for the plugin in `dir`. Waits for another build that
    /// uses it.
    pub fn open(dir: &Path, target_dir: Option<&Path>) -> Result<Self, Failure> {
        let path =
            std::path::absolute(target_dir.map_or_else(|| of_this_user(dir), Path::to_owned))?;
        let unusable = || {
            format!(
                "cannot compile in {}; name a folder that can be written with --target-dir",
                path.display()
            )
        };
        fs::create_dir_all(&path).with_context(unusable)?;
        let lock = path.join(".workspace");
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock);
        let mut lock = lock.with_context(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another build in {}", path.display());
                lock.lock().with_context(unusable)?;
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(unusable)?,
        }
        if let Some(workspace) = workspace(dir) {
            let mut last = String::new();
            lock.read_to_string(&mut last).with_context(unusable)?;
            if last != workspace {
                // Nobody's until it is done: should this be interrupted, the next one does it
                // again.
                lock.set_len(0).with_context(unusable)?;
                forget(dir, &path)?;
                lock.rewind()
                    .and_then(|()| lock.write_all(workspace.as_bytes()))
                    .with_context(unusable)?;
            }
        }
        Ok(Self { path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Among the user's caches; for a user without a home, beside the plugin.
fn of_this_user(dir: &Path) -> PathBuf {
    caches::folder().map_or_else(|| dir.join("target"), |caches| caches.join("plugin-target"))
}

/// The manifest of the workspace that the plugin belongs to. None where cargo cannot say; it will
/// say why when it is asked to compile.
fn workspace(dir: &Path) -> Option<String> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(dir)
        .args(["locate-project", "--workspace", "--message-format", "plain"]);
    let output = cargo.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Cleans cargo's artifacts of packages with the names of this workspace's packages.
fn forget(dir: &Path, target_dir: &Path) -> Result<(), Failure> {
    let mut cargo = compile::command("cargo".as_ref(), "clean", dir, target_dir);
    match cargo
        .args(["--workspace", "--quiet"])
        .status()
        .context("cannot run cargo")?
    {
        status if status.success() => Ok(()),
        _ => Err(anyhow!(
            "cargo cannot read the plugin in {}; its words are above",
            dir.display()
        )
        .into()),
    }
}
