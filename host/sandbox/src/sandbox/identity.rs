//! The identity of a plugin: its wasm, and the texts that it is configured with.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// The texts that a plugin may ask for by name.
pub(crate) type Configuration = Arc<[(String, String)]>;

/// The configuration of a plugin, and the hash of all that it consists of.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    /// The SHA-256 of the wasm where nothing is configured; otherwise one of that hash and of all
    /// names and texts.
    pub(crate) hash: [u8; 32],
    /// The SHA-256 of the wasm.
    pub(crate) wasm: [u8; 32],
    pub(crate) configuration: Configuration,
}

impl Identity {
    pub(super) fn new(wasm: &[u8], configuration: &[(&str, &str)]) -> Self {
        let wasm: [u8; 32] = Sha256::digest(wasm).into();
        let mut hash = wasm;
        if !configuration.is_empty() {
            let mut whole = Sha256::new().chain_update(hash);
            for part in configuration.iter().flat_map(|(name, text)| [name, text]) {
                whole.update((part.len() as u64).to_le_bytes());
                whole.update(part);
            }
            hash = whole.finalize().into();
        }
        let configuration = configuration
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self {
            hash,
            wasm,
            configuration: configuration.collect(),
        }
    }

    /// Returns the hash in hex.
    pub(super) fn hex(&self) -> String {
        self.hash.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a text does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_covers_every_name_and_text() {
        let hash = |configuration: &[(&str, &str)]| Identity::new(b"wasm", configuration).hash;
        let plain: [u8; 32] = Sha256::digest(b"wasm").into();
        assert_eq!(hash(&[]), plain);
        let all = [
            hash(&[]),
            hash(&[("a", "bc")]),
            hash(&[("ab", "c")]),
            hash(&[("a", "b"), ("c", "")]),
            hash(&[("a", "b")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
