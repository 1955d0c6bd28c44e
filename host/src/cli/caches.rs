//! This program's folder among the user's caches, as the XDG base directories have it.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Returns the folder; none for a user without a home.
pub fn folder() -> Option<PathBuf> {
    let caches = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let caches = caches.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(caches.join("alert-gateway"))
}

/// Makes the folder of compiled plugins in it, so that a command does not compile anew what an
/// earlier one has compiled; none where it cannot be made, as for a user of a service.
pub fn compiled() -> Option<PathBuf> {
    let path = folder()?.join("compiled");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&path).ok()?;
    Some(path)
}
