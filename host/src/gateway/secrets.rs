//! Follows the files that a configuration names: those of secrets, and of the destinations'
//! authorities and client certificates.
//!
//! The files are polled every few seconds and compared by content, because a secret is replaced by
//! overwriting it, by a rename, or by moving a symbolic link of its folder. A change counts when it
//! looks the same twice: an editor writes in several steps, and several files are replaced one
//! after the other. Unusable files are ignored: what was read stays.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Digest, Look, look};

/// The polling interval. The files are few and small.
const LOOK: Duration = Duration::from_secs(2);

/// The files that are followed.
#[derive(Debug, Default)]
pub struct Secrets {
    in_use: BTreeMap<PathBuf, Digest>,
    /// The latest look, where it differs from what is in use, and whether that was dealt with.
    doubt: Option<(BTreeMap<PathBuf, Look>, bool)>,
}

impl Secrets {
    /// Follows these files from now on.
    pub fn follow(&mut self, files: BTreeMap<PathBuf, Digest>) {
        *self = Self {
            in_use: files,
            doubt: None,
        };
    }

    /// Returns once the content of a file has changed. Safe to drop at any point and call again.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let files: Vec<_> = self.in_use.keys().cloned().collect();
            // They may be on a disk that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                let look = |path: PathBuf| {
                    let found = look(&path);
                    (path, found)
                };
                files.into_iter().map(look).collect()
            });
            if let Ok(found) = looked.await
                && self.judge(found)
            {
                return;
            }
        }
    }

    /// Returns whether this look is a change to be taken up.
    fn judge(&mut self, found: BTreeMap<PathBuf, Look>) -> bool {
        let same = |(path, look): (&PathBuf, &Look)| match look {
            Look::Content(digest) => self.in_use.get(path) == Some(digest),
            Look::Unusable(_) => false,
        };
        if found.iter().all(same) {
            self.doubt = None;
            return false;
        }
        let again = self.doubt.take().filter(|(before, _)| *before == found);
        let Some((_, dealt_with)) = again else {
            self.doubt = Some((found, false));
            return false;
        };
        let mut usable = true;
        for (path, look) in &found {
            if let Look::Unusable(why) = look {
                usable = false;
                if !dealt_with {
                    tracing::error!(
                        file = %path.display(),
                        why,
                        "a file that the configuration names cannot be used any more; what was read of it stays in use"
                    );
                }
            }
        }
        self.doubt = Some((found, true));
        usable && !dealt_with
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(look: Look) -> BTreeMap<PathBuf, Look> {
        BTreeMap::from([(PathBuf::from("token"), look)])
    }

    fn content(text: &str) -> BTreeMap<PathBuf, Look> {
        found(Look::Content(Digest::of(text.as_bytes())))
    }

    #[test]
    fn change_counts_once_and_when_it_looks_the_same_twice() {
        let mut secrets = Secrets::default();
        secrets.follow(BTreeMap::from([("token".into(), Digest::of(b"old"))]));
        let looks = [
            (content("old"), false),
            (content("n"), false),
            (content("new"), false),
            (content("new"), true),
            (content("new"), false),
            (content("old"), false),
            (content("new"), false),
            (content("new"), true),
            (found(Look::Unusable("is empty".to_owned())), false),
            (found(Look::Unusable("is empty".to_owned())), false),
            (content("newer"), false),
            (content("newer"), true),
        ];
        for (number, (look, expected)) in looks.into_iter().enumerate() {
            assert_eq!(secrets.judge(look), expected, "look {number}");
        }
    }
}
