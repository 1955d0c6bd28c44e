//! The state of a plugin after its preparation, kept to begin calls with.
//!
//! A runtime or an interpreter takes a millisecond or two to start, and a call a few microseconds.
//! So the start is done once, in an instance of its own, and each fresh instance is given the state
//! that it left: a copy of the changed part of the memory, and the mutable globals. Nothing of a
//! call gets into a snapshot, so no request can be seen from another.
//!
//! Snapshots lie on each other: the engine's, its script's, a source's settings'. Each holds what
//! differs from the one below.

use std::sync::Arc;
use wasmtime::{Extern, Instance, Memory, ModuleExport, Store, Val};

/// The bytes that are compared and kept as one.
const GRAIN: usize = 256;

/// A page of memory.
const PAGE: usize = 64 * 1024;

/// The exports that are all of a module's state.
pub(super) struct State {
    pub(super) memory: ModuleExport,
    pub(super) globals: Vec<ModuleExport>,
}

/// A state to begin with.
pub(super) struct Snapshot {
    below: Option<Arc<Self>>,
    state: Arc<State>,
    /// The length of the memory.
    length: usize,
    /// The changed parts of it, with their addresses.
    changes: Vec<(usize, Box<[u8]>)>,
    globals: Vec<Val>,
}

/// The memory of an instance before its preparation.
pub(super) struct Before(Vec<u8>);

impl State {
    fn memory<T>(&self, store: &mut Store<T>, instance: &Instance) -> wasmtime::Result<Memory> {
        instance
            .get_module_export(store, &self.memory)
            .and_then(Extern::into_memory)
            .ok_or_else(gone)
    }

    fn globals<T>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> wasmtime::Result<Vec<wasmtime::Global>> {
        let global = |export| {
            instance
                .get_module_export(&mut *store, export)
                .and_then(Extern::into_global)
                .ok_or_else(gone)
        };
        self.globals.iter().map(global).collect()
    }

    /// Keeps the memory of an instance that is going to be prepared.
    pub(super) fn before<T>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> wasmtime::Result<Before> {
        let memory = self.memory(store, instance)?;
        Ok(Before(memory.data(&store).to_vec()))
    }
}

fn gone() -> wasmtime::Error {
    wasmtime::Error::msg("an export of a plugin's state is gone")
}

impl Snapshot {
    /// Takes the state of an instance that began with the snapshot below.
    pub(super) fn take<T>(
        state: &Arc<State>,
        below: Option<&Arc<Self>>,
        before: &Before,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> wasmtime::Result<Self> {
        let globals = state
            .globals(store, instance)?
            .into_iter()
            .map(|global| global.get(&mut *store))
            .collect();
        let memory = state.memory(store, instance)?.data(&store);
        Ok(Self {
            below: below.cloned(),
            state: Arc::clone(state),
            length: memory.len(),
            changes: changes(&before.0, memory),
            globals,
        })
    }

    /// Gives a fresh instance this state.
    pub(super) fn restore<T>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> wasmtime::Result<()> {
        let memory = self.state.memory(store, instance)?;
        let missing = self.length.saturating_sub(memory.data_size(&store));
        if missing > 0 {
            memory.grow(&mut *store, missing.div_ceil(PAGE) as u64)?;
        }
        self.write(memory.data_mut(&mut *store));
        let globals = self.state.globals(store, instance)?;
        for (global, value) in globals.into_iter().zip(&self.globals) {
            global.set(&mut *store, *value)?;
        }
        Ok(())
    }

    fn write(&self, memory: &mut [u8]) {
        if let Some(below) = &self.below {
            below.write(memory);
        }
        for (address, bytes) in &self.changes {
            if let Some(place) = memory.get_mut(*address..address + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
    }

    /// Returns the bytes that are copied for each call.
    pub(super) fn copied(&self) -> usize {
        let own: usize = self.changes.iter().map(|(_, bytes)| bytes.len()).sum();
        own + self.below.as_ref().map_or(0, |below| below.copied())
    }
}

/// Returns the parts of a memory that differ from what it was. What it has grown by was zero.
fn changes(before: &[u8], after: &[u8]) -> Vec<(usize, Box<[u8]>)> {
    const ZEROS: [u8; GRAIN] = [0; GRAIN];
    let mut changes: Vec<(usize, &[u8])> = Vec::new();
    for (address, grain) in (0..).step_by(GRAIN).zip(after.chunks(GRAIN)) {
        let was = before
            .get(address..address + grain.len())
            .unwrap_or(&ZEROS[..grain.len()]);
        if was == grain {
            continue;
        }
        match changes.last_mut() {
            Some((start, change)) if *start + change.len() == address => {
                *change = &after[*start..address + grain.len()];
            }
            _ => changes.push((address, grain)),
        }
    }
    changes
        .into_iter()
        .map(|(address, change)| (address, change.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_whole_grains_of_what_differs() {
        let before = vec![1; 4 * GRAIN];
        let mut after = before.clone();
        after.resize(6 * GRAIN, 0);
        assert!(changes(&before, &after).is_empty(), "it grew");
        after[GRAIN] = 2;
        after[3 * GRAIN - 1] = 2;
        after[6 * GRAIN - 1] = 2;
        let found = changes(&before, &after);
        let places: Vec<_> = found
            .iter()
            .map(|(address, change)| (*address, change.len()))
            .collect();
        assert_eq!(places, [(GRAIN, 2 * GRAIN), (5 * GRAIN, GRAIN)]);
        let mut memory = before;
        memory.resize(after.len(), 0);
        for (address, change) in &found {
            memory[*address..address + change.len()].copy_from_slice(change);
        }
        assert!(memory == after);
    }
}
