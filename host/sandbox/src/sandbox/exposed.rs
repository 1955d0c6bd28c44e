//! A module that lets its host see all of its state: its memory and its mutable globals, exported by
//! names of the host's own. A snapshot is made of them.
//!
//! Only a module that prepares itself for its requests is made into one. A module whose state a
//! snapshot cannot hold stays as it is.

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, Result, TypeRef};

/// The beginning of the names, which no compiler uses.
const OURS: &str = "alert-gateway state: ";

/// The name of the memory.
pub(super) const MEMORY: &str = "alert-gateway state: memory";

/// The export that prepares a module, beyond its initializer.
pub(super) const PREPARE: &str = "prepare";

/// The initializers of a module that was built as a library.
pub(super) const INITIALIZERS: [&str; 2] = ["_initialize", "__wasm_call_ctors"];

/// Returns the name of a mutable global; they are counted from 0.
pub(super) fn global(number: usize) -> String {
    format!("{OURS}global {number}")
}

/// Returns whether an export is for the host alone.
pub(super) fn is_ours(export: &str) -> bool {
    export.starts_with(OURS)
}

/// Returns the module with its state exported. `None` where it has nothing to prepare, has state
/// beside its memory and its numbers, or is broken.
pub(super) fn exposed(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut found = Found::default();
    for part in Parser::new(0).parse_all(wasm) {
        found.take(part.ok()?, wasm).ok()??;
    }
    found.finish()
}

/// The parts of a module, as far as they were read.
#[derive(Default)]
struct Found {
    module: Module,
    /// The indices of the mutable globals.
    globals: Vec<u32>,
    memories: usize,
    prepares: bool,
    is_finished: bool,
}

impl Found {
    /// Adds a part. `None` says that the module stays as it is.
    fn take(&mut self, part: Payload<'_>, wasm: &[u8]) -> Result<Option<()>> {
        let section = part.as_section();
        match part {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if !matches!(import?.ty, TypeRef::Func(_)) {
                        return Ok(None);
                    }
                }
            }
            Payload::MemorySection(memories) => self.memories = memories.count() as usize,
            Payload::GlobalSection(globals) => {
                for (index, global) in (0..).zip(globals) {
                    let global = global?.ty;
                    if !global.mutable {
                        continue;
                    }
                    if global.content_type.is_reference_type() {
                        return Ok(None);
                    }
                    self.globals.push(index);
                }
            }
            // It would run in each instance, after which the snapshot would undo it.
            Payload::StartSection { .. } => return Ok(None),
            Payload::ExportSection(exports) => {
                let mut all = ExportSection::new();
                for export in exports {
                    let export = export?;
                    if is_ours(export.name) {
                        return Ok(None);
                    }
                    self.prepares |= export.name == PREPARE || INITIALIZERS.contains(&export.name);
                    all.export(export.name, kind(export.kind), export.index);
                }
                if self.memories > 0 {
                    all.export(MEMORY, ExportKind::Memory, 0);
                }
                for (number, index) in self.globals.iter().enumerate() {
                    all.export(&global(number), ExportKind::Global, *index);
                }
                self.module.section(&all);
                return Ok(Some(()));
            }
            Payload::CodeSectionEntry(function) if has_more_state(&function)? => return Ok(None),
            Payload::End(_) => self.is_finished = true,
            _ => {}
        }
        if let Some((id, range)) = section
            && let Some(data) = wasm.get(range)
        {
            self.module.section(&RawSection { id, data });
        }
        Ok(Some(()))
    }

    fn finish(self) -> Option<Vec<u8>> {
        (self.is_finished && self.prepares && self.memories == 1).then(|| self.module.finish())
    }
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}

/// Returns whether a function changes state that is neither memory nor a global: the elements of a
/// table, or segments that are dropped.
fn has_more_state(function: &FunctionBody<'_>) -> Result<bool> {
    for operator in function.get_operators_reader()? {
        match operator? {
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. } => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &str) -> Option<Vec<String>> {
        let wasm = wat::parse_str(format!("(module {fields})")).unwrap();
        let exposed = exposed(&wasm)?;
        let mut names = Vec::new();
        for part in Parser::new(0).parse_all(&exposed) {
            if let Payload::ExportSection(exports) = part.unwrap() {
                names.extend(
                    exports
                        .into_iter()
                        .map(|export| export.unwrap().name.to_owned()),
                );
            }
        }
        Some(names)
    }

    const PREPARED: &str = r#"(memory 1) (func (export "_initialize"))"#;

    #[test]
    fn memory_and_mutable_globals_are_exported() {
        let globals = "(global i32 (i32.const 0)) (global (mut i64) (i64.const 0)) (global (mut f32) (f32.const 0))";
        assert_eq!(
            names(&format!("{PREPARED} {globals}")).unwrap(),
            ["_initialize", MEMORY, &global(0), &global(1)]
        );
    }

    #[test]
    fn module_without_preparation_stays_as_it_is() {
        assert_eq!(names(r#"(memory 1) (func (export "read"))"#), None);
        assert!(names(r#"(memory 1) (func (export "prepare"))"#).is_some());
        assert_eq!(exposed(b"\0asm\x01\0\0\0\x05\xff"), None);
        assert_eq!(exposed(b""), None);
    }

    #[test]
    fn module_with_more_state_stays_as_it_is() {
        for more in [
            "(global (mut funcref) (ref.null func))",
            "(func $start) (start $start)",
            "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
            "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
            "(table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1)))",
            "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))",
            "(table 1 funcref) (elem func) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(elem func) (func (elem.drop 0))",
            r#"(data "") (func (data.drop 0))"#,
            r#"(func (export "alert-gateway state: memory"))"#,
        ] {
            assert_eq!(names(&format!("{PREPARED} {more}")), None, "{more}");
        }
        let harmless = r#"(table 1 funcref) (data "") (func (drop (table.get (i32.const 0)))
            (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))"#;
        assert!(names(&format!("{PREPARED} {harmless}")).is_some());
    }
}
