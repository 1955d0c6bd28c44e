//! The user of the gateway, and owner of its files.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use rustix::fs::{Gid, Uid, chown};

/// The user of the package, by whom root has the gateway run.
pub const USUAL: &str = "alert-gateway";

/// A user of this machine.
#[derive(Debug)]
pub struct User {
    /// The name, or the number where it has none.
    pub name: String,
    /// Its number and its group's; none where there is no such user yet.
    ids: Option<(Uid, Gid)>,
}

impl User {
    /// Returns the user of this name. Without one, it is the user that runs this, and for root the
    /// usual one.
    ///
    /// # Errors
    /// The name was asked for, and no user has it.
    pub fn find(name: Option<&str>) -> anyhow::Result<Self> {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let me = rustix::process::geteuid();
        let entry = |fits: &dyn Fn(&[&str]) -> bool| {
            users
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|fields| fields.len() > 3 && fits(fields))
                .and_then(|fields| {
                    let uid = Uid::from_raw(fields[2].parse().ok()?);
                    let gid = Gid::from_raw(fields[3].parse().ok()?);
                    Some((fields[0].to_owned(), (uid, gid)))
                })
        };
        if name.is_none() && !me.is_root() {
            let number = me.as_raw().to_string();
            let found = entry(&|fields| fields[2] == number);
            let name = found.map_or(number, |(name, _)| name);
            return Ok(Self {
                name,
                ids: Some((me, rustix::process::getegid())),
            });
        }
        let wanted = name.unwrap_or(USUAL);
        let ids = entry(&|fields| fields[0] == wanted).map(|(_, ids)| ids);
        if name.is_some() && ids.is_none() {
            return Err(anyhow!("there is no user {wanted} in /etc/passwd"));
        }
        Ok(Self {
            name: wanted.to_owned(),
            ids,
        })
    }

    /// Returns true if there is such a user.
    pub fn exists(&self) -> bool {
        self.ids.is_some()
    }

    /// Lets a file belong to the user, where root runs this and the user exists.
    ///
    /// # Errors
    /// What the disk said.
    pub fn own(&self, path: &Path) -> anyhow::Result<()> {
        self.chown(path, true)
    }

    /// Lets the user's group have a file, so that the user can read it and not write it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn read(&self, path: &Path) -> anyhow::Result<()> {
        self.chown(path, false)
    }

    fn chown(&self, path: &Path, owns: bool) -> anyhow::Result<()> {
        let Some((uid, gid)) = self.ids.filter(|_| rustix::process::geteuid().is_root()) else {
            return Ok(());
        };
        chown(path, owns.then_some(uid), Some(gid))
            .with_context(|| format!("cannot let {} have {}", self.name, path.display()))
    }
}
