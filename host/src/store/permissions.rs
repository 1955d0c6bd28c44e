//! Owners and modes of the data directory: other users of the machine can neither read what senders
//! sent, nor put a file, or a compiled plugin, in its place.
//!
//! The directory and all in it belong to the user that the gateway runs as, and nobody else may
//! read or write them. The folder above may be read by everybody; one that everybody may write lets
//! others put a directory of theirs in this place. Where a link leads to the directory, the link's owner
//! and the folder above its end are looked at as well. At the start the gateway repairs the modes of
//! its own files; a file of another user is refused, because its owner can change it at any time.

use std::fs::{Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

const GROUP_AND_OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The owner of a folder outside of this user namespace, as a container sees it: nothing can be
/// told of it.
const UNMAPPED: u32 = 65534;

/// A file or folder that another user of the machine can read or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The file or folder.
    pub path: PathBuf,
    /// What was found, to follow its path.
    pub found: String,
    /// The mode that repairs it; `None` where only the operator can.
    pub repair: Option<u32>,
}

/// A place of the directory: what is asked of it differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The folder above the data directory.
    Above,
    /// A link in the place of the data directory.
    Link,
    /// The data directory.
    DataDir,
    /// Anything in it.
    Within,
}

/// Returns everything in and above the data directory that users other than `user` can read or
/// change. A directory that is not there yet has only a folder above.
///
/// # Errors
/// What the disk said.
pub fn exposed(data_dir: &Path, user: u32) -> std::io::Result<Vec<Exposed>> {
    let mut found = Vec::new();
    let mut look = |path: &Path, place| -> std::io::Result<bool> {
        // SQLite removes its log at any time.
        let unless_gone = |found: std::io::Result<Metadata>| match found {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        };
        let metadata = match place {
            Place::Within | Place::Link => path.symlink_metadata(),
            Place::Above | Place::DataDir => path.metadata(),
        };
        let Some(metadata) = unless_gone(metadata)? else {
            return Ok(false);
        };
        if !metadata.is_symlink() || place == Place::Link {
            found.extend(judge(path, place, &metadata, user));
            return Ok(metadata.is_dir());
        }
        // What one's own link leads to may be anything, and its mode is not the gateway's to change.
        let judged = if metadata.uid() == user {
            let leads_to = unless_gone(path.metadata())?;
            leads_to.and_then(|metadata| judge(path, place, &metadata, user))
        } else {
            judge(path, place, &metadata, user)
        };
        found.extend(judged.map(|exposed| Exposed {
            found: format!("is or leads to what {}", exposed.found),
            repair: None,
            ..exposed
        }));
        Ok(false)
    };
    for above in above(data_dir) {
        look(&above, Place::Above)?;
    }
    // A slash at the end would lead into it.
    let named: PathBuf = data_dir.components().collect();
    if named.is_symlink() {
        look(&named, Place::Link)?;
    }
    if !look(data_dir, Place::DataDir)? {
        return Ok(found);
    }
    let mut folders = vec![data_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            if look(&entry.path(), Place::Within)? {
                folders.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Returns the folder above the data directory, as its path names it. Where a link or `..` leads
/// elsewhere, also the one above the place that it leads to.
fn above(data_dir: &Path) -> Vec<PathBuf> {
    let named = data_dir
        .parent()
        .filter(|above| !above.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned();
    let real = data_dir
        .canonicalize()
        .ok()
        .and_then(|real| real.parent().map(Path::to_owned))
        .filter(|real| !named.canonicalize().is_ok_and(|named| named == *real));
    std::iter::once(named).chain(real).collect()
}

/// Repairs the modes of the data directory of the user that this process runs as.
///
/// # Errors
/// A file or folder that only the operator can repair; nothing was opened.
pub fn repair(data_dir: &Path) -> Result<(), StoreError> {
    let user = rustix::process::geteuid().as_raw();
    let look = || exposed(data_dir, user).map_err(|error| cannot_look(data_dir, &error));
    let is_outer = |one: &Exposed| one.path == data_dir || !one.path.starts_with(data_dir);
    look()?.into_iter().filter(is_outer).try_for_each(close)?;
    // Only now can nobody else put a link in the place of a file that is looked at.
    look()?.into_iter().try_for_each(close)
}

fn close(exposed: Exposed) -> Result<(), StoreError> {
    let Exposed {
        path,
        found,
        repair,
    } = exposed;
    let Some(mode) = repair else {
        return Err(StoreError::Exposed { path, found });
    };
    match std::fs::set_permissions(&path, Permissions::from_mode(mode)) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "{found}; its mode is {mode:04o} now");
            Ok(())
        }
        // SQLite removes its log at any time.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_look(&path, &error)),
    }
}

fn cannot_look(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Exposed {
        path: path.to_owned(),
        found: format!("cannot be looked at: {error}"),
    }
}

fn judge(path: &Path, place: Place, metadata: &Metadata, user: u32) -> Option<Exposed> {
    let owner = metadata.uid();
    let mode = metadata.mode() & 0o7777;
    let exposed = |found: String, repair| {
        Some(Exposed {
            path: path.to_owned(),
            found,
            repair,
        })
    };
    let is_trusted = [user, 0, UNMAPPED].contains(&owner);
    if place == Place::Link {
        let found = format!("is a link of user {owner}, who can let it lead to another folder");
        return (!is_trusted).then(|| exposed(found, None)).flatten();
    }
    if place == Place::Above {
        if !is_trusted {
            return exposed(
                format!(
                    "belongs to user {owner}, who can put another folder in the place of data_dir"
                ),
                None,
            );
        }
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            let repair = (owner == user).then_some(mode & !OTHERS_WRITE);
            let found = "can be written by every user of this machine, who can put another folder in the place of data_dir";
            return exposed(format!("{found} (mode {mode:04o})"), repair);
        }
        return None;
    }
    if place == Place::DataDir && mode & STICKY != 0 {
        return exposed(
            format!(
                "is a folder for everybody (mode {mode:04o}), and data_dir must be one of its own"
            ),
            None,
        );
    }
    if owner != user {
        return exposed(
            format!("belongs to user {owner}, and the gateway runs as user {user}"),
            None,
        );
    }
    if mode & GROUP_AND_OTHERS == 0 {
        return None;
    }
    let found = format!("can be read or written by other users of this machine (mode {mode:04o})");
    exposed(found, Some(mode & !GROUP_AND_OTHERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn own_modes_are_repaired_at_every_depth() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("cache")).unwrap();
        let files = ["gateway.db", "lock", "cache/one.cwasm"].map(|name| data.join(name));
        for (file, open) in files.iter().zip([0o644, 0o660, 0o777]) {
            std::fs::write(file, "").unwrap();
            set(file, open);
        }
        set(&data, 0o755);
        set(&data.join("cache"), 0o775);
        set(folder.path(), 0o777);
        assert_eq!(exposed(&data, user()).unwrap().len(), 6);
        repair(&data).unwrap();
        assert_eq!(exposed(&data, user()).unwrap(), []);
        assert_eq!(
            files.each_ref().map(|file| mode(file)),
            [0o600, 0o600, 0o700]
        );
        assert_eq!(
            [mode(&data), mode(&data.join("cache")), mode(folder.path())],
            [0o700, 0o700, 0o775]
        );
    }

    #[test]
    fn what_a_link_leads_to_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        set(&data, 0o777);
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "").unwrap();
        set(&outside, 0o644);
        std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
        let refused = repair(&data).unwrap_err().to_string();
        assert!(refused.contains("leads to what can be read"), "{refused}");
        assert_eq!([mode(&outside), mode(&data)], [0o644, 0o700]);
        // One that leads to a file of the gateway's alone is the operator's, and one to nothing too.
        set(&outside, 0o600);
        std::os::unix::fs::symlink("nowhere", data.join("other")).unwrap();
        repair(&data).unwrap();
    }

    #[test]
    fn folder_above_the_end_of_a_link_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("open");
        let data = real.join("data");
        std::fs::create_dir_all(&data).unwrap();
        set(&data, 0o700);
        set(&real, 0o777);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&data, &link).unwrap();
        std::fs::create_dir(data.join("cache")).unwrap();
        set(&data.join("cache"), 0o700);
        for path in [link.clone(), data.join("cache").join("..")] {
            let found = exposed(&path, user()).unwrap();
            let [exposed] = &*found else {
                panic!("{}: {found:?}", path.display());
            };
            assert_eq!(exposed.path, real.canonicalize().unwrap());
        }
        repair(&link).unwrap();
        assert_eq!(mode(&real), 0o775);
    }

    #[test]
    fn link_of_another_user_is_refused_as_data_directory() {
        use std::os::unix::fs::{chown, lchown, symlink};

        const OTHER: u32 = 12345;
        if user() != 0 {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::create_dir(&victim).unwrap();
        set(&victim, 0o755);
        let everybodys = folder.path().join("tmp");
        std::fs::create_dir(&everybodys).unwrap();
        set(&everybodys, 0o1777);
        let link = everybodys.join("data");
        symlink(&victim, &link).unwrap();
        lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
        for named in [link.clone(), link.join("")] {
            let refused = repair(&named).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("is a link of user {OTHER}")),
                "{refused}"
            );
        }
        assert_eq!(mode(&victim), 0o755, "what it leads to is left alone");
        // Its owner may be root, as below /var/lib/private.
        chown(&victim, Some(OTHER), Some(OTHER)).unwrap();
        set(&victim, 0o700);
        lchown(&link, Some(0), Some(0)).unwrap();
        assert_eq!(exposed(&link, OTHER).unwrap(), []);
    }

    #[test]
    fn files_of_another_user_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        set(&data, 0o700);
        let other = user() + 1;
        let found: Vec<_> = exposed(&data, other)
            .unwrap()
            .into_iter()
            .map(|exposed| (exposed.found, exposed.repair))
            .collect();
        let mut said = vec![(
            format!(
                "belongs to user {}, and the gateway runs as user {other}",
                user()
            ),
            None,
        )];
        if user() != 0 {
            let above = format!(
                "belongs to user {}, who can put another folder in the place of data_dir",
                user()
            );
            said.insert(0, (above, None));
        }
        assert_eq!(found, said);
    }

    #[test]
    fn a_folder_for_everybody_is_never_made_private() {
        let folder = tempfile::tempdir().unwrap();
        set(folder.path(), 0o1777);
        let refused = repair(folder.path()).unwrap_err().to_string();
        assert!(
            refused.contains("is a folder for everybody (mode 1777)"),
            "{refused}"
        );
        assert_eq!(mode(folder.path()), 0o1777);
        // It may stand above the data directory, as /tmp does: nobody can rename what belongs to
        // others there.
        assert_eq!(exposed(&folder.path().join("data"), user()).unwrap(), []);
    }
}
