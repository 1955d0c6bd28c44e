//! The files that a configuration names, such as those of secrets, by the digest of their content:
//! so a replaced one is noticed, and none is kept in memory for that.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// No secret and no certificate is longer. A file that is, is another file.
pub(super) const LONGEST: u64 = 64 * 1024;

/// The digest of a file's content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of this content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The digest of a short secret gives it away.
        f.write_str("[digest]")
    }
}

/// The state of a file at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// A file to be read.
    Content(Digest),
    /// It cannot, or it is empty, or no file.
    Unusable(String),
}

/// Looks at a file once.
pub fn look(path: &Path) -> Look {
    let read = || -> std::io::Result<Look> {
        let file = File::open(path)?;
        // Another reading of a pipe would take what is not for it.
        if !file.metadata()?.is_file() {
            return Ok(Look::Unusable("is no file".to_owned()));
        }
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        Ok(match bytes.len() as u64 {
            0 => Look::Unusable("is empty".to_owned()),
            1..=LONGEST => Look::Content(Digest::of(&bytes)),
            _ => Look::Unusable("is larger than 64 KiB".to_owned()),
        })
    };
    read().unwrap_or_else(|error| Look::Unusable(format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_known_by_its_content_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(look(&path), Look::Unusable(why) if why.contains("cannot be read")));
        for (content, expected) in [
            (&b"canary"[..], Look::Content(Digest::of(b"canary"))),
            (b"", Look::Unusable("is empty".to_owned())),
            (
                &[b'x'; LONGEST as usize + 1],
                Look::Unusable("is larger than 64 KiB".to_owned()),
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(look(&path), expected);
        }
        assert_eq!(look(folder.path()), Look::Unusable("is no file".to_owned()));
        assert_eq!(format!("{:?}", Digest::of(b"canary")), "[digest]");
    }
}
