//! The modules of the plugins that are loaded, each compiled once: many plugins may be one engine
//! with a script each.

use super::prepared::Prepared;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::OnceCell;
use wasmtime::Module;

/// What all plugins of one wasm have in common.
pub(super) struct Shared {
    pub(super) module: Module,
    /// The state after its start.
    pub(super) prepared: Prepared,
}

/// A module, compiled by the first plugin of its wasm.
pub(super) type Compiled = Arc<OnceCell<Shared>>;

/// The modules in use, by the SHA-256 of their wasm. A module goes with its last plugin.
#[derive(Default)]
pub(super) struct Modules(Mutex<HashMap<[u8; 32], Weak<OnceCell<Shared>>>>);

impl Modules {
    /// Returns the module of the wasm with this hash.
    pub(super) fn of(&self, hash: [u8; 32]) -> Compiled {
        let mut known = self.0.lock();
        known.retain(|_, module| module.strong_count() > 0);
        match known.get(&hash).and_then(Weak::upgrade) {
            Some(module) => module,
            None => {
                let module = Compiled::default();
                known.insert(hash, Arc::downgrade(&module));
                module
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_is_shared_while_it_is_used() {
        let modules = Modules::default();
        let first = modules.of([1; 32]);
        assert!(Arc::ptr_eq(&first, &modules.of([1; 32])));
        assert!(!Arc::ptr_eq(&first, &modules.of([2; 32])));
        drop(first);
        modules.of([3; 32]);
        assert_eq!(modules.0.lock().len(), 1, "what is used no more is gone");
    }
}
