//! The files of a case in a folder.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use plugin_sdk::case;

use super::Failure;
use crate::sources::Case;

/// The files of a case in this folder.
#[derive(Debug)]
pub struct CaseFiles {
    dir: PathBuf,
    name: String,
}

impl CaseFiles {
    /// The files of a case in this folder.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.name))
    }

    /// The first of its files that is there already.
    pub fn taken(&self) -> Option<PathBuf> {
        ["http", "json", "settings.json"]
            .iter()
            .map(|ending| self.path(ending))
            .find(|path| path.exists())
    }

    /// Writes a case: its settings only where they are not those of all cases. Returns what became
    /// of it.
    ///
    /// # Errors
    /// The file that is there already or cannot be written.
    pub fn write(&self, case: &Case) -> Result<String, Failure> {
        if let Some(path) = self.taken() {
            return Err(taken(&path));
        }
        let files = case.files().map_err(anyhow::Error::from)?;
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make the folder {}", self.dir.display()))?;
        let shared = std::fs::read_to_string(self.dir.join("settings.json")).ok();
        let shared = shared.and_then(|shared| case::pretty(&shared).ok());
        let mut said = String::new();
        for (ending, content) in files {
            let is_shared = shared.as_ref().map(String::as_bytes) == Some(&content[..]);
            if ending == "settings.json" && is_shared {
                continue;
            }
            let path = self.path(ending);
            create(&path, &content)?;
            said += &format!("wrote {}\n", path.display());
        }
        if let Some(trouble) = &case.trouble {
            said += &format!("{trouble}\n");
        }
        Ok(said)
    }
}

/// Writes a file that is not there yet.
fn create(path: &Path, content: &[u8]) -> Result<(), Failure> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => Ok(file
            .write_all(content)
            .with_context(|| format!("cannot write {}", path.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(anyhow!(error)
            .context(format!("cannot write {}", path.display()))
            .into()),
    }
}

fn taken(path: &Path) -> Failure {
    let help = "give the case another name with --case, or remove it";
    Failure::Usage(format!("{} is there already; {help}", path.display()))
}
