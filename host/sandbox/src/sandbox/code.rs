//! The compiled and linked module, and its entries by the plugin's ABI.
//!
//! Extism's ABI is a library with an export for each question. A module without them, and with a
//! `_start`, is a command: a whole program, as compilers make that know WASI and no PDK.

use super::exposed::{self, INITIALIZERS, PREPARE};
use super::identity::Identity;
use crate::call::{Call, Entry, Start};
use crate::error::LoadError;
use crate::preparation::Step;
use crate::snapshot::{Snapshot, State};
use crate::{abi, wasi};
use std::sync::Arc;
use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport};

/// A plugin's code.
pub(super) struct Code {
    pub(super) instance: InstancePre<Call>,
    pub(super) identity: Identity,
    /// The exports of its state, where a snapshot can hold it.
    pub(super) state: Option<Arc<State>>,
    exports: Exports,
}

enum Exports {
    Library {
        initialize: Option<ModuleExport>,
        prepare: Option<ModuleExport>,
        describe: ModuleExport,
        check: Option<ModuleExport>,
        read: ModuleExport,
    },
    Command {
        start: ModuleExport,
    },
}

impl Code {
    /// Links a module with the host's functions and finds its exports.
    pub(super) fn link(
        linker: &Linker<Call>,
        name: &str,
        module: &Module,
        identity: Identity,
    ) -> Result<Self, LoadError> {
        let unknown: Vec<String> = module
            .imports()
            .filter(|import| match import.module() {
                abi::MODULE => !abi::FUNCTIONS.contains(&import.name()),
                wasi::MODULE => !wasi::functions().any(|known| known == import.name()),
                _ => true,
            })
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        if !unknown.is_empty() {
            return Err(LoadError::Imports {
                plugin: name.to_owned(),
                imports: unknown,
            });
        }
        let instance = linker
            .instantiate_pre(module)
            .map_err(|error| LoadError::Link {
                plugin: name.to_owned(),
                reason: format!("{error:#}"),
            })?;
        Ok(Self {
            exports: exports(name, module)?,
            state: state(module).map(Arc::new),
            instance,
            identity,
        })
    }

    /// Returns the steps that prepare the plugin before any source is known.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let initialize = match &self.exports {
            Exports::Library { initialize, .. } => initialize.as_ref().map(Step::Initialize),
            Exports::Command { .. } => None,
        };
        initialize.into_iter().chain(self.prepare())
    }

    /// Returns the step that prepares it for a configuration, or for a source.
    pub(super) fn prepare(&self) -> Option<Step<'_>> {
        match &self.exports {
            Exports::Library { prepare, .. } => prepare.as_ref().map(Step::Prepare),
            Exports::Command { .. } => None,
        }
    }

    /// Returns the entry that describes the plugin.
    pub(super) fn describe<'p>(&'p self, snapshot: Option<&'p Snapshot>) -> Entry<'p> {
        self.entry("describe", snapshot, |exports| match exports {
            Exports::Library { describe, .. } => describe,
            Exports::Command { start } => start,
        })
    }

    /// Returns the entry that reads a request.
    pub(super) fn read<'p>(&'p self, snapshot: Option<&'p Snapshot>) -> Entry<'p> {
        self.entry("read", snapshot, |exports| match exports {
            Exports::Library { read, .. } => read,
            Exports::Command { start } => start,
        })
    }

    /// Returns whether the plugin has something to say of settings.
    pub(super) fn has_check(&self) -> bool {
        matches!(&self.exports, Exports::Library { check: Some(_), .. })
    }

    /// Returns the entry that checks settings. A command has none, because it could not say so.
    pub(super) fn check<'p>(&'p self, snapshot: Option<&'p Snapshot>) -> Option<Entry<'p>> {
        match &self.exports {
            Exports::Library {
                check: Some(check), ..
            } => Some(self.entry("check", snapshot, |_| check)),
            _ => None,
        }
    }

    fn entry<'p>(
        &'p self,
        argument: &'static str,
        snapshot: Option<&'p Snapshot>,
        of: impl FnOnce(&'p Exports) -> &'p ModuleExport,
    ) -> Entry<'p> {
        match &self.exports {
            exports @ Exports::Library { initialize, .. } => Entry::Export {
                start: match snapshot {
                    Some(snapshot) => Start::Prepared(snapshot),
                    None => Start::Anew(initialize.as_ref()),
                },
                export: of(exports),
            },
            exports @ Exports::Command { .. } => Entry::Command {
                start: of(exports),
                argument,
            },
        }
    }
}

fn exports(name: &str, module: &Module) -> Result<Exports, LoadError> {
    let is_library = ["describe", "read"]
        .iter()
        .any(|export| module.get_export(export).is_some());
    if let (false, Some(start)) = (is_library, procedure(module, "_start")) {
        return Ok(Exports::Command { start });
    }
    Ok(Exports::Library {
        // A module built as a library has one of these to set itself up before the first call.
        initialize: INITIALIZERS
            .iter()
            .find_map(|export| procedure(module, export)),
        prepare: optional(name, module, PREPARE)?,
        describe: export(name, module, "describe")?,
        check: optional(name, module, "check")?,
        read: export(name, module, "read")?,
    })
}

/// Finds the state of a module that was [exposed].
fn state(module: &Module) -> Option<State> {
    let memory = module.get_export_index(exposed::MEMORY)?;
    let globals = (0..).map_while(|number| module.get_export_index(&exposed::global(number)));
    Some(State {
        memory,
        globals: globals.collect(),
    })
}

fn optional(
    plugin: &str,
    module: &Module,
    name: &'static str,
) -> Result<Option<ModuleExport>, LoadError> {
    match module.get_export(name) {
        Some(_) => export(plugin, module, name).map(Some),
        None => Ok(None),
    }
}

/// Returns an exported function without parameters and results.
fn procedure(module: &Module, export: &str) -> Option<ModuleExport> {
    match module.get_export(export) {
        Some(ExternType::Func(found))
            if found.params().len() == 0 && found.results().len() == 0 =>
        {
            module.get_export_index(export)
        }
        _ => None,
    }
}

fn export(plugin: &str, module: &Module, name: &'static str) -> Result<ModuleExport, LoadError> {
    let wrong = |found: String| LoadError::Export {
        plugin: plugin.to_owned(),
        export: name,
        found,
    };
    match module.get_export(name) {
        Some(ExternType::Func(found))
            if found.params().len() == 0 && is_one_i32(found.results()) =>
        {
            module
                .get_export_index(name)
                .ok_or_else(|| wrong("does not export".into()))
        }
        Some(ExternType::Func(found)) => {
            let types = |types: Vec<String>| types.join(", ");
            let params = types(found.params().map(|found| found.to_string()).collect());
            let results = types(found.results().map(|found| found.to_string()).collect());
            Err(wrong(format!(
                "exports, as a function of type ({params}) -> ({results}),"
            )))
        }
        Some(_) => Err(wrong("exports, but not as a function,".into())),
        None => Err(wrong("does not export".into())),
    }
}

fn is_one_i32(mut types: impl ExactSizeIterator<Item = wasmtime::ValType>) -> bool {
    types.len() == 1 && types.next().is_some_and(|found| found.is_i32())
}
