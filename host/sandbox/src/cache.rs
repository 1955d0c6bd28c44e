//! Compiled plugins, kept between starts: compiling takes a tenth of a second for each plugin,
//! reading a compiled one back takes less than a millisecond.
//!
//! A compiled plugin is machine code, and the host runs it without a further check, so only files
//! of this host's own writing are trusted. The directory and the file must belong to the user that
//! the host runs as, and no other user may write to them. Each file starts with a SHA-256 over its
//! content, its plugin's hash and the engine's hash. So a torn file is noticed, and a file renamed
//! or copied over another does not pass for another plugin's. Whatever is wrong with the cache, the
//! plugin is compiled anew, with a warning; nothing ever fails because of the cache.
//!
//! A file's name holds the hash of the plugin and one of the engine's settings and version: another
//! build of the gateway writes other files, and the old ones are removed.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tracing::warn;
use wasmtime::{Engine, Module};

/// The first bytes of a file, before the SHA-256.
const MAGIC: &[u8; 8] = b"AGWCWAS2";

/// The form of the modules that are compiled: the plugins' own, some with their state exported.
const FORM: u32 = 2;

/// The ending of the files.
const ENDING: &str = "cwasm";

/// Files that are kept; when there are more, the oldest go.
const MAX_FILES: usize = 64;

/// The mode bits that let others write.
const OTHERS_WRITE: u32 = 0o022;

/// A directory of compiled plugins.
pub(super) struct Cache {
    dir: PathBuf,
    /// The user that the host runs as.
    user: u32,
    /// The end of the names that this engine may read.
    suffix: String,
}

impl Cache {
    /// The cache in this directory, which is made where it does not exist. `None`, with a warning,
    /// where it cannot be used.
    pub(super) fn open(dir: &Path, engine: &Engine) -> Option<Self> {
        match Self::try_open(dir, engine) {
            Ok(cache) => Some(cache),
            Err(error) => {
                warn!(dir = %dir.display(), %error, "plugins are compiled anew at each start: the cache cannot be used");
                None
            }
        }
    }

    fn try_open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // A file just made belongs to whom the host runs as; there is no call for that in the
        // standard library.
        let user = NamedTempFile::new_in(dir)?.as_file().metadata()?.uid();
        let mut hash = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hash);
        FORM.hash(&mut hash);
        let cache = Self {
            dir: dir.to_owned(),
            user,
            suffix: format!("-{:016x}.{ENDING}", hash.finish()),
        };
        cache.check(&fs::metadata(dir)?)?;
        Ok(cache)
    }

    /// Returns the compiled plugin of the WebAssembly with this hash, if the cache has one and its
    /// file can be trusted.
    pub(super) fn load(&self, engine: &Engine, sha256: &str) -> Option<Module> {
        let path = self.path(sha256);
        match self.try_load(engine, &path, sha256) {
            Ok(module) => Some(module),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = %path.display(), %error, "a compiled plugin cannot be used, so the plugin is compiled anew");
                None
            }
        }
    }

    #[allow(unsafe_code)]
    fn try_load(&self, engine: &Engine, path: &Path, sha256: &str) -> io::Result<Module> {
        self.check(&fs::metadata(&self.dir)?)?;
        let mut file = File::open(path)?;
        self.check(&file.metadata()?)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let code = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<32>())
            .filter(|(hash, code)| self.seal(sha256, code) == **hash)
            .map(|(_, code)| code)
            .ok_or_else(|| {
                io::Error::other(
                    "it is torn or another plugin's: it does not have the hash that it should",
                )
            })?;
        // SAFETY: `deserialize` must be given what `Module::serialize` wrote, unchanged. These
        // bytes are what `try_store` wrote: the file and its directory belong to this user and
        // nobody else may write to them, which is checked just above on the opened file, and the
        // content has the hash that was written with it, which covers the plugin and the engine.
        // Files of another version of wasmtime or of other settings have other names as well, and
        // are refused by `deserialize` besides. Whoever can act as this user can replace the
        // gateway itself.
        unsafe { Module::deserialize(engine, code) }
            .map_err(|error| io::Error::other(format!("{error:#}")))
    }

    /// Keeps a compiled plugin. It is there as a whole or not at all.
    pub(super) fn store(&self, module: &Module, sha256: &str) {
        let path = self.path(sha256);
        if let Err(error) = self
            .try_store(module, &path, sha256)
            .and_then(|()| self.prune(&path))
        {
            warn!(file = %path.display(), %error, "a compiled plugin cannot be kept; the next start compiles it anew");
        }
    }

    fn try_store(&self, module: &Module, path: &Path, sha256: &str) -> io::Result<()> {
        let code = module
            .serialize()
            .map_err(|error| io::Error::other(format!("{error:#}")))?;
        // Made with mode 0600.
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&self.seal(sha256, &code))?;
        file.write_all(&code)?;
        file.persist(path)?;
        Ok(())
    }

    /// Returns the hash that binds compiled code to its plugin and to its engine.
    fn seal(&self, sha256: &str, code: &[u8]) -> [u8; 32] {
        // Neither name has a NUL.
        let name = [sha256.as_bytes(), b"\0", self.suffix.as_bytes(), b"\0"].concat();
        Sha256::new()
            .chain_update(name)
            .chain_update(code)
            .finalize()
            .into()
    }

    /// Removes files that no engine of this build can read, then the oldest beyond the limit.
    fn prune(&self, just_written: &Path) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path == just_written || path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            if path
                .to_str()
                .is_some_and(|name| name.ends_with(&self.suffix))
            {
                let found = unless_gone(fs::metadata(&path))?;
                kept.extend(found.and_then(|found| Some((found.modified().ok()?, path))));
            } else {
                unless_gone(fs::remove_file(&path))?;
            }
        }
        kept.sort_unstable_by(|a, b| b.cmp(a));
        for (_, path) in kept.iter().skip(MAX_FILES - 1) {
            unless_gone(fs::remove_file(path))?;
        }
        Ok(())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}{}", self.suffix))
    }

    fn check(&self, found: &Metadata) -> io::Result<()> {
        if found.uid() != self.user {
            return Err(io::Error::other(
                "it belongs to another user than the one that the gateway runs as",
            ));
        }
        if found.mode() & OTHERS_WRITE != 0 {
            return Err(io::Error::other(
                "other users may write to it; `chmod go-w` fixes that",
            ));
        }
        Ok(())
    }
}

/// Returns what was done to a file, or none where another process has removed it.
fn unless_gone<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}
