//! A change of one plugin in the text of a configuration, which leaves all else as it is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::fchown;
use rustix::process::{Gid, Uid};
use tempfile::NamedTempFile;

use crate::config::{Fetched, FetchedFrom};

/// Returns the text with `new` in the place of `old`, which a line from 1 on names, or one of its
/// table. `None` where it does not stand there word for word.
pub fn edited(text: &str, line: usize, old: &Fetched, new: &Fetched) -> Option<String> {
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = text.get(start..)?;
    // The table may have a header of its own, which is the line itself.
    let end = rest.find('\n').map_or(rest.len(), |first| {
        rest[first..]
            .find("\n[")
            .map_or(rest.len(), |next| first + next)
    });
    let hex = old.digest.to_string();
    let digest = rest[..end].to_ascii_lowercase().find(&hex)?;
    let after = digest + hex.len();
    let (from, written) = match &new.from {
        FetchedFrom::Url(_) => (digest, new.digest.to_string()),
        FetchedFrom::Oci(image) => {
            let quote = rest[..digest].rfind(['"', '\''])?;
            (quote + 1, format!("{image}@sha256:{}", new.digest))
        }
    };
    Some(format!(
        "{}{written}{}",
        &text[..start + from],
        &rest[after..]
    ))
}

/// Replaces a file at once, with its owner and its permissions.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    // Whether it may be written is its own permissions' matter, and not its folder's.
    drop(OpenOptions::new().write(true).open(&path)?);
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    file.write_all(text.as_bytes())?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        let user = Uid::from_raw(metadata.uid());
        let group = Gid::from_raw(metadata.gid());
        fchown(file.as_file(), Some(user), Some(group))?;
    }
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ContentHash, OciImage};

    fn of_url(content: &str) -> Fetched {
        Fetched {
            from: FetchedFrom::Url("https://a.example/b.wasm".to_owned()),
            digest: ContentHash::of(content.as_bytes()),
        }
    }

    fn of_registry(tag: &str) -> Fetched {
        let (image, _) = OciImage::parse(&format!("ghcr.io/acme/bell:{tag}")).unwrap();
        Fetched {
            from: FetchedFrom::Oci(image),
            digest: ContentHash::of(tag.as_bytes()),
        }
    }

    #[test]
    fn only_the_plugin_changes() {
        for (old, new) in [
            (of_url("a"), of_url("b")),
            (of_registry("1.2"), of_registry("1.3")),
        ] {
            let text = |plugin: &Fetched| {
                let toml = plugin.toml();
                format!(
                    "# ö\n[sources.a]\nplugin   = {toml} # mine\n[sources.b]\nplugin = {}\n",
                    old.toml()
                )
            };
            assert_eq!(edited(&text(&old), 3, &old, &new), Some(text(&new)));
            // In capitals, in other quotes, under a header of its own.
            let header = |plugin: &Fetched, upper: bool| {
                let toml = plugin.toml().replace(", ", "\n").replace(['{', '}'], "");
                let hex = plugin.digest.to_string();
                let shown = if upper {
                    hex.to_uppercase()
                } else {
                    hex.clone()
                };
                let toml = toml.replace(&hex, &shown).replace('"', "'");
                format!("[sources.a]\n[sources.a.plugin]\n{toml}\n[sources.b]\n")
            };
            assert_eq!(
                edited(&header(&old, true), 2, &old, &new),
                Some(header(&new, false))
            );
        }
    }

    #[test]
    fn plugin_that_stands_elsewhere_is_not_changed() {
        let old = of_url("a");
        let text = format!(
            "[sources.a]\nplugin = {{ env = \"P\" }}\n[sources.b]\nplugin = {}\n",
            old.toml()
        );
        assert_eq!(edited(&text, 2, &old, &of_url("b")), None);
        assert_eq!(edited("", 1, &old, &of_url("b")), None);
    }

    #[test]
    fn replaced_file_keeps_its_permissions_and_its_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let link = folder.path().join("link");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
