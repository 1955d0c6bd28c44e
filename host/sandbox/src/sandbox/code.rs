//! The compiled and linked module, and its entries by the plugin's ABI.
//!
//! Extism's ABI is a library with an export for each question. A module without them, and with a
//! `_start`, is a command: a whole program, as compilers make that know WASI and no PDK.

use super::identity::Identity;
use crate::call::{Call, Entry};
use crate::error::LoadError;
use crate::{abi, wasi};
use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport};

/// A plugin's code.
pub(super) struct Code {
    pub(super) instance: InstancePre<Call>,
    pub(super) identity: Identity,
    exports: Exports,
}

enum Exports {
    Library {
        initialize: Option<ModuleExport>,
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
            instance,
            identity,
        })
    }

    /// Returns the entry that describes the plugin.
    pub(super) fn describe(&self) -> Entry<'_> {
        self.entry("describe", |exports| match exports {
            Exports::Library { describe, .. } => describe,
            Exports::Command { start } => start,
        })
    }

    /// Returns the entry that reads a request.
    pub(super) fn read(&self) -> Entry<'_> {
        self.entry("read", |exports| match exports {
            Exports::Library { read, .. } => read,
            Exports::Command { start } => start,
        })
    }

    /// Returns the entry that checks settings. A command has none, because it could not say so.
    pub(super) fn check(&self) -> Option<Entry<'_>> {
        match &self.exports {
            Exports::Library {
                check: Some(check), ..
            } => Some(self.entry("check", |_| check)),
            _ => None,
        }
    }

    fn entry<'p>(
        &'p self,
        argument: &'static str,
        of: impl FnOnce(&'p Exports) -> &'p ModuleExport,
    ) -> Entry<'p> {
        match &self.exports {
            exports @ Exports::Library { initialize, .. } => Entry::Export {
                initialize: initialize.as_ref(),
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
        initialize: ["_initialize", "__wasm_call_ctors"]
            .iter()
            .find_map(|export| procedure(module, export)),
        describe: export(name, module, "describe")?,
        check: match module.get_export("check") {
            Some(_) => Some(export(name, module, "check")?),
            None => None,
        },
        read: export(name, module, "read")?,
    })
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
