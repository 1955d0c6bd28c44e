//! Plugins that were fetched from elsewhere: the store in which `plugin add` keeps them, and what
//! must hold of one before it is run.
//!
//! Nothing is fetched here. Each time that a plugin is read from the store, its content is compared
//! with the digest in the configuration, and, where keys are configured, a signature is verified
//! with them, offline. The folder itself is not trusted.

pub mod evidence;
pub mod manifest;

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::config::{ContentHash, Fetched, FetchedFrom, Gateway, PluginKey};
use evidence::{Evidence, Unsigned, verify};
use manifest::{Manifest, NoWasm};

/// The most bytes of a plugin's file. A whole JavaScript engine has some two million.
pub const LARGEST_PLUGIN: u64 = 64 * 1024 * 1024;
/// The most bytes of a manifest, and of all signatures of a plugin.
pub const LARGEST_MANIFEST: u64 = 1024 * 1024;

/// The first bytes of every WebAssembly module.
const MAGIC: &[u8] = b"\0asm";

/// All that was fetched of one plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The WebAssembly.
    pub wasm: Vec<u8>,
    /// The manifest that names it, where it comes from a registry.
    pub manifest: Option<Vec<u8>>,
    /// The signatures.
    pub evidence: Vec<Evidence>,
}

/// The reason why a plugin is not run. In each case the plugin can be fetched anew.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The plugin is not in the store.
    #[error("it was not fetched yet: {} is not there", .0.display())]
    Absent(PathBuf),
    /// The store cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The content has another digest than the configuration names.
    #[error("its content has the SHA-256 {found}, and not the one that is configured")]
    Changed {
        /// The digest of the content.
        found: ContentHash,
    },
    /// The manifest names no WebAssembly.
    #[error("its manifest in the registry {0}")]
    Manifest(#[from] NoWasm),
    /// The file is no WebAssembly.
    #[error("its file is no WebAssembly")]
    NoWasm,
    /// No configured key signed it.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
}

impl Content {
    /// Judges whether this is the plugin of this digest, and returns the key that signed it, where
    /// there are keys.
    ///
    /// # Errors
    /// It is another one, it is none, or none of the keys signed it.
    pub fn judge<'k>(
        &self,
        digest: ContentHash,
        keys: &'k [PluginKey],
    ) -> Result<Option<&'k PluginKey>, Unusable> {
        let subject = self.manifest.as_ref().unwrap_or(&self.wasm);
        let found = ContentHash::of(subject);
        if found != digest {
            return Err(Unusable::Changed { found });
        }
        if let Some(manifest) = &self.manifest {
            let named = Manifest::parse(manifest)?.wasm()?.digest;
            let found = ContentHash::of(&self.wasm);
            if found != named {
                return Err(Unusable::Changed { found });
            }
        }
        if !self.wasm.starts_with(MAGIC) {
            return Err(Unusable::NoWasm);
        }
        if keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(verify(&self.evidence, subject, digest, keys)?))
    }
}

/// The folder of fetched plugins, with the keys that they must be signed by.
#[derive(Debug, Clone)]
pub struct PluginStore {
    folder: PathBuf,
    /// True within `data_dir`, in which nothing is for other users. Elsewhere the gateway may be
    /// another user than the one who fetches, and the content is public.
    is_private: bool,
    keys: Vec<PluginKey>,
}

impl PluginStore {
    /// Returns the store that is configured.
    pub fn of(gateway: &Gateway) -> Self {
        Self {
            folder: gateway.plugin_store.clone(),
            is_private: gateway.plugin_store.starts_with(&gateway.data_dir),
            keys: gateway.plugin_keys.clone(),
        }
    }

    /// Returns its folder, which need not exist yet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the keys, one of which must have signed each plugin; none where that is not asked.
    pub fn keys(&self) -> &[PluginKey] {
        &self.keys
    }

    /// Reads a plugin, and judges it.
    ///
    /// # Errors
    /// It is not there, or it is not to be run.
    pub fn read(&self, plugin: &Fetched) -> Result<Content, Unusable> {
        let digest = plugin.digest;
        let mut manifest = None;
        let mut wasm = digest;
        if let FetchedFrom::Oci(_) = plugin.from {
            let bytes = self
                .bytes(&format!("{digest}.manifest.json"), LARGEST_MANIFEST)?
                .ok_or_else(|| Unusable::Absent(self.path(&format!("{digest}.manifest.json"))))?;
            let found = ContentHash::of(&bytes);
            if found != digest {
                return Err(Unusable::Changed { found });
            }
            wasm = Manifest::parse(&bytes)?.wasm()?.digest;
            manifest = Some(bytes);
        }
        let file = format!("{wasm}.wasm");
        let wasm = self
            .bytes(&file, LARGEST_PLUGIN)?
            .ok_or_else(|| Unusable::Absent(self.path(&file)))?;
        // What cannot be understood of the signatures proves nothing.
        let evidence = self.json(&format!("{digest}.signatures.json"))?;
        let content = Content {
            wasm,
            manifest,
            evidence: evidence.unwrap_or_default(),
        };
        content.judge(digest, &self.keys)?;
        Ok(content)
    }

    /// Keeps a plugin. Each file appears whole or not at all, and the wasm's last.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, digest: ContentHash, content: &Content) -> io::Result<()> {
        let folder = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        if let Some(parent) = self.folder.parent() {
            folder(parent, 0o700)?;
        }
        folder(&self.folder, if self.is_private { 0o700 } else { 0o755 })?;
        let evidence = serde_json::to_vec_pretty(&content.evidence)?;
        self.write(&format!("{digest}.signatures.json"), &evidence)?;
        if let Some(manifest) = &content.manifest {
            self.write(&format!("{digest}.manifest.json"), manifest)?;
        }
        let wasm = ContentHash::of(&content.wasm);
        self.write(&format!("{wasm}.wasm"), &content.wasm)?;
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mode = if self.is_private { 0o600 } else { 0o644 };
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(&self.folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.path(name))?;
        Ok(())
    }

    /// Reads a file of at most so many bytes; a longer one is cut, and so has another digest.
    fn bytes(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Unusable> {
        let path = self.path(name);
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(&path)?.take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable::Unreadable { path, error }),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Unusable> {
        let bytes = self.bytes(name, LARGEST_MANIFEST)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
